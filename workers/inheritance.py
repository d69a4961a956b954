"""Bring back what workers of before 0022 held when they were killed.

They noted their messages in kombu's common keys (`unacked`), where our workers no longer look. A message of `enqueue`
may be the only copy of its leads. Other apps' messages in these keys are left alone.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator
from typing import Any

from kombu.transport.redis import Channel

from massconvert.contract import QUEUE, QUEUE_CONVERT, QUEUE_STATUS

logger = logging.getLogger("massconvert")

#: For how long a worker of before may hold a message, in seconds: their visibility timeout.
HELD_FOR = 300.0
#: While old workers are being replaced, some may yet be killed: the pauses between looks, in seconds.
PAUSES = (0.0, 330.0, 330.0)
#: How many messages are looked at by one command.
_PAGE = 100
_OURS = (QUEUE, QUEUE_CONVERT, QUEUE_STATUS)
_KEYS = ("unacked_key", "unacked_index_key", "unacked_mutex_key")


def restore_inheritance(app: Any, wait: Callable[[float], bool]) -> None:
    """Look a few times, with ``wait`` in between, which says whether to stop. Raises nothing."""
    for pause in PAUSES:
        if wait(pause):
            return
        try:
            restored = restore_once(app)
        except Exception as error:  # noqa: BLE001 - nothing else hangs on it, and the broker's absence is told elsewhere
            logger.info("Messages of older workers could not be looked for: %s", error)
        else:
            if restored:
                logger.warning("%d messages that older workers held are back in their queues.", restored)


def restore_once(app: Any) -> int:
    """Put what older workers held for too long back into its queues; how many there were. (Redis only.)"""
    with app.connection_for_write() as ours:
        options = {name: value for name, value in ours.transport_options.items() if name not in _KEYS}
        options |= {"max_retries": 1, "interval_start": 0}
        with ours.clone(transport_options=options) as connection:
            channel = connection.default_channel
            if not isinstance(channel, Channel):
                return 0
            with channel.conn_or_acquire() as client:
                tags = list(_abandoned(channel, client))
                for tag in tags:
                    channel.qos.restore_by_tag(tag, client)
            return len(tags)


def _abandoned(channel: Any, client: Any) -> Iterator[bytes]:
    until, seen = time.time() - HELD_FOR, 0
    while page := client.zrangebyscore(channel.unacked_index_key, 0, until, start=seen, num=_PAGE):
        seen += len(page)
        for tag, noted in zip(page, client.hmget(channel.unacked_key, page), strict=True):
            if noted and json.loads(noted)[1] in _OURS:  # the message, its exchange, its routing key
                yield tag
