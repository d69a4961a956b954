"""The counters against the simulator's truth, while workers are killed in mid-batch."""

from __future__ import annotations

import json
import re
import signal
from collections import Counter
from urllib.request import urlopen

import pytest

from massconvert.contract import Exit
from tests.acceptance.house import OPTIONS, House, until

pytestmark = pytest.mark.acceptance

_SERIES = re.compile(r"^massconvert_(\w+)\{(.*)\} (\S+)$")


def metrics(house: House) -> dict[tuple[str, ...], float]:
    """What ``massconvert metrics`` prints: a name with its labels' values but the account's → the number."""
    done = house.command("metrics")
    assert done.returncode == Exit.OK, done.stderr
    found = [match for line in done.stdout.splitlines() if (match := _SERIES.match(line))]
    return {(name, *re.findall(r'"([^"]*)"', labels)[1:]): float(value) for name, labels, value in map(_groups, found)}


def _groups(match: re.Match[str]) -> tuple[str, ...]:
    return match.groups()


def test_workers_are_killed_in_mid_batch_and_every_sum_is_the_truth(house: House) -> None:
    house.environment |= {"MASSCONVERT_CALL_DEADLINE": "1.5", "MASSCONVERT_JOB_WAIT": "2"}
    house.redis()
    house.simulator("--leads", "600", "--job-seconds", "0.5", "--latency", "0.2")
    leads, unknown = house.leads(), ["999000000000000001", "999000000000000002"]
    workers = [house.worker(name) for name in ("first", "second")]
    batch = house.producer().enqueue([*leads, *unknown], options=OPTIONS, key="counted")
    for number, worker in enumerate(workers, 1):
        until(lambda n=number: house.calls("POST mass_convert") >= 2 * n and house.ask("load")["now"], 30, "a call")  # type: ignore[misc]  # a default keeps the number
        house.kill(worker)
    house.worker("third")
    until(lambda: batch.progress().finished, 90, "the batch")
    truth, counted = house.truth(), metrics(house)
    outcomes = Counter((row.outcome.kind.value, row.outcome.code) for row in batch.outcomes() if row.outcome)
    ends = {labels[1:]: number for labels, number in counted.items() if labels[0] == "leads_ended_total" and number}
    assert ends == outcomes
    assert outcomes["converted", ""] == sum(known["conversions"] for known in truth.values())
    assert counted["leads_enqueued_total",] == len(leads) + len(unknown) == sum(ends.values())
    posts = {labels[2]: number for labels, number in counted.items() if labels[:2] == ("calls_total", "post")}
    reached = house.calls("POST mass_convert")
    answered = posts["ok"] + posts["refused"] + posts["throttled"] + posts["broken"]
    assert answered <= reached <= sum(posts.values()) + counted["calls_running",]
    assert counted["last_outcome_timestamp_seconds",] == pytest.approx(batch.progress().finished_at, abs=1.0)
    assert (counted["leads_waiting",], counted["leads_at_zoho",]) == (0, 0)


def test_a_worker_serves_its_own_metrics_and_logs_json(house: House) -> None:
    house.environment |= {
        "MASSCONVERT_METRICS_PORT": "0",
        "MASSCONVERT_LOG_FORMAT": "json",
        "MASSCONVERT_STATE_DIR": str(house.folder / "state"),
    }
    house.redis()
    house.simulator("--leads", "100", "--job-seconds", "0.3")
    worker = house.worker()
    batch = house.producer().enqueue(house.leads(), options=OPTIONS, key="watched")
    until(lambda: batch.progress().finished, 60, "the batch")
    (place,) = (house.folder / "state").glob("metrics-*.json")
    ((target,),) = (entry["targets"] for entry in json.loads(place.read_text(encoding="utf-8")))
    with urlopen(f"http://{target}/metrics", timeout=5) as answer:
        text = answer.read().decode()
    found = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    posts = found['massconvert_worker_call_duration_seconds_count{kind="post"}']
    assert float(posts) == house.calls("POST mass_convert")
    assert float(found["massconvert_worker_redis_round_trips_total"]) > 10
    assert float(found["massconvert_worker_threads"]) > 1
    lines = [json.loads(line) for line in house.log().splitlines() if line.startswith("{")]
    ended = [line for line in lines if line.get("event") == "payload_ended"]
    assert sum(line["converted"] for line in ended) == 100
    end = "job_all_converted" if house.behaves("counts") == "add_up" else "settled"
    assert {"accepted", end} <= {line.get("event") for line in lines}
    assert all(line["ts"].endswith("Z") and line["msg"] for line in lines)
    house.kill(worker, signal.SIGTERM)
    assert not place.exists()
