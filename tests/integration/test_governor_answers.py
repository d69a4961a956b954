"""What answers change for all who call: governors of several workers over one real Redis, with threads."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from massconvert.ledger import Ledger
from massconvert.model import Accepted, Busy, Call, LeadsRead, NotSent, PerhapsAccepted, Refused, Unsent
from massconvert.policy import CallRules, Congestion, Holding, HoldKind, Permit, Tuning
from massconvert.store import Keys, connect
from massconvert.zoho import governor as governor_module
from massconvert.zoho.edition import MAX_POSTS
from massconvert.zoho.governor import Governor
from massconvert.zoho.standing import Standing, read_standing
from tests.acceptance.house import until
from tests.stand_ins import Clock

pytestmark = pytest.mark.integration

LIMIT = 5
LEASE = 70.0
USABLE = Accepted("7")
LOST = PerhapsAccepted("HTTP 503: no definite answer", 503)
THROTTLED = Refused(429, "TOO_MANY_REQUESTS", "slow down")


class Workers:
    """The governors of several workers, each with connections of its own."""

    def __init__(self, url: str, account: str) -> None:
        self.clock = Clock()
        self.keys = Keys(account)
        self.url = url
        self.redis = connect(url)
        self.clients: list[Any] = [self.redis]

    def governor(self, limit: int = LIMIT, wait: float = 0.0, rules: CallRules | None = None) -> Governor:
        client = connect(self.url, socket_timeout=60.0)
        self.clients.append(client)
        return Governor(
            client,
            self.keys,
            self.clock,
            limit=limit,
            ask_org=lambda: NotSent(Unsent.CONNECT, "nobody asks"),
            rules=rules,
            wait=wait,
            lease=LEASE,
            random=Random(1),
        )

    def standing(self, limit: int = LIMIT) -> Standing:
        return read_standing(self.redis, self.keys, self.clock, limit)

    def close(self) -> None:
        for client in self.clients:
            client.close()


@pytest.fixture
def workers(redis_url: str, account: str) -> Any:
    made = Workers(redis_url, account)
    yield made
    made.close()


def take(governor: Governor, call: Call = Call.READ) -> Permit:
    permit = governor.acquire(call)
    assert isinstance(permit, Permit), permit
    return permit


def busy(governor: Governor, call: Call = Call.READ) -> Busy:
    answer = governor.acquire(call)
    assert isinstance(answer, Busy), answer
    return answer


def answer_all(governor: Governor, *answers: Any) -> None:
    for answer in answers:
        governor.release(take(governor), answer)


# --- threads against a Zoho that counts -------------------------------------------------------------------------------


class CountingZoho:
    """Counts who is inside; refuses what is over its limit, less what a neighbour takes."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.lock = threading.Lock()
        self.inside = self.highest = self.posts = self.highest_posts = self.refused = self.made = 0
        self.work = threading.Event()  # never set: what a call waits on for a moment

    def call(self, call: Call) -> Any:
        post = call is Call.POST
        with self.lock:
            self.made += 1
            if self.inside >= self.limit:
                self.refused += 1
                return THROTTLED
            self.inside += 1
            self.posts += post
            self.highest, self.highest_posts = max(self.highest, self.inside), max(self.highest_posts, self.posts)
        self.work.wait(0.01)
        with self.lock:
            self.inside -= 1
            self.posts -= post
        return LeadsRead({})


@pytest.mark.parametrize("limit", [1, 5, 15])
def test_never_over_the_limit_in_any_interleaving(workers: Workers, limit: int) -> None:
    """24 threads of 4 workers, posts and reads mixed: all permits are used, never one more, and all come back."""
    zoho = CountingZoho(limit)
    governors = [workers.governor(limit, wait=20.0) for _ in range(4)]

    def work(number: int) -> None:
        random = Random(number)
        for _ in range(15):
            call = random.choice([Call.POST, Call.POST, Call.READ])
            permit = take(governors[number % 4], call)
            governors[number % 4].release(permit, zoho.call(call))

    with ThreadPoolExecutor(24) as pool:
        list(pool.map(work, range(24)))
    assert zoho.made == 24 * 15
    assert zoho.refused == 0
    assert limit - 2 <= zoho.highest <= limit
    assert zoho.highest_posts <= min(limit, MAX_POSTS)
    assert workers.standing(limit).held == 0


