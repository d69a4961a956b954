"""``massconvert lead``: what became of single leads, step by step, and how that is known."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import typer

from massconvert.cli.console import local_time, out, print_json, say
from massconvert.cli.desk import Desk
from massconvert.cli.layout import Pairs, Prose
from massconvert.cli.reach import find_desk
from massconvert.contract import Exit
from massconvert.errors import InputError
from massconvert.leads import parse_lead_id
from massconvert.model import Outcome
from massconvert.model.story import Entry, Mark, Payload, Story, Told, Whereabouts
from massconvert.policy.sentences import PROOFS, SENTENCES
from massconvert.report import story_record
from massconvert.words.next_command import next_command
from massconvert.words.plurals import number_of
from massconvert.words.readable import readable

#: The most leads at once; a report has all of a batch.
_MOST = 100
_EXAMPLES = """\b
Examples:
  massconvert lead 3652397000009850001
  massconvert lead 3652397000009850001 3652397000009851010
  massconvert lead 3652397000009850001 --json | jq '.leads[0].stories[0].entries'
\b
A story is kept for as long as its batch. Times are this machine's; in JSON they are UTC.
\b
Exit status: 0; 2 where a lead is in no batch that is kept."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("lead", epilog=_EXAMPLES)(_lead)


def _lead(
    leads: Annotated[
        list[str] | None, typer.Argument(metavar="LEAD_ID", help="The ids of the leads.", show_default=False)
    ] = None,
    in_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Tell the story of a lead: its payloads, Zoho's answers, its outcome and how that is known."""
    wanted = _checked(leads or [])
    desk = find_desk()
    found = desk.ledger.stories.of_each(wanted)
    if in_json:
        print_json({"leads": [_as_json(lead, stories) for lead, stories in found.items()]})
    else:
        _show(found)
    unknown = [lead for lead, stories in found.items() if not stories]
    if unknown:
        _say_unknown(desk, unknown)
        raise typer.Exit(Exit.USAGE)


def _checked(given: list[str]) -> list[str]:
    if not given:
        raise InputError("Which lead? No id was given.", hint="Give the id of the lead in Zoho, or several.")
    if len(given) > _MOST:
        many = f"{number_of(len(given), 'lead')} are too many at once: {_MOST} is the most."
        raise InputError(many, hint="Give fewer, or take a report of their batch.")
    return list(dict.fromkeys(map(checked_id, given)))


def checked_id(text: str) -> str:
    """The lead id in ``text``. Raises InputError, which says what is wrong with it."""
    try:
        return parse_lead_id(text)
    except InputError as error:
        raise InputError(f"{readable(text, longest=60)!r} is no lead id: it {error.message}.") from None


def _say_unknown(desk: Desk, leads: list[str]) -> None:
    which = f"lead {leads[0]}" if len(leads) == 1 else f"these leads: {', '.join(leads)}"
    account = desk.settings.account
    say(
        f"No batch that is kept has {which}. Batches are kept for {desk.settings.retention_days:g} days after they "
        f"have finished.\nTo see which there are: {next_command('status', '--all', account=account)}"
    )


def _as_json(lead: str, stories: list[Story]) -> dict[str, Any]:
    return {"lead_id": lead, "stories": [story_record(story) for story in stories]}


def _show(found: dict[str, list[Story]]) -> None:
    console, first = out(), True
    for lead, stories in found.items():
        for story in stories:
            if not first:
                console.print()
            first = False
            console.print(Prose(f"Lead {lead}", "bold"))
            console.print(Pairs(list(_heading(story))))
            for payload in story.payloads:
                console.print(Prose(f"\n{_name_of(payload)}"))
                console.print(Pairs([(_when(entry), entry_in_words(entry)) for entry in payload.entries]))
            apart = [entry for entry in story.entries if not entry.payload]
            if apart:
                console.print()
                console.print(Pairs([(_when(entry), entry_in_words(entry)) for entry in apart]))


def _heading(story: Story) -> Iterator[tuple[str, str]]:
    profile = f" by profile {story.profile}" if story.profile else ""
    yield "batch", f"{story.batch}, account {story.account}"
    yield "enqueued", f"{local_time(story.enqueued_at)}{profile}, {story.priority.value}"
    if story.outcome:
        yield "outcome", _outcome_in_words(story.outcome)
        if story.proof:
            yield "known by", PROOFS[story.proof]
        if made := _made(story.outcome):
            yield "made", made
    else:
        yield "outcome", not_yet_in_words(story)
    if not story.whole and story.place is not Whereabouts.WAITING:
        yield "note", "What an older version of massconvert did is not in this story."


def _outcome_in_words(outcome: Outcome) -> str:
    said = f"{outcome.kind.value} {outcome.code}".rstrip()
    return f"{said}: {readable(outcome.message)}" if outcome.message else said


def _made(outcome: Outcome) -> str:
    ids = (("contact", outcome.contact_id), ("account", outcome.account_id), ("deal", outcome.deal_id))
    return ", ".join(f"{name} {record}" for name, record in ids if record)


def not_yet_in_words(story: Story) -> str:
    """The state of a lead without an outcome; moments in this machine's time zone."""
    if story.place is Whereabouts.WAITING:
        return "none yet: it waits to be put into a payload"
    due = f", next step {local_time(story.due_at)}" if story.due_at else ""
    return f"none yet: its payload is {story.state}{due}"


def _name_of(payload: Payload) -> str:
    leads = f", {number_of(payload.leads, 'lead')}" if payload.leads else ""
    parent = f", split from payload {payload.parent}" if payload.parent else ""
    return f"payload {payload.id}{leads}{parent}"


def _when(entry: Entry) -> str:
    return local_time(entry.at)


def entry_in_words(entry: Entry) -> str:
    """What happened, how often, and what Zoho answered; moments in this machine's time zone."""
    said = SENTENCES.get(entry.event, f"{entry.event}.")
    again = f" ({entry.times:,} times, last {local_time(entry.last_at)})" if entry.times > 1 else ""
    leads = f" [{number_of(entry.leads, 'lead')}]" if entry.event == Mark.SENDING.value else ""
    return f"{said}{again}{leads}{_answer(entry.told)}"


def _answer(told: Told) -> str:
    job = f" Job {told.job_id}." if told.job_id else ""
    head = " ".join(filter(None, (str(told.status or ""), told.code)))
    words = ": ".join(filter(None, (head, readable(told.message))))
    return f"{job} [{words}]" if words else job
