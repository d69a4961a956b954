"""Which leads of a batch are tried again, with what, and what the batch is called that tries them: pure."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from massconvert.errors import InputError
from massconvert.leads import parse_lead_id
from massconvert.model import Code, Kind, LeadRow, Outcome, dump_brought, load_brought
from massconvert.options import deal_templates, deals_only, doubted, fingerprint
from massconvert.words.next_command import next_command

#: Codes of leads that may be converted, for all that anybody knows.
DOUBTS = frozenset({Code.NOT_VISIBLE, Code.STATE_UNKNOWN})

#: Codes of leads that were left to a person.
HELD = frozenset({Code.MATCH_FOUND, Code.MATCH_UNCLEAR})

_NAMED = 20  # leads in an error
# Characters of a batch's name in that of its retry: a name has at most 200, and a retry may be retried.
_ROOM_FOR_A_BATCH = 180


@dataclass(frozen=True)
class ToRetry:
    """Which leads are to be tried again: all that failed, or those with ``codes``, ``lead_ids``, ``among`` these.

    One that was held is tried where its code is named, or somebody has ``decided`` what it is linked to. With
    ``deals``: those that are converted and whose deals could not be updated.
    """

    codes: Collection[str] = ()
    lead_ids: Collection[str] = ()
    among: Collection[str] | None = None
    decided: Collection[str] = ()
    deals: bool = False


def leads_to_retry(batch_id: str, rows: Iterable[LeadRow], wanted: ToRetry, *, account: str) -> list[str]:
    """The leads among ``rows`` that can be tried again and are ``wanted``.

    ``account`` is the batch's. Raises InputError when there are none, or one of its ``lead_ids`` is not among them.
    """
    codes, deals = wanted.codes, wanted.deals
    ids = frozenset(map(parse_lead_id, wanted.lead_ids))
    found: list[str] = []
    seen: set[str] = set()
    other = cancelled = False
    for row in rows:
        cancelled = cancelled or (row.outcome is not None and row.outcome.kind is Kind.CANCELLED)
        if row.outcome is None or not (_has_failed(row.outcome) or _has_no_deal(row.outcome) or _is_held(row, wanted)):
            continue
        if wanted.among is not None and row.lead_id not in wanted.among:
            continue
        if _has_no_deal(row.outcome) is not deals:
            other = True
            continue
        seen.add(row.outcome.code)
        if (not codes or row.outcome.code in codes) and (not ids or row.lead_id in ids):
            found.append(row.lead_id)
    look = f"To see its outcomes: {next_command('report', batch_id, account=account)}"
    if not found:
        what = "deals to update again" if deals else "failed leads to retry"
        told = f" with {', '.join(sorted(codes))}" if codes and seen else ""
        also = f" Its codes: {', '.join(sorted(seen))}." if seen else ""
        hint = _instead(batch_id, deals, account) if other else look
        if cancelled and not other:
            files = next_command("report", batch_id, "--files", account=account)
            hint = f"Its cancelled leads can be enqueued again: {batch_id}-unprocessed.csv has them, after: {files}"
        raise InputError(f"Batch {batch_id} has no {what}{told}.{also}", hint=hint)
    if missing := sorted(ids.difference(found)):
        more = f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
        named = f"{', '.join(missing[:_NAMED])}{more}"
        raise InputError(f"Not among the leads to retry of batch {batch_id}: {named}. Nothing was enqueued.", hint=look)
    return found


def looked_at_first(body: Mapping[str, Any], rows: Iterable[LeadRow], leads: Collection[str]) -> dict[str, Any]:
    """``body`` for ``leads``: where nobody knows what became of one that was sent, all are read before any is sent."""
    wanted = frozenset(leads)
    codes = (row.outcome.code for row in rows if row.lead_id in wanted and row.outcome is not None)
    return doubted(body) if any(code in DOUBTS for code in codes) else dict(body)


def deals_to_retry(batch_id: str, body: Mapping[str, Any], *, bare: int) -> dict[str, Any]:
    """Of ``body``, what the deals of converted leads are updated with, ``bare`` of which bring no values of their own.

    Raises InputError where there is nothing to update those with.
    """
    if bare and not deal_templates(body):
        raise InputError(
            f"The options have nothing that the deals of batch {batch_id} could be updated with.",
            hint='A text of the deal must name fields of the lead: "Deal_Name": "{Company} {Last_Name}".',
        )
    return deals_only(body)


def brought_again(
    before: Mapping[str, str], now: Mapping[str, str], leads: Collection[str], *, unlinked: bool
) -> tuple[dict[str, str], dict[str, str]]:
    """What ``leads`` bring to their retry, and what of that is not as it was.

    What a lead brings ``now`` counts, and else what it brought ``before``: values and link each for itself.
    """
    values: dict[str, str] = {}
    for lead in leads:
        text = before.get(lead, "")
        if lead in now or (unlinked and text):
            (old_deal, old_link), (deal, link) = load_brought(text), load_brought(now.get(lead))
            deal = deal or old_deal
            text = json.dumps(deal, separators=(",", ":"), ensure_ascii=False) if deal else ""
            text = dump_brought(text, link or (None if unlinked else old_link))
        if text:
            values[lead] = text
    changed = {lead: values.get(lead, "") for lead in leads if values.get(lead, "") != before.get(lead, "")}
    return values, changed


def retry_key(
    batch_id: str, body: Mapping[str, Any], leads: Iterable[str], changed: Mapping[str, str] = MappingProxyType({})
) -> str:
    """The name of the batch that tries ``leads`` of ``batch_id`` again with the options ``body``: always the same.

    ``changed`` is what leads bring that they did not before.
    """
    more = {"brought": changed} if changed else {}
    digest = fingerprint({"batch": batch_id, "options": body, "leads": sorted(leads), **more})[:8]
    return f"{batch_id[:_ROOM_FOR_A_BATCH]}.{digest}"


def _has_failed(outcome: Outcome) -> bool:
    """What is not a lead id cannot be sent, however often."""
    return outcome.kind is Kind.FAILED and outcome.code != Code.INVALID_ID


def _is_held(row: LeadRow, wanted: ToRetry) -> bool:
    """Whether a lead was left to a person, who has decided: its code is named, or what it is linked to."""
    if row.outcome is None or row.outcome.code not in HELD:
        return False
    return row.outcome.code in wanted.codes or row.lead_id in wanted.decided


def _has_no_deal(outcome: Outcome) -> bool:
    return outcome.kind is Kind.CONVERTED and outcome.code == Code.DEAL_NOT_UPDATED


def _instead(batch_id: str, deals: bool, account: str) -> str:
    """What the batch has to retry, where it is not what was asked for."""
    if deals:
        return f"Leads of it failed. To try those again: {next_command('retry', batch_id, account=account)}"
    again = next_command("retry", batch_id, "--deals", account=account)
    return f"Deals of it were not updated. To try those again: {again}"
