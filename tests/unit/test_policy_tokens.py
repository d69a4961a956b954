"""No usable access token for days: what only a person can end pauses the organisation, and no lead ends for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from massconvert.model import Chunk, NotSent, Refused, State, Unsent, Why
from massconvert.policy import (
    Decision,
    Moment,
    RunRow,
    after_find,
    after_post,
    after_read,
    after_update,
    names_not_read,
)
from massconvert.policy.codes import CREDENTIALS_HINT, TOKEN_HINTS
from tests.unit.policy_cases import DAY, LOST, MOMENT, NOW, SENDING, TUNING, UNSENT, WAITING
from tests.unit.test_find import RUN

USED = NotSent(Unsent.DENIED, "too many access tokens were asked for", "ACCESS_DENIED", retry_after=120.0)
REFUSED = Refused(401, "INVALID_TOKEN", "invalid oauth token")
AWAY = NotSent(Unsent.NO_TOKEN, "the accounts server gave no answer")

Decide = Callable[[Chunk, Any, Moment], Decision]
#: Each call that a day without a usable answer can end, and a chunk that makes it.
CALLS: list[tuple[Decide, Chunk]] = [
    (after_post, SENDING),
    (names_not_read, WAITING),
    (after_read, UNSENT),
    (after_read, replace(UNSENT, why=Why.IDS, submitted=True)),
    (after_read, LOST),
    (after_update, replace(LOST, state=State.UPDATING, why=Why.NONE)),
]
NAMES = ["post", "names", "preflight", "ids", "a lost answer", "deals"]
PATIENCE = TUNING.token_patience


def lasting(chunk: Chunk, seconds: float) -> Chunk:
    """``chunk`` after so many seconds in which somebody tried."""
    return replace(chunk, outages=40, outage_since=NOW - seconds, due_at=NOW, sent_at=NOW)


@pytest.mark.parametrize("answer", [USED, REFUSED], ids=["used up", "refused"])
@pytest.mark.parametrize("seconds", [PATIENCE + 1, DAY + 1, 3 * DAY])
@pytest.mark.parametrize(("decide", "chunk"), CALLS, ids=NAMES)
def test_after_an_hour_the_organisation_pauses_and_what_comes_then_counts_from_the_beginning(
    decide: Decide, chunk: Chunk, seconds: float, answer: NotSent | Refused
) -> None:
    decision = decide(lasting(chunk, seconds), answer, MOMENT)
    assert decision.pause
    assert decision.pause.code == answer.code
    assert decision.pause.hint
    assert (decision.outcomes, decision.rest) == ({}, None)
    assert decision.chunk.outage_since == 0.0
    assert decision.chunk.leads == chunk.leads


@pytest.mark.parametrize("answer", [USED, REFUSED], ids=["used up", "refused"])
@pytest.mark.parametrize(("decide", "chunk"), CALLS, ids=NAMES)
def test_within_an_hour_it_is_waited_for(decide: Decide, chunk: Chunk, answer: NotSent | Refused) -> None:
    decision = decide(lasting(chunk, PATIENCE), answer, MOMENT)
    assert (decision.pause, decision.outcomes, decision.rest) == (None, {}, None)


@pytest.mark.parametrize(("decide", "chunk"), CALLS, ids=NAMES)
def test_a_setting_of_less_than_an_hour_for_giving_up_ends_no_lead_for_it_either(decide: Decide, chunk: Chunk) -> None:
    hurried = replace(MOMENT, tuning=replace(TUNING, give_up=60.0))
    decision = decide(lasting(chunk, 61.0), USED, hurried)
    assert decision.pause
    assert decision.rest is None


def test_what_uses_the_tokens_up_is_a_persons_to_find() -> None:
    decision = after_post(lasting(SENDING, DAY), USED, MOMENT)
    assert decision.pause
    assert (decision.pause.reason, decision.pause.hint) == (USED.detail, TOKEN_HINTS["ACCESS_DENIED"])
    unknown = after_post(lasting(SENDING, DAY), replace(USED, code="org_disabled"), MOMENT)
    assert unknown.pause
    assert (unknown.pause.code, unknown.pause.hint) == ("org_disabled", CREDENTIALS_HINT)
    refused = after_post(lasting(SENDING, DAY), REFUSED, MOMENT)
    assert refused.pause
    assert "sandbox" in refused.pause.hint


def test_an_accounts_server_that_is_away_for_a_day_is_an_outage() -> None:
    decision = after_post(lasting(SENDING, DAY + 1), AWAY, MOMENT)
    assert decision.rest
    assert decision.rest.code == "GAVE_UP"


@pytest.mark.parametrize("answer", [USED, REFUSED], ids=["used up", "refused"])
def test_a_run_of_a_profile_waits_for_it_too(answer: NotSent | Refused) -> None:
    decision = after_find(replace(RUN, outage_since=NOW - 3 * DAY), answer, MOMENT)
    assert decision.row is RunRow.RETRY
    assert decision.run.outage_since == 0.0
