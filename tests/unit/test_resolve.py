"""Names are looked up once before the payload that needs them; a look-up that fails delays, and never fails a lead."""

from __future__ import annotations

import random
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from typing import Any

import fakeredis
import pytest
from pydantic import SecretStr

from massconvert.caller import Caller
from massconvert.errors import KeyConflictError, OptionsError
from massconvert.ledger import Ledger
from massconvert.model import (
    Again,
    Busy,
    Call,
    Code,
    Done,
    Kind,
    LeadRow,
    Listing,
    NotSent,
    Page,
    PerhapsAccepted,
    Refused,
    State,
    Unsent,
)
from massconvert.nudge import Nudge
from massconvert.options import Options
from massconvert.policy import CallAnswer, Decision, Permit, Row, Tuning
from massconvert.producer import intake
from massconvert.producer.batch import Batch
from massconvert.producer.intake import Intake
from massconvert.producer.message import take_message
from massconvert.steps.advance import CONVERTING, advance
from massconvert.steps.check import check
from massconvert.steps.drain import drain
from massconvert.steps.form import form
from massconvert.steps.ports import Ports
from massconvert.steps.resolve import resolve
from tests.unit.listed import client_of
from tests.unit.simulated_crm import ANN, DEAL, Crm

BY_NAME = {"Deals": DEAL, "assign_to": "ann@example.com", "carry_over_tags": ["Contacts"]}
BY_ID = {
    "Deals": DEAL,
    "assign_to": ANN,
    "carry_over_tags": [{"api_name": "Contacts", "id": "3652397000000002179"}],
}
NOBODY = {"Deals": DEAL, "assign_to": "nobody@example.com"}


@dataclass
class Permits:
    """A governor that counts, and has none when told so."""

    busy: Busy | None = None
    given: list[Call] = field(default_factory=list)
    held: int = 0
    heard: list[CallAnswer] = field(default_factory=list)

    def acquire(self, call: Call) -> Permit | Busy:
        if self.busy:
            return self.busy
        self.given.append(call)
        self.held += 1
        assert self.held == 1, "a call waits for a permit while it holds one"
        return Permit(str(len(self.given)), call)

    def release(self, permit: Permit, answer: CallAnswer = None) -> None:
        self.held -= 1
        self.heard.append(answer)


class Pipeline:
    """Producers and a worker over one fake Redis and one simulated organisation, on a clock that the test moves."""

    def __init__(self, **rules: Any) -> None:
        self.crm = Crm(**rules)
        self.permits = Permits()
        self.redis: Any = fakeredis.FakeRedis(decode_responses=True)
        self.ledger = Ledger(self.redis, "default", Tuning(), self)
        self.rows: list[Row] = []
        zoho, nobody = client_of(self.crm), Caller(Nudge("memory://"), SecretStr(""))
        chance = random.Random(1)
        self.ports = Ports(self.ledger, zoho, self.permits, self, chance, Tuning(), self._note, caller=nobody)
        nudge: Any = type("Nudge", (), {"chunk": lambda self, countdown=0: None})()
        self.intake = Intake(self.ledger, self, nudge)

    def now(self) -> float:
        return self.crm.clock.now

    def _note(self, decision: Decision) -> None:
        self.rows.append(decision.row)

    def enqueue(self, options: Any, key: str = "k", leads: Collection[str] | None = None) -> Batch:
        body = Options.parse(options).body()
        return self.intake.take(self.crm.ids[:2] if leads is None else leads, body, key=key)

    def message(self, options: Any, key: str = "k") -> Batch:
        return take_message(self.intake, self.crm.ids[:2], options, key)

    def form(self) -> str:
        self.crm.clock.now += 3.0
        (chunk_id,) = form(self.ports).chunk_ids
        return chunk_id

    def step(self, chunk_id: str) -> Any:
        return advance(self.ports, chunk_id, CONVERTING)

    def calls(self, name: str) -> int:
        return self.crm.organisation.calls()[name]

    def posts(self) -> int:
        return self.calls("POST mass_convert")

    def outcomes(self, key: str = "k") -> list[LeadRow]:
        return list(self.ledger.batches.rows(key))


# --- in a worker --------------------------------------------------------------------------------------------


