"""massconvert status, pause and resume: what people and scripts see."""

from __future__ import annotations

import json

import pytest

from massconvert.cli.console import local_time
from massconvert.contract import Exit
from massconvert.ledger import Member
from massconvert.model import Kind, Outcome
from massconvert.producer.intake import this_person
from tests.unit.cli_shell import A, B, FakeNudge, Shell, finished

COUNTS = ("total", "waiting", "sent", "converted", "failed", "skipped", "cancelled")


def test_the_json_of_a_batch_has_its_state_and_every_count(shell: Shell) -> None:
    shell.batch("k", finished(3), waiting=["7"])
    found = shell.run("status", "k", "--json").json
    assert found["batch"] == "k"
    assert found["state"] == "running"
    assert [found[name] for name in COUNTS] == [4, 1, 0, 2, 1, 0, 0]
    assert found["created_at"] == "2027-01-15T08:00:00.000Z"
    assert found["finished_at"] is None
    assert found["sealed"] is True
    assert found["paused"] is None


def test_a_status_without_watching_is_status_0_whatever_the_outcomes(shell: Shell) -> None:
    shell.batch("k", finished())
    assert shell.run("status", "k").code == Exit.OK


def test_people_see_the_counts_and_the_times(shell: Shell) -> None:
    shell.batch("k", finished())
    said = shell.run("status", "k")
    lines = dict(line.split(maxsplit=1) for line in said.out.splitlines())
    assert lines["state"].strip() == "finished"
    assert lines["converted"].strip() == lines["failed"].strip() == "1"
    assert lines["begun"].strip() == local_time(1_800_000_000.0)
    assert lines["finished"].strip() == local_time(1_800_000_060.0)


def test_an_unknown_batch_is_status_2_and_says_where_the_batches_are(shell: Shell) -> None:
    said = shell.run("status", "nope")
    assert said.code == Exit.USAGE
    assert "There is no batch 'nope'" in said.err
    assert "To see which there are: massconvert status --all" in said.err


@pytest.mark.parametrize(
    ("outcomes", "code"),
    [
        (finished(), Exit.SOME_FAILED),
        ({A: Outcome(Kind.CONVERTED), B: Outcome(Kind.SKIPPED, "ALREADY_CONVERTED")}, Exit.OK),
        ({A: Outcome(Kind.CANCELLED)}, Exit.SOME_FAILED),
    ],
)
def test_watching_ends_with_the_exit_status_of_the_batch(
    shell: Shell, outcomes: dict[str, Outcome], code: Exit
) -> None:
    shell.batch("k", outcomes)
    assert shell.run("status", "k", "--watch").code == code
    said = shell.run("status", "k", "--watch", "--json")
    assert said.code == code
    assert said.json["total"] == len(outcomes)


def test_the_json_of_the_organisation(shell: Shell) -> None:
    shell.batch("k", finished())
    found = shell.run("status", "--json").json
    assert [batch["batch"] for batch in found["batches"]] == ["k"]
    assert found["batches"][0]["state"] == "finished"
    assert (found["paused"], found["chunks_waiting"], found["jobs_running"]) == (None, 0, 0)
    assert found["calls"]["running"] == 0
    assert found["calls"]["gate_why"] is None


def test_the_organisation_s_workers_are_told(shell: Shell) -> None:
    """That nobody works, or when the last took something."""
    assert "No worker runs; to start one: massconvert worker" in shell.run("status").out
    assert shell.run("status", "--json").json["workers"] == {"alive": 0, "last_took_ago": None}
    now = float(shell.connect("").time()[0])
    shell.ledger.fleet.note(Member("worker", "a", now - 400, took_at=now - 500))
    assert "(the last was seen 6 min 4" in shell.run("status").out
    shell.ledger.fleet.note(Member("worker", "a", now, took_at=now - 500))
    assert "1 worker, the last took something 8 min 2" in shell.run("status").out
    found = shell.run("status", "--json").json["workers"]
    assert found["alive"] == 1
    assert found["last_took_ago"] == pytest.approx(500, abs=5)


def test_without_batches_it_says_how_to_make_one(shell: Shell) -> None:
    assert "No batches yet" in shell.run("status").out


@pytest.mark.parametrize("arguments", [(), ("--json",)])
def test_watching_the_organisation_ends_when_every_batch_has(shell: Shell, arguments: tuple[str, ...]) -> None:
    shell.batch("k", finished())
    said = shell.run("status", "--watch", *arguments)
    assert said.code == Exit.OK
    assert "finished" in said.out


