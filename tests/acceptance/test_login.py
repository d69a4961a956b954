"""From no credentials to some that work, and back: real prompts on a pseudo-terminal, the simulator over HTTP."""

from __future__ import annotations

import json
import stat
import subprocess

import pytest

from massconvert.doctor.scopes import ALL
from tests.acceptance.house import House, until
from tests.acceptance.test_terminal import CTRL_C, CTRL_D, Terminal

pytestmark = pytest.mark.acceptance

ID, SECRET, TOKEN = "1000.FAKEID", "fake-secret", "1000.fake-token"
CREDENTIALS = ("ZOHO_CLIENT_ID", "ZOHO_CLIENT_SECRET", "ZOHO_REFRESH_TOKEN")
CODE = {"ZOHO_CLIENT_ID": ID, "ZOHO_CLIENT_SECRET": SECRET, "ZOHO_GRANT_CODE": "1000.fake-code"}


@pytest.fixture
def newcomer(house: House) -> House:
    """A machine that knows where the simulator is, and nothing else."""
    house.simulator("--leads", "3", "--credentials", ID, SECRET, TOKEN, "--trial-days", "30")
    for name in CREDENTIALS:
        house.environment.pop(name)
    return house


def given(house: House, *arguments: str, **changed: str) -> subprocess.CompletedProcess[str]:
    """A login with everything in the environment."""
    house.environment |= {**CODE, **changed}
    try:
        return house.command("login", *arguments)
    finally:
        for name in CODE:
            house.environment.pop(name, None)


def dotenv(house: House) -> str:
    path = house.folder / ".env"
    return path.read_text() if path.exists() else ""


def typed(house: House, *, before: str = "Client id: ") -> Terminal:
    """A login on a terminal, answered up to its code."""
    terminal = Terminal(house, "login")
    terminal.answer(before, ID)
    terminal.answer("Client secret, which is not shown: ", SECRET)
    terminal.answer("Code, which is not shown: ", "1000.fake-code")
    return terminal


# --- the way there ----------------------------------------------------------------------------------------


def test_a_person_gets_from_nothing_to_credentials_that_work(newcomer: House) -> None:
    (newcomer.folder / ".env").write_text("# mine\nMASSCONVERT_LINGER=3")
    terminal = typed(newcomer)
    assert terminal.end() == 0, terminal.words
    assert ",".join(ALL) in terminal.words
    assert "logged in to Example Ltd (sandbox)" in terminal.words
    for secret in (SECRET, "1000.fake-code", TOKEN):
        assert secret not in terminal.seen
    assert dotenv(newcomer).splitlines() == [
        "# mine",
        "MASSCONVERT_LINGER=3",
        f"ZOHO_CLIENT_ID={ID}",
        f"ZOHO_CLIENT_SECRET={SECRET}",
        f"ZOHO_REFRESH_TOKEN={TOKEN}",
    ]
    assert stat.S_IMODE((newcomer.folder / ".env").stat().st_mode) == 0o600
    newcomer.redis()
    who = json.loads(newcomer.command("whoami", "--json").stdout)
    assert who["organisation"] == {"id": "3652397", "name": "Example Ltd", "environment": "sandbox"}
    assert who["user"]["email"] == "ann@example.com"
    assert who["missing_scopes"] == []
    assert who["trial_ends"].endswith("+00:00")


def test_no_argument_holds_a_secret(newcomer: House) -> None:
    terminal = Terminal(newcomer, "login")
    terminal.answer("Client id: ", ID)
    terminal.answer("Client secret, which is not shown: ", SECRET)
    until(lambda: "Code, which" in terminal.words, 30, "the question for the code")
    seen = subprocess.run(["ps", "axww", "-o", "args"], capture_output=True, text=True, check=True).stdout
    assert SECRET not in seen.replace(f"--credentials {ID} {SECRET}", "")  # the simulator's own
    terminal.process.terminate()
    terminal.end()


def test_a_script_logs_in_with_a_file(newcomer: House) -> None:
    downloaded = {"client_id": ID, "client_secret": SECRET, "code": "1000.c", "grant_type": "authorization_code"}
    (newcomer.folder / "self_client.json").write_text(json.dumps(downloaded))
    ended = newcomer.command("login", "--file", "self_client.json")
    assert ended.returncode == 0, ended.stderr
    assert f"ZOHO_REFRESH_TOKEN={TOKEN}" in dotenv(newcomer)


def test_what_to_set_is_shown_and_nothing_is_written(newcomer: House) -> None:
    ended = given(newcomer, "--print")
    assert f"ZOHO_REFRESH_TOKEN={TOKEN}\n" in ended.stdout
    ended = given(newcomer, "--json", ZOHO_GRANT_CODE="1000.another")
    assert json.loads(ended.stdout)["settings"]["ZOHO_REFRESH_TOKEN"] == TOKEN
    assert not (newcomer.folder / ".env").exists()