def test_names_are_looked_up_before_the_post_and_once_for_all_that_wait_with_these_options() -> None:
    line = Pipeline()
    line.enqueue(BY_NAME, leads=line.crm.ids[:60])
    first = line.form()
    assert line.step(first) == Again(0.0)
    assert (line.posts(), line.calls("GET users"), line.calls("GET settings/modules")) == (0, 1, 1)
    line.step(first)
    second = line.form()
    line.step(second)
    assert (line.posts(), line.calls("GET users"), line.calls("GET settings/modules")) == (2, 1, 1)
    assert line.rows == [Row.NAMES_FOUND, Row.ACCEPTED, Row.ACCEPTED]
    line.crm.clock.now += 10
    assert sum(lead["converted"] for lead in line.crm.organisation.truth().values()) == 60


def test_other_options_with_known_names_cost_no_call() -> None:
    line = Pipeline()
    line.message(BY_NAME, "a")
    line.step(line.form())
    before = line.crm.organisation.calls()
    line.intake.take(line.crm.ids[5:7], {**Options.parse(BY_NAME).body(), "assign_to": {"name": "Bob Baker"}}, key="b")
    assert line.crm.organisation.calls() == before
    assert line.ledger.batches.options("b")["assign_to"] == {"id": "3652397000000282001"}


def test_each_page_of_users_has_a_permit_of_its_own_given_back_before_the_next() -> None:
    line = Pipeline(more_users=450)
    line.enqueue({"assign_to": "user449@example.com"})
    chunk = line.form()
    line.step(chunk)
    assert line.permits.given == [Call.READ] * 3
    assert line.permits.held == 0
    line.step(chunk)
    assert line.rows == [Row.NAMES_FOUND, Row.ACCEPTED]


def test_an_unknown_name_fails_all_that_wait_with_it_at_the_cost_of_no_post() -> None:
    line = Pipeline()
    line.message({**NOBODY, "assign_to": "anne@example.com"})
    line.intake.take(line.crm.ids[2:80], Options.parse({**NOBODY, "assign_to": "anne@example.com"}).body(), key="l")
    assert isinstance(line.step(line.form()), Done)
    line.crm.clock.now += 1
    drain(line.ports)
    for key, count in (("k", 2), ("l", 78)):
        rows = line.outcomes(key)
        assert len(rows) == count
        for row in rows:
            assert row.outcome is not None
            assert (row.outcome.kind, row.outcome.code) == (Kind.FAILED, Code.UNKNOWN_NAME)
            assert "nearest: Ann Archer <ann@example.com>" in row.outcome.message
            assert row.outcome.message.endswith("($.assign_to)")
    assert line.posts() == 0


def test_a_name_that_zoho_knows_by_now_is_found_at_a_later_enqueue() -> None:
    """A refusal is of its time: a later enqueue tries anew, and what is kept is read again when it is a minute old."""
    line = Pipeline()
    line.message(NOBODY, "first")
    line.step(line.form())
    line.crm.clock.now += 61
    line.crm.organisation._api.rules = _with_users(line.crm, 1)
    line.message({**NOBODY, "assign_to": "user0@example.com"}, "second")
    chunk = line.form()
    line.step(chunk)
    line.step(chunk)
    assert line.rows == [Row.NAME_UNKNOWN, Row.NAMES_FOUND, Row.ACCEPTED]


def _with_users(crm: Crm, more: int) -> Any:
    return replace(crm.organisation._api.rules, more_users=more)


