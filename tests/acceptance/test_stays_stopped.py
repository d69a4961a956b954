"""What was stopped stays stopped, whatever stopped it; and every command reaches the ledger that `convert` keeps."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from massconvert.embedded.plan import Holder
from massconvert.errors import StoreError
from massconvert.store import Keys, connect, reaching
from tests.acceptance.house import OPTIONS, House, until
from tests.acceptance.test_cli import begin, family, family_names, name_of, said

pytestmark = pytest.mark.acceptance

POST = "POST mass_convert"
#: A printed command: up to the end of its line, or what follows it there.
_PRINTED = re.compile(r"massconvert ((?:convert|status|report|cancel|resume|retry) [^\n,;]+)")


@pytest.fixture
def alone(house: House) -> Iterator[House]:
    """A machine without a Redis of its own, and an organisation where two payloads take a second; nothing is left."""
    del house.environment["REDIS_URL"]
    house.environment |= {"MASSCONVERT_STATE_DIR": str(house.folder / "state"), "ZOHO_CONCURRENCY": "2"}
    house.simulator("--leads", "400", "--job-seconds", "0.2")
    house.set_faults({"method": POST, "do": "latency", "seconds": 0.7})
    (house.folder / "o.json").write_text(json.dumps(OPTIONS))
    leads = house.leads()
    (house.folder / "v1.csv").write_text("\n".join(["id", *leads[:350]]))
    (house.folder / "v2.csv").write_text("\n".join(["id", *leads[350:355]]))
    yield house
    until(lambda: set(family_names(house)) == {"simulator"}, 30, "the end of all processes")


def v1(house: House, *more: str) -> subprocess.Popen[bytes]:
    """Begin to convert 350 leads as the batch v1."""
    return begin(house, "convert", "v1.csv", "--options", "o.json", "--key", "v1", *more)


def posts(house: House) -> int:
    return house.calls(POST)


def converted(house: House) -> int:
    return sum(lead["converted"] for lead in house.truth().values())


def home(house: House) -> Path:
    """The directory of the one organisation."""
    (folder,) = (house.folder / "state" / "organisations").iterdir()
    return folder


def status(house: House, batch: str) -> dict[str, object]:
    done = house.command("status", batch, "--json")
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def printed(text: str) -> list[list[str]]:
    """The commands that are printed, as a shell would take them."""
    return [shlex.split(found) for found in _PRINTED.findall(text)]


def stop_v1(house: House, how: signal.Signals = signal.SIGINT) -> tuple[int, int]:
    """Stop v1 when some of it has been sent: how many leads it says are sent or ended, and how many not."""
    process = v1(house)
    until(lambda: posts(house) >= 2, 60, "some payloads")
    process.send_signal(how)
    assert process.wait(60) == 128 + how, said(house)
    assert "Traceback" not in said(house)
    ended, sent, left = (
        re.search(r"v1, ([0-9]+) of", said(house)),
        re.search(r"([0-9]+) leads are sent already", said(house)),
        re.search(r"([0-9]+) leads are not sent", said(house)),
    )
    assert ended, said(house)
    return int(ended[1]) + (int(sent[1]) if sent else 0), int(left[1]) if left else 0


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_what_was_stopped_is_not_sent_by_a_convert_of_other_leads(alone: House, how: signal.Signals) -> None:
    """Ctrl-C, a kill, a closed terminal. The numbers are the truth, and each printed command works as it is."""
    gone, left = stop_v1(alone, how)
    assert gone + left == 350
    assert gone
    assert left
    assert family_names(alone) == ["simulator"]
    assert status(alone, "v1")["state"] == "paused"

    other = alone.command("convert", "v2.csv", "--options", "o.json", "--key", "v2")
    assert other.returncode == 0, other.stderr
    assert "batch v1 has not finished, and stays paused" in other.stderr
    until(lambda: converted(alone) == gone + 5, 20, "what was sent, and the five")

    commands = printed(said(alone))
    assert ["cancel", "v1"] in commands
    assert ["convert", "--resume", "v1"] in commands
    cancelled = alone.command("cancel", "v1")
    assert cancelled.returncode == 0, cancelled.stderr
    # After a restart of Redis a payload that waits is perhaps sent until a look has shown that it is not (decision 37).
    assert "leads are cancelled" in cancelled.stdout
    assert status(alone, "v1")["waiting"] == 0
    assert converted(alone) == gone + 5


def test_the_same_command_goes_on_but_not_with_what_a_person_paused(alone: House) -> None:
    """That wants to be named."""
    gone, _ = stop_v1(alone)
    assert alone.command("pause", "v1").returncode == 0
    alone.set_faults()
    again = ("convert", "v1.csv", "--options", "o.json", "--key", "v1")
    refused = alone.command(*again)
    assert refused.returncode == 4, refused.stderr
    assert printed(refused.stderr)[-1] == ["convert", "--resume", "v1"]
    assert converted(alone) == gone
    process = begin(alone, "convert", "--resume", "v1")
    until(lambda: converted(alone) > gone, 60, "it to go on")
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130, said(alone)
    done = alone.command(*again, "--output", "v1-done.csv")
    assert done.returncode == 0, done.stderr
    assert "going on with batch v1" in done.stderr
    assert converted(alone) == 350


def test_a_second_ctrl_c_waits_for_no_worker_and_loses_nothing(alone: House) -> None:
    process = v1(alone)
    until(lambda: posts(alone) >= 1, 60, "a payload")
    alone.set_faults({"method": POST, "do": "latency", "seconds": 9})
    until(lambda: alone.ask("load")["now"] >= 2, 60, "two payloads on their way")
    process.send_signal(signal.SIGINT)
    until(lambda: "ending the workers" in said(alone), 20, "the first word")
    process.send_signal(signal.SIGINT)
    assert process.wait(7) == 130
    assert family_names(alone) == ["simulator"]
    alone.set_faults()
    done = alone.command("convert", "--resume", "v1")
    assert done.returncode == 0, done.stderr
    assert [lead["conversions"] for lead in alone.truth().values()].count(1) == 350


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_stopped_while_it_begins_nothing_was_sent(alone: House, how: signal.Signals) -> None:
    process = v1(alone)
    until(lambda: (alone.folder / "state" / "organisations").is_dir() and (home(alone) / "lock").exists(), 30, "a lock")
    process.send_signal(how)
    assert process.wait(60) == 128 + how, said(alone)
    assert "nothing is left running" in said(alone)
    assert "Traceback" not in said(alone)
    assert posts(alone) == 0


def test_stopped_while_leads_are_taken(alone: House) -> None:
    """A large file: what was taken stays paused, and the same command adds the rest."""
    ids = "\n".join(str(3652397000009850001 + 1000 * number) for number in range(150_000))
    (alone.folder / "large.csv").write_text(f"id\n{ids}\n")
    process = begin(alone, "convert", "large.csv", "--options", "o.json", "--key", "large")
    until(lambda: taken(alone, "large"), 90, "some leads")
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130, said(alone)
    assert "not taken yet; the same command adds the rest" in said(alone)
    seen = status(alone, "large")
    assert seen["state"] == "paused"
    assert 0 < int(str(seen["total"])) < 150_000
    assert alone.command("cancel", "large").returncode == 0
    assert int(str(status(alone, "large")["waiting"])) == 0


def taken(house: House, batch: str) -> int:
    """How many leads of a batch are in the ledger of the `convert` that runs."""
    holders = [Holder.load(lock.read_text()) for lock in house.folder.glob("state/organisations/*/lock")]
    if not (holders and holders[0] and Path(holders[0].socket).exists()):
        return 0
    client = connect(f"unix://{holders[0].socket}")
    with suppress(StoreError), reaching(client):
        return int(client.hget(Keys("default").batch(batch), "total") or 0)
    return 0


def test_kill_9_leaves_a_batch_that_every_command_names_and_none_sends(alone: House) -> None:
    """Of the command, then of all its processes at once: locks and sockets that are left mislead nobody."""
    alone.set_faults({"method": POST, "do": "latency", "seconds": 4})
    process = v1(alone)
    until(lambda: posts(alone) >= 1, 60, "a payload")
    process.kill()
    process.wait()
    until(lambda: family_names(alone) == ["simulator"], 30, "the end of all")
    seen = status(alone, "v1")
    assert seen["state"] == "paused"
    gone = 350 - int(str(seen["waiting"]))
    assert gone < 350
    other = v2(alone)
    until(lambda: posts(alone) and taken(alone, "v2"), 60, "the other batch")
    for each in family(alone):
        if name_of(each) != "simulator":
            os.kill(each.pid, signal.SIGKILL)
    other.wait()
    left = Holder.load((home(alone) / "lock").read_text())
    assert left
    assert Path(left.socket).exists()
    done = alone.command("convert", "v2.csv", "--options", "o.json", "--key", "v2")
    assert done.returncode == 0, done.stderr
    assert "batch v1 has not finished, and stays paused" in done.stderr
    until(lambda: converted(alone) == gone + 5, 20, "what was sent, and the five")


def v2(house: House) -> subprocess.Popen[bytes]:
    return begin(house, "convert", "v2.csv", "--options", "o.json", "--key", "v2", name="v2")


def test_what_the_ledger_of_an_earlier_version_left_is_not_sent_either(alone: House) -> None:
    """Nobody had paused it: it is what a crash leaves, and so is a canary."""
    canary = alone.command("convert", "v1.csv", "--options", "o.json", "--key", "v1", "--canary", "10")
    assert canary.returncode == 4, canary.stderr
    assert ["convert", "--resume", "v1"] in printed(canary.stderr)
    assert alone.command("convert", "v2.csv", "--options", "o.json", "--key", "v2").returncode == 0
    assert converted(alone) == 15
    alone.set_faults()
    done = alone.command("convert", "--resume-all")
    assert done.returncode == 0, done.stderr
    assert converted(alone) == 355


# --- commands reach the ledger ----------------------------------------------------------------------------


def test_commands_use_the_redis_of_a_convert_that_runs(alone: House) -> None:
    """In another terminal: they look, pause, let go on and call off; and what they let go on ends with it."""
    gone, left = stop_v1(alone)
    alone.set_faults({"method": POST, "do": "latency", "seconds": 15})
    two = v2(alone)
    until(lambda: taken(alone, "v2"), 60, "the other batch")
    assert not any("beat" in process.cmdline() for process in family(alone)), "schedules are for a fleet"
    seen = alone.command("status", "--json")
    assert seen.returncode == 0, seen.stderr
    assert {batch["batch"] for batch in json.loads(seen.stdout)["batches"]} == {"v1", "v2"}
    resumed = alone.command("resume", "v1")
    assert "Batch v1 goes on. What is left when the convert that runs now has ended" in resumed.stdout, resumed.stderr
    assert two.wait(60) == 0, said(alone, "v2")
    now = status(alone, "v1")
    assert now["state"] != "running"
    sent = 350 - int(str(now["waiting"]))
    assert gone <= sent
    assert left
    until(lambda: converted(alone) == sent + 5, 30, "what was sent")


@pytest.mark.timeout(300)
def test_both_at_once_in_any_order_answer_and_leave_nothing(alone: House) -> None:
    """A convert that begins while commands look, and ends while others do."""
    alone.set_faults()
    assert alone.command("convert", "v2.csv", "--options", "o.json", "--key", "v2").returncode == 0
    many = [begin(alone, "status", "v2", name=f"look{number}") for number in range(4)]
    process = v1(alone)
    many += [begin(alone, "report", "v2", name=f"look{number}") for number in range(4, 8)]
    for number, each in enumerate(many):
        assert each.wait(90) == 0, said(alone, f"look{number}")
    watch = begin(alone, "status", "v1", "--watch", name="watch")
    assert process.wait(200) == 0, said(alone)  # where a Redis had to be killed, leads are read first
    assert watch.wait(60) in (0, 2), said(alone, "watch")
    assert "Traceback" not in said(alone, "watch")
    assert alone.command("status", "v1", "--watch").returncode == 0


def test_what_nobody_carries_out_is_not_promised(alone: House) -> None:
    """resume and retry say what makes them move; a watch does not wait for nobody."""
    alone.set_faults({"method": POST, "do": "status", "status": 400, "code": "INVALID_DATA"})
    stopped = stop_v1(alone)
    assert stopped[1]
    resumed = alone.command("resume", "v1")
    assert resumed.returncode == 2
    assert printed(resumed.stderr) == [["convert", "--resume", "v1"]]
    watched = alone.command("status", "v1", "--watch")
    assert watched.returncode == 4
    assert ["convert", "--resume", "v1"] in printed(watched.stderr)
    assert alone.command("letters").returncode == 0
    for command in ("pause", "resume"):
        done = alone.command(command)
        assert done.returncode == 0, done.stderr
    assert "No convert runs" in done.stdout


def test_several_organisations_are_told_apart_by_the_client_or_named(alone: House) -> None:
    ours = dict(alone.environment)
    alone.set_faults()
    assert alone.command("convert", "v2.csv", "--options", "o.json", "--key", "v2").returncode == 0
    first = home(alone)
    alone.simulator("--leads", "5", "--job-seconds", "0.2")
    theirs = alone.leads()
    assert alone.command("convert", *theirs, "--no-deal", "--key", "t").returncode == 0
    assert alone.command("status", "v2").returncode == 2
    assert alone.command("status", "t").returncode == 0
    for name in [name for name in alone.environment if name.startswith("ZOHO_")]:
        del alone.environment[name]
    refused = alone.command("status")
    assert refused.returncode == 3
    assert f"MASSCONVERT_STATE_DIR={first}" in refused.stderr
    alone.environment["MASSCONVERT_STATE_DIR"] = str(first)
    assert alone.command("status", "v2").returncode == 0
    alone.environment = ours
    assert alone.command("status", "v2").returncode == 0
