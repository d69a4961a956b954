"""Every row of the decision table with real workers, a real redis-server and real HTTP.

The tests share a house, one after another, each with leads, options and faults of its own. Its worker is hurried
(`tests.acceptance.hurried_worker`), so that what takes an hour in production takes seconds. What each test claims to
take is checked against the worker's own log, and the last test fails where no acceptance test takes a row.
"""

from __future__ import annotations

import json
import pkgutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from itertools import count, islice
from typing import Any

import pytest

import tests.acceptance
from massconvert import Batch
from massconvert.model import Listing
from massconvert.policy import Row
from massconvert.store import Keys
from tests.acceptance.house import OPTIONS, House, until
from tests.acceptance.rows import TAKEN, steps, takes
from tests.acceptance.truth import Rows, assert_true, outcomes_of

pytestmark = pytest.mark.acceptance

HURRIED = {
    "first_look": 0.4,
    "read_lag": 0.4,
    "read_lags": 2,
    "unclear_looks": 3,
    "status_lag": 1.5,
    "job_deadline": 2.5,
    "overdue_pace": 0.8,
    "pause_probe": 1.0,
    "backoff_base": 0.3,
    "poll_cap": 2.0,
    "lease": 6.0,
}
POST, STATUS, READ, TOKEN = "POST mass_convert", "GET mass_convert", "GET Leads", "POST token"
USERS = "GET users"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """The house, and the leads that have not been used yet."""
    house = House(
        tmp_path_factory.mktemp("house"),
        HURRIED_TUNING=json.dumps(HURRIED),
        MASSCONVERT_JOB_WAIT="1.2",
        MASSCONVERT_CALL_DEADLINE="1",
        MASSCONVERT_PERMIT_WAIT="0.5",
        MASSCONVERT_SWEEP_INTERVAL="1",
        MASSCONVERT_LINGER="0.2",
    )
    house.redis()
    # What the rows of bad leads are about, and how many calls there are. A hurried worker waits for no lag.
    told: dict[str, Any] = {"one_bad_id": "refuse_all", "converted_lead": "refuse_all", "reads_lag": 0.0}
    told |= {
        "counts": "add_up",
        "job_jitter": 0.0,
        "status_known_after": 0.0,
        "most_ids": 100,
        "most_id_characters": None,
    }
    house.simulator("--leads", "12000", "--converted", "60", "--job-seconds", "0.2", **told)
    # Four threads, so that some payloads still wait when the first is answered.
    house.worker("worker", "-c", "4", app="tests.acceptance.hurried_worker")
    yield house
    house.close()


@pytest.fixture(scope="module")
def pool(shared: House) -> Iterator[str]:
    """Leads that no test has used yet and that are unconverted."""
    truth = shared.truth()
    return iter([lead for lead in shared.leads() if not truth[lead]["converted"]])


@pytest.fixture
def house(shared: House) -> House:
    """The house as if it were new: what the organisation has learnt, and why it stood still, is forgotten."""
    keys = Keys("default")
    with shared.ledger as ledger:
        ledger.delete(keys.pause, keys.jobtimes, keys.looks, keys.max_leads, keys.max_read)
        ledger.delete(keys.gate, keys.hold, keys.learnt, keys.unusable, keys.credits, keys.rate)
    shared.set_faults()
    shared.begin_reading()
    return shared


_numbers = count(1)


def fresh_options() -> dict[str, Any]:
    """Options that no test has used: Zoho has never accepted them."""
    return {**OPTIONS, "Deals": {**OPTIONS["Deals"], "Deal_Name": f"Renewal {next(_numbers)}"}}


def enqueue(house: House, leads: Sequence[str], options: Mapping[str, Any] | None = None) -> Batch:
    """Enqueue as an app would."""
    return house.producer().enqueue(leads, options=options or fresh_options())


def ended(house: House, batch: Batch) -> Rows:
    """Wait for the batch; its outcomes, which are the simulator's truth, after every fault has struck."""
    batch.wait(30)
    rows = outcomes_of(batch)
    assert_true(house, rows)
    assert house.unfired() == []
    return rows


def kinds(rows: Rows) -> Counter[tuple[str, str | None]]:
    """How many leads ended how."""
    return Counter((row["outcome"], row["code"]) for row in rows.values())


def submissions(house: House, leads: Sequence[str]) -> Counter[int]:
    """How often the leads were in a payload that Zoho carried out."""
    truth = house.truth()
    return Counter(truth[lead]["submissions"] for lead in leads)


