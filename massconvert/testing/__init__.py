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

from massconvert.testing.bench import FakeCrm, StuckError

__all__ = ["FakeCrm", "StuckError"]
