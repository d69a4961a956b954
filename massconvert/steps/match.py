"""Match: look for the contacts and accounts that the leads of a waiting payload may belong to, before it is sent."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from massconvert.model import (
    Busy,
    Call,
    Chunk,
    LeadsRead,
    Listing,
    Matching,
    Next,
    OnMatch,
    RecordsAnswer,
    RecordsFound,
    Trouble,
)
from massconvert.model.template import fields_of, filled
from massconvert.options.lengths import cut, longest
from massconvert.policy import after_match, match_not_read, no_permit, still_behind
from massconvert.policy.matching import (
    Found,
    Judged,
    Judgement,
    Place,
    Questions,
    behind_others,
    fields_to_read,
    folded,
    identities,
    judge,
    makes,
    wanted,
)
from massconvert.steps.ask import Asked, ask
from massconvert.steps.ports import Ports
from massconvert.steps.write import moment, write
from massconvert.zoho.records import MOST_VALUES, part_query, values_query

#: Pages of one query that decide nothing: beyond that nobody knows what their values match.
MOST_DULL = 10
_TAGS = "Tag"
#: Where nothing is looked for.
_NO_RULES = Matching(OnMatch.CREATE, ())
_NOBODY = "nobody@example.invalid"


def match(ports: Ports, chunk: Chunk) -> Next:
    """Match the leads of a claimed chunk (WAITING): read them, claim what identifies them, ask for what they match.

    Leads of which somebody has said what they are linked to are linked to that; nothing is asked for them.
    """
    rules = chunk.matching or _NO_RULES
    if chunk.behind and not chunk.freed:
        return write(ports, chunk, still_behind(chunk, moment(ports, chunk)))
    read = ask(ports, Call.READ, lambda: ports.zoho.read_leads(chunk.leads, _to_read(chunk, rules)))
    if isinstance(read, Busy):
        return _not_read(ports, chunk, read)
    answer = read.answer
    if not isinstance(answer, LeadsRead):
        return _not_read(ports, chunk, Asked(answer, read.probe, read.at))
    leads = {lead: state.fields for lead, state in answer.states.items() if not (state.converted or state.locked)}
    asked_for = wanted(rules, {lead: leads[lead] for lead in chunk.leads if lead in leads and lead not in chunk.links})
    leads = {lead: leads[lead] for lead in chunk.leads if lead in leads and lead not in asked_for.later}
    # Before anything is asked for: what another lead makes from now on is found, or its claim is.
    digests = {lead: tuple(identities(rules, fields).values()) for lead, fields in leads.items()}
    taken = ports.ledger.chunks.claim_identities(digests)
    found = look_for(ports, asked_for)
    if not isinstance(found, Found):
        return _not_read(ports, chunk, found)
    judged = {lead: _judge(chunk, rules, lead, fields, found) for lead, fields in leads.items()}
    if any(each.link for each in judged.values()):
        rows = ports.ledger.shelf.rows(Listing.FIELDS) if chunk.deal else ()
        judged = {lead: _linked(chunk, leads[lead], each, rows) for lead, each in judged.items()}
    made = {lead: makes(rules, leads[lead], each) for lead, each in judged.items()}
    judged |= {
        lead: behind_others(each, made[lead], taken.get(lead, {}), chunk.leads)
        for lead, each in judged.items()
        if lead not in chunk.links
    }
    made = {lead: _claimed(made[lead], taken.get(lead, {}), each) for lead, each in judged.items()}
    judged |= dict.fromkeys(asked_for.later, Judged(Judgement.LATER))
    return write(ports, chunk, after_match(chunk, answer, judged, made, moment(ports, chunk, read)), answer)


def _judge(chunk: Chunk, rules: Matching, lead: str, fields: Mapping[str, str], found: Found) -> Judged:
    link = chunk.links.get(lead)
    return Judged(Judgement.LINK, link) if link else judge(rules, fields, found)


def _claimed(made: Sequence[str], taken: Collection[str], judged: Judged) -> tuple[str, ...]:
    """What a lead goes on to claim; what is somebody else's stays that."""
    return () if judged.verdict is Judgement.WAIT else tuple(digest for digest in made if digest not in taken)


