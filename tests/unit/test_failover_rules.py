"""What the doctor says of replicas, Sentinels and the least number of replicas."""

from __future__ import annotations

from typing import Any

import pytest

from massconvert.doctor import Level
from massconvert.doctor.failover_rules import Standby, judge_standby

ONLINE = {"ip": "10.0.0.2", "port": 6379, "state": "online", "lag": 0}
INFO = {"connected_slaves": 2, "slave0": ONLINE, "slave1": ONLINE | {"ip": "10.0.0.3"}, "slave_repl_offset": 7}
WATCH = {"num-other-sentinels": 2, "quorum": 2, "down-after-milliseconds": 5000}
CONFIG = {"min-replicas-to-write": "1", "min-replicas-max-lag": "4"}


def standby(**changes: Any) -> Standby:
    """A good one, but for ``changes``."""
    return Standby(**{"info": INFO, "config": CONFIG, "watch": WATCH, "priorities": (100, 100), **changes})


def test_a_good_one_is_ok_in_every_respect() -> None:
    found = list(judge_standby(standby()))
    assert {finding.level for finding in found} == {Level.OK}
    assert [finding.check for finding in found] == ["redis replicas", "redis sentinels", "redis min-replicas"]


@pytest.mark.parametrize("info", [{}, {"connected_slaves": 0}])
def test_one_that_stands_alone_or_tells_nothing_is_judged_by_nothing_here(info: dict[str, Any]) -> None:
    assert list(judge_standby(Standby(info))) == []


@pytest.mark.parametrize(
    ("changes", "check", "said"),
    [
        ({"info": {"connected_slaves": 0}}, "redis replicas", "No replica is attached"),
        (
            {"info": {"connected_slaves": 0}, "watch": {}, "in_cluster": True},
            "redis replicas",
            "No replica is attached",
        ),
        ({"info": INFO | {"slave1": ONLINE | {"lag": 60}}}, "redis replicas", "10.0.0.2:6379"),
        ({"info": INFO | {"slave1": ONLINE | {"state": "wait_bgsave"}}}, "redis replicas", "not yet in step"),
        ({"watch": WATCH | {"num-other-sentinels": 1}}, "redis sentinels", "Sentinels: 2."),
        ({"watch": WATCH | {"quorum": 3}}, "redis sentinels", "3 must agree"),
        ({"watch": WATCH | {"quorum": 1}}, "redis sentinels", "1 must agree"),
        ({"priorities": (0, 0)}, "redis priorities", "No replica may become"),
        ({"priorities": (100, 10, 0)}, "redis priorities", "differ (100, 10)"),
        ({"config": CONFIG | {"min-replicas-to-write": "0"}}, "redis min-replicas", "they are lost"),
        ({"config": CONFIG | {"min-replicas-max-lag": "0"}}, "redis min-replicas", "they are lost"),
        ({"config": CONFIG | {"min-replicas-to-write": "3"}}, "redis min-replicas", "it takes none"),
        ({"config": CONFIG | {"min-replicas-max-lag": "10"}}, "redis min-replicas", "Sentinels act after 5 s"),
    ],
)
def test_what_would_lose_something_is_told_with_a_fix(changes: dict[str, Any], check: str, said: str) -> None:
    (bad,) = [finding for finding in judge_standby(standby(**changes)) if finding.level is not Level.OK]
    assert (bad.check, bad.level) == (check, Level.WARNING)
    assert said in bad.what
    assert bad.fix


def test_what_may_not_be_asked_is_not_judged() -> None:
    assert [finding.check for finding in judge_standby(standby(config={}, watch={}))] == ["redis replicas"]
