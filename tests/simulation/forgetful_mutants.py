"""Bugs that only a Redis which forgets shows (see `forgetting`): each leaves out a part of decision 0037."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from random import Random
from typing import Any
from unittest.mock import patch

from massconvert.model import Chunk, Settle
from massconvert.policy import Decision, Moment, after_break
from massconvert.steps import advance
from massconvert.store import scripts
from massconvert.store.scripts import Scripts
from tests.simulation.crm import Crm
from tests.simulation.plan import Plan
from tests.simulation.seeding import Mutant, Seeded, in_lua, in_python
from tests.simulation.step_mutants import sends_whenever_it_comes_to_it
from tests.simulation.troubles import late_sends, with_faults


def _in_all_lua(old: str, new: str) -> Seeded:
    """A bug in what scripts share."""

    @contextmanager
    def seeded() -> Iterator[None]:
        original = scripts.source

        def source(name: str) -> str:
            return original(name).replace(old, new)

        assert old in original("claim_chunk")
        with patch.object(scripts, "source", source):
            yield

    return seeded


#: What bears the stamp of an earlier history is taken for up to date.
_no_stamp = _in_all_lua("then return stamp ~= h.id end", "then return false end")
_run_surely = Scripts.run_surely


def _an_enqueue_waits_for_nobody(scripts: Scripts, name: str, *, keys: Any, args: Any) -> list[Any]:
    if name != "seal_batch":
        return _run_surely(scripts, name, keys=keys, args=args)
    return list(scripts.run(name, keys=keys, args=args))[:-1]


def _senders_die(plan: Plan) -> Plan:
    """A worker dies when its payload has just been taken, Redis forgets, and jobs take as long as they may."""
    if not plan.store.forgets:
        return plan
    plan = late_sends(_undisturbed(plan), Random(plan.seed))
    mishaps = replace(plan.mishaps, crash=0.0, target="after mass_convert", target_visit=1)
    store = replace(plan.store, forgets=(plan.orders[0].at + 20.0,), replicas=1)
    return with_faults(replace(plan, mishaps=mishaps, store=store), slow_sends=0.0)


def _enqueued_again(plan: Plan) -> Plan:
    """Redis forgets nearly all of what has just been enqueued and sent, and everybody enqueues it again."""
    if not plan.store.forgets:
        return plan
    at = plan.orders[0].at
    plan = _undisturbed(plan)
    orders = tuple(replace(order, again=(at + 6.0,)) for order in plan.orders)
    forgets = tuple(at + seconds for seconds in (0.5, 0.6, 0.7, 0.8))
    store = replace(plan.store, forgets=forgets, replicas=0)
    tuning = replace(plan.tuning, window=8, max_jobs=20)
    return replace(plan, orders=orders, store=store, tuning=tuning)


def _cancelled_after_it_forgot(plan: Plan) -> Plan:
    """Redis forgets what has just been sent, and people cancel everything before a worker comes to it again."""
    if not plan.store.forgets:
        return plan
    at = plan.orders[0].at
    plan = _undisturbed(plan)
    orders = tuple(replace(order, at=at, cancel_at=(at + 0.55,)) for order in plan.orders)
    store = replace(plan.store, forgets=(at + 0.4, at + 0.5), replicas=0)
    tuning = replace(plan.tuning, max_leads=1, window=8, max_jobs=20)
    return replace(plan, orders=orders, store=store, tuning=tuning)


def _undisturbed(plan: Plan) -> Plan:
    """All producers come to their end."""
    calm = (replace(order, cancel_at=(), slow=0.0, invalid=(), abandoned=0) for order in plan.orders)
    return replace(plan, orders=tuple(calm))


def _looks_at_once(chunk: Chunk, moment: Moment) -> Decision:
    """What was sent just before the break may be at work yet."""
    decision = after_break(chunk, moment)
    return replace(decision, chunk=replace(decision.chunk, due_at=moment.now), next=Settle(0.0))


MUTANTS = (
    Mutant("a failover is not noticed", _no_stamp, "forgets", "without a look"),
    Mutant(
        "what may have been sent is looked at at once",
        in_python(advance, "after_break", _looks_at_once),
        "forgets",
        "before its job's end",
        shaped=_senders_die,
    ),
    Mutant(
        "no replica is waited for",
        in_python(scripts, "_await_replicas", lambda *_: None),
        "forgets",
        "and was given",
    ),
    Mutant(
        "a failover during an enqueue is not noticed",
        in_lua("seal_batch", "nudge, h.id,", "nudge, '',"),
        "forgets",
        "and was given",
    ),
    Mutant(
        "what is enqueued again is taken for new",
        in_lua("form_chunks", "tonumber(ARGV[9])", "0"),
        "forgets",
        "submitted again",
        shaped=_enqueued_again,
    ),
    Mutant(
        "what was cancelled ends at once, whatever may have been sent",
        in_lua("cancel_batch", "if ended == 0 and is_outdated(", "if false and is_outdated("),
        "forgets",
        "is cancelled, but we converted it",
        shaped=_cancelled_after_it_forgot,
    ),
    Mutant(
        "an inbox of before is ended without a read",
        in_lua(
            "drain_inbox",
            "local outdated = drain and is_batch_outdated(",
            "local outdated = false and is_batch_outdated(",
        ),
        "forgets",
        "is cancelled, but we converted it",
    ),
    Mutant(
        "a failover is not noticed while the old primary goes on",
        _no_stamp,
        "two primaries",
        "without a look",
    ),
    Mutant(
        "an old primary acknowledges an enqueue",
        in_python(Scripts, "run_surely", _an_enqueue_waits_for_nobody),
        "two primaries",
        "and was given",
    ),
    Mutant(
        "an old primary forgets its replicas at once",
        _in_all_lua("local REMEMBER_REPLICAS = 20", "local REMEMBER_REPLICAS = 0"),
        "two primaries",
        "and was given",
    ),
    Mutant(
        "a payload with a mark of before leaves whenever it comes to it",
        in_python(Crm, "mass_convert", sends_whenever_it_comes_to_it),
        "two primaries",
        "without a look",
    ),
)
