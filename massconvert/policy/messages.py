"""What becomes of a ``massconvert.enqueue`` message that was not taken: it is the only copy of its leads. Pure.

It ends in one of three places: its batch is in the ledger; our validation has refused it; or it was tried often enough
that only a person can help, and is set aside for one. Anything else sends it back, bugs included.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from massconvert.errors import (
    BrokerError,
    InputError,
    KeyConflictError,
    LedgerMismatchError,
    MassConvertError,
    NotConfiguredError,
    OptionsError,
    StoreError,
)

#: The longest pause before a message is tried again, in seconds: below the broker's visibility timeout, or its copies
#: double; and below it while Redis refuses, since its leads wait for nothing else.
LONGEST_PAUSE, LONGEST_PAUSE_FOR_REDIS = 60.0, 15.0
#: A message is set aside after this many failed tries: one that meets a bug (some minutes), and one that waits for
#: what a person fixes, such as massconvert.toml (an hour). One that waits for Redis never is.
TRIES_OF_A_BUG, TRIES_OF_THE_REST = 8, 60
#: A message whose worker ended before it was done, this many times in a row, is the likely reason.
DELIVERIES = 8

_REFUSED = (InputError, OptionsError, KeyConflictError)


class Fate(Enum):
    """What becomes of a message."""

    TAKEN = "taken"  # its batch is in the ledger, and only a hint to the workers could not be sent
    REFUSED = "refused"  # it is wrong, and stays wrong
    BACK = "back"  # it is tried again
    ASIDE = "aside"  # it is kept for a person


@dataclass(frozen=True)
class MessageVerdict:
    """A fate; ``pause`` is in how many seconds the message comes back, also where it cannot be kept for a person."""

    fate: Fate
    pause: float


def after_failure(error: BaseException, tries: int, *, chance: float) -> MessageVerdict:
    """What becomes of a message that ended in ``error`` after ``tries`` that ended so before; ``chance`` is of [0, 1).

    A name that massconvert.toml does not have may be written into it in a minute, so it is no refusal.
    """
    if isinstance(error, BrokerError):
        return MessageVerdict(Fate.TAKEN, 0.0)
    longest = LONGEST_PAUSE_FOR_REDIS if isinstance(error, StoreError) else LONGEST_PAUSE
    pause = min(longest, 2.0 ** min(tries, 10)) * (0.75 + chance / 4)
    if isinstance(error, _REFUSED) and not isinstance(error, NotConfiguredError):
        return MessageVerdict(Fate.REFUSED, pause)
    return MessageVerdict(Fate.ASIDE if tries >= _patience(error) else Fate.BACK, pause)


def _patience(error: BaseException) -> float:
    # Nor is it set aside in a ledger that is another organisation's, whose people would hand it back there.
    if (isinstance(error, StoreError) and error.code) or isinstance(error, LedgerMismatchError):
        return float("inf")
    return TRIES_OF_THE_REST if isinstance(error, MassConvertError) else TRIES_OF_A_BUG


def in_words(error: BaseException) -> str:
    """Why a message was not taken, in a line."""
    if isinstance(error, MassConvertError):
        return error.message
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
