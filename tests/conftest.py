"""What all tests share."""

from __future__ import annotations

from hypothesis import settings

# Machines are shared, and a stalled one is no reason to call an example slow; pytest's own timeout bounds each test.
settings.register_profile("shared machine", deadline=None)
settings.load_profile("shared machine")
