"""The pages about leads: what happened to one, and what became of each of a pasted column."""

from __future__ import annotations

import re
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from massconvert.cli.lead import checked_id, entry_in_words, not_yet_in_words
from massconvert.dashboard.frame import Frame
from massconvert.dashboard.reads import Reads
from massconvert.dashboard.words import failed_so
from massconvert.leads import valid_ids
from massconvert.ledger import FailedWith
from massconvert.model import Kind, Outcome
from massconvert.model.story import Story
from massconvert.policy.codes import words_of
from massconvert.policy.sentences import PROOFS
from massconvert.words.next_command import next_command
from massconvert.words.readable import readable

#: How many leads of a pasted column are looked up: each is looked for in every batch.
MOST = 100
#: The address of a lead in Zoho, as a browser shows it.
_IN_ZOHO = re.compile(r"https?://\S+/Leads/([0-9]+)[^\s,;]*")
#: How often the page of a lead that has not ended asks for what is new, in seconds.
_EVERY = 15
#: The longest message of Zoho's that is shown.
_LONGEST = 500
#: The records of a conversion: what people call each, the CRM's name for its module, and where its id stands.
_RECORDS = (
    ("contact", "Contacts", "contact_id"),
    ("account", "Accounts", "account_id"),
    ("deal", "Potentials", "deal_id"),
)


@dataclass(frozen=True)
class ToldStory:
    """A story for people: how it stands, how that is known, what to do, the records that were made, what happened."""

    story: Story
    state: str
    said: str
    known: str
    do: str
    can_retry: bool
    records: tuple[tuple[str, str, str], ...]
    happened: tuple[tuple[float, str], ...]


class LeadPages:
    """The pages about the leads of one account."""

    def __init__(self, reads: Reads, frame: Frame) -> None:
        self._reads, self._frame = reads, frame

    def lead(self, request: Request) -> Response:
        """What happened to a lead, in each batch that is kept, the newest first."""
        lead_id = checked_id(request.path_params["lead"])
        told = [self._told(story) for story in reversed(self._reads.stories((lead_id,))[lead_id])]
        crm = self._reads.crm()
        link = f"{crm}/crm/tab/Leads/{lead_id}" if crm else ""
        every = _EVERY if any(each.story.outcome is None for each in told) else 0
        days = self._reads.desk.settings.retention_days
        return self._frame.show(request, "lead.html", lead_id=lead_id, told=told, link=link, days=days, every=every)

    def leads(self, request: Request) -> Response:
        """What became of each of some leads, or the form that asks which."""
        given = request.query_params.get("ids", "")
        wrong: dict[str, str] = {}
        ids = tuple(dict.fromkeys(valid_ids(words_in(given), wrong)))
        asked = ids[:MOST]
        stories = self._reads.stories(asked) if asked else {}
        rows = [(lead_id, self._told(told[-1]) if told else None) for lead_id, told in stories.items()]
        left_out, bad = len(ids) - len(asked), [readable(text, longest=60) for text in wrong][:MOST]
        return self._frame.show(request, "leads.html", given=given, rows=rows, wrong=bad, left_out=left_out, most=MOST)

    def _told(self, story: Story) -> ToldStory:
        outcome, crm = story.outcome, self._reads.crm()
        known = PROOFS[story.proof] if story.proof else ""
        records = tuple(
            (name, record, f"{crm}/crm/tab/{module}/{record}" if crm else "")
            for name, module, field in _RECORDS
            if outcome and (record := getattr(outcome, field))
        )
        state = outcome.kind.value if outcome else story.place.value
        return ToldStory(
            story,
            state,
            _how(story, outcome),
            known,
            *_what_to_do(story, outcome),
            records,
            tuple((entry.at, entry_in_words(entry)) for entry in story.entries),
        )


def words_in(given: str) -> list[str]:
    """What was pasted, id by id; of the address of a lead in Zoho its id."""
    return re.findall(r"[^\s,;]+", _IN_ZOHO.sub(r"\1", given))


def _what_to_do(story: Story, outcome: Outcome | None) -> tuple[str, bool]:
    """In words, and whether a button can do it."""
    if outcome is None or outcome.kind is not Kind.FAILED:
        return "", False
    again = next_command("retry", story.batch, "--options", "O.json", account=story.account)
    failed = failed_so(FailedWith(outcome.code, 1, outcome.message, ""), again)
    return failed.do, failed.can_retry


def _how(story: Story, outcome: Outcome | None) -> str:
    if outcome is None:
        words = not_yet_in_words(story)
        return f"{words[:1].upper()}{words[1:]}."
    if not outcome.code:
        return ""
    words, said = words_of(outcome.code), readable(outcome.message, longest=_LONGEST)
    parts = [outcome.code, words, f"“{said}”" if said else ""]
    return ": ".join(part for part in parts if part)
