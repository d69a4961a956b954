"""Whether the story of each lead is what happened to it: each transition once, none missing, the end that it had.

Every script that moved a chunk is noted when it has run. When leads end, the story that was written with them is held
to these notes, read straight from the list of ended leads.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

from massconvert.ledger.stories import load_story
from massconvert.model import Code, Kind, Outcome
from massconvert.model.story import Entry, Mark, Proof
from massconvert.policy.sentences import how_known
from tests.simulation.wire import Wire
from tests.simulation.world import World

#: What ends leads that are in no payload.
_APART = {Mark.ALREADY_QUEUED.value, Mark.CANCELLED.value, Mark.REFUSED_WAITING.value}


class Telling:
    """Holds the stories of one history to what the scripts did."""

    def __init__(self, world: World, wire: Wire, prefix: str) -> None:
        self._world = world
        self._wire = wire
        self._prefix = prefix
        self._happened: dict[str, list[str]] = {}  # by chunk, with what had happened to its parent before
        self._known = 0  # chunks that were made
        self._ended: dict[str, dict[str, Outcome]] = {}  # by batch, to be judged

    def ends(self, batch: str, lead: str, outcome: Outcome) -> None:
        """A lead has ended, by a script that is noted next."""
        if outcome.code != Code.INVALID_ID:
            self._ended.setdefault(batch, {})[lead] = outcome

    def note(self, name: str, args: Sequence[Any], answer: Any) -> None:
        """A script has run."""
        if name in ("form_chunks", "drain_inbox"):
            for chunk in self._made():
                self._happened[chunk] = ["formed"]
        elif name == "begin_send" and answer[0] == 1:
            self._happened[args[0]].append("sending")
        elif name == "move_chunk" and answer[0]:
            so_far = self._happened[args[0]]
            so_far.append(json.loads(args[8])["row"])
            apart = len(json.loads(args[12])) if args[12] else 0
            marks = [*["set_apart"] * apart, "split_off"]
            for chunk, mark in zip(self._made() if apart or int(args[7]) else (), marks, strict=False):
                self._happened[chunk] = [*so_far, mark]
        if self._ended:
            self.judge()

    def forgot(self) -> None:
        """Redis has lost what it acknowledged last: what it tells now is what happened."""
        self._known = 0
        self._ended.clear()
        for chunk in self._made():
            text = self._wire.call("HGET", f"{self._prefix}chunk:{chunk}", "story")
            if text:  # else it is done, and its leads have what happened to it
                self._happened[chunk] = [entry.event for entry in load_story(text) for _ in range(entry.times)]

    def _made(self) -> list[str]:
        before, self._known = self._known, int(self._wire.call("GET", f"{self._prefix}chunks") or 0)
        return [str(number) for number in range(before + 1, self._known + 1)]

    def judge(self) -> None:
        """Hold the stories of the leads that have ended to what happened."""
        ended, self._ended = self._ended, {}
        for batch, leads in ended.items():
            found = self._stories(batch)
            for lead, outcome in leads.items():
                if wrong := self._untrue(outcome, found.get(lead, ())):
                    self._world.wrong(f"the story of lead {lead} in {batch} {wrong}")

    def _stories(self, batch: str) -> dict[str, tuple[Entry, ...]]:
        """The story of each ended lead: the outcome before it has it, or an earlier one that says of how many it is."""
        found: dict[str, tuple[Entry, ...]] = {}
        story: tuple[Entry, ...] = ()
        left = 0
        for element in self._wire.call("LRANGE", f"{self._prefix}batch:{batch}:ended", 0, -1):
            if element[0] != "[":
                found[element] = story
                continue
            left -= 1
            _, *values = json.loads(element)
            if len(values) > 7:
                story, left = load_story(values[7]), values[8] if len(values) > 8 else 1
            elif left <= 0:
                story = ()
        return found

    def _untrue(self, outcome: Outcome, entries: tuple[Entry, ...]) -> str:
        if not entries:
            return "is missing"
        told = Counter[str]()
        for entry in entries:
            told[entry.event] += entry.times
        happened = self._happened.get(entries[-1].payload, [])
        if outcome.kind is Kind.CANCELLED:
            happened = [*happened, "cancelled"]
        elif not entries[-1].payload:
            happened = [entries[-1].event] if entries[-1].event in _APART else []
        if told != Counter(happened):
            return f"tells {dict(told)}, and {happened} happened"
        if entries[-1].event != happened[-1]:
            return f"ends with {entries[-1].event}, and {happened[-1]} came last"
        proof = how_known(outcome, entries)
        if proof is None or (proof is Proof.COUNTS and outcome.kind is not Kind.CONVERTED):
            return f"does not tell how {outcome.kind.value} {outcome.code} is known"
        jobs = {entry.told.job_id for entry in entries}
        if outcome.job_id and outcome.job_id not in jobs and all(entry.times == 1 for entry in entries):
            return f"does not tell of job {outcome.job_id}"
        return ""
