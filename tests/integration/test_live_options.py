"""Options against a live organisation: the commands, over real HTTP and a real Redis, with every way to fail."""

from __future__ import annotations

import io
import json
import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from massconvert import wiring
from massconvert.cli import main
from massconvert.cli.interview import match
from massconvert.contract import Exit
from massconvert.model import Listing
from massconvert.options import Options
from massconvert.settings import Settings, load_settings
from massconvert.simulator import Rules, Simulator
from massconvert.simulator.rules import SCOPES
from massconvert.steps.check import check
from massconvert.store import connect

pytestmark = pytest.mark.integration
DEAL = {"Deal_Name": "Renewal", "Stage": "Needs Analysis", "Closing_Date": "+30d", "Pipeline": "Standard (Standard)"}
GOOD = {"Deals": DEAL, "assign_to": "ann@example.com", "carry_over_tags": ["Contacts"], "portal_user_type": "Client"}
LEAD = "3652397000009850001"

MakeSimulator = Callable[..., Simulator]


class Terminal(io.StringIO):
    """What a person types."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def simulate(redis_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[MakeSimulator]:
    """Starts the simulator and points the environment at it."""
    started: list[Simulator] = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REDIS_URL", redis_url)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("ZOHO_CONCURRENCY", "5")
    monkeypatch.setenv("MASSCONVERT_CALL_DEADLINE", "4")
    monkeypatch.setenv("MASSCONVERT_PERMIT_WAIT", "0.2")

    def make(faults: Any = (), **rules: Any) -> Simulator:
        started.append(Simulator(10, rules=Rules(pipelines=True, **rules), faults=faults).start())
        for name, value in started[-1].environment().items():
            monkeypatch.setenv(name, value)
        return started[-1]

    yield make
    for simulator in started:
        simulator.close()


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    def command(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main(arguments)
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return code, out, err

    return command


Run = Callable[..., tuple[int, str, str]]


def write(options: Any, name: str = "o.json") -> str:
    Path(name).write_text(json.dumps(options), encoding="utf-8")
    return name


# --- check ----------------------------------------------------------------------------------------------------


def test_good_options_are_ok_and_cost_no_post(simulate: MakeSimulator, run: Run) -> None:
    simulator = simulate()
    assert run("options", "check", write(GOOD)) == (Exit.OK, "o.json: ok\n", "")
    calls = simulator.calls()
    assert calls["POST mass_convert"] == 0
    run("options", "check", "o.json")
    assert simulator.calls() == calls  # what was read is kept


def test_every_problem_is_told_at_once_for_people_and_for_scripts(simulate: MakeSimulator, run: Run) -> None:
    simulate(mandatory_deal_fields=frozenset({"Type"}))
    wrong = {
        "Deals": {**DEAL, "Stage": "Need Analysis", "Amount": "much", "Sorce": "web"},
        "assign_to": "anne@example.com",
        "portal_user_type": "Clients",
        "colour": "red",
    }
    code, out, _ = run("options", "check", write(wrong), "--json")
    found = json.loads(out)
    assert (code, found["ok"]) == (Exit.USAGE, False)
    assert [problem["path"] for problem in found["problems"]] == [
        "$.colour",
        "$.Deals.Type",
        "$.Deals.Amount",
        "$.Deals.Sorce",
        "$.Deals.Stage",
        "$.assign_to",
        "$.portal_user_type",
    ]
    code, out, _ = run("options", "check", "o.json")
    assert code == Exit.USAGE
    assert "problem: $.Deals.Stage is 'Need Analysis', but there is no such stage" in out
    assert "nearest: Ann Archer <ann@example.com>" in out


@pytest.mark.parametrize("scope", sorted(scope for scope in SCOPES if "settings" in scope or "users" in scope))
def test_a_missing_scope_is_a_warning_that_says_what_was_not_checked(
    scope: str, simulate: MakeSimulator, run: Run
) -> None:
    simulate(scopes=SCOPES - {scope})
    code, out, _ = run("options", "check", write(GOOD))
    assert code == Exit.OK
    assert scope in out
    assert "not checked: " in out
    assert out.endswith("o.json: ok\n")


@pytest.mark.parametrize("fault", [{"do": "drop"}, {"do": "hang", "seconds": 30}, {"do": "status", "status": 429}])
def test_when_zoho_is_away_the_check_says_so_within_seconds(
    fault: dict[str, Any], simulate: MakeSimulator, run: Run
) -> None:
    simulate([{"method": "*", **fault}])
    began = time.monotonic()
    code, out, err = run("options", "check", write(GOOD))
    assert (code, out) == (Exit.UNREACHABLE, "")
    assert "Zoho cannot be asked: " in err
    assert time.monotonic() - began < 10


def test_without_credentials_a_check_says_which_are_missing(
    simulate: MakeSimulator, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulate()
    monkeypatch.setenv("ZOHO_REFRESH_TOKEN", "")
    code, _, err = run("options", "check", write(GOOD))
    assert code == Exit.UNREACHABLE
    assert "Not set: ZOHO_REFRESH_TOKEN." in err


def test_an_options_file_that_is_not_json_is_told_with_its_line(simulate: MakeSimulator, run: Run) -> None:
    simulate()
    Path("o.json").write_text("{,")
    code, _, err = run("options", "check", "o.json")
    assert code == Exit.USAGE
    assert "not JSON at line 1" in err


# --- enqueue ----------------------------------------------------------------------------------------------------


def test_enqueue_with_credentials_tells_before_anything_is_enqueued(simulate: MakeSimulator, run: Run) -> None:
    simulator = simulate()
    code, _, err = run("enqueue", LEAD, "--options", write({**GOOD, "assign_to": "anne@example.com"}), "--key", "k")
    assert code == Exit.USAGE
    assert "$.assign_to is 'anne@example.com'" in err
    assert "Nothing was enqueued." in err
    assert run("status", "k")[0] == Exit.USAGE  # there is no such batch
    assert simulator.calls()["POST mass_convert"] == 0


def test_enqueue_writes_ids_so_that_workers_look_nothing_up(simulate: MakeSimulator, run: Run) -> None:
    simulate()
    assert run("enqueue", LEAD, "--options", write(GOOD), "--key", "k")[0] == Exit.OK
    body = wiring.connect_ledger(_settings()).batches.options("k")
    assert body["assign_to"] == {"id": "3652397000000281001"}
    assert body["carry_over_tags"] == [{"api_name": "Contacts", "id": "3652397000000002179"}]


@pytest.mark.parametrize(
    "fault",
    [
        {"method": "GET users", "do": "status", "status": 500},
        {"method": "GET users", "do": "drop"},
        {"method": "GET users", "do": "status", "status": 401, "code": "OAUTH_SCOPE_MISMATCH"},
        {"method": "POST token", "do": "status", "status": 500},
    ],
)
def test_enqueue_goes_on_when_names_cannot_be_looked_up_and_says_so(
    fault: dict[str, Any], simulate: MakeSimulator, run: Run
) -> None:
    simulate([fault])
    code, out, err = run("enqueue", LEAD, "--options", write(GOOD), "--key", "k")
    assert (code, out) == (Exit.OK, "Batch k: 1 lead accepted.\n")
    assert "not checked: users" in err
    assert "a worker will look the names up before it sends anything" in err
    assert wiring.connect_ledger(_settings()).batches.options("k")["assign_to"] == {"name": "ann@example.com"}


def test_enqueue_without_credentials_calls_nobody(
    simulate: MakeSimulator, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulator = simulate()
    monkeypatch.setenv("ZOHO_REFRESH_TOKEN", "")
    assert run("enqueue", LEAD, "--options", write({"assign_to": "nobody@example.com"}))[0] == Exit.OK
    assert simulator.calls() == {}


# --- init -------------------------------------------------------------------------------------------------------


def test_init_from_flags_writes_a_file_that_the_check_finds_ok(simulate: MakeSimulator, run: Run) -> None:
    simulate(mandatory_deal_fields=frozenset({"Type"}))
    flags = ["--deal-name", "Renewal", "--pipeline", "Renewals", "--stage", "Qualification", "--assign-to", "Bob Baker"]
    more = ["--field", "Type=New Business", "--field", "Amount=1200.5", "--tag", "Contacts", "--attachments", "Deals"]
    code, out, _ = run("options", "init", *flags, *more, "--output", "new.json")
    assert (code, out) == (Exit.OK, "")
    assert json.loads(Path("new.json").read_text())["Deals"]["Amount"] == 1200.5
    assert run("options", "check", "new.json")[0] == Exit.OK
    assert run("options", "init", *flags, "--output", "new.json")[0] == Exit.USAGE  # it is there already
    code, out, _ = run("options", "init", *flags, *more)
    assert json.loads(out)["assign_to"] == "Bob Baker"


def test_init_from_wrong_flags_writes_nothing_and_tells_all(simulate: MakeSimulator, run: Run) -> None:
    simulate()
    code, _, err = run("options", "init", "--deal-name", "x", "--stage", "y", "--tag", "Contact", "--output", "n.json")
    assert code == Exit.USAGE
    assert "$.carry_over_tags[0] is 'Contact'" in err
    code, _, err = run("options", "init", "--deal-name", "x", "--stage", "y", "--output", "n.json")
    assert "$.Deals.Pipeline is missing" in err
    assert "Nothing was written." in err
    assert not Path("n.json").exists()


def test_init_tells_what_is_wrong_here_and_at_zoho_at_once(simulate: MakeSimulator, run: Run) -> None:
    simulate()
    flags = ("--deal-name", "X", "--stage", "Nonsense", "--tag", "Foo", "--assign-to", "nobody@example.com")
    code, _, err = run("options", "init", *flags, "--output", "new.json")
    assert code == Exit.USAGE
    for path in ("$.carry_over_tags[0]", "$.Deals.Stage", "$.assign_to"):
        assert path in err
    assert "Nothing was written." in err
    assert "enqueued" not in err
    assert not Path("new.json").exists()


def test_init_asks_with_what_there_is_to_choose_from(
    simulate: MakeSimulator, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulate(mandatory_deal_fields=frozenset({"Type"}))
    # A deal, its name, pipeline 2, a stage, no date and then one, what is mandatory, Bob, tags, no attachments.
    answers = ["", "Renewal", "2", "closed won", "soon", "+14d", "New Business", "2", "contacts", "", "y"]
    monkeypatch.setattr("sys.stdin", Terminal("\n".join(answers) + "\n"))
    code, out, err = run("options", "init", "--output", "asked.json")
    assert (code, out) == (Exit.OK, "")
    assert "Negotiation/Review" in err
    assert json.loads(Path("asked.json").read_text()) == {
        "Deals": {
            "Deal_Name": "Renewal",
            "Pipeline": "Renewals",
            "Stage": "Closed Won",
            "Closing_Date": "+14d",
            "Type": "New Business",
        },
        "assign_to": "bob@example.com",
        "carry_over_tags": ["Contacts"],
    }
    assert run("options", "check", "asked.json")[0] == Exit.OK


def test_an_interview_that_is_broken_off_writes_nothing(
    simulate: MakeSimulator, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulate()
    monkeypatch.setattr("sys.stdin", Terminal("yes\n"))
    code, out, err = run("options", "init", "--output", "asked.json")
    assert (code, out) == (Exit.USAGE, "")
    assert "Nothing was written." in err
    assert not Path("asked.json").exists()


def test_init_without_a_terminal_names_the_flags(simulate: MakeSimulator, run: Run) -> None:
    simulate()
    code, _, err = run("options", "init")
    assert code == Exit.USAGE
    assert "--deal-name" in err


# --- the calls ----------------------------------------------------------------------------------------------------


def test_no_more_calls_at_once_than_the_organisation_allows_and_every_permit_comes_back(
    simulate: MakeSimulator,
) -> None:
    simulator = simulate(more_users=900)
    ports = wiring.open_ports(_settings())
    assert check(ports, Options.parse({**GOOD, "assign_to": "user899@example.com"}).body()).problems == ()
    assert simulator.load()["highest"] == 1
    assert simulator.load()["throttled"] == 0
    assert simulator.calls()["GET users"] == 5
    assert ports.ledger.shelf.look([Listing.USERS])[Listing.USERS].rows[-1]["email"] == "user899@example.com"
    assert connect(_settings().redis_url).zcard("mc:{default}:permits") == 0


def _settings() -> Settings:
    return load_settings()


def test_profiles_are_held_against_the_organisation(
    simulate: MakeSimulator, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """By `profile check` and by the dry run of one: a stage and an owner that are not there are told, exit 2."""
    simulate()
    (tmp_path / "massconvert.toml").write_text(
        '[profiles.p]\ncriteria.coql = "id is not null"\n[profiles.p.options]\nassign_to = "anne@example.com"\n'
        '[profiles.p.options.Deals]\nDeal_Name = "R"\nStage = "Nonsense"\nClosing_Date = "+30d"\n'
    )
    for arguments in (["profile", "check"], ["profile", "run", "p", "--dry-run"]):
        capsys.readouterr()
        assert main(arguments) == Exit.USAGE, arguments
        out, err = capsys.readouterr()
        assert "Nonsense" in out + err
        assert "anne@example.com" in out + err


# --- the access token between commands


@pytest.fixture
def no_redis_url(simulate: MakeSimulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Commands of a user without REDIS_URL; their state directory."""
    monkeypatch.delenv("REDIS_URL")
    monkeypatch.setenv("MASSCONVERT_STATE_DIR", str(tmp_path / "state"))
    return tmp_path / "state"


