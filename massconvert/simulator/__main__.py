"""``python -m massconvert.simulator``."""

from __future__ import annotations

from massconvert.simulator.command import main

raise SystemExit(main())
