"""Write a decision: what every step ends with."""

from __future__ import annotations

from massconvert.model import Chunk, Done, Next
from massconvert.policy import Decision, Moment
from massconvert.steps.ports import Ports

#: Quantiles of the learnt job times.
_MEDIAN, _P99 = 0.5, 0.99


def moment(ports: Ports) -> Moment:
    """What a decision taken now may depend on."""
    times = ports.ledger.organisation.job_times()
    return Moment(
        now=ports.clock.now(),
        chance=ports.random.random(),
        tuning=ports.tuning,
        job_median=_quantile(times, _MEDIAN),
        job_p99=_quantile(times, _P99),
    )


def write(ports: Ports, chunk: Chunk, decision: Decision) -> Next:
    """Write ``decision`` about ``chunk`` as it was claimed. When the claim was lost meanwhile, nothing changes."""
    if decision.gate:
        ports.governor.close_gate(decision.gate.seconds, decision.gate.why)
    moved = ports.ledger.chunks.move(chunk, decision, now=ports.clock.now())
    if moved is None:
        return Done()
    ports.log(decision)
    return decision.next


def _quantile(times: list[float], share: float) -> float | None:
    return times[min(len(times) - 1, int(share * len(times)))] if times else None
