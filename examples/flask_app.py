"""Flask: a won quote's leads are converted, and its page says how far that is.

flask --app examples.flask_app run
curl -X POST localhost:5000/quotes/7/won --json '{"lead_ids": ["3652397000009850001"]}'
curl localhost:5000/quotes/7
"""

from __future__ import annotations

from dataclasses import asdict

from flask import Flask, request
from flask.typing import ResponseReturnValue

from massconvert import BrokerError, Deal, InputError, MassConvert, MassConvertError, Options, UnknownBatchError

OPTIONS = Options(deal=Deal(name="Won quote", stage="Closed Won", closing_date="+0d"), assign_to="3652397000000281001")

app = Flask(__name__)
mass_convert = MassConvert()  # connects at its first use; safe to share between threads


@app.post("/quotes/<int:quote>/won")
def won(quote: int) -> ResponseReturnValue:
    """Enqueue its leads. The key makes it safe to press the button twice."""
    key = f"quote-{quote}"
    try:
        mass_convert.enqueue(request.get_json()["lead_ids"], OPTIONS, key=key)
    except BrokerError as error:  # the leads are safe in the ledger; workers find them by themselves
        app.logger.warning("%s", error)
    return {"batch": key}, 202


@app.get("/quotes/<int:quote>")
def show(quote: int) -> ResponseReturnValue:
    """How far it is."""
    return asdict(mass_convert.batch(f"quote-{quote}").progress())


@app.errorhandler(MassConvertError)
def tell(error: MassConvertError) -> ResponseReturnValue:
    """What is wrong, and what to do: 404 and 400 are the caller's, 503 is ours (no Redis)."""
    status = 404 if isinstance(error, UnknownBatchError) else 400 if isinstance(error, InputError) else 503
    return {"error": error.message, "hint": error.hint}, status