def test_credentials_that_are_there_are_not_written_over_unasked(newcomer: House) -> None:
    before = "ZOHO_CLIENT_ID=1000.OLD\nZOHO_CLIENT_SECRET=old\nZOHO_REFRESH_TOKEN=older\n"
    (newcomer.folder / ".env").write_text(before)
    ended = given(newcomer)
    assert ended.returncode == 2
    assert "massconvert login --replace" in ended.stderr
    assert newcomer.calls("POST token") == 0  # the code is still good
    terminal = typed(newcomer, before="Client id [1000.OLD]: ")
    terminal.answer("Write over it", "no")
    assert terminal.end() == 2
    assert dotenv(newcomer) == before
    assert given(newcomer, "--replace").returncode == 0
    assert f"ZOHO_CLIENT_ID={ID}\n" in dotenv(newcomer)


@pytest.mark.parametrize("question", ["Client id: ", "Client secret, which is not shown: ", "Code, which is not shown"])
def test_ctrl_c_leaves_nothing_half_written(newcomer: House, question: str) -> None:
    (newcomer.folder / ".env").write_text("A=1\n")
    terminal = Terminal(newcomer, "login")
    for asked, answer in (("Client id: ", ID), ("Client secret, which is not shown: ", SECRET), ("Code, which", "")):
        if question.startswith(asked):
            break
        terminal.answer(asked, answer)
    terminal.answer(question, CTRL_C)
    assert terminal.end() == 130
    assert "Nothing was written." in terminal.words
    assert "Traceback" not in terminal.words
    assert dotenv(newcomer) == "A=1\n"
    assert [path.name for path in newcomer.folder.glob(".env*")] == [".env"]


def test_ctrl_c_after_the_exchange_says_that_the_code_is_used_up(newcomer: House) -> None:
    newcomer.set_faults({"method": "GET org", "do": "latency", "seconds": 20})
    terminal = typed(newcomer)
    until(lambda: newcomer.calls("GET org"), 30, "the call for the organisation")
    terminal.process.send_signal(2)
    assert terminal.end() == 130
    assert "the code is used up" in terminal.words
    assert not (newcomer.folder / ".env").exists()


def test_the_end_of_the_input_is_no_traceback(newcomer: House) -> None:
    terminal = Terminal(newcomer, "login")
    terminal.answer("Client id: ", CTRL_D)
    assert terminal.end() == 2
    assert "Nothing was written" in terminal.words


# --- the wrong turns --------------------------------------------------------------------------------------


def told(ended: subprocess.CompletedProcess[str]) -> list[str]:
    """The lines of a refusal: what is wrong, and the way on."""
    assert ended.stdout == ""
    assert "Traceback" not in ended.stderr
    lines = ended.stderr.splitlines()
    assert len(lines) == 2, ended.stderr
    return lines


def test_a_client_of_another_data_centre(newcomer: House) -> None:
    ended = given(newcomer, ZOHO_CLIENT_ID="1000.ANOTHER")
    assert ended.returncode == 3
    what, fix = told(ended)
    assert "does not know the client id" in what
    assert "ZOHO_ACCOUNTS_URL" in fix
    assert dotenv(newcomer) == ""


def test_a_wrong_secret(newcomer: House) -> None:
    what, fix = told(given(newcomer, ZOHO_CLIENT_SECRET="another"))
    assert "The client secret is not that of this client id." in what
    assert "massconvert login" in fix


def test_a_code_that_was_used(newcomer: House) -> None:
    assert given(newcomer, "--print").returncode == 0
    ended = given(newcomer)
    assert ended.returncode == 3
    what, fix = told(ended)
    assert "used before, or its minutes are over" in what
    assert "Generate Code" in fix
    assert dotenv(newcomer) == ""


def test_a_code_that_is_too_old_is_asked_for_again(newcomer: House) -> None:
    newcomer.set_faults(
        {"method": "POST token", "do": "status", "status": 200, "body": '{"error": "invalid_code"}', "times": 1}
    )
    terminal = typed(newcomer)
    terminal.answer("The new code, which is not shown: ", "1000.fresh")
    assert terminal.end() == 0, terminal.words
    assert newcomer.calls("POST token") == 2
    assert TOKEN in dotenv(newcomer)


