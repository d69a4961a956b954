"""``--with-ids``: the contacts, accounts and deals that converted leads have become, read from Zoho on request."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Annotated

import typer

from massconvert.cli.desk import Desk
from massconvert.contract import MAX_IDS_A_READ
from massconvert.errors import ZohoError
from massconvert.leads.brought import Brought
from massconvert.model import Busy, Code, Kind, LeadRow, LeadsRead, LeadState, NotSent, ReadAnswer, Refused, Unsent
from massconvert.policy import about_ids_of_a_read
from massconvert.policy.codes import TOKEN_CODES
from massconvert.steps.identify import identify
from massconvert.wiring import open_workshop

WithIdsOption = Annotated[
    bool,
    typer.Option("--with-ids", help="Read the ids of contacts, accounts and deals from Zoho: a call for 100 leads."),
]

#: Seconds for which Zoho may give no usable answer.
PATIENCE = 300.0
# Rows that are held back until a call is full: a batch of which few were converted must not pile up.
_HELD = 5000
_LONGEST_PAUSE = 30.0

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
    monotonic: Callable[[], float] = time.monotonic,
    pause: Callable[[float], object] | None = None,
) -> Iterator[LeadRow]:
    """``rows`` in their order, with the ids that ``look`` finds; a look for each hundred of leads.

    ``monotonic`` and ``pause`` are its time, in seconds. Raises ZohoError when Zoho refuses, or stays away.
    """
    patient = _Patience(look, monotonic, pause or threading.Event().wait)
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


def _filled(held: list[LeadRow], patient: _Patience, wanted: list[str], known: Brought) -> Iterator[LeadRow]:
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


class _Patience:
    """Looks again until there is an answer, for a while."""

    def __init__(self, look: Look, monotonic: Callable[[], float], pause: Callable[[float], object]) -> None:
        self._look = look
        self._monotonic = monotonic
        self._pause = pause
        self._most = MAX_IDS_A_READ

    def read(self, leads: Sequence[str]) -> dict[str, LeadState]:
        found: dict[str, LeadState] = {}
        left = list(leads)
        while left:
            states = self._read(left[: self._most])
            if states is None:
                self._most = min(len(left), self._most) // 2
            else:
                found |= states
                left = left[self._most :]
        return found

    def _read(self, leads: Sequence[str]) -> dict[str, LeadState] | None:
        """The answer to one call; ``None`` where these are too many ids for Zoho."""
        until, tries = self._monotonic() + PATIENCE, 0
        while True:
            answer = self._look(leads)
            if isinstance(answer, LeadsRead):
                return dict(answer.states)
            if isinstance(answer, Refused) and len(leads) > 1 and about_ids_of_a_read(answer):
                return None
            why = _why(answer)
            if self._monotonic() >= until:
                raise ZohoError(f"Zoho does not tell the ids: {why}.", hint="Try again later, or without --with-ids.")
            self._pause(_seconds(answer, tries))
            tries += 1


def _why(answer: ReadAnswer | Busy) -> str:
    """Why there is no answer yet. Raises ZohoError where there will be none."""
    if isinstance(answer, Busy):
        return answer.why
    if isinstance(answer, Refused):
        if answer.status != 429 and answer.code not in TOKEN_CODES:
            raise ZohoError(
                f"Zoho refuses to tell the ids: {answer.status} {answer.code}: {answer.message}",
                hint="Reading leads needs the scope ZohoCRM.modules.leads.READ.",
                code=answer.code,
            )
        return f"{answer.status} {answer.code}"
    if isinstance(answer, NotSent) and answer.why is Unsent.CREDENTIALS:
        raise ZohoError(f"Zoho refuses the credentials: {answer.detail}", hint="See docs/errors.md.", code=answer.code)
    return answer.detail if not isinstance(answer, LeadsRead) else ""


def _seconds(answer: ReadAnswer | Busy, tries: int) -> float:
    asked = answer.in_seconds if isinstance(answer, Busy) else getattr(answer, "retry_after", None)
    return min(_LONGEST_PAUSE, asked if asked is not None else 0.5 * 2.0**tries)
