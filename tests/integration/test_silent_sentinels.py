"""A Sentinel that is gone without a word costs its time-out once, and nobody is led to the primary of before."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import suppress

import pytest
from celery import Celery
from kombu.transport.redis import SentinelTransport

from massconvert.addresses import check_redis_url, group_of
from massconvert.broker import celery_broker
from massconvert.store.primary import LOOK_EVERY, OfSentinels
from tests.servers import Watched
from workers import sentinels as of_workers

pytestmark = pytest.mark.integration
TIMEOUT = 0.3


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """Takes connections, and answers nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        yield listening


def asked(silent: socket.socket) -> int:
    """How often it was connected to since this was asked last."""
    count = 0
    with suppress(BlockingIOError):
        while True:
            silent.accept()[0].close()
            count += 1
    return count


def url_of(sentinels: Watched, silent: socket.socket) -> str:
    """The Sentinels' URL, with the silent one first."""
    first = f"127.0.0.1:{sentinels.sentinels[0]},"
    assert first in sentinels.url
    return check_redis_url(sentinels.url.replace(first, f"127.0.0.1:{silent.getsockname()[1]},{first}"))


def test_all_channels_of_a_worker_ask_it_once(
    sentinels: Watched, silent: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """kombu alone asks it for each of its pools."""
    monkeypatch.setattr(SentinelTransport, "Channel", SentinelTransport.Channel)
    monkeypatch.setattr(of_workers.Channel, "primary", None, raising=False)
    url = url_of(sentinels, silent)
    of_workers.ask_in_one_order(url, TIMEOUT)
    with Celery(set_as_current=False) as app:
        app.conf.update(celery_broker(url, TIMEOUT))
        for _ in range(3):
            with app.connection_for_write() as connection:
                assert connection.default_channel.client.role()[0] in ("master", b"master")
    assert asked(silent) == 1


def test_another_is_asked_at_once_whether_the_primary_is_still_the_same(
    sentinels: Watched, silent: socket.socket
) -> None:
    """Else what is asked next goes to a primary that may be gone with this Sentinel, and waits for it."""
    now = [0.0]
    group = group_of(url_of(sentinels, silent))
    assert group
    primary = OfSentinels(group, TIMEOUT, lambda: now[0])
    primary.known = ("127.0.0.1", 1)
    assert primary.current() == ("127.0.0.1", 1)  # nobody is asked within a second
    now[0] += LOOK_EVERY
    assert primary.current() == ("127.0.0.1", sentinels.primary())
    now[0] += LOOK_EVERY
    assert primary.current() == ("127.0.0.1", sentinels.primary())
    assert asked(silent) == 1
