"""massconvert profile list, check, run; enqueue --profile."""

from __future__ import annotations

from typing import Any

import pytest

from massconvert.cli import profile as command
from massconvert.cli.profile_check import check_file
from massconvert.model import (
    Busy,
    Call,
    CountedLeads,
    Kind,
    LeadsFound,
    NotSent,
    Outcome,
    PerhapsAccepted,
    Refused,
    Run,
    RunState,
    Unsent,
)
from massconvert.policy import Moment, Permit, Tuning, after_find, after_put
from tests.unit.cli_shell import A, B, FakeNudge, Shell

TOML = """
[profiles.nightly]
[profiles.nightly.criteria]
coql = "Lead_Status = 'Qualified'"
[profiles.nightly.options]
assign_to = { id = "5" }
[profiles.nightly.schedule]
crontab = "0 4 * * *"
[profiles.nightly.limits]
max_leads = 700

[profiles.by-search.criteria]
search = "(Lead_Status:equals:Qualified)"

[profiles.options-only]
on_complete = "shop.converted@shop"
[profiles.options-only.options]
assign_to = { id = "7" }
"""


@pytest.fixture
def shell(shell: Shell) -> Shell:
    """A shell in a folder with a massconvert.toml."""
    shell.write("massconvert.toml", TOML)
    return shell


class Finder:
    """A Zoho that answers as told, and a governor that has permits."""

    def __init__(self, page: Any, count: Any = None) -> None:
        self.page, self.counted = page, count
        self.held = 0
        self.busy: Busy | None = None

    def coql(self, query: str) -> Any:
        """A page."""
        assert self.held
        return self.page

    def search(self, criteria: str, page: int) -> Any:
        """A page."""
        assert self.held
        return self.page

    def count(self, query: str) -> Any:
        """The count."""
        assert self.held
        return self.counted

    def acquire(self, call: Call) -> Permit | Busy:
        """A permit."""
        self.held += 1
        return self.busy or Permit("p", call)

    def release(self, permit: Permit, answer: Any = None) -> None:
        """It is given back."""
        self.held -= 1


def zoho(monkeypatch: pytest.MonkeyPatch, finder: Finder) -> None:
    """Let the command look through this one."""
    monkeypatch.setattr(command, "connect_finder", lambda _settings: (finder, finder))
    monkeypatch.setattr(command, "open_ports", lambda _settings: None)
    monkeypatch.setattr(command, "check_profile", lambda _ports, profile: check_file(profile))


def test_check_says_ok_and_warns_of_what_is_probably_not_meant(shell: Shell) -> None:
    """Search's equals finds more than it says."""
    said = shell.run("profile", "check")
    assert said.code == 0
    assert said.out == "nightly: ok\nby-search: ok\noptions-only: ok\n"
    assert "by-search: Search finds at most 2,000" in said.err
    assert shell.run("profile", "check", "--json").json["profiles"][0] == {
        "name": "nightly",
        "warnings": [],
        "problems": [],
        "not_checked": [],
    }


def test_a_wrong_file_is_told_by_every_command(shell: Shell) -> None:
    """With the place, and exit status 3: it is a setting."""
    shell.write("massconvert.toml", TOML.replace("coql", "cql"))
    for arguments in (["profile", "check"], ["profile", "list"], ["profile", "run", "nightly"]):
        said = shell.run(*arguments)
        assert said.code == 3
        assert "profiles.nightly.criteria.cql is not a key" in said.err
    assert FakeNudge.told == []


def test_a_key_that_is_nearly_one_is_named(shell: Shell) -> None:
    shell.write("massconvert.toml", "[profiles.nightly]\noptons.Deals = {}\nquite_another = 1\n")
    said = shell.run("profile", "check").err
    assert "profiles.nightly.optons is not a key that is known; did you mean options?" in said
    assert "profiles.nightly.quite_another is not a key that is known.\n" in said


