"""``--with-ids``: the contacts, accounts and deals that converted leads have become, read from Zoho on request."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Annotated

import typer

from massconvert.cli.asking import Asking, never
from massconvert.cli.desk import Desk
from massconvert.contract import MAX_IDS_A_READ
from massconvert.errors import ZohoError
from massconvert.leads.brought import Brought
from massconvert.model import Busy, Code, Kind, LeadRow, LeadState, ReadAnswer
from massconvert.policy import about_ids_of_a_read
from massconvert.steps.identify import identify
from massconvert.wiring import open_workshop

WithIdsOption = Annotated[
    bool,
    typer.Option("--with-ids", help="Read the ids of contacts, accounts and deals from Zoho: a call for 100 leads."),
]

_SCOPE = "Reading leads needs the scope ZohoCRM.modules.leads.READ."
_AWAY = "Try again later, or without --with-ids."
# Rows that are held back until a call is full: a batch of which few were converted must not pile up.
_HELD = 5000

Look = Callable[[Sequence[str]], ReadAnswer | Busy]


def rows_with_ids(desk: Desk, rows: Iterable[LeadRow], known: Brought | None = None) -> Iterator[LeadRow]:
    """``rows`` with the ids of what each converted lead has become. Raises SettingsError, ZohoError.

    What is read is kept in ``known``, and what is there is not read again.
    """
    desk.settings.require_zoho()
    if paused := desk.ledger.organisation.paused():
        raise ZohoError(
            f"The organisation is paused, so Zoho is not asked for the ids. {paused.reason}", hint=paused.hint
        )
    ports = open_workshop(desk.settings).ports
    return fill_in(rows, lambda leads: identify(ports, leads), known)


def fill_in(
    rows: Iterable[LeadRow],
    look: Look,
    known: Brought | None = None,
    *,
    monotonic: Callable[[], float] | None = None,
    pause: Callable[[float], object] | None = None,
) -> Iterator[LeadRow]:
    """``rows`` in their order, with the ids that ``look`` finds; a look for each hundred of leads.

    ``monotonic`` and ``pause`` are its time, in seconds. Raises ZohoError when Zoho refuses, or stays away.
    """
    patient = _Reads(look, Asking("tell the ids", refused=_SCOPE, away=_AWAY, monotonic=monotonic, pause=pause))
    known = Brought() if known is None else known
    held: list[LeadRow] = []
    wanted: list[str] = []
    for row in rows:
        held.append(row)
        if _is_unknown(row) and row.lead_id not in known:
            wanted.append(row.lead_id)
        if len(wanted) == MAX_IDS_A_READ or len(held) == _HELD:
            yield from _filled(held, patient, wanted, known)
            held, wanted = [], []
    yield from _filled(held, patient, wanted, known)


def _filled(held: list[LeadRow], patient: _Reads, wanted: list[str], known: Brought) -> Iterator[LeadRow]:
    if wanted:
        for lead_id, state in patient.read(wanted).items():
            known.add(lead_id, f"{state.contact_id} {state.account_id} {state.deal_id}")
    return (_with(row, known) for row in held)


def _is_unknown(row: LeadRow) -> bool:
    outcome = row.outcome
    if outcome is None or outcome.contact_id or outcome.account_id or outcome.deal_id:
        return False
    return outcome.kind is Kind.CONVERTED or outcome.code == Code.ALREADY_CONVERTED


def _with(row: LeadRow, known: Brought) -> LeadRow:
    ids = known.get(row.lead_id) if _is_unknown(row) else None
    if ids is None or row.outcome is None:
        return row
    contact, account, deal = ids.split(" ")
    return replace(row, outcome=replace(row.outcome, contact_id=contact, account_id=account, deal_id=deal))


class _Reads:
    """Reads of leads, a hundred each, or as many as Zoho takes."""

    def __init__(self, look: Look, patience: Asking) -> None:
        self._look = look
        self._patience = patience
        self._most = MAX_IDS_A_READ

    def read(self, leads: Sequence[str]) -> dict[str, LeadState]:
        found: dict[str, LeadState] = {}
        left = list(leads)
        while left:
            some = left[: self._most]
            fewer = about_ids_of_a_read if len(some) > 1 else never
            answer = self._patience.ask(partial(self._look, some), gives_up=fewer)
            if answer is None:
                self._most = min(len(left), self._most) // 2
            else:
                found |= answer.states
                left = left[self._most :]
        return found
