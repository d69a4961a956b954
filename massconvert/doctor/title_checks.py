"""The ledger: its format, and whose it is."""

from __future__ import annotations

from collections.abc import Iterator

from massconvert.doctor.finding import Finding, ok, warning, wrong
from massconvert.doctor.site import Site
from massconvert.errors import LedgerMismatchError
from massconvert.ownership import Ownership


def check_title(site: Site) -> Iterator[Finding]:
    """Whether this version may work on the ledger, and these credentials with it."""
    try:
        if site.settings.credentials_digest:
            why = Ownership(site.ledger.title, site.settings, lambda: site.zoho, afresh=True).demand()
        else:
            why = ""
            site.ledger.title.demand_format()
    except LedgerMismatchError as error:
        yield wrong("ledger", error.message, error.hint)
        return
    owner = site.ledger.title.owner()
    if why:
        what = f"Whether the ledger is of these credentials' organisation cannot be told now: {why}."
        yield warning("ledger", what, "Workers send nothing before it is known. Ask again when Zoho answers.")
    elif owner:
        yield ok("ledger", f"The ledger of account {site.settings.account} belongs to {owner}.")
    else:
        yield ok("ledger", f"The ledger of account {site.settings.account} belongs to nobody yet.")
