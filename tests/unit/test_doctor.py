"""The doctor: each rule, what becomes of checks that hang or break, and how it is told."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import fakeredis
import pytest
from pydantic import SecretStr

from massconvert.caller import Caller
from massconvert.cli import doctor as command
from massconvert.contract import Exit
from massconvert.doctor import Finding, Level, examination, examine, worst
from massconvert.doctor.examination import Check
from massconvert.doctor.redis_checks import check_redis
from massconvert.doctor.redis_rules import judge_clock, judge_redis
from massconvert.doctor.setting_checks import read_settings
from massconvert.doctor.site import Site
from massconvert.doctor.work_checks import check_backlog, check_calls, check_fleet, check_organisation
from massconvert.doctor.zoho_checks import no_token
from massconvert.errors import StoreError
from massconvert.ledger import Member
from massconvert.model import NotSent, Unsent
from massconvert.nudge import Nudge
from massconvert.on_complete.permitted import ANY_OF_AN_APP
from massconvert.on_complete.targets import parse_targets
from massconvert.settings import Settings, variables
from massconvert.store import connect
from tests.unit.cli_shell import A, B, Shell

SECRET = "hunter2-not-a-real-secret"
#: These take nearly any text, and are no secret.
SHOWN = {"ZOHO_CLIENT_ID", "MASSCONVERT_STATE_DIR", "MASSCONVERT_HEARTBEAT_FILE", "MASSCONVERT_ACCOUNT"}
GOOD = {
    "redis_version": "7.2.4",
    "role": "master",
    "aof_enabled": 1,
    "aof_last_write_status": "ok",
    "maxmemory": 0,
    "used_memory": 10,
    "maxmemory_policy": "noeviction",
}
OK, WARNING, WRONG = Level.OK, Level.WARNING, Level.WRONG


def told(findings: Iterable[Finding]) -> list[tuple[str, Level]]:
    """Check and level of each."""
    return [(finding.check, finding.level) for finding in findings]


# --- Redis ----------------------------------------------------------------------------------------------------


def test_a_good_redis_is_ok_in_every_respect() -> None:
    assert {level for _, level in told(judge_redis(GOOD))} == {OK}


@pytest.mark.parametrize(
    ("info", "check", "level"),
    [
        ({"redis_version": "5.0.14"}, "redis version", WRONG),
        ({"redis_version": "6.0.20"}, "redis version", WRONG),
        ({"role": "slave"}, "redis role", WRONG),
        ({"aof_enabled": 0}, "redis persistence", WARNING),
        ({"aof_last_write_status": "err"}, "redis persistence", WRONG),
        ({"maxmemory_policy": "allkeys-lru"}, "redis eviction", WARNING),
        ({"maxmemory_policy": "allkeys-lru", "maxmemory": 100}, "redis eviction", WRONG),
        ({"maxmemory_policy": "volatile-ttl", "maxmemory": 100}, "redis eviction", WARNING),
        ({"maxmemory": 100, "used_memory": 85}, "redis memory", WARNING),
        ({"maxmemory": 100, "used_memory": 98}, "redis memory", WRONG),
        ({"maxclients": 16, "connected_clients": 3}, "redis connections", WARNING),
        ({"maxclients": 100, "connected_clients": 81}, "redis connections", WARNING),
    ],
)
def test_a_redis_that_does_not_suit_is_told_with_a_fix(info: dict[str, Any], check: str, level: Level) -> None:
    (bad,) = [finding for finding in judge_redis(GOOD | info) if finding.level is not OK]
    assert (bad.check, bad.level) == (check, level)
    assert bad.fix


def test_valkey_is_called_by_its_own_name_and_version() -> None:
    (found,) = judge_redis({"redis_version": "7.2.4", "server_name": "valkey", "valkey_version": "8.1.8"})
    assert (found.level, found.what) == (OK, "Valkey 8.1.8.")


def test_there_must_be_connections_for_all_workers_that_run() -> None:
    some = GOOD | {"maxclients": 100, "connected_clients": 5}
    assert {level for _, level in told(judge_redis(some, workers=2))} == {OK}
    (bad,) = [finding for finding in judge_redis(some, workers=3) if finding.level is not OK]
    assert bad.what == "Redis takes only 100 connections at once (maxclients), and 3 workers run."


def test_what_a_managed_redis_does_not_tell_is_not_judged() -> None:
    assert told(judge_redis({})) == []


@pytest.mark.parametrize(("ahead", "level"), [(0.5, OK), (-4.9, OK), (5.1, WARNING), (-3600.0, WARNING)])
def test_clocks_may_differ_a_little(ahead: float, level: Level) -> None:
    found = judge_clock(ahead)
    assert found.level is level
    assert ("ahead of" in found.what) is (ahead > 0)


# --- settings -------------------------------------------------------------------------------------------------


def test_wrong_settings_are_all_told_and_the_rest_goes_on_with_the_defaults(tmp_path: Path) -> None:
    environ = {"MASSCONVERT_LINGER": "soon", "ZOHO_CONCURRENCY": "0", "MASSCONVERT_ACCOUNT": "emea"}
    settings, found = read_settings(environ)
    assert settings
    assert (settings.linger, settings.zoho_concurrency, settings.account) == (2.0, None, "emea")
    assert [finding.what.partition(" ")[0] for finding in found] == ["ZOHO_CONCURRENCY", "MASSCONVERT_LINGER"]
    assert all(finding.level is WRONG and finding.fix for finding in found)


def test_an_env_file_that_cannot_be_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_bytes(b"\xff\xfe\x00")
    monkeypatch.chdir(tmp_path)
    found = examine({})
    assert told(found) == [("settings", WRONG)]
    assert "UTF-8" in found[0].what


def test_another_account_is_examined_by_its_name_and_the_others_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "massconvert.toml").write_text("[accounts.emea]\n[accounts.apac]\n")
    settings, found = read_settings({}, "emea")
    assert settings
    assert settings.account == "emea"
    assert "apac" in found[0].what
    settings, _ = read_settings({})
    assert settings
    assert settings.account == "emea"  # the environment's own has no credentials, so nobody serves it
    assert told(examine({}, account="emae")) == [("settings", WRONG)]


def test_a_misspelt_setting_is_a_warning_that_names_the_right_one() -> None:
    found = examine({"MASSCONVERT_LINGR": "3"}, checks=[examination.CHECKS[0]])
    assert ("settings", WARNING) in told(found)
    assert "did you mean MASSCONVERT_LINGER" in found[0].what


# --- examination ----------------------------------------------------------------------------------------------


def test_a_check_that_hangs_is_told_with_what_it_had_found_and_holds_up_no_other() -> None:
    forever = threading.Event()

    def hang(_: Site) -> Iterator[Finding]:
        yield Finding("a", OK, "fine so far")
        forever.wait()

    found = examine({}, checks=[Check("hangs", hang, within=0.05), Check("b", lambda _: [Finding("b", OK, "fine")])])
    forever.set()
    assert told(found) == [("a", OK), ("hangs", WRONG), ("b", OK)]


def test_a_check_that_breaks_is_told_without_its_words_and_holds_up_no_other() -> None:
    """Words of an unexpected error may hold a URL with a password."""

    def broken(_: Site) -> list[Finding]:
        raise ZeroDivisionError(f"redis://:{SECRET}@host")

    def away(_: Site) -> list[Finding]:
        raise StoreError("Redis is away.", hint="Start it.")

    found = examine({}, checks=[Check("x", broken), Check("y", away), Check("b", lambda _: [Finding("b", OK, "ok")])])
    assert told(found) == [("x", WARNING), ("y", WARNING), ("b", OK)]
    assert SECRET not in str(found)
    assert "Redis is away." in found[1].what


@pytest.mark.parametrize("given", [True, False])
def test_who_has_named_no_redis_is_told_that_one_machine_needs_none(given: bool) -> None:
    """Their first command after a login is this one, and the next one brings its own Redis."""
    nowhere = {"REDIS_URL": "redis://127.0.0.1:1/0"} if given else {}

    def unreached(site: Site) -> Iterator[Finding]:
        site.redis = connect("redis://127.0.0.1:1/0", account="default")
        return check_redis(site)

    (found,) = [finding for finding in examine(nowhere, checks=[Check("redis", unreached)]) if finding.check == "redis"]
    assert found.level is WRONG
    assert ("massconvert convert needs none" in found.fix) is not given


def test_on_a_producer_s_machine_credentials_and_zoho_are_left_out() -> None:
    checks = [
        Check("zoho", lambda _: [Finding("zoho", OK, "")], of_workers=True),
        Check("redis", lambda _: [Finding("redis", OK, "")]),
    ]
    assert told(examine({}, producer=True, checks=checks)) == [("redis", OK)]
    assert [check.name for check in examination.CHECKS if check.of_workers] == [
        "credentials",
        "zoho",
        "rehearsal",
        "names",
    ]


def test_the_worst_of_all_is_the_verdict() -> None:
    assert worst([]) is OK
    assert worst([Finding("a", OK, ""), Finding("b", WARNING, "")]) is WARNING
    assert worst([Finding("a", WRONG, ""), Finding("b", WARNING, "")]) is WRONG


# --- the organisation at work ---------------------------------------------------------------------------------


class Clinic:
    """A site over a fake Redis, with the fake's own time."""

    def __init__(self, shell: Shell) -> None:
        self.redis = shell.connect("")
        self.site = Site(Settings(REDIS_URL="redis://nowhere.invalid"))
        self.ledger = shell.ledger
        self.now = self.site.clock.now()

    def chunk(self, chunk_id: str, state: str, due_ago: float, **fields: Any) -> None:
        """A chunk whose next step was due so long ago."""
        key = f"mc:{{default}}:chunk:{chunk_id}"
        self.redis.hset(key, mapping={"state": state, "due": self.now - due_ago, **fields})
        self.redis.zadd("mc:{default}:due", {chunk_id: self.now + 30})

    def note(self, role: str, ago: float, took_ago: float | None = None, **fields: Any) -> None:
        """A member that was seen so long ago."""
        took_at = 0.0 if took_ago is None else self.now - took_ago
        made = Member(role, "a", self.now - ago, began_at=self.now - 9999, took_at=took_at)
        self.ledger.fleet.note(replace(made, **fields))


