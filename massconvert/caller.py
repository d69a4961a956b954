"""Call the receivers that a batch names in ``on_complete``: a Celery task by name, or a signed web hook.

A web hook gets the batch's summary as JSON, signed by `massconvert.callbacks`.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from pydantic import SecretStr

from massconvert.callbacks import DELIVERY_HEADER, SIGNATURE_HEADER, sign
from massconvert.errors import BrokerError
from massconvert.model import NotSent, PerhapsAccepted
from massconvert.nudge import Nudge
from massconvert.on_complete.permitted import ANY_OF_AN_APP, Permitted
from massconvert.on_complete.targets import HookTarget, Target, TaskTarget
from massconvert.zoho.transport import Transport

log = logging.getLogger("massconvert")

#: Seconds that a web hook may take in all, and to be connected to.
DEADLINE, CONNECT_TIMEOUT = 10.0, 5.0


class Never(str):
    """Why a call failed that another try would not fix."""


class Caller:
    """Makes the calls. ``secret`` signs those of web hooks, ``now`` (Unix seconds, of this machine) dates them.

    ``permitted`` says whom it may call. Which address a name leads to is looked at when it is connected to.
    """

    def __init__(
        self,
        nudge: Nudge,
        secret: SecretStr,
        permitted: Permitted = ANY_OF_AN_APP,
        *,
        transport: Transport | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._nudge = nudge
        self._secret = secret
        self._permitted = permitted
        self._transport = transport or Transport(
            connect_timeout=CONNECT_TIMEOUT, deadline=DEADLINE, slots=4, refuses=permitted.refuses_address
        )
        self._now = now

    def call(self, target: Target, summary: Mapping[str, Any]) -> str:
        """Call ``target`` with the summary of a batch; return why that failed, or nothing. Raises nothing.

        Where no other try can help, the reason is a `Never`.
        """
        try:
            return self._send(target, summary) if isinstance(target, TaskTarget) else self._post(target, summary)
        except Exception as error:  # the ledger keeps the call, and what is told of it there
            log.exception("A call about a finished batch failed by itself")
            return f"it failed by itself, which is a bug: {type(error).__name__}"

    def _send(self, target: TaskTarget, summary: Mapping[str, Any]) -> str:
        if refused := self._permitted.refuses_task(target.task, target.queue):
            return Never(f"on_complete {refused}")
        args = target.args if target.immutable else (dict(summary), *target.args)
        try:
            self._nudge.send(target.task, target.queue, args, target.kwargs)
        except BrokerError as error:
            return error.message
        return ""

    def _post(self, target: HookTarget, summary: Mapping[str, Any]) -> str:
        if refused := self._permitted.refuses_literal(urlsplit(target.url).hostname or ""):
            return Never(refused)
        secret = self._secret.get_secret_value()
        if not secret:
            return "MASSCONVERT_WEBHOOK_SECRET is not set here, so the call cannot be signed"
        body = json.dumps(summary, ensure_ascii=False, separators=(",", ":")).encode()
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "zoho-mass-convert",
            DELIVERY_HEADER: str(summary.get("delivery", "")),
            SIGNATURE_HEADER: sign(secret, body, self._now()),
        }
        answer = self._transport.exchange("POST", target.url, headers=headers, body=body)
        if isinstance(answer, NotSent | PerhapsAccepted):
            return answer.detail
        return "" if 200 <= answer.status < 300 else f"it answered HTTP {answer.status}"
