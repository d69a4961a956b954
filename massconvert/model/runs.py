"""Runs of profiles: leads that are being found, page by page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from massconvert.model.answers import Refusal
from massconvert.model.batches import Priority

#: Rows of one COQL call (Zoho's COQL page).
ROWS_A_QUERY = 2000


class RunState(str, Enum):
    """Where a run of a profile stands."""

    FINDING = "finding"
    DONE = "done"  # every lead that was to be found is in the batch
    FAILED = "failed"  # ``said`` tells why; what was found before is in the batch


class Language(str, Enum):
    """The two languages of criteria."""

    COQL = "coql"
    SEARCH = "search"


@dataclass(frozen=True)
class Run:
    """One run of a profile, as the ledger knows it at a claim. Its id is also that of its batch.

    What it is to do was copied when it began, so an edit of the profile changes later runs only. ``after`` is the
    cursor: the last lead id that was found (COQL). ``start`` is where a bounded run began, and ``wrapped`` that it has
    come to the end and goes on with the leads up to there. ``page`` counts answers. ``kept`` leads have been found and
    are not in the batch yet; ``taken`` are in it, those in flight elsewhere aside. ``ending``: how it ends when the
    kept ones are in the batch.
    """

    id: str
    profile: str
    form: Language
    criteria: str
    options: Mapping[str, Any] = field(default_factory=dict)
    max_leads: int | None = None
    priority: Priority = Priority.BULK
    on_complete: tuple[Any, ...] = ()  # whom its batch calls
    slot: str = ""
    state: RunState = RunState.FINDING
    ending: RunState | None = None
    token: str = ""
    start: str = ""
    wrapped: bool = False
    after: str = ""
    page: int = 0
    found: int = 0
    kept: int = 0
    taken: int = 0
    outages: int = 0
    outage_since: float = 0.0
    said: Refusal | None = None
    more: bool = False  # there were more leads than one run may take
    began_at: float = 0.0
    ended_at: float = 0.0
    due_at: float = 0.0

    @property
    def want(self) -> int:
        """How many rows to ask for."""
        return ROWS_A_QUERY if self.max_leads is None else max(1, min(ROWS_A_QUERY, self.max_leads - self.taken))

    @property
    def to_put(self) -> bool:
        """Whether the kept leads go into the batch now: those of a search wait for its last page.

        A search's pages move when leads drop out, as those in the batch soon do; a query's cursor does not mind.
        """
        return self.ending is not None or (self.kept > 0 and self.form is Language.COQL)
