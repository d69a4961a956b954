"""A rehearsal by its command: real processes, the simulator over HTTP, a terminal where a person is asked."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.house import House, until
from tests.acceptance.test_terminal import CTRL_C, Terminal

pytestmark = pytest.mark.acceptance

#: Short, and with everything that makes records.
ONLY = "1,6,13"
QUICK = ("--leads", "3", "--job-seconds", "0.1")
#: Where converted leads cannot be deleted, no rehearsal leaves nothing behind.
DELETES = {"delete_converted": "allowed"}


@pytest.fixture
def hall(house: House) -> House:
    """A machine with a Redis, and an organisation in which a rehearsal is quick."""
    house.redis()
    house.simulator(*QUICK, **DELETES)
    return house


def everything(house: House) -> dict[str, set[str]]:
    """What stands in the CRM."""
    found = {module: set(house.ask(module.lower())) for module in ("Contacts", "Accounts", "Deals")}
    return found | {"Leads": set(house.truth())}


def journals(house: House) -> list[Path]:
    return sorted((house.folder / ".local/state/massconvert/rehearsals").glob("*.jsonl"))


def begun(house: House, *arguments: str) -> subprocess.Popen[bytes]:
    """A rehearsal that runs."""
    return house.run(house.python, "-m", "massconvert", "rehearse", *arguments, name="rehearsal")


def test_a_rehearsal_from_end_to_end(hall: House) -> None:
    hall.ask("behaviour", "PUT", {"one_bad_id": "refuse_all"})
    before = everything(hall)
    ended = hall.command("rehearse", "--file", "seen.json")
    assert ended.returncode == 0, ended.stderr
    assert everything(hall) == before
    assert "refuses all" in ended.stdout
    found = json.loads((hall.folder / "seen.json").read_text())
    assert found["seen"]["calls_at_once"] == "all 10 pass"
    assert not [value for value in found["seen"].values() if "not understood" in str(value)]
    assert hall.ask("load")["throttled"] == 0
    doctor = hall.command("doctor", "--json")
    lines = [line["what"] for line in json.loads(doctor.stdout)["findings"] if line["check"] == "rehearsal"]
    assert "Example Ltd (sandbox)" in lines[0]
    assert "one bad id refuses a payload" in lines[0]
    later = hall.command("rehearse", "--later", "--file", "seen.json")
    assert "is still known" in later.stdout, later.stderr
    used = hall.command("rehearse", "--use", "seen.json")
    assert "goes by what was seen" in used.stdout
    assert "goes by nothing" in hall.command("rehearse", "--forget").stdout
    assert "knows nothing of a rehearsal" in hall.command("rehearse", "--forget").stdout


def test_the_simulator_behaves_as_the_file_says(hall: House) -> None:
    hall.ask("behaviour", "PUT", {"one_bad_id": "count_failed", "status_case": "title", "accepted_status": 202})
    assert hall.command("rehearse", "--only", "4,6", "--file", "seen.json").returncode == 0
    hall.simulator(*QUICK, "--profile", str(hall.folder / "seen.json"))
    assert hall.command("rehearse", "--only", "4,6", "--file", "again.json").returncode == 0
    one, other = (json.loads((hall.folder / name).read_text()) for name in ("seen.json", "again.json"))
    for found in (one["seen"], other["seen"]):
        assert (found["one_bad_id"], found["accepted_status"]) == ("fails alone", 202)
        assert found["job_words"][-1] == "Completed"


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("call", ["POST Leads", "POST mass_convert", "GET mass_convert", "POST convert"])
def test_killed_it_leaves_nothing_after_a_clean_up(hall: House, call: str, when: str) -> None:
    before = everything(hall)
    skip = 1 if call == "POST Leads" else 0  # the first shows whether the token may
    hall.set_faults({"method": call, "when": when, "do": "hang", "seconds": 60, "skip": skip, "times": 1})
    process = begun(hall, "--only", ONLY)
    until(lambda: not hall.unfired(), 30, call)
    hall.kill(process)
    hall.set_faults()
    hall.environment["MASSCONVERT_JOB_WAIT"] = "1"
    ended = hall.command("rehearse", "--clean-up")
    assert ended.returncode == 0, ended.stderr
    assert ("an answer to a payload is missing" in ended.stderr) == (call in ("POST mass_convert", "POST convert"))
    assert everything(hall) == before
    assert "No rehearsal has left anything" in hall.command("rehearse", "--clean-up").stdout


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_cleans_up_before_it_ends(hall: House, how: signal.Signals) -> None:
    hall.environment["MASSCONVERT_JOB_WAIT"] = "1"  # what it waits for a job whose payload was not answered yet
    before = everything(hall)
    process = begun(hall)
    until(lambda: hall.calls("POST mass_convert"), 30, "a payload")
    process.send_signal(how)
    assert process.wait(60) == 128 + how
    assert everything(hall) == before
    assert "deleted" in hall.log("rehearsal")


def test_the_next_rehearsal_cleans_up_first(hall: House) -> None:
    before = everything(hall)
    process = begun(hall, "--only", "3")
    until(lambda: hall.calls("POST mass_convert"), 30, "a payload")
    hall.kill(process)
    ended = hall.command("rehearse", "--only", "3")
    assert ended.returncode == 0, ended.stderr
    assert "cleaning up behind the rehearsal of" in ended.stderr
    assert everything(hall) == before


# --- the guard --------------------------------------------------------------------------------------------


def test_production_is_refused_to_a_script(house: House) -> None:
    house.redis()
    house.simulator(*QUICK, "--production")
    for more in ((), ("--json",), ("--only", "3")):
        ended = house.command("rehearse", *more)
        assert ended.returncode == 2
        assert "is production, and no sandbox" in ended.stderr
    assert house.calls("POST Leads") == 0
    assert not journals(house)


def test_production_wants_the_companys_name(house: House) -> None:
    house.redis()
    house.simulator(*QUICK, "--production", **DELETES)
    terminal = Terminal(house, "rehearse", "--only", "3")
    terminal.answer("Type the company's name to go on: ", "example")
    assert terminal.end() == 2
    assert house.calls("POST Leads") == 0
    terminal = Terminal(house, "rehearse", "--only", "3")
    terminal.answer("Type the company's name to go on: ", CTRL_C)
    assert terminal.end() == 130
    assert house.calls("POST Leads") == 0
    before = everything(house)
    terminal = Terminal(house, "rehearse", "--only", "3")
    terminal.answer("Type the company's name to go on: ", "Example Ltd")
    assert terminal.end() == 0, terminal.words
    assert house.calls("POST mass_convert") == 1
    assert everything(house) == before


def test_a_version_without_mass_convert_is_refused(hall: House) -> None:
    hall.environment["ZOHO_API_VERSION"] = "v2.1"
    ended = hall.command("rehearse")
    assert ended.returncode == 2
    assert "has no mass convert" in ended.stderr
    assert hall.calls("GET org") == 0


def test_another_organisations_ledger_is_not_touched(hall: House) -> None:
    hall.ledger.hset(
        "mc:{default}:ledger", mapping={"format": 1, "owner": "x" * 16, "kind": "organisation", "name": "Other"}
    )
    ended = hall.command("rehearse")
    assert ended.returncode == 3
    assert "belongs to 'Other'" in ended.stderr
    assert hall.calls("POST Leads") == 0


# --- wrong turns ------------------------------------------------------------------------------------------


def test_what_is_wrong_is_said_before_anything_is_made(hall: House) -> None:
    wrong: list[tuple[tuple[str, ...], str]] = [
        (("--only", "19"), "There is no question 19"),
        (("--only", "six"), "numbers with commas between"),
        (("--dry-run", "--later"), "not several"),
        (("--later",), "no rehearsal to look back at"),
        (("--clean-up", "--file", "none.json"), "There is no journal"),
        (("--use", "none.json"), "No such file"),
        (("--file", "seen.jsonl"), "ends in .json"),
        (("--ask-credits",), "nobody is there to be asked"),
    ]
    for arguments, said in wrong:
        ended = hall.command("rehearse", *arguments)
        assert ended.returncode == 2, arguments
        assert said in ended.stderr
    assert hall.calls("POST Leads") == 0


def test_a_missing_scope_is_named(house: House) -> None:
    house.redis()
    house.simulator(*QUICK, "--without-scope", "ZohoCRM.modules.deals.DELETE")
    ended = house.command("rehearse")
    assert ended.returncode == 3
    assert "ZohoCRM.modules.deals.DELETE" in ended.stderr
    assert house.truth().keys() == set(house.leads())
    scopes = house.command("rehearse", "--scopes").stdout
    assert "ZohoCRM.modules.deals.DELETE" in scopes


def test_it_works_without_a_redis_of_ones_own(house: House) -> None:
    house.simulator(*QUICK, **DELETES, one_bad_id="refuse_all")
    house.environment.pop("REDIS_URL")
    ended: Any = house.command("rehearse", "--only", "6", "--json")
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["seen"]["one_bad_id"] == "refuses all"
