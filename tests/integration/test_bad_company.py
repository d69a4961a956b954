"""One bad lead never takes another with it: whole histories of payloads, with the calls that they cost."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from massconvert.model import Done, JobStatus, LeadsRead, LeadState, PerhapsAccepted, Progress, Refused
from massconvert.policy import after_post
from tests.integration.books import FINGERPRINT, MOMENT, NOW, Books, leads
from tests.integration.histories import Play, Zoho, has

pytestmark = pytest.mark.integration

FIFTY = leads(50)
BAD = FIFTY[17]
#: 50, 25, 13, 7, 4, 2 and 1: how often the payload with the bad lead is halved until it is alone.
HALVINGS = 6
CONVERTED = ("converted", "")
PUZZLE = Refused(400, "NOBODY_KNOWS", "no reason")


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


# --- a payload that fails as a whole, for one of its leads

LOST = PerhapsAccepted("HTTP 500: Internal Server Error", 500, "INTERNAL_ERROR")
WORDS = "HTTP 500: Internal Server Error (so for {} payloads with this lead alone, and Zoho shows it unconverted)"


def job_failed(payload: tuple[str, ...]) -> JobStatus:
    return JobStatus(Progress.FAILED, len(payload), 0, 0, len(payload))


def nobody_converted(payload: tuple[str, ...]) -> JobStatus:
    return JobStatus(Progress.COMPLETED, len(payload), 0, 0, len(payload))


@pytest.mark.parametrize("others", [0, 500])
@pytest.mark.parametrize("place", [0, 17, 49])
def test_a_lead_for_which_every_post_fails_ends_alone(books: Books, place: int, others: int) -> None:
    """With Zoho's words, and at the cost of two payloads a halving, whether others are there to compare with or not."""
    books.batch("b", [*FIFTY, *leads(others, first=1000)])
    bad = FIFTY[place]
    play = Play(books, Zoho(on_post=lambda payload: LOST if has(bad)(payload) else None))
    play.until_nothing_is_open()
    assert play.kinds("b") == {CONVERTED: 49 + others, ("failed", "INTERNAL_ERROR"): 1}
    outcome = play.outcomes("b")[bad]
    assert (outcome.code, outcome.message) == ("INTERNAL_ERROR", WORDS.format(3))
    mine = [payload for payload in play.zoho.posts if not set(payload).isdisjoint(FIFTY)]
    assert len(mine) <= 3 + 2 * HALVINGS + 3
    assert play.now < NOW + 3600.0


@pytest.mark.parametrize("others", [0, 500])
@pytest.mark.parametrize("fails", [job_failed, nobody_converted])
def test_a_lead_that_makes_every_job_fail_ends_alone(
    books: Books, others: int, fails: Callable[[tuple[str, ...]], JobStatus]
) -> None:
    books.batch("b", [*FIFTY, *leads(others, first=1000)])
    play = Play(books, Zoho(on_job=lambda payload: fails(payload) if has(BAD)(payload) else None))
    play.until_nothing_is_open()
    assert play.kinds("b") == {CONVERTED: 49 + others, ("failed", "NOT_CONVERTED"): 1}
    assert "of 1 converted" in play.outcomes("b")[BAD].message or "failed" in play.outcomes("b")[BAD].message
    mine = [payload for payload in play.zoho.posts if not set(payload).isdisjoint(FIFTY)]
    assert len(mine) <= 2 + 2 * HALVINGS + 2
    assert sum(BAD in payload and len(payload) == 1 for payload in mine) == 3


@pytest.mark.parametrize("bad", [(3, 40), (0, 1, 2), (5, 6, 30, 31, 49)])
def test_several_such_leads_of_one_payload_end_alone(books: Books, bad: tuple[int, ...]) -> None:
    """Even if nobody is there to compare with, and both halves have one."""
    books.batch("b", FIFTY)
    who = [FIFTY[place] for place in bad]
    play = Play(books, Zoho(on_post=lambda payload: LOST if has(*who)(payload) else None))
    play.until_nothing_is_open()
    assert play.kinds("b") == {CONVERTED: 50 - len(bad), ("failed", "INTERNAL_ERROR"): len(bad)}


def test_such_leads_of_several_payloads_end_alone(books: Books) -> None:
    """Each of four payloads has one, so that nobody comes through at first."""
    books.batch("b", leads(200))
    who = leads(200)[7::50]
    play = Play(books, Zoho(on_post=lambda payload: LOST if has(*who)(payload) else None))
    play.until_nothing_is_open()
    assert play.kinds("b") == {CONVERTED: 196, ("failed", "INTERNAL_ERROR"): 4}


