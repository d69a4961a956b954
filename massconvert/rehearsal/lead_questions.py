"""Questions 6 to 9: what bad leads do to good ones, what each gives alone, and one lead in two jobs at once."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from massconvert.model import Call
from massconvert.policy import MEANINGS, Meaning, Tuning
from massconvert.rehearsal.cast import NotMadeError
from massconvert.rehearsal.job_questions import NOBODY, TEN, end_of
from massconvert.rehearsal.question import NOT_SEEN, Point, Question, Seen, any_of, anything
from massconvert.rehearsal.stage import JobSeen, Stage, converted
from massconvert.rehearsal.wire import CONTACTS, MASS_CONVERT, Answer

#: Seconds after which reads and queries show what was made.
_LAG = Tuning().read_lag


def _one_bad(stage: Stage) -> Seen:
    first, bad, second = stage.cast.all_of("E1", "Z1", "E2")
    answer, job = stage.sent([first, bad, second])
    if job is None:
        path = ", ".join(answer.paths) or "nothing"
        return {"one_bad_id": "refuses all", "one_bad_id_code": answer.code or answer.lost, "one_bad_id_names": path}
    good = sum(converted(row) for lead, row in stage.read_ended(job).items() if lead != bad)
    what = "fails alone" if good == 2 else "fails the others too" if good == 0 else "fails some of the others"
    return {"one_bad_id": what, "one_bad_id_code": f"a job, {_counts(job)}", "one_bad_id_names": "nothing"}


def _two_bad(stage: Stage) -> Seen:
    gone, done, also_gone, good = stage.cast.all_of("Z1", "A1", "Z2", "E3")
    wrong = {**stage.options.get("Deals", {}), "Closing_Date": "next week"}
    first = f"{NOT_SEEN}: no deal is known"
    if stage.options.get("Deals"):
        answer, _ = stage.sent([gone, good], Deals=wrong)
        deal = any(".Deals" in path for path in answer.paths)
        first = ("the options" if deal else "the leads") if answer.refused else f"{NOT_SEEN}: it was taken"
    ids = [gone, done, also_gone, good]
    answer, _ = stage.sent(ids)
    if not answer.refused:
        return {"bad_ids_named": f"{NOT_SEEN}: it was taken", "named_first": f"{NOT_SEEN}: it was taken"} | {
            "looked_at_first": first
        }
    named = _named(answer)
    turned, _ = stage.sent([done, gone, good])
    return {
        "bad_ids_named": {0: "none", 1: "one", 3: "all"}.get(len(named), "some"),
        "named_first": _kind_first(named, _named(turned)),
        "looked_at_first": first,
    }


def _named(answer: Answer) -> list[int]:
    """The places of the ids that a refusal names."""
    found = [re.search(r"ids\[([0-9]+)\]", path) for path in answer.paths]
    return list(dict.fromkeys(int(match[1]) for match in found if match))


def _kind_first(one: Sequence[int], turned: Sequence[int]) -> str:
    """Which kind a refusal names first, where one payload begins with a deleted lead, the other with a converted."""
    if not one or not turned:
        return f"{NOT_SEEN}: no place is named"
    deleted_first = (one[0] in (0, 2), turned[0] == 1)
    return {(True, False): "the first", (True, True): "a deleted one", (False, False): "a converted one"}.get(
        deleted_first, "another"
    )


#: A payload with one such lead alone: the name of its point, and which record it is.
_ALONE = {"unknown": "", "contact": "Y", "deleted": "Z1", "converted": "A1", "unapproved": "F1"}


def _alone(stage: Stage) -> Seen:
    seen: Seen = {}
    for kind, name in _ALONE.items():
        try:
            lead = stage.cast.all_of(name)[0] if name else NOBODY
        except NotMadeError as error:
            seen[f"alone_{kind}"] = f"{NOT_SEEN}: {error}"
            continue
        answer, job = stage.sent([lead])
        seen[f"alone_{kind}"] = answer.code or answer.lost if job is None else end_of(job)
    return seen


# --- 9: twice at once ---------------------------------------------------------------------------------------


def _twice(stage: Stage) -> Seen:
    one, both, other = stage.cast.all_of("M1", "M2", "M3")
    sets = ([one, both], [both, other])
    question = stage.question

    def post(ids: Sequence[str]) -> Answer:
        user = {"assign_to": stage.options["assign_to"]} if "assign_to" in stage.options else {}
        return stage.wire.call(question, Call.POST, "POST", MASS_CONVERT, body={"ids": list(ids), **user})

    answers = stage.together(lambda: post(sets[0]), lambda: post(sets[1]))
    jobs = [stage.follow(answer, ids) for answer, ids in zip(answers, sets, strict=True)]
    taken = [job for job in jobs if job]
    rows = [stage.read_ended(job).get(both, {}) for job in taken]
    made = stage.count(CONTACTS, "Last_Name", stage.cast.named("M2"))
    if len(taken) > 1 and made is not None and made < 2:  # the second contact may not be shown yet
        stage.wire.wait(_LAG)
        made = stage.count(CONTACTS, "Last_Name", stage.cast.named("M2"))
    seen: Seen = {"contacts_of_a_lead_in_two_jobs": f"{NOT_SEEN}: COQL does not tell" if made is None else made}
    if made is not None and made > 1:
        seen["two_jobs"] = "converts it twice"
    elif len(taken) < 2:
        seen["two_jobs"] = "one payload is refused"
    else:
        shown = any(map(converted, rows))
        seen["two_jobs"] = "converts it once" if shown else "converts it not at all"
    refused = next((answer.code for answer in answers if answer.refused), "")
    return seen | ({"two_jobs_code": refused} if refused else {})


# --- the points -------------------------------------------------------------------------------------------


def _counts(job: JobSeen) -> str:
    return f"{job.counts.get('converted', 0)} converted, {job.counts.get('failed', 0)} failed"


def _about_a_lead(code: Any, _version: int) -> bool:
    """Whether massconvert takes a code for one about the leads of its payload."""
    means = MEANINGS.get(str(code).upper(), Meaning.UNEXPLAINED)
    return means in (Meaning.LEADS, Meaning.UNEXPLAINED) or str(code).startswith(("INVALID_DATA", "fails in"))


_BAD = (
    Point(
        "one_bad_id",
        "a bad id among good ones",
        "refuses all",
        any_of("refuses all", "fails alone"),
        "Good leads fail with a bad one: have them read before they are sent (preflight in the options).",
    ),
    Point("one_bad_id_code", "what is said of it", "INVALID_DATA, or a job", anything, ""),
    Point("one_bad_id_names", "what it names", "its place, like $.ids[1]", anything, ""),
)
_TWO_BAD = (
    Point(
        "bad_ids_named",
        "of three bad ids it names",
        "one",
        any_of("one", "all", "some"),
        "Which leads are bad is found by reading them: a preflight in the options finds it before anything is sent.",
    ),
    Point("named_first", "which it names first"),
    Point("looked_at_first", "with a wrong deal, it names"),
)


def _alone_points() -> Iterator[Point]:
    for kind in _ALONE:
        yield Point(
            f"alone_{kind}",
            f"a lead alone that is {kind}" if kind != "contact" else "the id of a contact alone",
            "a code about the lead, or it fails in the job",
            _about_a_lead,
            "massconvert takes this code for one about the options or the organisation: have such leads found before "
            "anything is sent (preflight in the options).",
        )


LEAD_QUESTIONS = (
    Question(
        6,
        "What does one bad id do to good ones?",
        _BAD,
        _one_bad,
        ("E1", "E2", "Z1"),
        (),
        {Call.POST: 1, Call.STATUS: 2},
    ),
    Question(
        7, "Of several bad ids, which are named?", _TWO_BAD, _two_bad, ("E3", "Z1", "Z2", *TEN), (3, 4), {Call.POST: 2}
    ),
    Question(
        8,
        "What does each kind of bad lead alone give?",
        tuple(_alone_points()),
        _alone,
        ("X", "Y", "Z1", "F1", *TEN),
        (3, 4),
        {Call.POST: 5, Call.STATUS: 4},
    ),
    Question(
        9,
        "What do two jobs do that hold one lead?",
        (
            Point(
                "two_jobs",
                "one lead in two jobs",
                "converts it once, or one payload is refused",
                any_of("converts it once", "one payload is refused"),
                "A lead in two jobs is converted twice. Massconvert never sends one twice at a time: let nothing else "
                "convert the same leads meanwhile.",
            ),
            Point("contacts_of_a_lead_in_two_jobs", "contacts of that lead", "1", any_of(0, 1), "As above."),
        ),
        _twice,
        ("M1", "M2", "M3"),
        (),
        {Call.POST: 2, Call.STATUS: 4, Call.READ: 1, Call.QUERY: 1},
    ),
)
