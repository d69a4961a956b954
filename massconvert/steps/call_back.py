"""Call back: tell one of those who want to know that a batch has finished."""

from __future__ import annotations

import hashlib
from typing import Any

from massconvert.caller import Never
from massconvert.ledger import DueCall
from massconvert.model import Again, BatchStatus, Done
from massconvert.policy import Moment, after_failed_callback
from massconvert.report import status_record
from massconvert.steps.ports import Ports
from massconvert.words.next_command import next_command


def call_back(ports: Ports) -> Again | Done:
    """Make one call that is due, and write what became of it; ``Again`` when another is due as well.

    A worker that dies in between has called, and the ledger does not know: somebody calls again when the lease ends.
    """
    callbacks = ports.ledger.callbacks
    call = callbacks.take()
    if call is None:
        return Done()
    why = ports.caller.call(call.target, _summary(ports, call))
    if not why:
        callbacks.made(call)
    else:
        moment = Moment(ports.clock.now(), ports.random.random(), ports.tuning)
        tried = after_failed_callback(call.tries, call.status.finished_at or 0.0, moment)
        again_in = None if isinstance(why, Never) else tried
        callbacks.failed(call, why, again_in=again_in)
        ports.log_call(call, why, again_in)
    return Again(0.0) if callbacks.due() else Done()


def _summary(ports: Ports, call: DueCall) -> dict[str, Any]:
    told = hashlib.sha256(f"{call.id} {call.finished}".encode()).hexdigest()[:24]
    return {**status_record(call.status), "delivery": told, **_of_its_run(ports, call.status)}


def _of_its_run(ports: Ports, status: BatchStatus) -> dict[str, Any]:
    """Of which profile a batch is, how its run stands, whether the schedule is stopped; nothing of another batch."""
    run = ports.ledger.runs.get(status.batch)
    if run is None:
        return {}
    about: dict[str, Any] = {"profile": run.profile, "run": run.state.value}
    if run.said:
        about["run_said"] = {"code": run.said.code, "message": run.said.message}
    if failures := ports.ledger.runs.stopped(run.profile):
        go_on = next_command("profile resume", run.profile, account=status.account)
        about["schedule_stopped"] = {"failed_runs": failures, "resume": go_on}
    return about
