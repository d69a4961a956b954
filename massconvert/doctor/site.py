"""What the checks look at, connected at the first use of each part."""

from __future__ import annotations

from functools import cached_property

from massconvert.ledger import Ledger
from massconvert.settings import Settings
from massconvert.store import Keys, Redis, RedisClock, connect, reaching
from massconvert.wiring import tuning
from massconvert.zoho import Governor, ZohoClient, connect_zoho

#: The longest that a single call to Zoho or to Redis may take here, in seconds.
CALL_DEADLINE, REDIS_TIMEOUT = 12.0, 4.0


class Site:
    """One account, as its settings describe it; ``producer``: for who only enqueues.

    ``aside`` is the same account over a Redis that somebody lent, where its own does not answer.
    """

    aside: Site | None = None

    def __init__(self, settings: Settings, *, producer: bool = False) -> None:
        self.producer = producer
        self.settings = settings.model_copy(
            update={"call_deadline": min(settings.call_deadline, CALL_DEADLINE), "permit_wait": 2.0}
        )
        self.redis: Redis = connect(settings.redis_url, account=settings.account, socket_timeout=REDIS_TIMEOUT)
        self.keys = Keys(settings.account)
        self.clock = RedisClock(self.redis)
        self.ledger = Ledger(self.redis, settings.account, tuning(settings))

    @cached_property
    def zoho(self) -> tuple[ZohoClient, Governor]:
        """The client and the governor. Raises SettingsError."""
        return connect_zoho(self.settings, self.redis, self.clock)

    def reach_redis(self) -> None:
        """Have Redis do what the ledger is made of: a script that writes. Raises StoreError when it does not.

        To write nothing into a key that is never there changes nothing; but a Redis that takes no writes refuses it.
        """
        with reaching(self.redis):
            self.redis.eval("return redis.call('SETRANGE', KEYS[1], 0, '')", 1, self.keys.prefix)
