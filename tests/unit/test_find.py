"""A run of a profile: what each answer means, what the ledger lets happen, and a whole run against a simulated CRM."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from random import Random
from types import SimpleNamespace
from typing import Any

import fakeredis
import pytest

from massconvert.ledger import Ledger
from massconvert.model import (
    Again,
    Busy,
    Call,
    Code,
    Done,
    FindAnswer,
    Language,
    LeadsFound,
    NotSent,
    PerhapsAccepted,
    Refused,
    Run,
    RunState,
    Unsent,
)
from massconvert.on_complete.targets import HookTarget, TaskTarget, load_targets
from massconvert.policy import (
    Moment,
    Permit,
    RunDecision,
    RunRow,
    Tuning,
    after_find,
    after_put,
    no_permit_to_find,
)
from massconvert.profiles import LeadCriteria, Limits, Profile
from massconvert.steps.call_back import call_back
from massconvert.steps.find import find
from massconvert.steps.ports import Ports
from massconvert.zoho.answers import parse_found
from tests.unit.simulated_crm import Crm

NOW = 1_800_000_000.0
MOMENT = Moment(NOW, 0.5, Tuning())
RUN = Run("nightly@1", "nightly", Language.COQL, "id is not null", began_at=NOW, due_at=NOW)
SEARCH = replace(RUN, form=Language.SEARCH, criteria="(Lead_Status:equals:Qualified)")

# --- the rows -------------------------------------------------------------------------------------------------

PAGE, LAST = LeadsFound(("5", "7"), more=True), LeadsFound(("5", "7"), more=False)
NONE = LeadsFound((), more=False)
ROWS: list[tuple[RunRow, Run, Any]] = [
    (RunRow.PAGE, RUN, PAGE),
    (RunRow.PAGE, SEARCH, PAGE),
    (RunRow.LAST_PAGE, RUN, LAST),
    (RunRow.LAST_PAGE, RUN, NONE),
    (RunRow.LAST_PAGE, RUN, LeadsFound((), more=True)),  # or it would ask for ever
    (RunRow.LAST_PAGE, replace(RUN, start="4", wrapped=True), LAST),
    (RunRow.WRAPPED, replace(RUN, start="4"), LAST),
    (RunRow.SEARCH_FULL, replace(SEARCH, page=9), PAGE),
    (RunRow.SEARCH_FULL, replace(SEARCH, max_leads=2), PAGE),
    (RunRow.REFUSED, RUN, Refused(400, "INVALID_QUERY", "no such column")),
    (RunRow.REFUSED, RUN, Refused(400, "SYNTAX_ERROR", "near x")),
    (RunRow.NOT_ALLOWED, RUN, Refused(401, "OAUTH_SCOPE_MISMATCH", "invalid oauth scope")),
    (RunRow.NOT_ALLOWED, RUN, Refused(403, "NO_PERMISSION", "permission denied")),
    (RunRow.RETRY, RUN, Refused(401, "INVALID_TOKEN", "invalid oauth token")),
    (RunRow.RETRY, RUN, PerhapsAccepted("HTTP 500", 500, "INTERNAL_ERROR")),
    (RunRow.RETRY, RUN, NotSent(Unsent.CONNECT, "connection refused")),
    (RunRow.RETRY, RUN, NotSent(Unsent.CREDENTIALS, "refused", "invalid_code")),
    (RunRow.GIVEN_UP, replace(RUN, outage_since=NOW - 90_000.0), PerhapsAccepted("HTTP 500", 500)),
    (RunRow.THROTTLED, RUN, Refused(429, "TOO_MANY_REQUESTS", "slow down")),
]


@pytest.mark.parametrize(("row", "run", "answer"), ROWS)
def test_an_answer_has_its_row_and_the_run_goes_on_until_what_it_found_is_in_its_batch(
    row: RunRow, run: Run, answer: FindAnswer
) -> None:
    decision = after_find(run, answer, MOMENT)
    assert decision.row is row
    assert decision.run.state is RunState.FINDING
    assert isinstance(decision.next, Again)


def test_every_row_has_a_test() -> None:
    """Those that are decided otherwise stand below."""
    others = {RunRow.PUT, RunRow.ENOUGH, RunRow.ENDED, RunRow.NO_PERMIT}
    assert {row for row, _, _ in ROWS} | others == set(RunRow)


@pytest.mark.parametrize(
    ("run", "taken", "row", "state", "next_start"),
    [
        (RUN, 2, RunRow.PUT, RunState.FINDING, None),
        (replace(RUN, ending=RunState.DONE), 2, RunRow.ENDED, RunState.DONE, ""),
        (replace(RUN, ending=RunState.FAILED), 2, RunRow.ENDED, RunState.FAILED, None),
        (replace(RUN, max_leads=2, after="7"), 2, RunRow.ENOUGH, RunState.DONE, "7"),
        (replace(RUN, max_leads=2, after="7"), 1, RunRow.PUT, RunState.FINDING, None),
        (replace(RUN, max_leads=2, after="7", ending=RunState.DONE), 2, RunRow.ENDED, RunState.DONE, ""),
    ],
)
def test_what_is_in_the_batch_decides_whether_a_run_goes_on(
    run: Run, taken: int, row: RunRow, state: RunState, next_start: str | None
) -> None:
    """A bounded run leaves where it stopped for the next one; one that came to the end, the beginning."""
    decision = after_put(replace(run, kept=2), taken, MOMENT)
    assert (decision.row, decision.run.state, decision.next_start) == (row, state, next_start)
    assert (decision.run.kept, decision.run.taken) == (0, taken)


def test_without_a_permit_nothing_counts() -> None:
    """It comes again when the governor says."""
    decision = no_permit_to_find(RUN, Busy(3.0, "full"), MOMENT)
    assert (decision.row, decision.run.outages) == (RunRow.NO_PERMIT, 0)
    assert isinstance(decision.next, Again)
    assert decision.next.in_seconds >= 3.0


def test_an_outage_is_borne_and_ended_by_an_answer() -> None:
    """It is bounded by time; a person's fix is waited for at a slow pace."""
    out = after_find(RUN, PerhapsAccepted("HTTP 500", 500), MOMENT)
    assert (out.run.outages, out.run.outage_since) == (1, NOW)
    assert out.run.said
    back = after_find(out.run, PAGE, MOMENT)
    assert (back.run.outages, back.run.outage_since, back.run.said) == (0, 0.0, None)
    refused = NotSent(Unsent.CREDENTIALS, "refused")
    for_days = after_find(replace(RUN, outage_since=NOW - 90_000.0), refused, MOMENT)
    assert (for_days.row, for_days.run.outage_since) == (RunRow.RETRY, 0.0)  # a person must act: that is no outage
    slow = after_find(RUN, refused, MOMENT)
    assert isinstance(slow.next, Again)
    assert slow.next.in_seconds >= MOMENT.tuning.pause_probe
    given_up = after_find(replace(RUN, outage_since=NOW - 90_000.0), PerhapsAccepted("HTTP 500", 500), MOMENT)
    assert given_up.run.said
    assert given_up.run.said.code == Code.GAVE_UP


