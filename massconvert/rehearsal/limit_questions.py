"""Questions 14 to 17: credits, calls at once, ids a read, and for how long a job can be asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from massconvert.model import Call
from massconvert.policy.cost import POST_CREDITS, READ_CREDITS, STATUS_CREDITS
from massconvert.rehearsal.cast import GONE, QUOTED
from massconvert.rehearsal.question import NOT_SEEN, Point, Question, Seen, any_of, anything
from massconvert.rehearsal.stage import JobSeen, Stage
from massconvert.rehearsal.wire import CONTACTS, LEADS, MASS_CONVERT, Answer
from massconvert.zoho.edition import MAX_POSTS
from massconvert.zoho.values import id_of, word_of

#: Ids of leads that are asked for at once: what a read of massconvert has, and what 1,024 characters hold.
_MANY, _FEWER = 100, 50
_IN_VALUES = 51
#: How many calls more than the limit --beyond-limit makes at once.
_BEYOND = 5
#: In how many seconds calls are made again after one was refused for a limit.
_AGAIN = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0)

#: Which calls are priced, under which name, and how each is known in the journal.
_PRICED = {
    "cost_mass_convert": f"POST {MASS_CONVERT}",
    "cost_status": f"GET {MASS_CONVERT}",
    "cost_read": f"GET {LEADS}",
    "cost_query": "POST coql",
}
_CONVERTS = "/actions/convert"
_FOR_COST = ("P1", "P2")
_PARALLEL = ("9", "15")


# --- 14 ---------------------------------------------------------------------------------------------------


def _costs(stage: Stage) -> Seen:
    job = stage.notes.get("job")
    for _ in range(3):
        if isinstance(job, JobSeen):
            stage.status(job.id)
    leads = [record for name, record in stage.cast.ids.items() if name not in ("X", "Y")][:10]
    for _ in range(2):
        if leads:
            stage.read(leads)
    spent = list(_spent(stage.wire.made))
    if not spent:
        why = "Zoho tells the credits from half of the day's use on; --ask-credits asks you for them"
        return dict.fromkeys((*_PRICED, "cost_convert"), f"{NOT_SEEN}: {why}") | _as_typed(stage, leads)
    seen: Seen = {}
    for name in (*_PRICED, "cost_convert"):
        found = sorted(cost for call, cost in spent if _is(call, name))
        seen[name] = found[len(found) // 2] if found else f"{NOT_SEEN}: no such call was made by itself"
    return seen


def _as_typed(stage: Stage, leads: Sequence[str]) -> Seen:
    """What calls cost by the figure that a person reads in the CRM's Setup, after some calls of each kind."""
    job = stage.notes.get("job")
    seen: Seen = {}
    name, once = stage.cast.named("Y"), [stage.cast.ids[one] for one in _FOR_COST if stage.cast.ids.get(one)]
    blocks: list[tuple[str, str, list[Callable[[], object]]]] = [
        ("cost_read", "reads", [lambda: stage.read(leads)] * 5),
        ("cost_query", "queries", [lambda: stage.count(CONTACTS, "Last_Name", name)] * 5),
        ("cost_mass_convert", "mass converts", [partial(stage.convert, [lead]) for lead in once]),
    ]
    if isinstance(job, JobSeen):
        blocks.insert(0, ("cost_status", "status calls", [lambda: stage.status(job.id)] * 10))
    before = stage.figure("before the calls that are counted")
    for point, words, calls in blocks:
        if before is None or not calls:
            break
        for call in calls:
            call()
        after = stage.figure(f"after {len(calls)} {words}")
        if after is not None and after >= before:
            seen[point] = round((after - before) / len(calls), 2)
        before = after
    return seen


def _is(call: str, name: str) -> bool:
    return call.endswith(_CONVERTS) and call.startswith("POST") if name == "cost_convert" else call == _PRICED[name]


def _spent(made: Sequence[tuple[str, str, Answer]]) -> Iterator[tuple[str, int]]:
    """What each call cost, by what two answers in a row say is left of the day's; others may have spent some, too."""
    before: int | None = None
    for question, call, answer in made:
        left = answer.credits_left
        if left is not None and before is not None and question not in _PARALLEL and before >= left:
            yield call, before - left
        before = left


# --- 15 ---------------------------------------------------------------------------------------------------


