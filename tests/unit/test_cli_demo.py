"""massconvert demo, convert and simulator: what is decided before and after processes run."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from massconvert.cli.convert import batch_id_of
from massconvert.cli.demo import closing_line, environment, judge
from massconvert.contract import Exit
from massconvert.leads import open_leads
from massconvert.model import Kind, LeadRow, Outcome
from massconvert.options import Options
from massconvert.settings import load_settings
from massconvert.simulator import Simulator
from tests.unit.cli_shell import OPTIONS, A, B, C, Shell

CONVERTED = Outcome(Kind.CONVERTED)
NOT_FOUND = Outcome(Kind.FAILED, "NOT_FOUND")
ALREADY = Outcome(Kind.SKIPPED, "ALREADY_CONVERTED")
BEFORE = {A: {"converted": False}, B: {"converted": True}}
AFTER = {A: {"converted": True, "conversions": 1}, B: {"converted": True, "conversions": 0}}
TRUE = {A: CONVERTED, B: ALREADY, C: NOT_FOUND}


def verdict(outcomes: dict[str, Outcome | None], after: dict[str, Any] = AFTER) -> tuple[str, ...]:
    rows = [LeadRow(lead, outcome) for lead, outcome in outcomes.items()]
    return judge(rows, [A, B, C], BEFORE, after).wrong


def test_outcomes_that_equal_the_truth_are_right() -> None:
    assert verdict({**TRUE}) == ()


@pytest.mark.parametrize(
    ("lead", "outcome", "told"),
    [
        (A, NOT_FOUND, f"{A} is reported as failed NOT_FOUND, and is converted"),
        (A, None, f"{A} is reported as not ended, and is converted"),
        (B, CONVERTED, f"{B} is reported as converted, and is skipped ALREADY_CONVERTED"),
        (C, CONVERTED, f"{C} is reported as converted, and is failed NOT_FOUND"),
    ],
)
def test_an_outcome_that_is_not_the_truth_is_found(lead: str, outcome: Outcome | None, told: str) -> None:
    assert verdict({**TRUE, lead: outcome}) == (told,)


def test_a_missing_and_a_surplus_lead_are_found() -> None:
    assert len(verdict({A: CONVERTED, B: ALREADY, "7": CONVERTED})) == 2


def test_a_lead_that_was_converted_twice_is_found() -> None:
    twice = {**AFTER, A: {"converted": True, "conversions": 2}}
    assert verdict({**TRUE}, twice) == (f"{A} was converted 2 times",)


def test_a_lead_that_is_reported_twice_is_found() -> None:
    rows = [LeadRow(lead, outcome) for lead, outcome in [*TRUE.items(), (A, CONVERTED)]]
    assert judge(rows, [A, B, C], BEFORE, AFTER).wrong == (f"{A} is reported twice",)


def test_the_closing_line_has_the_calls_and_the_fewest_possible() -> None:
    calls = Counter({"POST mass_convert": 30, "GET mass_convert": 21, "GET Leads": 9})
    line = closing_line(1000, 990, 4.0, 7.0, calls)
    assert "1,000 leads in 4.0 s (250 a second" in line
    assert "30 payloads, 21 status calls, 9 reads" in line
    assert "20 payloads and 20 status calls" in line


def test_a_demo_takes_nothing_from_this_machines_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever has a real account in the environment does not convert its leads with a demo."""
    real = {
        "REDIS_URL": "redis://production.invalid:6379/0",
        "CELERY_BROKER_URL": "redis://production.invalid:6379/1",
        "ZOHO_REFRESH_TOKEN": "real-but-invented",
        "ZOHO_DATA_CENTER": "eu",
        "MASSCONVERT_ACCOUNT": "production",
        "MASSCONVERT_STATE_DIR": "/nowhere",
    }
    simulator = Simulator(1)
    monkeypatch.setattr(Simulator, "url", "http://127.0.0.1:1")
    settings = load_settings({**real, **environment(simulator)}, dotenv=None)
    assert not settings.redis_url_given
    assert "production" not in settings.broker_url
    assert settings.zoho_refresh_token.get_secret_value() != "real-but-invented"
    assert (settings.account, settings.zoho_api_domain) == ("demo", "http://127.0.0.1:1")
    assert str(settings.state_dir) != "/nowhere"


def test_the_same_leads_and_options_are_the_same_batch_and_others_are_not() -> None:
    def name(*ids: str, options: Any = OPTIONS) -> str:
        with open_leads(ids=ids) as leads:
            return batch_id_of(leads, Options.parse(options))

    assert name(A, B) == name(A, f"zcrm_{B}") == name(A, B, options=json.loads(json.dumps(OPTIONS)))
    assert len({name(A, B), name(A), name(A, C), name(A, B, options={**OPTIONS, "assign_to": {"id": "6"}})}) == 4


def test_convert_without_credentials_is_status_3_and_names_them(shell: Shell) -> None:
    said = shell.run("convert", A, "--options", shell.options())
    assert said.code == Exit.UNREACHABLE
    assert "ZOHO_REFRESH_TOKEN" in said.err
    assert "massconvert demo" in said.err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("none.csv",), "none.csv is neither"),
        ((A, "--key", "a b"), "cannot name a batch"),
        ((A, "--output", "x.xlsx"), "x.xlsx does not say in which form"),
        ((A, "--options", "none.json"), "cannot be read"),
    ],
)
def test_convert_checks_what_was_typed_before_it_starts_anything(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], told: str
) -> None:
    for name in ("ZOHO_CLIENT_ID", "ZOHO_CLIENT_SECRET", "ZOHO_REFRESH_TOKEN"):
        monkeypatch.setenv(name, "invented")
    monkeypatch.setattr("massconvert.cli.one_machine.Stack", None)
    said = shell.run("convert", "--no-deal", *arguments)
    assert said.code == Exit.USAGE
    assert told in said.err


def test_demo_refuses_a_file_that_is_there(shell: Shell) -> None:
    shell.write("mine.csv", "mine")
    said = shell.run("demo", "--output", "mine.csv")
    assert said.code == Exit.USAGE
    assert "--force" in said.err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--faults", "none.json"), "none.json"),
        (("--leads", "1", "--unknown", "5"), ""),
        (("--port", "70000"), "--port"),
    ],
)
def test_a_simulator_that_cannot_start_is_status_2(shell: Shell, arguments: tuple[str, ...], told: str) -> None:
    said = shell.run("simulator", *arguments)
    assert said.code == Exit.USAGE
    assert said.out == ""
    assert told in said.err
