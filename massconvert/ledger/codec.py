"""How values lie in Redis: a chunk's hash, an outcome's JSON, and back.

A value that was tampered with is refused with a `LedgerError` that names the key, never half believed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import astuple
from typing import Any

from massconvert.errors import LedgerError
from massconvert.model import (
    HELD_FOR_CANARY,
    BatchState,
    BatchStatus,
    CanaryCounts,
    Chunk,
    DealUpdate,
    Failing,
    Fared,
    Kind,
    Link,
    Outcome,
    Refusal,
    State,
    Why,
    load_brought,
)
from massconvert.options import deal_templates, is_doubted, matching_of
from massconvert.policy import Look
from massconvert.policy.polling import LONGEST, SHORTEST

#: A part of a chunk's members: a batch and its leads.
_SEGMENT = re.compile(r"([^;=,\s]+)=([0-9]+(?:,[0-9]+)*)")

#: The fields of `CanaryCounts` in a batch's hash.
_CANARY = ("canary", "canary_ended", "canary_failed")
#: The form of options that only versions read that know of `matching_of`.
_FORM = 2
_OUTCOME_FIELDS = ("code", "message", "job_id", "attempts", "contact_id", "account_id", "deal_id")


def dump_outcome(outcome: Outcome) -> str:
    """An outcome as compact JSON: a list without its trailing blanks."""
    values: list[Any] = [outcome.kind.value, *(getattr(outcome, name) for name in _OUTCOME_FIELDS)]
    while values and not values[-1]:
        values.pop()
    return json.dumps(values, separators=(",", ":"), ensure_ascii=False)


def load_outcome(text: str, where: str) -> Outcome:
    """The outcome that ``text`` holds; ``where`` names its key in an error."""
    try:
        kind, *values = json.loads(text)
        return Outcome(Kind(kind), **dict(zip(_OUTCOME_FIELDS, values, strict=False)))
    except (ValueError, TypeError) as error:
        raise unreadable(where) from error


def dump_refusal(refusal: Refusal) -> str:
    """Zoho's words as a JSON list: code, message, path."""
    return json.dumps([refusal.code, refusal.message, refusal.path], separators=(",", ":"), ensure_ascii=False)


def load_refusal(text: str, where: str) -> Refusal:
    """Zoho's words back from JSON."""
    try:
        code, message, path = json.loads(text)
        return Refusal(str(code), str(message), str(path))
    except (ValueError, TypeError) as error:
        raise unreadable(where) from error


def dump_look(look: Look) -> str:
    """What was learnt of jobs, as a JSON list; one that an older version wrote comes out as it was."""
    values: list[Any] = [look.seconds, look.at, int(not look.scout), look.soon, look.soon_at, look.row, look.scout]
    while len(values) > 3 and not values[-1]:
        values.pop()
    return json.dumps(values)


def load_looks(fields: Mapping[str, str]) -> dict[int, Look]:
    """What was learnt of jobs, by the size of their payload. Raises LedgerError."""
    try:
        looks = {int(size): _load_look(*json.loads(text)) for size, text in fields.items()}
    except (ValueError, TypeError, LookupError) as error:
        raise unreadable("looks") from error
    if not all(SHORTEST <= look.seconds <= LONGEST and 0.0 <= look.soon <= LONGEST for look in looks.values()):
        raise unreadable("looks")
    return looks


def _load_look(
    seconds: Any, at: Any, _found: Any, soon: Any = 0.0, soon_at: Any = 0.0, row: Any = 0, scout: Any = ""
) -> Look:
    return Look(float(seconds), float(at), float(soon), float(soon_at), int(row), str(scout))


def dump_chunk(chunk: Chunk) -> dict[str, str]:
    """The fields of a chunk that a decision may change; a blank one is deleted."""
    return {
        "state": chunk.state.value,
        "due": repr(chunk.due_at),
        "attempts": _count(chunk.attempts),
        "outages": _count(chunk.outages),
        "outage_since": repr(chunk.outage_since) if chunk.outage_since else "",
        "polls": _count(chunk.polls),
        "lags": _count(chunk.lags),
        "submitted": "1" if chunk.submitted else "",
        "reached": repr(chunk.reached_at) if chunk.reached_at else "",
        "job": chunk.job_id,
        "why": chunk.why.value,
        "named": ",".join(chunk.named),
        "said": dump_refusal(chunk.said) if chunk.said else "",
        "updates": _dump_updates(chunk.updates),
        "failing": "" if chunk.failing == Failing() else json.dumps(astuple(chunk.failing)),
        "most": _count(chunk.most),
        "matched": repr(chunk.matched_at) if chunk.matched_at else "",
        "link": _dump_link(chunk.link),
        "behind": ",".join(chunk.behind),
        "claimed": str(chunk.claimed_converted) if chunk.claimed_converted >= 0 else "",
    }


