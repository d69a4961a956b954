"""When a payload that fails as a whole is taken apart: one bad lead takes no other with it; an outage splits nothing.

A payload *fails* when its POST has no usable answer and a look shows nobody converted, or when its job ends without a
conversion. Zoho does not say why. It may be one of the leads; it may as well be Zoho. How *others* fare tells:

1. *It fails again although others came through in between* (their POSTs were answered, or their jobs converted leads):
   it is one of its leads. The payload is halved, and so are its parts, each time they fail: 49 good leads of 50 then
   cost about two payloads for each of six halvings. A lead alone that goes on failing ends with what Zoho said.
2. *Nobody came through in between*: an outage, and halves would fail just as well. Nothing is split.
3. *There are no others to compare with.* Then a payload that has failed a few times in a row is halved on trial. If a
   half comes through, that is the sign of 1. A true outage must not take everything apart meanwhile, so trials are few
   in an account: of POSTs ever fewer in time (`Tuning.trial_pace`), of jobs one payload only (`Tuning.trial`).
"""

from __future__ import annotations

from dataclasses import replace

from massconvert.model import Chunk, Failing, Why
from massconvert.policy.timing import Moment

#: Failures in a row before a payload is split on trial: of POSTs, of jobs.
_LOST_ON_TRIAL, _JOBS_ON_TRIAL = 3, 2
#: How many times as often as a lead alone a payload is tried that cannot be halved.
_LONGER = 3


def lost_again(chunk: Chunk) -> Failing:
    """The POST of ``chunk`` had no usable answer."""
    known, alone = chunk.failing, len(chunk.leads) == 1
    own = 0.0 < known.lost_since < chunk.fared.answered  # as it was known before this payload was sent
    return replace(
        known,
        lost=known.lost + 1,
        lost_since=known.lost_since or chunk.sent_at,
        own=known.own or own,
        blamed=known.blamed or (alone and own),
    )


def job_failed_again(chunk: Chunk) -> Failing:
    """The job of ``chunk`` has ended and converted nobody."""
    known = chunk.failing
    return replace(
        known,
        jobs=known.jobs + 1,
        alone=known.alone + (len(chunk.leads) == 1),
        jobs_since=known.jobs_since or chunk.sent_at,
        own=known.own or 0.0 < known.jobs_since < chunk.fared.converted,
    )


def answered_again(failing: Failing) -> Failing:
    """A payload was answered: its POSTs fail no more."""
    if failing.jobs:
        return replace(failing, lost=0, lost_since=0.0, blamed=False)
    return Failing(sorted_out=failing.sorted_out, unknown_at=failing.unknown_at)


def fails_as_a_whole(chunk: Chunk) -> bool:
    """Whether nothing says which of the leads is to blame."""
    failing = chunk.failing
    return failing.lost > 0 if chunk.why is Why.ANSWER_LOST else failing.jobs > 0 and not failing.sorted_out


def is_its_own(chunk: Chunk) -> bool:
    """Whether others came through while ``chunk``, or what it is a part of, went on failing."""
    fared, failing = chunk.fared, chunk.failing
    if chunk.why is Why.ANSWER_LOST:
        return failing.own and fared.answered > failing.lost_since
    return failing.own and fared.converted > failing.jobs_since


def may_be_tried(chunk: Chunk, moment: Moment) -> bool:
    """Whether ``chunk`` may be split though nobody fares better.

    Payloads without an answer can wait: in an outage one is split ever more seldom, whichever it is. One whose jobs
    fail cannot, since its leads fail when they have had their attempts: one is taken apart as far as it goes.
    """
    failing, fared = chunk.failing, chunk.fared
    if chunk.why is Why.ANSWER_LOST:
        return failing.lost >= _LOST_ON_TRIAL and moment.now >= fared.trial_at
    return failing.jobs >= _JOBS_ON_TRIAL and fared.trial in ("", _root(chunk))


def taken_apart(chunk: Chunk, moment: Moment) -> Failing:
    """What is known of each half: how others fare from now on says more of it."""
    failing = chunk.failing
    return replace(
        failing,
        lost=0,
        jobs=min(failing.jobs, 1),
        lost_since=moment.now if failing.lost else 0.0,
        jobs_since=moment.now if failing.jobs else 0.0,
        own=is_its_own(chunk),
        root=_root(chunk),
    )


def _root(chunk: Chunk) -> str:
    return chunk.failing.root or chunk.id


def is_tried_enough(chunk: Chunk, leads: int, moment: Moment) -> bool:
    """Whether this many ``leads``, left unconverted after a job, have had all their attempts."""
    most = moment.tuning.max_attempts
    if not fails_as_a_whole(chunk):
        return chunk.attempts >= most
    if leads > 1:
        return chunk.failing.jobs >= _LONGER * most
    return chunk.attempts >= most and chunk.failing.alone >= (most if is_its_own(chunk) else 1)


def fails_alone(chunk: Chunk, leads: int, moment: Moment) -> bool:
    """Whether a lead alone had no usable answer often enough, at last though others had one."""
    return leads == 1 and chunk.failing.blamed and chunk.failing.lost >= moment.tuning.max_attempts