def test_such_leads_of_several_payloads_whose_jobs_fail_end_alone(books: Books) -> None:
    books.batch("b", leads(200))
    who = leads(200)[7::50]
    play = Play(books, Zoho(on_job=lambda payload: job_failed(payload) if has(*who)(payload) else None))
    play.until_nothing_is_open()
    assert play.kinds("b") == {CONVERTED: 196, ("failed", "NOT_CONVERTED"): 4}


def test_an_outage_splits_nothing(books: Books) -> None:
    """Four payloads; for an hour no POST has an answer, then all have one. In that time a few splits were tried."""
    books.batch("b", leads(200))
    zoho = Zoho()
    play = Play(books, zoho)
    zoho.on_post = lambda payload: LOST if play.now < NOW + 3600.0 else None
    play.until_nothing_is_open()
    assert play.kinds("b") == {CONVERTED: 200}
    assert len(zoho.jobs) <= 4 + 7


def test_a_short_outage_of_all_calls_splits_nothing(books: Books) -> None:
    books.batch("b", leads(200))
    zoho = Zoho()
    play = Play(books, zoho)
    away = lambda payload: LOST if play.now < NOW + 150.0 else None  # noqa: E731 - one rule for two calls
    zoho.on_post, zoho.on_read = away, away
    play.until_nothing_is_open()
    assert play.kinds("b") == {CONVERTED: 200}
    assert len(zoho.jobs) == 4


def test_jobs_that_all_fail_end_their_leads_in_bounded_calls(books: Books) -> None:
    """Options that make every job fail: one payload is taken apart, the others are tried nine times each."""
    books.batch("b", leads(500))
    play = Play(books, Zoho(on_job=job_failed))
    play.until_nothing_is_open()
    assert play.kinds("b") == {("failed", "NOT_CONVERTED"): 500}
    assert len(play.zoho.posts) <= 9 * 9 + 2 * 50 + 100


# --- leads that no read shows, or of which it says nothing


def unclear(*leads: str) -> Callable[[tuple[str, ...]], LeadsRead]:
    """A read that says nothing of these, and that the others are unconverted."""
    return lambda asked: LeadsRead(
        {lead: LeadState(lead, False) for lead in asked if lead not in leads}, unclear=frozenset(leads) & set(asked)
    )


def test_a_lead_whose_state_no_read_tells_keeps_nobody_waiting_and_is_never_sent_again(books: Books) -> None:
    """Zoho lost the answer to its first payload. 49 are sent again; it is asked for again, alone, and then ends."""
    books.batch("b", FIFTY)
    zoho = Zoho(on_read=unclear(BAD))
    zoho.on_post = lambda _payload: LOST if len(zoho.posts) == 1 else None
    play = Play(books, zoho)
    play.until_nothing_is_open()
    assert play.kinds("b") == {CONVERTED: 49, ("failed", "STATE_UNKNOWN"): 1}
    assert [len(payload) for payload in zoho.posts] == [50, 49]
    assert set(zoho.reads[2:]) == {(BAD,)} or zoho.reads.count((BAD,)) == len(zoho.reads) - 2
    assert play.now < NOW + 3600.0


def test_a_state_that_comes_late_is_believed(books: Books) -> None:
    books.batch("b", FIFTY)
    zoho = Zoho()
    zoho.on_post = lambda _payload: LOST if len(zoho.posts) == 1 else None
    zoho.on_read = lambda asked: unclear(BAD)(asked) if len(zoho.reads) < 4 else None
    play = Play(books, zoho)
    play.until_nothing_is_open()
    assert play.kinds("b") == {CONVERTED: 50}
    assert [len(payload) for payload in zoho.posts] == [50, 49, 1]


def test_leads_of_a_job_that_nobody_can_see_any_more_are_not_called_missing(books: Books) -> None:
    """49 of 50 are converted, and no read shows any."""
    books.batch("b", FIFTY)
    zoho = Zoho(on_read=lambda _asked: LeadsRead({}))
    zoho.on_job = lambda payload: JobStatus(Progress.COMPLETED, 50, 49, 0, 1)
    play = Play(books, zoho)
    play.until_nothing_is_open()
    assert play.kinds("b") == {("failed", "NOT_VISIBLE"): 50}
    (words,) = {outcome.message for outcome in play.outcomes("b").values()}
    assert "may be converted" in words
    assert "completed with 49 of 50 converted, 1 failed" in words
    assert len(zoho.posts) == 1


def test_counts_that_are_all_of_them_convert_leads_that_nobody_can_see(books: Books) -> None:
    books.batch("b", FIFTY)
    play = Play(books, Zoho(on_read=lambda _asked: LeadsRead({})))
    play.until_nothing_is_open()
    assert play.kinds("b") == {CONVERTED: 50}


# --- a job that Zoho does not know


