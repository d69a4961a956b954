"""What leads would be linked to, looked for as workers look for it; nothing is enqueued, and no ledger is written.

Leads come in their order, as many as a payload has at a time, a few payloads at once. What they match each other by is
kept outside of memory: there may be a million of them.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from math import ceil
from types import MappingProxyType
from typing import Any

from massconvert.cli.asking import Asking, never
from massconvert.cli.console import out, print_lines, say, told_by_us
from massconvert.cli.layout import Column, Sheet
from massconvert.cli.live import live_organisation
from massconvert.cli.live_options import MATCH_SCOPES, rules_of
from massconvert.contract import MAX_LEADS_A_CALL
from massconvert.errors import MassConvertError
from massconvert.leads import Leads
from massconvert.leads.brought import Brought
from massconvert.model import Link, Matching, load_brought
from massconvert.options import Options, matching_of
from massconvert.policy import about_ids_of_a_read
from massconvert.policy.cost import QUERIES_A_MATCH, Matches
from massconvert.policy.foresight import Foreseen, Would, foresee
from massconvert.policy.matching import Found
from massconvert.settings import Settings
from massconvert.steps.foresee import SeenLeads, look_for_all, read_for_matching
from massconvert.steps.ports import Ports
from massconvert.words.next_command import next_command
from massconvert.words.plurals import number_of
from massconvert.words.readable import readable

#: Payloads that are looked at at once, and leads of them that a dry run looks at.
AT_ONCE, MOST_DRY = 4, 1000
_EXAMPLES = 3
_COLUMNS = (Column("lead"), Column("would"), Column("contact"), Column("account"), Column("why", prose=True))


@dataclass
class Tally:
    """What would become of the leads so far, some examples, and what it takes to see and to convert them."""

    counts: Counter[Would] = field(default_factory=Counter)
    examples: dict[Would, list[Foreseen]] = field(default_factory=dict)
    behind: int = 0
    reads: int = 0
    queries: int = 0
    payloads: int = 0
    again: int = 0

    @property
    def leads(self) -> int:
        """How many leads have been looked at."""
        return sum(self.counts.values())

    def add(self, some: Sequence[Foreseen]) -> None:
        """Count the leads of a payload."""
        for each in some:
            self.counts[each.would] += 1
            shown = self.examples.setdefault(each.would, [])
            if len(shown) < _EXAMPLES:
                shown.append(each)
        behind = sum(bool(each.behind) for each in some)
        self.behind += behind
        self.again += behind > 0
        self.payloads += any(each.would is Would.CREATE for each in some)

    def to_convert(self, leads: int | None = None) -> Matches:
        """What converting takes; of ``leads`` leads, if they are as those that were looked at."""
        share = 1.0 if leads is None or not self.leads else leads / self.leads
        reads, queries = self.reads + self.again, self.queries + QUERIES_A_MATCH * self.again
        numbers = (reads, queries, self.counts[Would.LINK], self.payloads)
        return Matches(*(ceil(number * share) for number in numbers))

    def as_json(self) -> dict[str, Any]:
        """For scripts."""
        return {
            "looked_at": self.leads,
            **{would.value: self.counts[would] for would in Would},
            "behind_others": self.behind,
            "examples": [_as_json(each) for would in Would for each in self.examples.get(would, ())],
        }

    def rows(self) -> Iterator[tuple[str, str]]:
        """The counts, for people."""
        behind = f", {self.behind:,} of them to what another lead makes" if self.behind else ""
        yield "link", f"{self.counts[Would.LINK]:,}{behind}"
        yield "hold", f"{self.counts[Would.HOLD]:,}"
        yield "create", f"{self.counts[Would.CREATE]:,}"
        if self.counts[Would.SKIP]:
            yield "skip", f"{self.counts[Would.SKIP]:,} that cannot be converted"

    def show_examples(self) -> None:
        """The examples, for people."""
        shown = [each for would in Would for each in self.examples.get(would, ())]
        if not shown:
            return
        print_lines(["for example:\n"])
        rows = [
            [
                each.lead_id,
                each.would.value,
                *(readable(f"{number} {name}".strip()) for number, name in _records(each)),
                readable(each.why),
            ]
            for each in shown
        ]
        out().print(Sheet(_COLUMNS, rows))


def _records(each: Foreseen) -> tuple[tuple[str, str], tuple[str, str]]:
    return (each.contact_id, each.contact_name), (each.account_id, each.account_name)


def _as_json(each: Foreseen) -> dict[str, Any]:
    return {
        "lead_id": each.lead_id,
        "would": each.would.value,
        **{name: getattr(each, name) or None for name in ("contact_id", "contact_name", "account_id", "account_name")},
        "why": each.why,
    }


def foresee_all(
    ports: Ports,
    leads: Iterable[str],
    rules: Matching,
    tally: Tally,
    *,
    brought: Mapping[str, str] = MappingProxyType({}),
    on_progress: Callable[[int], object] | None = None,
    at_once: int = AT_ONCE,
) -> Generator[Foreseen, None, None]:
    """What would become of each lead, in their order; of one that comes twice, once. Counts into ``tally``.

    ``brought`` is what leads bring, as JSON: they are linked to what that says. Raises ZohoError where Zoho refuses, or
    gives no answer for some minutes.
    """
    stopped = threading.Event()
    with closing(Brought()) as made, closing(Brought()) as seen, ThreadPoolExecutor(at_once) as pool:
        looker = _Looker(ports, rules, _pausing(stopped))
        under_way: deque[Future[list[SeenLeads]]] = deque()
        try:
            once = distinct(leads, seen)
            while True:
                some = list(islice(once, MAX_LEADS_A_CALL))
                if some:
                    links = {lead: link for lead in some if (link := load_brought(brought.get(lead))[1])}
                    under_way.append(pool.submit(looker.look, some, links))
                if under_way and (not some or len(under_way) == at_once):
                    yield from _judged(under_way.popleft().result(), rules, made, tally)
                    if on_progress:
                        on_progress(tally.leads)
                if not (some or under_way):
                    break
        finally:
            stopped.set()
            for future in under_way:
                future.cancel()


def distinct(leads: Iterable[str], seen: Brought) -> Iterator[str]:
    """Each of these ids once, in their order; ``seen``, which is empty, keeps them outside of memory."""
    for lead in leads:
        before = len(seen)
        seen.add(lead, "")
        if len(seen) > before:
            yield lead


def _pausing(stopped: threading.Event) -> Callable[[float], None]:
    def pause(seconds: float) -> None:
        if stopped.wait(seconds):
            raise CancelledError

    return pause


def _judged(parts: Iterable[SeenLeads], rules: Matching, made: Brought, tally: Tally) -> Iterator[Foreseen]:
    for part in parts:
        found = [
            part.barred.get(lead) or foresee(rules, lead, part.fields[lead], part.found, made, part.links.get(lead))
            for lead in part.leads
        ]
        tally.reads += 1
        tally.queries += part.found.calls
        tally.add(found)
        yield from found


class _Looker:
    """Looks at the leads of one payload after the other, from several threads."""

    def __init__(self, ports: Ports, rules: Matching, pause: Callable[[float], object]) -> None:
        self._ports, self._rules = ports, rules
        hint = (
            f"Give the refresh token the scopes ZohoCRM.modules.leads.READ, {MATCH_SCOPES}, and its user permission to "
            "see them all; encrypted fields cannot be asked for."
        )
        self._patience = Asking("look for contacts and accounts", refused=hint, pause=pause)

    def look(self, leads: Sequence[str], links: Mapping[str, Link]) -> list[SeenLeads]:
        fewer = about_ids_of_a_read
        read = self._patience.ask(partial(read_for_matching, self._ports, leads, self._rules), gives_up=fewer)
        if read is None and len(leads) > 1:
            half = len(leads) // 2
            return [*self.look(leads[:half], links), *self.look(leads[half:], links)]
        if read is None:
            return [SeenLeads(tuple(leads), {}, {leads[0]: Foreseen(leads[0], Would.SKIP, why="Zoho refuses its id")})]
        unknown = {lead: fields for lead, fields in read.fields.items() if lead not in links}
        found = self._patience.ask(partial(look_for_all, self._ports, unknown, self._rules), gives_up=never)
        return [replace(read, found=found or Found(), links=links)]


@dataclass(frozen=True)
class FirstMatches:
    """What the first leads match, for a dry run, or why they were not looked at."""

    tally: Tally
    all_of: int
    command: str
    not_looked: str = ""

    @classmethod
    def of(cls, leads: Leads, options: Options, settings: Settings) -> FirstMatches | None:
        """Look, where the options ask for that and the environment has credentials."""
        tally = Tally()
        if matching_of(options.body()) is None:
            return None
        command = next_command("match", "leads.csv", "--options", "O.json", account=settings.account)
        try:
            with told_by_us(), live_organisation(settings) as ports:
                rules = rules_of(ports, options)
                for _ in foresee_all(ports, islice(leads, MOST_DRY), rules, tally, brought=leads.deal_values):
                    pass
        except MassConvertError as error:
            return cls(Tally(), len(leads), command, not_looked=error.message)
        return cls(tally, len(leads), command)

    def of_all(self, leads: int) -> Matches | None:
        """What converting all ``leads`` takes, if they are as the first are; ``None`` where those are not known."""
        return None if self.not_looked or not self.tally.leads else self.tally.to_convert(leads)

    def as_json(self) -> dict[str, Any]:
        """For scripts."""
        return {**self.tally.as_json(), "not_looked": self.not_looked or None}

    def rows(self) -> Iterator[tuple[str, str]]:
        """The counts, for people."""
        if self.not_looked:
            return
        if self.all_of > MOST_DRY:
            yield "of the first", number_of(self.tally.leads, "lead")
        yield from ((f"  {name}", said) for name, said in self.tally.rows())

    def show(self) -> None:
        """The examples, and what is left to be seen."""
        self.tally.show_examples()
        if self.not_looked:
            say(f"not looked for contacts and accounts: {self.not_looked}", "yellow")
        elif self.all_of > MOST_DRY:
            say(f"a dry run looks at the first {number_of(MOST_DRY, 'lead')}. For all: {self.command}")
