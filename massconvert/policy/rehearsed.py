"""What the pipeline does with what a rehearsal has seen: it waits longer where that is safer, and never shorter.

A rehearsal sees a few jobs of one organisation, perhaps a sandbox. So a wait that keeps a lead from being sent twice
grows with what was seen, and does not shrink by it.
"""

from __future__ import annotations

from dataclasses import replace

from massconvert.model import Observed
from massconvert.policy.polling import SCOUT_LONG
from massconvert.policy.timing import Tuning

#: A later job may take this many times as long as the slowest of a rehearsal.
_SLOWER = 1.5
#: No wait grows beyond this by it, in seconds: a number that is no wait, such as a clock's, must not stop the work.
LONGEST = 3600.0


def tuned(tuning: Tuning, seen: Observed | None) -> Tuning:
    """The pipeline's numbers, with what was seen."""
    if seen is None:
        return tuning
    lag = max(tuning.read_lag, min(LONGEST, seen.read_lag or 0.0))
    job = _SLOWER * (seen.longest_job or 0.0) + (lag if seen.longest_job else 0.0)
    return replace(
        tuning,
        read_lag=lag,
        job_wait=max(tuning.job_wait, min(LONGEST, job)),
        scout_first=max(tuning.scout_first, min(SCOUT_LONG, min(seen.job_seconds.values(), default=0.0))),
        status_lag=max(tuning.status_lag, min(LONGEST, _SLOWER * (seen.job_known_after or 0.0))),
    )
