"""When to look at a job: early where calls are idle, once where they are not, and by one caller where nothing is known.

A look too early costs a second one; a look too late costs patience only, since a job that runs at Zoho holds no permit.
Job times themselves cannot be measured: a look says that a job has ended, not when. What can be observed is whether a
look found its job ended. So two waits are tracked, each as a quantile (Robbins and Monro, "A Stochastic Approximation
Method", 1951): a look that came too early lengthens the wait by much, one that did not shortens it by little, and it
rests where the one happens as seldom as it may.

- ``seconds``: 39 of 40 jobs have ended. So jobs are looked at first while payloads wait: calls are the limit then.
- ``soon``: six of seven have. So they are looked at first when no payload waits, again a little later, and again after
  ``seconds``. One of twenty is so while payloads wait, too: else nobody would see that jobs have become much shorter.

One observation counts for each change: looks that were planned before the last one know nothing of it.

*Nothing is known yet*: the first job, the *scout*, is looked at early and ever later; all others of its size come after
it, so that one look at a time finds out, and they profit. A scout whose job takes long gives way to another: it may be
an odd one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

#: Jobs of up to this many leads are learnt together.
SIZES = (5, 20, 50)

#: ln(1.6) / -ln(0.988) is 39, ln(1.1) / -ln(0.98424) is 6: the two balance where one look of 40, of 7, is too early.
LONGER, SHORTER = 1.6, 0.988
SOON_LONGER, SOON_SHORTER = 1.1, 0.98424
#: More than one too early in a row: jobs take longer than before, and each lengthens by more, up to so much.
LONGEST_STEP = 2.0
#: After this many that were not, in a row, jobs take less than before, and each shortens by more.
SHORTER_NOW = 20
#: The share of first looks that come soon although payloads wait.
TRIED = 0.05
#: The second look at a job that was looked at soon: so much later.
SECOND = 1.25
#: The longer wait is at most this many times the shorter one.
APART = 4.0
SHORTEST, LONGEST = 0.2, 60.0
#: The scout is looked at so long after its payload was taken, and then at ages that grow so.
SCOUT_FIRST, SCOUT_GROWTH = 0.5, 1.5
#: A scout whose job has taken so long gives way to another, and comes itself so much later.
SCOUT_LONG, SCOUT_BEHIND = 4.0, 1.15
#: No scout: the next caller becomes it.
OPEN = "-"
#: Others come so long after the scout's next look, in seconds: its answer is there then.
AFTER_SCOUT = 0.25
#: Nearly all jobs have ended after this many times what one took.
ONE_SEEN = 1.2
#: A new scout looks this much later, so that others that know less do not ask for its place over and over.
TAKES_OVER = 0.1
#: A scout that is so late has been lost.
LOST = 15.0


@dataclass(frozen=True)
class Look:
    """How many seconds after its payload a job is first looked at; learnt ``at``, and ``soon`` at ``soon_at``.

    ``row`` first looks have come too early in a row; below zero: how many soon ones have not. While ``scout`` is set
    nothing is known: it names the chunk whose job is looked at, at the age of ``seconds``, which will be ``at``.
    """

    seconds: float
    at: float = 0.0
    soon: float = 0.0
    soon_at: float = 0.0
    row: int = 0
    scout: str = ""

    @property
    def early(self) -> float:
        """The shorter wait; a ledger of before knew of none."""
        return min(self.soon or self.seconds, self.seconds)


@dataclass(frozen=True)
class LookPlan:
    """Look at a job when it is ``due``, in Unix seconds; ``look`` is what this changes for others, if anything."""

    due: float
    look: Look | None = None


def size_of(leads: int) -> int:
    """The class of a job with this many leads."""
    return next((size for size in SIZES if leads <= size), SIZES[-1])


def planned(
    look: Look | None,
    chunk_id: str,
    *,
    sent_at: float,
    now: float,
    idle: bool,
    chance: float,
    scout_first: float = SCOUT_FIRST,
) -> LookPlan:
    """When to look first at the job of a payload that was sent at ``sent_at`` and is taken ``now``.

    ``idle``: no payload waits for a call. While nothing is known, the first look comes after ``scout_first`` seconds.
    """
    if look is None:
        due = now + scout_first
        return LookPlan(due, Look(_within(due - sent_at), due, scout=chunk_id))
    if look.scout:
        return LookPlan(_after_scout(look, sent_at, now) if _is_scouted(look, now) else sent_at + look.seconds)
    # Spread out, so that none coincide; and never to be taken for a soon one.
    wait = look.early if idle or chance < TRIED else look.seconds * (1.03 + 0.05 * chance)
    return LookPlan(max(now + 0.5 * SHORTEST, sent_at + wait))


def put_off(look: Look | None, chunk_id: str, *, sent_at: float, due_at: float, now: float) -> LookPlan | None:
    """When to look at a job instead of now, which was planned while less was known; ``None``: now."""
    if look is None:
        return None
    if not look.scout:
        due = sent_at + look.early
        return LookPlan(due) if due_at < sent_at + 0.98 * look.early and due > now + 0.05 else None
    if look.scout == chunk_id or is_late(look, sent_at=sent_at, now=now):
        return None
    if _is_scouted(look, now):
        return LookPlan(_after_scout(look, sent_at, now))
    if now < sent_at + 0.9 * look.seconds:
        return LookPlan(sent_at + look.seconds)
    due = now + TAKES_OVER
    return LookPlan(due, replace(look, at=due, scout=chunk_id))


def is_late(look: Look, *, sent_at: float, now: float) -> bool:
    """Whether a first look now shows how long we were away, and not how long a job takes."""
    return now - sent_at > 2.0 * look.seconds + 10.0


def given_up(look: Look | None, chunk_id: str, now: float) -> Look | None:
    """What others are to know where the scout's look teaches nothing: the next is one. ``None``: it is no scout's."""
    return replace(look, at=now, scout=OPEN) if look and look.scout == chunk_id else None


def _is_scouted(look: Look, now: float) -> bool:
    """Whether a scout finds out, and has not been lost."""
    return look.scout != OPEN and now < look.at + LOST


def _after_scout(look: Look, sent_at: float, now: float) -> float:
    late = max(AFTER_SCOUT, 0.5 * (now - look.at))  # one that has been lost is not asked for all the time
    return max(sent_at + look.seconds, look.at + AFTER_SCOUT, now + late)


def next_look(look: Look, polls: int, *, sent_at: float, now: float) -> float:
    """When to look again at a job that was still running at ``polls`` looks, in Unix seconds."""
    soonest = now + max(0.5 * SHORTEST, 0.15 * look.early)
    if polls == 1:
        return max(sent_at + min(look.seconds, SECOND * look.early), soonest)
    if now < sent_at + look.seconds:
        return max(sent_at + look.seconds, soonest)
    return now + max(0.5 * SHORTEST, 0.25 * look.seconds * 1.5 ** min(polls - 1, 20))


def next_scouting(look: Look, *, sent_at: float, due_at: float, now: float) -> tuple[float, Look]:
    """When to look again at the scout's job, in Unix seconds, and what others are to know."""
    age = SCOUT_GROWTH * max(look.seconds, due_at - sent_at)
    at, gives_way = max(sent_at + age, now + 0.5 * SHORTEST), due_at - sent_at >= SCOUT_LONG
    due = sent_at + age * SCOUT_BEHIND + 2 * AFTER_SCOUT if gives_way else at
    return due, replace(look, seconds=min(LONGEST, age), at=at, scout=OPEN if gives_way else look.scout)


