"""The command line as people use it: one command a test, real processes, a real Redis, real HTTP."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.acceptance.house import OPTIONS, ROOT, House, until

pytestmark = pytest.mark.acceptance


@pytest.fixture
def alone(house: House) -> House:
    """A machine without a Redis or settings of its own: what `demo` and `convert` are for."""
    del house.environment["REDIS_URL"]
    house.environment["XDG_STATE_HOME"] = str(house.folder / "state")
    return house


def begin(house: House, *arguments: str, name: str = "command") -> subprocess.Popen[bytes]:
    """Start ``massconvert …``, to be interrupted; what it says on stderr is in ``name.log``."""
    with (house.folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "massconvert", *arguments],
            cwd=house.folder,
            env={**house.environment, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.DEVNULL,
            stderr=log,
            start_new_session=True,
        )
    house.processes.append(process)
    return process


def said(house: House, name: str = "command") -> str:
    return (house.folder / f"{name}.log").read_text()


def family(house: House) -> list[psutil.Process]:
    """All processes that run for this house, by its folder in their environment: also those that lost their parent."""
    return [process for process in psutil.process_iter() if is_of(process, house)]


def is_of(process: psutil.Process, house: House) -> bool:
    try:
        at_home = process.pid != os.getpid() and process.environ().get("HOME") == str(house.folder)
        return at_home and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:  # somebody else's, or gone
        return False


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_demo_shows_the_main_job_and_leaves_nothing_behind(alone: House) -> None:
    """make demo: exit 0 says that every outcome equals the simulator's truth."""
    done = alone.command("demo", "--leads", "300")
    assert done.returncode == 0, done.stderr
    words = [line.split() for line in done.stdout.splitlines()]
    assert any(line[:2] == ["converted", "296"] for line in words), done.stdout
    assert any(line[:3] == ["failed", "NOT_FOUND", "2"] for line in words)
    assert any(line[:3] == ["skipped", "ALREADY_CONVERTED", "2"] for line in words)
    assert "all 300 outcomes are what Zoho says" in done.stderr
    assert "payloads" in done.stdout.splitlines()[-1]
    rows = rows_of(alone.folder / "massconvert-demo-report.csv")
    assert Counter(row["outcome"] for row in rows) == {"converted": 296, "failed": 2, "skipped": 2}
    assert family(alone) == []


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_demo_ended_in_mid_run_leaves_no_process_behind(alone: House, how: signal.Signals) -> None:
    """Ctrl-C, a kill, a kill -9."""
    process = begin(alone, "demo", "--leads", "5000")
    until(lambda: "leads have ended" in said(alone), 60, "the first progress line")
    assert len(family(alone)) > 3
    process.send_signal(how)
    code = process.wait(60)
    if how is signal.SIGINT:
        assert code == 130
        assert "nothing is left running" in said(alone)
        assert family(alone) == []
    assert "Traceback" not in said(alone)
    until(lambda: not family(alone), 30, "the end of all processes")


def test_convert_does_it_all_with_one_command(alone: House) -> None:
    """Redis, workers, enqueue, wait, report; a second time it is the same batch and costs no call."""
    alone.simulator("--leads", "120", "--unknown", "1", "--converted", "2", "--job-seconds", "0.2")
    leads = alone.leads()
    (alone.folder / "leads.csv").write_text("Record Id\n" + "".join(f"zcrm_{lead}\n" for lead in leads))
    (alone.folder / "options.json").write_text(json.dumps(OPTIONS))
    done = alone.command("convert", "leads.csv", "--options", "options.json", "--json")
    assert done.returncode == 1, done.stderr
    found = json.loads(done.stdout)
    assert (found["state"], found["converted"], found["failed"], found["skipped"]) == ("finished", 117, 1, 2)
    rows = rows_of(alone.folder / f"{found['batch']}-report.csv")
    assert {row["lead_id"] for row in rows} == set(leads)
    truth = alone.truth()
    assert all(truth[row["lead_id"]]["converted"] for row in rows if row["outcome"] == "converted")
    assert family_names(alone) == ["simulator"]
    calls = alone.ask("calls")
    again = alone.command("convert", "leads.csv", "--options", "options.json", "--json")
    assert again.returncode == 1
    assert "was done before" in again.stderr
    assert json.loads(again.stdout)["batch"] == found["batch"]
    assert alone.ask("calls") == calls


def family_names(house: House) -> list[str]:
    return [name_of(process) for process in family(house)]


def name_of(process: psutil.Process) -> str:
    """What a process of a house is called: a simulator by what it does."""
    try:
        return "simulator" if "massconvert.simulator" in process.cmdline() else str(process.name())
    except psutil.Error:
        return "gone"  # since it was listed


