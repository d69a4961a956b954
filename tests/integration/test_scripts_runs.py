"""The scripts about runs of profiles: each test shows one transition, with everything that it changes."""

from __future__ import annotations

import pytest

from massconvert.errors import LedgerError
from massconvert.ledger import Begun
from massconvert.model import Again, Done, LeadsFound, PerhapsAccepted, Refused, Run, RunState
from massconvert.policy import after_find, after_put
from massconvert.profiles import LeadCriteria, Limits, Profile
from tests.integration.books import FINGERPRINT, MOMENT, NOW, OPTIONS, TUNING, Books

pytestmark = pytest.mark.integration

SLOT, LATER = "20261124T030000Z", "20261125T030000Z"
PAGE, LAST = LeadsFound(("5", "7"), more=True), LeadsFound((), more=False)


def profile(max_leads: int | None = None) -> Profile:
    """A profile with criteria."""
    return Profile(criteria=LeadCriteria(coql="id is not null"), limits=Limits(max_leads=max_leads))


def begin(books: Books, slot: str = "", run_id: str = "", max_leads: int | None = None) -> Begun:
    """Begin a run of the profile n."""
    return books.ledger.runs.begin(run_id or f"n@{slot}", "n", profile(max_leads), slot=slot, now=NOW)


def claim(books: Books, run_id: str, token: str = "a", at: float = NOW) -> Run:
    """Claim a run, which must succeed."""
    run = books.ledger.runs.claim(run_id, token=token, now=at)
    assert isinstance(run, Run), run
    return run


# --- begin_run


def test_begin_run_begins_a_slot_once_and_never_after_a_later_one(books: Books) -> None:
    assert begin(books, SLOT) is Begun.BEGUN
    with books.watching() as changed:
        assert begin(books, SLOT) is Begun.KNOWN
        assert begin(books, "20261123T030000Z") is Begun.PAST
    assert changed == {}


def test_begin_run_leaves_a_slot_out_while_the_run_before_it_finds(books: Books) -> None:
    """It has had its turn: when that run has ended, a late message begins nothing."""
    begin(books, SLOT)
    with books.watching() as changed:
        assert begin(books, LATER) is Begun.BUSY
    assert changed == {"profile:n.slot": LATER}
    assert begin(books, LATER) is Begun.PAST
    assert begin(books, "20261126T030000Z", run_id="n@by-hand") is Begun.BUSY
    assert begin(books, "", run_id="n@by-hand") is Begun.BEGUN


def test_begin_run_knows_the_slot_when_its_run_has_expired(books: Books) -> None:
    begin(books, SLOT)
    books.redis.delete(books.keys.run(f"n@{SLOT}"))
    assert begin(books, SLOT) is Begun.PAST


def test_begin_run_copies_what_the_profile_says_now(books: Books) -> None:
    """An edit is for later runs: otherwise its batch would have two sets of options."""
    begin(books, SLOT, max_leads=7)
    begin(books, SLOT, max_leads=9)
    run = books.ledger.runs.get(f"n@{SLOT}")
    assert run
    assert run.max_leads == 7
    assert books.ledger.runs.last("n") == run


# --- claim_run


def test_claim_run_hands_a_run_to_one_worker_at_a_time(books: Books) -> None:
    begin(books, SLOT)
    claim(books, f"n@{SLOT}")
    assert books.ledger.runs.claim(f"n@{SLOT}", token="b", now=NOW + TUNING.lease - 1) == Done()
    claim(books, f"n@{SLOT}", token="b", at=NOW + TUNING.lease + 1)


def test_claim_run_sends_one_of_two_early_messages_back_and_ends_the_other(books: Books) -> None:
    """Or messages that were doubled would double again each time."""
    begin(books, SLOT)
    run = claim(books, f"n@{SLOT}")
    books.ledger.runs.move(run, after_find(run, PerhapsAccepted("HTTP 500"), MOMENT), now=NOW - 1)
    moved = books.ledger.runs.get(run.id)
    assert moved
    books.redis.hset(books.keys.run(run.id), mapping={"due": NOW + 200, "expected": NOW - 1})
    assert books.ledger.runs.claim(run.id, token="b", now=NOW) == Again(60.0)
    assert books.ledger.runs.claim(run.id, token="c", now=NOW) == Done()


