"""Several organisations: each account's settings, the fleet that serves all of them, and ``--account``."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from massconvert import wiring
from massconvert.cli.account import choose_account
from massconvert.errors import InputError, SettingsError, StoreError
from massconvert.model import Again
from massconvert.nudge import Nudge
from massconvert.producer.mass_convert import MassConvert
from massconvert.profiles import Accounts
from massconvert.shares import Share, Threads
from massconvert.wiring import Workshop, Workshops
from tests.unit.cli_shell import A, B, Shell

TOML = """
[accounts.emea]
data_center = "eu"
concurrency = 7

[accounts.asia-2]
data_center = "in"
refresh_token_env = "ASIA_TOKEN"

[profiles.nightly]
account = "emea"
[profiles.nightly.criteria]
coql = "id is not null"
[profiles.nightly.options]
assign_to = { id = "5" }

[profiles.anywhere.options]
assign_to = { id = "7" }
"""
BASE = {
    "ZOHO_CLIENT_ID": "base-id",
    "ZOHO_CLIENT_SECRET": "base-secret",
    "ZOHO_REFRESH_TOKEN": "base-token",
    "ZOHO_DATA_CENTER": "us",
    "ZOHO_CONCURRENCY": "3",
    "MASSCONVERT_LINGER": "1.5",
}
EMEA = {
    "ZOHO_CLIENT_ID__EMEA": "emea-id",
    "ZOHO_CLIENT_SECRET__EMEA": "emea-secret",
    "ZOHO_REFRESH_TOKEN__EMEA": "emea-token",
}


def accounts(folder: Path, text: str = TOML, **environ: str) -> Accounts:
    """Accounts of a massconvert.toml with that text."""
    path = folder / "massconvert.toml"
    path.write_text(text)
    return Accounts({**environ, "MASSCONVERT_CONFIG": str(path), "HOME": str(folder)}, None)


# --- settings -------------------------------------------------------------------------------------------------


def test_an_account_has_its_own_credentials_and_limits_and_shares_the_rest(tmp_path: Path) -> None:
    """Its variables end in its name; what is of the machine is the same for all."""
    emea = accounts(tmp_path, **BASE, **EMEA).settings("emea")
    emea.require_zoho()
    assert (emea.account, emea.zoho_data_center, emea.zoho_concurrency, emea.linger) == ("emea", "eu", 7, 1.5)
    assert emea.zoho_client_id == "emea-id"
    assert emea.zoho_refresh_token.get_secret_value() == "emea-token"


def test_nothing_that_names_an_organisation_is_taken_over_from_another(tmp_path: Path) -> None:
    """Leads would go to the wrong one. What is missing is named as it must be set."""
    base = accounts(tmp_path, **BASE, ZOHO_API_DOMAIN="https://proxy.example.com", ASIA_TOKEN="t")
    asia = base.settings("asia-2")
    assert (asia.zoho_client_id, asia.zoho_concurrency, asia.zoho_api_domain) == ("", None, None)
    with pytest.raises(SettingsError) as missing:
        asia.require_zoho()
    assert "Not set: ZOHO_CLIENT_ID__ASIA_2, ZOHO_CLIENT_SECRET__ASIA_2." in missing.value.message


def test_an_account_s_variable_beats_the_file_and_is_not_taken_for_a_slip(tmp_path: Path) -> None:
    """As the environment does everywhere."""
    found = accounts(tmp_path, **BASE, **EMEA, ZOHO_CONCURRENCY__EMEA="9")
    assert found.settings("emea").zoho_concurrency == 9
    assert found.base.hints == ()


def test_a_wrong_value_names_the_account(tmp_path: Path) -> None:
    """And the setting."""
    with pytest.raises(SettingsError, match=r"The account emea: ZOHO_API_DOMAIN must be a URL"):
        accounts(tmp_path, TOML.replace("concurrency = 7", 'api_domain = "ftp://x"')).settings("emea")


def test_a_wrong_variable_of_an_account_is_named_as_it_is_set(tmp_path: Path) -> None:
    own = {**EMEA, "ZOHO_REFRESH_TOKEN__EMEA": '"1000.s3cret"', "ZOHO_CONCURRENCY__EMEA": "0"}
    with pytest.raises(SettingsError) as refused:
        accounts(tmp_path, **BASE, **own).settings("emea")
    assert "ZOHO_REFRESH_TOKEN__EMEA is in quotes" in refused.value.message
    assert "ZOHO_CONCURRENCY__EMEA is '0', but must be a whole number from 1 to 100" in refused.value.message
    assert "s3cret" not in refused.value.message


def test_a_secret_in_the_file_is_refused_and_not_repeated(tmp_path: Path) -> None:
    """The message names the variable that it belongs into."""
    with pytest.raises(SettingsError) as refused:
        accounts(tmp_path, '[accounts.emea]\nrefresh_token = "1000.s3cret"').settings("emea")
    assert "ZOHO_REFRESH_TOKEN__EMEA" in refused.value.message
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('[profiles.a]\naccount = "emae"', "profiles.a.account names emae, and there is no such account"),
        ("[accounts.a-b]\n[accounts.a_b]", "has two accounts whose variables would have the same names"),
        ('[accounts.emea]\nclient_id_env = "not a name"', "accounts.emea.client_id_env"),
    ],
)
def test_a_wrong_file_is_told(tmp_path: Path, text: str, says: str) -> None:
    """By its place."""
    with pytest.raises(SettingsError, match=says):
        accounts(tmp_path, text).settings("emea")


def test_an_unknown_account_names_the_nearest(tmp_path: Path) -> None:
    """Nothing is done."""
    with pytest.raises(InputError, match="did you mean emea"):
        accounts(tmp_path).settings("emae")


def test_a_fleet_serves_all_accounts_that_have_credentials(tmp_path: Path) -> None:
    """The environment's own where it has some, or where there is no other."""
    assert accounts(tmp_path, **BASE).served() == ["default", "emea", "asia-2"]
    assert accounts(tmp_path).served() == ["emea", "asia-2"]
    assert accounts(tmp_path, "").served() == ["default"]


