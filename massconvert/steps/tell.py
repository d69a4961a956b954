"""Tell the log what was decided: a line each, and more where a person must know."""

from __future__ import annotations

import logging
from typing import Any

from massconvert.ledger import DueCall
from massconvert.model import RunState, State
from massconvert.policy import Decision, Row, RunDecision
from massconvert.words.next_command import then_resume

log = logging.getLogger("massconvert")


def tell_call(call: DueCall, why: str, again_in: float | None) -> None:
    """A call about a finished batch that failed: why, and in how many seconds it is made again."""
    then = "It is not called again." if again_in is None else f"Again in {again_in:.0f} s."
    words = "Batch %s has finished, but %s was not told: %s. %s"
    about = _about("callback_failed", batch=call.status.batch, attempt=call.tries + 1)
    log.warning(words, call.status.batch, call.target.place, why, then, extra=about)


def tell_decision(decision: Decision, account: str) -> None:
    """What was decided about a chunk, and what of it a person must know."""
    chunk = decision.chunk
    row, state, leads = decision.row, chunk.state.value, len(chunk.leads)
    facts = {"from": row.source.value, "to": state, "job": chunk.job_id, "attempt": chunk.attempts}
    about = _about(row.name.lower(), chunk=chunk.id, row=row.value, leads=leads, **facts)
    log.info("chunk %s: %s -> %s, %d leads", chunk.id, row.value, state, leads, extra=about)
    if chunk.state is State.DONE:
        _tell_end(decision)
    if decision.pause:
        hint = then_resume(decision.pause.hint, account=account)
        log.error("The organisation is paused. %s. %s", decision.pause.reason, hint, extra=_about("paused"))
    if decision.refuse_options:
        refused = decision.refuse_options
        about = _about("options_refused", code=refused.code)
        log.error("The options are refused: %s %s %s", refused.code, refused.message, refused.path, extra=about)
    if decision.row is Row.TOO_FEW_REPLICAS:
        log.warning("Too few replicas of Redis have what is written, so nothing is sent until they have it.")
    if decision.row is Row.NAMES_NOT_READABLE and chunk.said:
        log.error(
            "Names in the options cannot be looked up, so their leads wait: %s %s", chunk.said.code, chunk.said.message
        )


def _tell_end(decision: Decision) -> None:
    """The one line of a payload's end: how its last leads ended, and where its time went."""
    chunk, ends = decision.chunk, decision.ends
    seconds = max(0.0, chunk.claimed_at - chunk.created_at) if chunk.claimed_at else 0.0
    waited = max(0.0, chunk.sent_at - chunk.created_at) if chunk.sent_at else seconds
    numbers = {"leads": sum(ends.values()), "attempts": chunk.attempts, "outages": chunk.outages, "polls": chunk.polls}
    about = _about(
        "payload_ended", chunk=chunk.id, **numbers, **ends, seconds=round(seconds, 1), waited=round(waited, 1)
    )
    told = ", ".join(f"{number} {kind}" for kind, number in ends.items())
    words = "payload %s ended: %s; %.1f s, of them %.1f s before it was sent last; %d attempts, %d looks at its job"
    log.info(words, chunk.id, told, seconds, waited, chunk.attempts, chunk.polls, extra=about)


def _about(event: str, **facts: Any) -> dict[str, Any]:
    """What a line is about, for logs that programs read: an event of docs/monitoring.md and its facts."""
    return {"event": event, "facts": facts}


def tell_run(decision: RunDecision) -> None:
    """What was decided about a run of a profile."""
    run = decision.run
    about = _about("run_moved", batch=run.id, row=decision.row.value, found=run.found, leads=run.taken)
    log.info("run %s: %s, %d found, %d enqueued", run.id, decision.row.value, run.found, run.taken, extra=about)
    if run.state is RunState.FAILED and run.said:
        log.error("The run %s has failed: %s %s %s", run.id, run.said.code, run.said.message, run.said.path)
    elif run.more and run.state is RunState.DONE:
        log.warning("The run %s took as many leads as one may; the next run goes on with the others.", run.id)