def test_a_429_is_waited_out_for_as_long_as_zoho_says() -> None:
    """The governor closes the gate for all; it is no outage."""
    decision = after_find(RUN, Refused(429, "TOO_MANY_REQUESTS", "", retry_after=7.0), MOMENT)
    assert isinstance(decision.next, Again)
    assert decision.next.in_seconds >= 7.0
    assert decision.run.outage_since == 0.0


def test_a_long_retry_after_of_an_outage_is_the_governors_to_hold() -> None:
    """A run that waited for a day by itself would not go on when a person says so."""
    decision = after_find(RUN, Refused(408, "", "", retry_after=86_400.0), MOMENT)
    assert decision.row is RunRow.RETRY
    assert isinstance(decision.next, Again)
    assert decision.next.in_seconds <= MOMENT.tuning.poll_cap


def test_a_search_keeps_its_leads_until_its_last_page() -> None:
    """Its pages would move under it; a query's cursor does not mind."""
    assert not replace(SEARCH, kept=200).to_put
    assert replace(SEARCH, kept=200, ending=RunState.DONE).to_put
    assert replace(RUN, kept=200).to_put


# --- the wire -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "body", "means"),
    [
        (204, "", LeadsFound((), more=False)),
        (200, {"data": [{"id": "5"}, {"id": 7}], "info": {"more_records": True}}, LeadsFound(("5", "7"), more=True)),
        (200, {"data": [{"id": "5"}]}, LeadsFound(("5",), more=False)),
    ],
)
def test_a_page_is_read(status: int, body: Any, means: LeadsFound) -> None:
    """204 is no page at all."""
    assert parse_found(status, {}, json.dumps(body).encode() if body else b"") == means


@pytest.mark.parametrize(
    ("status", "body"),
    [(200, {"data": [{"id": "5"}, {"Email": "x"}]}), (200, {"rows": []}), (500, {}), (200, "<html>")],
)
def test_a_page_that_cannot_be_read_whole_is_asked_for_again(status: int, body: Any) -> None:
    """A lead without its id would be lost."""
    assert isinstance(parse_found(status, {}, json.dumps(body).encode()), PerhapsAccepted)