def test_ctrl_c_while_watching_the_organisation_says_how_to_go_on(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    shell.batch("k", {}, waiting=[A])
    monkeypatch.setattr("threading.Event.wait", interrupted)
    said = shell.run("status", "--watch")
    assert said.code == 130
    assert "massconvert status --watch" in said.err


def test_a_closed_gate_is_shown_with_its_reason(shell: Shell) -> None:
    redis = shell.connect("")
    redis.hset("mc:{default}:gate", mapping={"until": "99999999999", "why": "Zoho says 429"})
    assert "Zoho says 429" in shell.run("status").out
    assert shell.run("status", "--json").json["calls"]["gate_why"] == "Zoho says 429"


def test_a_pause_by_zoho_is_shown_with_why_and_what_to_do(shell: Shell) -> None:
    shell.batch("k", {}, waiting=[A])
    pause = {"code": "NO_PERMISSION", "reason": "permission denied", "hint": "Ask for it.", "since": "1800000000"}
    shell.connect("").hset("mc:{default}:pause", mapping=pause)
    for arguments in (("status",), ("status", "k")):
        said = shell.run(*arguments)
        assert f"PAUSED. The organisation is paused since {local_time(1_800_000_000.0)}" in said.out
        assert "NO_PERMISSION: permission denied" in said.out
        assert "Ask for it, then: massconvert resume" in said.out
    assert shell.run("status", "k", "--json").json["paused"]["code"] == "NO_PERMISSION"
    assert shell.run("status", "k", "--json").json["state"] == "paused"
    assert shell.run("status", "--json").json["paused"] == {
        **pause,
        "hint": "Ask for it, then: massconvert resume",
        "since": "2027-01-15T08:00:00.000Z",
        "by": "",
    }


def test_what_zoho_says_cannot_move_the_cursor(shell: Shell) -> None:
    pause = {"code": "X", "reason": "\x1b[2Jgone [red]", "hint": "", "since": "1800000000"}
    shell.connect("").hset("mc:{default}:pause", mapping=pause)
    said = shell.run("status")
    assert "\x1b" not in said.out
    assert "[red]" in said.out


def test_pause_and_resume_are_safe_to_repeat(shell: Shell) -> None:
    organisation = shell.ledger.organisation
    assert shell.run("pause").out.startswith("Paused. Nothing more is sent")
    assert organisation.paused()
    assert shell.run("pause").out.startswith("The organisation is paused since ")
    said = shell.run("resume")
    assert said.out.startswith("Resumed")
    assert organisation.paused() is None
    assert FakeNudge.told == [0]
    assert "not paused" in shell.run("resume").out
    assert FakeNudge.told == [0]


def test_pausing_by_hand_keeps_a_pause_by_zoho_from_ending_by_itself(shell: Shell) -> None:
    pause = {"code": "NO_PERMISSION", "reason": "permission denied", "hint": "", "since": "1800000000", "probe": "1"}
    shell.connect("").hset("mc:{default}:pause", mapping=pause)
    assert "NO_PERMISSION: permission denied" in shell.run("pause").err
    found = shell.ledger.organisation.paused()
    assert found
    assert found.code == ""
    assert shell.connect("").hget("mc:{default}:pause", "probe") is None


def test_resume_without_a_broker_resumes_all_the_same(shell: Shell) -> None:
    shell.run("pause")
    FakeNudge.broken = True
    said = shell.run("resume")
    assert said.code == Exit.OK
    assert "by themselves" in said.err


@pytest.mark.parametrize("command", [("status",), ("status", "k"), ("pause",), ("resume",), ("report", "k")])
def test_redis_away_is_status_3(shell: Shell, command: tuple[str, ...]) -> None:
    shell.redis_away()
    said = shell.run(*command)
    assert said.code == Exit.UNREACHABLE
    assert said.out == ""
    assert "cannot be reached" in said.err


# --- one batch ----------------------------------------------------------------------------------------------


def test_a_batch_can_be_paused_and_resumed_alone_and_both_are_safe_to_repeat(shell: Shell) -> None:
    shell.run("enqueue", "--no-deal", A, "--key", "k")
    shell.run("enqueue", "--no-deal", B, "--key", "other")
    said = shell.run("pause", "k")
    assert said.code == Exit.OK
    assert said.out == "Batch k is paused: nothing more of it is sent. To go on: massconvert resume k\n"
    again = shell.run("pause", "k")
    assert again.code == Exit.OK
    assert again.out.startswith("Batch k is paused since ")
    assert shell.run("status", "k", "--json").json["state"] == "paused"
    assert shell.run("status", "other", "--json").json["state"] == "running"
    shown = shell.run("status", "k").out
    assert f"by {this_person()}. Nothing more of it is sent." in shown
    assert "massconvert resume k" in shown
    assert shell.run("resume", "k").out == "Batch k goes on.\n"
    assert shell.run("resume", "k").out == "Batch k was not paused.\n"
    assert shell.run("status", "k", "--json").json["state"] == "running"


def test_who_paused_and_why_is_shown_wherever_something_waits_for_them(shell: Shell) -> None:
    shell.run("enqueue", "--no-deal", A, "--key", "k")
    shell.run("pause", "k", "--reason", " wrong \x1b[31mowner ")
    shell.run("pause", "k", "--reason", "another one")  # the first stands
    shell.run("pause", "--reason", "the CRM is moved")
    whole, one = f"by {this_person()}: nothing is sent. the CRM is moved", f"by {this_person()}: wrong \\x1b[31mowner. "
    for arguments in (("status",), ("status", "k"), ("pause",)):
        assert whole in " ".join(shell.run(*arguments).out.split())
    assert one in " ".join(shell.run("status", "k").out.split())
    assert one in shell.run("pause", "k").out
    assert whole in " ".join(shell.run("enqueue", "--no-deal", B, "--key", "other").err.split())
    found = shell.run("status", "k", "--json").json
    assert (found["held"], found["held_by"]) == ("wrong \x1b[31mowner", this_person())
    assert found["held_since"].endswith("Z")
    assert (found["paused"]["by"], found["paused"]["reason"]) == (this_person(), "the CRM is moved")
    assert this_person() in found["why"]["said"]
    shell.run("resume")
    shell.run("resume", "k")
    found = shell.run("status", "k", "--json").json
    assert (found["held"], found["held_by"], found["held_since"], found["paused"]) == ("", "", None, None)


def test_leads_of_paused_batches_are_counted_beside_those_that_wait(shell: Shell) -> None:
    shell.run("enqueue", "--no-deal", A, B, "--key", "k")
    assert "in paused batches" not in shell.run("status").out
    shell.run("pause", "k")
    assert "0 leads wait to be sent (0 payloads made), 2 more in paused batches" in shell.run("status").out


def test_what_has_ended_cannot_go_on_and_it_is_said(shell: Shell) -> None:
    shell.batch("k", finished())
    said = shell.run("resume", "k").out
    assert said == "Batch k was not paused. It is finished: nothing is left to go on with.\n"


def test_a_reason_that_nobody_can_read_is_refused_and_nothing_is_paused(shell: Shell) -> None:
    shell.run("enqueue", "--no-deal", A, "--key", "k")
    for batch in ((), ("k",)):
        said = shell.run("pause", *batch, "--reason", "x" * 501)
        assert said.code == Exit.USAGE
        assert "501 characters" in said.err
    assert shell.run("status", "k", "--json").json["state"] == "running"


def test_last_is_a_batch_for_pause_and_resume_too(shell: Shell) -> None:
    shell.run("enqueue", "--no-deal", A, "--key", "k")
    assert "Batch k is paused" in shell.run("pause", "--last").out
    assert shell.run("resume", "--last").out == "Batch k goes on.\n"
    assert shell.ledger.organisation.paused() is None


def test_what_has_ended_has_nothing_to_pause(shell: Shell) -> None:
    shell.batch("k", finished())
    assert shell.run("pause", "k").out == "Batch k is finished: there was nothing to pause.\n"


def test_a_batch_that_goes_on_in_a_paused_organisation_says_so(shell: Shell) -> None:
    shell.run("enqueue", "--no-deal", A, "--key", "k")
    shell.run("pause")
    assert "The whole organisation is paused, too. To go on: massconvert resume" in shell.run("resume", "k").err


@pytest.mark.parametrize("command", ["pause", "resume"])
def test_pausing_an_unknown_batch_is_status_2_and_stops_nothing(shell: Shell, command: str) -> None:
    assert shell.run(command, "nope").code == Exit.USAGE
    assert shell.ledger.organisation.paused() is None


def test_a_batch_whose_payloads_are_to_be_tried_again_says_why_and_when(shell: Shell) -> None:
    """Those that nobody said anything about, that are due, or are held, do not count."""
    shell.batch("k", {}, waiting=[A])
    redis, prefix = shell.connect(""), "mc:{default}:"
    words = json.dumps(["OAUTH_SCOPE_MISMATCH", "invalid scope", ""])
    other = json.dumps(["BUSY", "later", ""])
    soon, past = 4_000_000_000.0, 1_000_000_000.0
    for number, fields in enumerate(
        [
            {"said": words, "due": soon},
            {"said": words, "due": soon + 60},
            {"said": other, "due": soon},
            {"due": soon},
            {"said": other, "due": past},
            {"said": other, "due": soon, "parked": 1},
            {"said": other, "due": soon, "parked": 1},
            {"said": other, "due": "soon"},
        ]
    ):
        redis.hset(f"{prefix}chunk:{number}", mapping=fields)
        redis.sadd(f"{prefix}batch:k:chunks", number)
    found = shell.run("status", "k", "--json").json["waits_for"]
    assert found == {
        "payloads": 2,
        "code": "OAUTH_SCOPE_MISMATCH",
        "message": "invalid scope",
        "until": "2096-10-02T07:06:40.000Z",
    }
    assert "2 payloads, in" in (said := shell.run("status", "k")).out
    assert "Zoho said: OAUTH_SCOPE_MISMATCH: invalid scope" in said.out
    redis.delete(*(f"{prefix}chunk:{number}" for number in range(8)))
    assert shell.run("status", "k", "--json").json["waits_for"] is None


def test_a_ledger_of_another_version_is_refused_and_not_shown_as_empty(shell: Shell) -> None:
    shell.connect("").hset("mc:{default}:ledger", "format", "2")
    for command in (("status",), ("status", "k"), ("report", "k"), ("cancel", "k"), ("metrics",), ("stats",)):
        said = shell.run(*command)
        assert said.code == Exit.UNREACHABLE, command
        assert "has format 2" in said.err