def test_a_profile_s_account_is_meant_unless_another_is_named(tmp_path: Path) -> None:
    """Which is refused: its criteria and ids are of one organisation."""
    found = accounts(tmp_path)
    assert found.of_profile(None, "nightly") == "emea"
    assert found.of_profile("emea", "nightly") == "emea"
    assert found.of_profile("asia-2", "anywhere") == "asia-2"
    assert found.of_profile("emea", "gone") == "emea"
    with pytest.raises(InputError, match="is of the account emea, not of asia-2"):
        found.of_profile("asia-2", "nightly")


# --- the fleet ------------------------------------------------------------------------------------------------


class Sweeping:
    """A workshop that notes its sweeps, or is in trouble."""

    def __init__(self, name: str, swept: list[str], trouble: Exception | None = None) -> None:
        self.name, self.swept, self.trouble = name, swept, trouble

    def sweep(self) -> int:
        """Sweep."""
        self.swept.append(self.name)
        if self.trouble:
            raise self.trouble
        return 1


def test_each_account_has_its_turn_and_one_in_trouble_stops_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another one is first each time; the trouble is told when all had their turn."""
    swept: list[str] = []

    def workshop(settings: Any, *_: Any) -> Any:
        return Sweeping(settings.account, swept, StoreError("away") if settings.account == "emea" else None)

    monkeypatch.setattr(wiring, "open_workshop", workshop)
    asia = {"ZOHO_CLIENT_ID__ASIA_2": "i", "ZOHO_CLIENT_SECRET__ASIA_2": "s", "ASIA_TOKEN": "t"}
    fleet = Workshops(accounts(tmp_path, **BASE, **EMEA, **asia))
    for _ in range(3):
        with pytest.raises(StoreError):
            fleet.sweep()
    rounds = [swept[:3], swept[3:6], swept[6:]]
    assert [set(names) for names in rounds] == [{"default", "emea", "asia-2"}] * 3
    assert {names[0] for names in rounds} == {"default", "emea", "asia-2"}
    assert fleet.workshop("default") is fleet.workshop(None)


def test_an_account_without_its_secrets_is_told_and_the_others_are_swept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker does not stop for one of several."""
    swept: list[str] = []
    monkeypatch.setattr(wiring, "open_workshop", lambda settings, *_: Sweeping(settings.account, swept))
    fleet = Workshops(accounts(tmp_path, **BASE, **EMEA))
    with pytest.raises(SettingsError, match="Not set: ZOHO_CLIENT_ID__ASIA_2"):
        fleet.sweep()
    assert sorted(swept) == ["default", "emea"]


