"""One plain sentence for each event, for people, and how an outcome is known.

An event is a row of the decision table, or a `Mark`. Its name is the same in a lead's story, in the log and in the
metrics: ``python -m massconvert.policy.sentences`` writes the list in docs/stories.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from massconvert.model import Code, Kind, Outcome
from massconvert.model.story import Entry, Mark, Proof
from massconvert.policy.table import Row

#: What happened, by row or mark. What Zoho said in its answer stands behind it.
_SENTENCES: Mapping[Row | Mark, str] = {
    Mark.FORMED: "The lead was put into a payload.",
    Mark.SENDING: "A worker began to send the payload to Zoho.",
    Mark.SPLIT_OFF: "The payload was halved, and the lead went on in the new half.",
    Mark.SET_APART: "The lead went on in a payload apart from the others.",
    Mark.CANCELLED: "The batch was cancelled before the lead was sent again, or at all.",
    Mark.REFUSED_WAITING: "Zoho refused the options while the lead waited, so it was not sent.",
    Mark.ALREADY_QUEUED: "Another batch had the lead at that time, so this batch left it out.",
    Row.ACCEPTED: "Zoho accepted the payload and started a job.",
    Row.BAD_LEADS: "Zoho refused the payload because of some of its leads.",
    Row.UNEXPLAINED: "Zoho refused the payload and did not say for which lead.",
    Row.OPTIONS_REFUSED: "Zoho refused the options of the conversion.",
    Row.OPTIONS_REFUSED_BEFORE: "Zoho had refused these options for another payload, so this one was not sent.",
    Row.TOO_MANY_LEADS: "Zoho takes fewer leads in one payload.",
    Row.NOT_ALLOWED: "Zoho does not allow the conversion, so all work was paused.",
    Row.TOKEN: "Zoho did not take the access token. Nothing was converted.",
    Row.THROTTLED: "Zoho asked for fewer calls. Nothing was converted.",
    Row.NOT_SENT: "The payload did not reach Zoho.",
    Row.NOT_SENT_GIVE_UP: "The payload did not reach Zoho for too long, so we gave up.",
    Row.PERHAPS_ACCEPTED: "Zoho gave no usable answer, so the payload may have been accepted.",
    Row.SENDER_LOST: "The worker died while it sent the payload, so the payload may have been accepted.",
    Row.NO_PERMIT: "The payload waited, since all calls that Zoho allows were in use.",
    Row.TOO_FEW_REPLICAS: "The payload was not sent, since too few Redis replicas had recorded it.",
    Row.PERHAPS_SENT: "Redis lost its latest records, so the payload may have been sent. The leads are read first.",
    Row.PERHAPS_RAN_ON: "Redis lost its latest records, so the job may have ended. It is looked at again.",
    Row.PERHAPS_READ: "Redis lost its latest records, so the leads are read again later.",
    Row.NAMES_FOUND: "All names in the options were found in Zoho.",
    Row.NAME_UNKNOWN: "Zoho has no user, module or portal of a name in the options.",
    Row.NAMES_NOT_READABLE: "Zoho does not allow us to read the names in the options.",
    Row.NAMES_NOT_ALLOWED: "Zoho refused our credentials when the names were looked up, so all work was paused.",
    Row.NAMES_THROTTLED: "Zoho asked for fewer calls when the names were looked up.",
    Row.NAMES_RETRY: "Zoho gave no usable answer when the names were looked up.",
    Row.NAMES_GIVE_UP: "The names could not be looked up for too long, so we gave up.",
    Row.MATCHED: "Contacts and accounts that the lead may belong to were looked for.",
    Row.MATCH_WAITS: "The lead waited for another lead, whose conversion makes a contact or account that both need.",
    Row.MATCH_UNREAD: "The leads could not be read together before they were matched, so they are read apart.",
    Row.MATCH_NOT_READABLE: "Zoho does not allow us to look for contacts and accounts. The leads wait.",
    Row.MATCH_NOT_ALLOWED: "Zoho refused our credentials when contacts were looked for, so all work was paused.",
    Row.MATCH_THROTTLED: "Zoho asked for fewer calls when contacts and accounts were looked for.",
    Row.MATCH_RETRY: "Zoho gave no usable answer when contacts and accounts were looked for.",
    Row.MATCH_GIVE_UP: "Contacts and accounts could not be looked for, so we gave up before anything was sent.",
    Row.LINKED: "Zoho converted the lead at once, and linked it to the records that it matches.",
    Row.LINK_REFUSED: "Zoho refused to link the lead, since it does not match the record.",
    Row.LOOK_LATER: "It was too early to look at the job.",
    Row.JOB_RUNS: "Zoho's job was not finished yet.",
    Row.JOB_ALL_CONVERTED: "Zoho's job ended and converted all leads of the payload.",
    Row.JOB_COUNTS_DIFFER: "Zoho's job ended, but did not convert all leads. Each lead is read.",
    Row.JOB_FAILED: "Zoho's job failed. Each lead is read.",
    Row.JOB_UNKNOWN_YET: "Zoho did not know the new job yet.",
    Row.JOB_UNKNOWN: "Zoho does not know the job any more. Each lead is read.",
    Row.JOB_OVERDUE: "Zoho's job had no end in time. Each lead is read.",
    Row.STATUS_NOT_ALLOWED: "Zoho does not allow us to look at the job, so all work was paused.",
    Row.STATUS_RETRY: "Zoho gave no usable answer about the job.",
    Row.STATUS_THROTTLED: "Zoho asked for fewer calls when we looked at the job.",
    Row.STATUS_NO_PERMIT: "The look at the job waited, since all calls that Zoho allows were in use.",
    Row.PREFLIGHT_PASSED: "The leads were read first, and those that can be converted go out.",
    Row.PREFLIGHT_GIVE_UP: "The leads could not be read for too long, so we gave up before anything was sent.",
    Row.SETTLED: "The leads were read, and each one's outcome is known.",
    Row.READ_LAGS: "The leads were read, but Zoho may not show its latest changes yet.",
    Row.UNCLEAR_APART: "The leads were read. Zoho did not show the state of some, so these are read again alone.",
    Row.UNCLEAR_AGAIN: "The lead was read, but Zoho did not show its state. It is read again.",
    Row.UNCLEAR: "Zoho never showed the state of the lead, so we gave up.",
    Row.STILL_CONVERTING: "The leads were read, and some are converted: a job is at work on the others.",
    Row.UNCONVERTED_AGAIN: "The leads were read, and those that are not converted are sent again.",
    Row.BAD_LEADS_OUT: "The leads were read. The bad ones are out, and the others are sent again.",
    Row.NAMED_OUT: "The leads were read, and nothing but Zoho's refusal explains it: the leads that it means fail.",
    Row.HALVED: "The leads were read, and nothing explains the refusal: the payload is halved.",
    Row.FAILS_HALVED: "The payload went on failing, so it is halved to find out which lead is to blame.",
    Row.FAILS_ALONE: "The lead failed again and again alone, while other payloads got through.",
    Row.OUT_OF_ATTEMPTS: "The lead was read after its last attempt, and it is still not converted.",
    Row.READ_GIVE_UP: "The lead was read, and it is not converted. It was tried for too long, so we gave up.",
    Row.OVERDUE_WATCHED: "The leads were read, and some are not converted. The job is watched on.",
    Row.UNKNOWN_WATCHED: "The leads were read, and some are not converted. They are read again.",
    Row.READ_NOT_ALLOWED: "Zoho does not allow us to read the leads, so all work was paused.",
    Row.READ_RETRY: "Zoho gave no usable answer when the leads were read.",
    Row.READ_TOO_MANY: "Zoho refused to read this many leads at once, or this lead's id.",
    Row.READ_THROTTLED: "Zoho asked for fewer calls when the leads were read.",
    Row.READ_NO_PERMIT: "The read of the leads waited, since all calls that Zoho allows were in use.",
    Row.DEALS_FOUND: "The deal of the lead was found.",
    Row.DEALS_UNREAD: "The deals could not be found for too long, so we gave up. The leads are converted.",
    Row.DEALS_UPDATED: "Zoho answered to the update of the deals, one by one.",
    Row.UPDATE_REFUSED: "Zoho refused to update the deals. The leads are converted.",
    Row.UPDATE_NOT_ALLOWED: "Zoho refused our credentials when deals were updated, so all work was paused.",
    Row.UPDATE_RETRY: "Zoho gave no usable answer when the deals were updated.",
    Row.UPDATE_GIVE_UP: "The deals could not be updated for too long, so we gave up. The leads are converted.",
    Row.UPDATE_THROTTLED: "Zoho asked for fewer calls when the deals were updated.",
    Row.UPDATE_NO_PERMIT: "The update of the deals waited, since all calls that Zoho allows were in use.",
}

#: By the name of the event.
SENTENCES: Mapping[str, str] = {
    **{mark.value: _SENTENCES[mark] for mark in Mark},
    **{row.event: _SENTENCES[row] for row in Row},
}

#: How an outcome is known, in words.
PROOFS: Mapping[Proof, str] = {
    Proof.COUNTS: "Zoho's counts said so",
    Proof.READ: "seen in the lead",
    Proof.NAMED: "Zoho refused it by name",
    Proof.ALONE: "Zoho refused it, or did not answer, when it was sent alone",
    Proof.UNSEEN: "Zoho does not show the lead",
    Proof.UNCLEAR: "Zoho does not show whether it is converted",
    Proof.OPTIONS: "Zoho refused the options",
    Proof.NEVER_SENT: "it was never sent",
    Proof.CANCELLED: "the batch was cancelled",
    Proof.ELSEWHERE: "another batch had it",
    Proof.ANSWERED: "Zoho's answer named its records",
    Proof.MATCHED: "it was compared with contacts and accounts",
    Proof.GIVEN: "what was given is not a lead id",
}

_BY_CODE = {
    Code.ALREADY_QUEUED: Proof.ELSEWHERE,
    Code.INVALID_ID: Proof.GIVEN,
    Code.NOT_FOUND: Proof.UNSEEN,
    Code.NOT_VISIBLE: Proof.UNSEEN,
    Code.STATE_UNKNOWN: Proof.UNCLEAR,
    Code.MATCH_FOUND: Proof.MATCHED,
    Code.MATCH_UNCLEAR: Proof.MATCHED,
}
_BY_EVENT: Mapping[str, Proof] = {
    Mark.REFUSED_WAITING.value: Proof.OPTIONS,
    Row.JOB_ALL_CONVERTED.event: Proof.COUNTS,
    Row.OPTIONS_REFUSED.event: Proof.OPTIONS,
    Row.OPTIONS_REFUSED_BEFORE.event: Proof.OPTIONS,
    Row.NAME_UNKNOWN.event: Proof.OPTIONS,
    Row.TOO_MANY_LEADS.event: Proof.ALONE,
    Row.READ_TOO_MANY.event: Proof.ALONE,
    Row.FAILS_ALONE.event: Proof.ALONE,
    Row.NOT_SENT_GIVE_UP.event: Proof.NEVER_SENT,
    Row.NAMES_GIVE_UP.event: Proof.NEVER_SENT,
    Row.PREFLIGHT_GIVE_UP.event: Proof.NEVER_SENT,
    Row.MATCH_GIVE_UP.event: Proof.NEVER_SENT,
    Row.LINKED.event: Proof.ANSWERED,
}


def how_known(outcome: Outcome, entries: Sequence[Entry]) -> Proof | None:
    """How the outcome of a lead is known, by its story; ``None`` where that does not tell."""
    if outcome.code in _BY_CODE:
        return _BY_CODE[outcome.code]
    if outcome.kind is Kind.CANCELLED:
        return Proof.CANCELLED
    if outcome.kind is Kind.CONVERTED and any(entry.event == Row.JOB_ALL_CONVERTED.event for entry in entries):
        return Proof.COUNTS  # also where its deal came afterwards
    if not entries:
        return None
    if entries[-1].event == Row.NAMED_OUT.event:
        return Proof.ALONE if _refused_alone(entries) else Proof.NAMED
    return _BY_EVENT.get(entries[-1].event, Proof.READ)


def _refused_alone(entries: Sequence[Entry]) -> bool:
    """Whether the last refusal was meant for a lead since that was alone in its payload."""
    leads, alone = 0, False
    for entry in entries:
        leads = entry.leads or leads
        if entry.event in (Row.UNEXPLAINED.event, Row.BAD_LEADS.event):
            alone = leads == 1 and entry.event == Row.UNEXPLAINED.event
    return alone


def as_markdown() -> str:
    """The table of events for the docs."""
    lines = ["| event | what happened |", "| --- | --- |"]
    return "\n".join([*lines, *(f"| `{event}` | {said} |" for event, said in SENTENCES.items())])


if __name__ == "__main__":
    print(as_markdown())
