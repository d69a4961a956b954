"""The organisation at a glance: its latest batches, whether it is paused, what is under way, permits to call Zoho."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.console import Group, RenderableType
from rich.live import Live

from massconvert.cli.batch_view import as_json, pause_as_json, pause_view, progress, state_view
from massconvert.cli.calls_view import calls_as_json, calls_in_words, held_back, workers_useful
from massconvert.cli.console import ago, local_time, out, print_json, span
from massconvert.cli.desk import Desk
from massconvert.cli.layout import Column, Prose, Sheet
from massconvert.cli.profile_standing import stop_in_words, stopped_profiles
from massconvert.cli.why import no_worker
from massconvert.ledger import Late, Workers
from massconvert.model import BatchStatus, Pause
from massconvert.words.next_command import next_command
from massconvert.words.plurals import number_of
from massconvert.words.readable import readable
from massconvert.zoho.standing import Standing

_REFRESH = 2.0  # seconds
#: How many batches are shown, and with --all: there may be a million, which nobody reads.
SHOWN, MOST = 20, 10_000
_COLUMNS = (Column("batch"), Column("state"), Column("progress", prose=True), Column("begun"))


@dataclass(frozen=True)
class Overview:
    """What was seen of the organisation at one moment."""

    account: str
    whose: str
    batches: tuple[BatchStatus, ...]
    batches_known: int
    paused: Pause | None
    chunks_waiting: int
    jobs_running: int
    leads_waiting: int
    calls: Standing
    workers: Workers = field(compare=False)  # its times change with each look
    stopped: dict[str, int] = field(default_factory=dict)  # profiles → runs in a row that failed
    now: float = field(default=0.0, compare=False)  # Unix seconds
    letters: Mapping[str, int] = field(default_factory=dict)  # messages that were not taken, by kind
    late: Sequence[Late] = ()
    embedded: bool = False  # the ledger of `convert`
    unattended: bool = False  # none runs

    @classmethod
    def read(cls, desk: Desk, shown: int = SHOWN) -> Overview:
        """Look at up to ``most`` batches. Raises StoreError."""
        organisation, now = desk.ledger.organisation, desk.clock.now()
        counts = organisation.counts()
        batches = tuple(desk.ledger.batches.recent(shown))
        return cls(
            account=desk.settings.account,
            whose=desk.whose(),
            batches=batches,
            batches_known=desk.ledger.batches.known(),
            paused=organisation.paused(),
            chunks_waiting=counts["chunks_waiting"],
            jobs_running=counts["jobs_running"],
            leads_waiting=counts["leads_waiting"],
            calls=desk.standing(),
            workers=Workers.among(desk.ledger.fleet.members(now=now), now),
            stopped=stopped_profiles(desk),
            now=now,
            letters=desk.ledger.letters.counts(),
            late=tuple(desk.ledger.letters.late(now=now)),
            embedded=desk.visit is not None,
            unattended=desk.unattended,
        )

    @property
    def moving(self) -> bool:
        """Whether somebody may be at work on what `is_open`."""
        return self.is_open and not self.unattended

    @property
    def is_open(self) -> bool:
        """Whether one of these batches has not finished, or an older one has anything under way."""
        under_way = self.leads_waiting or self.chunks_waiting or self.jobs_running
        return bool(under_way) or any(not batch.finished for batch in self.batches)

    def as_json(self) -> dict[str, Any]:
        """For scripts."""
        return {
            "account": self.account,
            "batches": [as_json(batch) for batch in self.batches],
            "batches_known": self.batches_known,
            "paused": pause_as_json(self.paused),
            "chunks_waiting": self.chunks_waiting,
            "stopped_profiles": self.stopped,
            "jobs_running": self.jobs_running,
            "leads_waiting": self.leads_waiting,
            "workers_useful": workers_useful(self.calls),
            "calls": calls_as_json(self.calls),
            "messages": {
                "late": len(self.late),
                "set_aside": self.letters.get("stuck", 0),
                "refused": self.letters.get("refused", 0),
            },
            "workers": {
                "alive": len(self.workers.alive),
                "last_took_ago": None if self.workers.took_ago is None else round(self.workers.took_ago, 1),
            },
        }

    def view(self) -> RenderableType:
        """For people."""
        parts: list[RenderableType] = [pause_view(self.paused)] if self.paused else []
        parts += [Prose(f"{self.whose}\n")] if self.whose else []
        parts.append(Prose(self._under_way()))
        parts.append(Prose(self._at_work(), "" if self.workers.alive else "yellow"))
        parts += [Prose(line, "yellow") for line in (*held_back(self.calls), *self._messages())]
        parts += [Prose(stop_in_words(name, failures, self.account), "red") for name, failures in self.stopped.items()]
        if not self.batches:
            make = next_command("convert" if self.embedded else "enqueue", "--help", account=self.account)
            return Group(*parts, Prose(f"No batches yet. To make one: {make}"))
        parts += ["", self._table()]
        if self.batches_known > len(self.batches):
            newest = f"The newest {len(self.batches):,} of {number_of(self.batches_known, 'batch', 'batches')}"
            every = next_command("status", "--all", account=self.account)
            parts.append(Prose(f"{newest}.{'' if len(self.batches) > SHOWN else f' To see all: {every}'}"))
        return Group(*parts)

    def _under_way(self) -> str:
        waiting = number_of(self.leads_waiting, "lead waits", "leads wait")
        jobs = number_of(self.jobs_running, "job runs", "jobs run")
        payloads = number_of(self.chunks_waiting, "payload")
        held = sum(batch.waiting for batch in self.batches if batch.held)
        paused = f", {held:,} more in paused batches" if held else ""
        return f"{waiting} to be sent ({payloads} made){paused}, {jobs} at Zoho, {calls_in_words(self.calls)}"

    def _at_work(self) -> str:
        number, took_ago = len(self.workers.alive), self.workers.took_ago
        if self.unattended:
            go_on = next_command("convert", "--resume-all", account=self.account)
            nothing = f", so nothing is sent; to go on with all that has not finished: {go_on}"
            return f"No convert runs{nothing if self.is_open else ''}"
        if nobody := no_worker(self.workers):
            return f"{nobody.said.removesuffix('.')}; {nobody.do[0].lower()}{nobody.do[1:]}"
        took = "none has taken anything yet" if took_ago is None else f"the last took something {span(took_ago)} ago"
        return f"{number_of(number, 'worker')}, {took}"

    def _messages(self) -> Iterator[str]:
        if self.late:
            first = self.late[0]
            since = f"since {local_time(first.since)}: {readable(first.why)}"
            yield f"{number_of(len(self.late), 'message')} could not be taken {since}"
        if number := self.letters.get("stuck", 0):
            look = next_command("letters", account=self.account)
            yield f"{number_of(number, 'message was', 'messages were')} set aside; to see why: {look}"

    def _table(self) -> Sheet:
        rows = [
            (readable(batch.batch), state_view(batch), progress(batch), ago(self.now - batch.created_at))
            for batch in self.batches
        ]
        return Sheet(_COLUMNS, rows)


def show_overview(desk: Desk, *, watch: bool, in_json: bool, shown: int = SHOWN) -> None:
    """Print the overview with the latest batches; with ``watch`` again and again until every batch has finished."""
    seen = Overview.read(desk, shown)
    console = out()
    if not watch or in_json or not console.is_terminal:
        _print(seen, in_json=in_json)
        while watch and seen.moving:
            threading.Event().wait(_REFRESH)
            before, seen = seen, Overview.read(desk, shown)
            if seen != before:
                _print(seen, in_json=in_json)
        return
    with Live(seen.view(), console=console, auto_refresh=False) as live:
        while seen.moving:
            threading.Event().wait(_REFRESH)
            seen = Overview.read(desk, shown)
            live.update(seen.view(), refresh=True)


def _print(seen: Overview, *, in_json: bool) -> None:
    console = out()
    if in_json:
        print_json(seen.as_json())
    else:
        console.print(seen.view())
    console.file.flush()
