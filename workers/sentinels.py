"""All of a worker's connections to its broker ask Sentinels in one order, in which the one that answered last is first.

kombu makes a pool for each channel, with Sentinels of its own in the order of the URL. Where the first of them is lost
together with the primary's host, without a word, each pool waits for it again, one after another. Seen: a
worker was without its broker for 15 s and more once it had noticed (docs/decisions/0057).
"""

from __future__ import annotations

from typing import Any, ClassVar

from kombu.transport.redis import SentinelChannel, SentinelTransport

from massconvert.addresses import group_of
from massconvert.store.primary import OfSentinels


class Channel(SentinelChannel):  # type: ignore[misc]  # kombu ships no types
    """A channel whose connections are led by ``primary``, which all of them share."""

    primary: ClassVar[OfSentinels]

    def _sentinel_managed_pool(self, asynchronous: bool = False) -> Any:
        pool = super()._sentinel_managed_pool(asynchronous)
        pool.sentinel_manager.discover_master = lambda _service: self.primary.find()
        return pool


def ask_in_one_order(url: str, timeout: float) -> None:
    """Have it so for the broker at ``url``, where Sentinels watch it; each may take ``timeout`` seconds, or two."""
    group = group_of(url)
    if group is not None:
        Channel.primary = OfSentinels(group, timeout)
        SentinelTransport.Channel = Channel
