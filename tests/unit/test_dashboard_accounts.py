"""The page of several accounts: a switch, each account's own batches, buttons and metrics; one door for all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from massconvert import MassConvert
from massconvert.dashboard import app
from massconvert.errors import NotConfiguredError
from massconvert.ledger import Ledger
from massconvert.policy import Tuning
from massconvert.settings import Settings
from massconvert.testing import FakeCrm
from tests.unit.page_visitor import OPTIONS, TOKEN, Visitor, lead_ids, links

A, B, C = lead_ids(3)
TOML = '[accounts.emea]\ndata_center = "eu"\n[accounts.asia-2]\ndata_center = "in"\n'


@pytest.fixture
def toml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MASSCONVERT_CONFIG", str(tmp_path / "massconvert.toml"))
    path = tmp_path / "massconvert.toml"
    path.write_text(TOML)
    return path


def visit(
    crm: FakeCrm, monkeypatch: pytest.MonkeyPatch, toml: Path, account: str | None = None, **access: Any
) -> Visitor:
    """A visitor, and a batch ``theirs`` of the account emea, ``b`` of the environment's own."""
    crm.by_itself = False
    crm.intake.take([A], OPTIONS, key="b")
    ledger = Ledger(crm.redis, "emea", Tuning())
    ledger.batches.open("theirs", "f" * 16, OPTIONS, leads=2)
    ledger.batches.add("theirs", "1", [B, C])
    ledger.batches.seal("theirs", flush=True)
    return Visitor(crm, monkeypatch, config=toml, account=account, **access)


def test_each_account_has_its_own_pages_and_a_switch_leads_there(
    zoho_crm: FakeCrm, monkeypatch: pytest.MonkeyPatch, toml: Path
) -> None:
    visitor = visit(zoho_crm, monkeypatch, toml, prefix="/jobs")
    home, theirs = visitor.get("/").text, visitor.get("/accounts/emea/").text
    for page in (home, theirs):
        assert {"/jobs/", "/jobs/accounts/emea/", "/jobs/accounts/asia-2/"} <= set(links(page))
    assert "Account default" in visitor.text("/")
    assert "Account emea" in visitor.text("/accounts/emea/")
    assert "/jobs/batches/b" in links(home)
    assert "/jobs/accounts/emea/batches/theirs" in links(theirs)
    assert "theirs" not in home
    assert visitor.get("/batches/theirs").status_code == 404
    assert visitor.get("/accounts/emea/batches/theirs").status_code == 200
    assert visitor.get("/accounts/asia-2/batches/theirs").status_code == 404


def test_a_button_of_an_account_is_pressed_there_alone(
    zoho_crm: FakeCrm, monkeypatch: pytest.MonkeyPatch, toml: Path
) -> None:
    visitor = visit(zoho_crm, monkeypatch, toml)
    answer = visitor.post("/accounts/emea/pause", {"reason": "ours alone"})
    assert answer.headers["location"] == "/accounts/emea/?done=stop"
    assert Ledger(zoho_crm.redis, "emea", Tuning()).organisation.paused()
    assert zoho_crm.ledger.organisation.paused() is None
    assert "ours alone" in visitor.text("/accounts/emea/")
    assert "ours alone" not in visitor.text("/")


def test_an_account_that_is_not_there_is_told_and_a_new_one_needs_no_restart(
    zoho_crm: FakeCrm, monkeypatch: pytest.MonkeyPatch, toml: Path
) -> None:
    visitor = visit(zoho_crm, monkeypatch, toml)
    answer = visitor.get("/accounts/emea2/")
    assert answer.status_code == 404
    assert "There is no account" in answer.text
    toml.write_text(f'{TOML}[accounts.emea2]\ndata_center = "eu"\n# longer\n')
    assert visitor.get("/accounts/emea2/").status_code == 200


def test_one_that_is_named_is_shown_alone(zoho_crm: FakeCrm, monkeypatch: pytest.MonkeyPatch, toml: Path) -> None:
    visitor = visit(zoho_crm, monkeypatch, toml, account="emea")
    page = visitor.get("/").text
    assert "/batches/theirs" in links(page)
    assert not [link for link in links(page) if "/accounts/" in link]
    assert visitor.get("/accounts/asia-2/").status_code == 404
    assert 'account="emea"' in visitor.get("/metrics").text
    assert 'account="default"' not in visitor.get("/metrics").text
    with pytest.raises(NotConfiguredError):
        app(Settings(MASSCONVERT_CONFIG=toml), account="nobody")


def test_the_metrics_are_of_all_accounts_and_of_one_below_its_own(
    zoho_crm: FakeCrm, monkeypatch: pytest.MonkeyPatch, toml: Path
) -> None:
    visitor = visit(zoho_crm, monkeypatch, toml)
    found = visitor.get("/metrics").text
    waiting = {
        f'massconvert_leads_waiting{{account="{name}"}} {leads}'
        for name, leads in (("default", 1), ("emea", 2), ("asia-2", 0))
    }
    assert waiting <= set(found.splitlines())
    assert found.count("# HELP massconvert_leads_waiting ") == 1
    alone = visitor.get("/accounts/emea/metrics").text
    assert 'account="emea"' in alone
    assert 'account="default"' not in alone


def test_one_door_is_before_all_of_them(zoho_crm: FakeCrm, monkeypatch: pytest.MonkeyPatch, toml: Path) -> None:
    visitor = visit(zoho_crm, monkeypatch, toml, token=TOKEN)
    answer = visitor.get("/accounts/emea/batches/theirs")
    assert (answer.status_code, answer.headers["location"]) == (303, "/login?next=/accounts/emea/batches/theirs")
    assert visitor.post("/accounts/emea/pause").status_code == 401
    assert visitor.get("/accounts/emea/metrics").status_code == 303
    assert visitor.get("/accounts/emea/metrics", authorization=f"Bearer {TOKEN}").status_code == 200
    strange = visitor.post("/accounts/emea/pause", of={"sec-fetch-site": "cross-site"}, authorization=f"Bearer {TOKEN}")
    assert strange.status_code == 403
    assert Ledger(zoho_crm.redis, "emea", Tuning()).organisation.paused() is None
    visitor.post("/login", {"token": TOKEN, "name": "Ann", "next": "/accounts/emea/"})
    page = visitor.get("/accounts/emea/")
    assert page.status_code == 200
    assert "/logout" in links(page.text)


def test_read_only_is_read_only_everywhere(zoho_crm: FakeCrm, monkeypatch: pytest.MonkeyPatch, toml: Path) -> None:
    visitor = visit(zoho_crm, monkeypatch, toml, read_only=True)
    assert visitor.post("/accounts/emea/pause").status_code == 403
    assert "/accounts/emea/pause" not in links(visitor.get("/accounts/emea/").text)


def test_without_named_accounts_there_is_no_switch(
    zoho_crm: FakeCrm, mass_convert: MassConvert, monkeypatch: pytest.MonkeyPatch
) -> None:
    visitor = Visitor(zoho_crm, monkeypatch)
    assert not [link for link in links(visitor.get("/").text) if "/accounts/" in link]
