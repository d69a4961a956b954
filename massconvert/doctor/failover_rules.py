"""What a Redis must be like to lose nothing when its primary goes: pure rules over what it and its Sentinels tell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from massconvert.doctor.finding import Finding, ok, warning

#: Fewer Sentinels cannot agree when one of them is lost with its machine.
FEWEST_SENTINELS = 3
#: Seconds that a replica may be behind until somebody should look.
LAGS = 10
_SEE = "docs/high-availability.md"


@dataclass(frozen=True)
class Standby:
    """What stands by for the primary. ``info`` is its ``INFO``, ``config`` what it tells of its settings, if it does.

    ``watch`` is what a Sentinel says of the service, ``priorities`` those of the replicas; empty where there is none.
    """

    info: Mapping[str, Any]
    config: Mapping[str, str] = field(default_factory=dict)
    watch: Mapping[str, Any] = field(default_factory=dict)
    priorities: tuple[int, ...] = ()
    in_cluster: bool = False

    @property
    def replicas(self) -> int:
        """How many are attached."""
        return int(self.info.get("connected_slaves", 0))


def judge_standby(standby: Standby) -> Iterator[Finding]:
    """Whether a failover would be one, and what it would lose. A Redis that stands alone is judged by its own rules."""
    if "connected_slaves" not in standby.info:
        return
    if not (standby.watch or standby.in_cluster or standby.replicas):
        return
    yield _replicas(standby)
    yield from _lag(standby)
    if standby.watch:
        yield _sentinels(standby.watch)
        yield from _priorities(standby)
    if standby.replicas and not standby.in_cluster:
        yield from _minimum(standby)


def _replicas(standby: Standby) -> Finding:
    if standby.replicas:
        return ok("redis replicas", f"Attached: {standby.replicas}.")
    what = "No replica is attached: if this server is lost, so is the ledger, until it is back."
    return warning("redis replicas", what, f"Start one (`replicaof`); two are better: {_SEE}.")


def _lag(standby: Standby) -> Iterator[Finding]:
    attached = [value for name, value in standby.info.items() if _is_replica(name) and isinstance(value, Mapping)]
    slow = [each for each in attached if int(each.get("lag", 0)) > LAGS or each.get("state") != "online"]
    if slow:
        names = ", ".join(f"{each.get('ip')}:{each.get('port')}" for each in slow)
        what = f"Behind, or not yet in step: {names}. What it lacks is lost if it becomes the primary."
        yield warning("redis replicas", what, "See its log, its disk and its network.")


def _is_replica(name: str) -> bool:
    return name.startswith("slave") and name[5:].isdigit()


def _sentinels(watch: Mapping[str, Any]) -> Finding:
    number, quorum = int(watch.get("num-other-sentinels", 0)) + 1, int(watch.get("quorum", 0))
    if number < FEWEST_SENTINELS:
        what = f"Sentinels: {number}. If one machine is lost, the others cannot agree on another primary."
        return warning("redis sentinels", what, f"Run {FEWEST_SENTINELS}, on machines of their own: {_SEE}.")
    if quorum > number // 2 + 1 or quorum < 2:
        what = f"Sentinels: {number}, of which {quorum} must agree (quorum)."
        return warning("redis sentinels", what, f"Set it to {number // 2 + 1} in `sentinel monitor`.")
    down_after = int(watch.get("down-after-milliseconds", 0)) / 1000
    return ok("redis sentinels", f"Sentinels: {number}; they act after {down_after:g} s.")


def _priorities(standby: Standby) -> Iterator[Finding]:
    can = [priority for priority in standby.priorities if priority]
    if standby.priorities and not can:
        what = "No replica may become the primary (replica-priority 0)."
        yield warning("redis priorities", what, "Set `replica-priority 100` on those that may.")
    elif len(set(can)) > 1:
        what = f"The replicas' priorities differ ({', '.join(map(str, can))}): the first is taken even if it lags."
        yield warning("redis priorities", what, "Set the same `replica-priority` on all.")


def _minimum(standby: Standby) -> Iterator[Finding]:
    if "min-replicas-to-write" not in standby.config:
        return  # it may not be asked for
    least = int(standby.config["min-replicas-to-write"])
    longest = float(standby.config.get("min-replicas-max-lag", 10))
    down_after = int(standby.watch.get("down-after-milliseconds", 0)) / 1000
    if not least or not longest:
        what = "A primary that was replaced or is cut off goes on taking writes, and they are lost."
        yield warning("redis min-replicas", what, f"Set `min-replicas-to-write 1` and `min-replicas-max-lag`: {_SEE}.")
    elif least > standby.replicas:
        what = f"{least} replicas are demanded for a write, and {standby.replicas} attached: it takes none."
        yield warning("redis min-replicas", what, "Start one more, or lower min-replicas-to-write.")
    elif down_after and longest >= down_after:
        what = f"min-replicas-max-lag is {longest:g} s, and Sentinels act after {down_after:g} s"
        what += " (down-after-milliseconds): an old primary stops later than the new one begins."
        yield warning("redis min-replicas", what, f"Set min-replicas-max-lag to less than {down_after:g}.")
    else:
        yield ok("redis min-replicas", f"A write needs a replica that was heard within {longest:g} s.")