def test_the_permit_of_a_dead_holder_returns_when_its_lease_ends(workers: Workers) -> None:
    governor = workers.governor(limit=1)
    lost = take(governor)
    busy(governor)
    workers.clock.time += LEASE + 0.001
    permit = take(governor)
    governor.release(lost, USABLE)  # it was not dead, only late: nobody loses a permit by that
    busy(governor)
    governor.release(permit, USABLE)
    take(governor)


def test_taking_is_one_round_trip_and_returning_is_one(workers: Workers) -> None:
    governor = workers.governor()
    governor.release(take(governor), USABLE)  # the scripts are loaded now
    client, sent = workers.clients[-1], []
    send = client.execute_command

    def noting(*words: Any, **options: Any) -> Any:
        sent.append(words[0])
        return send(*words, **options)

    client.execute_command = noting
    for answer in (USABLE, THROTTLED, replace(LOST, credits_left=3)):
        sent.clear()
        governor.release(take(governor), answer)
        assert sent == ["EVALSHA", "EVALSHA"]
        workers.clock.time += 1.0


# --- 429 --------------------------------------------------------------------------------------------------------------


def test_one_429_closes_the_gate_for_all_at_once(workers: Workers) -> None:
    one, other = workers.governor(), workers.governor()
    one.release(take(one), replace(THROTTLED, retry_after=30.0))
    for call in Call:
        assert busy(other, call).in_seconds == pytest.approx(30.0)
    assert "429" in workers.standing().gate_why
    workers.clock.time += 30.0
    take(other)


def test_a_shorter_gate_does_not_open_a_longer_one(workers: Workers) -> None:
    governor = workers.governor()
    first, second = take(governor), take(governor)
    governor.release(first, replace(THROTTLED, retry_after=30.0))
    governor.release(second, THROTTLED)
    assert busy(governor).in_seconds == pytest.approx(30.0)


def test_simultaneous_429s_lower_the_limit_once(workers: Workers) -> None:
    """By half; and a later one lowers it once more."""
    governors = [workers.governor(10) for _ in range(4)]
    permits = [take(governors[number % 4]) for number in range(10)]
    governors[0].release(permits.pop(), THROTTLED)
    assert workers.standing(10).learnt == 5
    with ThreadPoolExecutor(10) as pool:
        list(pool.map(lambda pair: governors[pair[0] % 4].release(pair[1], THROTTLED), enumerate(permits)))
    assert workers.standing(10).learnt == 5
    workers.clock.time += 60.0
    again = [take(governors[0]) for _ in range(5)]
    busy(governors[1])
    governors[0].release(again[-1], THROTTLED)
    assert workers.standing(10).learnt == 2


def test_answers_raise_the_limit_again_until_it_is_whole(workers: Workers) -> None:
    governor = workers.governor(10)
    permits = [take(governor) for _ in range(10)]
    governor.release(permits[-1], THROTTLED)
    for permit in permits[:-1]:
        governor.release(permit, USABLE)  # these began before: they say nothing of the lower limit
    assert workers.standing(10).learnt == 5
    workers.clock.time += 1.0

    def fill() -> int:
        running = [take(governor) for _ in range(workers.standing(10).learnt)]
        with ThreadPoolExecutor(10) as pool:
            list(pool.map(lambda permit: governor.release(permit, USABLE), running))
        return workers.standing(10).learnt

    assert [fill() for _ in range(5)] == [6, 7, 8, 9, 9]  # there it waits, below what was too much
    workers.clock.time += Congestion().patience
    assert [fill() for _ in range(2)] == [10, 10]


# --- outages ----------------------------------------------------------------------------------------------------------


def begin_outage(workers: Workers, governor: Governor, answer: Any = LOST) -> None:
    answer_all(governor, *[answer] * Holding().unusable_in_a_row)
    hold = workers.standing().hold
    assert hold is not None
    assert hold.kind is HoldKind.OUTAGE


def until_probe(workers: Workers) -> None:
    hold = workers.standing().hold
    assert hold is not None
    workers.clock.time += hold.next_probe + 0.001


