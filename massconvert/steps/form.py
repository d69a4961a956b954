"""Form: take leads out of the inboxes, up to 50 a chunk, while the window has room."""

from __future__ import annotations

from massconvert.ledger import Formed
from massconvert.steps.ports import Ports


def form(ports: Ports) -> Formed:
    """Form what can be formed now. The caller dispatches the chunks; the sweep finds those that it does not."""
    return ports.ledger.chunks.form()
