"""Which leads of a batch are tried again, and what the batch is called that tries them: pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from massconvert.errors import InputError
from massconvert.leads import parse_lead_id
from massconvert.model import Code, Kind, LeadRow
from massconvert.options import fingerprint

_NAMED = 20  # leads in an error
# Characters of a batch's name in that of its retry: a name has at most 200, and a retry may be retried.
_ROOM_FOR_A_BATCH = 180


def failed_leads(
    batch_id: str, rows: Iterable[LeadRow], codes: Collection[str], lead_ids: Collection[str]
) -> list[str]:
    """The leads among ``rows`` that failed and can be tried again: all, or those with ``codes``, ``lead_ids``.

    Raises InputError when there are none, or one of ``lead_ids`` is not among them.
    """
    ids = frozenset(map(parse_lead_id, lead_ids))
    found: list[str] = []
    seen: set[str] = set()
    for row in rows:
        # What is not a lead id cannot be sent, however often.
        if row.outcome is None or row.outcome.kind is not Kind.FAILED or row.outcome.code == Code.INVALID_ID:
            continue
        seen.add(row.outcome.code)
        if (not codes or row.outcome.code in codes) and (not ids or row.lead_id in ids):
            found.append(row.lead_id)
    look = f"To see its outcomes: massconvert report {batch_id}"
    if not found:
        told = f" with {', '.join(sorted(codes))}" if codes and seen else ""
        also = f" Its codes: {', '.join(sorted(seen))}." if seen else ""
        raise InputError(f"Batch {batch_id} has no failed leads to retry{told}.{also}", hint=look)
    if missing := sorted(ids.difference(found)):
        more = f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
        named = f"{', '.join(missing[:_NAMED])}{more}"
        raise InputError(f"Not among the leads to retry of batch {batch_id}: {named}. Nothing was enqueued.", hint=look)
    return found


def retry_key(batch_id: str, body: Mapping[str, Any], leads: Iterable[str]) -> str:
    """The name of the batch that tries ``leads`` of ``batch_id`` again with the options ``body``: always the same."""
    digest = fingerprint({"batch": batch_id, "options": body, "leads": sorted(leads)})[:8]
    return f"{batch_id[:_ROOM_FOR_A_BATCH]}.{digest}"
