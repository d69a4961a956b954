"""What signs a web hook, and what checks it: for the app that receives it, so nothing else is loaded.

A web hook has ``X-Massconvert-Signature: t=<Unix seconds>,v1=<hex>``: the HMAC-SHA256 of ``<t>.<body>`` with the secret
MASSCONVERT_WEBHOOK_SECRET. `massconvert.caller` makes the calls.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import time

SIGNATURE_HEADER = "X-Massconvert-Signature"
#: Names what is told: another try of the same call has the same id, so a receiver can leave out what it has had.
DELIVERY_HEADER = "X-Massconvert-Delivery"
#: How old a signature may be, in seconds: a call that somebody recorded cannot be played again later.
TOLERANCE = 300.0


def sign(secret: str, body: bytes, now: float) -> str:
    """The signature header of ``body`` sent at ``now`` (Unix seconds)."""
    stamp = str(int(now))
    digest = hmac.new(secret.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={stamp},v1={digest}"


def verify_webhook(
    secret: str, body: bytes, signature: str, *, tolerance: float = TOLERANCE, now: float | None = None
) -> bool:
    """Whether ``body`` was sent by somebody with ``secret``, at most ``tolerance`` seconds ago.

    ``body`` is the request's, byte for byte; ``signature`` its header ``X-Massconvert-Signature``. Raises nothing: a
    header that is missing, or anything that is not what it should be, does not come from somebody with the secret.
    """
    given: tuple[object, ...] = (secret, body, signature)  # what a framework makes of a request may be anything
    if not all(isinstance(value, kind) for value, kind in zip(given, (str, bytes | bytearray, str), strict=True)):
        return False
    match = re.fullmatch(r"t=([0-9]{1,12}),v1=[0-9a-f]{64}", signature)
    if not secret or not match:
        return False
    try:
        expected = sign(secret, bytes(body), int(match[1]))
    except UnicodeEncodeError:  # a secret with half a character: nobody signs with it
        return False
    age = (time.time() if now is None else now) - int(match[1])
    return abs(age) <= tolerance and hmac.compare_digest(expected, signature)
