"""For an app that has Celery and not massconvert: copy this file into it.

It is all that a producer must know: a name, a queue, and the arguments, whose JSON Schema massconvert ships as
``massconvert/schemas/enqueue.schema.json``. Nobody answers: what is wrong with a message is in the worker's log.
"""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from celery import Celery

#: The most ids that one message may hold (the schema's maxItems).
MOST_IDS = 100_000


def enqueue(app: Celery, lead_ids: list[str], options: dict[str, Any], *, key: str | None = None) -> str:
    """Have these leads converted; return the batch's id. The same ``key`` twice is the same batch.

    ``options`` are the API's own body keys without ``ids``. Raises kombu's OperationalError when no broker is there,
    and ValueError for more leads than one message may hold. With RabbitMQ the app needs publisher confirms to be told
    that a message was refused: ``app.conf.broker_transport_options = {"confirm_publish": True}``.
    """
    if len(lead_ids) > MOST_IDS:
        raise ValueError(
            f"{len(lead_ids)} leads are too many for one message: send {MOST_IDS} at once, with the same key."
        )
    batch_id = key or str(uuid4())
    app.send_task(
        "massconvert.enqueue",
        kwargs={"lead_ids": lead_ids, "options": options, "key": batch_id},
        queue="massconvert",
        ignore_result=True,  # else a producer with a result backend subscribes for each call
        retry_policy={"max_retries": 1},  # an unreachable broker is told within seconds
    )
    return batch_id
