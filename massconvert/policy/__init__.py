"""THE pages: what to do next, given what the ledger knows and what Zoho answered.

Pure functions and tables: no I/O, no clock, no chance of its own. A step hands in the chunk as it claimed it, one
answer, and the moment; it gets back one `Decision`, which the ledger writes with one script.

The theory, in five sentences:

1. Zoho has no idempotency key, so an answer that was lost can only be understood by *looking at the leads*. Every
   answer is therefore one of three: surely not sent (send again), perhaps accepted (look, then send what is still
   unconverted), answered (believe it).
2. A look too early sees leads of a job that still runs as unconverted. It waits until a job accepted then would
   have ended: the learnt 99th percentile of job times.
3. A job's counts name no lead. "Completed, all converted" needs no further call; anything else is settled by the
   leads' own state, and what stays unconverted goes out again a bounded number of times.
4. A deadline is never an outcome: a job without an end goes on being watched, and only Zoho's word ends a lead.
   The one exception is a payload that never got a usable answer for a whole day, and whose leads Zoho shows (or
   that we never sent): those end as `GAVE_UP`, which is the truth about us.
5. What is wrong with the *options* or the *organisation* is not the leads' fault: wrong options fail everything that
   waits with them at the cost of one call; a missing permission pauses the organisation and fails nothing. So does
   what only a person can end, as an hour without a usable access token: it is no outage.

`table.Row` is the decision table: every row with the states it leads from and to; the state diagram in
docs/concepts.md is drawn from it, and a row without a test fails the suite.

What an answer means for *everybody who calls* is decided apart from what it means for its chunk: see `calls`, with
`congestion` (the limit that 429s teach) and `holds` (outages and used-up credits).
"""

from __future__ import annotations

from massconvert.policy.callbacks import after_failed_callback
from massconvert.policy.calls import ANSWERS, CallAnswer, CallRules, Gate, Heard, Report, after_call, answer_of
from massconvert.policy.canary import most_failures, priority_of
from massconvert.policy.codes import (
    CODES,
    HINTS,
    MEANINGS,
    PERMISSIONS,
    SAY_CONVERTED,
    STATUS_MEANINGS,
    Meaning,
    Retry,
    ZohoCode,
    about_ids_of_a_read,
    meaning,
    named_leads,
    words_of,
)
from massconvert.policy.congestion import Congestion
from massconvert.policy.deals import after_update
from massconvert.policy.find import (
    RunDecision,
    RunRow,
    after_find,
    after_put,
    no_permit_to_find,
)
from massconvert.policy.history import after_break
from massconvert.policy.holds import Holding
from massconvert.policy.matched import after_match, is_matched, match_not_read, still_behind
from massconvert.policy.names import name_unknown, names_found, names_not_read
from massconvert.policy.permits import Hold, HoldKind, Learnt, Permit
from massconvert.policy.polling import Look, relearnt, size_of
from massconvert.policy.post import (
    after_post,
    no_permit,
    options_refused_before,
    reaching,
    sender_lost,
    too_few_replicas,
)
from massconvert.policy.read import after_read
from massconvert.policy.status import after_status, before_look
from massconvert.policy.table import Decision, PauseOrder, Row
from massconvert.policy.timing import Moment, Tuning
