"""A command that asks Zoho much: each question once more until there is an answer, for a while."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

from massconvert.errors import ZohoError
from massconvert.model import Busy, NotSent, PerhapsAccepted, Refused, Trouble, Unsent
from massconvert.policy.codes import TOKEN_CODES

A = TypeVar("A")

#: Seconds for which Zoho may give no usable answer.
PATIENCE = 300.0
_LONGEST_PAUSE = 30.0


def never(_refused: Refused) -> bool:
    """No refusal is an answer."""
    return False


class Asking:
    """Asks until there is an answer. ``what`` Zoho is asked to do (``tell the ids``), and the hints where it does not.

    ``monotonic`` and ``pause`` are its time, in seconds.
    """

    def __init__(
        self,
        what: str,
        *,
        refused: str,
        away: str = "Try again later.",
        monotonic: Callable[[], float] | None = None,
        pause: Callable[[float], object] | None = None,
    ) -> None:
        self._what, self._if_refused, self._if_away = what, refused, away
        self._monotonic = monotonic or time.monotonic
        self._pause = pause or threading.Event().wait

    def ask(
        self, question: Callable[[], A | Trouble | Busy], *, gives_up: Callable[[Refused], bool] = never
    ) -> A | None:
        """The answer; ``None`` where it is a refusal that ``gives_up`` knows. Raises ZohoError where there is none."""
        until, tries = self._monotonic() + PATIENCE, 0
        while True:
            answer = question()
            if not isinstance(answer, Busy | Refused | NotSent | PerhapsAccepted):
                return answer
            if isinstance(answer, Refused) and gives_up(answer):
                return None
            why = self._why(answer)
            if self._monotonic() >= until:
                raise ZohoError(f"Zoho does not {self._what}: {why}.", hint=self._if_away)
            self._pause(_seconds(answer, tries))
            tries += 1

    def _why(self, answer: Trouble | Busy) -> str:
        """Why there is no answer yet. Raises ZohoError where there will be none."""
        if isinstance(answer, Busy):
            return answer.why
        if isinstance(answer, Refused):
            if answer.status != 429 and answer.code not in TOKEN_CODES:
                raise ZohoError(
                    f"Zoho refuses to {self._what}: {answer.status} {answer.code}: {answer.message}",
                    hint=self._if_refused,
                    code=answer.code,
                )
            return f"{answer.status} {answer.code}"
        if isinstance(answer, NotSent) and answer.why is Unsent.CREDENTIALS:
            raise ZohoError(
                f"Zoho refuses the credentials: {answer.detail}", hint="See docs/errors.md.", code=answer.code
            )
        return answer.detail


def _seconds(answer: Any, tries: int) -> float:
    asked = answer.in_seconds if isinstance(answer, Busy) else getattr(answer, "retry_after", None)
    return min(_LONGEST_PAUSE, asked if asked is not None else 0.5 * 2.0**tries)
