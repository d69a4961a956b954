"""One access token for the whole fleet: refreshed ahead of its end, by one worker, for everybody.

Zoho gives at most 10 new access tokens in 10 minutes for a refresh token, and the 16th live one ends the oldest, so
workers must share. The token is in Redis under one key, with its expiry; the credentials never are.

The lock is a key with a lease, freed by compare-and-delete in the script that keeps the token: redis-py's own Lock
waits by sleeping, and would need a second round trip to free it after the token is kept. A lease that lapses while its
holder still refreshes does no harm: there are two tokens then, both valid, and the later one is kept.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from pydantic import SecretStr

from massconvert.errors import MassConvertError
from massconvert.model import NotSent, Unsent
from massconvert.store import Clock, Keys, Redis, Scripts, reaching
from massconvert.zoho.datacenters import ApiDomain, Hosts, judged_api_domain
from massconvert.zoho.grants import TROUBLE, Credentials, Grant, ask_for_token
from massconvert.zoho.transport import Transport

log = logging.getLogger("massconvert.zoho")

AHEAD = 300.0  # seconds before its end that a token is refreshed
LEAST = 45.0  # seconds that a token must still live to be used: longer than a call's total deadline
MAX_GRANTS, GRANTS_IN = 9, 600.0  # tokens that we ask for in that many seconds; Zoho gives 10, one is left to others
_SLICE = 1.0  # seconds of one wait for the holder of the lock, less than Redis' socket time-out


@dataclass(frozen=True)
class Token:
    """An access token, and the base URL that it is for."""

    value: SecretStr
    api_domain: str


class TokenSource:
    """Hands out the fleet's access token for one set of credentials. Its methods raise nothing.

    ``wait`` bounds in seconds how long `get` waits for another worker's refresh.
    """

    def __init__(
        self,
        redis: Redis,
        keys: Keys,
        clock: Clock,
        transport: Transport,
        credentials: Credentials,
        hosts: Hosts,
        *,
        data_center: str = "",
        wait: float = 30.0,
        lease: float = 60.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        digest = credentials.digest(hosts.accounts_url)
        self._redis = redis
        self._scripts = Scripts(redis, clock)
        self._transport = transport
        self._credentials = credentials
        self._hosts = hosts
        self._data_center = data_center
        self._wait = wait
        self._lease = lease
        self._monotonic = monotonic
        self._worked = False
        self._token, self._lock = keys.token(digest), keys.token_lock(digest)
        self._trouble, self._wake = keys.token_trouble(digest), keys.token_wake(digest)
        self._grants = keys.token_grants(digest)

    def get(self) -> Token | NotSent:
        """The token; where there is none, refresh it, or wait for another's refresh; say why where there is none."""
        try:
            return self._get()
        except MassConvertError as error:
            return NotSent(Unsent.NO_TOKEN, error.message)
        except Exception as error:  # what callers do with no token, they do with a bug here
            log.exception("No access token")
            return NotSent(Unsent.NO_TOKEN, f"a bug: {type(error).__name__}")

    def discard(self, token: Token) -> None:
        """Forget a token that Zoho refused, unless it has been replaced since."""
        try:
            self._scripts.run("discard_token", keys=[self._token], args=[token.value.get_secret_value()])
        except MassConvertError as error:
            log.warning("The refused access token stays in use for now: %s", error.message)
        except Exception:  # a bug here must not cost the answer that the caller holds
            log.exception("The refused access token stays in use for now")

    def _get(self) -> Token | NotSent:
        give_up = self._monotonic() + self._wait
        while True:
            token, fresh, trouble, _ = self._look()
            if fresh and token:
                return token
            if trouble is None and (holder := self._take_lock()):
                return self._refresh_unless_done(holder)
            if token:  # somebody else refreshes it, or it could not be refreshed: it is good for some minutes yet
                return token
            if trouble:
                return trouble
            left = give_up - self._monotonic()
            if left <= 0:
                return NotSent(Unsent.NO_TOKEN, "another worker refreshes the access token", retry_after=TROUBLE)
            self._await_refresh(min(left, _SLICE))

    def _look(self) -> tuple[Token | None, bool, NotSent | None, float]:
        """What Redis holds: a token good for a call, whether it needs no refresh, what went wrong lately; and when."""
        keys = [self._token, self._trouble]
        value, api_domain, refresh_in, ends_in, trouble, again_in, now = self._scripts.run(
            "look_at_token", keys=keys, args=[None]
        )
        token, fresh, kept = None, False, None
        try:
            if value and float(ends_in) > 0:
                token = Token(SecretStr(value), self._api_domain(self._unsealed(api_domain)))
                fresh = float(refresh_in) > 0
            if trouble:
                said = json.loads(trouble)
                kept = NotSent(Unsent(said["why"]), said["detail"], said["code"], retry_after=float(again_in))
        except (ValueError, TypeError, KeyError):
            log.error("The ledger's %s is not what we have written; the token is refreshed.", self._token)  # noqa: TRY400 - expected: a line, no traceback
            return None, False, None, float(now)
        return token, fresh, kept, float(now)

    def _take_lock(self) -> str:
        """Our name on the lock, or nothing if somebody else holds it."""
        name = uuid4().hex
        taken = int(self._scripts.run("take_lock", keys=[self._lock], args=[name, int(self._lease * 1000)]))
        return name if taken else ""

    def _await_refresh(self, seconds: float) -> None:
        with reaching(self._redis):
            if self._redis.blpop([self._wake], timeout=seconds):
                # Put back for the next waiter. What is left of an earlier refresh is not: it costs a look.
                token, _, trouble, _ = self._look()
                if token or trouble:
                    self._scripts.run("wake_next", keys=[self._wake], args=[10_000])

    def _refresh_unless_done(self, holder: str) -> Token | NotSent:
        token, fresh, trouble, now = self._look()  # the last holder may have ended between our look and our lock
        ended = token if fresh else trouble and (token or trouble)
        if ended:
            with suppress(MassConvertError):  # its lease ends by itself
                self._scripts.run("free_lock", keys=[self._lock], args=[holder])
            return ended
        grant = self._too_many(now) or self._ask()
        if isinstance(grant, NotSent):
            self._keep_trouble(holder, grant)
            return token or grant
        return self._keep(holder, grant, now)

    def _too_many(self, now: float) -> NotSent | None:
        """Whether to leave Zoho in peace: a token that is refused again and again must not use up the refreshes."""
        with reaching(self._redis):
            oldest = self._redis.lindex(self._grants, MAX_GRANTS - 1)
        wait = float(oldest) + GRANTS_IN - now if oldest else 0.0
        if wait <= 0:
            return None
        detail = f"{MAX_GRANTS} access tokens were needed in {GRANTS_IN / 60:g} minutes, which is all that Zoho gives"
        return NotSent(Unsent.DENIED, detail, "TOKENS_USED", retry_after=wait)

    def _keep(self, holder: str, grant: Grant, now: float) -> Token:
        """Share a token that was asked for at ``now``."""
        expires_at = now + grant.life - min(LEAST, grant.life * 0.1)
        refresh_at = now + grant.life - min(AHEAD, grant.life * 0.25)
        judged = judged_api_domain(grant.api_domain, self._hosts.accounts_url)
        if grant.api_domain and judged.why and not self._hosts.api_domain_given:
            used = "it is used all the same" if judged.url else f"{self._hosts.api_domain} is used"
            log.warning("The API domain %r in Zoho's token answer %s; %s.", grant.api_domain[:100], judged.why, used)
        token = [grant.value.get_secret_value(), self._sealed(judged), refresh_at, expires_at, now]
        self._end(holder, grant.life, "", [*token, MAX_GRANTS, int(GRANTS_IN * 1000)])
        self._worked = True
        return Token(grant.value, self._api_domain(judged.url))

    def _sealed(self, domain: ApiDomain) -> str:
        """An API domain as it lies in Redis: with a seal, unless it is listed.

        Somebody who can write to Redis must not learn the token by naming a domain of their own.
        """
        return f"{domain.url} {self._seal(domain.url)}" if domain.url and not domain.listed else domain.url

    def _unsealed(self, kept: str) -> str:
        url, _, seal = kept.partition(" ")
        judged = judged_api_domain(url, self._hosts.accounts_url)
        good = judged.listed or (judged.url and hmac.compare_digest(seal.encode(), self._seal(judged.url).encode()))
        return judged.url if good else ""

    def _seal(self, url: str) -> str:
        secret = self._credentials.client_secret.get_secret_value() + self._credentials.refresh_token.get_secret_value()
        return hmac.new(secret.encode(), url.encode(), hashlib.sha256).hexdigest()[:32]

    def _keep_trouble(self, holder: str, trouble: NotSent) -> None:
        kept = json.dumps({"why": trouble.why.value, "code": trouble.code, "detail": trouble.detail})
        self._end(holder, trouble.retry_after or TROUBLE, kept, [])
        log.warning("No access token: %s", trouble.detail)

    def _end(self, holder: str, seconds: float, trouble: str, token: list[Any]) -> None:
        keys = [self._token, self._lock, self._trouble, self._wake, self._grants]
        try:
            self._scripts.run("end_refresh", keys=keys, args=[holder, max(1, int(seconds * 1000)), trouble, *token])
        except MassConvertError as error:  # what we have is good for this call; the lock's lease ends by itself
            log.warning("The refreshed access token could not be shared: %s", error.message)

    def _api_domain(self, of_token: str) -> str:
        return self._hosts.api_domain if self._hosts.api_domain_given else of_token or self._hosts.api_domain

    def _ask(self) -> Grant | NotSent:
        return ask_for_token(self._transport, self._credentials, self._hosts, self._data_center, worked=self._worked)
