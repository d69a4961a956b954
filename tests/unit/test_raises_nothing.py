"""What promises to raise nothing raises nothing, whatever Redis or the broker says.

Each of these is called with an answer of Zoho's in the caller's hands, or beside one: an error here would lose it.
"""

from __future__ import annotations

import logging
from random import Random
from types import SimpleNamespace
from typing import Any, cast

import pytest
import redis
from pydantic import SecretStr

from massconvert.caller import Caller
from massconvert.errors import BrokerError
from massconvert.model import Call, NotSent, Unsent
from massconvert.on_complete.targets import TaskTarget
from massconvert.policy import Permit
from massconvert.store import Keys, RedisClock, connect
from massconvert.zoho.datacenters import resolve
from massconvert.zoho.governor import Governor
from massconvert.zoho.grants import Credentials
from massconvert.zoho.oauth import Token, TokenSource

#: Redis away; a refusal that passes; one for a person; what we have not written; a bug.
ERRORS = (
    redis.ConnectionError("refused"),
    redis.ResponseError("NOREPLICAS Not enough good replicas to write."),
    redis.exceptions.NoPermissionError("this user has no permissions to run the 'evalsha' command"),
    redis.ResponseError("WRONGTYPE Operation against a key holding the wrong kind of value"),
    ZeroDivisionError("a bug"),
)


class Refusing:
    """A Redis that ends everything in ``error``."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.connection_pool = connect("redis://db.example:7000/0").connection_pool

    def __getattr__(self, _name: str) -> Any:
        return self._refuse

    def _refuse(self, *_: Any, **__: Any) -> Any:
        raise self.error

    def register_script(self, _text: str) -> Any:
        return self._refuse

    def pipeline(self, **_: Any) -> Any:
        return SimpleNamespace(**dict.fromkeys(("hmget", "get", "pttl"), lambda *_: None), execute=self._refuse)


@pytest.fixture(params=ERRORS, ids=lambda error: str(error)[:10])
def store(request: pytest.FixtureRequest) -> Refusing:
    return Refusing(request.param)


def governor(store: Refusing, clock: Any) -> Governor:
    """One over this Redis; nobody comes to ask for the edition."""
    ask: Any = None
    return Governor(store, Keys("a"), clock, limit=5, ask_org=ask, random=Random(1))


def test_giving_a_permit_back(store: Refusing, caplog: pytest.LogCaptureFixture) -> None:
    """It is done in a ``finally``, with the answer to a POST behind it."""
    governor(store, SimpleNamespace(now=lambda: 1.0)).release(Permit("p1", Call.POST, 1, 5))
    (record,) = caplog.records
    assert "when its lease ends" in record.getMessage()
    assert bool(record.exc_info) is isinstance(store.error, ZeroDivisionError)


def test_giving_a_permit_back_by_a_clock_that_cannot_be_read(store: Refusing) -> None:
    governor(store, RedisClock(store)).release(Permit("p1", Call.POST, 1, 5))


def tokens(store: Refusing) -> TokenSource:
    """A source over this Redis."""
    credentials, nobody = Credentials("1000.FAKE", SecretStr("s"), SecretStr("r")), cast("Any", None)
    return TokenSource(store, Keys("a"), RedisClock(store), nobody, credentials, resolve("us", "", ""))


def test_asking_for_a_token(store: Refusing) -> None:
    """There is none to be had, and why is said."""
    answer = tokens(store).get()
    assert isinstance(answer, NotSent)
    assert answer.why is Unsent.NO_TOKEN
    assert answer.detail


def test_forgetting_a_token(store: Refusing, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        tokens(store).discard(Token(SecretStr("t"), "https://www.zohoapis.com"))
    assert "The refused access token stays in use for now" in caplog.text


@pytest.mark.parametrize(
    "error", [BrokerError("away"), RuntimeError("a bug"), UnicodeEncodeError("utf-8", "x", 0, 1, "")]
)
def test_telling_that_a_batch_has_finished(error: Exception) -> None:
    """Why it failed is an answer, too."""

    def send(*_: Any) -> None:
        raise error

    caller = Caller(cast("Any", SimpleNamespace(send=send)), SecretStr(""))
    assert caller.call(TaskTarget("shop.told"), {"batch": "b"})
