"""What becomes of a call that failed."""

from __future__ import annotations

from massconvert.policy.timing import Moment


def after_failed_callback(tries: int, first_at: float, moment: Moment) -> float | None:
    """Seconds until the ``tries + 1``-th try, or ``None`` to give up; ``first_at`` is when the batch had finished.

    As patient as with Zoho: backoff up to five minutes, for as long as any outage is borne.
    """
    if moment.now - first_at > moment.tuning.give_up:
        return None
    return moment.backoff(tries + 1)
