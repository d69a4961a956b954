"""Beat's scheduler."""

from __future__ import annotations

import sys
from pathlib import Path

from celery.beat import PersistentScheduler

from massconvert.contract import Exit


class StateDirScheduler(PersistentScheduler):  # type: ignore[misc]  # Celery ships no types
    """Remembers when each entry last ran, in a file of our state directory, which it makes."""

    def setup_schedule(self) -> None:
        """Make the directory and open the file; without either, say so in a line and end."""
        path = Path(self.schedule_filename)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            super().setup_schedule()
        except OSError as error:
            print(f"Beat cannot write {path}: {error.strerror}.\nSet MASSCONVERT_STATE_DIR.", file=sys.stderr)
            raise SystemExit(int(Exit.UNREACHABLE)) from None