@pytest.mark.parametrize("answer", [LOST, NotSent(Unsent.CONNECT, "connection refused")])
def test_so_many_unusable_answers_in_a_row_hold_all_calls(workers: Workers, answer: Any) -> None:
    one, other = workers.governor(), workers.governor()
    most = Holding().unusable_in_a_row
    answer_all(one, *[answer] * (most - 1), USABLE, *[answer] * (most - 1), THROTTLED)
    workers.clock.time += 1.0  # the gate
    answer_all(other, *[answer] * (most - 1))
    assert workers.standing().hold is None
    answer_all(one, answer)
    said = busy(other, Call.POST)
    assert "no usable answer" in said.why
    assert 0 < said.in_seconds <= Holding().probe_base


def test_of_twenty_threads_one_is_the_probe(workers: Workers) -> None:
    """Again and again while it lasts; and the first usable answer lets everybody go on."""
    governors = [workers.governor() for _ in range(4)]
    begin_outage(workers, governors[0])

    def all_at_once() -> list[Permit]:
        barrier = threading.Barrier(20)

        def ask(number: int) -> Permit | Busy:
            barrier.wait(10)
            return governors[number % 4].acquire([Call.POST, Call.STATUS, Call.READ][number % 3])

        with ThreadPoolExecutor(20) as pool:
            return [answer for answer in pool.map(ask, range(20)) if isinstance(answer, Permit)]

    for tries in range(6):
        assert all_at_once() == []
        until_probe(workers)
        (probe,) = all_at_once()
        assert probe.hold is not None
        assert probe.hold.tries == tries
        workers.clock.time += 29.0  # it hangs; nobody else goes
        assert all_at_once() == []
        governors[1].release(probe, LOST)
        hold = workers.standing().hold
        assert hold is not None
        assert hold.next_probe <= Holding().probe_cap
    until_probe(workers)
    (probe,) = all_at_once()
    governors[2].release(probe, USABLE)
    assert workers.standing().hold is None
    assert len(all_at_once()) == LIMIT


def test_the_answer_to_a_call_that_began_before_may_end_it_and_cannot_prolong_it(workers: Workers) -> None:
    governor = workers.governor()
    late, later = take(governor), take(governor)
    begin_outage(workers, governor)
    before = workers.standing().hold
    governor.release(late, LOST)
    assert workers.standing().hold == before
    governor.release(later, USABLE)
    assert workers.standing().hold is None


def test_a_probe_whose_worker_died_is_followed_by_another(workers: Workers) -> None:
    one, other = workers.governor(), workers.governor()
    begin_outage(workers, one)
    until_probe(workers)
    take(one)  # and is never heard of again
    workers.clock.time += LEASE - 1.0
    busy(other)
    workers.clock.time += 1.001
    assert take(other).hold is not None


def test_a_probe_that_was_not_used_is_given_back(workers: Workers) -> None:
    """The chunk was somebody else's, or there was no access token: nobody has asked Zoho anything."""
    governor = workers.governor()
    begin_outage(workers, governor)
    until_probe(workers)
    for answer in (None, NotSent(Unsent.NO_TOKEN, "too many refreshes")):
        governor.release(take(governor), answer)
    assert take(governor).hold is not None


def test_a_probe_is_rather_a_status_call_than_a_post(workers: Workers) -> None:
    """As long as there are jobs to ask about; and for a moment only."""
    governor = workers.governor()
    begin_outage(workers, governor)
    workers.redis.sadd(workers.keys.jobs, "1")
    until_probe(workers)
    assert 0 < busy(governor, Call.POST).in_seconds <= Holding().cheap_first
    workers.redis.delete(workers.keys.jobs)
    post = take(governor, Call.POST)
    governor.release(post, None)
    workers.redis.sadd(workers.keys.jobs, "1")
    governor.release(take(governor, Call.STATUS), None)
    workers.clock.time += Holding().cheap_first
    take(governor, Call.POST)


# --- time that Zoho asks for ----------------------------------------------------------------------------------------

A_DAY = replace(THROTTLED, retry_after=86_400.0)


def test_a_retry_after_of_a_day_is_probed_every_few_minutes_and_the_first_answer_ends_it(workers: Workers) -> None:
    one, other = workers.governor(), workers.governor()
    one.release(take(one), A_DAY)
    seen = workers.standing()
    assert seen.hold is not None
    assert (seen.hold.kind, seen.gate_for, seen.learnt) == (HoldKind.ASKED, 0.0, LIMIT)
    assert "asked to wait for 24 h" in busy(other, Call.POST).why
    probes = 0
    for _ in range(1200):  # twenty minutes, second by second
        workers.clock.time += 1.0
        answer = other.acquire(Call.READ)
        if isinstance(answer, Permit):
            probes += 1
            assert isinstance(one.acquire(Call.READ), Busy)
            other.release(answer, A_DAY)
    assert 3 <= probes <= 5
    workers.clock.time += Holding().asked_probe
    other.release(take(other), USABLE)
    assert workers.standing().hold is None
    take(one)
    take(other)


