"""massconvert metrics: Prometheus' text format, complete from the first moment, with nobody's names in it."""

from __future__ import annotations

import re

from massconvert.contract import Exit
from massconvert.ledger import Counted, Member, Since, Workers
from massconvert.ledger.backlog import Backlog
from massconvert.metrics import Seen, render
from massconvert.model import Call, Pause
from massconvert.policy import ANSWERS, HoldKind, Row
from massconvert.zoho.standing import Held, Standing
from tests.unit.cli_shell import A, Shell

_LINE = re.compile(r'^(massconvert_[a-z_]+)(\{([a-z]+="[^"\\]*",?)+\}) -?\d+(\.\d+)?$')
NOW = 1_800_000_000.0


def seen(account: str = "default", numbers: dict[str, int] | None = None) -> Seen:
    counts = dict.fromkeys(("chunks_waiting", "jobs_running", "leads_waiting", "leads_at_zoho"), 0)
    hold = Held(HoldKind.OUTAGE, "HTTP 500", NOW - 60, 3.0)
    return Seen(
        account=account,
        now=NOW,
        since=Since(Counted(numbers or {}), NOW - 5.0),
        counts=counts,
        backlog=Backlog(0, 0.0, 0, (), "", 0.0),
        paused=Pause("by hand", "", "", NOW, "ann@laptop"),
        calls=Standing(10, "Enterprise", 4, 2, 1, 0.0, "", hold, 1200),
        workers=Workers.among([Member("worker", "w1", NOW - 3, took_at=NOW - 7)], NOW),
    )


def values(text: str) -> dict[str, float]:
    """Each series and its value; every line must be one that Prometheus reads."""
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert [line for line in lines if not _LINE.match(line)] == []
    return {series: float(value) for series, value in (line.rsplit(" ", 1) for line in lines)}


def test_every_series_that_may_come_is_there_as_0_from_the_beginning() -> None:
    found = values(render(seen()))
    calls = [name for name in found if name.startswith("massconvert_calls_total")]
    rows = [name for name in found if name.startswith("massconvert_transitions_total")]
    assert (len(calls), len(rows)) == (len(Call) * len(ANSWERS), len(Row))
    assert found['massconvert_leads_ended_total{account="default",outcome="failed",code="GAVE_UP"}'] == 0


def test_what_was_counted_is_told_by_its_labels() -> None:
    numbers = {
        "enqueued|": 7,
        "lead|converted|": 4,
        "lead|failed|INVALID_DATA": 1,
        "lead|failed|SOMETHING_NEW": 1,
        "lead|failed|SOMETHING_ELSE": 1,
        "call|post|throttled": 3,
        "time|post": 4500,
        "row|throttled": 3,
        "row|status_throttled": 2,
        "told|failed": 1,
        "full|": 9,
    }
    found = values(render(seen(numbers=numbers)))
    told = {name.removeprefix("massconvert_").replace('account="default",', ""): n for name, n in found.items()}
    assert told['leads_enqueued_total{account="default"}'] == 7
    assert told['leads_ended_total{outcome="converted",code=""}'] == 4
    assert told['leads_ended_total{outcome="failed",code="INVALID_DATA"}'] == 1
    assert told['leads_ended_total{outcome="failed",code="other"}'] == 2
    assert told['calls_total{kind="post",answer="throttled"}'] == 3
    assert told['call_duration_seconds_sum{kind="post"}'] == 4.5
    assert told['retries_total{step="post"}'] == 3
    assert told['retries_total{step="status"}'] == 2
    assert told['callbacks_total{result="failed"}'] == 1
    assert told['permits_full_total{account="default"}'] == 9
    assert told['calls_held{why="outage"}'] == 1
    assert told['calls_held{why="gate"}'] == 0
    assert told['paused{by="person"}'] == 1
    assert told['credits_left{account="default"}'] == 1200
    assert told['worker_last_take_timestamp_seconds{account="default"}'] == NOW - 7
    assert "SOMETHING" not in str(found)
    assert "ann@laptop" not in str(found)


def test_the_lines_of_a_metric_stand_together_whoever_they_are_about() -> None:
    lines = render(seen("default"), seen("emea"), unreachable=["apac"]).splitlines()
    families = [line.split()[2] for line in lines if line.startswith("# TYPE")]
    assert len(families) == len(set(families))
    ups = [line for line in lines if line.startswith("massconvert_ledger_up")]
    assert ups == [
        f'massconvert_ledger_up{{account="{name}"}} {up}' for name, up in (("apac", 0), ("default", 1), ("emea", 1))
    ]


def test_the_command_prints_what_the_ledger_has_counted(shell: Shell) -> None:
    shell.ledger.batches.open("b", "0" * 16, {}, now=NOW, leads=1)
    shell.ledger.batches.add("b", "b:0", [A], now=NOW)
    said = shell.run("metrics")
    assert said.code == Exit.OK
    found = values(said.out)
    assert found['massconvert_leads_enqueued_total{account="default"}'] == 1
    assert found['massconvert_leads_waiting{account="default"}'] == 1
    assert found['massconvert_oldest_waiting_timestamp_seconds{account="default"}'] == NOW


def test_a_payload_that_is_not_sent_waits_as_much_as_a_lead_that_is_in_none(shell: Shell) -> None:
    shell.ledger.batches.open("b", "0" * 16, {}, now=NOW, leads=1)
    shell.ledger.batches.add("b", "b:0", [A], now=NOW)
    assert shell.ledger.chunks.form(now=NOW + 60.0).chunk_ids
    found = values(shell.run("metrics").out)
    assert found['massconvert_oldest_waiting_timestamp_seconds{account="default"}'] == NOW + 60.0


def test_without_redis_the_command_says_so(shell: Shell) -> None:
    shell.redis_away()
    said = shell.run("metrics")
    assert (said.code, said.out) == (Exit.UNREACHABLE, "")
    assert "Redis" in said.err
