"""What the look for contacts and accounts means for a payload that waits, before it is written ahead.

Leads that are to be created stay in the payload. Each lead that is linked goes on in a payload of its own. Those that
wait for another lead go on together: they take no room, and are matched again when that lead has ended.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from massconvert.model import (
    Again,
    Chunk,
    Code,
    Done,
    Kind,
    LeadsRead,
    Outcome,
    Refused,
    Settle,
    State,
    Trouble,
    Why,
)
from massconvert.policy.codes import about_ids_of_a_read
from massconvert.policy.deals import deals_aside
from massconvert.policy.matching import Judged, Judgement
from massconvert.policy.names import Unread, not_read
from massconvert.policy.read import barred
from massconvert.policy.table import Decision, Row
from massconvert.policy.timing import Moment, Tuning

#: The codes of leads that are held.
_HELD = {Judgement.HOLD: Code.MATCH_FOUND, Judgement.UNCLEAR: Code.MATCH_UNCLEAR}
_UNREAD = Unread(
    Row.MATCH_NOT_ALLOWED,
    Row.MATCH_THROTTLED,
    Row.MATCH_NOT_READABLE,
    Row.MATCH_RETRY,
    Row.MATCH_GIVE_UP,
    "contacts and accounts could not be looked for",
)


def after_match(
    chunk: Chunk,
    answer: LeadsRead,
    judged: Mapping[str, Judged],
    made: Mapping[str, tuple[str, ...]],
    moment: Moment,
) -> Decision:
    """Decide what becomes of the leads of ``chunk`` (WAITING), by their own state and by what they match.

    ``judged`` has those that can be converted, ``made`` what the conversion of each of those makes (`matching.makes`).
    """
    ended = barred(chunk, answer, moment)
    ended |= {lead: _held(chunk, each) for lead, each in judged.items() if each.verdict in _HELD and lead not in ended}
    parts = _parts(chunk, judged, ended, moment)
    if not parts:
        over = Decision(Row.MATCHED, replace(chunk, state=State.DONE), Done(), outcomes=ended, identities=made)
        return deals_aside(chunk, over, moment)
    first, *others = parts
    row = Row.MATCHED if first.state is State.WAITING else Row.MATCH_UNREAD
    row = Row.MATCH_WAITS if first.why is Why.ANOTHER else row
    wait = first.due_at - moment.now
    what_next = Again(wait) if first.state is State.WAITING else Settle(wait)
    whole = replace(first, leads=chunk.leads)
    parted = Decision(row, whole, what_next, outcomes=ended, asides=tuple(others), identities=made)
    return deals_aside(chunk, parted, moment)


def match_not_read(chunk: Chunk, answer: Trouble, moment: Moment) -> Decision:
    """Decide about a payload for which the leads, or what they match, could not be read: it waits."""
    if isinstance(answer, Refused) and about_ids_of_a_read(answer):  # fewer at once, or an id that is none: as ever
        moved = replace(
            _again(chunk), state=State.SETTLING, why=Why.PREFLIGHT, most=len(chunk.leads), due_at=moment.now
        )
        return Decision(Row.MATCH_UNREAD, moved, Settle(0.0))
    return not_read(chunk, answer, moment, _UNREAD)


def still_behind(chunk: Chunk, moment: Moment) -> Decision:
    """Decide about leads that wait for other leads, none of which has ended: no call is made."""
    wait = _patience(chunk, moment)
    moved = replace(chunk, lags=chunk.lags + 1, due_at=moment.now + wait)
    return Decision(Row.MATCH_WAITS, moved, Again(wait))


def is_matched(chunk: Chunk, tuning: Tuning) -> bool:
    """Whether a claimed payload may be sent, as far as contacts and accounts are concerned.

    Leads of which somebody has said what they are linked to leave it first.
    """
    if chunk.links and chunk.link is None:
        return False
    return chunk.matching is None or 0.0 < chunk.matched_at >= chunk.claimed_at - tuning.match_fresh


def _parts(chunk: Chunk, judged: Mapping[str, Judged], ended: Mapping[str, Outcome], moment: Moment) -> list[Chunk]:
    """The payloads in which the leads go on that have not ended; the first goes on in the place of this one."""
    # An outage of the look is over; one of the payload itself is not, whatever is read meanwhile.
    over = chunk if chunk.sent_at else replace(chunk, outages=0, outage_since=0.0, said=None)
    plain = _again(replace(over, due_at=moment.now))
    matched = replace(plain, lags=0, matched_at=moment.now)
    by: dict[Judgement | None, list[str]] = {}
    for lead in chunk.leads:
        if lead not in ended:
            by.setdefault(judged[lead].verdict if lead in judged else None, []).append(lead)
    parts = [replace(matched, leads=tuple(by[Judgement.CREATE]))] if Judgement.CREATE in by else []
    parts += [replace(matched, leads=(lead,), link=judged[lead].link) for lead in by.get(Judgement.LINK, ())]
    if later := by.get(Judgement.LATER):
        parts.append(replace(plain, leads=tuple(later)))
    if waits := by.get(Judgement.WAIT):
        behind = tuple(dict.fromkeys(digest for lead in waits for digest in judged[lead].behind))
        due, lags = moment.now + _patience(chunk, moment), chunk.lags + 1
        parts.append(replace(plain, leads=tuple(waits), why=Why.ANOTHER, behind=behind, lags=lags, due_at=due))
    if unseen := by.get(None):  # the read does not say whether they are converted: it is made again, as for a preflight
        due = moment.now + moment.backoff(1)
        preflight = replace(plain, state=State.SETTLING, why=Why.PREFLIGHT, most=len(unseen))
        parts.append(replace(preflight, leads=tuple(unseen), due_at=due))
    return parts


def _again(chunk: Chunk) -> Chunk:
    """``chunk`` as it is before it is matched."""
    return replace(chunk, why=Why.NONE, matched_at=0.0, link=None, behind=())


def _patience(chunk: Chunk, moment: Moment) -> float:
    return max(moment.tuning.backoff_base, moment.next_look(chunk.lags))


def _held(chunk: Chunk, judged: Judged) -> Outcome:
    return Outcome(Kind.SKIPPED, _HELD[judged.verdict], judged.words, attempts=chunk.attempts)
