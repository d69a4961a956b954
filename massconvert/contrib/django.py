"""Django: enqueue when, and only when, the transaction commits."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from django.db import transaction

from massconvert.errors import BrokerError
from massconvert.options import Options
from massconvert.producer.mass_convert import MassConvert

log = logging.getLogger("massconvert")


def enqueue_on_commit(
    lead_ids: Iterable[str | int],
    options: Options | Mapping[str, Any] | None = None,
    *,
    key: str | None = None,
    using: str | None = None,
    robust: bool = False,
    mass_convert: MassConvert | None = None,
    **start: Any,
) -> str:
    """Enqueue these leads once the transaction of the database ``using`` has committed; return the batch's id now.

    The id is the ``key``, or a new one: keep it in a row that the same transaction writes. ``start`` is passed on to
    `MassConvert.enqueue` (``priority``, ``deal_values``, …); ``mass_convert`` defaults to one of the process' own.
    Outside of a transaction it is enqueued at once; after a rollback, never.

    Raises InputError or OptionsError at once, so that what is wrong rolls the transaction back. After the commit: an
    unreachable broker is logged, since the leads are safe in the ledger; StoreError is raised by the commit (with
    ``robust``, Django logs it instead), and the same call with the same key may be made again: see docs/apps.md.
    """
    leads = list(lead_ids)
    producer = mass_convert or _own(os.getpid())
    producer.check(leads, options, key=key, deal_values=start.get("deal_values"), links=start.get("links"))
    batch_id = key or producer.new_key()

    def enqueue() -> None:
        try:
            producer.enqueue(leads, options, key=batch_id, **start)
        except BrokerError as error:
            log.warning("%s", error)

    transaction.on_commit(enqueue, using=using, robust=robust)
    return batch_id


@lru_cache(maxsize=1)
def _own(pid: int) -> MassConvert:  # noqa: ARG001 - a forked web worker makes connections of its own
    return MassConvert()
