"""Tell the log what was decided: a line each, and more where a person must know."""

from __future__ import annotations

import logging

from massconvert.ledger import DueCall
from massconvert.next_command import then_resume
from massconvert.policy import Decision, Row, RunDecision, RunState

log = logging.getLogger("massconvert")


def tell_call(call: DueCall, why: str, again_in: float | None) -> None:
    """A call about a finished batch that failed: why, and in how many seconds it is made again."""
    then = "It is not called again." if again_in is None else f"Again in {again_in:.0f} s."
    log.warning("Batch %s has finished, but %s was not told: %s. %s", call.status.batch, call.target.place, why, then)


def tell_decision(decision: Decision, account: str) -> None:
    """What was decided about a chunk, and what of it a person must know."""
    chunk = decision.chunk
    log.info("chunk %s: %s -> %s, %d leads", chunk.id, decision.row.value, chunk.state.value, len(chunk.leads))
    if decision.pause:
        hint = then_resume(decision.pause.hint, account=account)
        log.error("The organisation is paused. %s. %s", decision.pause.reason, hint)
    if decision.refuse_options:
        refused = decision.refuse_options
        log.error("The options are refused: %s %s %s", refused.code, refused.message, refused.path)
    if decision.row is Row.TOO_FEW_REPLICAS:
        log.warning("Too few replicas of Redis have what is written, so nothing is sent until they have it.")
    if decision.row is Row.NAMES_NOT_READABLE and chunk.said:
        log.error(
            "Names in the options cannot be looked up, so their leads wait: %s %s", chunk.said.code, chunk.said.message
        )


def tell_run(decision: RunDecision) -> None:
    """What was decided about a run of a profile."""
    run = decision.run
    log.info("run %s: %s, %d found, %d enqueued", run.id, decision.row.value, run.found, run.taken)
    if run.state is RunState.FAILED and run.said:
        log.error("The run %s has failed: %s %s %s", run.id, run.said.code, run.said.message, run.said.path)
    elif run.more and run.state is RunState.DONE:
        log.warning("The run %s took as many leads as one may; the next run goes on with the others.", run.id)