def test_list_shows_when_each_runs_and_what_the_last_run_did(shell: Shell) -> None:
    """For people and for scripts."""
    found = shell.run("profile", "list", "--json").json
    assert [row["name"] for row in found["profiles"]] == ["nightly", "by-search", "options-only"]
    assert found["profiles"][0]["next_run"].endswith("T04:00:00.000Z")
    assert found["profiles"][0]["last_run"] is None
    run_id = shell.run("profile", "run", "nightly", "--json").json["run"]
    last = shell.run("profile", "list", "--json").json["profiles"][0]["last_run"]
    assert (last["run"], last["state"], last["found"]) == (run_id, "finding", 0)
    table = shell.run("profile", "list")
    assert "0 4 * * * UTC" in table.out
    assert "finding" in table.out


def test_run_begins_a_run_and_says_how_to_see_it(shell: Shell) -> None:
    """Workers do the rest; twice is two runs."""
    said = shell.run("profile", "run", "nightly")
    assert said.code == 0
    assert said.out.startswith("Run nightly@")
    assert "massconvert status nightly@" in said.err
    assert FakeNudge.told == [0]
    assert shell.run("profile", "run", "nightly").out != said.out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["run", "nightlly"], "did you mean nightly?"),
        (["run", "options-only"], "has no criteria"),
        (["run", "options-only", "--dry-run"], "has no criteria"),
    ],
)
def test_a_profile_that_cannot_run_is_refused(shell: Shell, arguments: list[str], says: str) -> None:
    """Exit status 2, and nothing is begun."""
    said = shell.run("profile", *arguments)
    assert said.code == 2
    assert says in said.err
    assert FakeNudge.told == []


def end(shell: Shell, run_id: str, *, state: RunState) -> None:
    """Let a run come to its end, as workers would."""
    moment = Moment(shell.ledger.runs.get(run_id).began_at + 1, 0.5, Tuning())  # type: ignore[union-attr]  # it is there
    for _ in range(2):
        run = shell.ledger.runs.claim(run_id, token="t", now=moment.now)
        assert isinstance(run, Run)
        refused = Refused(400, "INVALID_QUERY", "no such column")
        answer = LeadsFound((), more=False) if state is RunState.DONE else refused
        decision = after_put(run, 0, moment) if run.to_put else after_find(run, answer, moment)
        shell.ledger.runs.move(run, decision, now=moment.now)


@pytest.mark.parametrize(("state", "code"), [(RunState.DONE, 0), (RunState.FAILED, 1)])
def test_run_with_wait_ends_with_the_run(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, state: RunState, code: int
) -> None:
    """Also where it found nothing, and where Zoho refused the criteria."""
    monkeypatch.setattr(
        FakeNudge, "run_profile", lambda _self, _name, run_id: end(shell, run_id, state=state), raising=True
    )
    said = shell.run("profile", "run", "nightly", "--wait")
    assert said.code == code
    assert "0 leads found, 0 enqueued" in said.out
    assert ("INVALID_QUERY: no such column" in said.err) is (code == 1)


def test_run_with_wait_gives_up_waiting_when_nobody_works(shell: Shell) -> None:
    """Exit status 4. That it goes on is not said of a run that nobody has begun to work on."""
    said = shell.run("profile", "run", "nightly", "--wait", "0.01")
    assert said.code == 4
    assert "has not ended after 0.01 s" in said.err


