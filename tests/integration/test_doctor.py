"""The doctor over real HTTP and a real Redis: what Zoho answers, and what is said of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from massconvert import MassConvert
from massconvert.doctor import Finding, Level, examine
from massconvert.doctor.examination import CHECKS
from massconvert.doctor.scopes import SCOPES
from massconvert.settings import Settings
from massconvert.simulator import Credentials, Rules, Simulator
from massconvert.simulator.rules import ALL_SCOPES
from massconvert.simulator.rules import SCOPES as OF_CONVERSIONS

pytestmark = pytest.mark.integration
ZOHO = [check for check in CHECKS if check.name == "zoho"]
Examine = Callable[..., list[Finding]]
OK, WARNING, WRONG = Level.OK, Level.WARNING, Level.WRONG


@pytest.fixture
def ask(redis_tcp_url: str, account: str) -> Iterator[Examine]:
    """Examines a Zoho with the given rules and faults: ``environ`` overrides what points at it."""
    running: list[Simulator] = []

    def examined(
        environ: dict[str, str] | None = None, *, faults: Any = (), credentials: Any = None, **rules: Any
    ) -> list[Finding]:
        zoho = Simulator(5, rules=Rules(**rules), faults=faults, credentials=credentials).start()
        running.append(zoho)
        made = {**zoho.environment(), "REDIS_URL": redis_tcp_url, "MASSCONVERT_ACCOUNT": account, **(environ or {})}
        found = examine(made, checks=ZOHO)
        assert [lead["submissions"] for lead in zoho.truth().values()] == [0] * 5  # no probe submits anything
        return found

    yield examined
    for zoho in running:
        zoho.close()


def not_ok(found: list[Finding]) -> list[Finding]:
    """What is to be fixed."""
    return [finding for finding in found if finding.level is not OK]


def test_a_token_with_all_scopes_is_ok_and_the_edition_is_told(ask: Examine) -> None:
    found = ask(edition="professional")
    assert not_ok(found) == []
    assert [finding.what for finding in found if finding.check == "scope"] == [scope.name for scope in SCOPES]
    assert "15 calls" in found[-1].what
    assert "edition professional" in found[-1].what


@pytest.mark.parametrize("scope", SCOPES, ids=lambda scope: scope.name)
def test_a_missing_scope_is_named_with_what_fails_without_it(ask: Examine, scope: Any) -> None:
    found = not_ok(ask(scopes=ALL_SCOPES - {scope.name}))
    assert found[0].what == f"{scope.name} is missing: {scope.without}."
    assert found[0].level is (WRONG if scope.needed else WARNING)
    assert "refresh token" in found[0].fix


def test_every_scope_that_the_simulator_knows_is_looked_at() -> None:
    """Whoever adds a call adds its scope here: those of conversions, and those of matching. A rehearsal has its own."""
    of_matching = {f"ZohoCRM.modules.{scope}" for scope in ("contacts.READ", "accounts.READ", "leads.CREATE")}
    assert {scope.name for scope in SCOPES} == OF_CONVERSIONS | of_matching


def test_a_version_without_mass_convert_is_wrong(ask: Examine) -> None:
    found = not_ok(ask({"ZOHO_API_VERSION": "v2.1"}))
    assert found[0].level is WRONG
    assert "API_NOT_SUPPORTED" in found[0].what
    assert "ZOHO_API_VERSION" in found[0].fix


def test_a_setting_that_a_sandbox_does_not_have_stops_nothing(ask: Examine) -> None:
    there = {"status": 400, "code": "API_NOT_SUPPORTED", "details": {"unsupported_environment": "sandbox"}}
    found = ask(faults=[{"method": "GET settings/portals", "do": "status", **there}])
    assert not [finding for finding in found if finding.level is WRONG]


def test_a_user_who_may_not_convert_is_wrong(ask: Examine) -> None:
    found = not_ok(ask(may_convert=False))
    assert found[0].level is WRONG
    assert "NO_PERMISSION" in found[0].what


@pytest.mark.parametrize(
    ("name", "code", "fix"),
    [
        ("ZOHO_CLIENT_ID", "invalid_client", "ZOHO_DATA_CENTER"),
        ("ZOHO_CLIENT_SECRET", "invalid_client_secret", "ZOHO_CLIENT_SECRET"),
        ("ZOHO_REFRESH_TOKEN", "invalid_code", "ZOHO_REFRESH_TOKEN"),
    ],
)
@pytest.mark.parametrize("redis", ["there", "away"])
def test_credentials_that_zoho_refuses_are_told_with_the_fix(
    ask: Examine, name: str, code: str, fix: str, redis: str
) -> None:
    environ = {name: "wrong"} | ({"REDIS_URL": "redis://127.0.0.1:1/0"} if redis == "away" else {})
    (found,) = ask(environ, credentials=Credentials())
    assert found.level is WRONG
    assert code in found.what
    assert fix in found.fix


def test_without_redis_the_token_s_own_words_tell_its_scopes(ask: Examine) -> None:
    """Nobody may call the API without leave, but the accounts server has no such limit."""
    away = {"REDIS_URL": "redis://127.0.0.1:1/0"}
    assert not_ok(ask(away)) == []
    found = not_ok(ask(away, scopes=ALL_SCOPES - {"ZohoCRM.mass_convert.leads.CREATE"}))
    assert [finding.what.partition(" ")[0] for finding in found] == ["ZohoCRM.mass_convert.leads.CREATE"]
    assert not_ok(ask(away, scopes=frozenset({"ZohoCRM.mass_convert.ALL", "ZohoCRM.modules.ALL"})))[0].level is WARNING


@pytest.mark.parametrize(
    ("fault", "level", "check", "words"),
    [
        ({"method": "*", "do": "status", "status": 500}, WARNING, "scope", "no usable answer"),
        ({"method": "*", "do": "status", "status": 429}, WARNING, "api", "over a limit"),
        ({"method": "*", "do": "status", "status": 404, "code": "INVALID_URL_PATTERN"}, WRONG, "api", "no such call"),
        ({"method": "*", "do": "status", "status": 401, "code": "INVALID_TOKEN"}, WRONG, "token", "INVALID_TOKEN"),
        ({"method": "*", "do": "drop"}, WARNING, "scope", "no usable answer"),
        ({"method": "POST token", "do": "drop"}, WRONG, "token", "gave no answer"),
        ({"method": "POST token", "do": "status", "status": 500}, WRONG, "token", "HTTP 500"),
    ],
)
def test_a_zoho_that_answers_badly_is_told_and_ends_nothing(
    ask: Examine, fault: dict[str, Any], level: Level, check: str, words: str
) -> None:
    found = not_ok(ask(faults=[fault]))
    assert (found[0].level, found[0].check) == (level, check)
    assert words in found[0].what
    assert found[0].fix


def test_a_zoho_that_is_not_there_is_told(ask: Examine) -> None:
    found = not_ok(ask({"ZOHO_ACCOUNTS_URL": "http://127.0.0.1:1"}))
    assert found[0].level is WRONG
    assert "firewall" in found[0].fix


def test_more_calls_than_the_edition_allows_are_a_warning(ask: Examine) -> None:
    (found,) = not_ok(ask({"ZOHO_CONCURRENCY": "40"}, edition="standard"))
    assert found.check == "limit"
    assert "allows 10 calls" in found.what


def test_an_edition_that_cannot_be_read_is_a_warning(ask: Examine) -> None:
    found = not_ok(ask(scopes=ALL_SCOPES - {"ZohoCRM.org.READ"}))
    assert [finding.check for finding in found] == ["scope", "limit"]
    assert "ZOHO_CONCURRENCY" in found[1].fix


def test_a_closed_gate_is_respected(ask: Examine, redis_client: Any, account: str) -> None:
    seconds, _ = redis_client.time()
    redis_client.hset(f"mc:{{{account}}}:gate", mapping={"until": seconds + 60, "why": "Zoho answered 429"})
    (found,) = ask()
    assert (found.check, found.level) == ("scopes", WARNING)
    assert "Zoho answered 429" in found.what


@pytest.mark.parametrize(
    ("name", "level", "words"),
    [
        (None, OK, "No options that wait have names"),
        ("ann@example.com", OK, "which are known"),
        ("nobody@example.com", WRONG, "$.assign_to"),
    ],
)
def test_names_in_options_that_wait_are_held_against_the_organisation(
    redis_tcp_url: str, account: str, name: str | None, level: Level, words: str
) -> None:
    settings = Settings(REDIS_URL=redis_tcp_url, MASSCONVERT_ACCOUNT=account)
    MassConvert(settings).enqueue(["3652397000009850001"], {"assign_to": name} if name else {})
    with Simulator(5) as zoho:
        environ = {**zoho.environment(), "REDIS_URL": redis_tcp_url, "MASSCONVERT_ACCOUNT": account}
        (found,) = examine(environ, checks=[check for check in CHECKS if check.name == "names"])
    assert (found.check, found.level) == ("names", level)
    assert words in found.what


def test_names_that_cannot_be_read_are_a_warning(redis_tcp_url: str, account: str) -> None:
    settings = Settings(REDIS_URL=redis_tcp_url, MASSCONVERT_ACCOUNT=account)
    MassConvert(settings).enqueue(["3652397000009850001"], {"assign_to": "ann@example.com"})
    with Simulator(5, rules=Rules(scopes=ALL_SCOPES - {"ZohoCRM.users.READ"})) as zoho:
        environ = {**zoho.environment(), "REDIS_URL": redis_tcp_url, "MASSCONVERT_ACCOUNT": account}
        (found,) = examine(environ, checks=[check for check in CHECKS if check.name == "names"])
    assert found.level is WARNING
    assert "ZohoCRM.users.READ" in found.what


def test_redis_and_broker_are_looked_at(redis_tcp_url: str, account: str) -> None:
    checks = [check for check in CHECKS if check.name in ("redis", "broker")]
    found = examine({"REDIS_URL": redis_tcp_url, "MASSCONVERT_ACCOUNT": account}, checks=checks)
    levels = {finding.check: finding.level for finding in found}
    assert levels["redis"] is levels["broker"] is levels["redis version"] is levels["redis clock"] is OK
    assert levels["redis persistence"] is WARNING  # this test's server has none
    found = examine({"REDIS_URL": "redis://:pw@127.0.0.1:1/0"}, checks=checks)
    assert [(finding.check, finding.level) for finding in found] == [("redis", WRONG), ("broker", WRONG)]
    assert "pw" not in str(found)
