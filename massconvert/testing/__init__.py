"""For the tests of apps that enqueue: a Zoho, a Redis and the workers, all inside the test's own process and time.

With the extra ``[testing]`` pytest finds two fixtures by itself, see ``plugin``:

    def test_a_won_quote_is_converted(mass_convert, zoho_crm):
        batch = shop.on_quote_won(quote)                       # the app's own code, which enqueues
        assert batch.progress().converted == 1
        assert zoho_crm.truth()[quote.lead_id]["converted"]

The ledger, its scripts, the steps and the client are the real ones, the Zoho is the simulator; only the wire, the clock
and the broker are replaced. So an outcome here is one that production could show.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from massconvert.testing.bench import FakeCrm as FakeCrm
    from massconvert.testing.bench import StuckError as StuckError

__all__ = ["FakeCrm", "StuckError"]


if not TYPE_CHECKING:  # as in massconvert/__init__.py

    def __getattr__(name: str) -> object:
        if name not in __all__:
            raise AttributeError(f"module 'massconvert.testing' has no attribute {name!r}")
        return getattr(import_module("massconvert.testing.bench"), name)