def load_chunk(chunk_id: str, fields: Mapping[str, str]) -> Chunk:
    """The chunk that a claim handed out, from its hash and what the claim added about its options."""
    where = f"chunk:{chunk_id}"
    options = _load_options(fields, where)
    try:
        return _chunk(chunk_id, fields, options, where)
    except (KeyError, ValueError, TypeError) as error:
        raise unreadable(where) from error


def _chunk(chunk_id: str, fields: Mapping[str, str], options: dict[str, Any], where: str) -> Chunk:
    return Chunk(
        id=chunk_id,
        fingerprint=fields["fp"],
        state=State(fields["state"]),
        leads=_load_leads(fields["members"]),
        options=options,
        options_accepted=fields.get("accepted") == "1",
        refusal=_load_refusal(fields, where),
        token=fields["token"],
        attempts=int(fields.get("attempts", "0")),
        outages=int(fields.get("outages", "0")),
        outage_since=float(fields.get("outage_since", "0")),
        polls=int(fields.get("polls", "0")),
        lags=int(fields.get("lags", "0")),
        most=int(fields.get("most", "0")),
        submitted=fields.get("submitted") == "1",
        reached_at=float(fields.get("reached", "0")),
        doubted=is_doubted(options),
        express=fields.get("express") == "1",
        deal=deal_templates(options),
        **_about_brought(fields.get("deal_values", "")),
        updates=_load_updates(fields.get("updates", "")),
        **_about_matching(fields, options),
        job_id=fields.get("job", ""),
        why=Why(fields.get("why", "")),
        named=tuple(filter(None, fields.get("named", "").split(","))),
        said=load_refusal(fields["said"], where) if fields.get("said") else None,
        failing=_load_failing(fields.get("failing", "")),
        fared=_load_fared(fields),
        claimed_converted=int(fields.get("claimed", "-1")),
        created_at=float(fields["created"]),
        since=_load_since(fields.get("since", ""), fields["members"]),
        sent_at=float(fields.get("sent_at", "0")),
        send_by=float(fields.get("send_by", "0")),
        due_at=float(fields["due"]),
        claimed_at=float(fields.get("claimed_at", "0")),
        trace=fields.get("trace", ""),
        history=fields.get("history_now", ""),
        broken_at=float(fields["broken_at"]) if "broken_at" in fields else None,
    )


def _about_matching(fields: Mapping[str, str], options: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "matching": matching_of(options),
        "matched_at": float(fields.get("matched", "0")),
        "link": _load_link(fields.get("link", "")),
        "behind": tuple(filter(None, fields.get("behind", "").split(","))),
        "freed": fields.get("freed") == "1",
    }


def _load_leads(members: str) -> tuple[str, ...]:
    leads = tuple(open_leads(members))
    if not leads or not all(map(str.isdecimal, leads)):
        raise ValueError("no leads")
    return leads


def _load_since(times: str, members: str) -> dict[str, float]:
    batches = segments(members)
    made = [float(time) for time in times.split(",")] if times else []
    return {lead: at for (_, leads), at in zip(batches, made, strict=True) for lead in leads} if made else {}


def _load_refusal(fields: Mapping[str, str], where: str) -> Refusal | None:
    """The refusal of its options, if it came since the chunk was made; an acceptance since has taken it back."""
    since = "refusal" in fields and float(fields["created"]) < float(fields.get("refused_at", "0"))
    return load_refusal(fields["refusal"], where) if since else None


def _load_fared(fields: Mapping[str, str]) -> Fared:
    answered, converted, trial_at = (float(fields.get(name, "0")) for name in ("answered", "converted", "trial_at"))
    return Fared(answered, converted, fields.get("trial", ""), trial_at)


def _load_failing(text: str) -> Failing:
    if not text:
        return Failing()
    lost, jobs, alone, lost_since, jobs_since, own, blamed, sorted_out, root, unknown_at = json.loads(text)
    counts, times = (int(lost), int(jobs), int(alone)), (float(lost_since), float(jobs_since))
    return Failing(*counts, *times, bool(own), bool(blamed), bool(sorted_out), str(root), float(unknown_at))


def _dump_updates(updates: Sequence[DealUpdate]) -> str:
    rows = [[u.lead_id, u.deal_id, u.contact_id, u.account_id, dict(u.values)] for u in updates]
    return json.dumps(rows, separators=(",", ":"), ensure_ascii=False) if rows else ""


def _load_updates(text: str) -> tuple[DealUpdate, ...]:
    return tuple(DealUpdate(*row) for row in json.loads(text)) if text else ()


def _dump_link(link: Link | None) -> str:
    return json.dumps([link.contact_id, link.account_id, dict(link.deal), link.tags]) if link else ""


def _load_link(text: str) -> Link | None:
    if not text:
        return None
    contact_id, account_id, deal, tags = json.loads(text)
    return Link(str(contact_id), str(account_id), dict(deal), tuple(map(str, tags)))