@pytest.mark.parametrize("run_id", ["n@nobody", f"n@{SLOT}"])
def test_claim_run_has_nothing_to_do_where_there_is_no_run_or_it_has_ended(books: Books, run_id: str) -> None:
    begin(books, SLOT)
    for _ in range(2):
        run = claim(books, f"n@{SLOT}")
        decision = after_put(run, 0, MOMENT) if run.to_put else after_find(run, LAST, MOMENT)
        books.ledger.runs.move(run, decision, now=NOW)
    assert books.ledger.runs.claim(run_id, token="b", now=NOW + 1) == Done()


def test_claim_run_finds_out_whether_the_organisation_must_still_pause(books: Books) -> None:
    """There may be no chunk that could. A pause by hand has no probe, and is left alone."""
    begin(books, SLOT)
    books.ledger.organisation.pause(now=NOW, reason="by hand")
    assert books.ledger.runs.claim(f"n@{SLOT}", token="a", now=NOW + 9999) == Done()
    books.redis.hset(books.keys.pause, mapping={"code": "NO_PERMISSION", "probe": NOW + 300})
    assert books.ledger.runs.claim(f"n@{SLOT}", token="a", now=NOW + 299) == Done()
    run = claim(books, f"n@{SLOT}", at=NOW + 301)
    assert float(books.redis.hget(books.keys.pause, "probe")) == NOW + 301 + TUNING.pause_probe
    books.ledger.runs.move(run, after_find(run, PAGE, MOMENT), now=NOW + 301)
    assert books.ledger.organisation.paused() is None


# --- move_run


def test_move_run_writes_a_page_together_with_its_cursor(books: Books) -> None:
    begin(books, SLOT)
    run = claim(books, f"n@{SLOT}")
    key = f"run:{run.id}"
    with books.watching() as changed:
        assert books.ledger.runs.move(run, after_find(run, PAGE, MOMENT), now=NOW)
    assert changed[f"{key}.after"] == "7"
    assert changed[f"{key}:found"] == ["5", "7"]
    assert changed[f"{key}.lease"] is None
    run = claim(books, run.id)
    assert (run.kept, run.to_put) == (2, True)
    with books.watching(f"{key}:found") as changed:
        assert books.ledger.runs.move(run, after_put(run, 2, MOMENT), now=NOW)
    assert changed == {f"{key}:found": None}


def test_move_run_changes_nothing_for_who_has_lost_the_claim(books: Books) -> None:
    begin(books, SLOT)
    late = claim(books, f"n@{SLOT}")
    claim(books, late.id, token="b", at=NOW + TUNING.lease + 1)
    with books.watching() as changed:
        assert not books.ledger.runs.move(late, after_find(late, PAGE, MOMENT), now=NOW + TUNING.lease + 2)
    assert changed == {}


def test_move_run_ends_a_run_and_says_where_the_next_bounded_one_begins(books: Books) -> None:
    begin(books, SLOT, max_leads=2)
    run = claim(books, f"n@{SLOT}")
    books.ledger.runs.move(run, after_find(run, PAGE, MOMENT), now=NOW)
    run = claim(books, run.id)
    with books.watching("profile:", "runs:due", f"run:{run.id}.state", f"run:{run.id} ") as changed:
        books.ledger.runs.move(run, after_put(run, 2, MOMENT), now=NOW)
    assert changed == {
        "profile:n.open": None,
        "profile:n.start": "7",
        f"runs:due/{run.id}": None,
        f"run:{run.id}.state": RunState.DONE.value,
        f"run:{run.id} expires": True,
    }
    begin(books, LATER, max_leads=2)
    following = claim(books, f"n@{LATER}")
    assert (following.start, following.after) == ("7", "7")


def test_move_run_keeps_why_a_run_has_failed(books: Books) -> None:
    begin(books, SLOT)
    run = claim(books, f"n@{SLOT}")
    books.ledger.runs.move(run, after_find(run, Refused(400, "INVALID_QUERY", "no column"), MOMENT), now=NOW)
    run = claim(books, run.id)
    books.ledger.runs.move(run, after_put(run, 0, MOMENT), now=NOW)
    failed = books.ledger.runs.get(run.id)
    assert failed
    assert failed.said
    assert (failed.state, failed.said.code) == (RunState.FAILED, "INVALID_QUERY")


