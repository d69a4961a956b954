"""The scripts about the whole account: the sweep, the access token, locks. See also test_governor.py.

tests/unit/test_ledger.py runs the same tests on fakeredis.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from massconvert.ledger import Ledger, Member
from massconvert.ledger.fleet import REMEMBER
from massconvert.model import Busy
from massconvert.policy import no_permit
from tests.integration.books import FINGERPRINT, MOMENT, NOW, TUNING, Books, leads

pytestmark = pytest.mark.integration


THEN = NOW + TUNING.linger  # when a tail may be formed


@dataclass
class At:
    """A clock that stands still."""

    time: float

    def now(self) -> float:
        return self.time


# --- take_sweep


def test_take_sweep_gives_the_right_to_one_at_a_time(books: Books) -> None:
    organisation = books.ledger.organisation
    with books.watching() as changed:
        assert organisation.take_sweep(12.0, now=NOW)
    assert changed == {"sweep": str(int(NOW + 12)), "sweep expires": True}
    with books.watching() as changed:
        assert not organisation.take_sweep(12.0, now=NOW + 11.9)
    assert changed == {}
    assert organisation.take_sweep(12.0, now=NOW + 12)


def test_take_sweep_goes_by_the_ledgers_clock(books: Books) -> None:
    """Not by how long Redis keeps the key, which only tidies up."""
    books.ledger.organisation.take_sweep(12.0, now=NOW)
    assert books.redis.ttl(books.keys.sweep_lease) > 12


# --- pause_organisation


def test_pause_organisation_pauses_once_until_somebody_resumes(books: Books) -> None:
    organisation = books.ledger.organisation
    with books.watching("pause") as changed:
        organisation.pause(now=NOW, reason="by hand", by="ann@laptop")
    assert set(changed) == {"pause.code", "pause.reason", "pause.since", "pause.person"}
    with books.watching() as changed:
        organisation.pause(now=NOW + 9, reason="again", by="bob@laptop")
    assert changed == {}
    paused = organisation.paused()
    assert paused is not None
    assert (paused.reason, paused.by, paused.since) == ("by hand", "ann@laptop", NOW)
    assert organisation.resume()
    assert not organisation.resume()
    assert not [name for name in books.look() if not name.startswith("history.")]


# --- resume_organisation


def test_resume_organisation_opens_the_gate_and_has_a_hold_find_out_now(books: Books) -> None:
    organisation, keys = Ledger(books.redis, books.keys.account, TUNING, At(NOW)).organisation, books.keys
    books.redis.hset(keys.gate, mapping={"until": NOW + 30, "why": "429"})
    books.redis.hset(keys.hold, mapping={"kind": "credits", "probe": NOW + 200, "wait": 300})
    with books.watching() as changed:
        assert organisation.resume()
    assert changed == {"gate.until": None, "gate.why": None, "hold.probe": str(int(NOW))}
    assert not organisation.resume()  # that a hold finds out sooner ends nothing
    books.redis.hset(keys.hold, mapping={"probe": NOW + 70, "by": "a permit"})
    with books.watching() as changed:
        organisation.resume()
    assert changed == {}  # it is finding out


def test_resume_organisation_has_what_waits_to_be_sent_come_now_and_nothing_looked_at_too_soon(books: Books) -> None:
    books.batch("b", leads(100))
    organisation = Ledger(books.redis, books.keys.account, TUNING, At(THEN)).organisation
    books.redis.hset(books.keys.options(FINGERPRINT), "accepted", 1)
    put_off, held = books.form()
    chunk = books.claim(put_off)
    busy = no_permit(chunk, Busy(50.0, "no calls for now"), replace(MOMENT, now=THEN))
    assert books.chunks.move(chunk, busy, now=THEN)
    books.claim(held)
    with books.watching() as changed:
        assert not organisation.resume()
    assert changed == {
        f"chunk:{put_off}.due": str(int(THEN)),
        f"chunk:{put_off}.expected": str(int(THEN)),
        f"due/{put_off}": THEN,
    }


# --- take_lock, keep_limit, note_member, wake_next


def test_take_lock_gives_a_lock_to_one_at_a_time(books: Books) -> None:
    lock = books.keys.limit_lock
    assert books.scripts.run("take_lock", keys=[lock], args=["me", 60_000]) == 1
    with books.watching() as changed:
        assert books.scripts.run("take_lock", keys=[lock], args=["somebody else", 60_000]) == 0
    assert changed == {}
    assert 0 < books.redis.pttl(lock) <= 60_000


def test_keep_limit_keeps_it_for_a_while(books: Books) -> None:
    books.scripts.run("keep_limit", keys=[books.keys.limit], args=[15, "enterprise", 60])
    assert books.look() == {"limit.calls": "15", "limit.source": "enterprise", "limit expires": True}


def test_wake_next_puts_one_element_back_for_a_while(books: Books) -> None:
    books.scripts.run("wake_next", keys=[books.keys.token_wake("c")], args=[10_000])
    assert books.look() == {"token:c:wake": ["1"], "token:c:wake expires": True}


def test_note_member_is_kept_until_it_is_old_and_the_sweep_forgets_it(books: Books) -> None:
    """Whether or not anybody asks who works."""
    for number in range(5):
        books.ledger.fleet.note(Member("worker", f"gone-{number}", NOW - REMEMBER - 1))
    books.ledger.fleet.note(Member("worker", "here", NOW))
    books.redis.hset(books.keys.fleet, "worker:odd", "what no version writes")
    assert books.redis.ttl(books.keys.fleet) > 0
    books.ledger.fleet.forget(now=NOW)
    assert books.redis.hkeys(books.keys.fleet) == ["worker:here"]


# --- free_lock


def test_free_lock_frees_only_our_own(books: Books) -> None:
    lock = books.keys.limit_lock
    books.redis.set(lock, "me")
    with books.watching() as changed:
        assert books.scripts.run("free_lock", keys=[lock], args=["somebody else"]) == 0
    assert changed == {}
    assert books.scripts.run("free_lock", keys=[lock], args=["me"]) == 1
    assert books.scripts.run("free_lock", keys=[lock], args=["me"]) == 0
    assert books.look() == {}


# --- discard_token, end_refresh, look_at_token


def refreshed(
    books: Books, name: str = "me", value: str = "token-1", trouble: str = "", lives: int = 3_600_000
) -> None:
    """A refresh of the token has ended: with a token, or with trouble."""
    k = books.keys
    args: list[str | float] = [name, lives, trouble]
    if not trouble:
        args += [value, "https://www.zohoapis.com", 1.0, 2.0, NOW, 2, 600_000]
    keys = [k.token("c"), k.token_lock("c"), k.token_trouble("c"), k.token_wake("c"), k.token_grants("c")]
    books.scripts.run("end_refresh", keys=keys, args=args)


def test_end_refresh_keeps_the_token_for_all_frees_the_lock_and_wakes_who_waits(books: Books) -> None:
    books.redis.set(books.keys.token_lock("c"), "me")
    books.redis.set(books.keys.token_trouble("c"), "{}")
    with books.watching() as changed:
        refreshed(books)
    assert (
        changed.items()
        >= {
            "token:c.value": "token-1",
            "token:c.api_domain": "https://www.zohoapis.com",
            "token:c.refresh_at": "1",
            "token:c.expires_at": "2",
            "token:c expires": True,
            "token:c:lock": None,
            "token:c:trouble": None,
            "token:c:grants": [str(int(NOW))],
            "token:c:grants expires": True,
        }.items()
    )
    assert len(changed["token:c:wake"]) == 1
    assert changed["token:c:wake expires"]


def test_end_refresh_leaves_the_lock_of_somebody_else(books: Books) -> None:
    books.redis.set(books.keys.token_lock("c"), "somebody else")
    refreshed(books)
    assert books.redis.get(books.keys.token_lock("c")) == "somebody else"


def test_end_refresh_tells_trouble_and_keeps_the_token_that_is_there(books: Books) -> None:
    refreshed(books)
    books.redis.delete(books.keys.token_wake("c"))
    with books.watching() as changed:
        refreshed(books, trouble='{"why": "no_token"}', lives=60_000)
    assert changed.items() >= {"token:c:trouble": '{"why": "no_token"}', "token:c:trouble expires": True}.items()
    assert not [path for path in changed if path.startswith(("token:c.", "token:c:grants"))]


def test_end_refresh_remembers_the_latest_grants_only(books: Books) -> None:
    for number in range(3):
        refreshed(books, value=f"token-{number}")
    assert len(books.look()["token:c:grants"]) == 2


def test_look_at_token_tells_in_seconds_from_redis_own_time(books: Books) -> None:
    keys = [books.keys.token("c"), books.keys.token_trouble("c")]
    assert books.scripts.run("look_at_token", keys=keys, args=[NOW])[:5] == ["", "", "0", "0", ""]
    books.redis.hset(keys[0], mapping={"value": "v", "api_domain": "d", "refresh_at": NOW + 10, "expires_at": NOW + 20})
    books.redis.set(keys[1], "{}", px=60_000)
    *said, again_in, now = books.scripts.run("look_at_token", keys=keys, args=[NOW])
    assert said == ["v", "d", "10", "20", "{}"]
    assert 50 < float(again_in) <= 60
    assert float(now) == NOW
    *_, now = books.scripts.run("look_at_token", keys=keys, args=[None])
    seconds, _ = books.redis.time()
    assert abs(float(now) - seconds) < 5


def test_discard_token_forgets_only_the_one_that_failed(books: Books) -> None:
    """Somebody else has refreshed it meanwhile: then the new one stays."""
    refreshed(books, value="new")
    with books.watching() as changed:
        assert books.scripts.run("discard_token", keys=[books.keys.token("c")], args=["old"]) == 0
    assert changed == {}
    with books.watching("token:c.value") as changed:
        assert books.scripts.run("discard_token", keys=[books.keys.token("c")], args=["new"]) == 1
        assert books.scripts.run("discard_token", keys=[books.keys.token("c")], args=["new"]) == 0
    assert changed == {"token:c.value": None}
