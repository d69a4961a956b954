"""A ``massconvert.enqueue`` message: the same leads, options and words as `MassConvert.enqueue`, from anybody."""

from __future__ import annotations

import logging
import re
from typing import Any

from massconvert.contract import MAX_IDS_A_MESSAGE
from massconvert.errors import InputError
from massconvert.leads.ids import check_batch_key, shown
from massconvert.on_complete.permitted import ANY_OF_AN_APP, Permitted
from massconvert.producer.batch import Batch
from massconvert.producer.deal_values import bring, parse_deal_values, parse_links
from massconvert.producer.intake import Intake, body_of, calls_of, start_of
from massconvert.profiles import Profile

log = logging.getLogger("massconvert")


def chunk_of(named: object) -> str:
    """The chunk that a message names: digits. Any user of the broker may have sent it. Raises InputError."""
    if isinstance(named, str) and re.fullmatch("[0-9]{1,19}", named):
        return named
    raise InputError(f"Dropped a message with the wrong chunk id {shown(named)}: massconvert has not sent it.")


def run_of(named: object) -> str:
    """The run that a message names, which becomes the name of a batch. Raises InputError."""
    try:
        return check_batch_key(named)
    except InputError:
        raise InputError(f"Dropped a message with the wrong run id {shown(named)}.") from None


def profile_of(named: object) -> str:
    """The profile that a message names; whether there is one, its file says. Raises InputError."""
    if isinstance(named, str):
        return named
    raise InputError(f"Dropped a message with the wrong profile name {shown(named)}.")


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
    links: Any = None,
    permitted: Permitted = ANY_OF_AN_APP,
) -> Batch:
    """Accept a task message's leads. Nobody is there to be told of a wrong id: it ends as ``failed: INVALID_ID``.

    Raises InputError, OptionsError, KeyConflictError, StoreError, BrokerError.
    """
    body = body_of(options, profile)
    if not isinstance(lead_ids, list | tuple):
        raise InputError(f"massconvert.enqueue takes a list of lead ids, not {type(lead_ids).__name__}.")
    if len(lead_ids) > MAX_IDS_A_MESSAGE:  # it has come through; to drop it would lose its leads
        log.warning(
            "Batch %s came as a message of %d ids, more than the %d that are sure to get through a broker. "
            "It is accepted. Send several messages with the same key instead.",
            key,
            len(lead_ids),
            MAX_IDS_A_MESSAGE,
        )
    urgent, ahead = start_of(priority, canary, canary_max_failed, profile)
    targets = calls_of(on_complete, profile, permitted)
    return intake.take(
        lead_ids,
        body,
        key=key,
        priority=urgent,
        canary=ahead,
        on_complete=targets,
        record_invalid=True,
        deal_values=bring(parse_deal_values(deal_values, lead_ids), parse_links(links, lead_ids)),
    )
