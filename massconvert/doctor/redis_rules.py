"""What a Redis must be like to hold the ledger: pure rules over what it tells of itself.

`massconvert doctor` shows all of it; a worker logs what is not well when it starts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from redis.exceptions import NoPermissionError, ResponseError

from massconvert.doctor.finding import Finding, Level, ok, warning, wrong
from massconvert.store import Redis, reaching
from massconvert.words.plurals import number_of

#: The oldest version that the scripts run on: LMOVE, and LPOP with a count.
NEEDED = (6, 2)
#: Seconds by which clocks may differ before logs of two machines can no longer be read side by side.
CLOCKS_MAY_DIFFER = 5.0
#: How many connections a worker of 20 threads held at most under load, ledger and broker in one, measured
#: (docs/scaling.md), and the share of maxclients from which on there is no room for one more.
OF_A_WORKER, CROWDED = 40, 0.8
#: The share of maxmemory from which on there is no time left to wait.
FULL, NEARLY_FULL = 0.97, 0.8


def ask_about_itself(client: Redis) -> dict[str, Any]:
    """What ``INFO`` says; nothing where this user may not ask. Raises StoreError when Redis cannot be reached."""
    with reaching(client):
        try:
            return dict(client.info())
        except NoPermissionError:
            return {}


def ask_about_settings(client: Redis, pattern: str) -> dict[str, str]:
    """What ``CONFIG GET`` says; nothing where this user may not ask, as most may not. Raises StoreError likewise."""
    with reaching(client):
        try:
            return dict(client.config_get(pattern))
        except ResponseError:  # managed services do not know the command
            return {}


def judge_redis(info: Mapping[str, Any], workers: int = 0) -> Iterator[Finding]:
    """What ``INFO`` says for and against keeping the ledger in this Redis. What it does not tell is not judged.

    ``workers``: how many live.
    """
    yield from _version(info)
    yield from _role(info)
    yield from _persistence(info)
    yield from _memory(info)
    yield from _clients(info, workers)


def not_well(info: Mapping[str, Any]) -> list[str]:
    """What speaks against this Redis, each in one text with its fix: for a log."""
    return [f"{f.what} {f.fix}" for f in judge_redis(info) if f.level is not Level.OK]


def judge_clock(ahead: float) -> Finding:
    """``ahead``: by how many seconds Redis' clock is ahead of this machine's."""
    words = f"Redis' clock is {abs(ahead):.1f} s {'ahead of' if ahead > 0 else 'behind'} this machine's"
    if abs(ahead) <= CLOCKS_MAY_DIFFER:
        return ok("redis clock", f"{words}.")
    return warning(
        "redis clock", f"{words}; the ledger goes by Redis', the log by the machine's.", "Run NTP on both machines."
    )


def _version(info: Mapping[str, Any]) -> Iterator[Finding]:
    text = str(info.get("redis_version", ""))
    version = tuple(int(part) for part in text.split(".")[:2] if part.isdigit())
    if len(version) < 2:
        return
    # Valkey says to be the Redis that it came from.
    name = f"Valkey {info['valkey_version']}" if "valkey_version" in info else f"Redis {text}"
    if version < NEEDED:
        fix = f"Use Redis {NEEDED[0]}.{NEEDED[1]} or newer, or Valkey."
        yield wrong("redis version", f"{name} is too old for the ledger's scripts.", fix)
    else:
        yield ok("redis version", f"{name}.")


def _role(info: Mapping[str, Any]) -> Iterator[Finding]:
    if info.get("role") == "slave":
        yield wrong("redis role", "Redis is a replica and takes no writes.", "Set REDIS_URL to the primary.")


def _persistence(info: Mapping[str, Any]) -> Iterator[Finding]:
    failed = [name for name in ("aof_last_write_status", "aof_last_bgrewrite_status") if info.get(name) == "err"]
    if failed:
        fix = "Its log says why; usually the disk is full."
        yield wrong("redis persistence", f"Redis could not write its append-only file ({', '.join(failed)}).", fix)
    elif "aof_enabled" not in info:
        return
    elif int(info["aof_enabled"]):
        yield ok("redis persistence", "Redis appends every write to a file.")
    else:
        what = "Redis has no append-only file: a crash loses what came after its last snapshot."
        yield warning("redis persistence", what, "Set `appendonly yes`.")


def _memory(info: Mapping[str, Any]) -> Iterator[Finding]:
    most, used = int(info.get("maxmemory", 0)), int(info.get("used_memory", 0))
    policy = str(info.get("maxmemory_policy", ""))
    fix = "Set `maxmemory-policy noeviction`."
    if policy.startswith("allkeys") and most:
        yield wrong("redis eviction", f"Redis evicts keys when it is full (maxmemory-policy {policy}): leads!", fix)
    elif policy not in ("", "noeviction"):
        what = f"Redis may evict keys (maxmemory-policy {policy}) and so lose leads."
        yield warning("redis eviction", what, fix)
    elif policy:
        yield ok("redis eviction", "Redis evicts nothing.")
    if most and used > NEARLY_FULL * most:
        found = wrong if used > FULL * most else warning
        what = f"Redis uses {used / most:.0%} of its memory (maxmemory); full, it takes no more leads."
        yield found("redis memory", what, "Give it more memory, or keep batches for fewer days.")


def _clients(info: Mapping[str, Any], workers: int) -> Iterator[Finding]:
    most, now = int(info.get("maxclients", 0)), int(info.get("connected_clients", 0))
    if not most:
        return
    fix = f"Raise maxclients: a worker of 20 threads needs up to {OF_A_WORKER}; or run it with fewer (-c)."
    if most < OF_A_WORKER * max(1, workers):
        what = f"Redis takes only {most} connections at once (maxclients)"
        what += f", and {number_of(workers, 'worker runs', 'workers run')}." if workers else "."
        yield warning("redis connections", what, fix)
    elif now > CROWDED * most:
        yield warning("redis connections", f"{now:,} of {most:,} connections are in use (maxclients).", fix)
    else:
        yield ok("redis connections", f"{now:,} of {most:,} connections are in use.")
