"""Every row that a read of the leads may lead to, from the JSON that Zoho documents to the whole decision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from massconvert.model import (
    Again,
    Busy,
    Chunk,
    Code,
    Done,
    Failing,
    Fared,
    Kind,
    NotSent,
    Outcome,
    PerhapsAccepted,
    Refusal,
    Resend,
    Settle,
    State,
    Unsent,
    Why,
)
from massconvert.policy import (
    HINTS,
    Decision,
    Moment,
    PauseOrder,
    Row,
    after_post,
    after_read,
    no_permit,
)
from massconvert.policy.codes import CREDENTIALS_HINT
from tests.unit import zoho_says as zoho
from tests.unit.policy_cases import (
    COUNTED,
    DAY,
    LEADS,
    LOST,
    MAY_NOT_CONVERT,
    MOMENT,
    NOW,
    REFUSED,
    TUNING,
    UNSENT,
    A,
    B,
    C,
    Case,
    D,
)
from tests.unit.zoho_says import JOB, Said, converted, records, to_post, to_read, unconverted

BEFORE = "2027-01-15T07:50:00+00:00"  # before the chunk was made, whatever the two clocks differ by

OURS = Outcome(Kind.CONVERTED, "", "", JOB, 1, "11", "22", "33")
OURS_BY_A_LOST_JOB = replace(OURS, job_id="")
THEIRS = Outcome(Kind.SKIPPED, Code.ALREADY_CONVERTED, "the lead had been converted before", "", 1, "11", "22", "33")
GONE = Outcome(
    Kind.FAILED,
    Code.NOT_FOUND,
    "Zoho does not return this lead: deleted, in the recycle bin, or not visible to this user",
    attempts=1,
)


def hidden(last: str, **changes: Any) -> Outcome:
    """A lead that was sent, and that no read shows."""
    words = (
        "the lead was sent, and Zoho does not show it to this user any more, so it may be converted: look for it in"
        f" Zoho as a user who may see all leads (last: {last})"
    )
    return replace(Outcome(Kind.FAILED, Code.NOT_VISIBLE, words, JOB, 1), **changes)


COUNTS = f"job {JOB} completed with 2 of 4 converted, 2 failed"


def read(why: str, answer: Any, decision: Decision, *, chunk: Chunk = COUNTED, moment: Moment = MOMENT) -> Case:
    """The leads were read; ``answer`` is what came over the wire, or did not."""
    came = to_read(answer) if isinstance(answer, Said) else answer
    return Case(why, chunk, came, lambda: after_read(chunk, came, moment), decision)


def shown(*done: str, leads: Sequence[str] = LEADS) -> Said:
    """All of ``leads``; those in ``done`` are converted."""
    return records(*(converted(lead) if lead in done else unconverted(lead) for lead in leads))


def settled(chunk: Chunk, outcomes: dict[str, Outcome]) -> Decision:
    """Nothing is open."""
    return Decision(Row.SETTLED, replace(chunk, state=State.DONE), Done(), outcomes=outcomes)


def look_again(row: Row, chunk: Chunk, outcomes: dict[str, Outcome], wait: float) -> Decision:
    """The read came too early."""
    return Decision(row, replace(chunk, lags=chunk.lags + 1, due_at=NOW + wait), Settle(wait), outcomes=outcomes)


def out_again(row: Row, chunk: Chunk, outcomes: dict[str, Outcome], *, split: bool = False) -> Decision:
    """What is open goes out in a new payload, at once."""
    moved = replace(chunk, state=State.WAITING, why=Why.NONE, named=(), claimed_converted=-1, lags=0, due_at=NOW)
    return Decision(row, moved, Resend(0.0), outcomes=outcomes, split=split)


def retry(wait: float) -> Decision:
    """Nothing was learnt about the leads."""
    moved = replace(COUNTED, outages=COUNTED.outages + 1, due_at=NOW + wait)
    return Decision(Row.READ_RETRY, moved, Again(wait))


def paused(code: str, words: str, hint: str) -> Decision:
    """The leads are read when the organisation may call again."""
    return Decision(Row.READ_NOT_ALLOWED, replace(COUNTED, due_at=NOW), Done(), pause=PauseOrder(code, words, hint))


CLAIMED = replace(COUNTED, claimed_converted=3)
LAST_TRY = replace(COUNTED, attempts=TUNING.max_attempts)
LOST_FOR_A_DAY = replace(LOST, outage_since=NOW - DAY - 1)
LATE = replace(COUNTED, why=Why.OVERDUE, said=None)
#: Looked into once already, since the refusal may have known of a conversion before the reads did.
REFUSED_ONCE = replace(REFUSED, lags=1)
UNNAMED = replace(REFUSED_ONCE, named=())
INVALID = Outcome(Kind.FAILED, "INVALID_DATA", "the id given seems to be invalid ($.ids[2])", attempts=1)
NEVER_TAKEN = replace(REFUSED, submitted=False)
ALONE = replace(UNNAMED, leads=(A,))

#: Refused for a reason that nobody knows, and nothing named.
PUZZLING = replace(NEVER_TAKEN, why=Why.UNEXPLAINED, named=(), said=Refusal("NEW_CODE", "no reason"))
PUZZLING_ALONE = replace(PUZZLING, leads=(A,), lags=1)

#: A payload that failed again though others had come through; one whose jobs did so.
FAILS_ITSELF = replace(LOST, failing=Failing(lost=2, lost_since=NOW - 300, own=True), fared=Fared(answered=NOW - 200))
SPOILED = replace(
    COUNTED,
    why=Why.JOB_FAILED,
    attempts=2,
    failing=Failing(jobs=2, jobs_since=NOW - 300, own=True),
    fared=Fared(converted=NOW - 200),
)
CHOKES = replace(
    LOST, leads=(A,), failing=Failing(lost=3, lost_since=NOW - 300, blamed=True), fared=Fared(answered=NOW - 200)
)
UNKNOWN = replace(
    COUNTED,
    why=Why.JOB_UNKNOWN,
    attempts=3,
    said=Refusal("INVALID_DATA", f"job {JOB} is unknown to Zoho: no"),
    failing=Failing(unknown_at=NOW - TUNING.job_deadline),
)
UNKNOWN_FOR_LONG = replace(UNKNOWN, failing=Failing(unknown_at=NOW - TUNING.job_deadline - 1))

#: What a preflight says of leads that were never in a payload.
GONE_UNSENT, THEIRS_UNSENT = replace(GONE, attempts=0), replace(THEIRS, attempts=0)
LOCKED = Outcome(
    Kind.FAILED, Code.LOCKED, "Zoho has locked this lead for the user (an approval, or a process that is under way)"
)
UNSENT_FOR_A_DAY = replace(UNSENT, outage_since=NOW - DAY - 1)


def flown(outcomes: dict[str, Outcome], *, split: bool, chunk: Chunk = UNSENT) -> Decision:
    """The good ones are sent at once, in two payloads where they are too many for one."""
    moved = replace(chunk, state=State.WAITING, why=Why.NONE, outages=0, outage_since=0.0, due_at=NOW)
    return Decision(Row.PREFLIGHT_PASSED, moved, Resend(0.0), outcomes=outcomes, split=split)


CASES = [
    # Before any payload: those that cannot be converted end at no further call.
    read("all of them good, and two payloads", shown(), flown({}, split=True), chunk=UNSENT),
    read(
        "a locked and a missing one end, the others fit one payload",
        records({**unconverted(A), "$locked_for_me": True}, unconverted(B), unconverted(D)),
        flown({A: LOCKED, C: GONE_UNSENT}, split=False),
        chunk=UNSENT,
    ),
    read(
        "a lead that is converted was converted by somebody else, whenever",
        records(converted(A), {**converted(B), "$locked_for_me": True}, unconverted(C), unconverted(D)),
        flown({A: THEIRS_UNSENT, B: THEIRS_UNSENT}, split=False),
        chunk=UNSENT,
    ),
    read(
        "an outage before it is over",
        shown(),
        flown({}, split=True, chunk=UNSENT_FOR_A_DAY),
        chunk=UNSENT_FOR_A_DAY,
    ),
    read(
        "missing, and sent by another batch that lost sight of them",
        zoho.NO_RECORDS,
        settled(
            replace(UNSENT, doubted=True),
            dict.fromkeys(
                LEADS, replace(hidden(""), message=hidden("").message.partition(" (last")[0], job_id="", attempts=0)
            ),
        ),
        chunk=replace(UNSENT, doubted=True),
    ),
    read("none is left to send", zoho.NO_RECORDS, settled(UNSENT, dict.fromkeys(LEADS, GONE_UNSENT)), chunk=UNSENT),
    read(
        "not readable yet: the outage begins, and nothing is sent unread",
        PerhapsAccepted("HTTP 500", 500),
        Decision(
            Row.READ_RETRY,
            replace(UNSENT, outages=1, outage_since=NOW, due_at=NOW + 0.55),
            Again(0.55),
        ),
        chunk=UNSENT,
    ),
    read(
        "not readable for a day: they were never sent",
        PerhapsAccepted("HTTP 500", 500),
        Decision(
            Row.PREFLIGHT_GIVE_UP,
            replace(UNSENT_FOR_A_DAY, state=State.DONE),
            Done(),
            rest=Outcome(
                Kind.FAILED, Code.GAVE_UP, "not sent for 24 h, since the lead could not be read before: HTTP 500"
            ),
        ),
        chunk=UNSENT_FOR_A_DAY,
    ),
    # Every lead has ended, by what Zoho itself says of it.
    read(
        "converted by our job",
        shown(A, B, C, D),
        settled(COUNTED, dict.fromkeys(LEADS, OURS)),
    ),
    read(
        "converted before the chunk was made, out of sight, and ours",
        records(converted(A, BEFORE), converted(C), converted(D)),
        settled(COUNTED, {A: THEIRS, B: hidden(COUNTS), C: OURS, D: OURS}),
    ),
    read(
        "none of the leads that were sent is there: they may be converted",
        zoho.NO_RECORDS,
        settled(COUNTED, dict.fromkeys(LEADS, hidden(COUNTS))),
    ),
    read(
        "none of the leads is there, and no payload with them was ever accepted",
        zoho.NO_RECORDS,
        settled(NEVER_TAKEN, dict.fromkeys(LEADS, GONE)),
        chunk=NEVER_TAKEN,
    ),
    read(
        "a lost answer is found by its effect",
        shown(A, B, C, D),
        settled(LOST, dict.fromkeys(LEADS, OURS_BY_A_LOST_JOB)),
        chunk=LOST,
    ),
    read(
        "converted by somebody, and never taken from us: skipped",
        shown(A, B, C, D),
        settled(NEVER_TAKEN, dict.fromkeys(LEADS, THEIRS)),
        chunk=NEVER_TAKEN,
    ),
    read(
        "the job said more, and the reads have had their time",
        shown(),
        out_again(Row.UNCONVERTED_AGAIN, replace(CLAIMED, lags=TUNING.read_lags), {}),
        chunk=replace(CLAIMED, lags=TUNING.read_lags),
    ),
    # The read does not say of some whether they are converted: those are asked again apart, and the others go on.
    read(
        "one of four",
        records(converted(A), {"id": B, "Converted__s": None}, unconverted(C), unconverted(D)),
        Decision(
            Row.UNCLEAR_APART,
            replace(CLAIMED, claimed_converted=2, due_at=NOW),
            Settle(0.0),
            asides=(replace(CLAIMED, leads=(B,), claimed_converted=-1, due_at=NOW + MOMENT.backoff(1)),),
        ),
        chunk=CLAIMED,
    ),
    read(
        "before a preflight, too",
        records(unconverted(A), {"id": B, "Converted__s": None}, unconverted(C), unconverted(D)),
        Decision(
            Row.UNCLEAR_APART,
            replace(UNSENT, due_at=NOW),
            Settle(0.0),
            asides=(replace(UNSENT, leads=(B,), due_at=NOW + MOMENT.backoff(1)),),
        ),
        chunk=UNSENT,
    ),
    read(
        "a row that names nobody may be the one that is missing",
        records(converted(A), unconverted(B), unconverted(C), {"Converted__s": True}),
        Decision(
            Row.UNCLEAR_APART,
            replace(COUNTED, due_at=NOW),
            Settle(0.0),
            asides=(replace(COUNTED, leads=(D,), due_at=NOW + MOMENT.backoff(1)),),
        ),
    ),
    *(
        read(
            f"{told} of which nothing is known: asked again later",
            records({"id": A, "Converted__s": None}, {"id": B, "Converted__s": None}),
            Decision(
                Row.UNCLEAR_AGAIN,
                replace(COUNTED, leads=leads, lags=3, due_at=NOW + MOMENT.backoff(3)),
                Settle(MOMENT.backoff(3)),
                split=len(leads) > 1,
            ),
            chunk=replace(COUNTED, leads=leads, lags=2),
        )
        for told, leads in (("one", (A,)), ("two", (A, B)))
    ),
    *(
        read(
            f"after its last look, {told}",
            records({"id": A, "Converted__s": None}),
            Decision(
                Row.UNCLEAR,
                replace(chunk, state=State.DONE),
                Done(),
                outcomes={
                    A: Outcome(
                        Kind.FAILED,
                        Code.STATE_UNKNOWN,
                        f"Zoho does not say whether this lead is converted (Converted__s is empty); {words}:"
                        " look at it in Zoho",
                        chunk.job_id,
                        chunk.attempts,
                    )
                },
            ),
            chunk=chunk,
        )
        for told, chunk, words in (
            ("sent", replace(COUNTED, leads=(A,), lags=10), "it was sent, so it may be converted"),
            ("never sent", replace(UNSENT, leads=(A,), lags=10), "no payload with it was accepted"),
        )
    ),
    # The job's count is more than the read shows: the read lags. No outcome is written from it.
    read(
        "two of three",
        shown(A, B),
        look_again(Row.READ_LAGS, CLAIMED, {}, max(TUNING.backoff_base, MOMENT.next_look(1))),
        chunk=CLAIMED,
    ),
    read(
        "a missing lead may be a lag too",
        records(converted(A), converted(B)),
        look_again(Row.READ_LAGS, CLAIMED, {}, max(TUNING.backoff_base, MOMENT.next_look(1))),
        chunk=CLAIMED,
    ),
    read(
        "a refusal that nothing explains, for the first time",
        shown(),
        look_again(Row.READ_LAGS, REFUSED, {}, TUNING.read_lag),
        chunk=REFUSED,
    ),
    # A job whose id was lost has begun: the others are not sent while it may go on.
    read(
        "one is converted, three are not yet",
        shown(A),
        look_again(
            Row.STILL_CONVERTING,
            LOST,
            {A: OURS_BY_A_LOST_JOB},
            max(TUNING.backoff_base, MOMENT.next_look(1)),
        ),
        chunk=LOST,
    ),
    # Unconverted for sure: once more.
    read(
        "after a job with other counts, which sorted them out",
        shown(A, B),
        out_again(Row.UNCONVERTED_AGAIN, replace(COUNTED, failing=Failing(sorted_out=True)), {A: OURS, B: OURS}),
    ),
    read(
        "after a failed job",
        shown(),
        out_again(Row.UNCONVERTED_AGAIN, replace(COUNTED, why=Why.JOB_FAILED), {}),
        chunk=replace(COUNTED, why=Why.JOB_FAILED),
    ),
    read(
        "after a job that Zoho has forgotten",
        shown(A),
        out_again(Row.UNCONVERTED_AGAIN, replace(COUNTED, why=Why.JOB_UNKNOWN), {A: OURS}),
        chunk=replace(COUNTED, why=Why.JOB_UNKNOWN),
    ),
    read("after a lost answer", shown(), out_again(Row.UNCONVERTED_AGAIN, LOST, {}), chunk=LOST),
    read(
        "a lost answer does not count as an attempt",
        shown(),
        out_again(Row.UNCONVERTED_AGAIN, replace(LOST, attempts=9), {}),
        chunk=replace(LOST, attempts=9),
    ),
    read(
        "a lost job has been given all its looks",
        shown(A),
        out_again(Row.UNCONVERTED_AGAIN, replace(LOST, lags=TUNING.read_lags), {A: OURS_BY_A_LOST_JOB}),
        chunk=replace(LOST, lags=TUNING.read_lags),
    ),
    # The read explains a refusal: the good leads go out again in one payload.
    read(
        "one is deleted, one was converted before",
        records(converted(A), unconverted(B), unconverted(D)),
        out_again(Row.BAD_LEADS_OUT, NEVER_TAKEN, {A: THEIRS, C: GONE}),
        chunk=NEVER_TAKEN,
    ),
    # It explains nothing, twice: Zoho's word about the leads that it named is all there is.
    read("the named lead fails", shown(), out_again(Row.NAMED_OUT, REFUSED_ONCE, {C: INVALID}), chunk=REFUSED_ONCE),
    read(
        "all of them were named",
        shown(),
        Decision(
            Row.NAMED_OUT,
            replace(REFUSED_ONCE, named=LEADS, state=State.DONE),
            Done(),
            outcomes=dict.fromkeys(LEADS, INVALID),
        ),
        chunk=replace(REFUSED_ONCE, named=LEADS),
    ),
    read(
        "a single lead need not be named",
        shown(leads=(A,)),
        Decision(Row.NAMED_OUT, replace(ALONE, state=State.DONE), Done(), outcomes={A: INVALID}),
        chunk=ALONE,
    ),
    # It explains nothing, and nothing was named: halves.
    read("the two halves go out", shown(), out_again(Row.HALVED, UNNAMED, {}, split=True), chunk=UNNAMED),
    # Refused, and nothing named: one look, then halves; a lead alone is looked at twice, and fails with Zoho's words.
    read(
        "several leads: halved after one look, since nobody fails by it",
        shown(),
        out_again(Row.HALVED, PUZZLING, {}, split=True),
        chunk=PUZZLING,
    ),
    read(
        "the read explains what Zoho did not name",
        records(unconverted(A), unconverted(B), unconverted(D)),
        out_again(Row.BAD_LEADS_OUT, PUZZLING, {C: GONE}),
        chunk=PUZZLING,
    ),
    read(
        "a lead alone is looked at twice",
        shown(leads=(A,)),
        look_again(Row.READ_LAGS, replace(PUZZLING, leads=(A,)), {}, TUNING.read_lag),
        chunk=replace(PUZZLING, leads=(A,)),
    ),
    *(
        read(
            f"a lead alone fails, {told}",
            shown(leads=(A,)),
            Decision(
                Row.NAMED_OUT,
                replace(chunk, state=State.DONE),
                Done(),
                outcomes={A: Outcome(Kind.FAILED, "NEW_CODE", "no reason", attempts=1)},
                blames_options=blamed,
            ),
            chunk=chunk,
        )
        for told, chunk, blamed in (
            ("and speaks against options that were never accepted", PUZZLING_ALONE, PUZZLING.said),
            ("and not against those that were", replace(PUZZLING_ALONE, options_accepted=True), None),
        )
    ),
    # A payload that fails as a whole though others come through: one of its leads is to blame.
    *(
        read(
            f"{told}: halved",
            shown(),
            out_again(
                Row.FAILS_HALVED,
                replace(chunk, outages=0, outage_since=0.0, failing=halved),
                {},
                split=True,
            ),
            chunk=chunk,
        )
        for told, chunk, halved in (
            ("its POSTs", FAILS_ITSELF, Failing(lost_since=NOW, own=True, root="7")),
            ("its jobs", SPOILED, Failing(jobs=1, jobs_since=NOW, own=True, root="7")),
            (
                "a part of it, at once",
                replace(
                    FAILS_ITSELF,
                    failing=Failing(lost=1, lost_since=NOW - 90, own=True, root="3"),
                    fared=Fared(answered=NOW - 60),
                ),
                Failing(lost_since=NOW, own=True, root="3"),
            ),
        )
    ),
    # With nobody to compare with, it is halved on trial when it has failed a few times.
    *(
        read(
            f"{told}: halved on trial",
            shown(),
            replace(
                out_again(Row.FAILS_HALVED, replace(chunk, failing=halved), {}, split=True),
                on_trial=True,
            ),
            chunk=chunk,
        )
        for told, chunk, halved in (
            (
                "three POSTs in a row",
                replace(LOST, failing=Failing(lost=3, lost_since=NOW - 300)),
                Failing(lost_since=NOW, root="7"),
            ),
            (
                "two jobs in a row",
                replace(SPOILED, failing=Failing(jobs=2, jobs_since=NOW - 300)),
                Failing(jobs=1, jobs_since=NOW, root="7"),
            ),
        )
    ),
    *(
        read(
            f"{told}: together again",
            shown(),
            out_again(Row.UNCONVERTED_AGAIN, chunk, {}),
            chunk=chunk,
        )
        for told, chunk in (
            ("two POSTs, and nobody fares better", replace(LOST, failing=Failing(lost=2, lost_since=NOW - 300))),
            (
                "others came through only after its last failure",
                replace(LOST, failing=Failing(lost=2, lost_since=NOW - 300), fared=Fared(answered=NOW - 1)),
            ),
            (
                "another was split just now",
                replace(LOST, failing=Failing(lost=3, lost_since=NOW - 300), fared=Fared(trial_at=NOW + 1)),
            ),
            (
                "another is on trial",
                replace(SPOILED, failing=Failing(jobs=2, jobs_since=NOW - 300), fared=Fared(trial="5")),
            ),
        )
    ),
    # A lead alone, without an answer for the third time though others have one, ends with what Zoho said.
    read(
        "with Zoho's words",
        shown(leads=(A,)),
        Decision(
            Row.FAILS_ALONE,
            replace(CHOKES, state=State.DONE),
            Done(),
            rest=Outcome(
                Kind.FAILED,
                "INTERNAL_ERROR",
                "HTTP 500: Internal Server Error"
                " (so for 3 payloads with this lead alone, and Zoho shows it unconverted)",
            ),
        ),
        chunk=CHOKES,
    ),
    read(
        "a lead alone for the second time goes out again",
        shown(leads=(A,)),
        out_again(
            Row.UNCONVERTED_AGAIN, replace(CHOKES, failing=Failing(lost=2, lost_since=NOW - 300, blamed=True)), {}
        ),
        chunk=replace(CHOKES, failing=Failing(lost=2, lost_since=NOW - 300, blamed=True)),
    ),
    # A job that Zoho does not know may run on: nobody fails before its deadline.
    *(
        read(
            f"{told}: watched on",
            shown(),
            Decision(
                Row.UNKNOWN_WATCHED,
                replace(chunk, why=Why.WATCHED, due_at=NOW + TUNING.overdue_pace),
                Settle(TUNING.overdue_pace),
            ),
            chunk=chunk,
        )
        for told, chunk in (
            ("the third job is unknown", UNKNOWN),
            ("and is watched already", replace(UNKNOWN, why=Why.WATCHED)),
            ("an earlier one is, and the third has ended", replace(UNKNOWN, why=Why.COUNTS_DIFFER)),
        )
    ),
    read(
        "an unknown job past its deadline: no job can convert them",
        shown(),
        Decision(
            Row.OUT_OF_ATTEMPTS,
            replace(UNKNOWN_FOR_LONG, state=State.DONE),
            Done(),
            rest=Outcome(Kind.FAILED, Code.NOT_CONVERTED, f"job {JOB} is unknown to Zoho: no", JOB, attempts=3),
        ),
        chunk=UNKNOWN_FOR_LONG,
    ),
    # Three jobs have ended without them.
    read(
        "with the words of the last job",
        shown(A, B),
        Decision(
            Row.OUT_OF_ATTEMPTS,
            replace(LAST_TRY, state=State.DONE),
            Done(),
            outcomes=dict.fromkeys((A, B), replace(OURS, attempts=3)),
            rest=Outcome(
                Kind.FAILED,
                Code.NOT_CONVERTED,
                f"job {JOB} completed with 2 of 4 converted, 2 failed",
                JOB,
                attempts=3,
            ),
        ),
        chunk=LAST_TRY,
    ),
    # No usable answer to a POST for a whole day, and Zoho shows the leads unconverted.
    read(
        "with the last words of Zoho",
        records(unconverted(A), unconverted(B), unconverted(C)),
        Decision(
            Row.READ_GIVE_UP,
            replace(LOST_FOR_A_DAY, state=State.DONE),
            Done(),
            outcomes={D: hidden("HTTP 500: Internal Server Error", job_id="", attempts=0)},
            rest=Outcome(
                Kind.FAILED,
                Code.GAVE_UP,
                "no usable answer for 24 h, and Zoho shows the lead unconverted"
                " (last: INTERNAL_ERROR HTTP 500: Internal Server Error)",
            ),
        ),
        chunk=LOST_FOR_A_DAY,
    ),
    # The job has no end: it is watched on, at a slow pace; who has ended, has ended.
    read(
        "one is converted already",
        shown(B),
        Decision(
            Row.OVERDUE_WATCHED,
            replace(LATE, state=State.RUNNING, due_at=NOW + TUNING.overdue_pace),
            Again(TUNING.overdue_pace),
            outcomes={B: OURS},
        ),
        chunk=LATE,
    ),
    # A person must act.
    read(
        "the user may not see leads",
        zoho.NO_PERMISSION,
        paused(
            "NO_PERMISSION",
            "Zoho answered 403 NO_PERMISSION: permission denied to convert leads (Crm_Implied_Convert_Leads)",
            MAY_NOT_CONVERT,
        ),
    ),
    read(
        "the token may not read leads",
        zoho.SCOPE_403,
        paused(
            "OAUTH_SCOPE_MISMATCH",
            "Zoho answered 403 OAUTH_SCOPE_MISMATCH: invalid oauth scope to access this URL",
            HINTS["OAUTH_SCOPE_MISMATCH"],
        ),
    ),
    # More ids than Zoho takes, or one that is none: halves, and a lower limit where it is one.
    *(
        read(
            f"the ids are refused: {said.body['code']} {dict(said.body['details'])}",
            said,
            Decision(
                Row.READ_TOO_MANY,
                replace(COUNTED, claimed_converted=max(-1, COUNTED.claimed_converted - 2), due_at=NOW),
                Settle(0.0),
                split=True,
                max_read=most,
            ),
        )
        for said, most in ((zoho.IDS_TOO_LONG, 2), (zoho.TOO_MANY_IDS_V7, 2), (zoho.IDS_WRONG, None))
    ),
    read(
        "a single id is refused",
        zoho.IDS_WRONG,
        Decision(
            Row.READ_TOO_MANY,
            replace(COUNTED, leads=(A,), state=State.DONE),
            Done(),
            outcomes={A: hidden("the ids given seem to be invalid")},
        ),
        chunk=replace(COUNTED, leads=(A,)),
    ),
    read(
        "a single id is refused that was never accepted",
        zoho.IDS_WRONG,
        Decision(
            Row.READ_TOO_MANY,
            replace(NEVER_TAKEN, leads=(A,), state=State.DONE),
            Done(),
            outcomes={A: Outcome(Kind.FAILED, "INVALID_DATA", "the ids given seem to be invalid (ids)", attempts=1)},
        ),
        chunk=replace(NEVER_TAKEN, leads=(A,)),
    ),
    read(
        "a single id is too long",
        zoho.IDS_TOO_LONG,
        replace(
            paused("INVALID_DATA", "Zoho answered 400 INVALID_DATA: the ids given are too long", HINTS[""]),
            chunk=replace(COUNTED, leads=(A,), due_at=NOW),
        ),
        chunk=replace(COUNTED, leads=(A,)),
    ),
    read(
        "the call itself is refused",
        zoho.BAD_DATA,
        paused("INVALID_DATA", "Zoho answered 400 INVALID_DATA: invalid data", HINTS[""]),
    ),
    read(
        "the credentials are refused",
        NotSent(Unsent.CREDENTIALS, "the accounts server says invalid_code", "invalid_code"),
        paused("invalid_code", "the accounts server says invalid_code", CREDENTIALS_HINT),
    ),
    # Nothing that can be believed: the same question again.
    read("an internal error", zoho.INTERNAL_ERROR, retry(MOMENT.backoff(1))),
    read("a page of the records", Said(200, {"data": [], "info": {"more_records": True}}), retry(MOMENT.backoff(1))),
    read("no lead says whether it is converted", records({"id": A}, {"id": B}), retry(MOMENT.backoff(1))),
    read("the access token has expired", zoho.AUTHENTICATION_FAILURE, retry(MOMENT.backoff(1))),
    read("no connection", NotSent(Unsent.CONNECT, "connection refused"), retry(MOMENT.backoff(1))),
    read("the connection dropped", PerhapsAccepted("the connection broke"), retry(MOMENT.backoff(1))),
    # Over a limit.
    read(
        "comes after the gate, which the governor closes for all",
        zoho.THROTTLED,
        Decision(
            Row.READ_THROTTLED,
            replace(COUNTED, outages=1, due_at=NOW + MOMENT.backoff(2) * 1.25),
            Again(MOMENT.backoff(2) * 1.25),
        ),
    ),
    # As many calls run as may.
    Case(
        "comes back as the governor said",
        COUNTED,
        None,
        lambda: no_permit(COUNTED, Busy(1.0, "full"), MOMENT),
        Decision(Row.READ_NO_PERMIT, replace(COUNTED, due_at=NOW + 1.1), Again(1.1)),
    ),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_each_read_has_its_decision(case: Case) -> None:
    assert case.decide() == case.decision


@pytest.mark.parametrize(
    ("at", "kind"),
    [
        ("2027-01-15T07:53:21+00:00", Kind.CONVERTED),  # Zoho's clock may be 300 s behind ours
        ("2027-01-15T07:53:19+00:00", Kind.SKIPPED),  # and not 301
        ("2027-01-15T13:23:19+05:30", Kind.SKIPPED),  # the same moment in India
        (None, Kind.CONVERTED),  # no time is no proof that somebody else did it
    ],
)
def test_a_conversion_is_somebody_elses_only_when_no_clock_can_excuse_it(at: str, kind: Kind) -> None:
    """The chunk was made at 07:58:20."""
    decision = after_read(replace(COUNTED, leads=(A,)), to_read(records(converted(A, at))), MOMENT)
    assert decision.outcomes[A].kind is kind


@pytest.mark.parametrize("bad", [1, 7, 25, 49])
def test_a_payload_with_any_number_of_bad_leads_costs_three_further_calls_at_most(bad: int) -> None:
    """One read, and one payload of the good ones."""
    leads = tuple(str(3652397000009850001 + number * 1000) for number in range(50))
    chunk = replace(REFUSED, state=State.SENDING, leads=leads, attempts=0, submitted=False, why=Why.NONE)
    refused = after_post(chunk, to_post(zoho.BAD_ID), MOMENT)
    assert refused.next == Settle(0.0)  # call 1: the read, at once
    good = records(*(unconverted(lead) for lead in leads[bad:]))
    decision = after_read(refused.chunk, to_read(good), MOMENT)
    assert decision.next == Resend(0.0)  # call 2: the good leads, at once and together
    assert set(decision.outcomes) == set(leads[:bad])
    assert {outcome.code for outcome in decision.outcomes.values()} == {Code.NOT_FOUND}
    assert not decision.split


def test_a_pause_is_no_outage() -> None:
    """One lost answer, and the look at it after a weekend's pause: nobody gives up."""
    paused = replace(LOST, outage_since=NOW - 2 * DAY, due_at=NOW - 2 * DAY + 60)
    decision = after_read(paused, to_read(shown()), MOMENT)
    assert decision.row is Row.UNCONVERTED_AGAIN
    assert NOW - decision.chunk.outage_since == pytest.approx(60.0)