# --- take_overdue


def test_take_overdue_finds_those_whose_message_was_lost_one_message_each(books: Books) -> None:
    begin(books, SLOT)
    runs = books.ledger.runs
    assert runs.overdue(now=NOW + TUNING.sweep_grace - 1) == []
    late = NOW + TUNING.sweep_grace + 1
    assert [(run.run_id, run.profile) for run in runs.overdue(now=late)] == [(f"n@{SLOT}", "n")]
    assert runs.overdue(now=late + 1) == []


def test_take_overdue_takes_nothing_while_the_organisation_is_paused_but_a_probe(books: Books) -> None:
    begin(books, SLOT)
    begin(books, run_id="n@by-hand")
    late = NOW + TUNING.sweep_grace + 1
    books.ledger.organisation.pause(now=NOW, reason="by hand")
    assert books.ledger.runs.overdue(now=late) == []
    books.redis.hset(books.keys.pause, "probe", late)
    assert len(books.ledger.runs.overdue(now=late)) == 1


def test_take_overdue_forgets_a_run_that_has_expired(books: Books) -> None:
    begin(books, SLOT)
    books.redis.delete(books.keys.run(f"n@{SLOT}"))
    assert books.ledger.runs.overdue(now=NOW + 100) == []
    assert not books.redis.exists(books.keys.runs_due)


def test_a_run_that_something_else_has_written_is_named(books: Books) -> None:
    begin(books, SLOT)
    books.redis.hset(books.keys.run(f"n@{SLOT}"), "job", "[]")
    with pytest.raises(LedgerError, match=f"run:n@{SLOT}"):
        books.ledger.runs.get(f"n@{SLOT}")


# --- runs that fail


def fail(books: Books, run_id: str, leads: list[str]) -> None:
    """A run by hand whose leads all fail, or without any, the run itself."""
    assert begin(books, run_id=run_id) is Begun.BEGUN
    run = claim(books, run_id)
    if not leads:
        decision = after_find(run, Refused(400, "INVALID_QUERY", "no such column"), MOMENT)
        assert books.ledger.runs.move(run, decision, now=NOW)
        run = claim(books, run_id)
        assert books.ledger.runs.move(run, after_put(run, 0, MOMENT), now=NOW)
        return
    end_batch(books, run_id, failed=leads)


def end_batch(books: Books, run_id: str, failed: list[str] = [], converted: int = 0) -> None:  # noqa: B006 - read only
    """The batch of a run ends like this."""
    books.batches.open(run_id, FINGERPRINT, OPTIONS, now=NOW, leads=1)
    books.batches.refuse_ids(run_id, dict.fromkeys(failed, "is none"), now=NOW)
    books.redis.hincrby(books.keys.batch(run_id), "converted", converted)
    books.redis.hincrby(books.keys.batch(run_id), "total", converted)
    books.batches.seal(run_id, now=NOW, flush=True)


@pytest.mark.parametrize("leads", [["x", "y"], []])
def test_three_runs_that_fail_wholly_stop_the_schedule_until_it_is_resumed(books: Books, leads: list[str]) -> None:
    """Whether every lead failed, or the run itself; a run by hand may be begun all the same."""
    for number in range(3):
        assert not books.ledger.runs.stopped("n")
        fail(books, f"n@{number}", leads)
    assert books.ledger.runs.stopped("n") == 3
    assert begin(books, SLOT) is Begun.STOPPED
    assert begin(books, run_id="n@by-hand") is Begun.BEGUN
    assert books.ledger.runs.resume("n") == 3
    assert begin(books, SLOT) is Begun.PAST
    assert begin(books, LATER) is Begun.BEGUN


def test_a_run_is_judged_once_and_one_that_converts_ends_the_row(books: Books) -> None:
    """Partly failed is not wholly; a run that found nothing says nothing; and no other batch counts."""
    fail(books, "n@1", ["x"])
    end_batch(books, "n@1", failed=["y"])
    assert books.ledger.runs.failures("n") == 1
    begin(books, run_id="n@2")
    end_batch(books, "n@2")
    end_batch(books, "another", failed=["x"])
    assert books.ledger.runs.failures("n") == 1
    begin(books, run_id="n@3")
    end_batch(books, "n@3", failed=["x"], converted=1)
    assert books.ledger.runs.failures("n") == 0