def look_for(ports: Ports, asked_for: Questions) -> Found | Busy | Asked[Trouble]:
    """Ask Zoho for the records that leads may match, each call with a permit of its own; what stops it, as it is."""
    found = Found(set(asked_for.unaskable))
    for place, values in asked_for.plain.items():
        for first in range(0, len(values), MOST_VALUES):
            some = values[first : first + MOST_VALUES]
            if stopped := _pages(ports, found, place, partial(values_query, *place), some):
                return stopped
    for place, part, value in asked_for.odd:
        if stopped := _pages(ports, found, place, partial(_part_query, place, part), (value,)):
            return stopped
    return found


def may_match(ports: Ports, rules: Matching) -> Busy | Trouble | None:
    """What stands in the way of looking for matches, by asking for a record that is not there; ``None``: nothing."""
    for place in dict.fromkeys((each.module, each.field) for each in rules.fields):
        asked = ask(ports, Call.QUERY, partial(_page, ports, values_query(*place, (_NOBODY,)), place))
        if isinstance(asked, Busy):
            return asked
        if not isinstance(asked.answer, RecordsFound):
            return asked.answer
    return None


def _pages(
    ports: Ports, found: Found, place: Place, query: Callable[[Sequence[str], str], str], values: Sequence[str]
) -> Busy | Asked[Trouble] | None:
    """Take all that a query finds for ``values`` into ``found``, page by page; it is made of values and the last id.

    A value that two records have is decided, and left out of the next page: it may have thousands. A page that decides
    nothing is full of records that have a value only as Zoho compares. Its values go on in halves, so that only what
    such records match is known to be unknown.
    """
    asking, dull = [(values, "")], 0
    while asking:
        some, after = asking.pop()
        asked = ask(ports, Call.QUERY, partial(_page, ports, query(some, after), place))
        if isinstance(asked, Busy):
            return asked
        answer = asked.answer
        if not isinstance(answer, RecordsFound):
            return Asked(answer, asked.probe, asked.at)
        found.calls += 1
        found.add(place, answer.records)
        left = found.undecided(place, some)
        if not (left and answer.more and answer.records):
            continue
        after, middle = answer.records[-1].id, len(left) // 2
        if len(left) < len(some):
            asking.append((left, after))
        elif dull < MOST_DULL:
            dull += 1
            asking += [(half, after) for half in (left[:middle], left[middle:]) if half]
        else:
            found.unknown |= {(place, folded(value)) for value in left}
    return None


def _part_query(place: Place, part: str, _values: Sequence[str], after: str) -> str:
    return part_query(*place, part, after)


def _page(ports: Ports, query: str, place: Place) -> RecordsAnswer:
    return ports.zoho.records(query, *place)


def _not_read(ports: Ports, chunk: Chunk, stopped: Busy | Asked[Trouble]) -> Next:
    if isinstance(stopped, Busy):
        return write(ports, chunk, no_permit(chunk, stopped, moment(ports, chunk)), stopped)
    return write(ports, chunk, match_not_read(chunk, stopped.answer, moment(ports, chunk, stopped)), stopped.answer)


def _to_read(chunk: Chunk, rules: Matching) -> tuple[str, ...]:
    """The fields of the leads: those that are compared, and those that the call for a single lead is made of."""
    named = [name for text in chunk.deal.values() for name in fields_of(text)]
    tags = [_TAGS] if chunk.options.get("carry_over_tags") else []
    return tuple(dict.fromkeys((*fields_to_read(rules), *named, *tags)))


def _linked(chunk: Chunk, lead: Mapping[str, str], judged: Judged, rows: Sequence[Mapping[str, Any]]) -> Judged:
    """``judged`` with what the lead's own deal is called, and its tags, where it is linked."""
    if judged.link is None:
        return judged
    texts = {name: filled(of, lead) for name, of in chunk.deal.items()}
    own = {name: cut(text, longest(name, rows) or len(text)) for name, text in texts.items() if text}
    tags = tuple(filter(None, lead.get(_TAGS, "").split(", ")))
    return replace(judged, link=replace(judged.link, deal=own, tags=tags))