# --- a ledger and a profile -----------------------------------------------------------------------------------


def profile(max_leads: int | None = None, **criteria: str) -> Profile:
    """A profile with criteria."""
    return Profile(
        criteria=LeadCriteria(**(criteria or {"coql": "Lead_Status = 'Qualified'"})), limits=Limits(max_leads=max_leads)
    )


# --- a whole run ----------------------------------------------------------------------------------------------


@dataclass
class House:
    """The find step with a ledger and a simulated CRM under it."""

    crm: Crm
    redis: Any = field(default_factory=lambda: fakeredis.FakeRedis(decode_responses=True))
    book: Ledger = field(init=False)
    asked: list[str] = field(default_factory=list)
    permits: list[Call] = field(default_factory=list)
    rows: list[RunRow] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.book = Ledger(self.redis, "default", Tuning(), self)

    def now(self) -> float:
        """The clock port."""
        return self.crm.clock()

    def coql(self, query: str) -> FindAnswer:
        """The Zoho port."""
        self.asked.append(query)
        answer = self.crm.call("POST", "/crm/v8/coql", body={"select_query": query})
        return parse_found(answer.status, answer.headers, answer.content())

    def search(self, criteria: str, page: int) -> FindAnswer:
        """The Zoho port."""
        self.asked.append(f"page {page}")
        query = {"criteria": criteria, "fields": "id", "converted": "false", "page": str(page), "per_page": "200"}
        answer = self.crm.call("GET", "/crm/v8/Leads/search", query)
        return parse_found(answer.status, answer.headers, answer.content())

    def acquire(self, call: Call) -> Permit | Busy:
        """The governor port."""
        self.permits.append(call)
        return Permit("p", call)

    def release(self, permit: Permit, answer: Any = None) -> None:
        """The governor port."""

    def log_run(self, decision: RunDecision) -> None:
        """Note the row."""
        self.rows.append(decision.row)

    def run(self, run_id: str) -> Run:
        """Visit a run until it has ended."""
        port: Any = self
        ports = Ports(self.book, port, port, port, Random(1), Tuning(), lambda _: None, self.log_run, caller=port)
        for _ in range(200):
            if isinstance(find(ports, run_id).next, Done):
                break
        ended = self.book.runs.get(run_id)
        assert ended
        return ended

    def leads_of(self, batch: str) -> set[str]:
        """What a batch has that is in flight for it."""
        return {row.lead_id for row in self.book.batches.rows(batch) if row.outcome is None}


def qualified(crm: Crm) -> set[str]:
    """The unconverted leads with that status: every fourth, by the simulator's catalogue."""
    truth = crm.organisation.truth()
    return {lead for n, lead in enumerate(crm.ids) if n % 4 == 1 and lead in truth and not truth[lead]["converted"]}


def test_a_run_finds_any_number_of_leads_a_page_at_a_time() -> None:
    """Each page with a permit for a heavy call; converted and missing ones are not among them."""
    house = House(Crm(20_000, converted=500, unknown=100))
    house.book.runs.begin("n@1", "n", profile(), now=house.now())
    run = house.run("n@1")
    want = qualified(house.crm)
    assert len(want) > 4000
    assert house.leads_of("n@1") == want
    assert (run.state, run.found, run.taken, run.more) == (RunState.DONE, len(want), len(want), False)
    assert set(house.permits) == {Call.QUERY}
    assert len(house.asked) == 3
    assert house.book.batches.status("n@1").sealed


def test_whom_a_profile_names_is_called_by_the_batches_of_its_runs() -> None:
    """As it was when the run began."""
    house = House(Crm(40))
    named = profile().model_copy(update={"on_complete": ["shop.converted@shop", "https://shop.example.com/done"]})
    house.book.runs.begin("n@1", "n", named, now=house.now())
    house.run("n@1")
    kept = house.redis.hget("mc:{default}:batch:n@1", "on_complete")
    assert load_targets(kept) == (TaskTarget("shop.converted", "shop"), HookTarget("https://shop.example.com/done"))


