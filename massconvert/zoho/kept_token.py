"""The access token between two commands where no Redis stays: a file of the user's own, in the state directory.

Zoho gives ten tokens in ten minutes, so a command must not ask for one of its own each time. The file is named by the
digest of the credentials, holds none of them, and nobody else may read it.
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

from massconvert.errors import StoreError
from massconvert.settings import Settings
from massconvert.store import Keys, Redis, reaching
from massconvert.zoho.datacenters import hosts_of
from massconvert.zoho.grants import Credentials

log = logging.getLogger("massconvert.zoho")


@contextmanager
def kept_token(settings: Settings, redis: Redis) -> Iterator[None]:
    """Give a Redis that lives for one command the token that the last command had; keep what it has at the end.

    The times of the grants, and why there was no token, are kept as well. A file that cannot be read or written costs a
    token and no more. Raises SettingsError, StoreError.
    """
    digest = _digest(settings)
    path = _path(settings)
    _put(redis, Keys(settings.account), digest, _read(path))
    try:
        yield
    finally:
        with suppress(StoreError):  # the Redis ended first
            _write(path, _take(redis, Keys(settings.account), digest))


def forget_token(settings: Settings) -> None:
    """Keep no token for the next command. Raises SettingsError."""
    with suppress(OSError):
        _path(settings).unlink(missing_ok=True)


def _path(settings: Settings) -> Path:
    return settings.state_dir / "tokens" / f"{_digest(settings)}.json"


def _digest(settings: Settings) -> str:
    return Credentials.of(settings).digest(hosts_of(settings).accounts_url)


def _put(redis: Redis, keys: Keys, digest: str, kept: dict[str, Any]) -> None:
    now = time.time()
    try:
        token = {str(name): str(value) for name, value in kept.get("token", {}).items()}
        left = float(token.get("expires_at", 0)) - now
        grants = [repr(float(at)) for at in kept.get("grants", [])]
        trouble, until = str(kept.get("trouble", "")), float(kept.get("trouble_until", 0)) - now
    except (AttributeError, TypeError, ValueError):
        return
    with reaching(redis):
        pipe = redis.pipeline(transaction=True)
        if left > 0:
            pipe.hset(keys.token(digest), mapping=token)
            pipe.expire(keys.token(digest), int(left) + 1)
        if grants:
            pipe.rpush(keys.token_grants(digest), *grants)
        if trouble and until > 0:
            pipe.set(keys.token_trouble(digest), trouble, px=int(until * 1000) + 1)
        pipe.execute()


def _take(redis: Redis, keys: Keys, digest: str) -> dict[str, Any]:
    with reaching(redis):
        pipe = redis.pipeline(transaction=True)
        pipe.hgetall(keys.token(digest))
        pipe.lrange(keys.token_grants(digest), 0, -1)
        pipe.get(keys.token_trouble(digest))
        pipe.pttl(keys.token_trouble(digest))
        token, grants, trouble, left = pipe.execute()
    found: dict[str, Any] = {"token": token, "grants": grants}
    return found | ({"trouble": trouble, "trouble_until": time.time() + left / 1000} if trouble else {})


def _read(path: Path) -> dict[str, Any]:
    try:
        if path.is_symlink() or path.stat().st_mode & 0o077:  # somebody else may have read it, or written it
            return {}
        kept = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return kept if isinstance(kept, dict) else {}


def _write(path: Path, kept: dict[str, Any]) -> None:
    new = path.with_name(f"{path.name}.{uuid4().hex}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.parent.chmod(0o700)
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            json.dump(kept, file)
        new.replace(path)
    except OSError as error:
        with suppress(OSError):
            new.unlink(missing_ok=True)
        log.info("The access token is not kept for the next command: %s", error.strerror)
