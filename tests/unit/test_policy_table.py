"""The decision table as a whole: no row, no move, no code and no documented error without a case of its own."""

from __future__ import annotations

import pytest

from massconvert.model import Refused, State
from massconvert.policy import HINTS, MEANINGS, MOVES, STATUS_MEANINGS, Meaning, Row, meaning
from tests.unit import zoho_says as zoho
from tests.unit.policy_cases import Case
from tests.unit.test_policy_deals import CASES as DEALS
from tests.unit.test_policy_names import CASES as NAMES
from tests.unit.test_policy_post import CASES as POST
from tests.unit.test_policy_read import CASES as READ
from tests.unit.test_policy_status import CASES as STATUS

CASES: list[Case] = [*NAMES, *POST, *STATUS, *READ, *DEALS]


def test_every_row_is_in_the_table_of_moves() -> None:
    assert set(MOVES) == set(Row)


@pytest.mark.parametrize("row", Row, ids=lambda row: row.name)
def test_every_row_has_a_case_for_each_state_that_it_may_lead_to(row: Row) -> None:
    tested = {case.decision.chunk.state for case in CASES if case.decision.row is row}
    assert tested == MOVES[row][1]


def test_no_two_cases_have_the_same_name() -> None:
    names = [str(case) for case in CASES]
    assert len(names) == len(set(names))


def test_every_code_of_zohos_has_a_case() -> None:
    refused = {case.answer.code for case in CASES if isinstance(case.answer, Refused)}
    assert refused >= set(MEANINGS)


def test_every_status_that_means_something_has_a_case_whose_code_nobody_knows() -> None:
    """But 429: that status says it all, whatever comes with it."""
    refused = [case.answer for case in CASES if isinstance(case.answer, Refused)]
    by_status = {answer.status for answer in refused if answer.code not in {*MEANINGS, "INVALID_DATA"}}
    assert by_status | {429} >= set(STATUS_MEANINGS)


@pytest.mark.parametrize("said", zoho.ERRORS, ids=lambda said: f"{said.status} {said.raw[:30]!r}")
def test_every_documented_error_has_a_case(said: zoho.Said) -> None:
    answers = (zoho.to_post(said), zoho.to_status(said), zoho.to_read(said))
    assert any(case.answer == answer for case in CASES for answer in answers)


def test_every_code_that_pauses_the_organisation_says_what_to_do() -> None:
    pausing = {code for code, means in MEANINGS.items() if means is Meaning.NOT_ALLOWED}
    assert pausing | {""} == set(HINTS)
    assert all(hint.endswith("massconvert resume") for hint in HINTS.values())


def test_only_waiting_chunks_are_sent_and_only_done_ones_end() -> None:
    """Each state but DONE has rows of its own; none leads to SENDING, which only the write-ahead does."""
    sources = {source for source, _ in MOVES.values()}
    assert sources == set(State) - {State.DONE}
    assert all(State.SENDING not in targets for _, targets in MOVES.values())


@pytest.mark.parametrize(
    ("answer", "means"),
    [
        # The status is stronger than any code.
        (Refused(429, "INVALID_DATA", "no", ("$.ids[1]",)), Meaning.THROTTLED),
        # INVALID_DATA is told apart by its path.
        (Refused(400, "INVALID_DATA", "no", ("$.ids[1]",)), Meaning.LEADS),
        (Refused(400, "INVALID_DATA", "no", ("$.Deals.Stage", "$.ids[1]")), Meaning.LEADS),
        (Refused(400, "INVALID_DATA", "no"), Meaning.LEADS),
        (Refused(400, "INVALID_DATA", "no", ("$.assign_to.id",)), Meaning.OPTIONS),
        (Refused(202, "INVALID_DATA", "no", ("job_id",)), Meaning.OPTIONS),
        # A code that is known counts whatever its status.
        (Refused(200, "NO_PERMISSION", "no"), Meaning.NOT_ALLOWED),
        (Refused(400, "INVALID_TOKEN", "no"), Meaning.TOKEN),
        # One that is not counts by its status, and a status that is not known is for a person to look at.
        (Refused(400, "NEW_CODE", "no"), Meaning.OPTIONS),
        (Refused(413, "NEW_CODE", "no"), Meaning.TOO_MANY),
        (Refused(408, "NEW_CODE", "no"), Meaning.UNCLEAR),
        (Refused(451, "NEW_CODE", "no"), Meaning.NOT_ALLOWED),
        (Refused(200, "NEW_CODE", "no"), Meaning.NOT_ALLOWED),
    ],
)
def test_a_refusal_is_understood_by_status_429_then_path_then_code_then_status(answer: Refused, means: Meaning) -> None:
    assert meaning(answer) is means
