"""Runs of profiles: begun once a slot, claimed by one worker at a time, moved by compare-and-set."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from massconvert.errors import InputError
from massconvert.leads.ids import check_batch_key
from massconvert.ledger.book import Book
from massconvert.ledger.chunks import LONGEST_COUNTDOWN
from massconvert.ledger.codec import dump_refusal, kept_options, load_refusal, options_of, pairs, unreadable
from massconvert.model import Again, Done, Language, Priority, Run, RunState
from massconvert.on_complete.targets import dump_targets, load_targets
from massconvert.policy import RunDecision, RunRow
from massconvert.profiles import Profile
from massconvert.store import reaching
from massconvert.words.next_command import next_command


class Begun(str, Enum):
    """What became of the wish to begin a run."""

    BEGUN = "begun"
    KNOWN = "known"  # it was begun before: the caller goes on with it
    PAST = "past"  # this slot, or a later one, had its turn
    BUSY = "busy"  # the run of an earlier slot still finds leads
    STOPPED = "stopped"  # the last runs failed wholly: slots are left out until somebody resumes the schedule


#: Rows in which Zoho accepted the credentials: they end a pause that was waiting for just that.
_PROVE_ACCESS = frozenset({RunRow.PAGE, RunRow.WRAPPED, RunRow.LAST_PAGE, RunRow.SEARCH_FULL, RunRow.REFUSED})


@dataclass(frozen=True)
class OverdueRun:
    """A run for which no message came in time."""

    run_id: str
    profile: str


class Runs(Book):
    """The runs of one account."""

    def why_left_out(self, begun: Begun, name: str) -> str:
        """Why a slot of the profile ``name`` that had its turn makes no run; blank where it is not left out."""
        if begun is Begun.BUSY:
            return "the run before it still finds leads"
        go_on = next_command("profile resume", name, account=self._keys.account)
        return f"its last runs failed; to go on: {go_on}" if begun is Begun.STOPPED else ""

    def begin(self, run_id: str, name: str, profile: Profile, *, slot: str = "", now: float | None = None) -> Begun:
        """Begin a run of the profile ``name``, which must have criteria, with what stands in it now.

        A ``slot`` is begun once, and only after those before it; a run by hand at any time. Raises InputError for an id
        that cannot name the batch which the run makes.
        """
        check_batch_key(run_id)
        criteria = profile.criteria
        assert criteria is not None  # noqa: S101 - ConfigFile.to_find_with has said so
        job = {
            "form": criteria.form.value,
            "criteria": criteria.text,
            "options": kept_options(profile.options),
            "max_leads": profile.limits.max_leads,
            "priority": profile.priority.value,
            "on_complete": dump_targets(profile.targets),
        }
        bounded = profile.limits.max_leads is not None and criteria.form is Language.COQL
        ends = (self._tuning.sweep_grace, self._tuning.profile_failures)
        answer = self._run("begin_run", run_id, name, slot, now, json.dumps(job), int(bounded), *ends)
        return Begun(answer[0])

    def claim(self, run_id: str, *, token: str, now: float | None = None) -> Run | Again | Done:
        """Hand a run out to this caller, if it is due and nobody holds it. ``Done``: nothing to do here."""
        tuning = self._tuning
        kind, *rest = self._run(
            "claim_run", run_id, token, now, tuning.lease, tuning.pause_probe, LONGEST_COUNTDOWN, tuning.sweep_grace
        )
        if kind == "early":
            return Again(float(rest[0]))
        return load_run(run_id, pairs(rest)) if kind == "claimed" else Done()

    def move(self, run: Run, decision: RunDecision, *, now: float | None = None) -> bool:
        """Write ``decision`` about ``run`` as it was claimed; False when the claim is no longer ours."""
        next_start = decision.next_start
        return bool(
            self._run(
                "move_run",
                run.id,
                run.token,
                now,
                json.dumps(dump_run(decision.run)),
                int(next_start is not None),
                next_start or "",
                self._tuning.sweep_grace,
                LONGEST_COUNTDOWN,
                int(self._tuning.retention),
                int(run.to_put),
                int(decision.row in _PROVE_ACCESS),
                *decision.keep,
            )
        )

    def kept(self, run_id: str) -> list[str]:
        """The leads that were found and are not in the batch yet, in their order."""
        with reaching(self._redis):
            return list(self._redis.lrange(self._keys.run_found(run_id), 0, -1))

    def overdue(self, *, now: float | None = None, most: int = 100) -> list[OverdueRun]:
        """The runs for which no message came in time; each is expected to be dispatched now."""
        flat = self._run("take_overdue", now, most, 2 * self._tuning.sweep_grace, "run")
        return [OverdueRun(run_id, name) for run_id, name in zip(flat[::4], flat[3::4], strict=True)]

    def get(self, run_id: str) -> Run | None:
        """A run as it stands; None when there is none, or it has expired."""
        with reaching(self._redis):
            fields = self._redis.hgetall(self._keys.run(run_id))
        return load_run(run_id, fields) if fields else None

    def last(self, name: str) -> Run | None:
        """The latest run of a profile, however it was begun."""
        with reaching(self._redis):
            run_id = self._redis.hget(self._keys.profile(name), "last")
        return self.get(run_id) if run_id else None

    def failures(self, name: str) -> int:
        """How many runs of a profile in a row have failed wholly: every lead, or the run itself. Raises StoreError."""
        with reaching(self._redis):
            return int(self._redis.hget(self._keys.profile(name), "failures") or 0)

    def stopped(self, name: str) -> int:
        """`failures`, where they have stopped the schedule; else 0. Raises StoreError."""
        failures, most = self.failures(name), self._tuning.profile_failures
        return failures if most and failures >= most else 0

    def resume(self, name: str) -> int:
        """Let a profile's schedule go on; return how many runs in a row had failed. Raises StoreError."""
        with reaching(self._redis):
            pipe = self._redis.pipeline(transaction=True)
            pipe.hget(self._keys.profile(name), "failures")
            pipe.hdel(self._keys.profile(name), "failures")
            return int(pipe.execute()[0] or 0)