@pytest.mark.parametrize(
    ("fault", "row", "wait"),
    [
        ({"do": "status", "status": 500}, Row.NAMES_RETRY, (0.1, 1.0)),
        ({"do": "garbage"}, Row.NAMES_RETRY, (0.1, 1.0)),
        ({"do": "reset"}, Row.NAMES_RETRY, (0.1, 1.0)),
        ({"do": "hang", "seconds": 99}, Row.NAMES_RETRY, (0.1, 1.0)),
        ({"do": "status", "status": 401}, Row.NAMES_RETRY, (0.1, 1.0)),
        ({"do": "status", "status": 429, "headers": {"Retry-After": "7"}}, Row.NAMES_THROTTLED, (7.0, 10.6)),
        ({"do": "status", "status": 401, "code": "OAUTH_SCOPE_MISMATCH"}, Row.NAMES_NOT_READABLE, (300.0, 300.0)),
        ({"do": "status", "status": 403}, Row.NAMES_NOT_READABLE, (300.0, 300.0)),
    ],
)
def test_a_look_up_that_fails_delays_and_loses_and_fails_nothing(
    fault: dict[str, Any], row: Row, wait: tuple[float, float]
) -> None:
    line = Pipeline(faults=[{"method": "GET users", "times": 2, **fault}])
    line.enqueue(BY_NAME)
    chunk = line.form()
    for _ in range(2):
        answer = line.step(chunk)
        assert isinstance(answer, Again)
        line.crm.clock.now += answer.in_seconds + 0.2
    low, high = wait
    assert low <= line.crm.clock.now - 1_800_000_003.4 <= 2 * high + 2.2
    assert [outcome.outcome for outcome in line.outcomes()] == [None, None]
    assert line.posts() == 0
    assert line.ledger.organisation.paused() is None  # leads without names go on
    assert sum(isinstance(answer, Refused | PerhapsAccepted) for answer in line.permits.heard) == 2  # told the governor
    line.step(chunk)
    line.step(chunk)
    assert line.rows == [row, row, Row.NAMES_FOUND, Row.ACCEPTED]


def test_a_missing_scope_is_named_in_what_is_logged() -> None:
    line = Pipeline(scopes=frozenset({"ZohoCRM.mass_convert.leads.CREATE", "ZohoCRM.settings.modules.READ"}))
    said: list[str] = []
    ports = Ports(**{**vars(line.ports), "log": lambda decision: said.append(str(decision.chunk.said))})
    line.enqueue(BY_NAME)
    advance(ports, line.form(), CONVERTING)
    assert "the users need the scope ZohoCRM.users.READ" in said[0]


def test_without_a_permit_nothing_is_asked_and_nothing_counts() -> None:
    line = Pipeline()
    line.enqueue(BY_NAME)
    chunk = line.form()
    line.permits.busy = Busy(2.0, "as many calls run as Zoho allows")
    assert isinstance(line.step(chunk), Again)
    assert line.rows == [Row.NO_PERMIT]
    assert line.calls("GET users") == 0


def test_refused_credentials_pause_the_organisation_as_they_do_for_every_call() -> None:
    line = Pipeline()
    line.enqueue(BY_NAME)
    chunk = line.form()
    refused = NotSent(Unsent.CREDENTIALS, "the refresh token is refused", "invalid_code")
    zoho: Any = type("Zoho", (), {"read_page": lambda *_: refused})()
    advance(Ports(**{**vars(line.ports), "zoho": zoho}), chunk, CONVERTING)
    assert line.rows == [Row.NAMES_NOT_ALLOWED]
    pause = line.ledger.organisation.paused()
    assert pause is not None
    assert pause.code == "invalid_code"
    assert [row.outcome for row in line.outcomes()] == [None, None]


def test_an_outage_of_a_whole_day_ends_leads_that_were_never_sent_as_any_other_would() -> None:
    line = Pipeline(faults=[{"method": "GET users", "do": "drop"}], token_seconds=10**6)
    line.enqueue(BY_NAME)
    chunk = line.form()
    began = line.now()
    while isinstance(answer := line.step(chunk), Again):
        line.crm.clock.now += answer.in_seconds
    assert set(line.rows[:-1]) == {Row.NAMES_RETRY}
    assert line.rows[-1] is Row.NAMES_GIVE_UP
    assert line.now() - began > Tuning().give_up
    for row in line.outcomes():
        assert row.outcome is not None
        assert (row.outcome.code, row.outcome.attempts) == (Code.GAVE_UP, 0)
        assert "names could not be looked up" in row.outcome.message


def test_pages_without_end_are_no_answer() -> None:
    line = Pipeline()
    line.enqueue(BY_NAME)
    chunk = line.form()
    zoho: Any = type("Zoho", (), {"read_page": lambda *_: Page((), ("again",))})()
    assert isinstance(advance(Ports(**{**vars(line.ports), "zoho": zoho}), chunk, CONVERTING), Again)
    assert line.rows == [Row.NAMES_RETRY]
    assert len(line.permits.given) == 100


