"""Chunks: formed from the inboxes, claimed by one worker at a time, moved by compare-and-set."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from massconvert.ledger.book import Book
from massconvert.ledger.codec import (
    dump_chunk,
    dump_look,
    dump_options,
    dump_outcome,
    dump_refusal,
    load_chunk,
    pairs,
    unreadable,
)
from massconvert.ledger.stories import dump_told
from massconvert.model import Again, Chunk, Done, Kind, Outcome, State, Why
from massconvert.model.changed import changed
from massconvert.model.story import NOTHING_TOLD, Told
from massconvert.policy import Decision, Row, size_of
from massconvert.words.mentions import tell_payload

#: The longest countdown of a message, in seconds: far below the broker's visibility timeout, beyond which a delayed
#: message is delivered twice, and each retry doubles the copies. A chunk that is due later is looked at in between.
LONGEST_COUNTDOWN = 60.0

#: Rows in which Zoho accepted the credentials: they end a pause that was waiting for just that.
_PROVE_ACCESS = frozenset(
    {
        Row.ACCEPTED,
        Row.BAD_LEADS,
        Row.OPTIONS_REFUSED,
        Row.JOB_RUNS,
        Row.JOB_ALL_CONVERTED,
        Row.JOB_COUNTS_DIFFER,
        Row.JOB_FAILED,
        Row.SETTLED,
        Row.PREFLIGHT_PASSED,
        Row.DEALS_FOUND,
        Row.DEALS_UPDATED,
        Row.UNCONVERTED_AGAIN,
        Row.BAD_LEADS_OUT,
        Row.OUT_OF_ATTEMPTS,
        Row.OVERDUE_WATCHED,
        Row.MATCHED,
        Row.LINKED,
        Row.LINK_REFUSED,
    }
)
#: Rows in which Zoho gave a payload a usable answer.
_ANSWER_A_PAYLOAD = frozenset(
    {
        Row.ACCEPTED,
        Row.LINKED,
        Row.LINK_REFUSED,
        Row.BAD_LEADS,
        Row.UNEXPLAINED,
        Row.OPTIONS_REFUSED,
        Row.TOO_MANY_LEADS,
    }
)

_STATES = {state.value: state for state in State}


@dataclass(frozen=True)
class Formed:
    """What forming did: the new chunks, when the next inbox is ready (seconds), whether the window is full.

    ``drains``: leads of a refused or cancelled batch are left to drain.
    """

    chunk_ids: tuple[str, ...]
    next_in: float | None
    full: bool
    drains: bool


@dataclass(frozen=True)
class Overdue:
    """A chunk for which no message came in time."""

    chunk_id: str
    state: State
    job_id: str


@dataclass(frozen=True)
class Moved:
    """A decision was written; ``siblings`` are the chunks that were split off or set apart."""

    siblings: tuple[str, ...]


class Chunks(Book):
    """The chunks of one account."""

    def form(self, *, now: float | None = None, most: int = 100) -> Formed:
        """Form chunks from the inboxes that are ready, while the window has room."""
        t = self._tuning
        ids, batches, soon, full, drains = self._run(
            "form_chunks", now, t.window, t.max_jobs, t.max_leads, t.linger, most, t.sweep_grace, t.express, t.doubt
        )
        for chunk_id, named in zip(ids, batches, strict=True):
            tell_payload(chunk_id, (each.split("=") for each in named.split(";")), account=self._keys.account)
        return Formed(tuple(ids), float(soon) if soon != "" else None, bool(int(full)), bool(int(drains)))

    def claim(
        self, chunk_id: str, states: Collection[State], *, token: str, now: float | None = None
    ) -> Chunk | Again | Done:
        """Hand a chunk out to this caller, if it is due, in one of ``states``, and nobody holds it. Raises LedgerError.

        ``Again``: too early, and this message must come back then. ``Done``: nothing to do here: the chunk has
        ended, is somebody else's, is expected to be looked at by another message, or is paused (the organisation, or
        every batch with leads in it).
        """
        t = self._tuning
        wanted = ",".join(sorted(state.value for state in states))
        kind, *rest = self._run(
            "claim_chunk",
            chunk_id,
            token,
            now,
            t.lease,
            wanted,
            t.pause_probe,
            LONGEST_COUNTDOWN,
            t.sweep_grace,
        )
        if kind == "early":
            return Again(float(rest[0]))
        if kind == "unknown":
            raise unreadable(f"chunk:{chunk_id}")
        return load_chunk(chunk_id, pairs(rest)) if kind == "claimed" else Done()

    def begin_send(self, chunk: Chunk, *, now: float | None = None) -> Chunk | None:
        """Write ahead of the POST that it is being sent.

        ``None`` when the claim is no longer ours, or when it was stopped since: by a pause of the organisation whose
        probe this is not, or by a hold or a cancel of its batches. Then nothing may be sent. Raises StoreError;
        where its code is REPLICAS, too few replicas have the mark, and nothing may be sent either.
        """
        t = self._tuning
        reached = repr(chunk.reached_at) if chunk.reached_at else ""
        leads = ",".join(chunk.leads)
        args = [chunk.id, chunk.token, now, t.lease, int(t.retention), t.send_within, reached, leads, len(chunk.leads)]
        ours, *at = self._surely("begin_send", *args)
        if not int(ours):
            return None
        return changed(chunk, state=State.SENDING, sent_at=float(at[0]), send_by=float(at[0]) + t.send_within)

    def move(
        self, chunk: Chunk, decision: Decision, told: Told = NOTHING_TOLD, *, now: float | None = None
    ) -> Moved | None:
        """Write ``decision`` about ``chunk`` as it was claimed; ``None`` when the claim is no longer ours.

        ``told`` is what Zoho answered, for the story.
        """
        answer = self._run(
            "move_chunk",
            chunk.id,
            chunk.token,
            chunk.state.value,
            now,
            json.dumps(dump_chunk(decision.chunk)),
            json.dumps(_by_outcome(decision.outcomes)),
            _rest(decision.rest),
            int(decision.split),
            json.dumps(self._changes(chunk, decision, told)),
            int(self._tuning.retention),
            self._tuning.sweep_grace,
            LONGEST_COUNTDOWN,
            _asides(decision.asides),
        )
        return Moved(tuple(answer[1:])) if int(answer[0]) else None

    def claim_identities(
        self, wanted: Mapping[str, Collection[str]], *, now: float | None = None
    ) -> dict[str, dict[str, str]]:
        """Claim for each of these leads in flight what its conversion may make, as digests; the first has it.

        Returns what was not to be had: by lead, the digest and the lead that has it. A lead's claims end with it.
        """
        rows = [[lead, ",".join(digests)] for lead, digests in wanted.items() if digests]
        flat = self._run("claim_identities", now, json.dumps(rows)) if rows else []
        taken: dict[str, dict[str, str]] = {}
        for lead, digest, holder in zip(flat[::3], flat[1::3], flat[2::3], strict=True):
            taken.setdefault(lead, {})[digest] = holder
        return taken

    def overdue(self, *, now: float | None = None, most: int = 100) -> list[Overdue]:
        """The chunks for which no message came in time; each is expected to be dispatched now."""
        flat = self._run("take_overdue", now, most, 2 * self._tuning.sweep_grace, "chunk")
        rows = zip(flat[::4], flat[1::4], flat[2::4], strict=True)
        # One in no state that we know is handed out too: who claims it says so.
        return [Overdue(chunk_id, _STATES.get(state, State.WAITING), job_id) for chunk_id, state, job_id in rows]

    def drain(self, *, now: float | None = None, most: int = 1000, batches: int = 25) -> bool:
        """End one slice of the leads that wait in refused or cancelled batches; return whether more are left."""
        t = self._tuning
        _, left = self._run("drain_inbox", now, most, int(t.retention), batches, t.max_leads, t.max_jobs, t.doubt)
        return int(left) > 0

    def _changes(self, chunk: Chunk, decision: Decision, told: Told) -> dict[str, Any]:
        changes: dict[str, Any] = {"row": decision.row.event}
        if said := dump_told(told):
            changes["told"] = said
        changes |= self._about_options(decision) | self._about_others(chunk, decision)
        if decision.history is not None:
            changes["history"] = decision.history
        if decision.pause:
            order = decision.pause
            changes["pause"] = [order.code, order.reason, order.hint, self._tuning.pause_probe]
        elif decision.row in _PROVE_ACCESS:
            changes["proves"] = 1
        if decision.identities is not None:
            changes["identities"] = {lead: ",".join(made) for lead, made in decision.identities.items()}
        limits = {"max_leads": decision.max_leads, "max_read": decision.max_read}
        changes |= {name: str(most) for name, most in limits.items() if most is not None}
        if decision.job_took is not None:
            changes["job_took"] = f"{decision.job_took:.3f}"
        if decision.look:
            before, learnt = decision.look
            size = size_of(len(decision.chunk.leads))
            changes["look"] = [str(size), dump_look(before) if before else "", dump_look(learnt)]
        return changes

    def _about_options(self, decision: Decision) -> dict[str, Any]:
        changes: dict[str, Any] = {}
        if decision.refuse_options:
            fate = Outcome(Kind.FAILED, decision.refuse_options.code, _words(decision))
            changes["refuse"] = [dump_refusal(decision.refuse_options), _rest(fate)]
        if decision.blames_options:
            said = decision.blames_options
            times = self._tuning.refusals_to_blame
            words = f"{said.message} (so for {times} leads, each alone, and never accepted with these options)"
            fate = Outcome(Kind.FAILED, said.code, words)
            changes["blame"] = [dump_refusal(changed(said, message=words)), _rest(fate), said.code, times]
        if decision.accepts_options:
            changes["accept"] = 1
        if decision.row is Row.LINKED:
            changes["links"] = 1
        if decision.resolved is not None:
            changes["resolved"] = dump_options(decision.resolved)
        return changes

    def _about_others(self, chunk: Chunk, decision: Decision) -> dict[str, Any]:
        """What other payloads learn from this one: that one came through, and which is split on trial."""
        linked = chunk.link is not None  # by a call of its own: how that fares says nothing of mass convert
        fared = ["linked" if linked else "answered"] if decision.row in _ANSWER_A_PAYLOAD else []
        if not linked and chunk.why is not Why.IDS and _converts(decision):
            fared.append("converted")
        changes: dict[str, Any] = {"fared": fared} if fared else {}
        if decision.on_trial:
            changes["trial"] = self._trial(chunk, decision.chunk)
        return changes

    def _trial(self, chunk: Chunk, parts: Chunk) -> list[str | float]:
        """What bounds splits on trial: the pace of those without an answer, the one payload whose jobs fail."""
        t = self._tuning
        lost = chunk.why is Why.ANSWER_LOST
        return ["at", t.trial_pace, t.trial_pace_cap] if lost else ["root", parts.failing.root, t.trial]


def _by_outcome(outcomes: Mapping[str, Outcome]) -> list[tuple[str, str, list[str]]]:
    leads: dict[tuple[str, str], list[str]] = {}
    for lead, outcome in outcomes.items():
        leads.setdefault((outcome.kind.value, dump_outcome(outcome)), []).append(lead)
    return [(kind, text, same) for (kind, text), same in leads.items()]


def _converts(decision: Decision) -> bool:
    """Whether a job has just been seen to convert leads."""
    ends = (*decision.outcomes.values(), decision.rest)
    aside = any(aside.why is Why.IDS for aside in decision.asides)
    return aside or any(outcome is not None and outcome.kind is Kind.CONVERTED for outcome in ends)


def _words(decision: Decision) -> str:
    return decision.rest.message if decision.rest else ""


def _asides(chunks: Collection[Chunk]) -> str:
    rows = [{"leads": chunk.leads, "fields": dump_chunk(chunk)} for chunk in chunks]
    return json.dumps(rows) if rows else ""


def _rest(rest: Outcome | None) -> str:
    return json.dumps([rest.kind.value, dump_outcome(rest)]) if rest else ""
