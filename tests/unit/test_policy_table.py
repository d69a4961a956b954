"""The decision table as a whole: no row, no move and no documented error without a case of its own."""

from __future__ import annotations

import pytest

from massconvert.model import State
from massconvert.policy import Row
from tests.unit import zoho_says as zoho
from tests.unit.policy_cases import Case
from tests.unit.test_policy_deals import CASES as DEALS
from tests.unit.test_policy_history import CASES as HISTORY
from tests.unit.test_policy_match import CASES as MATCH
from tests.unit.test_policy_names import CASES as NAMES
from tests.unit.test_policy_post import CASES as POST
from tests.unit.test_policy_read import CASES as READ
from tests.unit.test_policy_status import CASES as STATUS

CASES: list[Case] = [*HISTORY, *MATCH, *NAMES, *POST, *STATUS, *READ, *DEALS]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_each_case_makes_a_move_of_its_row(case: Case) -> None:
    row = case.decision.row
    assert (case.chunk.state, case.decide().chunk.state in row.targets) == (row.source, True)


@pytest.mark.parametrize("row", Row, ids=lambda row: row.name)
def test_every_row_has_a_case_for_each_state_that_it_may_lead_to(row: Row) -> None:
    tested = {case.decision.chunk.state for case in CASES if case.decision.row is row}
    assert tested == row.targets


def test_no_two_cases_have_the_same_name() -> None:
    names = [str(case) for case in CASES]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("said", zoho.ERRORS, ids=lambda said: f"{said.status} {said.raw[:30]!r}")
def test_every_documented_error_has_a_case(said: zoho.Said) -> None:
    answers = (zoho.to_post(said), zoho.to_status(said), zoho.to_read(said))
    assert any(case.answer == answer for case in CASES for answer in answers)


def test_only_waiting_chunks_are_sent_and_only_done_ones_end() -> None:
    """Each state but DONE has rows of its own; none leads to SENDING, which only the write-ahead does."""
    assert {row.source for row in Row} == set(State) - {State.DONE}
    assert all(State.SENDING not in row.targets for row in Row)