def test_a_file_that_is_made_wrong_stops_no_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A slip of somebody who edits it is told once; all accounts are served as before, and the fixed file holds."""
    swept: list[str] = []
    monkeypatch.setattr(wiring, "open_workshop", lambda settings, *_: Sweeping(settings.account, swept))
    asia = {"ZOHO_CLIENT_ID__ASIA_2": "i", "ZOHO_CLIENT_SECRET__ASIA_2": "s", "ASIA_TOKEN": "t"}
    fleet = Workshops(accounts(tmp_path, **BASE, **EMEA, **asia), 20)
    assert fleet._part() == 14
    path = tmp_path / "massconvert.toml"
    path.write_text(TOML + "[accounts.apac]\ndata_center = 5\n")
    assert fleet.sweep() == 3
    assert fleet._part() == 14
    assert fleet.accounts.settings("emea").zoho_concurrency == 7
    (told,) = caplog.messages
    assert "accounts.apac.data_center" in told
    assert "What it said before holds until it is fixed." in told
    path.write_text(TOML.replace("concurrency = 7", "concurrency = 9"))
    assert fleet.accounts.settings("emea").zoho_concurrency == 9


def test_a_worker_does_not_start_with_a_wrong_file(tmp_path: Path) -> None:
    """Whoever starts one is there to fix it."""
    found = accounts(tmp_path, "[accounts.emea]\nconcurency = 7\n", **BASE)
    with pytest.raises(SettingsError, match="concurency"):
        found.served()


def test_one_account_cannot_hold_all_threads_while_there_are_others(tmp_path: Path) -> None:
    """Each of the others has a few kept for it; alone it may have all."""
    assert Workshops(accounts(tmp_path, "", **BASE), 20)._part() is None
    assert Workshops(accounts(tmp_path, "[accounts.emea]", **BASE), 20)._part() == 15
    assert Workshops(accounts(tmp_path, TOML, **BASE), 20)._part() == 14
    assert Workshops(accounts(tmp_path, TOML, **BASE), 1)._part() == 1


def test_one_of_many_accounts_may_use_half_of_a_quiet_process_and_its_part_of_a_busy_one() -> None:
    """With a hundred accounts its part is one thread of twenty; those whose calls hang leave half to the others."""
    threads = Threads(20)
    large, hangs, small = (Share(lambda: 1, threads) for _ in range(3))

    def hold(share: Share, most: int) -> int:
        return sum(stack.enter_context(share.taken()) for _ in range(most))

    with ExitStack() as stack:
        assert hold(large, 20) == 10
        assert [hold(hangs, 5), hold(hangs, 5)] == [1, 0]
        assert hold(small, 1) == 1
        assert threads.held == 12
    assert threads.held == 0
    with large.taken() as ours:
        assert ours


def test_a_task_of_a_crowded_account_comes_back_and_holds_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has claimed nothing, so nothing is lost by that."""
    inside: list[Any] = []
    share = Share(lambda: 1)
    ports: Any = None
    workshop = Workshop(ports, ports, 15.0, ports, share)

    def advance(*_: Any) -> Again:
        inside.append(workshop.convert("2") if not inside else None)
        return Again(1.0)

    monkeypatch.setattr(wiring, "advance", advance)
    assert workshop.convert("1") == Again(1.0)
    assert inside == [Again(wiring.CROWDED)]
    assert workshop.convert("3") == Again(1.0)


