"""One access token for everybody: refreshed once, ahead of its end, and told plainly when there is none."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable
from typing import Any

import fakeredis
import pytest
from pydantic import SecretStr

from massconvert.model import NotSent, PerhapsAccepted, Unsent
from massconvert.store import Keys
from massconvert.zoho.datacenters import Hosts, resolve
from massconvert.zoho.grants import TOO_MANY, Credentials, Grant, parse_grant
from massconvert.zoho.oauth import MAX_GRANTS, Token, TokenSource
from massconvert.zoho.transport import Reply
from tests.stand_ins import Clock

SECRETS = ("1000.fake-refresh-token", "fake-client-secret")
#: Seconds that threads have for each other on a busy machine.
SLOWEST = 100.0
CREDENTIALS = Credentials("1000.FAKE", SecretStr(SECRETS[1]), SecretStr(SECRETS[0]))


class Accounts:
    """An accounts server: gives tokens t1, t2, … unless told to answer something else."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.answer: Reply | NotSent | PerhapsAccepted | None = None
        self.life = 3600
        self.api_domain = "https://www.zohoapis.com"
        self.before: Callable[[], None] = lambda: None

    def exchange(self, method: str, url: str, *, headers: Any, body: bytes) -> Reply | NotSent | PerhapsAccepted:
        self.asked.append({"method": method, "url": url, "headers": headers, "body": body})
        number = len(self.asked)
        self.before()
        if self.answer is not None:
            return self.answer
        granted = {"access_token": f"t{number}", "api_domain": self.api_domain, "expires_in": self.life}
        return reply({**granted, "token_type": "Bearer", "scope": "ZohoCRM.x"})


def reply(value: Any, status: int = 200) -> Reply:
    return Reply(status, {}, value if isinstance(value, bytes) else json.dumps(value).encode())


@pytest.fixture
def clock() -> Clock:
    return Clock(1_795_514_400.0)


@pytest.fixture
def accounts() -> Accounts:
    return Accounts()


@pytest.fixture
def server() -> fakeredis.FakeServer:
    return fakeredis.FakeServer()


@pytest.fixture
def make(server: fakeredis.FakeServer, clock: Clock, accounts: Accounts) -> Callable[..., TokenSource]:
    """Makes the token source of one more worker."""

    def source(hosts: Hosts | None = None, credentials: Credentials = CREDENTIALS, **more: Any) -> TokenSource:
        redis = fakeredis.FakeRedis(server=server, decode_responses=True)
        hosts = hosts or resolve("us")
        transport: Any = accounts
        return TokenSource(redis, Keys("acme"), clock, transport, credentials, hosts, data_center="us", **more)

    return source


def value(token: Token | NotSent) -> str:
    assert isinstance(token, Token), token
    return token.value.get_secret_value()


def test_a_token_is_asked_for_once_and_shared(make: Any, accounts: Accounts) -> None:
    assert [value(make().get()) for _ in range(3)] == ["t1"] * 3
    (asked,) = accounts.asked
    assert asked["url"] == "https://accounts.zoho.com/oauth/v2/token"
    assert asked["headers"]["Content-Type"] == "application/x-www-form-urlencoded"
    assert b"grant_type=refresh_token" in asked["body"]
    assert SECRETS[0].encode() in asked["body"]


def test_twenty_threads_at_once_refresh_once(make: Any, accounts: Accounts) -> None:
    """The one refresh ends only when all nineteen others wait for it.

    Each runs a script a second, and on a machine twenty times as slow that takes twenty seconds.
    """
    waiting: set[int] = set()
    changed = threading.Condition()
    start = threading.Barrier(20)
    tokens: list[str] = []

    def others_wait() -> None:
        with changed:
            assert changed.wait_for(lambda: len(waiting) == 19, timeout=SLOWEST)

    def work() -> None:
        source = make(wait=SLOWEST, lease=2 * SLOWEST)
        await_refresh = source._await_refresh

        def waits(seconds: float) -> None:
            with changed:
                waiting.add(threading.get_ident())
                changed.notify_all()
            await_refresh(seconds)

        source._await_refresh = waits
        start.wait(SLOWEST)
        tokens.append(value(source.get()))

    accounts.before = others_wait
    threads = [threading.Thread(target=work) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SLOWEST)
    assert tokens == ["t1"] * 20
    assert len(accounts.asked) == 1


