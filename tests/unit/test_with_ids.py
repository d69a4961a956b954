"""--with-ids: which leads are asked for, in how many calls, and what happens when Zoho does not answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from massconvert.cli.asking import PATIENCE
from massconvert.cli.with_ids import fill_in
from massconvert.errors import ZohoError
from massconvert.leads.brought import Brought
from massconvert.model import (
    Busy,
    Kind,
    LeadRow,
    LeadsRead,
    LeadState,
    NotSent,
    Outcome,
    PerhapsAccepted,
    ReadAnswer,
    Refused,
    Unsent,
)

CONVERTED = Outcome(Kind.CONVERTED, job_id="77", attempts=1)
FAILED = Outcome(Kind.FAILED, "NOT_FOUND", "gone")


def states(leads: Sequence[str]) -> LeadsRead:
    found = {lead: LeadState(lead, True, contact_id=f"c{lead}", account_id=f"a{lead}", deal_id="") for lead in leads}
    return LeadsRead(found)


class Zoho:
    """Gives these answers first, then the truth; time passes only where somebody waits."""

    def __init__(self, *answers: ReadAnswer | Busy) -> None:
        self.answers = list(answers)
        self.asked: list[list[str]] = []
        self.waited: list[float] = []

    def look(self, leads: Sequence[str]) -> ReadAnswer | Busy:
        self.asked.append(list(leads))
        return self.answers.pop(0) if self.answers else states(leads)

    def fill(self, rows: list[LeadRow]) -> list[LeadRow]:
        return list(fill_in(rows, self.look, monotonic=lambda: sum(self.waited), pause=self.waited.append))


def test_converted_leads_get_their_ids_in_their_order_and_nobody_else_is_asked_for() -> None:
    before = Outcome(Kind.SKIPPED, "ALREADY_CONVERTED")
    known = Outcome(Kind.CONVERTED, deal_id="9")
    others = [FAILED, None, known, Outcome(Kind.CANCELLED), Outcome(Kind.SKIPPED, "ALREADY_QUEUED")]
    rows = [
        LeadRow("1", CONVERTED),
        *(LeadRow(f"5{n}", outcome) for n, outcome in enumerate(others)),
        LeadRow("2", before),
    ]
    zoho = Zoho()
    filled = zoho.fill(rows)
    assert zoho.asked == [["1", "2"]]
    assert filled[1:-1] == rows[1:-1]
    assert [row.lead_id for row in filled] == [row.lead_id for row in rows]
    ids = [(row.outcome.contact_id, row.outcome.account_id) for row in (filled[0], filled[-1]) if row.outcome]
    assert ids == [("c1", "a1"), ("c2", "a2")]
    assert filled[0].outcome
    assert (filled[0].outcome.job_id, filled[0].outcome.kind) == ("77", Kind.CONVERTED)


@pytest.mark.parametrize(("converted", "looks"), [(0, 0), (1, 1), (100, 1), (101, 2), (1000, 10)])
def test_a_look_is_for_a_hundred_leads_however_many_rows_lie_between(converted: int, looks: int) -> None:
    rows = [row for n in range(converted) for row in (LeadRow(str(n + 1), CONVERTED), LeadRow(f"9{n}", FAILED))]
    zoho = Zoho()
    zoho.fill(rows)
    assert len(zoho.asked) == looks


def test_rows_of_which_few_were_converted_do_not_pile_up() -> None:
    taken = 0

    def rows() -> Iterator[LeadRow]:
        nonlocal taken
        for n in range(20_000):
            taken += 1
            yield LeadRow(str(n + 1), FAILED if n else CONVERTED)

    next(iter(fill_in(rows(), Zoho().look)))
    assert taken <= 5000


def test_a_lead_that_zoho_does_not_return_stays_without_ids() -> None:
    zoho = Zoho(LeadsRead({}))
    assert zoho.fill([LeadRow("1", CONVERTED)]) == [LeadRow("1", CONVERTED)]


@pytest.mark.parametrize(
    ("answer", "waited"),
    [
        (Busy(7.0, "as many calls run as Zoho allows"), 7.0),
        (Busy(900.0, "the gate is shut"), 30.0),
        (Refused(429, "TOO_MANY_REQUESTS", "slow down", retry_after=3.0), 3.0),
        (Refused(401, "INVALID_TOKEN", "expired"), 0.5),
        (PerhapsAccepted("500", status=500), 0.5),
        (NotSent(Unsent.CONNECT, "refused"), 0.5),
    ],
)
def test_what_passes_is_waited_for(answer: ReadAnswer | Busy, waited: float) -> None:
    zoho = Zoho(answer)
    filled = zoho.fill([LeadRow("1", CONVERTED)])
    assert filled[0].outcome
    assert filled[0].outcome.contact_id == "c1"
    assert zoho.waited == [waited]
    assert zoho.asked == [["1"], ["1"]]


def test_an_outage_ends_it_after_a_while_with_what_to_do() -> None:
    zoho = Zoho(*[PerhapsAccepted("500 without an answer", status=500)] * 1000)
    with pytest.raises(ZohoError, match="500 without an answer") as caught:
        zoho.fill([LeadRow("1", CONVERTED)])
    assert "without --with-ids" in caught.value.hint
    assert PATIENCE <= sum(zoho.waited) <= PATIENCE + 30


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (Refused(401, "OAUTH_SCOPE_MISMATCH", "invalid oauth scope"), "401 OAUTH_SCOPE_MISMATCH: invalid oauth scope"),
        (Refused(403, "NO_PERMISSION", "permission denied"), "403 NO_PERMISSION"),
        (NotSent(Unsent.CREDENTIALS, "invalid_code"), "refuses the credentials"),
    ],
)
def test_a_refusal_is_told_at_once_in_zohos_words(answer: ReadAnswer, told: str) -> None:
    zoho = Zoho(answer)
    with pytest.raises(ZohoError, match=told):
        zoho.fill([LeadRow("1", CONVERTED)])
    assert zoho.waited == []


def test_what_was_read_once_is_not_read_again() -> None:
    """For a second output of the same command."""
    zoho, known = Zoho(), Brought()
    rows = [LeadRow("1", CONVERTED), LeadRow("no id", Outcome(Kind.FAILED, "INVALID_ID")), LeadRow("2", CONVERTED)]
    first, second = (list(fill_in(rows, zoho.look, known)) for _ in range(2))
    assert first == second
    assert [row.outcome.contact_id for row in second if row.outcome] == ["c1", "", "c2"]
    assert zoho.asked == [["1", "2"]]


@pytest.mark.parametrize(
    "refusal",
    [
        Refused(400, "INVALID_DATA", "too long", ("ids",), {"param_name": "ids", "maximum_length": 1024}),
        Refused(400, "LIMIT_EXCEEDED", "too many"),
    ],
)
def test_more_ids_than_zoho_takes_are_asked_for_in_halves(refusal: Refused) -> None:
    zoho = Zoho(refusal)
    rows = [LeadRow(str(number), CONVERTED) for number in range(1, 151)]
    filled = zoho.fill(rows)
    assert [len(asked) for asked in zoho.asked] == [100, 50, 50, 50]
    assert all(row.outcome and row.outcome.contact_id == f"c{row.lead_id}" for row in filled)


def test_a_single_id_that_is_refused_is_told() -> None:
    zoho = Zoho(Refused(400, "INVALID_DATA", "no id", ("ids",)))
    with pytest.raises(ZohoError):
        zoho.fill([LeadRow("1", CONVERTED)])
