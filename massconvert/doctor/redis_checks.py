"""Redis and the broker."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from redis import ResponseError

from massconvert.contract import QUEUE, QUEUE_CONVERT, QUEUE_STATUS
from massconvert.doctor.failover_rules import Standby, judge_standby
from massconvert.doctor.finding import Finding, ok, warning, wrong
from massconvert.doctor.redis_rules import ask_about_itself, ask_about_settings, judge_clock, judge_redis
from massconvert.doctor.site import Site
from massconvert.doctor.work_checks import span
from massconvert.errors import BrokerError, StoreError
from massconvert.ledger import Workers
from massconvert.nudge import Nudge
from massconvert.store import reaching
from massconvert.store.primary import OfSentinels
from massconvert.words.next_command import next_command


def check_redis(site: Site) -> Iterator[Finding]:
    """Whether the ledger's Redis answers, keeps what it is given, and knows the time."""
    began = time.monotonic()
    try:
        site.reach_redis()
    except StoreError as error:
        convert = next_command("convert", account=site.settings.account)
        alone = "" if site.settings.redis_url_given else f" {convert} needs none: it starts its own."
        yield wrong("redis", error.message, f"{error.hint}{alone}")
        return
    yield ok("redis", f"Redis answers within {1000 * (time.monotonic() - began):.0f} ms.")
    info = ask_about_itself(site.redis)
    if info:
        now = site.clock.now()
        yield from judge_redis(info, len(Workers.among(site.ledger.fleet.members(now=now), now).alive))
        yield from judge_standby(_standby(site, info))
    else:
        what = "Redis does not tell this user about itself, so nobody here sees whether it may lose or evict keys."
        fix = "Allow INFO (ACL SETUSER … +info), or see to it yourself: appendonly yes, maxmemory-policy noeviction."
        yield warning("redis", what, fix)
    yield _history(site)
    with reaching(site.redis):
        before, (seconds, micros), after = time.time(), site.redis.time(), time.time()
    yield judge_clock(int(seconds) + int(micros) / 1e6 - (before + after) / 2)


def _history(site: Site) -> Finding:
    """Scripts tell by INFO whether Redis has forgotten what it had acknowledged; some users and services may not."""
    with reaching(site.redis):
        now = site.redis.time()[0]
        id_, since, breaks = site.redis.hmget(site.keys.history, "id", "since", "breaks")
        try:
            said = site.redis.eval("return redis.call('INFO', 'replication')", 1, site.keys.prefix)
        except ResponseError:
            what = "Scripts may not use INFO, so every payload is read before it is sent: Redis may have forgotten it."
            if not site.settings.doubt_hours:
                what = "Scripts may not use INFO, so nobody notices what Redis forgets: leads may be sent twice."
            return warning("redis history", what, "Give the user +info (ACL SETUSER); docs/high-availability.md.")
    # A break that no script has met yet: the next one will.
    unmet = bool(id_) and f"master_replid:{id_}" not in str(said)
    ago = 0.0 if unmet else max(0.0, now - float(since or 0.0))
    if not (unmet or breaks) or ago > 3600 * site.settings.doubt_hours:
        return ok("redis history", "Scripts may use INFO, which tells them of a failover.")
    when = "just now" if unmet else f"{span(ago)} ago"
    what = f"Redis went on {when} with what may be an older state: a failover, a restart or a restored copy."
    name_them = next_command("missing", "worker.log", account=site.settings.account)
    fix = (
        "What waited then is read before it is sent. After a restored copy, find what it does not know with workers' "
        f"logs, and enqueue that again with the same keys (docs/high-availability.md): {name_them}"
    )
    return warning("redis history", what, fix)


def _standby(site: Site, info: dict[str, Any]) -> Standby:
    primary = site.redis.connection_pool.connection_kwargs.get("primary")
    config = ask_about_settings(site.redis, "min-replicas-*")
    if not isinstance(primary, OfSentinels):
        return Standby(info, config, in_cluster=primary is not None or bool(info.get("cluster_enabled")))
    watch, replicas = primary.standing()
    return Standby(info, config, watch, tuple(int(each.get("slave-priority", 100)) for each in replicas))


def check_broker(site: Site) -> Iterator[Finding]:
    """Whether messages can be sent, and how many wait."""
    nudge = Nudge(site.settings.broker_url)
    try:
        waiting = nudge.waiting((QUEUE, QUEUE_CONVERT, QUEUE_STATUS))
    except BrokerError as error:
        yield wrong("broker", error.message, error.hint)
        return
    finally:
        nudge.close()
    counts = ", ".join(f"{count:,} in {queue}" for queue, count in waiting.items())
    yield ok("broker", f"The broker answers; messages that wait: {counts}.")