def test_a_token_is_refreshed_ahead_of_its_end_while_others_go_on_with_the_old_one(
    make: Any, accounts: Accounts, clock: Clock
) -> None:
    assert value(make().get()) == "t1"
    clock.time += 3600 - 299
    meanwhile: list[str] = []
    accounts.before = lambda: meanwhile.append(value(make().get()))
    assert value(make().get()) == "t2"
    assert meanwhile == ["t1"]
    assert len(accounts.asked) == 2


def test_a_token_that_could_not_be_refreshed_ahead_is_used_to_its_end(
    make: Any, accounts: Accounts, clock: Clock
) -> None:
    make().get()
    accounts.answer = reply(b"", 503)
    clock.time += 3600 - 200
    assert [value(make().get()), value(make().get())] == ["t1", "t1"]
    assert len(accounts.asked) == 2  # the second knew of the trouble
    clock.time += 200
    assert isinstance(make().get(), NotSent)


def test_a_short_lived_token_is_not_refreshed_at_every_call(make: Any, accounts: Accounts, clock: Clock) -> None:
    accounts.life = 60
    make().get()
    clock.time += 40
    assert value(make().get()) == "t1"
    clock.time += 10
    assert value(make().get()) == "t2"


def test_a_refused_token_is_discarded_only_while_it_is_the_current_one(make: Any, accounts: Accounts) -> None:
    first, second = make(), make()
    old = first.get()
    assert second.get() == old
    first.discard(old)
    assert value(first.get()) == "t2"
    second.discard(old)  # late: the token that failed has been replaced
    assert value(second.get()) == "t2"
    assert len(accounts.asked) == 2


def test_a_token_that_is_refused_again_and_again_does_not_use_up_the_refreshes(
    make: Any, accounts: Accounts, clock: Clock
) -> None:
    for _ in range(MAX_GRANTS):
        token = make().get()
        make().discard(token)
    answer = make().get()
    assert isinstance(answer, NotSent)
    assert (answer.why, answer.retry_after) == (Unsent.DENIED, 600.0)
    assert len(accounts.asked) == MAX_GRANTS


def test_trouble_is_remembered_for_the_fleet_until_its_time_is_over(
    make: Any, accounts: Accounts, server: fakeredis.FakeServer
) -> None:
    accounts.answer = reply({"error": "Access Denied", "error_description": "too many", "status": "failure"})
    first, second = make().get(), make().get()
    assert isinstance(first, NotSent)
    assert isinstance(second, NotSent)
    assert (first.why, first.code, first.retry_after) == (Unsent.DENIED, "ACCESS_DENIED", TOO_MANY)
    assert second.retry_after is not None
    assert 0 < second.retry_after <= TOO_MANY
    assert len(accounts.asked) == 1
    accounts.answer = None
    redis = fakeredis.FakeRedis(server=server, decode_responses=True)
    for key in redis.scan_iter("*:trouble"):
        redis.delete(key)  # its time is over
    assert value(make().get()) == "t2"


@pytest.mark.parametrize(
    "answer",
    [
        NotSent(Unsent.CONNECT, "Connection refused"),
        PerhapsAccepted("no answer within 15 s"),
        reply(b"<html>", 502),
        reply({"error": "server_error"}, 500),
        reply({}, 200),
        reply({"access_token": ""}),
        reply({"access_token": "two\nlines"}),
        reply({"access_token": "t1"}, 500),
    ],
)
def test_a_refresh_without_a_usable_answer_is_surely_not_sent(make: Any, accounts: Accounts, answer: Any) -> None:
    accounts.answer = answer
    said = make().get()
    assert isinstance(said, NotSent)
    assert (said.why, said.code) == (Unsent.NO_TOKEN, "")
    assert "accounts.zoho.com" in said.detail


