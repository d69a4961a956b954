"""The doctor names the right that a Redis user lacks; and the users of docs/settings.md lack none."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from massconvert.doctor.finding import Level
from massconvert.doctor.rights import check_rights
from massconvert.doctor.site import Site
from massconvert.settings import load_settings
from massconvert.store import connect
from tests.integration.conftest import RedisServer

pytestmark = pytest.mark.integration
DOCS = Path(__file__).resolve().parents[2] / "docs" / "settings.md"


def documented(user: str) -> list[str]:
    """The rules of a user in docs/settings.md, but for the password."""
    line = re.search(rf"^ACL SETUSER {user} on >\S+ (.+)$", DOCS.read_text(encoding="utf-8"), re.MULTILINE)
    assert line, user
    return line[1].split()


@pytest.fixture
def server(own_redis: Callable[..., RedisServer]) -> RedisServer:
    """A redis-server of its own, whose users are this test's."""
    return own_redis()


def examined(server: RedisServer, rules: list[str], *, producer: bool = False) -> list[tuple[Level, str]]:
    """What the doctor finds for a user with these rules."""
    client: Any = connect(server.tcp_url)
    client.execute_command("ACL", "SETUSER", "tried", "reset", "on", ">pw", *rules)
    url = server.tcp_url.replace("redis://", "redis://tried:pw@")
    found = list(check_rights(Site(load_settings({"REDIS_URL": url}, dotenv=None), producer=producer)))
    assert client.keys("*doctor*") == []  # nothing is left behind
    client.close()
    return [(finding.level, f"{finding.what} {finding.fix}") for finding in found]


@pytest.mark.parametrize(("user", "producer"), [("massconvert", False), ("producer", True)])
def test_the_documented_users_have_what_is_needed(server: RedisServer, user: str, producer: bool) -> None:
    """Line by line as it stands there; none has @dangerous or @admin."""
    rules = documented(user)
    assert "-@dangerous" in rules
    assert [level for level, _ in examined(server, rules, producer=producer)] == [Level.OK, Level.OK]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("-@scripting", "no scripts"),
        ("-hincrby", "HINCRBY"),
        ("-brpop", "BRPOP"),
        ("-time", "TIME"),
        ("resetchannels", "/0.celery.pidbox"),
        ("resetkeys ~mc:* ~massconvert*", "_kombu.binding.massconvert"),
        ("resetkeys ~massconvert* ~_kombu* ~*celery*", "mc:{default}:*"),
    ],
)
def test_a_right_that_is_missing_is_named(server: RedisServer, change: str, words: str) -> None:
    """And no other."""
    found = examined(server, [*documented("massconvert"), *change.split()])
    wrong = [said for level, said in found if level is Level.WRONG]
    assert wrong
    assert all(words in said for said in wrong if "_kombu" in words or len(wrong) == 1)
    assert any(words in said for said in wrong)


def test_a_producer_s_user_cannot_read_the_access_token(server: RedisServer) -> None:
    """Nor write it; but all else of the ledger."""
    client: Any = connect(server.tcp_url)
    client.execute_command("ACL", "SETUSER", "tried", "reset", "on", ">pw", *documented("producer"))
    own: Any = connect(server.tcp_url.replace("redis://", "redis://tried:pw@"))
    assert own.get("mc:{default}:chunks") is None
    for key in ("mc:{default}:token:abc", "mc:{emea}:token:abc:lock"):
        with pytest.raises(Exception, match="o permissions to access"):
            own.hgetall(key)
    own.close()
    client.close()
