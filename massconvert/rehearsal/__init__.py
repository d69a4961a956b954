"""A rehearsal: what Zoho's pages leave open, asked of a real organisation with throw-away leads.

`question` says what a question is, `job_questions`, `match_questions` and `limit_questions` are the questions, `stage`
is what they work with; `cast` makes the records and `cleaning` deletes them, `journal` has what was done on disk before
the next call is made; `run` puts it together, and `result` says what came of it.
"""