@pytest.mark.parametrize("status", [200, 400])
@pytest.mark.parametrize("code", ["invalid_code", "invalid_client", "invalid_client_secret"])
def test_refused_credentials_are_told_by_the_body_with_the_likely_fix(
    make: Any, accounts: Accounts, status: int, code: str
) -> None:
    accounts.answer = reply({"error": code}, status)
    said = make().get()
    assert isinstance(said, NotSent)
    assert (said.why, said.code) == (Unsent.CREDENTIALS, code)
    assert code in said.detail
    assert "ZOHO_DATA_CENTER is us" in said.detail


AGAIN = "You have made too many requests continuously. Please try again after some time."


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, {"error": "Access Denied"}),
        (400, {"error": "Access Denied", "error_description": AGAIN, "status": "failure"}),
        (400, {"error": "access_denied", "error_description": AGAIN}),
        (400, {"error": "invalid_code", "error_description": AGAIN}),
        (429, b""),
        (429, b"<html>"),
    ],
)
def test_too_many_refreshes_are_told_by_the_body_or_429(status: int, body: Any) -> None:
    said = parse_grant(reply(body, status), "accounts.zoho.eu")
    assert isinstance(said, NotSent)
    assert (said.why, said.code, said.retry_after) == (Unsent.DENIED, "ACCESS_DENIED", TOO_MANY)


@pytest.mark.parametrize("status", [200, 400, 401, 403, 500])
@pytest.mark.parametrize(
    "error",
    [
        *("invalid_code", "invalid_client", "invalid_client_secret", "invalid_grant", "unauthorized_client"),
        *("access_denied", "invalid_scope", "invalid_redirect_uri", "unsupported_grant_type", "redirect_uri_mismatch"),
        *("INVALID_CODE", " invalid_client "),
    ],
)
def test_what_only_a_person_can_fix_is_about_the_credentials_whatever_the_status(status: int, error: str) -> None:
    said = parse_grant(reply({"error": error}, status), "accounts.zoho.eu", "eu")
    assert isinstance(said, NotSent)
    assert (said.why, said.code) == (Unsent.CREDENTIALS, error.strip().lower())


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b"<!DOCTYPE html><title>Sign in</title>"),
        (200, b"\r\n  <html>"),
        (301, b""),
        (302, b"<html>"),
        (307, b"{}"),
        (404, b"<html>"),
        (404, {}),
        (405, b""),
        (410, b""),
        (401, b""),
        (403, b"<html>forbidden"),
        (407, b""),
    ],
)
def test_what_is_no_accounts_server_is_for_a_person_too(status: int, body: Any) -> None:
    said = parse_grant(reply(body, status), "accounts.example.com")
    assert isinstance(said, NotSent)
    assert (said.why, said.code) == (Unsent.CREDENTIALS, "ACCOUNTS_URL")
    assert f"accounts.example.com answered HTTP {status}" in said.detail


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, {"error": "general_error"}),
        (200, {"error": "general_error"}),
        (500, {"error": "server_error"}),
        (503, {"error": "temporarily_unavailable"}),
        (400, {"error": "temporarily_unavailable"}),
        (200, {"error": "Slow_Down"}),
        (500, {"error": "org_disabled"}),
        (502, b"<html>"),
        (500, b""),
        (200, b""),
        (200, {}),
        (400, b"<html>"),
        (408, b""),
        (200, {"error": 7}),
        (200, {"access_token": None}),
    ],
)
def test_what_passes_is_an_outage_of_the_token(status: int, body: Any) -> None:
    said = parse_grant(reply(body, status), "accounts.zoho.eu")
    assert isinstance(said, NotSent)
    assert (said.why, said.code) == (Unsent.NO_TOKEN, "")


