"""FastAPI: a won quote's leads are converted, and its page says how far that is.

uvicorn examples.fastapi_app:app
"""

from __future__ import annotations

import logging

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from massconvert import (
    BatchStatus,
    BrokerError,
    Deal,
    InputError,
    MassConvert,
    MassConvertError,
    Options,
    UnknownBatchError,
)

OPTIONS = Options(deal=Deal(name="Won quote", stage="Closed Won", closing_date="+0d"), assign_to="3652397000000281001")

log = logging.getLogger(__name__)
app = FastAPI()
mass_convert = MassConvert()  # connects at its first use; safe to share between threads


class Won(BaseModel):
    """The leads of a quote."""

    lead_ids: list[str]


class Accepted(BaseModel):
    """The batch that was made."""

    batch: str


# `def` and not `async def`: enqueueing waits for Redis, so it belongs into FastAPI's threads and not into its loop.
@app.post("/quotes/{quote}/won", status_code=202)
def won(quote: int, body: Won) -> Accepted:
    """Enqueue its leads. The key makes it safe to press the button twice."""
    key = f"quote-{quote}"
    try:
        mass_convert.enqueue(body.lead_ids, OPTIONS, key=key)
    except BrokerError as error:  # the leads are safe in the ledger; workers find them by themselves
        log.warning("%s", error)
    return Accepted(batch=key)


@app.get("/quotes/{quote}")
def show(quote: int) -> BatchStatus:
    """How far it is."""
    return mass_convert.batch(f"quote-{quote}").progress()


@app.exception_handler(MassConvertError)
def tell(_request: Request, error: MassConvertError) -> JSONResponse:
    """What is wrong, and what to do: 404 and 400 are the caller's, 503 is ours (no Redis)."""
    status = 404 if isinstance(error, UnknownBatchError) else 400 if isinstance(error, InputError) else 503
    return JSONResponse({"error": error.message, "hint": error.hint}, status)
