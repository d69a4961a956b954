"""Preview: what a run of a profile would find, without enqueueing anything: the first page, and how many there are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil
from typing import Protocol, TypeVar

from massconvert.contract import MAX_LEADS_A_CALL
from massconvert.errors import InputError, ZohoError
from massconvert.model import (
    ROWS_A_QUERY,
    Busy,
    Call,
    CountedLeads,
    FindAnswer,
    FromZoho,
    Language,
    NotSent,
    PerhapsAccepted,
    Refused,
)
from massconvert.policy import HINTS, Meaning, meaning
from massconvert.profiles import LeadCriteria, count_query, page_query
from massconvert.steps.ports import GovernorPort

_T = TypeVar("_T", bound=FromZoho)


class Finder(Protocol):
    """The calls of a preview."""

    def coql(self, query: str) -> FindAnswer:
        """POST a query for ids of leads."""
        ...

    def count(self, query: str) -> CountedLeads | Refused | PerhapsAccepted | NotSent:
        """POST a query that counts leads."""
        ...

    def search(self, criteria: str, page: int) -> FindAnswer:
        """GET a page of the leads that Search finds."""
        ...


@dataclass(frozen=True)
class Preview:
    """What a run would find now. ``exact`` says whether ``leads`` is Zoho's own count, or a lower bound."""

    first: tuple[str, ...]
    leads: int
    exact: bool
    rows_a_call: int
    max_leads: int | None

    @property
    def enqueued(self) -> int:
        """How many of them one run would enqueue, those in flight already among them."""
        return self.leads if self.max_leads is None else min(self.leads, self.max_leads)

    @property
    def payloads(self) -> int:
        """The fewest payloads that they fit in; each has a job of its own to be looked at."""
        return ceil(self.enqueued / MAX_LEADS_A_CALL)

    @property
    def queries(self) -> int:
        """The calls that find them."""
        return max(1, ceil(self.enqueued / self.rows_a_call))


def preview(zoho: Finder, governor: GovernorPort, criteria: LeadCriteria, max_leads: int | None) -> Preview:
    """Ask for the first page and the count. Raises InputError for criteria that Zoho refuses, ZohoError otherwise."""
    if criteria.form is Language.SEARCH:
        page = _ask(governor, Call.READ, lambda: zoho.search(criteria.text, 1))
        return Preview(page.lead_ids, len(page.lead_ids), not page.more, 200, max_leads)
    rows = min(ROWS_A_QUERY, max_leads or ROWS_A_QUERY)
    query = page_query(criteria.text, after="", until="", rows=rows)
    page = _ask(governor, Call.QUERY, lambda: zoho.coql(query))
    leads = len(page.lead_ids)
    if page.more:
        counted = _ask(governor, Call.QUERY, lambda: zoho.count(count_query(criteria.text)))
        leads = max(leads, counted.leads)
    return Preview(page.lead_ids, leads, exact=True, rows_a_call=ROWS_A_QUERY, max_leads=max_leads)


def _ask(governor: GovernorPort, call: Call, ask: Callable[[], _T | Refused | PerhapsAccepted | NotSent]) -> _T:
    answer = _answer(governor, call, ask)
    if isinstance(answer, Refused) and meaning(answer) is Meaning.TOKEN:  # the client has dropped it: with another
        answer = _answer(governor, call, ask)
    if isinstance(answer, Refused):
        raise _refused(answer)
    if isinstance(answer, PerhapsAccepted | NotSent):
        raise ZohoError(f"Zoho gave no usable answer: {answer.detail}.", hint="Nothing was enqueued. Try again.")
    return answer


def _answer(
    governor: GovernorPort, call: Call, ask: Callable[[], _T | Refused | PerhapsAccepted | NotSent]
) -> _T | Refused | PerhapsAccepted | NotSent:
    permit = governor.acquire(call)
    if isinstance(permit, Busy):
        raise ZohoError(f"Zoho may not be called now: {permit.why}.", hint="Try again in a moment.")
    answer = None
    try:
        answer = ask()
    finally:
        governor.release(permit, answer)
    return answer


def _refused(answer: Refused) -> InputError | ZohoError:
    words = f"{answer.code}: {answer.message}{f' {dict(answer.details)}' if answer.details else ''}"
    means = meaning(answer)
    if means is Meaning.NOT_ALLOWED:
        hint = FIND_HINTS.get(answer.code, f"{HINTS['']}.")
        return ZohoError(f"Zoho refuses to look for leads: {answer.status} {words}", hint=hint, code=answer.code)
    if means in (Meaning.THROTTLED, Meaning.TOKEN, Meaning.UNCLEAR):
        return ZohoError(f"Zoho did not look: {answer.status} {words}", hint="Try again.", code=answer.code)
    return InputError(f"Zoho refuses the criteria: {words}", hint="Fix them in massconvert.toml.", code=answer.code)


#: What to do when the credentials may not look for leads (Zoho's pages on COQL and Search name the scopes).
FIND_HINTS = {
    "OAUTH_SCOPE_MISMATCH": "Make a new refresh token with ZohoCRM.coql.READ and ZohoCRM.settings.fields.READ and "
    "(for criteria in Search's form: ZohoSearch.securesearch.READ).",
    "NO_PERMISSION": "Give the user of the refresh token permission to read leads.",
}
