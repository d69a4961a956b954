"""One bad lead never takes another with it: whole histories of payloads, with the calls that they cost."""

from __future__ import annotations

from typing import Any

import pytest

from massconvert.model import Refused
from tests.integration.books import FINGERPRINT, Books, leads
from tests.integration.histories import Play, Zoho, has

pytestmark = pytest.mark.integration

FIFTY = leads(50)
BAD = FIFTY[17]
#: 50, 25, 13, 7, 4, 2 and 1: how often the payload with the bad lead is halved until it is alone.
HALVINGS = 6
CONVERTED = ("converted", "")
PUZZLE = Refused(400, "NOBODY_KNOWS", "no reason")


@pytest.fixture
def books(redis_client: Any, account: str) -> Books:
    return Books(redis_client, account)


# --- a refusal that names neither leads nor options


@pytest.mark.parametrize("accepted", [True, False])
def test_an_unknown_400_costs_a_look_and_halving_and_never_a_batch(books: Books, accepted: bool) -> None:
    """Whether the options have been accepted before or not: 99 leads are converted, and one fails."""
    books.batch("b", leads(100), accepted=accepted)
    play = Play(books, Zoho(on_post=lambda payload: PUZZLE if has(BAD)(payload) else None))
    play.until_nothing_is_open()
    assert play.kinds("b") == {CONVERTED: 99, ("failed", "NOBODY_KNOWS"): 1}
    outcome = play.outcomes("b")[BAD]
    assert (outcome.code, outcome.message) == ("NOBODY_KNOWS", "no reason")
    assert len(play.zoho.posts) == 2 + 2 * HALVINGS
    assert len(play.zoho.reads) == 1 + HALVINGS + 1  # a look before each halving, and two at the lead alone
    assert books.redis.hget(books.keys.options(FINGERPRINT), "refusal") is None


def test_a_read_that_explains_an_unknown_400_ends_it_without_halving(books: Books) -> None:
    """Somebody else has converted the lead meanwhile."""
    books.batch("b", FIFTY)
    zoho = Zoho(converted={BAD}, on_post=lambda payload: PUZZLE if has(BAD)(payload) else None)
    play = Play(books, zoho)
    play.until_nothing_is_open()
    assert play.kinds("b") == {CONVERTED: 49, ("skipped", "ALREADY_CONVERTED"): 1}
    assert (len(zoho.posts), len(zoho.reads)) == (2, 1)


def test_options_that_were_never_accepted_are_blamed_when_eight_leads_were_refused_alone(books: Books) -> None:
    """Two thousand leads with options that are wrong for a reason which nobody knows: one payload is taken apart."""
    books.batch("b", leads(2000), accepted=False)
    play = Play(books, Zoho(on_post=lambda payload: PUZZLE))
    play.until_nothing_is_open()
    assert play.kinds("b") == {("failed", "NOBODY_KNOWS"): 2000}
    assert len(play.zoho.posts) <= 2 * 50
    words = {outcome.message for outcome in play.outcomes("b").values()}
    assert words == {"no reason", "no reason (so for 8 leads, each alone, and never accepted with these options)"}


def test_options_that_were_accepted_are_never_blamed_for_an_unknown_400(books: Books) -> None:
    """Twenty leads that are refused one by one: the others are converted."""
    books.batch("b", leads(100))
    bad = leads(100)[5:25]
    play = Play(books, Zoho(on_post=lambda payload: PUZZLE if has(*bad)(payload) else None))
    play.until_nothing_is_open()
    assert play.kinds("b") == {CONVERTED: 80, ("failed", "NOBODY_KNOWS"): 20}


def test_refusals_of_single_leads_count_only_for_one_reason_and_until_the_first_acceptance(books: Books) -> None:
    books.batch("b", leads(16), accepted=False)
    reasons = {lead: Refused(400, f"NEW_{number % 2}", "no") for number, lead in enumerate(leads(16))}
    play = Play(books, Zoho(on_post=lambda payload: reasons[payload[0]]))
    play.until_nothing_is_open()
    assert {outcome.message for outcome in play.outcomes("b").values()} == {"no"}  # each fails by itself
    books.batch("later", leads(1, first=500), now=play.now, accepted=False)
    play.zoho.on_post = lambda _payload: None
    play.until_nothing_is_open()
    assert play.kinds("later") == {CONVERTED: 1}
    assert books.redis.hget(books.keys.options(FINGERPRINT), "blamed") is None
