"""massconvert.testing: what a shop's own tests rely on. The fixtures are found by their entry point, as in a shop."""

from __future__ import annotations

import socket
import time
from typing import Any

import pytest
from celery import Celery

from massconvert import Deal, InputError, KeyConflictError, Kind, MassConvert, Options, OptionsError
from massconvert.settings import Settings
from massconvert.simulator import Rules
from massconvert.testing import FakeCrm, StuckError

#: Made before any fixture, as an app's own module does.
EARLY = MassConvert(Settings(REDIS_URL="redis://nowhere.invalid:1/0"))
ANN = "3652397000000281001"
OPTIONS = Options(deal=Deal(name="Renewal", stage="Needs Analysis", closing_date="+30d"), assign_to=ANN)
LEADS = [str(7_000_000_000_000_000_001 + number) for number in range(120)]


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever opens a connection has left the test's own process."""

    def refuse(*_: Any) -> None:
        raise AssertionError("a connection was made")

    monkeypatch.setattr(socket.socket, "connect", refuse)


def kinds(batch: Any) -> list[str]:
    """The outcomes, in the order of the report; with their code where there is one."""
    return [f"{row.outcome.kind.value} {row.outcome.code}".strip() for row in batch.outcomes()]


def test_what_is_enqueued_is_converted_before_the_call_returns(mass_convert: MassConvert, zoho_crm: FakeCrm) -> None:
    began = time.monotonic()
    batch = mass_convert.enqueue(LEADS, OPTIONS, key="k")
    assert batch.progress().converted == 120
    assert batch.wait(timeout=0).finished
    assert {row.lead_id for row in batch.outcomes()} == set(LEADS)
    truth = zoho_crm.truth()
    assert all(truth[lead]["converted"] and truth[lead]["deal_id"] for lead in LEADS)
    assert zoho_crm.calls()["POST mass_convert"] == 3
    assert time.monotonic() - began < 5


def test_leads_that_do_not_exist_or_are_converted_already_end_as_zoho_has_it(
    mass_convert: MassConvert, zoho_crm: FakeCrm
) -> None:
    zoho_crm.unknown.add(LEADS[0])
    zoho_crm.convert_by_hand(LEADS[1])
    batch = mass_convert.enqueue(LEADS[:3], OPTIONS)
    found = {row.lead_id: row.outcome for row in batch.outcomes() if row.outcome}
    assert (found[LEADS[0]].kind, found[LEADS[0]].code) == (Kind.FAILED, "NOT_FOUND")
    assert (found[LEADS[1]].kind, found[LEADS[1]].code) == (Kind.SKIPPED, "ALREADY_CONVERTED")
    assert found[LEADS[2]].kind is Kind.CONVERTED


@pytest.mark.parametrize(
    "fault",
    [
        {"method": "POST mass_convert", "when": "after", "do": "status", "status": 500, "times": 2},
        {"method": "POST mass_convert", "when": "before", "do": "drop", "times": 2},
        {"method": "POST mass_convert", "when": "after", "do": "hang", "seconds": 3600, "times": 1},
        {"method": "POST mass_convert", "do": "job_partial", "leads": 5, "times": 1},
        {"method": "GET mass_convert", "do": "garbage", "times": 3},
        {"method": "*", "do": "status", "status": 429, "times": 3},
        {"method": "*", "do": "expire_tokens", "times": 2},
    ],
    ids=lambda fault: f"{fault['do']} {fault.get('when', '')}",
)
def test_faults_are_survived_as_in_production_and_days_pass_in_no_time(
    mass_convert: MassConvert, zoho_crm: FakeCrm, fault: dict[str, Any]
) -> None:
    zoho_crm.organisation.set_faults([fault])
    batch = mass_convert.enqueue(LEADS[:60], OPTIONS)
    assert batch.progress().converted == 60
    assert zoho_crm.organisation.fired()
    assert all(lead["conversions"] == 1 for lead in zoho_crm.truth().values())


def test_wrong_options_and_ids_are_told_as_in_production(mass_convert: MassConvert) -> None:
    with pytest.raises(OptionsError, match="Stage"):
        mass_convert.enqueue(LEADS[:1], {"Deals": {"Deal_Name": "x"}})
    with pytest.raises(InputError, match=r"3\.65E"):
        mass_convert.enqueue(["3.65E+18"])
    mass_convert.enqueue(LEADS[:1], OPTIONS, key="k")
    with pytest.raises(KeyConflictError):
        mass_convert.enqueue(LEADS[:1], key="k")