# --- messages -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "made", [lambda account: Nudge("memory://", account=account), Nudge("memory://", account="x").of]
)
@pytest.mark.parametrize(("account", "kwargs"), [("default", {}), ("emea", {"account": "emea"})])
def test_messages_name_their_account_unless_it_is_the_default(
    monkeypatch: pytest.MonkeyPatch, account: str, kwargs: dict[str, str], made: Callable[[str], Nudge]
) -> None:
    """Those of the default are as they were, so that older workers take them."""
    nudge = made(account)
    sent: list[Any] = []
    monkeypatch.setattr(nudge, "_send", lambda signature, _countdown: sent.append(signature))
    nudge.chunk()
    nudge.convert("1")
    nudge.status({"chunk_id": "1", "job_id": "2"})
    nudge.run_profile("nightly", "nightly@x")
    chunk, convert, status, run = sent
    assert [chunk.kwargs, status.kwargs] == [kwargs, kwargs]
    assert [task.kwargs for task in convert.tasks] == [kwargs, kwargs]
    assert run.kwargs == {"run": "nightly@x", **kwargs}


# --- producers and commands -----------------------------------------------------------------------------------


@pytest.fixture
def shell(shell: Shell) -> Shell:
    """A shell in a folder with accounts."""
    shell.write("massconvert.toml", TOML)
    return shell


def test_each_account_has_a_ledger_of_its_own(shell: Shell) -> None:
    """The same lead may be in flight in two organisations: it is not the same lead."""
    for account in (None, "emea"):
        batch = MassConvert(account=account).enqueue([A, B], {"assign_to": {"id": "5"}}, key="k")
        assert batch.accepted == 2
        assert batch.progress().skipped == 0
    assert shell.run("status", "k", "--account", "emea", "--json").json["total"] == 2
    assert shell.run("status", "k", "--account", "asia-2").code == 2
    with pytest.raises(InputError):
        MassConvert(account="nope")


def test_a_command_takes_its_account_anywhere_on_the_line(shell: Shell) -> None:
    """Before the command, after it, with = or without."""
    for number, line in enumerate(
        (
            ["--account", "emea", "enqueue", A],
            ["enqueue", B, "--account=emea"],
            ["enqueue", "--account", "emea", "3652397000009859001"],
        )
    ):
        assert shell.run(*line, "--key", f"k{number}", "--options", shell.options()).code == 0
        assert shell.run("status", f"k{number}", "--account", "emea").code == 0
        assert shell.run("status", f"k{number}").code == 2


def test_a_wrong_account_is_told_in_two_lines(shell: Shell) -> None:
    """Exit status 2; nothing is enqueued."""
    said = shell.run("status", "--account", "emae")
    assert said.code == 2
    assert "did you mean emea?" in said.err
    assert shell.run("status", "--account").code == 2


def test_account_after_a_double_dash_is_an_argument() -> None:
    """As everywhere on a command line."""
    assert choose_account(["enqueue", "--", "--account", "x"]) == ["enqueue", "--", "--account", "x"]


def test_a_profile_runs_in_its_account(shell: Shell) -> None:
    """Also where none is named; another one is refused."""
    run_id = shell.run("profile", "run", "nightly", "--json").json["run"]
    listed = shell.run("profile", "list", "--json").json["profiles"]
    assert [row["account"] for row in listed] == ["emea", None]
    assert listed[0]["last_run"]["run"] == run_id
    assert shell.ledger.runs.last("nightly") is None
    assert shell.run("profile", "run", "nightly", "--account", "asia-2").code == 2
    assert shell.run("enqueue", A, "--profile", "nightly", "--key", "k").code == 0
    assert shell.run("status", "k", "--account", "emea").code == 0


def test_a_pause_is_of_one_account(shell: Shell) -> None:
    """The others go on."""
    assert shell.run("pause", "--account", "emea").code == 0
    assert shell.ledger.organisation.paused() is None
    assert shell.run("status", "--account", "emea", "--json").json["paused"] is not None
    assert shell.run("resume", "--account", "emea").code == 0