def chunks(leads: Sequence[str]) -> list[Sequence[str]]:
    """The payloads in which these leads travel."""
    return [leads[start : start + 50] for start in range(0, len(leads), 50)]


CONVERTED = ("converted", None)


# --- the answer to the POST -------------------------------------------------------------------------------

LOST: tuple[dict[str, Any], ...] = (
    {"do": "status", "status": 500},
    {"do": "status", "status": 502, "body": ""},
    {"do": "status", "status": 503, "body": "<html>Service Unavailable</html>"},
    {"do": "garbage"},
    {"do": "reset"},
    {"do": "drop"},
    {"do": "hang", "seconds": 5},
)


@takes(Row.ACCEPTED, Row.JOB_ALL_CONVERTED, Row.PERHAPS_ACCEPTED, Row.SETTLED, Row.UNCONVERTED_AGAIN)
def test_no_lost_answer_costs_a_lead_or_a_second_submission(house: House, pool: Iterator[str]) -> None:
    """Every kind, before and after the effect: each lead is submitted once."""
    kinds_of_loss = [
        *({**loss, "when": when} for loss in LOST for when in ("before", "after")),
        {"do": "cut"},
        {"do": "trickle", "seconds": 5},
        {"do": "latency", "seconds": 1.3},
    ]
    leads = list(islice(pool, 50 * (1 + len(kinds_of_loss))))
    rules = [
        {"method": POST, "times": 1, "ids": [chunk[0]], **loss}
        for loss, chunk in zip(kinds_of_loss, chunks(leads)[1:], strict=True)
    ]
    house.set_faults(*rules, {"method": POST, "do": "job_slow", "seconds": 0.5})  # a look at once would come too early
    before = house.calls(POST)
    assert kinds(ended(house, enqueue(house, leads))) == {CONVERTED: len(leads)}
    assert submissions(house, leads) == {1: len(leads)}
    # And only what had not been carried out was sent again.
    assert house.calls(POST) - before == len(chunks(leads)) + len(LOST)


@takes(Row.STILL_CONVERTING, Row.PERHAPS_ACCEPTED, Row.UNCONVERTED_AGAIN)
def test_a_job_whose_answer_was_lost_and_that_spares_some_is_watched_before_they_go_out_again(
    house: House, pool: Iterator[str]
) -> None:
    leads = list(islice(pool, 50))
    house.set_faults(
        {"method": POST, "when": "after", "do": "drop", "times": 1},
        {"method": POST, "do": "job_partial", "leads": 10, "times": 1},
    )
    assert kinds(ended(house, enqueue(house, leads))) == {CONVERTED: 50}
    assert submissions(house, leads) == {1: 40, 2: 10}