def test_what_zoho_said_of_a_lead_is_said_of_no_other() -> None:
    """The named lead fails; its neighbours go on without a mark."""
    decision = after_read(
        replace(REFUSED_ONCE, said=Refusal("INVALID_DATA", "locked", "$.ids[2]")), to_read(shown()), MOMENT
    )
    assert decision.outcomes == {C: Outcome(Kind.FAILED, "INVALID_DATA", "locked ($.ids[2])", attempts=1)}
    assert decision.chunk.named == ()


@pytest.mark.parametrize("code", ["ID_ALREADY_CONVERTED", "CONVERTED_RECORD"])
def test_a_lead_that_zoho_says_is_converted_is_no_failure_though_no_read_shows_it(code: str) -> None:
    said = replace(REFUSED_ONCE, named=(B,), said=Refusal(code, "id already converted"))
    skipped = after_read(said, to_read(shown()), MOMENT)
    assert skipped.row is Row.NAMED_OUT
    assert skipped.outcomes == {
        B: Outcome(Kind.SKIPPED, Code.ALREADY_CONVERTED, "id already converted", attempts=said.attempts)
    }
    ours = after_read(replace(said, submitted=True), to_read(shown()), MOMENT)
    assert ours.outcomes[B].kind is Kind.CONVERTED


@pytest.mark.parametrize("why", [Why.UNEXPLAINED, Why.BAD_LEADS])
def test_a_payload_that_was_refused_without_a_name_blames_no_lead_that_is_read_apart_from_it(why: Why) -> None:
    """Each part goes out again, and only what is refused alone is to blame."""
    refused = replace(REFUSED, leads=(A, B), why=why, named=(), said=Refusal("NOBODY_KNOWS", "no reason"), lags=1)
    apart = after_read(refused, to_read(records(unconverted(A), {"id": B, "Converted__s": None})), MOMENT)
    assert apart.row is Row.UNCLEAR_APART
    (aside,) = apart.asides
    for part in (replace(apart.chunk, leads=(A,)), aside):
        (lead,) = part.leads
        later = after_read(replace(part, attempts=9), to_read(records(unconverted(lead))), MOMENT)
        assert (later.row, later.chunk.state) == (Row.BAD_LEADS_OUT, State.WAITING)
    alone = after_read(replace(refused, leads=(A,)), to_read(records(unconverted(A))), MOMENT)
    assert alone.row is Row.NAMED_OUT