def relearnt(look: Look, *, polls: int, sent_at: float, due_at: float, now: float, ended: bool) -> Look | None:
    """What a look teaches that was planned for ``due_at``, the first (``polls`` is 0) or a later one at a job.

    ``None`` for nothing. While there is a scout, only a job that has ended teaches.
    """
    wait, age = due_at - sent_at, now - sent_at
    if look.scout:
        wait = max(SHORTEST, min(LONGEST, wait))
        return Look(_within(ONE_SEEN * wait), now, soon=wait, soon_at=now) if ended else None
    if polls > 2 or (ended and age > 1.25 * wait + 1.0):
        return None  # a look so late would have found anything ended
    was_soon = not polls and wait <= 1.02 * look.early
    learnt = _of_soon(look, now, ended=ended) if was_soon and sent_at >= look.soon_at else look
    if sent_at >= look.at and (ended or (wait >= 0.97 * look.seconds and not was_soon)):
        learnt = _of_nearly_all(learnt, now, ended=ended)
    return None if learnt == look else learnt


def _of_soon(look: Look, now: float, *, ended: bool) -> Look:
    row = min(look.row, 0) - 1 if ended else max(look.row, 0) + 1
    step = SOON_SHORTER ** min(4, 1 + abs(row) // SHORTER_NOW) if ended else _step(SOON_LONGER, row)
    soon = _within(look.early * step)
    return replace(look, soon=soon, soon_at=now, row=row, seconds=max(soon, min(look.seconds, APART * soon)))


def _of_nearly_all(look: Look, now: float, *, ended: bool) -> Look:
    if ended:
        return replace(look, seconds=_within(max(look.early, look.seconds * SHORTER)), at=now, row=min(look.row, 0))
    row = max(look.row, 0) + 1
    step = _step(LONGER, row)
    soon = look.early * step if row > 1 else look.early  # all of them take longer
    return replace(
        look, seconds=_within(look.seconds * step), at=now, row=row, soon=_within(soon), soon_at=look.soon_at
    )


def _step(factor: float, row: int) -> float:
    return float(min(LONGEST_STEP, factor ** max(1, row - 1)))


def _within(seconds: float) -> float:
    return max(SHORTEST, min(LONGEST, seconds))
