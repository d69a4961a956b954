"""Foresee: look for what some leads match, as a payload of them is matched, and write nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from massconvert.model import Busy, Call, LeadsRead, Link, Matching, Trouble
from massconvert.policy.foresight import Foreseen, not_convertible
from massconvert.policy.matching import Found, fields_to_read, wanted
from massconvert.steps.ask import ask
from massconvert.steps.match import look_for
from massconvert.steps.ports import Ports


@dataclass(frozen=True)
class SeenLeads:
    """What was seen of some leads, in their order: the ``fields`` of those that can be converted, and what of them Zoho
    has; how the others are ``barred``; the ``links`` that somebody has given.
    """

    leads: tuple[str, ...]
    fields: Mapping[str, Mapping[str, str]]
    barred: Mapping[str, Foreseen] = field(default_factory=dict)
    found: Found = field(default_factory=Found)
    links: Mapping[str, Link] = field(default_factory=dict)


def read_for_matching(ports: Ports, leads: Sequence[str], rules: Matching) -> SeenLeads | Trouble | Busy:
    """Read up to 50 leads; what they match is yet to be looked for."""
    read = ask(ports, Call.READ, lambda: ports.zoho.read_leads(leads, fields_to_read(rules)))
    if isinstance(read, Busy):
        return read
    answer = read.answer
    if not isinstance(answer, LeadsRead):
        return answer
    barred = {
        lead: why
        for lead in leads
        if (why := not_convertible(lead, answer.states.get(lead), unclear=answer.is_unclear(lead)))
    }
    return SeenLeads(tuple(leads), {lead: answer.states[lead].fields for lead in leads if lead not in barred}, barred)


def look_for_all(ports: Ports, fields: Mapping[str, Mapping[str, str]], rules: Matching) -> Found | Trouble | Busy:
    """Look for what leads with these fields match, also where many of their values are odd."""
    left, found = fields, Found()
    while left:
        asked_for = wanted(rules, left)
        some = look_for(ports, asked_for)
        if isinstance(some, Busy):
            return some
        if not isinstance(some, Found):
            return some.answer
        found.take(some)
        left = {lead: left[lead] for lead in asked_for.later}
    return found
