"""What of Zoho's answer goes into the story of the leads that it is about."""

from __future__ import annotations

from typing import TypeAlias

from massconvert.model import (
    Accepted,
    Busy,
    DealsUpdated,
    JobStatus,
    LeadsRead,
    Linked,
    NotSent,
    Page,
    PerhapsAccepted,
    PostAnswer,
    ReadAnswer,
    RecordsAnswer,
    RecordsFound,
    Refused,
    StatusAnswer,
    UpdateAnswer,
)
from massconvert.model.story import NOTHING_TOLD, Told

Answer: TypeAlias = PostAnswer | StatusAnswer | ReadAnswer | UpdateAnswer | RecordsAnswer | Page | Busy | None


def told_of(answer: Answer) -> Told:
    """What ``answer`` says, for people; nothing where no call was made."""
    if isinstance(answer, Accepted):
        return Told(job_id=answer.job_id)
    if isinstance(answer, Refused):
        path = f" ({answer.paths[0]})" if answer.paths else ""
        return Told(status=answer.status, code=answer.code, message=f"{answer.message}{path}")
    if isinstance(answer, PerhapsAccepted):
        return Told(status=answer.status or 0, code=answer.code, message=answer.detail)
    if isinstance(answer, NotSent):
        return Told(code=answer.code, message=answer.in_words)
    if isinstance(answer, Busy):
        return Told(message=answer.why)
    return Told(message=_counts(answer))


def _counts(answer: JobStatus | LeadsRead | Linked | DealsUpdated | RecordsFound | Page | None) -> str:
    if isinstance(answer, JobStatus):
        failed = f", {answer.failed} failed" if answer.failed else ""
        return f"{answer.converted} of {answer.total} converted{failed}" if answer.total else answer.progress.value
    if isinstance(answer, LeadsRead):
        converted = sum(state.converted for state in answer.states.values())
        return f"{len(answer.states)} shown, {converted} converted"
    if isinstance(answer, Linked):
        made = {"contact": answer.contact_id, "account": answer.account_id, "deal": answer.deal_id}
        return ", ".join(f"{what} {record_id}" for what, record_id in made.items() if record_id)
    if isinstance(answer, DealsUpdated):
        return f"{answer.refused.count(None)} of {len(answer.refused)} updated"
    return NOTHING_TOLD.message