def test_an_interrupted_convert_goes_on_where_it_stopped(alone: House) -> None:
    """Ctrl-C in mid-run, then the same command again: every lead ends once. Its heading is in another language."""
    alone.simulator("--leads", "400", "--job-seconds", "1")
    alone.set_faults(
        {"method": "POST mass_convert", "do": "status", "status": 429, "skip": 3}
    )  # until it is interrupted
    leads = alone.leads()
    rows = [f'="{lead}";3652397000000281001' for lead in leads]
    (alone.folder / "leads.csv").write_text("\n".join(["Leads", "", "Datensatz-ID;Inhaber-ID", *rows]))
    (alone.folder / "options.json").write_text(json.dumps(OPTIONS))
    command = ("convert", "leads.csv", "--id-column", "Datensatz-ID", "--options", "options.json")
    process = begin(alone, *command)
    until(lambda: alone.calls("POST mass_convert") > 2, 60, "some payloads")
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130, said(alone)
    assert "To go on: massconvert convert --resume convert-" in said(alone)
    assert family_names(alone) == ["simulator"]
    alone.set_faults()
    done = alone.command(*command, "--output", "report.csv")
    assert done.returncode == 0, done.stderr
    assert "going on with batch" in done.stderr
    assert Counter(row["outcome"] for row in rows_of(alone.folder / "report.csv")) == {"converted": 400}
    truth = alone.truth()
    assert all(truth[lead]["conversions"] == truth[lead]["submissions"] == 1 for lead in leads)


def test_a_wait_that_runs_out_says_how_to_go_on_and_going_on_works(house: House) -> None:
    """enqueue --wait 1 without a worker is status 4; a worker comes; status --watch ends with 0."""
    house.redis()
    house.simulator("--leads", "60", "--job-seconds", "0.2")
    leads = house.leads()
    (house.folder / "options.json").write_text(json.dumps(OPTIONS))
    done = house.command("enqueue", *leads, "--options", "options.json", "--key", "k", "--wait", "1", "--json")
    assert done.returncode == 4, done.stderr
    assert json.loads(done.stdout)["accepted"] == 60
    assert "massconvert status k --watch" in done.stderr
    house.worker()
    watched = house.command("status", "k", "--watch", "--json")
    assert watched.returncode == 0, watched.stderr
    seen = [json.loads(line) for line in watched.stdout.splitlines()]
    assert (seen[-1]["state"], seen[-1]["converted"]) == ("finished", 60)
    assert all(line["total"] == 60 for line in seen)


def test_pause_stops_all_calls_and_resume_goes_on_at_once(house: House) -> None:
    house.redis()
    house.simulator("--leads", "20", "--job-seconds", "0.1")
    house.worker()
    (house.folder / "options.json").write_text(json.dumps(OPTIONS))
    assert house.command("pause").returncode == 0
    house.command("enqueue", *house.leads(), "--options", "options.json", "--key", "k")
    waited = house.command("enqueue", house.leads()[0], "--options", "options.json", "--key", "k", "--wait", "3")
    assert waited.returncode == 4
    assert "The organisation is paused" in waited.stderr
    assert json.loads(house.command("status", "k", "--json").stdout)["state"] == "paused"
    assert house.calls("POST mass_convert") == 0
    assert house.command("resume").returncode == 0
    assert house.command("status", "k", "--watch").returncode == 0


def test_without_redis_every_command_says_so_within_seconds(house: House) -> None:
    for arguments in (["enqueue", "3652397000009850001", "--no-deal"], ["status"], ["report", "k"], ["pause"]):
        began = time.monotonic()
        done = house.command(*arguments)
        assert done.returncode == 3, arguments
        assert done.stdout == ""
        assert "Traceback" not in done.stderr
        assert "REDIS_URL" in done.stderr
        assert time.monotonic() - began < 15


def test_the_simulator_prints_what_points_a_worker_at_it(alone: House) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "massconvert", "simulator", "--leads", "3"],
        cwd=alone.folder,
        env={**alone.environment, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    assert process.stdout
    environment: dict[str, Any] = dict(process.stdout.readline().strip().split("=", 1) for _ in range(5))
    assert environment["ZOHO_API_DOMAIN"] == environment["ZOHO_ACCOUNTS_URL"]
    alone.sim_url = environment["ZOHO_API_DOMAIN"]
    assert len(alone.leads()) == 3
    process.send_signal(signal.SIGINT)
    with process.stdout:
        assert process.wait(20) == 0


def test_a_report_through_head_is_quiet(house: House) -> None:
    """Whoever reads may stop reading."""
    house.redis()
    leads = [str(3652397000009850001 + number * 1000) for number in range(3000)]
    (house.folder / "leads.txt").write_text("\n".join(leads))
    assert house.command("enqueue", "--no-deal", "leads.txt", "--key", "k").returncode == 0
    with subprocess.Popen(
        [sys.executable, "-m", "massconvert", "report", "k", "--format", "jsonl"],
        cwd=house.folder,
        env=house.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.readline()
        process.stdout.close()
        errors = process.stderr.read().decode()
        assert process.wait(30) == 141
    assert "Traceback" not in errors
    assert "Broken" not in errors
