"""Questions 3, 4, 5, 10, 11: how a payload is taken, what its job does, and what wrong options come to."""

from __future__ import annotations

from typing import Any

from massconvert.model import Call
from massconvert.policy import Tuning
from massconvert.rehearsal.cast import FIFTY
from massconvert.rehearsal.question import NOT_SEEN, Point, Question, Seen, any_of, at_most, none_seen
from massconvert.rehearsal.stage import READ_ON, JobSeen, Stage
from massconvert.rehearsal.wire import CONTACTS, MASS_CONVERT, Answer, looked_up
from massconvert.zoho.answers import moment_of
from massconvert.zoho.values import id_of, word_of

TEN = tuple(f"A{number}" for number in range(1, 11))
_KNOWN_WORDS = {"scheduled", "inprogress", "completed", "failed"}
#: An id that no record has.
NOBODY = "999999999999999999"
_TUNING = Tuning()


def _code_of(version: int) -> str:
    """The code of an accepted payload, as the version has it (Zoho's SDKs, one a version)."""
    return "SCHEDULED" if version >= 7 else "SUCCESS"


def _too_many_of(version: int) -> str:
    return "LIMIT_EXCEEDED" if version >= 7 else "RECORD_LIMIT_EXCEEDED"


# --- 3, 4, 5: a good payload ------------------------------------------------------------------------------


def _accepted(stage: Stage) -> Seen:
    ids = stage.cast.all_of(*TEN)
    answer = stage.convert(ids, Deals=stage.options.get("Deals"))
    stage.notes["accepted"] = answer
    if answer.refused or not answer.job_id:
        return {"accepted_status": answer.status, "accepted_code": answer.code or answer.lost}
    return {"accepted_status": answer.status, "accepted_code": answer.code}


def _followed(stage: Stage) -> Seen:
    answer: Answer = stage.notes["accepted"]
    job = stage.follow(answer, stage.cast.all_of(*TEN), reads=True)
    if job is None:
        return none_seen(_JOB, f"the payload was not taken: {answer.in_words}")
    stage.notes["job"] = job
    stage.wire.journal.note(job=job.id, accepted_at=job.accepted_at)
    seconds = {str(len(job.leads)): job.seconds}
    if stage.fifty:
        _, large = stage.sent(stage.cast.all_of(*FIFTY))
        seconds["50"] = large.seconds if large else None
    told = job.counts
    adds_up = sum(told.get(name, 0) for name in ("converted", "not", "failed")) == told.get("total", -1)
    return {
        "job_known_after": _rounded(job.known_after),
        "job_words": job.words,
        "job_counts_add_up": adds_up if told else f"{NOT_SEEN}: no counts came",
        "job_seconds": {size: _rounded(each) for size, each in seconds.items() if each is not None}
        or f"{NOT_SEEN}: the job did not end in time",
    }


def _lag(stage: Stage) -> Seen:
    job: JobSeen | None = stage.notes.get("job")
    if job is None or job.seconds is None:
        return none_seen(_READS, "no job ended")
    expected = job.expected
    ahead = any(age < job.seconds and shown for age, shown in job.reads[:-1])
    partly = any(0 < shown < expected for _, shown in job.reads)
    for wait in READ_ON:
        if any(shown >= expected for _, shown in job.reads):
            break
        stage.wire.wait(wait)
        stage.count_converted(job)
    full = next((age for age, shown in job.reads if shown >= expected), None)
    rows = stage.read(job.leads)
    times = [at for row in rows.values() if (at := moment_of(row.get("Converted_Date_Time"))) is not None]
    if full is not None:
        stage.wire.journal.note(read_lag=round(1.5 * max(0.0, full - job.seconds), 1))
    skew = max((abs(at - (job.accepted_at + job.seconds)) for at in times), default=None)
    return {
        "read_lag": f"{NOT_SEEN}: reads did not show all in time"
        if full is None
        else _rounded(max(0.0, full - job.seconds)),
        "reads_ahead": ahead,
        "reads_in_part": partly,
        "clock_skew": f"{NOT_SEEN}: no time was shown" if skew is None else _rounded(skew),
    }


# --- 10, 11: wrong options, and none -----------------------------------------------------------------------


def _wrong_deals(stage: Stage) -> Seen:
    deal = stage.options.get("Deals")
    if not deal:
        return none_seen(_DEALS, stage.notes.get("no_deal", "no deal is known that would be right"))
    wrong = {
        "deal_without_stage": ("H1", {name: value for name, value in deal.items() if name != "Stage"}),
        "deal_with_unknown_stage": ("H2", {**deal, "Stage": stage.cast.named("no-such-stage")}),
        "deal_with_date_in_words": ("H3", {**deal, "Closing_Date": "next week"}),
    }
    seen: Seen = {}
    for name, (lead, what) in wrong.items():
        answer, job = stage.sent(stage.cast.all_of(lead), Deals=what)
        seen[name] = "refused at once" if answer.refused else end_of(job) if job else answer.in_words
        seen[f"{name}_code"] = answer.code if answer.refused else "SCHEDULED"
    return seen


def _without_owner(stage: Stage) -> Seen:
    lead = stage.cast.all_of("I1")
    answer = stage.call(Call.POST, "POST", MASS_CONVERT, body={"ids": lead})
    job = stage.follow(answer, lead)
    seen: Seen = {"no_assign_to": "taken" if job else f"refused: {answer.code or answer.lost}"}
    if job and job.ended:
        seen["owner_without_assign_to"] = _owner(stage, job)
    answer = stage.convert([str(int(NOBODY) - number) for number in range(51)])
    return seen | {
        "too_many_leads": answer.code or answer.lost,
        "most_leads": answer.details.get("limit", f"{NOT_SEEN}: it is not named"),
    }


