"""``python -m massconvert`` is the command ``massconvert``."""

from __future__ import annotations

import sys

from massconvert.cli import main

sys.exit(main())