@pytest.mark.parametrize("status", [200, 400, 401, 403])
@pytest.mark.parametrize("error", ["expired_token", "org_disabled", "user_inactive", "IP_NOT_ALLOWED", "forbidden"])
def test_a_reason_that_nobody_has_documented_is_no_outage(status: int, error: str) -> None:
    said = parse_grant(reply({"error": error}, status), "accounts.zoho.eu")
    assert isinstance(said, NotSent)
    assert (said.why, said.code) == (Unsent.DENIED, error)
    assert error in said.detail


def test_a_grant_code_in_the_place_of_a_refresh_token_is_recognised() -> None:
    code = f"1000.{'0a' * 16}.{'1b' * 16}"
    for error in ("invalid_code", "invalid_grant"):
        said = parse_grant(reply({"error": error}), "accounts.zoho.eu", "eu", code)
        assert isinstance(said, NotSent)
        assert "this looks like a grant code" in said.detail
        assert "exchanges it" in said.detail
        assert code not in said.detail
    for told in (
        parse_grant(reply({"error": "invalid_code"}), "accounts.zoho.eu", "eu", code, worked=True),
        parse_grant(reply({"error": "invalid_code"}), "accounts.zoho.eu", "eu", "hunter2"),
        parse_grant(reply({"error": "invalid_client"}), "accounts.zoho.eu", "eu", code),
    ):
        assert isinstance(told, NotSent)
        assert "grant code" not in told.detail


def test_a_refresh_token_that_has_worked_is_not_called_a_grant_code(
    make: Any, accounts: Accounts, clock: Clock
) -> None:
    code = Credentials("1000.FAKE", SecretStr("s"), SecretStr(f"1000.{'0a' * 16}.{'1b' * 16}"))
    source = make(credentials=code)
    source.get()
    clock.time += 3700
    accounts.answer = reply({"error": "invalid_code"})
    assert "grant code" not in source.get().detail


def test_a_client_of_another_data_centre_is_told_which_others_there_are() -> None:
    said = parse_grant(reply({"error": "invalid_client"}), "accounts.zoho.com", "us")
    assert isinstance(said, NotSent)
    assert "(ZOHO_DATA_CENTER is us; the others are eu, in, au, cn, jp, ca, sa, uk, ae)" in said.detail


@pytest.mark.parametrize(
    ("said", "life"),
    [
        ({"expires_in": 3600}, 3600),
        ({"expires_in": "1800"}, 1800),
        ({"expires_in_sec": 3600, "expires_in": 3_600_000}, 3600),
        ({"expires_in": 3_600_000}, 3600),
        ({"expires_in": 0}, 3600),
        ({"expires_in": -1}, 3600),
        ({"expires_in": 10**15}, 3600),
        ({"expires_in": True}, 3600),
        ({}, 3600),
    ],
)
def test_the_life_of_a_token_is_sane(said: dict[str, Any], life: float) -> None:
    grant = parse_grant(reply({"access_token": "t", **said}), "h")
    assert isinstance(grant, Grant)
    assert grant.life == life


def test_a_documented_api_domain_of_the_token_answer_is_used(make: Any, accounts: Accounts) -> None:
    accounts.api_domain = "https://sandbox.zohoapis.com"
    assert [make().get().api_domain, make().get().api_domain] == ["https://sandbox.zohoapis.com"] * 2


def test_an_api_domain_that_is_in_no_list_is_used_with_a_warning_by_every_worker(
    make: Any, accounts: Accounts, caplog: pytest.LogCaptureFixture
) -> None:
    accounts.api_domain = "https://www.zohoapis.sg"
    assert [make().get().api_domain, make().get().api_domain] == ["https://www.zohoapis.sg"] * 2
    (line,) = caplog.messages
    assert "'https://www.zohoapis.sg' in Zoho's token answer is in no list" in line
    assert "it is used all the same" in line