def test_without_redis_url_commands_share_one_token_in_a_file_of_the_users_own(
    simulate: MakeSimulator, run: Run, no_redis_url: Path
) -> None:
    """One request to the accounts server for three commands; nobody else may read the file, or look for it."""
    simulator = simulate()
    for _ in range(3):
        assert run("options", "check", write(GOOD))[0] == Exit.OK
    assert simulator.calls()["POST token"] == 1
    (kept,) = (no_redis_url / "tokens").iterdir()
    assert kept.stat().st_mode & 0o777 == 0o600
    assert kept.parent.stat().st_mode & 0o777 == 0o700
    assert os.environ["ZOHO_REFRESH_TOKEN"] not in kept.read_text()


@pytest.mark.parametrize("with_redis_url", [False, True])
def test_a_refused_kept_token_is_replaced(
    simulate: MakeSimulator,
    run: Run,
    no_redis_url: Path,
    monkeypatch: pytest.MonkeyPatch,
    redis_url: str,
    *,
    with_redis_url: bool,
) -> None:
    """By the command that meets the refusal, whether the token is in the file or in Redis."""
    if with_redis_url:
        monkeypatch.setenv("REDIS_URL", redis_url)
        monkeypatch.setenv("MASSCONVERT_ACCOUNT", f"refused-{time.time_ns()}")
    simulate()
    assert run("options", "check", write(GOOD))[0] == Exit.OK
    if with_redis_url:
        client = connect(redis_url)
        for key in client.scan_iter("mc:{refused-*}:listing:*"):
            client.delete(key)
        client.close()
    simulate()  # another, at which the old token is none
    for name in ("ZOHO_ACCOUNTS_URL", "ZOHO_API_DOMAIN"):
        assert os.environ[name]
    assert run("options", "check", "o.json") == (Exit.OK, "o.json: ok\n", "")


