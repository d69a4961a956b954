"""What a rehearsal has seen of the organisation, kept with its ledger: workers and commands go by it."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, fields
from math import isfinite
from typing import Any

from massconvert.contract import MAX_IDS_A_READ
from massconvert.errors import LedgerError
from massconvert.ledger.book import Book
from massconvert.model import Observed
from massconvert.store import reaching

log = logging.getLogger("massconvert")

#: The form of what is kept; another version's is not read.
FORM = 1
#: Seconds after which it is read again: it changes once in a while, and each decision may depend on it.
_FRESH = 60.0
_TEXTS, _TRUTHS = ("where",), ("one_bad_id_refuses_all", "converts_twice", "links")


class Rehearsed(Book):
    """The facts of one account's organisation. Raises StoreError when Redis cannot be reached."""

    _known: tuple[float, Observed | None] | None = None  # when it was read; replaced as a whole

    def known(self, *, now: float) -> Observed | None:
        """The facts, as of a minute ago; ``None`` where there are none, or none that this version can read."""
        known = self._known
        if known is None or not 0.0 <= now - known[0] < _FRESH:
            known = self._known = (now, self.look())
        return known[1]

    def look(self) -> Observed | None:
        """The facts as they are now. What something else has written there is told, and counts as none."""
        try:
            with reaching(self._redis):
                text = self._redis.get(self._keys.seen)
        except LedgerError:
            text = "of another type"
        if text is None:
            return None
        try:
            return _load(json.loads(text))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            log.warning("The ledger's %s holds no facts that this version can read; it goes by none.", self._keys.seen)
            return None

    def keep(self, seen: Observed) -> None:
        """Keep these facts. What they do not tell stays as it was, where that was seen in a rehearsal before."""
        before = self.look()
        told = {name: value for name, value in asdict(seen).items() if value not in (None, {}, "")}
        merged = (asdict(before) if before else {}) | told
        with reaching(self._redis):
            self._redis.set(self._keys.seen, json.dumps({"form": FORM, **merged}, separators=(",", ":")))
            if seen.ids_a_read is not None:
                self._redis.delete(self._keys.max_read)
                if seen.ids_a_read < MAX_IDS_A_READ:
                    self._redis.set(self._keys.max_read, max(1, seen.ids_a_read))
        self._known = None

    def forget(self) -> bool:
        """Forget them; whether there were any. How many ids a read takes is learnt again, where that was fewer."""
        self._known = None
        with reaching(self._redis):
            self._redis.delete(self._keys.max_read)
            return bool(self._redis.delete(self._keys.seen))


def _load(kept: Mapping[str, Any]) -> Observed | None:
    """The facts in what is kept. One that is nothing that this version writes is left out."""
    if kept["form"] != FORM:
        return None
    known = {each.name for each in fields(Observed)} - {"job_seconds", "at", *_TEXTS, *_TRUTHS}
    numbers = {name: float(kept[name]) for name in known if _is_number(kept.get(name))}
    if "ids_a_read" in numbers:
        numbers["ids_a_read"] = max(1, int(numbers["ids_a_read"]))
    jobs = kept.get("job_seconds")
    times = (
        {int(size): float(each) for size, each in jobs.items() if _is_number(each)} if isinstance(jobs, dict) else {}
    )
    truths = {name: kept[name] for name in _TRUTHS if isinstance(kept.get(name), bool)}
    where = kept.get("where")
    return Observed(
        at=float(kept["at"]),
        where=where[:100] if isinstance(where, str) else "",
        job_seconds=times,
        **numbers,  # type: ignore[arg-type]  # numbers all
        **truths,
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value) and 0 <= value < 1e9