def _at_once(stage: Stage) -> Seen:
    job = stage.notes.get("job")
    if not isinstance(job, JobSeen):
        return {point.name: f"{NOT_SEEN}: there is no job to ask for" for point in _AT_ONCE}
    limit, heavy = stage.calls_at_once, min(stage.calls_at_once, MAX_POSTS)
    plain = stage.together(*[lambda: stage.status(job.id)] * limit)
    where = f"Last_Name = '{stage.cast.named('Y')}'"
    queries = stage.together(*[lambda: stage.select("id", CONTACTS, where)] * heavy)
    seen: Seen = {
        "calls_at_once": _told(plain),
        "queries_at_once": _told(queries),
        "calls_beyond_limit": f"{NOT_SEEN}: it is asked with --beyond-limit",
    }
    refused = [answer for answer in (*plain, *queries) if answer.status == 429]
    if stage.beyond_limit:
        more = stage.together(*[lambda: _unasked(stage, job.id)] * (limit + _BEYOND))
        seen["calls_beyond_limit"] = _told(more)
        refused += [answer for answer in more if answer.status == 429]
    if refused:
        first = refused[0]
        seen["throttled_code"] = first.code
        seen["throttled_retry_after"] = first.headers.get("retry-after", "none")
        seen["throttled_for"] = _again(stage, job.id)
    return seen


def _unasked(stage: Stage, job_id: str) -> Answer:
    """A call that asks nobody for leave: to learn what Zoho says of too many."""
    return stage.wire.call(stage.question, Call.STATUS, "GET", MASS_CONVERT, {"job_id": job_id}, permitted=False)


def _told(answers: Sequence[Answer]) -> str:
    refused = sum(answer.status == 429 for answer in answers)
    return f"all {len(answers)} pass" if not refused else f"{refused} of {len(answers)} are refused"


def _again(stage: Stage, job_id: str) -> Any:
    began = stage.wire.now()
    for wait in _AGAIN:
        stage.wire.wait(wait)
        if stage.status(job_id).status != 429:
            return round(stage.wire.now() - began, 1)
    return f"{NOT_SEEN}: more than {sum(_AGAIN):.0f} s"


# --- 16 ---------------------------------------------------------------------------------------------------


def _reads(stage: Stage) -> Seen:
    good = [record for name, record in stage.cast.ids.items() if name not in (*GONE, "X", "Y")]
    seen: Seen = {"ids_a_read": _most_ids(stage, good)}
    if "ids_limit" in stage.notes:
        seen["ids_a_read_limit"] = stage.notes["ids_limit"]
    name, contact = stage.cast.named("Y"), stage.cast.ids.get("Y", "")
    seen["query_other_case"] = _rows(_select(stage, CONTACTS, f"'{name.upper()}'"), contact)
    seen["query_outer_space"] = _rows(_select(stage, CONTACTS, f"' {name} '"), contact)
    quoted, lead = stage.cast.named(QUOTED), stage.cast.ids.get(QUOTED, "")
    for point, mark in (("query_quote_backslash", "\\'"), ("query_quote_doubled", "''")):
        text = quoted.replace("'", mark)
        seen[point] = _rows(_select(stage, LEADS, f"'{text}'"), lead)
    values = ",".join(f"'{name}-{number}'" for number in range(_IN_VALUES))
    answer = _select(stage, CONTACTS, values)
    seen["query_51_values"] = f"refused: {answer.code}" if answer.refused else "taken"
    answer = stage.select("id, Account_Name", CONTACTS, f"Last_Name = '{name}'")
    lookup = next((row.get("Account_Name") for row in answer.items if id_of(row.get("id"))), None)
    named = isinstance(lookup, dict) and bool(lookup.get("name"))
    seen["query_lookup"] = f"{NOT_SEEN}: {answer.in_words}" if not lookup else "id and name" if named else "id"
    return seen


def _select(stage: Stage, module: str, values: str) -> Answer:
    return stage.select("id, Last_Name", module, f"Last_Name in ({values})")


def _most_ids(stage: Stage, good: Sequence[str]) -> Any:
    """The most ids that a read took of those that were tried."""
    padding = [str(3 * 10**18 + number) for number in range(_MANY)]  # as long as Zoho's own
    refused = ""
    for number in (_MANY, _FEWER + 1, _FEWER):
        ids = [*good, *padding][:number]
        answer = stage.call(Call.READ, "GET", LEADS, {"ids": ",".join(ids), "fields": "id", "converted": "both"})
        found = {id_of(row.get("id")) for row in answer.items} - {""}
        if not answer.refused and not answer.lost and found:
            return number
        refused = refused or answer.code or answer.lost
        limit = answer.details.get("maximum_length")
        stage.notes.setdefault("ids_limit", f"{limit} characters" if limit else f"{answer.details.get('limit')} ids")
    return f"{NOT_SEEN}: refused, {refused}"