def test_a_refusal_of_tokens_says_how_long_to_wait(
    simulate: MakeSimulator, run: Run, no_redis_url: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten tokens in ten minutes are all that there are; here eleven commands lose theirs, each with its file."""
    simulate()
    said = ""
    for _ in range(11):
        code, out, err = run("options", "check", write(GOOD))
        said = out + err
        kept = next((no_redis_url / "tokens").glob("*.json"))
        found = json.loads(kept.read_text())
        kept.write_text(json.dumps({**found, "token": {}}))
        if code != Exit.OK:
            break
    assert re.search(r"another may be asked for in (\d+ s|\d+ min)", " ".join(said.split())), said


def test_what_needs_no_zoho_is_told_where_zoho_cannot_be_asked(
    simulate: MakeSimulator, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulate()
    monkeypatch.setenv("MASSCONVERT_ACCOUNT", "away")
    monkeypatch.setenv("ZOHO_ACCOUNTS_URL", "http://127.0.0.1:1")
    code, out, _ = run("options", "check", write({**GOOD, "ids": ["1"], "colour": "red"}))
    assert code == Exit.USAGE
    assert "$.colour" in out
    assert "$.ids" in out
    assert "not checked: " in out


def test_init_takes_what_people_type_and_says_what_would_be_right(
    simulate: MakeSimulator, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """y, a bare name, an e-mail address, several tags, a beginning, nobody; shown before it is written."""
    simulate()
    answers = ["y", "", "R", "Standard", "qualif", "tomorrow", "", "ann@example.com", "acc, 1", "none"]
    monkeypatch.setattr("sys.stdin", Terminal("\n".join([*answers, "yes"]) + "\n"))
    code, _, err = run("options", "init", "--output", "typed.json")
    assert code == Exit.OK, err
    body = json.loads(Path("typed.json").read_text())
    assert (body["Deals"]["Stage"], body["assign_to"]) == ("Qualification", "ann@example.com")
    assert len(body["carry_over_tags"]) == 2
    assert "Type a text." in err
    assert "a date like 2026-12-24" in err
    assert '"assign_to": "ann@example.com"' in err
    monkeypatch.setattr("sys.stdin", Terminal("n\n-\n1\nnone\nn\n"))
    code, _, err = run("options", "init", "--output", "not.json")
    assert "Nothing was written." in err
    assert not Path("not.json").exists()


def test_a_choice_that_two_names_fit_is_none() -> None:
    names = ["Ann Archer <ann@example.com>", "Anna Berg <anna@example.com>", "Bob"]
    assert match("an", names) is None
    assert match("ann archer", names) == names[0]
    assert match("ANNA@example.com", names) == names[1]
    assert match("b", names) == "Bob"
    assert match("4", names) is match("0", names) is match(" ", names) is None


# --- the dry run ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["enqueue", "convert"])
def test_a_dry_run_shows_what_the_first_deals_will_be_named_and_whose_they_will_be(
    simulate: MakeSimulator, run: Run, command: str
) -> None:
    simulator = simulate()
    first, second = simulator.lead_ids()[:2]
    good = {**GOOD, "Deals": {**DEAL, "Deal_Name": "{Company}: {Last_Name}"}}
    Path("leads.csv").write_text(f"id,deal.Deal_Name\n{first},\n{second},Her own\n")
    code, out, err = run(command, "leads.csv", "--options", write(good), "--dry-run", "--json")
    assert code == Exit.OK, err
    found = json.loads(out)
    own, brought = (each["values"]["Deal_Name"] for each in found["deals"]["examples"])
    assert (own, brought) == ("Company 0: Lead 0", "Her own")
    if command == "enqueue":  # which has looked the names up
        assert found["payload"]["assign_to"]["id"].isdigit()
    code, out, _ = run(command, "leads.csv", "--options", "o.json", "--dry-run")
    assert f"  {first}  Deal_Name: Company 0: Lead 0\n" in out
    assert simulator.calls()["POST mass_convert"] == 0


def test_a_dry_run_without_a_lead_to_read_says_why_there_is_no_example(simulate: MakeSimulator, run: Run) -> None:
    simulate()
    good = {**GOOD, "Deals": {**DEAL, "Deal_Name": "{Company}"}}
    code, _, err = run("enqueue", "7", "--options", write(good), "--dry-run")
    assert code == Exit.OK
    assert "no example of a deal: Zoho does not show the first leads" in " ".join(err.split())