def _about_brought(text: str) -> dict[str, Any]:
    """What the leads of a chunk bring."""
    brought = {lead: load_brought(each) for lead, each in json.loads(text).items()} if text else {}
    return {
        "deal_values": {lead: deal for lead, (deal, _) in brought.items() if deal},
        "links": {lead: link for lead, (_, link) in brought.items() if link},
    }


def _load_options(fields: Mapping[str, str], chunk: str) -> dict[str, Any]:
    """The options of a chunk. It names the key that holds them, which may be the chunk's for want of a fingerprint."""
    where = f"options:{fields['fp']}" if "fp" in fields else chunk
    try:
        text = fields.get("resolved") or fields["options_json"]
    except KeyError as error:
        raise unreadable(where) from error
    return load_options(text, where)


def dump_options(body: Mapping[str, Any]) -> str:
    """Options as compact JSON."""
    return json.dumps(kept_options(body), separators=(",", ":"), ensure_ascii=False, sort_keys=True)


def kept_options(body: Mapping[str, Any]) -> Any:
    """Options as they are kept: those that an older version must not ignore as a list, which it refuses to read."""
    return [_FORM, body] if matching_of(body) else body


def load_options(text: str, where: str) -> dict[str, Any]:
    """Options back from JSON; ``where`` names their key in an error."""
    try:
        return options_of(json.loads(text))
    except (ValueError, TypeError) as error:
        raise unreadable(where) from error


def options_of(kept: Any) -> dict[str, Any]:
    """Options back from what `kept_options` made. Raises ValueError, TypeError."""
    if isinstance(kept, list):
        form, kept = kept
        if form != _FORM:
            raise ValueError("options of a later version")
    return {**kept}


def load_status(account: str, batch_id: str, fields: Mapping[str, str], *, paused: bool) -> BatchStatus:
    """The counts of a batch, from its hash. Raises LedgerError when something else has written to it."""
    try:
        return _status_of(account, batch_id, fields, paused=paused)
    except (KeyError, ValueError) as error:
        raise unreadable(f"batch:{batch_id}") from error


def _status_of(account: str, batch_id: str, fields: Mapping[str, str], *, paused: bool) -> BatchStatus:
    counts = {
        name: int(fields.get(name, "0")) for name in ("total", "sent", "converted", "failed", "skipped", "cancelled")
    }
    ended = counts["converted"] + counts["failed"] + counts["skipped"] + counts["cancelled"]
    held = fields.get("held") or (HELD_FOR_CANARY if "canary_held" in fields else "")
    state = BatchState.PAUSED if paused or held else BatchState.RUNNING
    if "finished" in fields:
        state = BatchState.CANCELLED if counts["cancelled"] else BatchState.FINISHED
    return BatchStatus(
        account=account,
        batch=batch_id,
        state=state,
        waiting=counts["total"] - counts["sent"] - ended,
        sealed=fields.get("sealed") == "1",
        created_at=float(fields["created"]),
        finished_at=float(fields["finished"]) if "finished" in fields else None,
        held=held,
        held_by=fields.get("held_by", ""),
        held_since=float(fields["held_at"]) if held != HELD_FOR_CANARY and "held_at" in fields else None,
        already_queued=int(fields.get("elsewhere", "0")),
        deals_not_updated=int(fields.get("not_updated", "0")),
        canary=CanaryCounts(*(int(fields[name]) for name in _CANARY)) if "canary" in fields else None,
        **counts,
    )


def segments(members: str) -> list[tuple[str, list[str]]]:
    """Take ``batch=lead,lead;batch=lead`` apart into (batch id, leads); what is anything else names no lead."""
    found = (_SEGMENT.fullmatch(part) for part in members.split(";"))
    parts = [match.groups() for match in found if match]
    return [(batch, leads.split(",")) for batch, leads in parts] if len(parts) == members.count(";") + 1 else []


def open_leads(members: str) -> list[str]:
    """All leads of a chunk in payload order: those that have no outcome yet."""
    return [lead for _, leads in segments(members) for lead in leads]


def pairs(flat: Sequence[str]) -> dict[str, str]:
    """A Lua script's flat list of fields and values as a dict."""
    return dict(zip(flat[::2], flat[1::2], strict=True))


def _count(number: int) -> str:
    return str(number) if number else ""


def number(text: str) -> float | None:
    """The number that ``text`` is; ``None`` where it is none."""
    try:
        return float(text)
    except ValueError:
        return None


def unreadable(where: str) -> LedgerError:
    """What to raise where the key ``where`` holds what this version does not write."""
    return LedgerError(
        f"The ledger's {where} cannot be read: something else has written to it, or another version of massconvert.",
        hint="Give massconvert a Redis database of its own, and run one version of it.",
    )
