"""What the Redis user may do: each right that is needed is tried, on keys of the doctor's own; the missing are named.

Redis looks at the command first and at its keys next, so one refusal tells of one of them. Nothing that others see is
changed: commands go to a key that is deleted again, and of others' keys only the right is asked for (PERSIST of a key
that never expires changes nothing). ACL DRYRUN would be shorter; those whom it concerns may not run it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any
from uuid import uuid4

from redis.exceptions import NoPermissionError, RedisError

from massconvert.contract import QUEUE, QUEUE_CONVERT, QUEUE_STATUS, UNACKED
from massconvert.doctor.finding import Finding, ok, wrong
from massconvert.doctor.site import Site
from massconvert.errors import BrokerError
from massconvert.nudge import Nudge
from massconvert.store import reaching

#: Every command of the ledger's, by the type of its key ({}): what the scripts and the library send, once each.
_LEDGER = """
TIME | EVAL return(1) 0 | SCRIPT LOAD return(1) | MGET {}s | SET {}s 1 PX 60000 | GET {}s | INCR {}s | EXPIRE {}s 60
PEXPIRE {}s 60000 | PERSIST {}s | EXISTS {}s | HSET {}h a 1 | HGET {}h a | HMGET {}h a | HGETALL {}h | HEXISTS {}h a
HINCRBY {}h a 1 | HDEL {}h a
ZADD {}z 1 a | ZSCORE {}z a | ZCARD {}z | ZCOUNT {}z 0 1 | ZRANGE {}z 0 0 | ZREVRANGE {}z 0 0 | ZREVRANK {}z a
ZRANGEBYSCORE {}z 0 1
ZREMRANGEBYSCORE {}z 5 6 | ZREM {}z a | SADD {}m a | SCARD {}m | SMEMBERS {}m | SISMEMBER {}m a
SRANDMEMBER {}m | SREM {}m a
RPUSH {}l a | LPUSH {}l b | LLEN {}l | LRANGE {}l 0 0 | LINDEX {}l 0 | LPOS {}l a | LTRIM {}l 0 9
LREM {}l 1 z | LPOP {}l
WAIT 0 1 | LMOVE {}l {}l LEFT LEFT | BLPOP {}l 1 | XADD {}x * a 1 | DEL {}s {}h {}z {}m {}l {}x
"""
_BROKER = "LPUSH {}l a | LLEN {}l | SADD {}m a | SMEMBERS {}m | EXISTS {}m | DEL {}l {}m"
_BROKER_OF_WORKERS = """
LPUSH {}l a | BRPOP {}l 1 | RPUSH {}l a | RPOP {}l | HSET {}h a 1 | HGET {}h a | HDEL {}h a | ZADD {}z 1 a | ZREM {}z a
ZREVRANGEBYSCORE {}z 1 0 | SREM {}m a | EVAL return(1) 0 | DEL {}l {}h {}z {}m
"""
_SEE = "docs/settings.md has the whole line for workers, and one for producers."
_PRIORITY = "\x06\x163"  # what kombu adds to a queue's name for messages of this priority


def check_rights(site: Site) -> Iterator[Finding]:
    """Whether the users of REDIS_URL and of the broker may do what is done in their names."""
    trial = f"{site.keys.prefix}doctor:{uuid4().hex}:"
    with reaching(site.redis), suppress(NoPermissionError):
        site.redis.ping()  # of one that does not answer nothing is known
    refused = list(_refused(site.redis, _commands(_LEDGER, trial)))
    keys = list(_closed(site.redis, [site.keys.prefix, site.keys.batches]))
    yield from _judge("rights", "REDIS_URL", refused, [f"mc:{{{site.keys.account}}}:*"] if keys else [], [])
    nudge = Nudge(site.settings.broker_url)
    try:
        with nudge.redis() as client:
            if client is not None:
                yield from _broker(client, of_workers=not site.producer)
    except BrokerError:
        return  # the broker's own check says so
    finally:
        nudge.close()


def _broker(client: Any, *, of_workers: bool) -> Iterator[Finding]:
    trial = f"{QUEUE}.doctor:{uuid4().hex}:"
    refused = list(_refused(client, _commands(_BROKER, trial)))
    queues = [QUEUE, QUEUE_CONVERT, QUEUE_STATUS]
    keys = [*queues, *(f"{queue}{_PRIORITY}" for queue in queues), *(f"_kombu.binding.{queue}" for queue in queues)]
    channels: list[str] = []
    if of_workers:
        refused += _refused(client, _commands(_BROKER_OF_WORKERS, trial))
        keys += [UNACKED, f"{UNACKED}_index", f"{UNACKED}_mutex", "_kombu.binding.celery.pidbox"]
        keys += ["_kombu.binding.celeryev", "_kombu.binding.reply.celery.pidbox", "celeryev.doctor"]
        keys += ["worker@doctor.celery.pidbox", f"doctor.reply.celery.pidbox{_PRIORITY}"]
        database = client.connection_pool.connection_kwargs.get("db", 0)
        channels = list(_deaf(client, [f"/{database}.celery.pidbox", f"/{database}.celeryev/worker.*"]))
    yield from _judge("broker rights", "the broker's URL", refused, list(_closed(client, keys)), channels)


def _commands(lines: str, trial: str) -> Iterator[list[str]]:
    for command in lines.replace("\n", "|").split("|"):
        if words := command.split():
            yield [word.replace("{}", trial) for word in words]


def _refused(client: Any, commands: Iterable[Sequence[str]]) -> Iterator[str]:
    """Of these, the names of those that may not be run; whether their keys may be touched is another matter."""
    for words in commands:
        if "command" in _error(client, words):
            yield words[0]
    with client.pipeline() as pipe:
        pipe.ping()
        try:
            pipe.execute()
        except NoPermissionError:
            yield "MULTI"
        except RedisError:
            return


def _closed(client: Any, keys: Iterable[str]) -> Iterator[str]:
    """Those of ``keys`` that may not be written."""
    for key in keys:
        if "key" in _error(client, ["PERSIST", key]):
            yield key


def _deaf(client: Any, channels: Iterable[str]) -> Iterator[str]:
    """Those of ``channels`` that may not be heard."""
    for channel in channels:
        listener = client.pubsub()
        try:
            listener.psubscribe(channel)
            listener.get_message(timeout=2.0)
        except NoPermissionError:
            yield channel
        finally:
            listener.close()


def _error(client: Any, words: Sequence[str]) -> str:
    """What Redis says when this is not permitted to the user; blank when it is, or fails otherwise."""
    try:
        client.execute_command(*words)
    except NoPermissionError as error:
        return str(error).partition("used as arguments")[0]
    except RedisError:
        return ""
    return ""


def _judge(
    check: str, where: str, commands: Sequence[str], keys: Sequence[str], channels: Sequence[str]
) -> Iterator[Finding]:
    missing = list(dict.fromkeys(commands))
    if scripts := {"EVAL", "SCRIPT"} & set(missing):
        yield wrong(
            check, f"The user of {where} may run no scripts ({', '.join(sorted(scripts))}).", f"+@scripting; {_SEE}"
        )
        missing = [name for name in missing if name not in scripts]
    if missing:
        rights = " ".join(f"+{name.lower()}" for name in missing)
        yield wrong(check, f"The user of {where} may not run {', '.join(missing)}.", f"{rights}; {_SEE}")
    if keys:
        named = ", ".join(repr(key.removesuffix(_PRIORITY)) for key in keys)
        yield wrong(check, f"The user of {where} may not write the keys {named}.", f"Add their patterns (~…); {_SEE}")
    if channels:
        yield wrong(check, f"The user of {where} may not hear the channels {', '.join(channels)}.", f"Add &*; {_SEE}")
    if not (commands or keys or channels):
        yield ok(check, f"The user of {where} may do what is needed.")