def test_a_worker_that_comes_back_late_from_a_look_up_changes_nothing() -> None:
    line = Pipeline()
    line.enqueue(BY_NAME)
    chunk_id = line.form()
    late = line.ledger.chunks.claim(chunk_id, CONVERTING, token="late", now=line.now())
    line.crm.clock.now += Tuning().lease + 1
    line.step(chunk_id)
    line.step(chunk_id)
    assert isinstance(resolve(line.ports, late), Done)  # type: ignore[arg-type]  # it is a chunk
    assert line.rows == [Row.NAMES_FOUND, Row.ACCEPTED]
    assert line.redis.hget(f"mc:{{default}}:chunk:{chunk_id}", "state") == State.RUNNING.value


# --- in a producer ------------------------------------------------------------------------------------------


def test_a_producer_without_credentials_writes_ids_when_somebody_has_looked_lately() -> None:
    line = Pipeline()
    check(line.ports, Options.parse(BY_NAME).body())
    line.enqueue(BY_NAME, "named")
    line.enqueue(BY_ID, "by-id", leads=line.crm.ids[2:4])
    chunk = line.form()
    line.step(chunk)
    assert line.rows == [Row.ACCEPTED]  # one payload for both
    assert line.ledger.batches.status("named").sent == line.ledger.batches.status("by-id").sent == 2


def test_a_producer_is_told_of_every_problem_and_nothing_is_enqueued() -> None:
    line = Pipeline(pipelines=True)
    check(line.ports, Options.parse(BY_NAME).body())
    with pytest.raises(OptionsError) as caught:
        line.enqueue({**NOBODY, "Deals": {**DEAL, "Stage": "Need Analysis"}})
    assert [path for path, _ in caught.value.problems] == ["$.Deals.Pipeline", "$.Deals.Stage", "$.assign_to"]
    assert line.ledger.batches.recent() == []


def test_what_was_read_long_ago_speaks_against_nothing_and_the_worker_asks_anew() -> None:
    line = Pipeline()
    check(line.ports, Options.parse(BY_NAME).body())
    line.crm.clock.now += intake.TRUSTED + 1
    line.enqueue(NOBODY)  # perhaps the user is new
    assert isinstance(line.step(line.form()), Done)
    assert line.rows == [Row.NAME_UNKNOWN]
    assert line.calls("GET users") == 2


def test_a_producer_that_enqueues_lead_by_lead_looks_once_in_half_a_minute() -> None:
    line = Pipeline()
    check(line.ports, Options.parse(BY_NAME).body())
    for number in range(intake.MOST_REMEMBERED + 2):
        line.enqueue({**BY_NAME, "Deals": {**DEAL, "Deal_Name": str(number)}}, f"other-{number}")
    line.enqueue(BY_NAME, "a")
    line.redis.delete(*line.redis.keys("mc:{default}:listing:*"))
    line.enqueue(BY_NAME, "b")
    assert line.ledger.batches.options("b")["assign_to"] == {"id": ANN}
    line.crm.clock.now += intake.REMEMBERED + 1
    line.enqueue(BY_NAME, "c")
    assert line.ledger.batches.options("c")["assign_to"] == {"name": "ann@example.com"}


def test_a_message_is_never_refused_for_its_names_since_nobody_is_there_to_be_told() -> None:
    line = Pipeline()
    check(line.ports, Options.parse(BY_NAME).body())
    line.message(NOBODY)
    line.step(line.form())
    assert {row.outcome.code for row in line.outcomes() if row.outcome} == {Code.UNKNOWN_NAME}


def test_the_same_key_with_the_same_names_is_the_same_batch_whether_or_not_they_were_known_meanwhile() -> None:
    line = Pipeline()
    body = Options.parse(BY_NAME).body()
    line.enqueue(BY_NAME)
    check(line.ports, body)
    again = line.enqueue(BY_NAME, leads=line.crm.ids[:3])
    assert (again.accepted, again.duplicates) == (1, 2)
    line.enqueue(BY_NAME, "other")  # with ids at once
    line.redis.delete(*line.redis.keys("mc:{default}:listing:*"))
    line.crm.clock.now += intake.REMEMBERED + 1
    again = line.enqueue(BY_NAME, "other", leads=line.crm.ids[3:5])
    assert (again.accepted, again.duplicates) == (2, 0)
    with pytest.raises(KeyConflictError):
        line.enqueue({**BY_NAME, "assign_to": "bob@example.com"}, "other")
    with pytest.raises(KeyConflictError):
        line.enqueue(NOBODY)