def test_users_and_stages_of_the_shop_s_own_organisation_are_taken(mass_convert: MassConvert) -> None:
    """Nobody has to copy his CRM's metadata into a test."""
    ours = {"Deals": {"Deal_Name": "x", "Stage": "Sealed", "Closing_Date": "+1d"}, "assign_to": {"id": "77"}}
    assert mass_convert.enqueue(LEADS[:1], ours).progress().converted == 1


def test_the_same_key_again_converts_nothing_twice(mass_convert: MassConvert, zoho_crm: FakeCrm) -> None:
    for _ in range(2):
        assert mass_convert.enqueue(LEADS[:2], OPTIONS, key="k").progress().converted == 2
    assert len(zoho_crm.batches()) == 1
    assert zoho_crm.calls()["POST mass_convert"] == 1


def test_a_producer_that_was_made_long_before_the_test_is_diverted_too(zoho_crm: FakeCrm) -> None:
    assert EARLY.enqueue(LEADS[:2], OPTIONS).progress().converted == 2
    assert len(zoho_crm.truth()) == 2


def test_without_the_fixture_nothing_is_diverted() -> None:
    assert "_intake" not in vars(MassConvert)


def test_a_message_of_an_app_that_has_only_celery_is_worked_on(zoho_crm: FakeCrm) -> None:
    app = Celery(broker="redis://nowhere.invalid:1/0", set_as_current=False)
    kwargs = {"options": OPTIONS.body(), "key": "shop-1"}
    app.send_task("massconvert.enqueue", args=[LEADS[:2]], kwargs=kwargs, queue="massconvert", ignore_result=True)
    (batch,) = zoho_crm.batches()
    assert (batch.batch, batch.converted) == ("shop-1", 2)
    task = app.signature("massconvert.enqueue", kwargs={"lead_ids": LEADS[2:4], "options": OPTIONS.body()})
    sent = task.set(queue="massconvert").apply_async(ignore_result=True)
    assert zoho_crm.batches()[0].batch == sent.id


def test_a_message_that_a_worker_would_drop_with_a_line_in_its_log_is_an_error(zoho_crm: FakeCrm) -> None:
    app = Celery(broker="redis://nowhere.invalid:1/0", set_as_current=False)
    for kwargs, error in (
        ({"lead_ids": LEADS[:1], "options": {"Deal": {}}}, OptionsError),
        ({"lead_ids": "12"}, InputError),
        ({"lead_ids": LEADS[:1], "colour": "red"}, TypeError),
        ({"lead_ids": {1, 2}}, TypeError),
    ):
        with pytest.raises(error):
            app.send_task("massconvert.enqueue", kwargs=kwargs)
    assert zoho_crm.batches() == []


def test_other_messages_go_where_they_always_went(zoho_crm: FakeCrm, monkeypatch: pytest.MonkeyPatch) -> None:
    app = Celery(broker="memory://", set_as_current=False)
    assert app.send_task("shop.mail", args=[1]).id
    assert zoho_crm.batches() == []


def test_work_can_be_left_until_it_is_asked_for(mass_convert: MassConvert, zoho_crm: FakeCrm) -> None:
    """To see what the app makes of a batch that runs."""
    zoho_crm.by_itself = False
    batch = mass_convert.enqueue(LEADS, OPTIONS)
    assert (batch.progress().state.value, batch.progress().waiting) == ("running", 120)
    assert mass_convert.cancel(batch.id)[0] == 120
    zoho_crm.work()
    assert batch.progress().cancelled == 120
    assert zoho_crm.calls()["POST mass_convert"] == 0


def test_an_organisation_that_pauses_leaves_the_batch_paused() -> None:
    crm = FakeCrm(rules=Rules(may_convert=False))
    batch = crm.receive({"lead_ids": LEADS[:2], "options": OPTIONS.body()}, "m1")
    assert batch.progress().state.value == "paused"


def test_a_job_that_never_ends_is_an_error_that_names_it_and_no_endless_test() -> None:
    crm = FakeCrm(faults=[{"method": "POST mass_convert", "do": "job_never_ends"}])
    with pytest.raises(StuckError, match=r"payload 1 is (running|settling) \(job [0-9]+\)"):
        crm.receive({"lead_ids": LEADS[:2], "options": OPTIONS.body()}, "m1")