@pytest.fixture
def clinic(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> Clinic:
    def connect(_url: str, *, account: str, socket_timeout: float) -> Any:
        return fakeredis.FakeRedis(server=shell.server, decode_responses=True)

    monkeypatch.setattr("massconvert.doctor.site.connect", connect)
    return Clinic(shell)


def only(findings: Iterable[Finding], check: str) -> Finding:
    """The one finding of that check."""
    (found,) = [finding for finding in findings if finding.check == check]
    return found


def test_without_a_worker_work_stops(clinic: Clinic) -> None:
    assert only(check_fleet(clinic.site), "workers").level is WRONG
    clinic.note("worker", ago=300)
    found = only(check_fleet(clinic.site), "workers")
    assert found.level is WRONG
    assert "seen 5 min ago" in found.what
    assert "massconvert worker" in found.fix


def test_living_workers_are_counted_and_the_last_task_is_told(clinic: Clinic) -> None:
    clinic.note("worker", ago=3, took_ago=40)
    clinic.note("worker", ago=3, took_ago=12, name="b")
    found = only(check_fleet(clinic.site), "workers")
    assert found.level is OK
    assert "2 workers are alive; the last took something 12 s ago" in found.what


@pytest.mark.parametrize("took_ago", [None, 500.0])
def test_living_workers_that_take_nothing_while_work_waits_are_wrong(clinic: Clinic, took_ago: float | None) -> None:
    clinic.note("worker", ago=3, took_ago=took_ago)
    clinic.chunk("7", "waiting", due_ago=400)
    found = only(check_fleet(clinic.site), "workers")
    assert found.level is WRONG
    assert "although work waits" in found.what


def test_a_worker_s_own_trouble_is_passed_on(clinic: Clinic) -> None:
    clinic.note("worker", ago=3, trouble="its event loop has not turned for 99 s")
    found = [finding for finding in check_fleet(clinic.site) if finding.check == "workers"]
    assert "a: its event loop has not turned for 99 s." in [finding.what for finding in found]


def test_workers_of_two_versions_are_a_warning(clinic: Clinic) -> None:
    clinic.note("worker", ago=3, version="1.0")
    clinic.note("worker", ago=3, version="1.1", name="b")
    assert any("1.0, 1.1" in finding.what for finding in check_fleet(clinic.site))


def test_a_beat_that_was_there_and_is_gone_is_a_warning(clinic: Clinic) -> None:
    assert only(check_fleet(clinic.site), "beat").level is OK
    clinic.note("beat", ago=12 * 3600)
    found = only(check_fleet(clinic.site), "beat")
    assert found.level is WARNING
    assert "12 h" in found.what
    clinic.note("beat", ago=5, name="new")
    assert only(check_fleet(clinic.site), "beat").level is OK


def test_a_stuck_payload_is_named_with_its_minutes_and_its_reason(clinic: Clinic) -> None:
    clinic.chunk("7", "settling", due_ago=600, job="365", outages=4)
    clinic.chunk("8", "waiting", due_ago=60)  # not yet
    clinic.chunk("9", "running", due_ago=600, lease=clinic.now + 20)  # a worker is at it
    found = only(check_backlog(clinic.site), "stuck")
    assert found.level is WARNING
    assert found.what.startswith(
        "Payload 7 (job 365), settling, is overdue by 10 min: no worker took it, after 4 calls"
    )
    clinic.ledger.organisation.pause(now=clinic.now, reason="by hand")
    found = only(check_backlog(clinic.site), "stuck")
    assert "the organisation is paused" in found.what
    assert found.fix == "To go on: massconvert resume"


def test_many_stuck_payloads_are_counted_and_the_worst_are_named(clinic: Clinic) -> None:
    for number in range(20):
        clinic.chunk(str(number), "waiting", due_ago=200 + number)
    found = [finding.what for finding in check_backlog(clinic.site) if finding.check == "stuck"]
    assert len(found) == 6
    assert found[0].startswith("Payload 19,")
    assert found[-1].startswith("15 more")


def test_leads_that_nobody_forms_are_told_with_their_age(clinic: Clinic) -> None:
    batches = clinic.ledger.batches
    batches.open("k", "0" * 16, {}, now=clinic.now - 700, leads=2)
    batches.add("k", "1", [A, B], now=clinic.now - 700)
    found = only(check_backlog(clinic.site), "queues")
    assert found.level is WARNING
    assert "2 leads wait" in found.what
    assert "12 min ago" in found.what


def test_a_job_without_an_end_is_named(clinic: Clinic) -> None:
    clinic.chunk("7", "running", due_ago=-30, job="365", sent_at=clinic.now - 9000)
    found = only(check_backlog(clinic.site), "jobs")
    assert "job 365 for 3 h" in found.what


def test_a_pause_by_zoho_is_wrong_and_one_by_hand_a_warning(clinic: Clinic) -> None:
    assert told(check_organisation(clinic.site)) == [("pause", OK), ("calls", OK)]
    clinic.ledger.organisation.pause(now=clinic.now, reason="It was paused by hand.")
    assert only(check_organisation(clinic.site), "pause").level is WARNING
    clinic.redis.hset("mc:{default}:pause", mapping={"code": "NO_PERMISSION", "reason": "no", "hint": "Ask for it."})
    found = only(check_organisation(clinic.site), "pause")
    assert (found.level, found.fix) == (WRONG, "Ask for it, then: massconvert resume")


def test_a_closed_gate_is_a_warning_with_its_reason(clinic: Clinic) -> None:
    clinic.redis.hset("mc:{default}:gate", mapping={"until": clinic.now + 90, "why": "Zoho answered 429"})
    found = only(check_organisation(clinic.site), "calls")
    assert found.level is WARNING
    assert "Zoho answered 429" in found.what


@pytest.mark.parametrize("kind", ["outage", "credits"])
def test_calls_that_are_held_are_wrong_with_the_reason_and_the_next_probe(clinic: Clinic, kind: str) -> None:
    times = {"since": clinic.now - 60, "probe": clinic.now + 30, "wait": 40}
    hold = {"kind": kind, "why": "Zoho gives no usable answer", **times}
    clinic.redis.hset("mc:{default}:hold", mapping=hold)
    found = only(check_organisation(clinic.site), "calls")
    assert found.level is WRONG
    assert "Zoho gives no usable answer; one call finds out in 30 s" in found.what
    assert found.fix


def test_a_limit_that_429s_have_lowered_and_the_credits_left_are_told(clinic: Clinic) -> None:
    clinic.redis.hset("mc:{default}:limit", mapping={"calls": 10, "source": "edition standard"})
    clinic.redis.hset("mc:{default}:credits", mapping={"left": 1234})
    clinic.redis.hset("mc:{default}:limit:learnt", mapping={"calls": 4})
    words = [finding.what for finding in check_organisation(clinic.site)]
    assert any("Only 4 of 10 calls run at once" in each for each in words)
    assert any("1,234 of the day's API credits are left" in each for each in words)


# --- the command ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("level", "code", "summary"),
    [
        (OK, Exit.OK, "all is well."),
        (WARNING, Exit.OK, "work can go on; 1 warning."),
        (WRONG, Exit.UNREACHABLE, "1 wrong, 0 warnings: fix the first that is wrong, and ask again."),
    ],
)
def test_the_command_tells_each_line_and_ends_by_the_worst(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, level: Level, code: Exit, summary: str
) -> None:
    found = [Finding("redis", level, "Redis is \x1b[2Jthere.", "Do this." if level is not OK else "")]
    monkeypatch.setattr(command, "examine", lambda **_: found)
    said = shell.run("doctor")
    assert said.code == code
    assert said.out.splitlines()[0].split() == [level.value, "redis", "Redis", "is", "\\x1b[2Jthere."]
    assert ("-> Do this." in said.out) is (level is not OK)
    assert said.err == f"massconvert: {summary}\n"
    said = shell.run("doctor", "--json")
    assert said.code == code
    assert said.json["verdict"] == level.value
    assert said.json["findings"][0]["check"] == "redis"


