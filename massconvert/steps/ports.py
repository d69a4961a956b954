"""What a step needs from the world, handed in: the ledger, Zoho, the governor, a clock, chance."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Protocol

from massconvert.ledger import DueCall, Ledger
from massconvert.model import (
    Busy,
    Call,
    DealUpdate,
    FindAnswer,
    Listing,
    PageAnswer,
    PostAnswer,
    ReadAnswer,
    RecordsAnswer,
    StatusAnswer,
    UpdateAnswer,
)
from massconvert.on_complete.targets import Target
from massconvert.policy import CallAnswer, Decision, Permit, RunDecision, Tuning
from massconvert.store import Clock, steady


class Zoho(Protocol):
    """The calls of the pipeline. None of them raises, sleeps or retries."""

    def ready(self) -> Any:
        """Get what a payload needs to be sent at once: an access token, or ``NotSent`` where there is none."""
        ...

    def clock(self) -> float | None:
        """Zoho's clock now, in Unix seconds, as any of its servers shows it at the least; ``None``: nobody knows."""
        ...

    def mass_convert(
        self, leads: Sequence[str], options: Mapping[str, Any], *, token: Any, send_by: float
    ) -> PostAnswer:
        """POST one payload with the ``token`` that `ready` gave; nothing leaves after ``send_by`` (`Ports.steady`)."""
        ...

    def convert(self, lead: str, body: Mapping[str, Any], *, token: Any, send_by: float) -> PostAnswer:
        """POST the conversion of a single lead; ``token`` and ``send_by`` as for `mass_convert`."""
        ...

    def records(self, query: str, module: str, field: str) -> RecordsAnswer:
        """POST a query for contacts or accounts by the values of a field."""
        ...

    def job_status(self, job_id: str) -> StatusAnswer:
        """GET the counts of a job."""
        ...

    def read_leads(self, leads: Sequence[str], fields: Sequence[str] = ()) -> ReadAnswer:
        """GET up to 100 leads, converted or not, and these further fields of each."""
        ...

    def update_deals(self, updates: Sequence[DealUpdate]) -> UpdateAnswer:
        """PUT values into up to 100 deals."""
        ...

    def read_page(self, listing: Listing, place: str) -> PageAnswer:
        """GET one page of what the organisation lists about itself; ``place`` is blank, or named by an earlier page."""
        ...

    def coql(self, query: str) -> FindAnswer:
        """POST a query for ids of leads."""
        ...

    def search(self, criteria: str, page: int) -> FindAnswer:
        """GET a page of the leads that Search finds."""
        ...


class GovernorPort(Protocol):
    """Permits to call, for the whole organisation."""

    def acquire(self, call: Call) -> Permit | Busy:
        """Wait a bounded time for a permit."""
        ...

    def release(self, permit: Permit, answer: CallAnswer = None) -> float | None:
        """Give a permit back, with the answer to its call; ``None`` where no call was made.

        Returns when that was, in Unix seconds by Redis' clock; ``None`` where it is not known.
        """
        ...


class CallerPort(Protocol):
    """Tells those who want to know that a batch has finished."""

    def call(self, target: Target, summary: Mapping[str, Any]) -> str:
        """Call one of them; return why that failed, or nothing. Raises nothing."""
        ...


@dataclass(frozen=True)
class Ports:
    """Everything a step is handed."""

    ledger: Ledger
    zoho: Zoho
    governor: GovernorPort
    clock: Clock
    random: Random
    tuning: Tuning
    log: Callable[[Decision], None]
    log_run: Callable[[RunDecision], None] = lambda _decision: None
    caller: CallerPort = field(kw_only=True)
    #: Seconds of this machine that go on while it sleeps.
    steady: Callable[[], float] = field(default=steady, kw_only=True)
    #: A call that failed: why, and in how many seconds it is made again.
    log_call: Callable[[DueCall, str, float | None], None] = field(default=lambda *_: None, kw_only=True)