def test_a_person_ends_it_at_once(workers: Workers) -> None:
    governor = workers.governor()
    governor.release(take(governor), A_DAY)
    organisation = Ledger(workers.redis, workers.keys.account, Tuning(), workers.clock).organisation
    assert organisation.resume()
    assert not organisation.resume()
    take(governor)
    take(governor)


# --- credits, rate, share ---------------------------------------------------------------------------------------------


def test_answers_that_overtake_one_another_do_not_add_credits(workers: Workers) -> None:
    """The first says that the reserve is reached; one that Zoho gave before it comes in after it."""
    governor = workers.governor()
    early, late = take(governor), take(governor)
    governor.release(late, replace(USABLE, credits_left=503))
    governor.release(early, replace(USABLE, credits_left=506))
    seen = workers.standing()
    assert seen.hold is not None
    assert (seen.hold.kind, seen.credits_left) == (HoldKind.CREDITS, 503)


def test_near_the_reserve_all_calls_stop_but_a_probe_every_few_minutes_and_begin_again_by_themselves(
    workers: Workers,
) -> None:
    one, other = workers.governor(), workers.governor()
    answer_all(one, replace(USABLE, credits_left=505))
    answer_all(one, replace(USABLE, credits_left=504))
    seen = workers.standing()
    assert seen.hold is not None
    assert (seen.hold.kind, seen.credits_left) == (HoldKind.CREDITS, 504)
    assert "504 of the day's API credits are left, of which 500 are kept" in busy(other, Call.POST).why
    probes = 0
    for _ in range(3600):  # an hour, second by second
        workers.clock.time += 1.0
        answer = other.acquire(Call.READ)
        if isinstance(answer, Permit):
            probes += 1
            other.release(answer, replace(THROTTLED, credits_left=0) if probes < 6 else replace(USABLE, credits_left=0))
    assert 11 <= probes <= 14
    until_probe(workers)
    other.release(take(other), replace(USABLE, credits_left=700))
    assert workers.standing().hold is None
    assert workers.standing().learnt == LIMIT  # 429s for want of credits say nothing of calls at once
    take(one, Call.POST)


@pytest.mark.parametrize("rate", [1, 30, 60, 600])
def test_no_minute_has_more_calls_than_the_setting_allows(workers: Workers, rate: int) -> None:
    """All workers together, however hard they try."""
    rules = CallRules(calls_a_minute=rate)
    governors = [workers.governor(100, rules=rules) for _ in range(2)]
    taken: list[float] = []
    while workers.clock.time < 1_800_000_000.0 + 150.0:
        answer = governors[len(taken) % 2].acquire(Call.READ)
        if isinstance(answer, Permit):
            taken.append(workers.clock.time)
            governors[0].release(answer, USABLE)
        else:
            workers.clock.time += max(0.001, answer.in_seconds)
    assert max(sum(start <= at < start + 60.0 - 0.01 for at in taken) for start in taken) <= rate
    assert len(taken) >= 2.3 * rate * 0.95


def test_while_a_post_waits_polls_take_a_share_and_never_starve(workers: Workers) -> None:
    governor = workers.governor(10)
    workers.redis.zadd(workers.keys.inboxes, {"f": workers.clock.time})  # leads wait behind it
    polls = [take(governor, Call.STATUS) for _ in range(10)]  # nobody wants to post: they may have all
    busy(governor, Call.POST)
    for permit in polls[:5]:
        governor.release(permit, USABLE)
        busy(governor, Call.READ)
        take(governor, Call.POST)
    busy(governor, Call.POST)
    governor.release(polls[5], USABLE)
    take(governor, Call.STATUS)  # half of them


