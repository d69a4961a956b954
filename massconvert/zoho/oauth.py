"""One access token for the whole fleet: refreshed ahead of its end, by one worker, for everybody.

Zoho gives at most 10 new access tokens in 10 minutes for a refresh token, and the 16th live one ends the oldest, so
workers must share. The token is in Redis under one key, with its expiry; the credentials never are.

The lock is a key with a lease, freed by compare-and-delete in the script that keeps the token: redis-py's own Lock
waits by sleeping, and would need a second round trip to free it after the token is kept. A lease that lapses while its
holder still refreshes does no harm: there are two tokens then, both valid, and the later one is kept.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlencode, urlsplit
from uuid import uuid4

from pydantic import SecretStr

from massconvert.errors import MassConvertError
from massconvert.model import NotSent, PerhapsAccepted, Unsent
from massconvert.store import Keys, Redis, Scripts, reaching
from massconvert.zoho.datacenters import Hosts, documented_api_domain
from massconvert.zoho.transport import Reply, Transport

log = logging.getLogger("massconvert.zoho")

AHEAD = 300.0  # seconds before its end that a token is refreshed
LEAST = 45.0  # seconds that a token must still live to be used: longer than a call's total deadline
USUAL_LIFE = 3600.0
LONGEST_LIFE = 86_400.0
TROUBLE = 5.0  # seconds until a refresh that failed may be tried again, by whomever
TOO_MANY = 120.0  # the same after "too many requests"; the limit counts over 10 minutes
REFUSED = 30.0  # the same for credentials that Zoho refuses
MAX_GRANTS, GRANTS_IN = 9, 600.0  # tokens that we ask for in so many seconds; Zoho gives 10, one is left to others
_SLICE = 1.0  # seconds of one wait for the holder of the lock, less than Redis' socket time-out


class Clock(Protocol):
    """Unix seconds that the fleet agrees on."""

    def now(self) -> float: ...


@dataclass(frozen=True)
class Credentials:
    """What a person made in Zoho's API console."""

    client_id: str
    client_secret: SecretStr
    refresh_token: SecretStr

    def digest(self, accounts_url: str) -> str:
        """A name for these credentials that tells nothing about them."""
        secrets = (self.client_id, self.client_secret.get_secret_value(), self.refresh_token.get_secret_value())
        return hashlib.sha256(json.dumps([accounts_url, *secrets]).encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Token:
    """An access token, and the base URL that it is for."""

    value: SecretStr
    api_domain: str


@dataclass(frozen=True)
class Grant:
    """A refresh that Zoho granted: ``life`` in seconds, ``api_domain`` and ``scope`` as they came (or empty)."""

    value: SecretStr
    life: float
    api_domain: str
    scope: str = ""


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
        self._scripts = Scripts(redis)
        self._clock = clock
        self._transport = transport
        self._credentials = credentials
        self._hosts = hosts
        self._data_center = data_center
        self._wait = wait
        self._lease = lease
        self._monotonic = monotonic
        self._token, self._lock = keys.token(digest), keys.token_lock(digest)
        self._trouble, self._wake = keys.token_trouble(digest), keys.token_wake(digest)
        self._grants = keys.token_grants(digest)

    def get(self) -> Token | NotSent:
        """The token; where there is none, refresh it, or wait for who does; say why where there is none to be had."""
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
            token, fresh, trouble = self._look()
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

    def _look(self) -> tuple[Token | None, bool, NotSent | None]:
        """What Redis holds: a token good for a call, whether it needs no refresh, what went wrong lately."""
        now = self._clock.now()
        with reaching(self._redis):
            pipe = self._redis.pipeline(transaction=False)
            pipe.hmget(self._token, "value", "api_domain", "refresh_at", "expires_at")
            pipe.get(self._trouble)
            pipe.pttl(self._trouble)
            (value, api_domain, refresh_at, expires_at), trouble, ends_in = pipe.execute()
        token, fresh, kept = None, False, None
        try:
            if value and float(expires_at) > now:
                # Whoever can write to Redis must not learn the token by naming a domain.
                api_domain = documented_api_domain(api_domain or "") or ""
                token, fresh = Token(SecretStr(value), self._api_domain(api_domain)), float(refresh_at) > now
            if trouble:
                said = json.loads(trouble)
                kept = NotSent(Unsent(said["why"]), said["detail"], said["code"], retry_after=max(0, ends_in) / 1000)
        except (ValueError, TypeError, KeyError):
            log.error("The ledger's %s is not what we have written; the token is refreshed.", self._token)  # noqa: TRY400 - expected: a line, no traceback
            return None, False, None
        return token, fresh, kept

    def _take_lock(self) -> str:
        """Our name on the lock, or nothing if somebody else holds it."""
        name = uuid4().hex
        with reaching(self._redis):
            taken = self._redis.set(self._lock, name, nx=True, px=int(self._lease * 1000))
        return name if taken else ""

    def _await_refresh(self, seconds: float) -> None:
        with reaching(self._redis):
            if self._redis.blpop([self._wake], timeout=seconds):
                # Put back for the next who waits. What is left over from an earlier refresh is not: it costs a look.
                token, _, trouble = self._look()
                if token or trouble:
                    self._redis.rpush(self._wake, "1")
                    self._redis.pexpire(self._wake, 10_000)

    def _refresh_unless_done(self, holder: str) -> Token | NotSent:
        token, fresh, trouble = self._look()  # the last holder may have ended between our look and our lock
        ended = token if fresh else trouble and (token or trouble)
        if ended:
            with suppress(MassConvertError):  # its lease ends by itself
                self._scripts.run("free_lock", keys=[self._lock], args=[holder])
            return ended
        now = self._clock.now()
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
        return NotSent(Unsent.NO_TOKEN, detail, retry_after=wait)

    def _keep(self, holder: str, grant: Grant, now: float) -> Token:
        """Share a token that was asked for at ``now``."""
        expires_at = now + grant.life - min(LEAST, grant.life * 0.1)
        refresh_at = now + grant.life - min(AHEAD, grant.life * 0.25)
        api_domain = documented_api_domain(grant.api_domain) or ""
        if grant.api_domain and not api_domain and not self._hosts.api_domain_given:
            log.warning("Zoho's token answer names an API domain that is not documented; it is not used.")
        token = [grant.value.get_secret_value(), api_domain, refresh_at, expires_at, now]
        self._end(holder, grant.life, "", [*token, MAX_GRANTS, int(GRANTS_IN * 1000)])
        return Token(grant.value, self._api_domain(api_domain))

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
        return ask_for_token(self._transport, self._credentials, self._hosts, self._data_center)


def ask_for_token(
    transport: Transport, credentials: Credentials, hosts: Hosts, data_center: str = ""
) -> Grant | NotSent:
    """Ask Zoho for a new access token; nothing is shared or remembered. Raises nothing."""
    form = {
        "refresh_token": credentials.refresh_token.get_secret_value(),
        "client_id": credentials.client_id,
        "client_secret": credentials.client_secret.get_secret_value(),
        "grant_type": "refresh_token",
    }
    answer = transport.exchange(
        "POST",
        f"{hosts.accounts_url}/oauth/v2/token",
        headers={"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"},
        body=urlencode(form).encode(),
    )
    host = urlsplit(hosts.accounts_url).netloc
    if isinstance(answer, NotSent | PerhapsAccepted):
        detail = f"Zoho's accounts server {host} gave no answer: {answer.detail}"
        return NotSent(Unsent.NO_TOKEN, detail, retry_after=TROUBLE)
    return parse_grant(answer, host, data_center)


#: What Zoho calls credentials that it refuses, and what is likely to be wrong.
_MENDS = {
    "invalid_code": "the refresh token is wrong, was revoked, or belongs to another client or data centre",
    "invalid_client": "the client id is unknown there, which usually means another data centre",
    "invalid_client_secret": "the client secret is not the one of this client id, or of this data centre",
}


def parse_grant(reply: Reply, host: str, data_center: str = "") -> Grant | NotSent:
    """The answer to a refresh, judged by its body: failures come with status 200 as well as 400.

    ``host`` and ``data_center`` are named in what goes wrong. Raises nothing.
    """
    body = _json_object(reply.body)
    value, error = body.get("access_token"), body.get("error")
    if reply.status < 300 and isinstance(value, str) and re.fullmatch(r"[\x21-\x7e]{1,2000}", value):
        domain, scope = (text if isinstance(text, str) else "" for text in map(body.get, ("api_domain", "scope")))
        return Grant(SecretStr(value), _life(body), domain, scope)
    if isinstance(error, str) and error in _MENDS:
        where = f" (ZOHO_DATA_CENTER is {data_center})" if data_center else ""
        detail = f"Zoho's accounts server {host} answered {error}: {_MENDS[error]}{where}"
        return NotSent(Unsent.CREDENTIALS, detail, error, retry_after=REFUSED)
    if reply.status == 429 or (isinstance(error, str) and error.strip().lower().replace("_", " ") == "access denied"):
        detail = f"Zoho's accounts server {host} says that too many access tokens were asked for lately"
        return NotSent(Unsent.NO_TOKEN, detail, "ACCESS_DENIED", retry_after=TOO_MANY)
    said = f" {error[:100]!r}" if isinstance(error, str) else ""
    detail = f"Zoho's accounts server {host} answered HTTP {reply.status}{said} and no access token"
    return NotSent(Unsent.NO_TOKEN, detail, retry_after=TROUBLE)


def _json_object(body: bytes) -> Mapping[str, Any]:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return answer if isinstance(answer, dict) else {}


def _life(body: Mapping[str, Any]) -> float:
    """Seconds that the token lives. Older answers have milliseconds in ``expires_in``, and ``expires_in_sec``."""
    for name in ("expires_in_sec", "expires_in"):
        text = str(body.get(name, ""))
        if not re.fullmatch(r"[0-9]{1,12}", text):
            continue
        seconds = float(text) if float(text) <= LONGEST_LIFE else float(text) / 1000
        if 0 < seconds <= LONGEST_LIFE:
            return seconds
    return USUAL_LIFE
