"""massconvert stats: days of the reader's time zone, from quarters of an hour."""

from __future__ import annotations

import json
import time

import pytest
from rich.cells import cell_len

from massconvert.cli.stats import By, bar, together
from massconvert.contract import Exit
from massconvert.ledger import Counted, Quarter
from tests.unit.cli_shell import A, B, Shell
from tests.unit.test_cli_width import fits


def quarters(first: int, count: int) -> list[Quarter]:
    return [Quarter(first + 900 * number, Counted({"lead|converted|": 1})) for number in range(count)]


@pytest.mark.parametrize(
    ("name", "first", "days"),
    [
        ("Asia/Kolkata", 1_795_631_400, [96, 4]),  # half an hour beside the hours of UTC
        ("Europe/Berlin", 1_792_879_200, [100]),  # its clocks are put back: a day of 25 hours
        ("Europe/Berlin", 1_774_738_800, [92, 8]),  # and forward
    ],
)
def test_a_day_is_the_readers(zone: pytest.MonkeyPatch, name: str, first: int, days: list[int]) -> None:
    zone.setenv("TZ", name)
    time.tzset()
    spans = together(quarters(first, 100), By.DAY)
    assert [span.ended for span in spans] == days
    assert {(span.began.hour, span.began.minute) for span in spans} == {(0, 0)}


def test_hours_are_whole_local_hours(zone: pytest.MonkeyPatch) -> None:
    zone.setenv("TZ", "Asia/Kolkata")
    time.tzset()
    spans = together(quarters(1_795_631_400, 8), By.HOUR)
    assert [(span.began.minute, span.ended) for span in spans] == [(0, 4), (0, 4)]


def ended(shell: Shell) -> None:
    """Two leads of which one is cancelled, by Redis' own clock."""
    shell.ledger.batches.open("b", "0" * 16, {}, leads=2)
    shell.ledger.batches.add("b", "b:0", [A, B])
    shell.ledger.batches.refuse_ids("b", {"x": "is none", "y": "neither"})
    shell.ledger.batches.cancel("b")
    while shell.ledger.chunks.drain():
        pass


def test_people_see_a_bar_and_the_numbers(shell: Shell) -> None:
    ended(shell)
    said = shell.run("stats")
    assert said.code == Exit.OK
    heading, row, codes = [line for line in said.out.splitlines() if line.strip("─- ")]
    assert heading.split() == ["from", "ended", "failed", "cancelled"]
    assert row.split()[2:] == ["█" * 24, "4", "2", "2"]
    assert codes == "failed: 2 INVALID_ID"


def test_scripts_get_each_number(shell: Shell) -> None:
    ended(shell)
    found = shell.run("stats", "--since", "24h", "--by", "quarter", "--json").json
    (span,) = found["spans"]
    assert (found["account"], found["by"]) == ("default", "quarter")
    assert (span["enqueued"], span["failed"], span["cancelled"], span["converted"]) == (4, 2, 2, 0)
    assert span["codes"] == {"failed": {"INVALID_ID": 2}}
    assert span["from"].endswith("Z")


def test_an_empty_ledger_says_so(shell: Shell) -> None:
    assert shell.run("stats", "--since", "1d").out == "Nothing was counted in the last 1 day.\n"


@pytest.mark.parametrize("since", ["yesterday", "0d", "401d", "5", "-3d", "3 months"])
def test_a_time_that_is_none_is_refused(shell: Shell, since: str) -> None:
    said = shell.run("stats", f"--since={since}", "--json")
    assert said.code == Exit.USAGE
    assert json.loads(said.out)["error"]["message"].startswith(f"--since {since} is no time")


def test_a_bar_is_never_longer_than_it_may_be_and_never_nothing_for_something() -> None:
    assert [bar(number, 1000, 24).split()[0] for number in (1000, 500, 1)] == ["█" * 24, "█" * 12, "▏"]
    assert bar(0, 10, 4) == bar(0, 0, 4) == ""
    assert max(cell_len(bar(number, 97, 24).split()[0]) for number in range(1, 98)) == 24


@pytest.mark.parametrize("width", [80, 120])
def test_it_fits_the_terminal(shell: Shell, monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", str(width))
    ended(shell)
    counts = {f"lead|{kind}|": 123_456 for kind in ("converted", "failed", "skipped", "cancelled")}
    shell.connect("").hset("mc:{default}:counts", mapping={**counts, "call|post|ok": 123_456})
    assert "123,456" in fits(shell.run("stats", "--by", "quarter"), width)
