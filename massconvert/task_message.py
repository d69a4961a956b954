"""A ``massconvert.enqueue`` message: the same leads, options and words as `MassConvert.enqueue`, from anybody."""

from __future__ import annotations

from typing import Any

from massconvert.batch import Batch
from massconvert.deal_values import parse_deal_values
from massconvert.errors import InputError
from massconvert.producer import Intake, body_of, calls_of, start_of
from massconvert.profiles import Profile


def take_message(
    intake: Intake,
    lead_ids: Any,
    options: Any,
    key: str,
    profile: Profile | None = None,
    *,
    priority: Any = None,
    canary: Any = None,
    canary_max_failed: Any = None,
    on_complete: Any = None,
    deal_values: Any = None,
) -> Batch:
    """Accept a task message's leads. Nobody is there to be told of a wrong id: it ends as ``failed: INVALID_ID``.

    Raises InputError, OptionsError, KeyConflictError, StoreError, BrokerError.
    """
    body = body_of(options, profile)
    if not isinstance(lead_ids, list | tuple):
        raise InputError(f"massconvert.enqueue takes a list of lead ids, not {type(lead_ids).__name__}.")
    urgent, ahead = start_of(priority, canary, canary_max_failed, profile)
    targets = calls_of(on_complete, profile)
    return intake.take(
        lead_ids,
        body,
        key=key,
        priority=urgent,
        canary=ahead,
        on_complete=targets,
        record_invalid=True,
        deal_values=parse_deal_values(deal_values, lead_ids),
    )
