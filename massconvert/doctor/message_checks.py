"""Messages of apps that workers could not take: those that come back, those set aside, those refused."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timezone

from massconvert.doctor.finding import Finding, ok, warning, wrong
from massconvert.doctor.site import Site
from massconvert.words.next_command import next_command
from massconvert.words.plurals import number_of


def check_messages(site: Site) -> Iterator[Finding]:
    """Whether every message of ``massconvert.enqueue`` was taken."""
    letters = site.ledger.letters
    account = site.settings.account
    counts, late = letters.counts(), letters.late(now=site.clock.now())
    if late:
        what = f"{_messages(len(late))} could not be taken since {_clock(late[0].since)}: {late[0].why}"
        yield warning("messages", what, "It is tried again at least once a minute; fix what it names.")
    for letter in letters.latest("stuck", 1):
        what = f"{_messages(counts['stuck'])} could not be taken, set aside since {_clock(letter.at)}: {letter.why}"
        again = next_command("letters", "--again", "all", account=account)
        yield wrong("messages", what, f"Fix what it names, then: {again}")
    for letter in letters.latest("refused", 1):
        what = f"{_messages(counts['refused'])} refused, the last at {_clock(letter.at)}: {letter.why}"
        yield warning("messages", what, f"See who sends it: {next_command('letters', account=account)}")
    if not (late or any(counts.values())):
        yield ok("messages", "Every message that came was taken.")


def _messages(count: int) -> str:
    return number_of(count, "message")


def _clock(seconds: float) -> str:
    """A moment of today as people say it, in this machine's time zone; with the day where it was another."""
    then, now = datetime.fromtimestamp(seconds, timezone.utc).astimezone(), datetime.now(timezone.utc).astimezone()
    return f"{then:%H:%M}" if then.date() == now.date() else f"{then:%Y-%m-%d %H:%M}"