def test_leads_that_are_added_under_the_same_key_all_go_out() -> None:
    line = Pipeline()
    line.enqueue(BY_NAME)
    check(line.ports, Options.parse(BY_NAME).body())
    line.enqueue(BY_NAME, leads=line.crm.ids[:5])
    chunk = line.form()
    line.step(chunk)
    line.step(chunk)
    assert line.rows == [Row.NAMES_FOUND, Row.ACCEPTED]
    assert line.ledger.batches.status("k").sent == 5


def test_names_are_looked_up_anew_when_nobody_waits_with_these_options_any_more() -> None:
    """The user's id may be another one by then, and the options' hash lives as long as the report."""
    line = Pipeline()
    line.enqueue(NOBODY, "first", leads=[])
    fingerprint = line.redis.hget("mc:{default}:batch:first", "fp")
    line.redis.hset(f"mc:{{default}}:options:{fingerprint}", "resolved", "{}")
    line.enqueue(NOBODY, "second")
    assert line.redis.hget(f"mc:{{default}}:options:{fingerprint}", "resolved") is None


def test_a_listing_of_another_version_is_not_there() -> None:
    line = Pipeline()
    line.redis.set("mc:{default}:listing:users", '{"form": 99, "read_at": 1, "rows": [{"x": 1}]}')
    line.redis.set("mc:{default}:listing:modules", "garbage")
    assert line.ledger.shelf.look([Listing.USERS, Listing.MODULES, Listing.FIELDS]) == {}


def test_a_listing_is_kept_for_an_hour() -> None:
    line = Pipeline()
    line.ledger.shelf.keep(Listing.USERS, [{"id": "1"}], now=5.0)
    assert 3590 < line.redis.ttl("mc:{default}:listing:users") <= 3600
    assert line.ledger.shelf.look([Listing.USERS])[Listing.USERS].read_at == 5.0


# --- the check of a command -----------------------------------------------------------------------------------


def test_a_check_reads_each_listing_once_in_a_quarter_of_an_hour() -> None:
    line = Pipeline(pipelines=True)
    body = Options.parse({**BY_NAME, "Deals": {**DEAL, "Pipeline": "Standard (Standard)"}}).body()
    assert check(line.ports, body).problems == ()
    calls = line.crm.organisation.calls()
    assert sum(calls[name] for name in calls if name.startswith("GET")) == 7
    line.crm.clock.now += 800
    assert check(line.ports, body).problems == ()
    assert line.crm.organisation.calls() == calls


def test_what_speaks_against_the_options_is_asked_again_after_a_minute() -> None:
    line = Pipeline()
    assert check(line.ports, Options.parse({"assign_to": "user0@example.com"}).body()).problems
    line.crm.organisation._api.rules = _with_users(line.crm, 1)
    line.crm.clock.now += 61
    assert not check(line.ports, Options.parse({"assign_to": "user0@example.com"}).body()).problems


def test_what_cannot_be_read_is_told_and_everything_else_is_checked() -> None:
    line = Pipeline(faults=[{"method": "GET users", "do": "status", "status": 403}])
    checked = check(line.ports, Options.parse({**NOBODY, "Deals": {**DEAL, "Stage": "x"}}).body())
    assert [problem.path for problem in checked.problems] == ["$.Deals.Stage"]
    assert list(checked.unread) == [Listing.USERS]


def test_when_zoho_is_away_one_call_finds_out() -> None:
    line = Pipeline(faults=[{"method": "*", "do": "drop"}])
    checked = check(line.ports, Options.parse(BY_NAME).body())
    assert checked.problems == ()
    assert set(checked.unread) == {
        Listing.USERS,
        Listing.MODULES,
        Listing.FIELDS,
        Listing.LAYOUTS,
        Listing.PIPELINES,
        Listing.LEAD_FIELDS,
    }
    assert len(line.permits.given) == 1