def test_while_one_of_the_last_posts_waits_polls_have_one_permit(workers: Workers) -> None:
    """Looks are all that is left then, and they fill the permits to the end. (What waits for company is no end.)"""
    governor = workers.governor(10)
    workers.redis.zadd(workers.keys.inboxes, {"f": workers.clock.time + 1.0})
    polls = [take(governor, Call.STATUS) for _ in range(10)]
    busy(governor, Call.POST)
    for permit in polls[:9]:
        governor.release(permit, USABLE)
        busy(governor, Call.READ)
        take(governor, Call.POST)
    busy(governor, Call.POST)
    governor.release(polls[9], USABLE)
    take(governor, Call.STATUS)


def test_no_permit_idles_for_a_post_that_waits_no_more(workers: Workers) -> None:
    governor = workers.governor(10)
    polls = [take(governor, Call.STATUS) for _ in range(10)]
    busy(governor, Call.POST)
    governor.release(polls[0], USABLE)
    workers.clock.time += governor_module._SLICE  # within which who waits would have asked again
    busy(governor, Call.STATUS)
    workers.clock.time += 0.4
    take(governor, Call.STATUS)


def test_no_permit_idles_for_a_post_that_has_its_own(workers: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not for a moment, however many others are left."""
    monkeypatch.setattr(governor_module, "_SLICE", 30.0)
    governor, waiting = workers.governor(10), workers.governor(10, wait=30.0)
    polls = [take(governor, Call.STATUS) for _ in range(10)]
    thread = threading.Thread(target=take, args=(waiting, Call.POST))
    thread.start()
    until(lambda: workers.redis.exists(workers.keys.permits_wanted), 10, "the POST to wait")
    governor.release(polls[0], USABLE)
    thread.join(10)
    governor.release(polls[1], USABLE)
    take(governor, Call.STATUS)


def test_the_only_permit_is_for_posts_and_polls_in_turn(workers: Workers) -> None:
    governor = workers.governor(1)
    post = take(governor, Call.POST)
    busy(governor, Call.POST)
    governor.release(post, USABLE)
    take(governor, Call.STATUS)


def test_one_who_was_woken_in_vain_wakes_the_next(workers: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    """A poll that is woken and finds its share used up must not keep the POST behind it waiting."""
    monkeypatch.setattr(governor_module, "_SLICE", 30.0)  # nobody asks again by himself
    holder = workers.governor(2)
    poll, post = take(holder, Call.STATUS), take(holder, Call.POST)
    got: list[Call] = []

    def wait_for(call: Call) -> threading.Thread:
        governor = workers.governor(2, wait=30.0)

        def wait() -> None:
            permit = take(governor, call)
            got.append(call)
            governor.release(permit, USABLE)

        waiting = int(workers.redis.info("clients")["blocked_clients"])
        thread = threading.Thread(target=wait)
        thread.start()
        until(lambda: workers.redis.info("clients")["blocked_clients"] > waiting, 10, f"the {call.value} to wait")
        return thread

    second_poll, second_post = wait_for(Call.STATUS), wait_for(Call.POST)
    holder.release(post, USABLE)
    second_post.join(15)
    second_poll.join(15)  # the POST that has ended makes room for it: no other waits
    assert got == [Call.POST, Call.STATUS]
    holder.release(poll, USABLE)


# --- what somebody else has written -----------------------------------------------------------------------------------


@pytest.mark.parametrize("junk", ["", "many", "-7", "nan", "1e400"])
def test_what_is_no_number_in_redis_stops_nobody(workers: Workers, junk: str) -> None:
    keys, redis = workers.keys, workers.redis
    for key, names in {
        keys.gate: ("until",),
        keys.hold: ("kind", "probe", "wait", "tries", "since"),
        keys.learnt: ("calls", "event", "ceiling", "at", "row"),
        keys.limit: ("calls", "source"),
        keys.credits: ("left", "at"),
    }.items():
        redis.hset(key, mapping=dict.fromkeys(names, junk))
    redis.set(keys.unusable, junk)
    redis.set(keys.rate, junk)
    if junk == "1e400":  # infinity is a number, and so is what it says
        redis.delete(keys.gate, keys.rate)
    governor = workers.governor(rules=CallRules(calls_a_minute=100_000))
    workers.standing()
    for answer in (USABLE, LOST, THROTTLED, replace(USABLE, credits_left=3)):
        governor.release(take(governor), answer)
        workers.clock.time += 61.0
    assert workers.standing().hold is not None
    redis.hset(keys.hold, mapping={"kind": "outage", "probe": junk, "wait": junk, "tries": junk, "since": junk})
    if junk != "1e400":
        assert take(governor).hold is not None
