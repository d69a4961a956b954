"""Write a decision: what every step ends with."""

from __future__ import annotations

from typing import Any

from massconvert.model import Chunk, Done, Next, Submitted
from massconvert.model.changed import changed
from massconvert.policy import Decision, Moment, size_of
from massconvert.policy.rehearsed import tuned
from massconvert.policy.story import Answer, told_of
from massconvert.steps.ask import Asked
from massconvert.steps.ports import Ports
from massconvert.telemetry import traces

#: The quantile of the learnt job times within which a job has ended almost surely.
_P99 = 0.99


def moment(ports: Ports, chunk: Chunk, asked: Asked[Any] | None = None, at: float | None = None) -> Moment:
    """What a decision about ``chunk`` may depend on, ``at`` a time or when the call of ``asked`` had ended; else now.

    A process that freezes on its way to the decision brings an old time along, which does no harm: every wait counts
    from the answer, and not from when it was decided upon.
    """
    at = asked.at if asked else at
    now = ports.clock.now() if at is None else at
    learnt = ports.ledger.organisation.job_lengths(now=now)
    return Moment(
        now=now,
        chance=ports.random.random(),
        tuning=tuned(ports.tuning, ports.ledger.rehearsed.known(now=now)),
        look=learnt.looks.get(size_of(len(chunk.leads))),
        job_p99=_quantile(learnt.times, _P99),
        probe=asked is not None and asked.probe,
        idle=learnt.idle,
    )


def write(ports: Ports, chunk: Chunk, decision: Decision, answer: Answer = None) -> Next:
    """Write ``decision`` about ``chunk`` as it was claimed. When the claim was lost meanwhile, nothing changes.

    ``answer`` is what it was decided by: the story tells it.
    """
    moved = ports.ledger.chunks.move(chunk, decision, told_of(answer))
    if moved is None:
        return Done()
    if decision.look:
        ports.ledger.organisation.learn_again()
    if traces.worker:
        traces.worker.decided(decision)
    ports.log(decision)
    if moved.siblings and not isinstance(decision.next, Submitted):
        return changed(decision.next, siblings=moved.siblings)
    return decision.next


def _quantile(times: tuple[float, ...], share: float) -> float | None:
    return times[min(len(times) - 1, int(share * len(times)))] if times else None