def test_nothing_that_is_told_has_a_secret_in_it(shell: Shell) -> None:
    """Whatever is set to one, with nothing there to answer."""
    for name in sorted(variables().keys() - SHOWN):
        for value in (SECRET, f"redis://:{SECRET}@127.0.0.1:1/0", f"https://x:{SECRET}@127.0.0.1:1"):
            environ = {"REDIS_URL": f"redis://:{SECRET}@127.0.0.1:1/0", name: value}
            assert SECRET not in json.dumps([str(finding) for finding in examine(environ, producer=True)]), name


def test_a_web_hook_that_nobody_can_sign_is_to_be_given_a_secret(clinic: Clinic) -> None:
    hooks, callbacks = parse_targets("https://shop.example.com/x"), clinic.ledger.callbacks
    clinic.ledger.batches.open("k", "0" * 16, {}, now=clinic.now, leads=0, on_complete=hooks)
    clinic.ledger.batches.seal("k", now=clinic.now, flush=True)
    unsigned = Caller(Nudge("memory://"), SecretStr(""), ANY_OF_AN_APP).call(hooks[0], {})
    fixes = {unsigned: "Set MASSCONVERT_WEBHOOK_SECRET on the workers", "HTTP 500": "massconvert webhook test URL"}
    for why, fix in fixes.items():
        call = callbacks.take(now=clinic.now + 1)
        assert call is not None
        callbacks.failed(call, why, now=clinic.now + 1, again_in=0.0)
        found = only(check_calls(clinic.site), "callbacks")
        assert why in found.what
        assert fix in found.fix