def test_a_third_unknown_job_ends_no_lead_while_it_may_run(books: Books) -> None:
    """It converts them after half an hour, and they are converted."""
    books.batch("b", FIFTY)
    zoho = Zoho(on_job=lambda _payload: Refused(400, "INVALID_DATA", "the job id is invalid"))
    play = Play(books, zoho)

    def late() -> None:
        if len(zoho.posts) == 3 and play.now > NOW + 2000.0:
            zoho.converted |= set(FIFTY)

    play.meanwhile = late
    play.until_nothing_is_open()
    assert play.kinds("b") == {CONVERTED: 50}
    assert len(zoho.posts) == 3


def test_a_third_unknown_job_ends_its_leads_when_it_can_convert_them_no_more(books: Books) -> None:
    books.batch("b", FIFTY)
    zoho = Zoho(on_job=lambda _payload: Refused(400, "INVALID_DATA", "the job id is invalid"))
    play = Play(books, zoho)
    play.until_nothing_is_open()
    assert play.kinds("b") == {("failed", "NOT_CONVERTED"): 50}
    assert len(zoho.posts) == 3
    assert play.now > NOW + books.tuning.job_deadline


# --- a refusal of the options that people have fixed since

WRONG = Refused(400, "MANDATORY_NOT_FOUND", "Region is missing", ("$.Deals.Region",))


def test_the_same_key_again_is_a_new_try_of_what_was_refused(books: Books) -> None:
    """The leads that Zoho never saw go out, once somebody enqueues them; those that it refused stay as they are."""
    books.batch("b", FIFTY)
    zoho = Zoho(on_post=lambda _payload: WRONG)
    play = Play(books, zoho)
    play.until_nothing_is_open()
    assert play.kinds("b") == {("failed", "MANDATORY_NOT_FOUND"): 50}
    zoho.on_post = lambda _payload: None
    again = [*FIFTY, *leads(30, first=700)]
    books.batch("b", again, now=play.now, accepted=False, call="b:1")
    play.until_nothing_is_open()
    assert play.kinds("b") == {("failed", "MANDATORY_NOT_FOUND"): 50, CONVERTED: 30}


def test_the_same_key_again_while_the_options_are_still_wrong_costs_one_payload(books: Books) -> None:
    books.batch("b", FIFTY)
    zoho = Zoho(on_post=lambda _payload: WRONG)
    play = Play(books, zoho)
    play.until_nothing_is_open()
    books.batch("b", leads(500, first=700), now=play.now, accepted=False, call="b:1")
    play.until_nothing_is_open()
    assert play.kinds("b") == {("failed", "MANDATORY_NOT_FOUND"): 550}
    assert len(zoho.posts) == 2


def test_leads_that_come_after_an_acceptance_elsewhere_are_not_failed_by_an_old_refusal(books: Books) -> None:
    """Their producer has been adding to its batch since before the refusal."""
    books.batch("slow", FIFTY, seal=False)
    zoho = Zoho(on_post=lambda _payload: WRONG)
    play = Play(books, zoho)
    play.until_nothing_is_open()
    zoho.on_post = lambda _payload: None
    books.batch("other", leads(50, first=500), now=play.now, accepted=False)
    play.until_nothing_is_open()
    books.batches.add("slow", "slow:1", leads(50, first=700), now=play.now)
    books.batches.seal("slow", now=play.now, flush=True)
    play.until_nothing_is_open()
    assert play.kinds("slow") == {("failed", "MANDATORY_NOT_FOUND"): 50, CONVERTED: 50}


def test_a_payload_that_was_formed_before_a_refusal_goes_out_after_a_later_acceptance(books: Books) -> None:
    books.batch("b", leads(100))
    first, second = books.form()
    sending = books.send(first)
    assert books.chunks.move(sending, after_post(sending, WRONG, MOMENT), now=NOW + 3)
    assert books.redis.hget(books.keys.options(FINGERPRINT), "refusal")
    books.batch("fixed", leads(50, first=700), now=NOW + 50, accepted=False)
    (third,) = books.form(NOW + 60)
    books.accept(third, now=NOW + 61)
    assert books.claim(second, now=NOW + 70).refusal is None


def test_a_batch_that_was_refused_can_be_cancelled(books: Books) -> None:
    """What of it waits to be sent again ends as cancelled, not with what was refused and has been fixed since."""
    books.batch("b", leads(100))
    first, second = books.form()
    sending = books.send(first)
    assert books.chunks.move(sending, after_post(sending, WRONG, MOMENT), now=NOW + 3)
    while books.chunks.drain(now=NOW + 4):
        pass
    books.batches.cancel("b", now=NOW + 5)
    assert isinstance(books.try_claim(second, now=NOW + 70), Done)
    assert books.counts("b") == {"total": 100, "failed": 50, "cancelled": 50}
