"""What a lead costs in Redis: it is in one place, and what has ended keeps its id, in Redis' own compact encoding."""

from __future__ import annotations

from typing import Any

import pytest

from massconvert.model import Kind, Outcome
from massconvert.policy import Tuning
from tests.integration.books import FINGERPRINT, NOW, TUNING, Books, leads

pytestmark = pytest.mark.integration

LATER = NOW + TUNING.linger
CONVERTED = Outcome(Kind.CONVERTED, job_id="91", attempts=1)
LOST = Outcome(Kind.FAILED, "NOT_FOUND", "gone")


def test_a_batch_that_has_finished_keeps_ids_outcomes_and_counts_and_no_chunk(books: Books) -> None:
    """A batch's end costs the same whatever its size: nothing of it has to be visited chunk by chunk."""
    ids = leads(120)
    books.batch("b", ids)
    formed = books.form()
    for chunk_id in formed:
        books.convert(chunk_id)
    assert len(formed) == 3
    assert books.batches.status("b").finished
    names = {key.removeprefix(books.keys.prefix) for key in books.redis.keys(f"{books.keys.prefix}*")}
    lasting = {"batch:b", "batch:b:ended", "batch:b:members:0", f"options:{FINGERPRINT}", "batches"}
    assert names - {"chunks", "jobtimes", "looks", "fared", "history", "counts"} == lasting  # those are the account's
    assert {name for name in lasting if books.redis.ttl(books.keys.prefix + name) > 0} == lasting - {"batches"}


def test_an_outcome_is_stored_once_for_all_leads_of_a_chunk_that_share_it(books: Books) -> None:
    ids = leads(50)
    books.batch("b", ids)
    (chunk_id,) = books.form()
    books.end(chunk_id, {lead: LOST if lead == ids[7] else CONVERTED for lead in ids})
    ended = books.redis.lrange(books.keys.batch_ended("b"), 0, -1)
    story = f"{NOW + TUNING.linger};formed|0||1|50;sending|0|||50;accepted|0;settled|60"
    converted = f'["converted","","","91",1,"","","","{story}",2]'  # of both outcomes
    assert ended == [converted, *ids[:7], *ids[8:], '["failed","NOT_FOUND","gone"]', ids[7]]
    assert books.outcomes("b") == {lead: LOST if lead == ids[7] else CONVERTED for lead in ids}


def test_a_lead_that_has_ended_takes_a_dozen_bytes_and_a_member_of_its_batch_as_much(books: Books) -> None:
    """Redis keeps digits as integers in lists and in sets of at most 512; as text they would take 20 to 60 bytes."""
    ids = [str(3652397000009850001 + 1009 * number) for number in range(5_000)]
    books.batch("b", ids)
    while formed := books.form():
        for chunk_id in formed:
            books.convert(chunk_id)
    keys = books.redis.keys(f"{books.keys.batch('b')}:*")
    used = sum(books.redis.memory_usage(key, samples=0) for key in keys)
    assert used / len(ids) < 24
    members = [key for key in keys if ":members:" in key]
    assert {books.redis.object("encoding", key) for key in members} == {"intset"}


def test_a_lead_is_in_one_place_all_the_way(books: Books) -> None:
    """Inbox, open chunk, ended: it is never in two, so nothing has to be kept in step."""
    first, second = leads(2)
    books.batch("b", [first, second])
    (chunk_id,) = books.form()
    assert not books.redis.exists(books.keys.batch_inbox("b"))
    claimed = books.claim(chunk_id)
    assert claimed.leads == (first, second)
    books.redis.hdel(books.keys.chunk(chunk_id), "lease")
    books.end(chunk_id, {first: CONVERTED, second: LOST})
    assert not books.redis.exists(books.keys.chunk(chunk_id), books.keys.batch_chunks("b"))
    assert not books.redis.keys(f"{books.keys.prefix}live:*")


def test_leads_that_come_to_a_finished_batch_are_dropped_if_it_had_them_and_taken_if_not(books: Books) -> None:
    books.batch("b", leads(3))
    books.convert(*books.form())
    added = books.batches.add("b", "b:late", leads(4), now=LATER)
    assert (added.accepted, added.duplicates) == (1, 3)
    books.batches.seal("b", now=LATER, flush=True)
    books.convert(*books.form(LATER + TUNING.linger), now=LATER + TUNING.linger)
    assert books.counts("b") == {"total": 4, "converted": 4}
    assert all(books.redis.ttl(key) > 0 for key in books.redis.keys(f"{books.keys.batch('b')}*"))


def test_a_report_reads_a_page_at_a_time_and_misses_nothing(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a batch has: ended in several ways, on its way, waiting, in flight elsewhere, no id."""
    books = Books(books.redis, "pages", Tuning(window=2))
    monkeypatch.setattr("massconvert.ledger.batches._PAGE", 7)
    ids = leads(200)
    books.batch("other", ids[190:])
    books.batch("b", ids)
    books.batches.refuse_ids("b", {"[abc]": "is not a string of digits"}, now=NOW)
    taken = books.form()
    for number, chunk_id in enumerate(taken):
        if number % 2:
            claimed = books.claim(chunk_id)
            books.redis.hdel(books.keys.chunk(chunk_id), "lease")
            books.end(chunk_id, {lead: (CONVERTED, LOST)[place % 2] for place, lead in enumerate(claimed.leads)})
    found = books.outcomes("b")
    assert set(found) == {*ids, "[abc]"}
    kinds = [outcome.code or outcome.kind.value for outcome in found.values() if outcome]
    assert {kind: kinds.count(kind) for kind in kinds} == {
        "ALREADY_QUEUED": 10,
        "converted": 25,
        "NOT_FOUND": 25,
        "INVALID_ID": 1,
    }


def test_no_page_of_a_report_is_larger_than_a_thousand(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    """So a million leads take no more memory than a thousand, here and in Redis' output buffer."""
    ids = leads(3_500)
    books.batch("b", ids)
    sizes: list[int] = []
    lrange = books.redis.lrange

    def counted(key: str, first: int, last: int) -> Any:
        page = lrange(key, first, last)
        sizes.append(len(page))
        return page

    monkeypatch.setattr(books.redis, "lrange", counted)
    assert [row.lead_id for row in books.batches.rows("b")] == ids
    assert max(sizes) == 1000
    assert len(sizes) == 1 + 4


def test_a_new_batch_forgets_those_that_have_expired(books: Books) -> None:
    """Nobody need ever list them, and an account of small batches makes thousands a day. What is there stays."""
    for name, made in (("slow", NOW), ("gone", NOW + 1), ("young", NOW + TUNING.retention)):
        books.batch(name, [], now=made)
    books.redis.delete(*books.redis.keys(f"{books.keys.batch('gone')}*"))  # what Redis does when its time has come
    with books.watching("batches") as changed:
        books.batch("new", [], now=NOW + TUNING.retention + 2)
    assert changed == {"batches/gone": None, "batches/new": NOW + TUNING.retention + 2}
