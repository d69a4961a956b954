"""What ``massconvert status`` shows of permits to call: the limit, what holds calls back, and a signal to scale by."""

from __future__ import annotations

import time
from typing import Any

import pytest

from massconvert.cli.calls_view import workers_useful
from massconvert.contract import WORKER_SLOTS
from massconvert.zoho.standing import Standing
from tests.unit.cli_shell import A, B, C, Shell

KEY = "mc:{default}:"


@pytest.fixture
def shell(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.setenv("ZOHO_CONCURRENCY", "10")
    return shell


def calls(shell: Shell) -> dict[str, Any]:
    found: dict[str, Any] = shell.run("status", "--json").json["calls"]
    return found


def test_where_nothing_is_held_back_the_limit_is_whole(shell: Shell) -> None:
    assert calls(shell) == {
        "running": 0,
        "posts": 0,
        "limit": 10,
        "limit_from": "ZOHO_CONCURRENCY",
        "limit_learnt": 10,
        "gate_closed_for": 0.0,
        "gate_why": None,
        "held": None,
        "credits_left": None,
    }
    said = shell.run("status").out
    assert "0 of 10 calls (ZOHO_CONCURRENCY)" in said
    assert "credits" not in said


def test_a_limit_that_429s_have_lowered(shell: Shell) -> None:
    shell.connect("").hset(f"{KEY}limit:learnt", mapping={"calls": 4, "event": 1})
    assert (calls(shell)["limit"], calls(shell)["limit_learnt"]) == (10, 4)
    said = shell.run("status").out
    assert "of 10 calls (ZOHO_CONCURRENCY, 4 for now)" in said
    assert "Zoho answered 429 to more than 4 calls at once" in said


@pytest.mark.parametrize("last", [{"calls": 1, "ceiling": 2, "row": 3}, {"calls": 1, "ceiling": 1, "row": 0}])
def test_a_429_to_one_of_several_calls_is_about_their_number(shell: Shell, last: dict[str, int]) -> None:
    shell.connect("").hset(f"{KEY}limit:learnt", mapping=last)
    assert "Zoho answered 429 to more than 1 call at once" in shell.run("status").out


def test_a_429_to_a_call_that_went_alone_is_not_said_to_be_about_their_number(shell: Shell) -> None:
    """Zoho's 429 does not say which limit it is about, and the header about credits may not come."""
    shell.connect("").hset(f"{KEY}limit:learnt", mapping={"calls": 1, "ceiling": 1, "row": 1})
    said = shell.run("status").out
    assert "Zoho refuses single calls, too: the day's API credits may be used up" in said
    assert "takes a share" not in said


def test_a_hold_says_why_since_when_and_what_comes_next(shell: Shell) -> None:
    now = time.time()
    hold = {"kind": "outage", "why": "Zoho gives no usable answer: HTTP 503", "since": now - 60, "wait": 20, "tries": 5}
    shell.connect("").hset(f"{KEY}hold", mapping=hold | {"probe": now + 15})
    found = calls(shell)["held"]
    assert (found["kind"], found["why"]) == ("outage", "Zoho gives no usable answer: HTTP 503")
    assert found["since"].endswith("Z")
    assert 10 <= found["next_probe_in"] <= 15
    said = shell.run("status").out
    assert "No calls since " in said
    assert "Zoho gives no usable answer: HTTP 503; the next call finds out in 1" in said


def test_while_a_probe_is_out_the_next_one_is_not_said_to_be_an_age_away(shell: Shell) -> None:
    """Its lease is 70 s, and its answer comes long before."""
    now = time.time()
    hold = {"kind": "outage", "why": "w", "since": now, "wait": 20, "tries": 5, "probe": now + 70, "by": "p"}
    shell.connect("").hset(f"{KEY}hold", mapping=hold)
    assert calls(shell)["held"]["next_probe_in"] == 20.0


def test_credits_are_shown_once_zoho_tells_them(shell: Shell) -> None:
    shell.connect("").hset(f"{KEY}credits", mapping={"left": 41234, "at": time.time()})
    assert calls(shell)["credits_left"] == 41234
    assert "41,234 of the day's API credits are left" in shell.run("status").out


@pytest.mark.parametrize(("permits", "workers"), [(1, 1), (5, 1), (20, 1), (21, 2), (25, 2)])
def test_more_workers_are_useful_as_long_as_permits_are_left_for_them(permits: int, workers: int) -> None:
    assert WORKER_SLOTS == 20
    assert workers_useful(Standing(permits, "", 1, 0, 0, 0.0, "")) == workers


def test_leads_that_wait_are_counted_in_inboxes_and_in_payloads_that_were_not_sent(shell: Shell) -> None:
    """Also with options that are tried out, whose inbox is not ready; what was sent waits no more."""
    redis = shell.connect("")
    for number, (state, place, leads) in enumerate(
        [("waiting", "unsent", f"{A},{B}"), ("running", "jobs", C), ("sending", "unsent", C)]
    ):
        redis.hset(f"{KEY}chunk:{number}", mapping={"state": state, "fp": f"fp{number % 2}", "members": f"k={leads}"})
        redis.sadd(f"{KEY}{place}", number)
    redis.hset(f"{KEY}options:fp0", "waiting", 40)  # tried out by chunk 0
    redis.hset(f"{KEY}options:fp1", "waiting", 0)
    redis.hset(f"{KEY}options:fp2", "waiting", 2)
    redis.zadd(f"{KEY}inboxes", {"fp2": 1.0})
    found = shell.run("status", "--json").json
    assert found["leads_waiting"] == 45
    assert found["workers_useful"] == 1
    assert "45 leads wait to be sent (2 payloads made)" in shell.run("status").out
