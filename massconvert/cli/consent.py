"""Ask once, on a terminal, before many leads of a production organisation are converted; that cannot be undone."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from massconvert.cli.console import err, say, span, told_by_us
from massconvert.cli.dry_run import Facts, estimate
from massconvert.cli.interview import agreed, somebody_is_there
from massconvert.cli.layout import Pairs
from massconvert.contract import DEFAULT_ACCOUNT, Exit
from massconvert.leads import Leads
from massconvert.model import Busy, Canary
from massconvert.options import Options
from massconvert.producer.deal_values import brought_deals, brought_links
from massconvert.settings import Settings
from massconvert.wiring import connect_finder
from massconvert.words.plurals import number_of
from massconvert.words.readable import readable
from massconvert.zoho.identity import Identity, ask_org, identity_in, papers_of

#: What a command exits with at Ctrl-C, as a shell reports SIGINT.
INTERRUPTED = 130
#: This many leads and fewer are not asked about.
UNASKED = 10
#: Organisations in which nothing is lost, as GET ``org`` names their type. The simulator is one of them.
_FOR_TRYING = ("sandbox", "developer")
#: Of more ids than this it is not counted how many there are twice: each takes memory.
_COUNTED = 100_000

YesOption = Annotated[
    bool,
    typer.Option(
        "--yes", "-y", help=f"Do not ask before more than {UNASKED} leads of a production organisation are converted."
    ),
]


Connected = Callable[[Settings], AbstractContextManager[Settings]]


@dataclass(frozen=True)
class Planned:
    """What is to be converted, into what, and how much of it first."""

    leads: Leads
    options: Options
    canary: Canary | None
    facts: Callable[[], Facts]


def demand_consent(plan: Planned, settings: Settings, connected: Connected, *, yes: bool) -> None:
    """Ask whether the leads are to be converted, where a person can answer and it is not for trying.

    ``connected`` gives settings with a Redis, for a look at the organisation. Raises typer.Exit for a no, StoreError,
    EmbeddedError.
    """
    if yes or len(plan.leads) <= UNASKED or not somebody_is_there():
        return
    ids = set(map(int, plan.leads)) if len(plan.leads) <= _COUNTED else None
    count = len(plan.leads) if ids is None else len(ids)
    if count <= UNASKED:
        return
    found = _look(settings, connected)
    if isinstance(found, Identity) and found.kind in _FOR_TRYING:
        return
    most = "At most " if ids is None else ""
    say(f"{most}{number_of(count, 'lead')} will be converted. That cannot be undone.", "bold")
    err().print(Pairs([(f"  {name}", readable(said)) for name, said in _facts(plan, count, settings, found)]))
    try:
        wanted = agreed("Convert them?")
    except KeyboardInterrupt:
        err().print()  # behind the question
        say("interrupted. Nothing was enqueued.")
        raise typer.Exit(INTERRUPTED) from None
    if not wanted:
        say("Nothing was enqueued.")
        raise typer.Exit(Exit.USAGE)


def _look(settings: Settings, connected: Connected) -> Identity | str:
    """What Zoho says of the organisation; why it is not known where it says nothing."""
    if not settings.credentials_digest:
        return "there are no credentials here"
    with connected(settings) as here, told_by_us():
        answer = ask_org(*connect_finder(here))
    return answer.why if isinstance(answer, Busy) else identity_in(answer)


def _facts(plan: Planned, count: int, settings: Settings, found: Identity | str) -> list[tuple[str, str]]:
    body, facts = plan.options.body(), plan.facts()
    cost = estimate(count, plan.leads, plan.options, facts)
    first = [("first", f"{number_of(plan.canary.leads, 'lead')}, as a canary")] if plan.canary else []
    return [
        ("organisation", _whose(settings, found)),
        ("deal", _deal(body.get("Deals"), brought_deals(plan.leads.deal_values))),
        *(
            [("linked", f"{number_of(named, 'lead')}, as given")]
            if (named := brought_links(plan.leads.deal_values))
            else ()
        ),
        ("owner", _owner(body.get("assign_to"))),
        (
            "cost",
            f"{number_of(cost.calls, 'call')}, about {number_of(cost.credits, 'credit')}, about {span(cost.seconds)}",
        ),
        *first,
    ]


def _whose(settings: Settings, found: Identity | str) -> str:
    place = papers_of(settings).place
    if isinstance(found, Identity):
        kind = found.kind or "of a type that Zoho does not tell"
        said = f"{found.name!r}, id {found.org_id}, data centre {place}, {kind}"
    else:
        said = f"not known, since {found}; data centre {place}"
    return said if settings.account == DEFAULT_ACCOUNT else f"{said}, account {settings.account}"


def _deal(deal: Any, own: int) -> str:
    if deal is None:
        return "none"
    words = ", ".join(f"{name} {value}" for name, value in deal.items())
    return f"{words}; {number_of(own, 'lead brings', 'leads bring')} values along" if own else words


def _owner(assign_to: Any) -> str:
    if not assign_to:
        return "as it is: assign_to is not given"
    return ", ".join(map(str, assign_to.values())) if isinstance(assign_to, dict) else str(assign_to)