def test_dry_run_counts_leads_payloads_and_calls(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is enqueued; the limit of a run is told."""
    ids = tuple(str(number) for number in range(1, 701))
    zoho(monkeypatch, Finder(LeadsFound(ids, more=True), CountedLeads(1234)))
    found = shell.run("profile", "run", "nightly", "--dry-run", "--json").json
    assert found == {
        "profile": "nightly",
        "dry_run": True,
        "leads": 1234,
        "exact": True,
        "would_enqueue": 700,
        "payloads": 14,
        "calls": {"find": 1, "convert": 14, "status": 14, "read": 0, "update": 0},
        "first": ["1", "2", "3", "4", "5"],
        "problems": [],
    }
    said = shell.run("profile", "run", "nightly", "--dry-run")
    assert "would find 1,234 leads that are not converted, 700 a run." in said.out
    assert "Payloads: 14 of up to 50 leads." in said.out
    assert "Nothing was enqueued." in said.err
    zoho(monkeypatch, Finder(LeadsFound(("1", "2"), more=True)))
    assert "at least 2 leads" in shell.run("profile", "run", "by-search", "--dry-run").out
    assert FakeNudge.told == []
    assert shell.ledger.runs.last("nightly") is None


@pytest.mark.parametrize(
    ("answer", "code", "says"),
    [
        (Refused(400, "INVALID_QUERY", "no column", details={"column_name": "X"}), 2, "'column_name': 'X'"),
        (Refused(401, "OAUTH_SCOPE_MISMATCH", "scope"), 3, "ZohoCRM.coql.READ"),
        (Refused(429, "TOO_MANY_REQUESTS", "slow"), 3, "TOO_MANY_REQUESTS"),
        (PerhapsAccepted("HTTP 500"), 3, "HTTP 500"),
        (NotSent(Unsent.CONNECT, "connection refused"), 3, "connection refused"),
    ],
)
def test_dry_run_says_what_zoho_says(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, answer: Any, code: int, says: str
) -> None:
    """Wrong criteria are wrong input; all else is Zoho not reachable."""
    finder = Finder(answer)
    zoho(monkeypatch, finder)
    said = shell.run("profile", "run", "nightly", "--dry-run")
    assert said.code == code
    assert says in said.err
    assert finder.held == 0


def test_dry_run_waits_for_no_permit(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says so."""
    finder = Finder(None)
    finder.busy = Busy(1.0, "as many calls run as Zoho allows")
    zoho(monkeypatch, finder)
    said = shell.run("profile", "run", "nightly", "--dry-run")
    assert said.code == 3
    assert "as many calls run as Zoho allows" in said.err


def test_enqueue_takes_a_profile_s_options(shell: Shell) -> None:
    """With the given ids; not together with options."""
    said = shell.run("enqueue", A, B, "--profile", "options-only", "--key", "k", "--json")
    assert said.code == 0
    assert shell.ledger.batches.options("k") == {"assign_to": {"id": "7"}}
    assert "shop.converted" in shell.connect("").hget("mc:{default}:batch:k", "on_complete")
    said = shell.run("enqueue", A, B, "--profile", "options-only", "--key", "l", "--on-complete", "other@q")
    assert "shop.converted" not in shell.connect("").hget("mc:{default}:batch:l", "on_complete")
    both = shell.run("enqueue", A, "--profile", "options-only", "--options", shell.options())
    assert both.code == 2
    assert "Both --options and --profile" in both.err
    assert shell.run("enqueue", A, "--profile", "nope").code == 2


def test_failed_runs_are_seen_and_a_stopped_schedule_is_resumed(shell: Shell) -> None:
    """In the list, in the status, and by the doctor's figures; resumed, it has a next run again."""
    run_id = shell.run("profile", "run", "nightly", "--json").json["run"]
    shell.batch(run_id, {A: Outcome(Kind.FAILED, "UNKNOWN_NAME"), B: Outcome(Kind.FAILED, "UNKNOWN_NAME")})
    shell.connect("").hset("mc:{default}:profile:nightly", "failures", 3)
    listed = shell.run("profile", "list")
    assert "2 failed" in listed.out
    assert "massconvert profile resume nightly" in listed.err
    row = shell.run("profile", "list", "--json").json["profiles"][0]
    assert (row["stopped"], row["failed_runs"], row["next_run"], row["last_run"]["failed"]) == (True, 3, None, 2)
    assert "The schedule of nightly is stopped" in shell.run("status").out
    assert shell.run("status", "--json").json["stopped_profiles"] == {"nightly": 3}
    assert "goes on" in shell.run("profile", "resume", "nightly").out
    assert "was not stopped" in shell.run("profile", "resume", "nightly").out
    assert shell.run("profile", "list", "--json").json["profiles"][0]["next_run"]
    assert shell.run("profile", "resume", "nightlly").code == 2
