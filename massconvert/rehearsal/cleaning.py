"""Deleting what a run made, and nothing else; as often as it takes, by any later process.

Deleted is a record that a call of the run made, by its id in the journal; and one whose name begins with the run's
mark: found by a query, or named by a conversion of the run. A record that a conversion names and that has not the mark
is left alone. Nothing is deleted while a job of the run may still make records.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from massconvert.model import Call
from massconvert.policy import Tuning
from massconvert.rehearsal.stage import LONGEST, Stage, converted
from massconvert.rehearsal.wire import ACCOUNTS, CONTACTS, DEALS, LEADS, Answer
from massconvert.zoho.values import id_of, word_of

#: What is deleted first, and the field that has the mark.
NAME_OF = {DEALS: "Deal_Name", CONTACTS: "Last_Name", ACCOUNTS: "Account_Name", LEADS: "Last_Name"}
#: Ids of one call: 50 of 19 digits are less than the 1,024 characters that Zoho documents.
_MOST = 50
#: Seconds before each further try at what could not be deleted.
_TRIES = (0.0, 1.0, 3.0, 5.0)
_JOB_LOOKS = 2.0
#: Why something cannot be deleted now, but perhaps in a moment.
_PASSES = ("RECORD_LOCKED", "TOO_MANY_REQUESTS", "INTERNAL_ERROR")
#: Seconds until reads show what was made, unless the run has seen more.
_LAG = Tuning().read_lag


@dataclass
class Cleaned:
    """What was deleted, by module, and what is left: module and id, and why.

    ``converted_lead`` is what Zoho said of deleting a converted lead; blank where there was none. ``binned``: all is
    out of the recycle bin, too.
    """

    deleted: dict[str, int] = field(default_factory=dict)
    left: dict[tuple[str, str], str] = field(default_factory=dict)
    converted_lead: str = ""
    binned: bool = False

    @property
    def number(self) -> int:
        """How many records were deleted."""
        return sum(self.deleted.values())


def clean_up(stage: Stage) -> Cleaned:
    """Delete what the run of this stage's journal made. Raises what a call raises: then it can be done again."""
    with stage.asking("18"):
        done = Cleaned()
        if not stage.wire.journal.past.wrote:
            stage.wire.journal.cleaned()
            return done
        _await_jobs(stage)
        gone: list[str] = []
        for wait in _TRIES:
            stage.wire.wait(wait)
            done.left = {}
            _find_what_came(stage)
            number = len(gone)
            if not sum(_delete(stage, module, done, gone) for module in NAME_OF):
                break
            if len(gone) == number and not any(code in _PASSES for code in done.left.values()):
                break
        if not done.left:
            done.binned = _empty_bin(stage, gone)
            stage.wire.journal.cleaned()
    return done


def _await_jobs(stage: Stage) -> None:
    """Wait until no job of the run can make records any more, and until reads and queries show those that are made."""
    past, wire = stage.wire.journal.past, stage.wire
    for job, taken in list(past.jobs.items()):
        while wire.now() < taken + LONGEST:
            answer = stage.status(job)
            words = (
                []
                if answer.refused
                else [row[name] for row in answer.items for name in row if word_of(name) == "status"]
            )
            unknown = answer.refused and wire.now() >= taken + stage.job_wait
            if unknown or (words and word_of(words[0]) in ("completed", "failed")):
                wire.journal.job_ended(job, wire.now())
                break
            wire.wait(_JOB_LOOKS)
    if past.unanswered:
        wire.wait(max(0.0, past.wrote + stage.job_wait - wire.now()))
    lag = max(_LAG, float(past.notes.get("read_lag", 0.0)))
    wire.wait(max(0.0, past.wrote + lag - wire.now()))


def _find_what_came(stage: Stage) -> None:
    """Read what the leads of the run have become: the journal notes it, and it is needed where there are no queries."""
    leads = stage.wire.journal.past.made.get(LEADS, [])
    for start in range(0, len(leads), _MOST):
        stage.read(leads[start : start + _MOST])


def _delete(stage: Stage, module: str, done: Cleaned, gone: list[str]) -> int:
    """Delete what there is of a module; how many records there were."""
    rows = _there(stage, module, done)
    turned = {record for record, row in rows.items() if converted(row)}
    ids = list(rows)
    for start in range(0, len(ids), _MOST):
        some = ids[start : start + _MOST]
        query = {"ids": ",".join(some), "wf_trigger": "false"}
        answer = stage.call(Call.UPDATE, "DELETE", module, query)
        said = _said(answer, some)
        deleted = [record for record, why in said.items() if not why]
        gone += deleted
        done.deleted[module] = done.deleted.get(module, 0) + len(deleted)
        done.left |= {(module, record): why for record, why in said.items() if why}
        for record in turned & said.keys():
            done.converted_lead = f"refused: {said[record]}" if said[record] else "deleted"
    return len(rows)


def _said(answer: Answer, ids: Sequence[str]) -> dict[str, str]:
    """Why each of these was not deleted; blank where it was."""
    if answer.refused or answer.lost:
        return dict.fromkeys(ids, answer.code or answer.lost or str(answer.status))
    found = dict.fromkeys(ids, "Zoho does not say")
    for item in answer.items:
        details = item.get("details")
        record = id_of(details.get("id")) if isinstance(details, Mapping) else ""
        if record in found:
            found[record] = "" if word_of(item.get("status")) == "success" else str(item.get("code") or "no code")
    return found


def _there(stage: Stage, module: str, done: Cleaned) -> dict[str, Mapping[str, Any]]:
    """The records of the run that there are, by id."""
    name, mark = NAME_OF[module], stage.cast.mark.casefold()
    past = stage.wire.journal.past
    made, known = set(past.made.get(module, ())), past.records(module)
    found = {record: row for record, row in _marked(stage, module, name) if _has(row, name, mark)}
    wanted = [record for record in known if record not in found]
    for start in range(0, len(wanted), _MOST):
        some = wanted[start : start + _MOST]
        query = {"ids": ",".join(some), "fields": f"{name},Converted__s" if module == LEADS else name}
        answer = stage.call(Call.READ, "GET", module, query | ({"converted": "both"} if module == LEADS else {}))
        if answer.refused or answer.lost:
            done.left |= {(module, record): f"it cannot be read: {answer.in_words}" for record in some}
            continue
        rows = {id_of(row.get("id")): row for row in answer.items}
        ours = {record: row for record, row in rows.items() if record in made or _has(row, name, mark)}
        found |= {record: row for record, row in ours.items() if record in some}
    return found


def _marked(stage: Stage, module: str, name: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """What a query finds by the mark; nothing where there can be no queries."""
    columns = f"id, {name}" + (", Converted__s" if module == LEADS else "")
    answer = stage.select(columns, module, f"{name} like '{stage.cast.mark}%'")
    for row in () if answer.refused else answer.items:
        if record := id_of(row.get("id")):
            yield record, row


def _has(row: Mapping[str, Any], name: str, mark: str) -> bool:
    return str(row.get(name) or "").casefold().startswith(mark)


def _empty_bin(stage: Stage, ids: Collection[str]) -> bool:
    """Take these out of the recycle bin as well, where the token may."""
    every = list(ids)
    for start in range(0, len(every), _MOST):
        query = {"ids": ",".join(every[start : start + _MOST])}
        answer = stage.call(Call.UPDATE, "DELETE", "settings/recycle_bin", query)
        if answer.refused or answer.lost:
            return False
    return bool(every)
