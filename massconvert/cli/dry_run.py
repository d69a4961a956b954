"""``--dry-run``: what enqueueing would do, and what it would cost; nothing is enqueued."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timezone
from itertools import islice
from math import ceil
from typing import Annotated, Any

import typer

from massconvert.cli.batch_view import left_out_of
from massconvert.cli.console import out, print_json, print_lines, say, span
from massconvert.cli.desk import Desk
from massconvert.cli.layout import Pairs
from massconvert.contract import MAX_LEADS_A_CALL
from massconvert.errors import StoreError, UnknownBatchError
from massconvert.leads import Leads
from massconvert.next_command import next_command
from massconvert.options import Options, deal_templates, fingerprint
from massconvert.options.body import resolve_body
from massconvert.options.names import unresolved
from massconvert.policy.forecast import CALL_SECONDS, JOB_SECONDS, Deals, Forecast, Pace, forecast
from massconvert.readable import readable
from massconvert.settings import Settings
from massconvert.wording import number_of
from massconvert.zoho.edition import LEAST, MAX_POSTS

DryRunOption = Annotated[
    bool,
    typer.Option("--dry-run", help="Show the payload, the counts, calls, credits and time; enqueue nothing."),
]

_SHOWN = 2  # ids of a payload
_DEFAULT = "assumed"


@dataclass(frozen=True)
class Facts:
    """What a forecast builds on, each number with where it comes from, and how many leads wait before.

    ``credits_left`` is what Zoho said last; it says so only when less than half of the day's are left.
    """

    pace: Pace
    calls_from: str = _DEFAULT
    job_from: str = _DEFAULT
    ahead: int = 0
    credits_left: int | None = None

    @classmethod
    def assumed(cls, settings: Settings) -> Facts:
        """Without a ledger: what the settings say, and what is usual."""
        calls, source = (
            settings.zoho_concurrency or LEAST,
            "ZOHO_CONCURRENCY" if settings.zoho_concurrency else _DEFAULT,
        )
        return cls(Pace(calls, min(calls, MAX_POSTS), settings.max_jobs), source)

    @classmethod
    def known(cls, desk: Desk) -> Facts:
        """What the ledger knows; told on stderr where it cannot be reached."""
        assumed = cls.assumed(desk.settings)
        try:
            standing, times = desk.standing(), desk.ledger.organisation.job_lengths(now=desk.clock.now()).times
            ahead = desk.ledger.organisation.counts()["leads_waiting"]
        except StoreError as error:
            say(f"{error.message} The time is estimated without it.", "yellow")
            return assumed
        calls = standing.learnt if standing.source else assumed.pace.calls
        job = times[len(times) // 2] if times else JOB_SECONDS
        pace = Pace(calls, min(calls, MAX_POSTS), desk.settings.max_jobs, job_seconds=job)
        job_from = "the latest jobs" if times else _DEFAULT
        return cls(pace, standing.source or assumed.calls_from, job_from, ahead, standing.credits_left)


@dataclass(frozen=True)
class DryRun:
    """What would be done."""

    leads: int
    duplicates: int
    invalid: int
    payload: dict[str, Any]
    cost: Forecast
    facts: Facts

    @classmethod
    def of(cls, leads: Leads, options: Options, facts: Facts) -> DryRun:
        """Count the leads, and forecast. Holds their ids as numbers: some 70 bytes a lead."""
        distinct = len(set(map(int, leads)))
        body = resolve_body(options.body(), datetime.now(timezone.utc).date())
        first = list(dict.fromkeys(islice(leads, MAX_LEADS_A_CALL)))
        deals = Deals(distinct, ceil(distinct / MAX_LEADS_A_CALL)) if deal_templates(options.body()) else _deals(leads)
        cost = forecast(distinct, facts.pace, ahead=facts.ahead, preflight=options.preflight, deals=deals)
        return cls(distinct, len(leads) - distinct, leads.invalid, {"ids": first, **body}, cost, facts)

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
            "calls": {
                "post": cost.posts,
                "status": cost.status_calls,
                "read": cost.reads,
                "update": cost.updates,
            },
            "credits": cost.credits,
            "credits_left": facts.credits_left,
            "seconds": round(cost.seconds, 1),
            "waiting_before": facts.ahead,
            "built_on": {
                "calls_at_once": {"value": pace.calls, "from": facts.calls_from},
                "call_seconds": {"value": pace.call_seconds, "from": _DEFAULT},
                "job_seconds": {"value": round(pace.job_seconds, 1), "from": facts.job_from},
            },
        }

    def show(self) -> None:
        """For people, on stdout."""
        cost, facts, pace = self.cost, self.facts, self.facts.pace
        left_out = ", ".join(left_out_of(self.duplicates, self.invalid))
        waiting = f", behind {number_of(facts.ahead, 'lead that waits', 'leads that wait')}" if facts.ahead else ""
        left = "" if facts.credits_left is None else f"; Zoho said last that {facts.credits_left:,} are left today"
        all_calls = cost.posts + cost.status_calls + cost.reads + cost.updates
        calls = f"{all_calls:,}: {cost.posts:,} mass convert, {cost.status_calls:,} status"
        calls += f", {cost.reads:,} to read leads" if cost.reads else ""
        calls += f", {cost.updates:,} to update deals" if cost.updates else ""
        rows = [
            ("leads", f"{self.leads:,}{f' ({left_out})' if left_out else ''}"),
            ("payloads", f"{cost.payloads:,} of up to {MAX_LEADS_A_CALL} leads"),
            ("calls", calls),
            ("credits", f"about {cost.credits:,} (5 a payload, which Zoho does not document, 1 a status call){left}"),
            ("time", f"about {span(cost.seconds)}{waiting}"),
            ("  calls at once", f"{pace.calls} ({readable(facts.calls_from)})"),
            ("  a call takes", f"{span(CALL_SECONDS)} ({_DEFAULT})"),
            ("  a job takes", f"{span(pace.job_seconds)} ({facts.job_from})"),
        ]
        out().print(Pairs(rows))
        ids = self.payload["ids"]
        some = [*ids[:_SHOWN], f"… {len(ids) - _SHOWN} more"] if len(ids) > _SHOWN + 1 else ids
        print_lines(
            ["the first payload:\n", json.dumps({**self.payload, "ids": some}, indent=2, ensure_ascii=False), "\n"]
        )


def _deals(leads: Leads) -> Deals:
    """Those of leads that bring values along: their payloads by their place, as they will be filled."""
    if not leads.deal_values:
        return Deals()
    places = enumerate(dict.fromkeys(map(int, leads)))
    return Deals(
        len(leads.deal_values),
        len({place // MAX_LEADS_A_CALL for place, lead in places if str(lead) in leads.deal_values}),
    )


def tell_dry_run(leads: Leads, options: Options, facts: Facts, *, as_json: bool, account: str) -> None:
    """Print what would be done."""
    found = DryRun.of(leads, options, facts)
    if as_json:
        print_json(found.as_json())
    else:
        found.show()
    if names := [reference.text for reference in unresolved(found.payload)]:
        check = next_command("options check", "O.json", account=account)
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
