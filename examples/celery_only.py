"""An app that has Celery and not massconvert: the leads of its arguments are converted by workers elsewhere.

CELERY_BROKER_URL=redis://127.0.0.1:6379/0 python -m examples.celery_only 3652397000009850001 3652397000009851001
"""

from __future__ import annotations

import os
import sys

from celery import Celery

from examples.massconvert_stub import enqueue

OPTIONS = {
    "Deals": {"Deal_Name": "Won quote", "Stage": "Closed Won", "Closing_Date": "+0d"},
    "assign_to": {"id": "3652397000000281001"},
}

app = Celery("shop", broker=os.environ.get("CELERY_BROKER_URL", "redis://127.0.0.1:6379/0"))
app.conf.broker_transport_options = {
    "socket_timeout": 5,
    "socket_connect_timeout": 5,
    # RabbitMQ only: without it a message that the broker refuses, or never gets, is gone and nobody is told.
    "confirm_publish": True,
}


def quote_won(quote: int, lead_ids: list[str]) -> str:
    """The batch's id; pressing the button twice makes one batch."""
    return enqueue(app, lead_ids, OPTIONS, key=f"quote-{quote}")


if __name__ == "__main__":
    print(quote_won(7, sys.argv[1:]))