def test_a_scope_that_was_left_out(newcomer: House) -> None:
    granted = " ".join(name for name in ALL if "mass_convert.leads.READ" not in name)
    answer = {"access_token": "a", "refresh_token": "r", "scope": granted, "expires_in": 3600}
    newcomer.set_faults({"method": "POST token", "do": "status", "status": 200, "body": json.dumps(answer)})
    ended = given(newcomer)
    assert ended.returncode == 3
    what, fix = told(ended)
    assert "without ZohoCRM.mass_convert.leads.READ: no job can be followed" in what
    assert "massconvert login --scopes" in fix
    assert dotenv(newcomer) == ""


def test_an_address_that_is_not_allowed(newcomer: House) -> None:
    newcomer.set_faults({"method": "*", "do": "status", "status": 403, "code": "NO_PERMISSION"})
    ended = given(newcomer)
    assert ended.returncode == 3
    what, fix = told(ended)
    assert "403 NO_PERMISSION" in what
    assert "Allowed IPs" in fix


def test_a_trial_that_is_over(house: House) -> None:
    house.simulator("--leads", "1", "--credentials", ID, SECRET, TOKEN, "--trial-days", "-3")
    for name in CREDENTIALS:
        house.environment.pop(name)
    ended = given(house)
    assert ended.returncode == 0
    assert "trial ended on" in ended.stderr
    assert "Subscription" in ended.stderr
    house.redis()
    findings = json.loads(house.command("doctor", "--json").stdout)["findings"]
    assert any("trial ended on" in finding["what"] for finding in findings if finding["level"] == "warning")
    whoami = house.command("whoami")
    assert (whoami.returncode, "trial ended on" in whoami.stderr, "Subscription" in whoami.stderr) == (0, True, True)


def test_too_many_tokens(newcomer: House) -> None:
    denied = '{"error": "Access Denied", "error_description": "You have made too many requests continuously."}'
    newcomer.set_faults({"method": "POST token", "do": "status", "status": 400, "body": denied})
    what, fix = told(given(newcomer))
    assert "too many tokens" in what
    assert "Wait 10 minutes" in fix


def test_nobody_to_ask_and_nothing_given(newcomer: House) -> None:
    ended = newcomer.command("login")
    assert ended.returncode == 2
    what, fix = told(ended)
    assert "client id, client secret, code" in what
    assert "massconvert login --file self_client.json" in fix


# --- who it is, and the way out ---------------------------------------------------------------------------


def test_the_doctor_and_whoami_say_the_same(newcomer: House) -> None:
    newcomer.redis()
    assert given(newcomer).returncode == 0
    shown = newcomer.command("whoami")
    assert shown.returncode == 0, shown.stderr
    assert "Example Ltd, id 3652397" in shown.stdout
    assert "sandbox" in shown.stdout
    findings = json.loads(newcomer.command("doctor", "--json").stdout)["findings"]
    assert any("Example Ltd (sandbox, edition enterprise)" in finding["what"] for finding in findings)


def test_whoami_names_what_a_missing_scope_costs(newcomer: House) -> None:
    newcomer.redis()
    assert given(newcomer).returncode == 0
    refusal = {"do": "status", "status": 401, "code": "OAUTH_SCOPE_MISMATCH"}
    newcomer.set_faults({"method": "POST coql", **refusal})
    shown = newcomer.command("whoami")
    assert shown.returncode == 0
    assert "ZohoCRM.coql.READ" in shown.stdout
    assert "profiles with COQL criteria find no leads" in shown.stdout
    newcomer.set_faults({"method": "GET mass_convert", **refusal})
    shown = newcomer.command("whoami")
    assert shown.returncode == 3
    assert "ZohoCRM.mass_convert.leads.READ is missing" in shown.stderr


def test_a_logout_ends_the_token_and_takes_it_out_of_the_file(newcomer: House) -> None:
    newcomer.redis()
    assert given(newcomer).returncode == 0
    assert newcomer.command("logout").returncode == 2  # nobody is there to be asked
    terminal = Terminal(newcomer, "logout")
    terminal.answer("Revoke the refresh token", "no")
    assert terminal.end() == 2
    assert newcomer.calls("POST revoke") == 0
    ended = newcomer.command("logout", "--yes")
    assert ended.returncode == 0, ended.stderr
    assert "ZOHO_REFRESH_TOKEN=\n" in dotenv(newcomer)
    assert f"ZOHO_CLIENT_ID={ID}\n" in dotenv(newcomer)
    newcomer.environment["ZOHO_REFRESH_TOKEN"] = TOKEN
    refused = newcomer.command("whoami")
    assert refused.returncode == 3
    assert "invalid_code" in refused.stderr
    newcomer.environment.pop("ZOHO_REFRESH_TOKEN")
    assert given(newcomer, ZOHO_GRANT_CODE="1000.next").returncode == 0
    assert f"ZOHO_REFRESH_TOKEN={TOKEN}\n" in dotenv(newcomer)