def _rows(answer: Answer, wanted: str) -> str:
    if answer.refused or answer.lost:
        return f"refused: {answer.code or answer.lost}"
    return "finds it" if wanted and wanted in {id_of(row.get("id")) for row in answer.items} else "finds nothing"


# --- 17 ---------------------------------------------------------------------------------------------------


def look_later(stage: Stage, job_id: str, accepted_at: float) -> Seen:
    """Ask for a job of long ago."""
    answer = stage.status(job_id)
    age = round(stage.wire.now() - accepted_at)
    words = {word_of(name) for item in answer.items[:1] for name in item}
    if "status" in words and not answer.refused:
        return {"status_lives": age}
    return {"status_gone_after": age, "status_gone_code": answer.code or answer.lost}


def _later(stage: Stage) -> Seen:
    job = stage.notes.get("job")
    if not isinstance(job, JobSeen):
        return {"status_lives": f"{NOT_SEEN}: there is no job to ask for"}
    return look_later(stage, job.id, job.accepted_at)


# --- the points -------------------------------------------------------------------------------------------

_COST = {
    "cost_mass_convert": ("credits of a mass convert call", POST_CREDITS),
    "cost_status": ("credits of a status call", STATUS_CREDITS),
    "cost_read": ("credits of a read", READ_CREDITS),
    "cost_query": ("credits of a query", 1),
    "cost_convert": ("credits of one lead's conversion", 5),
}
_COSTS = tuple(
    Point(name, words, str(cost), any_of(cost), "Dry runs count with what was seen from now on.")
    for name, (words, cost) in _COST.items()
)
_AT_ONCE = (
    Point(
        "calls_at_once",
        "calls at once, as the edition allows",
        "all pass",
        lambda value, _version: str(value).startswith("all"),
        "Fewer calls may run at once than the edition says; massconvert finds the number by itself.",
        "ZOHO_CONCURRENCY",
    ),
    Point(
        "queries_at_once",
        "queries at once",
        "all pass",
        lambda value, _version: str(value).startswith("all"),
        "As above, for heavy calls: massconvert makes at most ten at once.",
        "ZOHO_CONCURRENCY",
    ),
    Point("calls_beyond_limit", "five calls more than that", "some are refused", anything, ""),
    Point(
        "throttled_code",
        "code of a call too many",
        "TOO_MANY_REQUESTS",
        any_of("TOO_MANY_REQUESTS"),
        "Nothing: status 429 is what counts.",
    ),
    Point("throttled_retry_after", "its Retry-After"),
    Point("throttled_for", "seconds until calls pass again"),
)
_READS = (
    Point(
        "ids_a_read",
        "ids that a read takes",
        str(_MANY),
        lambda value, _version: value >= _MANY,
        "massconvert halves what is refused; from now on its reads have no more ids than this.",
    ),
    Point("ids_a_read_limit", "the limit that is named"),
    Point("query_other_case", "a query in capital letters"),
    Point("query_outer_space", "a query with blanks around"),
    Point("query_quote_backslash", "a quote written \\'"),
    Point("query_quote_doubled", "a quote written ''"),
    Point("query_lookup", "a lookup in a query's answer has"),
    Point("query_51_values", "51 values in a query", "refused", anything, ""),
)
_LATER = (
    Point("status_lives", "seconds for which a job is known"),
    Point(
        "status_gone_after",
        "seconds after which it is unknown",
        "an hour and more",
        lambda value, _version: value > 3600,
        "A job that ends late is not told any more: massconvert reads its leads instead.",
    ),
    Point("status_gone_code", "its code then", "INVALID_DATA", anything, ""),
)

LIMIT_QUESTIONS = (
    Question(15, "How many calls at once?", _AT_ONCE, _at_once, (), (3, 4), {Call.STATUS: 20, Call.QUERY: 10}),
    Question(
        16,
        "How many ids, and how do queries compare?",
        _READS,
        _reads,
        ("X", "Y", QUOTED),
        (),
        {Call.READ: 2, Call.QUERY: 6},
    ),
    Question(14, "What does each call cost?", _COSTS, _costs, _FOR_COST, (3, 4), {Call.STATUS: 3, Call.READ: 2}),
    Question(17, "For how long is a job known?", _LATER, _later, (), (3, 4), {Call.STATUS: 1}),
)
