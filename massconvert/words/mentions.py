"""What logs say of batches, and how it is read back: after an older copy of Redis is restored, nobody else knows them.

The sentences are read wherever they stand in a line, so that any log of a worker or of an app will do.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from massconvert.contract import DEFAULT_ACCOUNT
from massconvert.words.plurals import number_of

log = logging.getLogger("massconvert")

_KEY, _LEADS = r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,199}", r"(\d[\d,]*) leads?"
_OF_ACCOUNT = r"(?: of account ([A-Za-z0-9_-]+))?"
_ACCEPTED = re.compile(rf"\bbatch ({_KEY}){_OF_ACCOUNT} accepted, with {_LEADS}")
_PAYLOAD = re.compile(rf"\bpayload (\d+){_OF_ACCOUNT} made: (.*)")
_PART = re.compile(rf"{_LEADS} of batch ({_KEY})")
_WHEN = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:[.,]\d+)?(?:(Z)|([+-]\d\d):?(\d\d))?")


@dataclass(frozen=True)
class Mention:
    """A batch that a line names: when (Unix seconds, where the line says so), and how many leads.

    ``payload`` is blank where it was accepted: then ``leads`` are all that it had been given until then. Else they are
    those of the payload.
    """

    batch: str
    leads: int
    account: str
    at: float | None
    payload: str = ""


def tell_accepted(batch: str, leads: int, *, account: str) -> None:
    """A batch has all its leads in the ledger, ``leads`` in all, and its producer is told so."""
    facts = {"batch": batch, "leads": leads, "account": _named(account)}
    words = "batch %s%s accepted, with %s"
    about = {"event": "batch_accepted", "facts": facts}
    log.info(words, batch, _of(account), number_of(leads, "lead"), extra=about)


def tell_payload(payload: str, batches: Iterable[Sequence[str]], *, account: str) -> None:
    """A payload was made; ``batches`` are pairs of a batch and how many of its leads are in it."""
    leads = {batch: int(number) for batch, number in batches}
    facts = {"chunk": payload, "leads": sum(leads.values()), "batches": leads, "account": _named(account)}
    told = ", ".join(f"{number_of(number, 'lead')} of batch {batch}" for batch, number in leads.items())
    about = {"event": "payload_made", "facts": facts}
    log.info("payload %s%s made: %s", payload, _of(account), told, extra=about)


def mentions(lines: Iterable[str]) -> Iterator[Mention]:
    """The batches that lines of logs name; a line's first date is when. One without a zone is this machine's time."""
    for line in lines:
        if found := _ACCEPTED.search(line):
            batch, account, leads = found.groups()
            yield Mention(batch, _count(leads), account or DEFAULT_ACCOUNT, _when(line[: found.start()]))
        elif found := _PAYLOAD.search(line):
            payload, account, rest = found.groups()
            at = _when(line[: found.start()])
            for leads, batch in _PART.findall(rest):
                yield Mention(batch, _count(leads), account or DEFAULT_ACCOUNT, at, payload)


def _named(account: str) -> str:
    return "" if account == DEFAULT_ACCOUNT else account


def _of(account: str) -> str:
    return f" of account {account}" if _named(account) else ""


def _count(text: str) -> int:
    return int(text.replace(",", ""))


def _when(text: str) -> float | None:
    if found := _WHEN.search(text):
        day, time, utc, hours, minutes = found.groups()
        zone = "+00:00" if utc else f"{hours}:{minutes}" if hours else ""
        with suppress(ValueError):  # a date that is none
            return datetime.fromisoformat(f"{day} {time}{zone}").timestamp()
    return None