def test_a_call_that_is_not_made_again_is_told_of_the_latest_batches(clinic: Clinic) -> None:
    hooks, callbacks = parse_targets("https://shop.example.com/x"), clinic.ledger.callbacks
    clinic.ledger.batches.open("k", "0" * 16, {}, now=clinic.now, leads=0, on_complete=hooks)
    clinic.ledger.batches.seal("k", now=clinic.now, flush=True)
    call = callbacks.take(now=clinic.now + 1)
    assert call is not None
    callbacks.failed(call, "HTTP 410: Gone", now=clinic.now + 1, again_in=None)
    found = only(check_calls(clinic.site), "callbacks")
    assert found.level is Level.WARNING
    assert (
        found.what == "Batch k has finished, but the web hook at https://shop.example.com was not told: HTTP 410: Gone."
    )
    assert "massconvert status k" in found.fix


def test_what_several_checks_say_in_the_same_words_is_one_line_for_people(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And of a Redis that does not answer nobody knows what its user may do."""
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1")
    shell.redis_away()
    said = shell.run("doctor", "--producer")
    assert said.code == Exit.UNREACHABLE
    lines = [line for line in said.out.splitlines() if "Not looked at" in line]
    assert len(lines) == 1
    assert "The same for: rights, organisation, fleet, queues, messages, callbacks, profiles." in lines[0]
    assert (
        len(
            [
                each
                for each in shell.run("doctor", "--producer", "--json").json["findings"]
                if "Not looked at" in each["what"]
            ]
        )
        == 8
    )


@pytest.mark.parametrize(
    ("answer", "fix"),
    [
        (NotSent(Unsent.CREDENTIALS, "no", "access_denied"), "grant access again"),
        (NotSent(Unsent.CREDENTIALS, "no", "unauthorized_client"), "API console"),
        (NotSent(Unsent.CREDENTIALS, "no", "invalid_grant"), "new refresh token"),
        (NotSent(Unsent.CREDENTIALS, "no", "invalid_scope"), "Fix the credentials"),
        (NotSent(Unsent.DENIED, "no", "ACCESS_DENIED"), "what else asks for tokens"),
        (NotSent(Unsent.DENIED, "no", "org_disabled"), "what Zoho says"),
        (NotSent(Unsent.NO_TOKEN, "no"), "may reach Zoho"),
    ],
)
def test_each_reason_for_no_access_token_has_its_fix(answer: NotSent, fix: str) -> None:
    found = no_token(answer)
    assert found.level is Level.WRONG
    assert fix in found.fix