def dump_run(run: Run) -> dict[str, str]:
    """The fields of a run that a decision may change; a blank one is deleted."""
    return {
        "state": run.state.value,
        "due": repr(run.due_at),
        "after": run.after,
        "wrapped": "1" if run.wrapped else "",
        "page": str(run.page or ""),
        "found": str(run.found or ""),
        "kept": str(run.kept or ""),
        "ending": run.ending.value if run.ending else "",
        "taken": str(run.taken or ""),
        "outages": str(run.outages or ""),
        "outage_since": repr(run.outage_since) if run.outage_since else "",
        "said": dump_refusal(run.said) if run.said else "",
        "more": "1" if run.more else "",
        "ended": repr(run.ended_at) if run.ended_at else "",
    }


def load_run(run_id: str, fields: Mapping[str, str]) -> Run:
    """The run that its hash holds. Raises LedgerError when something else has written it."""
    where = f"run:{run_id}"
    try:
        job = json.loads(fields["job"])
        return Run(
            id=run_id,
            profile=fields["profile"],
            form=Language(job["form"]),
            criteria=str(job["criteria"]),
            options=options_of(job["options"]),
            max_leads=job["max_leads"],
            priority=Priority(job["priority"]),
            on_complete=load_targets(job.get("on_complete", "[]")),
            slot=fields.get("slot", ""),
            state=RunState(fields["state"]),
            ending=RunState(fields["ending"]) if fields.get("ending") else None,
            token=fields.get("token", ""),
            start=fields.get("start", ""),
            wrapped=fields.get("wrapped") == "1",
            after=fields.get("after", ""),
            page=int(fields.get("page", "0")),
            found=int(fields.get("found", "0")),
            kept=int(fields.get("kept", "0")),
            taken=int(fields.get("taken", "0")),
            outages=int(fields.get("outages", "0")),
            outage_since=float(fields.get("outage_since", "0")),
            said=load_refusal(fields["said"], where) if fields.get("said") else None,
            more=fields.get("more") == "1",
            began_at=float(fields["began"]),
            ended_at=float(fields.get("ended", "0")),
            due_at=float(fields["due"]),
        )
    except (KeyError, ValueError, TypeError, InputError) as error:
        raise unreadable(where) from error
