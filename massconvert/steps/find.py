"""Find: the leads that a profile's criteria name, a page a visit, into the batch of its run."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from massconvert.model import Busy, Call, Done, FindAnswer, Language, Next, Run, RunState
from massconvert.options import fingerprint
from massconvert.policy import Moment, RunDecision, after_find, after_put, no_permit_to_find
from massconvert.profiles import page_query
from massconvert.steps.ask import Asked, ask
from massconvert.steps.ports import Ports

#: Leads that a run may find for all we know.
_MANY = 1_000_000


@dataclass(frozen=True)
class Looked:
    """What comes next, and in how many seconds a chunk can be formed; None when nobody need be told."""

    next: Next
    nudge_in: float | None = None


def find(ports: Ports, run_id: str) -> Looked:
    """Take one step of a run, if it is due and nobody holds it: put what was found into its batch, or ask for more."""
    token = UUID(int=ports.random.getrandbits(128)).hex
    run = ports.ledger.runs.claim(run_id, token=token)
    if not isinstance(run, Run):
        return Looked(run)
    if run.to_put:
        return _put(ports, run)
    asked = ask(ports, Call.QUERY if run.form is Language.COQL else Call.READ, lambda: _page(ports, run))
    if isinstance(asked, Busy):
        return _write(ports, run, no_permit_to_find(run, asked, _moment(ports)))
    return _write(ports, run, after_find(run, asked.answer, _moment(ports, asked)))


def _page(ports: Ports, run: Run) -> FindAnswer:
    if run.form is Language.SEARCH:
        return ports.zoho.search(run.criteria, run.page + 1)
    until = run.start if run.wrapped else ""
    return ports.zoho.coql(page_query(run.criteria, after=run.after, until=until, rows=run.want))


def _put(ports: Ports, run: Run) -> Looked:
    """Put the kept leads into the run's batch, which the first of them open; at the end, seal it."""
    batches = ports.ledger.batches
    leads = ports.ledger.runs.kept(run.id)[: run.max_leads] if run.kept else []
    taken, nudge_in = 0, None
    if leads:
        # How many there will be is not known while more are found: room for many.
        about = len(leads) if run.ending else run.max_leads or _MANY
        batches.open(
            run.id,
            fingerprint(run.options),
            run.options,
            leads=about,
            priority=run.priority,
            on_complete=run.on_complete,
        )
        added = batches.add(run.id, run.token, leads)
        # Those that a worker put there before it died count just the same.
        taken, nudge_in = added.accepted + added.duplicates, added.nudge_in
    decision = after_put(run, taken, _moment(ports))
    if decision.run.state is not RunState.FINDING:  # before the move: a worker that dies in between does it again
        sealed = batches.seal(run.id, flush=True)
        nudge_in = sealed.nudge_in if sealed.nudge_in is not None else nudge_in
    looked = _write(ports, run, decision)
    return Looked(looked.next, nudge_in)


def _write(ports: Ports, run: Run, decision: RunDecision) -> Looked:
    if not ports.ledger.runs.move(run, decision):
        return Looked(Done())
    ports.log_run(decision)
    if decision.run.state is RunState.FAILED:
        _have_it_told(ports, decision.run)
    return Looked(decision.next)


def _have_it_told(ports: Ports, run: Run) -> None:
    """Where a run that failed itself has stopped the schedule, and has no batch: make an empty one, for its calls."""
    if run.on_complete and not run.taken and ports.ledger.runs.stopped(run.profile):
        batches = ports.ledger.batches
        batches.open(run.id, fingerprint(run.options), run.options, leads=1, on_complete=run.on_complete)
        batches.seal(run.id, flush=True)


def _moment(ports: Ports, asked: Asked[FindAnswer] | None = None) -> Moment:
    """When the call of ``asked`` had ended; without one, now."""
    at = asked.at if asked else None
    now = ports.clock.now() if at is None else at
    return Moment(now, ports.random.random(), ports.tuning, probe=asked is not None and asked.probe)
