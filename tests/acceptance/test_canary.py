"""A conversion cannot be undone, so a few leads go first: by the command line, with real workers."""

from __future__ import annotations

import json

import pytest

from tests.acceptance.house import OPTIONS, House
from tests.acceptance.truth import code_of_unknown

pytestmark = pytest.mark.acceptance


def write(house: House) -> None:
    """The simulator's leads and the options, as files."""
    (house.folder / "leads.txt").write_text("\n".join(house.leads()))
    (house.folder / "options.json").write_text(json.dumps(OPTIONS))


def converted(house: House) -> int:
    """How many leads Zoho has converted."""
    return sum(lead["converted"] for lead in house.truth().values())


def test_convert_stops_behind_its_canary_and_goes_on_without_the_flag(house: House) -> None:
    """Status 4, a table of those that went first, nothing else sent; then the same command goes on with the rest."""
    del house.environment["REDIS_URL"]
    house.environment["XDG_STATE_HOME"] = str(house.folder / "state")
    house.simulator("--leads", "130", "--job-seconds", "0.2")
    write(house)
    command = ("convert", "leads.txt", "--options", "options.json")
    first = house.command(*command, "--canary", "20")
    assert first.returncode == 4, first.stderr
    assert "The canary has ended: 0 of 20 leads failed" in first.stderr
    assert "To let them follow: massconvert convert --resume" in first.stderr
    assert "converted" in first.stdout
    assert converted(house) == 20
    second = house.command(*command)
    assert second.returncode == 0, second.stderr
    assert converted(house) == 130
    assert all(lead["submissions"] == 1 for lead in house.truth().values())


def test_a_canary_that_lives_lets_the_others_follow_by_itself_and_one_that_dies_does_not(house: House) -> None:
    """By ``--canary-max-failed``; resume lets go on what waits."""
    house.redis()
    house.simulator("--leads", "90", "--unknown", "3", "--job-seconds", "0.2")
    house.worker()
    write(house)
    unknown = [lead for lead in house.leads() if lead not in house.truth()]
    known = [lead for lead in house.leads() if lead in house.truth()]
    (house.folder / "good.txt").write_text("\n".join(known[:40]))
    (house.folder / "bad.txt").write_text("\n".join([*unknown, *known[40:]]))
    command = ("--options", "options.json", "--canary", "10", "--canary-max-failed", "20", "--wait", "60", "--key")
    good = house.command("enqueue", "good.txt", *command, "good")
    assert good.returncode == 0, good.stderr
    assert converted(house) == 40
    bad = house.command("enqueue", "bad.txt", *command, "bad")
    assert bad.returncode == 4, bad.stderr
    assert "3 of 10 leads failed" in bad.stderr
    assert "massconvert resume bad" in bad.stderr
    assert code_of_unknown(house) in bad.stdout
    assert converted(house) == 47
    assert json.loads(house.command("status", "bad", "--json").stdout)["state"] == "paused"
    assert house.command("resume", "bad").returncode == 0
    end = house.command("status", "bad", "--watch")
    assert end.returncode == 1, end.stderr
    assert converted(house) == len(known)


def test_a_canary_that_makes_no_sense_is_refused_before_anything_is_enqueued(house: House) -> None:
    """A plain line, status 2."""
    house.redis()
    house.simulator("--leads", "3")
    write(house)
    for wrong in (("--canary", "0"), ("--canary-max-failed", "5"), ("--canary", "5", "--canary-max-failed", "101")):
        done = house.command("enqueue", "leads.txt", "--options", "options.json", *wrong)
        assert done.returncode == 2, done.stderr
        assert "canary" in done.stderr
        assert "Traceback" not in done.stderr
    assert json.loads(house.command("status", "--json").stdout)["batches"] == []