def test_the_api_domain_of_another_data_centre_is_not_used(
    make: Any, accounts: Accounts, caplog: pytest.LogCaptureFixture
) -> None:
    accounts.api_domain = "https://www.zohoapis.eu"
    assert make().get().api_domain == "https://www.zohoapis.com"
    assert "is that of data centre eu, and the accounts server that of us" in caplog.text


@pytest.mark.parametrize("seal", ["", " ", " 0123456789abcdef0123456789abcdef", " \u00e4"])
def test_who_can_write_to_redis_cannot_name_a_domain(make: Any, server: fakeredis.FakeServer, seal: str) -> None:
    source = make()
    source.get()
    fakeredis.FakeRedis(server=server).hset(source._token, "api_domain", f"https://www.zohoapis.sg{seal}")
    assert make().get().api_domain == "https://www.zohoapis.com"


@pytest.mark.parametrize("domain", ["https://evil.example", "http://www.zohoapis.com", "", 7])
def test_any_other_api_domain_is_not(make: Any, accounts: Accounts, domain: Any) -> None:
    accounts.api_domain = domain
    assert [make().get().api_domain, make().get().api_domain] == ["https://www.zohoapis.com"] * 2


def test_an_api_domain_given_by_hand_wins(make: Any, accounts: Accounts) -> None:
    accounts.api_domain = "https://www.zohoapis.eu"
    hosts = resolve("us", api_domain="http://127.0.0.1:9000")
    assert make(hosts).get().api_domain == "http://127.0.0.1:9000"


def test_other_credentials_do_not_get_the_token_of_these(make: Any, accounts: Accounts) -> None:
    other = Credentials("1000.OTHER", SecretStr("s"), SecretStr("r"))
    assert value(make().get()) == "t1"
    assert value(make(credentials=other).get()) == "t2"
    assert value(make().get()) == "t1"


def test_without_redis_there_is_no_token_and_nothing_raises(make: Any, server: fakeredis.FakeServer) -> None:
    source = make()
    server.connected = False
    said = source.get()
    assert isinstance(said, NotSent)
    assert said.why is Unsent.NO_TOKEN
    source.discard(Token(SecretStr("t"), "https://www.zohoapis.com"))


def test_a_refresh_that_cannot_be_shared_still_serves_its_own_call(
    make: Any, accounts: Accounts, server: fakeredis.FakeServer
) -> None:
    accounts.before = lambda: setattr(server, "connected", False)
    assert value(make().get()) == "t1"


def test_a_wait_for_another_workers_refresh_is_bounded(make: Any, server: fakeredis.FakeServer) -> None:
    time = iter([0.0, 29.0, 31.0])
    source = make(wait=30.0, monotonic=lambda: next(time))
    fakeredis.FakeRedis(server=server).set(source._lock, "somebody who died", px=60_000)
    source._await_refresh = lambda seconds: None
    said = source.get()
    assert isinstance(said, NotSent)
    assert said.why is Unsent.NO_TOKEN


def test_a_wake_up_left_over_from_an_earlier_refresh_is_used_up(make: Any, server: fakeredis.FakeServer) -> None:
    source = make()
    redis = fakeredis.FakeRedis(server=server)
    redis.rpush(source._wake, "1")
    source._await_refresh(1.0)
    assert redis.llen(source._wake) == 0


def test_no_secret_is_in_redis_a_log_or_a_repr(
    make: Any, accounts: Accounts, server: fakeredis.FakeServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    source = make()
    token = source.get()
    accounts.answer = reply({"error": "invalid_code"})
    source.discard(token)
    said = source.get()
    redis = fakeredis.FakeRedis(server=server)
    source.get()
    kept = {key: redis.dump(key) for key in redis.scan_iter()}
    shown = f"{kept} {caplog.text} {token!r} {said!r} {CREDENTIALS!r} {vars(source)!r}"
    assert "invalid_code" in str(kept)  # what is kept can be read here
    for secret in SECRETS:
        assert secret not in shown
    assert "'t1'" not in repr(token)