def _owner(stage: Stage, job: JobSeen) -> str:
    """Whose the contact is that a lead became, which belonged to another user than the one who converts."""
    if not stage.cast.other_user:
        return f"{NOT_SEEN}: there is no other user, or this is no sandbox"
    contact = looked_up(stage.read_ended(job).get(job.leads[0], {}), "Converted_Contact")
    answer = stage.call(Call.READ, "GET", CONTACTS, {"ids": contact, "fields": "Owner"})
    owner = next((looked_up(row, "Owner") for row in answer.items if id_of(row.get("id")) == contact), "")
    if not owner:
        return f"{NOT_SEEN}: {answer.in_words}"
    return "the lead's owner" if owner == stage.cast.other_user else "the user who converts"


# --- words ------------------------------------------------------------------------------------------------


def end_of(job: JobSeen) -> str:
    """How a job of one lead ended."""
    if not job.ended:
        return "a job without an end"
    return "converted" if job.converted > 0 else "fails in the job"


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 1)


def _known_words(words: Any, _version: int) -> bool:
    return {word_of(word) for word in words} <= _KNOWN_WORDS


def _within_wait(seconds: Any, _version: int) -> bool:
    return max(map(float, seconds.values())) <= _TUNING.job_wait


_SLOWER = "Nothing is lost: massconvert reads the leads then, which takes more calls."
_ACCEPT = (
    Point(
        "accepted_status",
        "status of an accepted payload",
        "any from 200 to 299",
        lambda value, _version: 200 <= value < 300,
        "Such answers count as lost: each payload's leads are read before anything else is done.",
    ),
    Point(
        "accepted_code",
        "its code",
        "SCHEDULED from v7 on, before SUCCESS",
        lambda value, version: value == _code_of(version),
        "Nothing, if there is a job_id with it: massconvert goes by that.",
    ),
)
_JOB = (
    Point(
        "job_known_after",
        "seconds until the job is known",
        f"at most {_TUNING.status_lag:.0f}",
        at_most(_TUNING.status_lag),
        "Until then massconvert asks again; it waits as long as was seen from now on.",
    ),
    Point("job_words", "words for its state", "scheduled, in progress, completed, failed", _known_words, _SLOWER),
    Point("job_counts_add_up", "its counts add up"),
    Point(
        "job_seconds",
        "seconds of a job, by its leads",
        f"at most {_TUNING.job_wait:.0f}",
        _within_wait,
        "After a lost answer massconvert looks at the leads when a job would have ended: it waits longer from now on.",
        "MASSCONVERT_JOB_WAIT",
    ),
)
_READS = (
    Point(
        "read_lag",
        "seconds that reads lag behind",
        f"at most {_TUNING.read_lag:.0f}",
        at_most(_TUNING.read_lag),
        "A lead that is just converted is read as unconverted: massconvert waits longer before it believes that.",
    ),
    Point("reads_ahead", "reads show it before the job ends"),
    Point("reads_in_part", "reads show a part of a job"),
    Point(
        "clock_skew",
        "seconds that the clocks differ",
        f"at most {_TUNING.clock_skew:.0f}",
        at_most(_TUNING.clock_skew),
        "Leads that massconvert converts may be told as converted before. Set this machine's clock (NTP).",
    ),
)
_DEALS = tuple(
    Point(
        name,
        words,
        "refused at once",
        any_of("refused at once"),
        "A wrong deal shows only when a job has failed: send a few leads first (--canary).",
    )
    for name, words in (
        ("deal_without_stage", "a deal without its stage"),
        ("deal_with_unknown_stage", "a deal with a stage that is none"),
        ("deal_with_date_in_words", "a deal with a date in words"),
    )
)
_MUCH = (
    Point(
        "no_assign_to",
        "a payload without assign_to",
        "taken",
        any_of("taken"),
        "Each conversion must name an owner: put assign_to into the options.",
    ),
    Point("owner_without_assign_to", "whose the contact is then"),
    Point(
        "too_many_leads",
        "a payload of 51 ids",
        "LIMIT_EXCEEDED from v7 on, before RECORD_LIMIT_EXCEEDED",
        lambda value, version: value in (_too_many_of(version), "LIMIT_EXCEEDED", "RECORD_LIMIT_EXCEEDED"),
        "massconvert never sends more than 50; but a lower limit would be read as wrong leads.",
    ),
    Point(
        "most_leads",
        "the limit that is named",
        "50",
        lambda value, _version: int(value) >= 50,
        "massconvert halves what is refused as too many: each day its first payloads are refused once.",
    ),
)

JOB_QUESTIONS = (
    Question(3, "How is a payload taken?", _ACCEPT, _accepted, TEN, calls={Call.POST: 1}),
    Question(4, "What does its job do, and how long?", _JOB, _followed, TEN, (3,), {Call.STATUS: 6, Call.READ: 6}),
    Question(5, "Do reads lag behind the job?", _READS, _lag, TEN, (3, 4), {Call.READ: 3}),
    Question(
        10,
        "Is a wrong deal refused at once?",
        _DEALS,
        _wrong_deals,
        ("H1", "H2", "H3"),
        (),
        {Call.POST: 3, Call.STATUS: 3},
    ),
    Question(
        11,
        "Without an owner, and with too many?",
        _MUCH,
        _without_owner,
        ("I1",),
        (),
        {Call.POST: 2, Call.STATUS: 2, Call.READ: 1},
    ),
)
