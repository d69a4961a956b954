"""Each example does what it says: by its own routes and commands, against the CRM of massconvert.testing."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from massconvert.testing import FakeCrm
from tests.acceptance.house import ROOT, House, until

LEADS = ["3652397000009850001", "3652397000009851001"]


# --- Flask and FastAPI: the same two routes -------------------------------------------------------------------


@pytest.fixture(params=["flask", "fastapi"])
def client(request: pytest.FixtureRequest, zoho_crm: FakeCrm) -> Any:
    """A test client of the framework's own."""
    if request.param == "flask":
        return importlib.import_module("examples.flask_app").app.test_client()
    from fastapi.testclient import TestClient  # noqa: PLC0415 - one framework a test

    return TestClient(importlib.import_module("examples.fastapi_app").app)


def body_of(response: Any) -> Any:
    """The JSON of an answer; in one client a value, in the other a method."""
    return response.json() if callable(response.json) else response.json


def test_a_won_quote_s_leads_are_converted_once_however_often_it_is_won(client: Any, zoho_crm: FakeCrm) -> None:
    for _ in range(2):
        response = client.post("/quotes/7/won", json={"lead_ids": LEADS})
        assert (response.status_code, body_of(response)) == (202, {"batch": "quote-7"})
    progress = body_of(client.get("/quotes/7"))
    assert (progress["state"], progress["converted"], progress["total"]) == ("finished", 2, 2)
    assert all(zoho_crm.truth()[lead]["conversions"] == 1 for lead in LEADS)


def test_what_is_wrong_is_told_to_the_caller(client: Any, zoho_crm: FakeCrm) -> None:
    response = client.post("/quotes/7/won", json={"lead_ids": ["3.65E+18"]})
    assert response.status_code == 400
    assert "3.65E+18" in body_of(response)["error"]
    assert client.get("/quotes/8").status_code == 404
    assert zoho_crm.batches() == []


def test_a_producer_without_redis_answers_503_in_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a shop would see it: no fixture, and nobody there."""
    from massconvert import MassConvert  # noqa: PLC0415 - beside the example
    from massconvert.settings import Settings  # noqa: PLC0415 - as above

    example = importlib.import_module("examples.flask_app")
    monkeypatch.setattr(example, "mass_convert", MassConvert(Settings(REDIS_URL="redis://127.0.0.1:1/0")))
    response = example.app.test_client().post("/quotes/7/won", json={"lead_ids": LEADS})
    assert response.status_code == 503
    assert "Redis at 127.0.0.1:1 cannot be reached" in response.json["error"]


# --- Django ---------------------------------------------------------------------------------------------------


@pytest.fixture
def django(zoho_crm: FakeCrm, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The example's project, with its tables in memory; yields its models."""
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "examples.django_shop.settings")
    import django  # noqa: PLC0415 - once its settings are named
    from django.core.management import call_command  # noqa: PLC0415 - as above
    from django.db import connection  # noqa: PLC0415 - as above

    django.setup()
    call_command("migrate", run_syncdb=True, verbosity=0)
    yield importlib.import_module("examples.django_shop.models")
    connection.close()


def test_a_quote_that_is_won_keeps_its_batch_and_its_leads_are_converted(django: Any, zoho_crm: FakeCrm) -> None:
    from django.test import Client  # noqa: PLC0415 - once its settings are named

    quote = django.Quote.objects.create(lead_ids=LEADS)
    client = Client()
    assert client.get(f"/quotes/{quote.pk}").json() == {"won": False, "progress": None}
    response = client.post(f"/quotes/{quote.pk}/win")
    assert (response.status_code, response.json()) == (202, {"batch": f"quote-{quote.pk}"})
    page = client.get(f"/quotes/{quote.pk}").json()
    assert (page["won"], page["progress"]["converted"]) == (True, 2)


def test_nothing_is_enqueued_before_the_commit_nor_after_a_rollback(django: Any, zoho_crm: FakeCrm) -> None:
    from django.db import transaction  # noqa: PLC0415 - once its settings are named

    quote = django.Quote.objects.create(lead_ids=LEADS)
    with transaction.atomic():
        quote.win()
        assert quote.batch == f"quote-{quote.pk}"
        assert zoho_crm.batches() == []
        transaction.set_rollback(True)
    assert zoho_crm.batches() == []
    quote.win()
    assert [batch.converted for batch in zoho_crm.batches()] == [2]


def test_wrong_ids_roll_the_quote_back(django: Any, zoho_crm: FakeCrm) -> None:
    from django.test import Client  # noqa: PLC0415 - once its settings are named

    quote = django.Quote.objects.create(lead_ids=["3.65E+18"])
    assert Client().post(f"/quotes/{quote.pk}/win").status_code == 400
    quote.refresh_from_db()
    assert not quote.won
    assert zoho_crm.batches() == []


def test_a_batch_without_a_key_is_named_before_the_commit_too(django: Any, zoho_crm: FakeCrm) -> None:
    from massconvert.contrib.django import enqueue_on_commit  # noqa: PLC0415 - once its settings are named

    first, second = (enqueue_on_commit([lead]) for lead in LEADS)
    assert {batch.batch for batch in zoho_crm.batches()} == {first, second}


def test_a_broker_that_is_away_at_the_commit_is_logged_and_no_error(
    django: Any, zoho_crm: FakeCrm, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The leads are in the ledger."""
    from massconvert.contrib.django import enqueue_on_commit  # noqa: PLC0415 - once its settings are named
    from massconvert.errors import BrokerError  # noqa: PLC0415 - as above

    def away(_countdown: float = 0.0, **_: Any) -> None:
        raise BrokerError("The message broker cannot be reached.")

    zoho_crm.by_itself = False
    monkeypatch.setattr(zoho_crm._messages, "chunk", away)
    batch_id = enqueue_on_commit(LEADS)
    assert zoho_crm.batches()[0].batch == batch_id
    assert f"accepted as batch {batch_id}" in caplog.text


# --- Celery alone ---------------------------------------------------------------------------------------------


def test_an_app_that_has_only_celery_enqueues_by_name(zoho_crm: FakeCrm) -> None:
    example = importlib.import_module("examples.celery_only")
    assert example.quote_won(7, LEADS) == example.quote_won(7, LEADS) == "quote-7"
    assert [(batch.batch, batch.converted) for batch in zoho_crm.batches()] == [("quote-7", 2)]


def test_the_stub_imports_nothing_of_massconvert() -> None:
    """It is to be copied into apps that do not have it."""
    code = "import sys, examples.massconvert_stub; sys.exit(any(m.split('.')[0] == 'massconvert' for m in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False, timeout=60).returncode == 0


@pytest.mark.acceptance
def test_the_command_of_the_example_reaches_real_workers(tmp_path: Path) -> None:
    """Over a real broker; and without one it ends in seconds, with an error."""
    house = House(tmp_path)
    try:
        house.redis()
        house.simulator("--leads", "10", "--job-seconds", "0.2")
        house.worker()
        leads = house.leads()[:2]
        env = {**os.environ, "CELERY_BROKER_URL": house.broker.url}
        command = [sys.executable, "-m", "examples.celery_only", *leads]
        done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=60, check=True)
        assert done.stdout == "quote-7\n"
        until(lambda: all(house.truth()[lead]["converted"] for lead in leads), 30, "the conversion")
        env["CELERY_BROKER_URL"] = "redis://127.0.0.1:1/0"
        done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=30, check=False)
        assert done.returncode == 1
        assert "OperationalError" in done.stderr
    finally:
        house.close()
