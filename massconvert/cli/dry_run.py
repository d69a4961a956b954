"""``--dry-run``: what enqueueing would do, and what it would cost; nothing is enqueued."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timezone
from itertools import islice
from math import ceil
from typing import Annotated, Any

import typer

from massconvert.cli.batch_view import left_out_of
from massconvert.cli.console import out, print_json, print_lines, say, span, told_by_us
from massconvert.cli.desk import Desk
from massconvert.cli.layout import Pairs
from massconvert.cli.live import live_organisation
from massconvert.cli.matches import FirstMatches, distinct
from massconvert.contract import MAX_LEADS_A_CALL
from massconvert.errors import MassConvertError, StoreError, UnknownBatchError
from massconvert.leads import Leads
from massconvert.leads.brought import Brought
from massconvert.model import DealUpdate, load_brought
from massconvert.options import Options, deal_templates, fingerprint, listings_for, matching_of, resolve_names
from massconvert.options.body import resolve_body
from massconvert.options.names import Listings, unresolved
from massconvert.policy.cost import CALL_SECONDS, JOB_SECONDS, Costs, Deals, Forecast, Matches, Pace, forecast
from massconvert.producer.deal_values import brought_links
from massconvert.settings import Settings
from massconvert.steps.check import why as why_not
from massconvert.steps.identify import deals_to_be
from massconvert.words.next_command import next_command
from massconvert.words.plurals import number_of
from massconvert.words.readable import readable, readable_json
from massconvert.zoho.edition import LEAST, MAX_POSTS

DryRunOption = Annotated[
    bool,
    typer.Option("--dry-run", help="Show the payload, the counts, calls, credits and time; enqueue nothing."),
]

_SHOWN = 2  # ids of a payload
_EXAMPLES = 3  # of what deals are named
#: Ids that are counted at once, some 70 bytes each, and a prime, since ids in a row differ by thousands.
_A_PART, _SPREADS = 100_000, 1_000_003
_DEFAULT = "assumed"
_REHEARSED = "a rehearsal"


@dataclass(frozen=True)
class Facts:
    """What a forecast builds on, each number with where it comes from, and how many leads wait before.

    ``credits_left`` is what Zoho said last; it says so only when less than half of the day's are left. ``listings`` are
    what has been read of the organisation for names in the options.
    """

    pace: Pace
    calls_from: str = _DEFAULT
    job_from: str = _DEFAULT
    ahead: int = 0
    credits_left: int | None = None
    listings: Listings = field(default_factory=dict)
    costs: Costs = field(default_factory=Costs)

    @classmethod
    def assumed(cls, settings: Settings) -> Facts:
        """Without a ledger: what the settings say, and what is usual."""
        calls, source = (
            settings.zoho_concurrency or LEAST,
            "ZOHO_CONCURRENCY" if settings.zoho_concurrency else _DEFAULT,
        )
        return cls(Pace(calls, min(calls, MAX_POSTS), settings.max_jobs), source)

    @classmethod
    def known(cls, desk: Desk, options: Options) -> Facts:
        """What the ledger knows; told on stderr where it cannot be reached."""
        assumed = cls.assumed(desk.settings)
        try:
            standing, times = desk.standing(), desk.ledger.organisation.job_lengths(now=desk.clock.now()).times
            ahead = desk.ledger.organisation.counts()["leads_waiting"]
            kept = desk.ledger.shelf.look(listings_for(options.body()))
            seen = desk.ledger.rehearsed.look()
        except StoreError as error:
            say(f"{error.message} The time is estimated without it.", "yellow")
            return assumed
        listings = {listing: each.rows for listing, each in kept.items()}
        calls = standing.learnt if standing.source else assumed.pace.calls
        rehearsed = seen.longest_job if seen else None
        job = times[len(times) // 2] if times else rehearsed or JOB_SECONDS
        pace = Pace(calls, min(calls, MAX_POSTS), desk.settings.max_jobs, job_seconds=job)
        job_from = "the latest jobs" if times else _REHEARSED if rehearsed else _DEFAULT
        source, left = standing.source or assumed.calls_from, standing.credits_left
        return cls(pace, source, job_from, ahead, left, listings, Costs.of(seen))


@dataclass(frozen=True)
class DealTexts:
    """The texts of deals that name fields of their leads, what they come to for some leads, or why none was read."""

    templates: Mapping[str, str]
    examples: tuple[DealUpdate, ...] = ()
    not_read: str = ""

    @classmethod
    def of(cls, leads: Leads, options: Options, settings: Settings) -> DealTexts:
        """Read some of the first leads, where there are such texts and the environment has credentials."""
        templates = deal_templates(options.body())
        if not templates:
            return cls({})
        first = list(dict.fromkeys(islice(leads, _EXAMPLES)))
        try:
            with told_by_us(), live_organisation(settings) as ports:
                found = deals_to_be(ports, first, templates, leads.deal_values)
        except MassConvertError as error:
            return cls(templates, not_read=error.message)
        if not isinstance(found, tuple):
            return cls(templates, not_read=why_not(found))
        return cls(templates, found, "" if found else "Zoho does not show the first leads.")

    def as_json(self) -> dict[str, Any]:
        """For scripts."""
        examples = [{"lead_id": deal.lead_id, "values": deal.values} for deal in self.examples]
        return {"texts": dict(self.templates), "examples": examples, "not_read": self.not_read or None}

    def lines(self) -> Iterator[str]:
        """For people."""
        if not self.templates:
            return
        yield "after the conversion each deal is given texts of its own:\n"
        yield from (f"  {name}: {text}\n" for name, text in self.templates.items())
        if self.examples:
            yield "for example:\n"
        for deal in self.examples:
            values = "; ".join(f"{name}: {value}" for name, value in deal.values.items())
            yield f"  {deal.lead_id}  {values}\n"


@dataclass(frozen=True)
class DryRun:
    """What would be done."""

    leads: int
    duplicates: int
    invalid: int
    payload: dict[str, Any]
    cost: Forecast
    facts: Facts
    deals: DealTexts
    matches: FirstMatches | None = None

    @classmethod
    def of(cls, leads: Leads, options: Options, facts: Facts, settings: Settings) -> DryRun:
        """Count the leads, and forecast."""
        count = count_distinct(leads)
        named = resolve_names(options.body(), facts.listings).body
        body = resolve_body(named, datetime.now(timezone.utc).date())
        first = list(dict.fromkeys(islice(leads, MAX_LEADS_A_CALL)))
        texts = DealTexts.of(leads, options, settings)
        matches = FirstMatches.of(leads, options, settings)
        cost = estimate(count, leads, options, facts, matches.of_all(count) if matches else None)
        payload = {"ids": first, **body}
        return cls(count, len(leads) - count, leads.invalid, payload, cost, facts, texts, matches)

    def as_json(self) -> dict[str, Any]:
        """For scripts; times in seconds."""
        cost, facts, pace = self.cost, self.facts, self.facts.pace
        return {
            "dry_run": True,
            "leads": self.leads,
            "duplicates": self.duplicates,
            "invalid": self.invalid,
            "payloads": cost.payloads,
            "payload": self.payload,
            "deals": self.deals.as_json(),
            "calls": cost.by_kind,
            "matches": self.matches.as_json() if self.matches else None,
            "credits": cost.credits,
            "credits_left": facts.credits_left,
            "seconds": round(cost.seconds, 1),
            "waiting_before": facts.ahead,
            "built_on": {
                "calls_at_once": {"value": pace.calls, "from": facts.calls_from},
                "call_seconds": {"value": pace.call_seconds, "from": _DEFAULT},
                "job_seconds": {"value": round(pace.job_seconds, 1), "from": facts.job_from},
                "credits_of_a_payload": {
                    "value": facts.costs.post,
                    "from": _DEFAULT if facts.costs.seen_at is None else _REHEARSED,
                },
            },
        }

    def show(self) -> None:
        """For people, on stdout."""
        cost, facts, pace = self.cost, self.facts, self.facts.pace
        left_out = ", ".join(left_out_of(self.duplicates, self.invalid))
        waiting = f", behind {number_of(facts.ahead, 'lead that waits', 'leads that wait')}" if facts.ahead else ""
        left = "" if facts.credits_left is None else f"; Zoho said last that {facts.credits_left:,} are left today"
        rows = [
            ("leads", f"{self.leads:,}{f' ({left_out})' if left_out else ''}"),
            *(self.matches.rows() if self.matches else ()),
            ("payloads", f"{cost.payloads:,} of up to {MAX_LEADS_A_CALL} leads"),
            ("calls", calls_in_words(cost)),
            ("credits", f"about {cost.credits:,} ({_priced(facts.costs)}){left}"),
            ("time", f"about {span(cost.seconds)}{waiting}"),
            ("  calls at once", f"{pace.calls} ({readable(facts.calls_from)})"),
            ("  a call takes", f"{span(CALL_SECONDS)} ({_DEFAULT})"),
            ("  a job takes", f"{span(pace.job_seconds)} ({facts.job_from})"),
        ]
        out().print(Pairs(rows))
        ids = self.payload["ids"]
        some = [*ids[:_SHOWN], f"… {len(ids) - _SHOWN} more"] if len(ids) > _SHOWN + 1 else ids
        payload = json.dumps({**self.payload, "ids": some}, indent=2, ensure_ascii=False)
        print_lines(["the first payload:\n", f"{payload}\n"], readable_json)
        print_lines(self.deals.lines())
        if self.matches:
            self.matches.show()
        if self.deals.not_read:
            say(f"no example of a deal: {self.deals.not_read}", "yellow")


def calls_in_words(cost: Forecast) -> str:
    """How many calls, and of what kinds."""
    calls = f"{cost.calls:,}: {cost.posts:,} mass convert, {cost.status_calls:,} status"
    calls += f", {cost.reads:,} to read leads" if cost.reads else ""
    calls += f", {cost.updates:,} to update deals" if cost.updates else ""
    calls += f", {cost.queries:,} to look for contacts and accounts" if cost.queries else ""
    return calls + (f", {cost.links:,} to link single leads" if cost.links else "")


def _priced(costs: Costs) -> str:
    """What a call costs, and how that is known."""
    if costs.seen_at is None:
        return f"{costs.post:g} a payload, which Zoho does not document, {costs.status:g} a status call"
    day = datetime.fromtimestamp(costs.seen_at, timezone.utc).date()
    return f"{costs.post:g} a payload, {costs.status:g} a status call, as seen on {day}"


def estimate(count: int, leads: Leads, options: Options, facts: Facts, matches: Matches | None = None) -> Forecast:
    """What converting this many ``leads`` will cost; ``matches``: what has been seen of that."""
    named = brought_links(leads.deal_values)
    if matches is None and (named or matching_of(options.body())):
        matches = Matches.unseen(count, named, looked_for=matching_of(options.body()) is not None)
    linked = matches.links if matches else 0  # their deals have their own values at once
    own = Deals(count - linked, ceil((count - linked) / MAX_LEADS_A_CALL))
    deals = own if deal_templates(options.body()) else _deals(leads)
    return forecast(
        count,
        facts.pace,
        ahead=facts.ahead,
        preflight=options.preflight,
        matches=matches,
        deals=deals,
        costs=facts.costs,
    )


def _deals(leads: Leads) -> Deals:
    """Those of leads that bring values along: their payloads by their place, as they will be filled."""
    if not leads.deal_values:
        return Deals()
    own = payloads = 0
    last = -1
    with closing(Brought()) as seen:
        for place, lead in enumerate(distinct(leads, seen)):
            if load_brought(leads.deal_values.get(lead))[0]:
                own += 1
                payloads += place // MAX_LEADS_A_CALL != last
                last = place // MAX_LEADS_A_CALL
    return Deals(own, payloads)


def count_distinct(leads: Leads) -> int:
    """How many ids differ. It reads them again for each part of them, so that it holds no more than one part does."""
    parts = 1 + len(leads) // _A_PART
    return sum(
        len({number for number in map(int, leads) if number % _SPREADS % parts == part}) for part in range(parts)
    )


def tell_dry_run(leads: Leads, options: Options, facts: Facts, settings: Settings, *, as_json: bool) -> None:
    """Print what would be done."""
    found = DryRun.of(leads, options, facts, settings)
    if as_json:
        print_json(found.as_json())
    else:
        found.show()
    if names := [reference.text for reference in unresolved(found.payload)]:
        check = next_command("options check", "O.json", account=settings.account)
        say(f"looked up when the payload goes out: {', '.join(names)}. To check now: {check}")
    say("a dry run: nothing was enqueued.")


def tell_key(desk: Desk, key: str | None, options: Options) -> None:
    """Say what enqueueing with ``key`` would mean, where there is such a batch already."""
    if key is None:
        return
    try:
        batches = desk.ledger.batches
        status, same = batches.status(key), fingerprint(batches.options(key)) == fingerprint(options.body())
    except (UnknownBatchError, StoreError):
        return
    there = f"batch {key} is there already ({status.state.value}, {number_of(status.total, 'lead')})"
    if same:
        say(f"{there}: the leads that it has would be dropped as duplicates.", "yellow")
    else:
        say(f"{there}, with other options: enqueueing with this key would be refused.", "yellow")
