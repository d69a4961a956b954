"""What a rehearsal has seen, which workers and dry runs go by: in words, and what of it somebody should know."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timezone

from massconvert.doctor.finding import Finding, ok, warning
from massconvert.doctor.site import Site
from massconvert.model import Observed
from massconvert.words.next_command import next_command

#: After this many days what was seen may have changed.
_OLD = 365
_DAY = 86_400.0
#: A job that is not known any more at this age may not have ended, in seconds.
_SHORT_LIFE = 3600.0


def check_rehearsal(site: Site) -> Iterator[Finding]:
    """Whether something was seen, and what speaks for care."""
    seen = site.ledger.rehearsed.look()
    command = next_command("rehearse", account=site.settings.account)
    if seen is None:
        yield ok("rehearsal", f"Nothing was rehearsed. What Zoho leaves open is found out in a sandbox: {command}")
        return
    day = datetime.fromtimestamp(seen.at, timezone.utc).date()
    told = "; ".join(_facts(seen)) or "nothing that numbers depend on"
    yield ok("rehearsal", f"Observed on {day}{f' in {seen.where}' if seen.where else ''}: {told}.")
    if seen.converts_twice:
        what = "A lead in two jobs at once is converted twice by this organisation."
        yield warning(
            "rehearsal", what, "Let no other program convert the same leads: massconvert never sends one twice."
        )
    gone = seen.status_gone
    if gone is not None and gone < _SHORT_LIFE:
        what = f"A job is not known any more {gone:.0f} s after it was taken."
        yield warning("rehearsal", what, "Nothing is lost: its leads are read instead, which takes more calls.")
    if site.clock.now() - seen.at > _OLD * _DAY:
        yield warning("rehearsal", f"What was rehearsed is of {day}.", f"Zoho may have changed: {command}")


def _facts(seen: Observed) -> Iterator[str]:
    if seen.post_credits is not None:
        yield f"a mass convert call costs {seen.post_credits:g} credits"
    if seen.longest_job is not None:
        yield f"jobs took up to {seen.longest_job:g} s"
    if seen.read_lag is not None:
        yield f"reads lag by {seen.read_lag:g} s"
    if seen.one_bad_id_refuses_all is not None:
        yield "one bad id refuses a payload" if seen.one_bad_id_refuses_all else "a bad id fails alone"
    if seen.ids_a_read is not None:
        yield f"a read takes {seen.ids_a_read} ids"
    if seen.links is not None:
        how = "link to contacts or accounts that are there" if seen.links else "make new contacts and accounts"
        yield f"conversions {how}"
