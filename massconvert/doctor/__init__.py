"""Whether all that a conversion needs is there and works: settings, Zoho, Redis, broker, workers, what waits.

`examine` runs every check, each in a bounded time, and returns what it found: ok, warning or wrong, with the fix. A
check is a function from a `Site` to findings; a new one is a line in `examination.CHECKS`.
"""

from __future__ import annotations

from massconvert.doctor.examination import examine
from massconvert.doctor.finding import Finding, Level, worst

__all__ = ["Finding", "Level", "examine", "worst"]
