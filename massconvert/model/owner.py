"""Whose a ledger is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class OwnerKind(str, Enum):
    """What an owner is known by."""

    ORGANISATION = "organisation"
    CLIENT = "client"  # where Zoho does not tell the organisation


@dataclass(frozen=True)
class Owner:
    """An organisation as the ledger knows it.

    ``digest`` names it and tells nothing about it; ``kind`` says what was digested: the organisation's id, or the
    client where Zoho does not tell that. ``client`` is the client's digest in either case. ``name`` and ``place``
    (a data centre or a host) are for people; ``zone`` is the name of its time zone, blank where it is not known.
    """

    digest: str
    kind: OwnerKind
    name: str
    place: str
    client: str = ""
    zone: str = ""

    def __str__(self) -> str:
        return f"{self.name!r} ({self.place})" if self.name else f"an organisation at {self.place}"