def test_a_run_that_stops_the_schedule_is_told_even_where_it_found_no_lead() -> None:
    """Of the three that fail, the third makes an empty batch, for the call; which says what to do."""
    house = House(Crm(40))
    wrong = profile(coql="Nonsense = 1").model_copy(update={"on_complete": "shop.converted@shop"})
    for number in range(3):
        assert house.book.callbacks.due(now=house.now()) == 0
        house.book.runs.begin(f"n@{number}", "n", wrong, now=house.now())
        assert house.run(f"n@{number}").state is RunState.FAILED
    told: list[Any] = []

    def note(_target: Any, summary: Any) -> str:
        told.append(summary)
        return ""

    caller: Any = SimpleNamespace(call=note)
    port: Any = house
    call_back(Ports(house.book, port, port, port, Random(1), Tuning(), lambda _: None, caller=caller))
    (summary,) = told
    assert (summary["batch"], summary["total"], summary["profile"], summary["run"]) == ("n@2", 0, "n", "failed")
    assert summary["run_said"]["code"] == "INVALID_QUERY"
    assert summary["schedule_stopped"] == {"failed_runs": 3, "resume": "massconvert profile resume n"}


def test_a_search_finds_two_thousand_and_says_that_there_are_more() -> None:
    """It is asked for ten pages; the next run goes on with the others."""
    house = House(Crm(9000))
    house.book.runs.begin("n@1", "n", profile(search="(Lead_Status:equals:Qualified)"), now=house.now())
    run = house.run("n@1")
    assert (run.state, run.taken, run.more) == (RunState.DONE, 2000, True)
    assert house.leads_of("n@1") <= qualified(house.crm)
    assert set(house.permits) == {Call.READ}
    assert house.asked == [f"page {number}" for number in range(1, 11)]


def test_a_run_that_overlaps_the_last_enqueues_nothing_twice() -> None:
    """What is in flight for another batch is skipped, and does not count."""
    house = House(Crm(400))
    for run_id in ("n@1", "n@2"):
        house.book.runs.begin(run_id, "n", profile(), now=house.now())
        house.run(run_id)
    assert house.leads_of("n@1") == qualified(house.crm)
    assert house.leads_of("n@2") == set()
    again = house.book.runs.get("n@2")
    assert again
    assert (again.found, again.taken) == (100, 0)


def test_bounded_runs_go_round_so_that_leads_which_fail_hold_up_none() -> None:
    """Each goes on where the last one stopped, and from the beginning when it has come to the end."""
    house = House(Crm(400))
    want = sorted(qualified(house.crm), key=int)
    seen: list[str] = []
    for number in range(3):
        run_id = f"n@{number}"
        house.book.runs.begin(run_id, "n", profile(max_leads=40), now=house.now())
        run = house.run(run_id)
        found = sorted(house.leads_of(run_id), key=int)
        assert run.taken == len(found) <= 40
        seen += found
        if number == 0:  # its leads fail, and are there again
            house.book.batches.cancel(run_id, now=house.now())
            house.book.chunks.drain(now=house.now())
    assert seen[:80] == want[:80]
    assert set(seen[80:]) == {*want[80:], *want[:20]}
    assert house.rows.count(RunRow.WRAPPED) == 1


def test_refused_criteria_end_the_run_with_zoho_s_words_and_keep_what_was_found() -> None:
    """Nothing is lost, and nothing is asked for ever."""
    house = House(Crm(20_000))
    house.book.runs.begin("n@1", "n", profile(coql="Lead_Status = 'Qualified' and Nonsense = 1"), now=house.now())
    run = house.run("n@1")
    assert run.state is RunState.FAILED
    assert run.said
    assert run.said.code == "INVALID_QUERY"
    script = [{"method": "POST coql", "do": "status", "status": 400, "code": "INVALID_QUERY", "skip": 1}]
    house.crm.organisation.set_faults(script)
    house.book.runs.begin("n@2", "n", profile(), now=house.now())
    assert house.run("n@2").state is RunState.FAILED
    assert len(house.leads_of("n@2")) == 2000
    assert house.book.batches.status("n@2").sealed


@pytest.mark.parametrize(
    "fault",
    [
        {"do": "status", "status": 500, "times": 2},
        {"do": "status", "status": 429, "times": 2},
        {"do": "garbage", "times": 2},
        {"do": "expire_tokens", "times": 1},
    ],
)
def test_an_answer_that_is_no_answer_is_asked_for_again(fault: dict[str, Any]) -> None:
    """500, 429, nothing that can be read, a token that has expired: nothing is lost."""
    crm = Crm(400)
    crm.organisation.set_faults([{"method": "POST coql", **fault}])
    house = House(crm)
    house.book.runs.begin("n@1", "n", profile(), now=house.now())
    for _ in range(20):
        crm.clock.now += 400.0
        crm.token = ""
        if house.run("n@1").state is RunState.DONE:
            break
    assert house.leads_of("n@1") == qualified(crm)