@takes(Row.BAD_LEADS)
@pytest.mark.parametrize("bad", [1, 5, 25, 50])
def test_bad_leads_cost_at_most_three_further_calls(house: House, pool: Iterator[str], bad: int) -> None:
    """Some do not exist, some are converted already; a read tells which, whatever their number."""
    truth = house.truth()
    converted = [lead for lead in house.leads() if truth[lead]["converted"] and not truth[lead]["submissions"]]
    unknown = [f"365239700099{number:07d}" for number in range((bad + 1) // 2)]
    good = list(islice(pool, 50 - bad))
    leads = [*converted[: bad // 2], *good, *unknown]
    before = Counter(house.ask("calls"))
    rows = ended(house, enqueue(house, leads))
    expected = {
        CONVERTED: 50 - bad,
        ("skipped", "ALREADY_CONVERTED"): bad // 2,
        ("failed", "NOT_FOUND"): (bad + 1) // 2,
    }
    assert kinds(rows) == {kind: number for kind, number in expected.items() if number}
    calls = Counter(house.ask("calls")) - before
    calls.pop(TOKEN, None)  # not every test begins with one
    assert calls.total() - 1 <= 3, calls
    assert (Row.BAD_LEADS_OUT in {step.row for step in steps(house)}) == bool(good)
    assert submissions(house, good) == ({1: len(good)} if good else {})


@takes(Row.BAD_LEADS_OUT)
def test_good_leads_do_not_wait_for_bad_ones(house: House, pool: Iterator[str]) -> None:
    leads = list(islice(pool, 100))
    unknown = "3652397000990000001"
    rows = ended(house, enqueue(house, [unknown, *leads]))
    assert kinds(rows) == {CONVERTED: 100, ("failed", "NOT_FOUND"): 1}


@takes(Row.BAD_LEADS, Row.READ_LAGS, Row.NAMED_OUT)
def test_a_refused_lead_that_no_read_explains_fails_with_zoho_s_words(house: House, pool: Iterator[str]) -> None:
    leads = list(islice(pool, 50))
    house.set_faults(
        {
            "method": POST,
            "do": "status",
            "status": 400,
            "message": "the lead is locked",
            "details": {"api_name": "ids", "json_path": "$.ids[3]"},
            "times": 1,
        }
    )
    rows = ended(house, enqueue(house, leads))
    assert kinds(rows) == {CONVERTED: 49, ("failed", "INVALID_DATA"): 1}
    assert rows[leads[3]]["message"] == "the lead is locked ($.ids[3])"


UPDATE = "PUT Deals"


def named_deals() -> dict[str, Any]:
    """Deals named after their leads."""
    options = fresh_options()
    return {**options, "Deals": {**options["Deals"], "Deal_Name": "{Company} {Last_Name}"}}


@takes(Row.DEALS_FOUND, Row.DEALS_UPDATED, Row.UPDATE_RETRY, Row.UPDATE_THROTTLED)
def test_deals_are_named_after_their_leads_whatever_is_lost(house: House, pool: Iterator[str]) -> None:
    """The update is made three times, and each deal has the name that was asked for."""
    leads = list(islice(pool, 50))
    house.set_faults(
        {"method": UPDATE, "do": "status", "status": 429, "times": 1},
        {"method": UPDATE, "do": "reset", "when": "after", "times": 1},
    )
    rows = ended(house, enqueue(house, leads, named_deals()))
    assert kinds(rows) == {CONVERTED: 50}
    truth = house.truth()
    for lead in leads:
        number = (int(lead) - 3652397000009850001) // 1000
        assert truth[lead]["deal"]["Deal_Name"] == f"Company {number} Lead {number}"
        assert rows[lead]["deal_id"] == truth[lead]["deal_id"]
    assert submissions(house, leads) == {1: 50}


@takes(Row.DEALS_UPDATED, Row.UPDATE_REFUSED)
def test_a_deal_that_cannot_be_updated_belongs_to_a_converted_lead(house: House, pool: Iterator[str]) -> None:
    """First each on its own, and then all for want of a scope: the organisation goes on."""
    leads = list(islice(pool, 50))
    wrong = {"code": "INVALID_DATA", "details": {"api_name": "Deal_Name"}, "message": "invalid data", "status": "error"}
    each = json.dumps({"data": [wrong] * 50})
    house.set_faults({"method": UPDATE, "do": "status", "status": 207, "body": each, "times": 1})
    assert kinds(ended(house, enqueue(house, leads, named_deals()))) == {("converted", "DEAL_NOT_UPDATED"): 50}
    house.set_faults(
        {
            "method": UPDATE,
            "do": "status",
            "status": 401,
            "code": "OAUTH_SCOPE_MISMATCH",
            "message": "scope",
            "times": 1,
        }
    )
    batch = enqueue(house, list(islice(pool, 50)), named_deals())
    rows = ended(house, batch)
    assert kinds(rows) == {("converted", "DEAL_NOT_UPDATED"): 50}
    assert {row["message"] for row in rows.values()} == {"OAUTH_SCOPE_MISMATCH: scope"}
    assert batch.progress().deals_not_updated == 50
    assert house.command("status", batch.id, "--watch").returncode == 1


@takes(Row.DEALS_FOUND, Row.SETTLED)
def test_leads_whose_answer_was_lost_get_their_deals_named_too(house: House, pool: Iterator[str]) -> None:
    leads = list(islice(pool, 50))
    house.set_faults({"method": POST, "do": "reset", "when": "after", "times": 1})
    assert kinds(ended(house, enqueue(house, leads, named_deals()))) == {CONVERTED: 50}
    assert {house.truth()[lead]["deal"]["Deal_Name"].partition(" ")[0] for lead in leads} == {"Company"}


@takes(Row.READ_TOO_MANY, Row.PREFLIGHT_PASSED)
def test_a_read_of_more_ids_than_zoho_takes_is_halved(house: House, pool: Iterator[str]) -> None:
    leads = list(islice(pool, 100))
    too_long = {"code": "INVALID_DATA", "details": {"param_name": "ids", "maximum_length": 1024}}
    house.set_faults({"method": "GET Leads", "do": "status", "status": 400, "times": 1, **too_long})
    rows = ended(house, house.producer().enqueue(leads, options={**fresh_options(), "preflight": True}))
    assert kinds(rows) == {CONVERTED: 100}


@takes(Row.PREFLIGHT_PASSED, Row.SETTLED, Row.JOB_ALL_CONVERTED)
def test_a_preflight_sorts_out_bad_leads_before_any_payload(house: House, pool: Iterator[str]) -> None:
    """A hundred leads: one read, two payloads, and no payload has a lead that cannot be converted."""
    leads = list(islice(pool, 100))
    gone, locked, theirs = leads[:5], leads[5:10], leads[10:20]
    for deed, whom in (("deleted", gone), ("locked", locked), ("converted_by_hand", theirs)):
        house.ask(deed, "PUT", whom)
    before = Counter(house.ask("calls"))
    rows = ended(house, house.producer().enqueue(leads, options={**fresh_options(), "preflight": True}))
    assert kinds(rows) == {
        CONVERTED: 80,
        ("failed", "NOT_FOUND"): 5,
        ("failed", "LOCKED"): 5,
        ("skipped", "ALREADY_CONVERTED"): 10,
    }
    made = Counter(house.ask("calls")) - before
    assert (made[READ], made[POST]) == (1, 2)
    truth = house.truth()
    assert {truth[lead]["submissions"] for lead in (*locked, *theirs)} == {0}
    none_left = house.producer().enqueue(gone, options={**fresh_options(), "preflight": True})
    assert kinds(ended(house, none_left)) == {("failed", "NOT_FOUND"): 5}
    assert (Counter(house.ask("calls")) - before)[POST] == 2


@takes(Row.HALVED, Row.NAMED_OUT)
def test_a_refused_lead_that_nothing_names_is_found_by_halving(house: House, pool: Iterator[str]) -> None:
    leads = list(islice(pool, 16))
    bad = leads[11]
    house.set_faults(
        {"method": POST, "do": "status", "status": 400, "details": {"json_path": "$.ids"}, "ids": [bad], "name": "bad"}
    )
    rows = ended(house, enqueue(house, leads))
    assert kinds(rows) == {CONVERTED: 15, ("failed", "INVALID_DATA"): 1}
    assert rows[bad]["outcome"] == "failed"
    assert house.ask("fired")["bad"] == 5  # with 16, 8, 4, 2 and 1 leads
    assert submissions(house, leads) == {0: 1, 1: 15}


@takes(Row.UNCLEAR_APART, Row.UNCLEAR_AGAIN, Row.UNCLEAR)
def test_a_lead_of_which_no_read_says_whether_it_is_converted_ends_alone(house: House, pool: Iterator[str]) -> None:
    """The job spared it and another; that one goes out again, and this one is never sent without knowing."""
    leads = list(islice(pool, 50))
    blank, spared = leads[3], leads[4]
    house.set_faults(
        {"method": POST, "do": "job_partial", "ids": [blank, spared], "times": 1},
        {"method": READ, "do": "blanks", "ids": [blank]},
    )
    rows = outcomes_of(waited(enqueue(house, leads)))
    assert kinds(rows) == {CONVERTED: 49, ("failed", "STATE_UNKNOWN"): 1}
    assert rows[blank]["outcome"] == "failed"
    assert submissions(house, leads) == {1: 49, 2: 1}
    assert submissions(house, [blank]) == {1: 1}


@takes(Row.JOB_COUNTS_DIFFER, Row.READ_LAGS, Row.SETTLED)
def test_leads_that_are_out_of_sight_after_their_job_are_not_called_missing_and_not_sent_again(
    house: House, pool: Iterator[str]
) -> None:
    """The job converted 49 of 50, and ``assign_to`` has taken all from our sight. A retry looks before it sends."""
    leads = list(islice(pool, 50))
    spared = leads[7]
    house.set_faults(
        {"method": POST, "do": "job_partial", "ids": [spared], "times": 1},
        {"method": READ, "do": "hides", "ids": leads},
    )
    batch = waited(enqueue(house, leads))
    assert kinds(outcomes_of(batch)) == {("failed", "NOT_VISIBLE"): 50}
    unseen = waited(house.producer().retry(batch.id))
    assert kinds(outcomes_of(unseen)) == {("failed", "NOT_VISIBLE"): 50}
    assert submissions(house, leads) == {1: 50}
    house.set_faults()
    seen = waited(house.producer().retry(unseen.id))
    assert kinds(outcomes_of(seen)) == {CONVERTED: 1, ("skipped", "ALREADY_CONVERTED"): 49}
    assert submissions(house, [spared]) == {2: 1}


def waited(batch: Batch) -> Batch:
    """The batch, when it has finished."""
    batch.wait(30)
    return batch


PUZZLE = {"do": "status", "status": 400, "code": "NOBODY_KNOWS", "message": "no reason", "details": {}}


@takes(Row.UNEXPLAINED, Row.HALVED, Row.NAMED_OUT)
@pytest.mark.parametrize("accepted", [True, False])
def test_an_unknown_refusal_is_about_its_leads_and_fails_no_other(
    house: House, pool: Iterator[str], accepted: bool
) -> None:
    """Whether Zoho has taken a payload with these options before or not: a look and halves find the lead."""
    options = fresh_options()
    if accepted:
        assert kinds(ended(house, enqueue(house, list(islice(pool, 50)), options))) == {CONVERTED: 50}
    leads = list(islice(pool, 150))
    bad = leads[11]
    house.set_faults({"method": POST, "ids": [bad], **PUZZLE})
    before = house.calls(POST)
    rows = ended(house, enqueue(house, leads, options))
    assert kinds(rows) == {CONVERTED: 149, ("failed", "NOBODY_KNOWS"): 1}
    assert (rows[bad]["message"], rows[bad]["outcome"]) == ("no reason", "failed")
    assert house.calls(POST) - before <= 3 + 2 * 6  # 50, 25, 13, 7, 4, 2, 1


@takes(Row.UNEXPLAINED)
def test_options_that_zoho_refuses_for_a_reason_that_nobody_knows_cost_one_halved_payload(
    house: House, pool: Iterator[str]
) -> None:
    """Eight leads of it were refused alone, none was ever accepted: two thousand others cost no call."""
    leads = list(islice(pool, 2050))
    house.set_faults({"method": POST, **PUZZLE})
    before = house.calls(POST)
    rows = ended(house, enqueue(house, leads))
    assert kinds(rows) == {("failed", "NOBODY_KNOWS"): 2050}
    assert house.calls(POST) - before <= 2 * 50
    assert {row["message"] for row in rows.values()} == {
        "no reason",
        "no reason (so for 8 leads, each alone, and never accepted with these options)",
    }


@takes(Row.PERHAPS_ACCEPTED, Row.FAILS_HALVED, Row.FAILS_ALONE)
def test_a_lead_for_which_every_payload_has_a_500_ends_alone(house: House, pool: Iterator[str]) -> None:
    """49 of its payload are converted, and so are the others; it ends with what Zoho said."""
    leads = list(islice(pool, 150))
    bad = leads[17]
    house.set_faults({"method": POST, "do": "status", "status": 500, "ids": [bad], "name": "bad"})
    before = house.calls(POST)
    rows = ended(house, enqueue(house, leads))
    assert kinds(rows) == {CONVERTED: 149, ("failed", "INTERNAL_ERROR"): 1}
    assert "Internal Server Error (so for 3 payloads with this lead alone" in str(rows[bad]["message"])
    assert house.calls(POST) - before <= 3 + 2 * 6 + 7  # 50, 25, 13, 7, 4, 2, 1
    assert submissions(house, leads) == {0: 1, 1: 149}


@takes(Row.JOB_FAILED, Row.FAILS_HALVED, Row.OUT_OF_ATTEMPTS)
def test_a_lead_that_makes_every_job_fail_ends_alone(house: House, pool: Iterator[str]) -> None:
    leads = list(islice(pool, 150))
    bad = leads[17]
    house.set_faults({"method": POST, "do": "job_fails", "leads": 50, "ids": [bad], "name": "bad"})
    before = house.calls(POST)
    rows = ended(house, enqueue(house, leads))
    assert kinds(rows) == {CONVERTED: 149, ("failed", "NOT_CONVERTED"): 1}
    assert rows[bad]["outcome"] == "failed"
    assert house.calls(POST) - before <= 3 + 2 * 6 + 7


@takes(Row.JOB_UNKNOWN, Row.UNKNOWN_WATCHED, Row.OUT_OF_ATTEMPTS)
def test_leads_whose_third_job_is_unknown_are_watched_before_they_fail(house: House, pool: Iterator[str]) -> None:
    """Three jobs that Zoho never knows: one of them converts a lead late, and the others end when none can any more."""
    leads = list(islice(pool, 3))
    house.set_faults(
        {"method": POST, "do": "job_unknown", "name": "unknown"},
        {"method": POST, "do": "job_partial", "ids": leads, "name": "spared"},
    )
    rows = ended(house, enqueue(house, leads))
    assert kinds(rows) == {("failed", "NOT_CONVERTED"): 3}
    assert house.ask("fired")["unknown"] == 3
    watched = [step.row for step in steps(house)]
    assert watched.count(Row.UNKNOWN_WATCHED) >= 1


@takes(Row.TOO_MANY_LEADS)
@pytest.mark.parametrize(("status", "code"), [(400, "RECORD_LIMIT_EXCEEDED"), (413, "PAYLOAD_TOO_LARGE")])
def test_a_payload_that_is_too_long_is_halved_and_later_ones_are_shorter(
    house: House, pool: Iterator[str], status: int, code: str
) -> None:
    leads = list(islice(pool, 100))
    house.set_faults({"method": POST, "do": "status", "status": status, "code": code, "times": 1})
    assert kinds(ended(house, enqueue(house, leads))) == {CONVERTED: 100}
    accepted = [step.leads for step in steps(house) if step.row is Row.ACCEPTED]
    assert accepted == [25, 25, 25, 25]


@takes(Row.OPTIONS_REFUSED)
def test_wrong_options_for_a_thousand_leads_in_several_batches_cost_one_post(house: House, pool: Iterator[str]) -> None:
    """And all fail with Zoho's code and path."""
    wrong = fresh_options()
    wrong["Deals"]["Stage"] = "No Such Stage"
    house.set_faults({"method": POST, "do": "latency", "seconds": 0.6})
    before = house.calls(POST)
    batches = [enqueue(house, leads, wrong) for leads in [list(islice(pool, 250)) for _ in range(4)]]
    for batch in batches:
        rows = ended(house, batch)
        assert kinds(rows) == {("failed", "INVALID_DATA"): 250}
        assert {row["message"] for row in rows.values()} == {"invalid data ($.Deals.Stage)"}
    assert house.calls(POST) - before == 1
    assert house.log().count("INVALID_DATA invalid data $.Deals.Stage") == 1


@takes(Row.OPTIONS_REFUSED, Row.OPTIONS_REFUSED_BEFORE)
def test_options_that_stop_being_accepted_fail_the_payloads_that_wait_without_a_call(
    house: House, pool: Iterator[str]
) -> None:
    options = fresh_options()
    assert kinds(ended(house, enqueue(house, list(islice(pool, 50)), options))) == {CONVERTED: 50}
    before = house.calls(POST)
    house.set_faults(
        {"method": POST, "do": "latency", "seconds": 0.3},
        {"method": POST, "do": "status", "status": 400, "code": "MANDATORY_NOT_FOUND", "message": "Region is missing"},
    )
    rows = ended(house, enqueue(house, list(islice(pool, 750)), options))
    assert kinds(rows) == {("failed", "MANDATORY_NOT_FOUND"): 750}
    assert house.calls(POST) - before <= 4  # what its four threads were sending at that moment


@takes(Row.ACCEPTED)
def test_options_that_were_never_accepted_go_out_one_payload_at_a_time(house: House, pool: Iterator[str]) -> None:
    """Until the first acceptance, even if that takes several tries."""
    leads = list(islice(pool, 500))
    house.set_faults({"method": POST, "do": "reset", "times": 2})
    assert kinds(ended(house, enqueue(house, leads))) == {CONVERTED: 500}
    rows = steps(house)
    first = next(place for place, step in enumerate(rows) if step.row is Row.ACCEPTED)
    assert {step.chunk for step in rows[: first + 1]} == {rows[0].chunk}
    assert [step.row for step in rows[:first]].count(Row.PERHAPS_ACCEPTED) == 2


# --- the names in the options -----------------------------------------------------------------------------


def forget_names(house: House) -> None:
    """Let nobody know which users there are."""
    with house.ledger as ledger:
        ledger.delete(Keys("default").listing(Listing.USERS.value))


@takes(Row.NAMES_FOUND, Row.NAMES_RETRY, Row.NAMES_THROTTLED, Row.NAMES_NOT_READABLE)
def test_names_that_cannot_be_read_for_a_while_fail_nothing(house: House, pool: Iterator[str]) -> None:
    """A 500, a 429, a scope that is missing: the payload waits, and goes out when its names are known."""
    leads = list(islice(pool, 100))
    house.set_faults(
        {"method": USERS, "do": "status", "status": 500, "times": 1},
        {"method": USERS, "do": "status", "status": 429, "headers": {"Retry-After": "1"}, "times": 1},
        {"method": USERS, "do": "status", "status": 401, "code": "OAUTH_SCOPE_MISMATCH", "times": 1},
    )
    forget_names(house)
    named = {**fresh_options(), "assign_to": "ann@example.com"}
    assert kinds(ended(house, enqueue(house, leads, named))) == {CONVERTED: 100}


@takes(Row.NAME_UNKNOWN)
def test_a_name_that_zoho_does_not_know_fails_all_its_leads_at_the_cost_of_no_post(
    house: House, pool: Iterator[str]
) -> None:
    before = house.calls(POST)
    forget_names(house)  # or the producer would know better
    named = {**fresh_options(), "assign_to": "nobody@example.com"}
    rows = ended(house, enqueue(house, list(islice(pool, 150)), named))
    assert kinds(rows) == {("failed", "UNKNOWN_NAME"): 150}
    assert all("$.assign_to" in row["message"] for row in rows.values())
    assert house.calls(POST) == before


# --- the organisation -------------------------------------------------------------------------------------


@takes(Row.NOT_ALLOWED, Row.STATUS_NOT_ALLOWED, Row.READ_NOT_ALLOWED)
def test_a_permission_that_is_missing_for_a_while_pauses_and_fails_nothing(house: House, pool: Iterator[str]) -> None:
    """Whichever call finds it; a probe ends the pause when it gets through."""
    leads = list(islice(pool, 100))
    refused = {
        POST: {"status": 403, "code": "NO_PERMISSION", "message": "permission denied"},
        STATUS: {"status": 401, "code": "OAUTH_SCOPE_MISMATCH", "message": "invalid oauth scope"},
        READ: {"status": 403, "code": "OAUTH_SCOPE_MISMATCH", "message": "invalid oauth scope"},
    }
    house.set_faults(
        *({"method": method, "do": "status", "times": 1, **answer} for method, answer in refused.items()),
        {"method": POST, "do": "job_partial", "leads": 1, "times": 1},
    )
    batch = enqueue(house, leads)
    with house.ledger as ledger:
        until(lambda: ledger.exists(Keys("default").pause), 10, "the pause")
    assert batch.progress().failed == 0
    assert kinds(ended(house, batch)) == {CONVERTED: 100}
    log = house.log()
    assert "The organisation is paused. Zoho answered 403 NO_PERMISSION: permission denied. Give the user" in log
    assert "The organisation is paused. Zoho answered 401 OAUTH_SCOPE_MISMATCH" in log
    assert "ZohoCRM.modules.leads.READ; to link leads also" in log


@takes(Row.TOKEN, Row.STATUS_RETRY, Row.READ_RETRY)
def test_a_token_that_ends_at_any_call_is_refreshed_once_for_everybody(house: House, pool: Iterator[str]) -> None:
    leads = list(islice(pool, 200))
    house.set_faults(
        *({"method": method, "do": "expire_tokens", "times": 1} for method in (POST, STATUS, READ)),
        {"method": POST, "do": "job_partial", "leads": 1, "times": 1},
    )
    before = house.calls(TOKEN)
    assert kinds(ended(house, enqueue(house, leads))) == {CONVERTED: 200}
    assert house.calls(TOKEN) - before == 3


@takes(Row.THROTTLED, Row.NO_PERMIT, Row.STATUS_THROTTLED, Row.STATUS_NO_PERMIT, Row.READ_THROTTLED, Row.READ_NO_PERMIT)
def test_a_429_closes_the_gate_for_all_and_counts_against_no_lead(house: House, pool: Iterator[str]) -> None:
    """Whichever call is throttled, the others wait without asking."""
    leads = list(islice(pool, 800))
    house.set_faults(
        *(
            {"method": method, "do": "status", "status": 429, "headers": {"Retry-After": "1"}, "times": 1, "skip": 1}
            for method in (POST, STATUS, READ)
        ),
        {"method": "*", "do": "latency", "seconds": 0.05},
        *({"method": POST, "do": "job_partial", "ids": [chunk[0]], "times": 1} for chunk in chunks(leads)),
    )
    rows = ended(house, enqueue(house, leads))
    assert kinds(rows) == {CONVERTED: 800}
    assert Counter(row["attempts"] for row in rows.values()) == {1: 784, 2: 16}


# --- the answer to the status call ------------------------------------------------------------------------


@takes(
    Row.JOB_RUNS,
    Row.JOB_COUNTS_DIFFER,
    Row.JOB_FAILED,
    Row.JOB_UNKNOWN_YET,
    Row.JOB_UNKNOWN,
    Row.JOB_OVERDUE,
    Row.OVERDUE_WATCHED,
    Row.STATUS_RETRY,
    Row.READ_RETRY,
    Row.UNCONVERTED_AGAIN,
)
def test_jobs_that_end_oddly_are_settled_by_the_leads_own_state(house: House, pool: Iterator[str]) -> None:
    """Counts that differ, failed with some and with none converted, slow, unknown at first, unknown for ever."""
    leads = list(islice(pool, 400))
    first, second, third, fourth, fifth, sixth, *_ = chunks(leads)
    odd: list[dict[str, Any]] = [
        {"do": "job_partial", "ids": first[:7]},
        {"do": "job_fails", "ids": second[:20]},
        {"do": "job_fails", "ids": third},
        {"do": "job_slow", "ids": fourth, "seconds": 6},
        {"do": "job_unknown", "ids": fifth, "seconds": 3},  # longer than the first look waits
        {"do": "job_unknown", "ids": sixth},
    ]
    house.set_faults(
        *({"method": POST, "times": 1, **job} for job in odd),
        {"method": STATUS, "do": "status", "status": 500, "times": 1},
        {"method": READ, "do": "drop", "times": 1},
    )
    assert kinds(ended(house, enqueue(house, leads))) == {CONVERTED: 400}
    assert submissions(house, leads) == {2: 7 + 20 + 50, 1: 400 - 77}


@takes(Row.JOB_OVERDUE, Row.OVERDUE_WATCHED, Row.SETTLED)
def test_a_job_that_never_ends_ends_no_lead_until_zoho_shows_it_converted(house: House, pool: Iterator[str]) -> None:
    leads = list(islice(pool, 50))
    house.set_faults({"method": POST, "do": "job_never_ends", "times": 1})
    batch = enqueue(house, leads)
    until(lambda: [step.row for step in steps(house)].count(Row.OVERDUE_WATCHED) > 1, 20, "a second look")
    assert (batch.progress().state.value, batch.progress().sent) == ("running", 50)
    house.ask("converted_by_hand", "PUT", leads)
    batch.wait(20)
    assert kinds(outcomes_of(batch)) == {CONVERTED: 50}
    assert submissions(house, leads) == {1: 50}


@takes(Row.OUT_OF_ATTEMPTS)
@pytest.mark.parametrize(("size", "most"), [(1, 3), (50, 9)])
def test_jobs_that_fail_each_time_fail_their_leads(house: House, pool: Iterator[str], size: int, most: int) -> None:
    """After three tries of a lead alone; where there are several, they are taken apart before."""
    leads = list(islice(pool, size))
    house.set_faults({"method": POST, "do": "job_fails"})
    rows = ended(house, enqueue(house, leads))
    assert kinds(rows) == {("failed", "NOT_CONVERTED"): size}
    assert 3 <= max(submissions(house, leads)) <= most


@takes(Row.JOB_COUNTS_DIFFER, Row.READ_LAGS)
def test_a_read_that_shows_less_than_the_count_is_repeated(house: House, pool: Iterator[str]) -> None:
    leads = list(islice(pool, 50))
    house.set_faults(
        {"method": POST, "do": "job_partial", "leads": 3, "times": 1},
        {"method": READ, "do": "stale", "seconds": 60, "times": 1},
    )
    assert kinds(ended(house, enqueue(house, leads))) == {CONVERTED: 50}
    assert submissions(house, leads) == {1: 47, 2: 3}


@takes(Row.JOB_ALL_CONVERTED)
@pytest.mark.parametrize("word", ["COMPLETED", "completed", "Completed", "cOmPlEtEd"])
def test_a_status_is_understood_in_any_case_with_whatever_else_comes_along(
    house: House, pool: Iterator[str], word: str
) -> None:
    leads = list(islice(pool, 50))
    job = {"Status": word, "total_count": "50", "Converted_Count": 50, "Failed_Count": None, "More": [{"x": 1}]}
    body = json.dumps({"data": [job], "info": {"status": "new"}, "tracking": {}})
    house.set_faults({"method": STATUS, "do": "status", "status": 200, "body": body, "times": 1})
    assert kinds(ended(house, enqueue(house, leads))) == {CONVERTED: 50}
    assert {step.row for step in steps(house)} == {Row.ACCEPTED, Row.JOB_ALL_CONVERTED}


# --- all of them ------------------------------------------------------------------------------------------


def test_every_row_of_the_decision_table_is_taken_by_an_acceptance_test() -> None:
    """By what the tests declare, and each is held to its word."""
    for module in pkgutil.iter_modules(tests.acceptance.__path__):
        if module.name.startswith("test_"):
            import_module(f"tests.acceptance.{module.name}")
    missing = set(Row) - TAKEN.keys()
    assert missing == set(), sorted(row.value for row in missing)
