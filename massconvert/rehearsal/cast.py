"""The records of a rehearsal: which there are, and making those that the chosen questions use.

Everything carries the run's mark in its name, and e-mail addresses are at example.com: the mark finds what a crash
left, and no record of anybody else's can be taken for one of ours.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from massconvert.model import Call
from massconvert.rehearsal.wire import ACCOUNTS, CONTACTS, LEADS, Answer, Wire, created

#: The leads of a payload as large as Zoho takes one.
FIFTY = tuple(f"L{number}" for number in range(1, 51))
#: What is made before the first question, and with which company, e-mail and state; of all others each has its own.
_SAME_COMPANY = {"D1": "D12", "D2": "D12", "D3": "X", "D5": "X", "J1": "X", "K2": "X", "K4": "X", "K6": "X"}
_EMAIL_OF_Y = ("D4", "D5", "K7")
#: Without an e-mail address: nothing else can match.
_PLAIN_ONLY = ("D1", "D2", "D3", "G1", "K1", "K2", "K3", "K4", "K5", "K6", "J1")
#: Its name has a quote, as O'Neil has.
QUOTED = "Q1"
_OF_ANOTHER_USER = ("I1",)
_NO_COMPANY = ("G1",)
_UNAPPROVED = ("F1",)
#: The most records of one Create Records call.
_MOST = 100
#: Deleted at once: ids that were good a moment ago.
GONE = ("Z1", "Z2")


@dataclass
class Cast:
    """Which record is which. ``mark`` stands in all their names; ``ids`` are by name, like A1."""

    mark: str
    ids: dict[str, str] = field(default_factory=dict)
    other_user: str = ""
    refused: dict[str, str] = field(default_factory=dict)

    def named(self, name: str) -> str:
        """What a record is called in the CRM."""
        return f"{self.mark}-{name}" + (" O'N" if name == QUOTED else "")

    def company(self, name: str) -> str:
        """The company of a lead."""
        company = "" if name in _NO_COMPANY else self.named(_SAME_COMPANY.get(name, name))
        return company.upper() if name == "K6" else company

    @property
    def email(self) -> str:
        """The e-mail address of contact Y."""
        return f"{self.mark}-y@example.com"

    def all_of(self, *names: str) -> list[str]:
        """The ids of these records, in this order. Raises NotMade where one was not made."""
        missing = [name for name in names if not self.ids.get(name)]
        if missing:
            why = next((self.refused[name] for name in missing if name in self.refused), "it was not made")
            raise NotMadeError(f"{', '.join(missing)}: {why}")
        return [self.ids[name] for name in names]

    def lead(self, name: str) -> dict[str, Any]:
        """A lead as it is to be made."""
        row: dict[str, Any] = {"Last_Name": self.named(name), "Company": self.company(name)}
        if name == "D5":  # like contact Y, but for its telephone
            row |= {"Last_Name": self.named("Y"), "First_Name": "Rehearsal", "Phone": "200"}
        if name in _EMAIL_OF_Y:
            row["Email"] = self.email
        elif name not in _PLAIN_ONLY:
            row["Email"] = f"{self.mark}-{name.lower()}@example.com"
        if name in _UNAPPROVED:
            row["$approved"] = False
        if name in _OF_ANOTHER_USER and self.other_user:
            row["Owner"] = {"id": self.other_user}
        return {key: value for key, value in row.items() if value != ""}


class NotMadeError(Exception):
    """A record that a question needs is not there; the text says why."""


def make(cast: Cast, wire: Wire, names: Collection[str]) -> None:
    """Make these records, and delete those that are to be gone. One that Zoho refuses is noted, with its words."""
    question = "make"
    if {"X", "Y"} & set(names):
        rows = [{"Account_Name": cast.named("X")}]
        _note(cast, ("X",), wire.call(question, Call.READ, "POST", ACCOUNTS, body=_body(rows)))
    if "Y" in names:
        row = {"Last_Name": cast.named("Y"), "First_Name": "Rehearsal", "Email": cast.email, "Phone": "100"}
        if account := cast.ids.get("X"):
            row["Account_Name"] = {"id": account}  # type: ignore[assignment]  # a row of JSON
        _note(cast, ("Y",), wire.call(question, Call.READ, "POST", CONTACTS, body=_body([row])))
    leads = sorted(set(names) - {"X", "Y"}, key=lambda name: (name[0], int(name[1:])))
    for start in range(0, len(leads), _MOST):
        some = leads[start : start + _MOST]
        answer = wire.call(question, Call.UPDATE, "POST", LEADS, body=_body([cast.lead(name) for name in some]))
        _note(cast, some, answer)
    gone = [cast.ids[name] for name in GONE if cast.ids.get(name)]
    if gone:
        wire.call(question, Call.UPDATE, "DELETE", LEADS, {"ids": ",".join(gone), "wf_trigger": "false"})


def _body(rows: list[dict[str, Any]]) -> Mapping[str, Any]:
    return {"data": rows, "trigger": []}  # no workflow is to send mail


def _note(cast: Cast, names: Collection[str], answer: Answer) -> None:
    ids = created(answer)
    words = f"{answer.in_words} {answer.message}".strip()
    for number, name in enumerate(names):
        record = ids[number] if number < len(ids) else ""
        if record:
            cast.ids[name] = record
        else:
            item = answer.items[number] if number < len(answer.items) and not answer.refused else {}
            cast.refused[name] = f"{item.get('code', '')} {item.get('message', '')}".strip() or words
