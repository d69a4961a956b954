"""Whether a ledger is ours to work on: the format, and whose it is. Asked before anything is sent."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from massconvert.errors import LedgerMismatchError
from massconvert.ledger.title import Title, foreign
from massconvert.settings import Settings
from massconvert.zoho import Governor, ZohoClient
from massconvert.zoho.identity import Unknown, identify, papers_of

#: Seconds for which a ledger that is another organisation's is not looked at again.
_REMEMBERED = 30.0


class Ownership:
    """Compares one account's credentials with the owner of its ledger; safe to share between threads.

    Credentials that the ledger has seen cost no call; others cost one to Zoho. ``connect`` gives what makes that call.
    ``afresh``: Zoho is asked in any case, so that the ledger has the organisation's name and time zone as they are now.
    """

    def __init__(
        self,
        title: Title,
        settings: Settings,
        connect: Callable[[], tuple[ZohoClient, Governor]],
        *,
        afresh: bool = False,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._title = title
        self._settings = settings
        self._connect = connect
        self._afresh = afresh
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._ours = self._formed = False
        #: Zoho gives no token for the credentials: nothing can be sent, and a try pauses the organisation.
        self.refused = False
        self._foreign: tuple[float, LedgerMismatchError] | None = None

    def demand_format(self) -> None:
        """Raise LedgerMismatchError where the ledger is not of this version's format; StoreError."""
        if not self._formed:
            self._title.demand_format()
            self._formed = True

    def demand(self) -> str:
        """Say nothing where the ledger is ours, or has just become so; else why that is not known yet.

        Raises LedgerMismatchError where it is another organisation's, or of another format; SettingsError, StoreError.
        """
        if self._ours:
            return ""
        if not self._lock.acquire(blocking=False):
            return "another thread finds out whose ledger this is"
        try:
            if self._foreign and self._monotonic() < self._foreign[0]:
                raise self._foreign[1]
            return self._find_out()
        except LedgerMismatchError as error:
            self._foreign = self._foreign or (self._monotonic() + _REMEMBERED, error)
            raise
        finally:
            self._lock.release()

    def demand_known(self) -> None:
        """As `demand`, for a command that cannot wait: what is not known is an error where the ledger has an owner."""
        why = self.demand()
        owner = self._title.owner() if why else None
        if owner:
            raise foreign(
                owner, self._settings.account, f"Whether these credentials are of it cannot be told now: {why}."
            )

    def _find_out(self) -> str:
        self._foreign, self.refused = None, False
        self.demand_format()
        papers = papers_of(self._settings)
        known = self._title.knows(papers.credentials)
        if self._afresh or not known:
            owner = identify(*self._connect(), papers)
            if not isinstance(owner, Unknown):
                self._title.claim(owner, papers.credentials)
            elif not known:
                self.refused = owner.refused
                return owner.why
        self._ours = True
        return ""
