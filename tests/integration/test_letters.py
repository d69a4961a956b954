"""Letters in a real Redis: kept whole, bounded, and handed back as they came."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from massconvert.errors import InputError, LedgerError
from massconvert.ledger import Letters, Message, letters
from massconvert.store import Keys, Scripts

pytestmark = pytest.mark.integration
NOW = 1_795_514_400.0
WHOLE = {
    "lead_ids": ["3652397000009850001", 7, None, "\ud800", "ü"],
    "options": {"Deals": {"a": [1.5, True]}},
    "key": "k",
}


@pytest.fixture
def box(redis_client: Any, account: str) -> Letters:
    return Letters(redis_client, Keys(account), Scripts(redis_client))


@pytest.fixture
def keys(redis_client: Any) -> Callable[[], set[str]]:
    """What there is in Redis, without the account."""
    return lambda: {key.partition("}:")[2] for key in redis_client.scan_iter()}


def message(name: str, size: int = 1) -> Message:
    """A message of about so many bytes."""
    return Message(name, ["x" * size], {})


# --- keep_letter, drop_letter


def test_a_letter_is_the_message_as_it_came(box: Letters) -> None:
    """Strange characters too: they may be why it was not taken."""
    assert box.keep(Message("m1", [], WHOLE), "stuck", "a  bug\nof two lines", 9, now=NOW)
    (letter,) = box.latest("stuck")
    assert (letter.id, letter.kind, letter.at, letter.why) == ("m1", "stuck", NOW, "a bug of two lines")
    assert (letter.tries, letter.leads, letter.key, letter.profile) == (9, 5, "k", "")
    found = box.read("m1")
    assert (found.id, found.args, found.kwargs) == ("m1", [], WHOLE)


def test_a_letter_that_is_dropped_leaves_nothing(box: Letters, keys: Callable[[], set[str]], redis_client: Any) -> None:
    box.keep(message("m1"), "stuck", "", 1, now=NOW)
    assert box.drop("m1") is True
    assert box.drop("m1") is False
    assert keys() == {"letters:bytes"}
    assert redis_client.hgetall(redis_client.keys()[0]) == {"stuck": "0"}
    with pytest.raises(InputError, match="There is no letter m1"):
        box.read("m1")


def test_a_second_delivery_is_the_same_letter(box: Letters, redis_client: Any, account: str) -> None:
    """Of whichever kind it is by now; also where there is no room for another."""
    box.keep(message("m1"), "stuck", "first", 1, now=NOW)
    bytes_of = redis_client.hgetall(Keys(account).letters_bytes)
    box.keep(message("m1"), "stuck", "second", 2, now=NOW + 1)
    assert redis_client.hgetall(Keys(account).letters_bytes) == bytes_of
    assert [letter.why for letter in box.latest("stuck")] == ["second"]
    box.keep(message("m1"), "refused", "third", 3, now=NOW + 2)
    assert box.counts() == {"stuck": 0, "refused": 1}
    assert redis_client.hget(Keys(account).letters_bytes, "stuck") == "0"


@pytest.mark.parametrize(("most", "size", "room"), [(2, 1, 2), (1000, 400, 2)])
def test_what_is_stuck_makes_no_room_for_another(
    box: Letters, monkeypatch: pytest.MonkeyPatch, most: int, size: int, room: int
) -> None:
    """By number or by size; one that is larger than all the room is kept where it is alone."""
    monkeypatch.setattr(letters, "MOST", most)
    monkeypatch.setattr(letters, "MOST_BYTES", 1000)
    kept = [box.keep(message(f"m{number}", size), "stuck", "", 1, now=NOW + number) for number in range(4)]
    assert kept == [number < room for number in range(4)]
    assert box.keep(message("m1", size), "stuck", "again", 2, now=NOW + 9)
    assert [letter.id for letter in box.latest("stuck")] == ["m1", "m0"]
    for number in range(room):
        box.drop(f"m{number}")
    assert box.keep(message("large", 5000), "stuck", "", 1, now=NOW)
    assert not box.keep(message("small"), "stuck", "", 1, now=NOW)


@pytest.mark.parametrize(("most", "size"), [(2, 1), (1000, 400)])
def test_the_oldest_that_was_refused_makes_room(
    box: Letters, keys: Callable[[], set[str]], monkeypatch: pytest.MonkeyPatch, most: int, size: int
) -> None:
    """It is in the log, and was wrong in itself."""
    monkeypatch.setattr(letters, "MOST", most)
    monkeypatch.setattr(letters, "MOST_BYTES", 1000)
    box.keep(message("aside", size), "stuck", "", 1, now=NOW)
    for number in range(5):
        assert box.keep(message(f"m{number}", size), "refused", "", 1, now=NOW + number)
    assert [letter.id for letter in box.latest("refused")] == ["m4", "m3"]
    assert box.counts() == {"stuck": 1, "refused": 2}
    assert keys() == {"letter:aside", "letter:m3", "letter:m4", "letters:bytes", "letters:stuck", "letters:refused"}


def test_an_id_that_no_producer_makes_has_another_name_and_comes_back_as_it_was(box: Letters) -> None:
    strange = "a b\n\x1b[31m\ud800" + "x" * 5000
    box.note(strange, "", now=NOW)
    box.keep(message(strange), "stuck", "", 1, now=NOW)
    (letter,) = box.latest("stuck")
    assert letter.id.isalnum()
    assert box.read(letter.id).id == strange
    assert box.late(now=NOW) == []


def test_what_something_else_has_written_there_is_named(box: Letters, redis_client: Any, account: str) -> None:
    box.keep(message("m1"), "stuck", "", 1, now=NOW)
    redis_client.hset(Keys(account).letter("m1"), mapping={"facts": "[]", "message": "{}"})
    with pytest.raises(LedgerError, match="letter:m1"):
        box.latest("stuck")
    with pytest.raises(LedgerError, match="letter:m1"):
        box.read("m1")
    assert box.drop("m1")


# --- note_late


def test_a_message_is_late_from_its_first_note_until_it_is_taken_or_kept(box: Letters) -> None:
    assert [box.note("m1", "a reason", now=NOW + each) for each in (0, 20, 50)] == [1, 2, 3]
    assert box.note("m1", "another reason", now=NOW + 60) == 1
    box.note("m2", "a reason", now=NOW + 30)
    late = box.late(now=NOW + 60)
    assert [(each.id, each.since, each.times, each.why) for each in late] == [
        ("m1", NOW, 1, "another reason"),
        ("m2", NOW + 30, 1, "a reason"),
    ]
    box.taken("m1")
    box.keep(message("m2"), "stuck", "", 1, now=NOW)
    assert box.late(now=NOW + 60) == []


def test_a_message_that_was_lost_is_late_no_more(box: Letters, redis_client: Any, account: str) -> None:
    """The broker may lose it; the note goes as well."""
    box.note("m1", "a reason", now=NOW)
    assert box.late(now=NOW + letters.FORGOTTEN_AFTER + 1) == []
    assert 0 < redis_client.ttl(Keys(account).late) <= letters.NOTES_KEPT


def test_notes_are_bounded(box: Letters, redis_client: Any, account: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(letters, "MOST", 10)
    for number in range(35):
        box.note(f"m{number}", "a reason", now=NOW)
    assert redis_client.hlen(Keys(account).late) <= 10
    assert "m34" in [late.id for late in box.late(now=NOW)]


def test_a_note_that_is_none_is_not_shown(box: Letters, redis_client: Any, account: str) -> None:
    for text in ("", "x", "1 2", "1 2 3", "not a number at all"):
        redis_client.hset(Keys(account).late, f"m{text}", text)
        box.late(now=2.0)
        assert box.note(f"m{text}", "a reason", now=NOW) == 1
