"""Names in the options of leads that wait: whether the organisation knows them."""

from __future__ import annotations

from collections.abc import Iterator

from massconvert.doctor.finding import Finding, ok, warning, wrong
from massconvert.doctor.site import Site
from massconvert.errors import SettingsError
from massconvert.options import unresolved
from massconvert.steps.check import check, why
from massconvert.wiring import open_ports
from massconvert.words.plurals import number_of

_FIX = "Fix it in the CRM, or cancel the batch and enqueue it with other options."


def check_names(site: Site) -> Iterator[Finding]:
    """Hold the options with which leads wait, and which have names in them, against what the organisation lists."""
    try:
        site.settings.require_zoho()
    except SettingsError:
        return  # the credentials' own check says so
    site.reach_redis()
    named = [(body, leads) for body, leads in site.ledger.waiting_options() if unresolved(body)]
    if not named:
        yield ok("names", "No options that wait have names in them.")
        return
    ports = open_ports(site.settings)
    for body, leads in named:
        waiting = number_of(leads, "lead waits", "leads wait")
        names = ", ".join(sorted({repr(reference.text) for reference in unresolved(body)}))
        found = check(ports, body)
        for problem in found.problems:
            yield wrong("names", f"{waiting} with {problem.path}, which {problem.reason}.", _FIX)
        for listing, trouble in found.unread.items():
            what = f"{waiting} with the names {names}; the {listing.value} cannot be read: {why(trouble)}."
            yield warning("names", what, "See token, scope and calls above.")
        if not found.problems and not found.unread:
            yield ok("names", f"{waiting} with the names {names}, which are known.")
