"""Lead ids in JSON values: bare, or under one key of objects, which is the same throughout a file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from massconvert.errors import InputError
from massconvert.leads.headings import id_name, ids_among, link_name
from massconvert.leads.ids import is_plain_id, shown
from massconvert.leads.lines import LeadLine, lead_line


class Repeated(dict[str, Any]):
    """An object that has ``keys_twice`` more than once; of each the last value is here."""

    keys_twice: frozenset[str] = frozenset()


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    repeated, keys = Repeated(found), [key for key, _ in pairs]
    repeated.keys_twice = frozenset(key for key in found if keys.count(key) > 1)
    return repeated


#: Reads JSON; an object that has a key twice is `Repeated`.
decoder = json.JSONDecoder(object_pairs_hook=_object)


class IdKey:
    """Finds the lead id in the JSON values of one file.

    ``wanted`` is the key that has it; without one it is what is called like a lead's id, and the same in all objects.
    """

    def __init__(self, name: str, wanted: str | None) -> None:
        self._name = name
        self._wanted = wanted
        self._known = ""
        self._key = ""

    def line(self, number: int, value: object) -> LeadLine:
        """What ``value``, of line ``number``, says. Raises InputError when its key is another than before."""
        if not isinstance(value, Mapping):
            if self._wanted is not None:
                return self._wrong(number, value, f"is no object with the key {shown(self._wanted)}")
            if type(value) is str and is_plain_id(value):
                return LeadLine(number, value, None, value)
            return lead_line(number, value)
        keys = list(value)
        found = [keys[place] for place in ids_among(keys, self._wanted)]
        if len(found) != 1:
            names = ", ".join(map(shown, found or keys[:8])) or "nothing"
            what = "an id" if self._wanted is None else shown(self._wanted)
            why = f"has more than one id: {names}" if found else f"is an object without {what}; it has {names}"
            return self._wrong(number, value, why)
        links = [(which, key) for key in keys if (which := link_name(key))]
        if again := _twice(value, found[0], links):
            return self._wrong(number, value, f"has the key {shown(again)} twice")
        self._demand_same(number, found[0])
        line = lead_line(number, value[found[0]])
        return line._replace(link=tuple((which, value[key]) for which, key in links)) if links else line

    def _wrong(self, number: int, value: object, why: str) -> LeadLine:
        return LeadLine(number, None, why, json.dumps(value, ensure_ascii=False))

    def _demand_same(self, number: int, key: str) -> None:
        known = id_name(key)
        if self._wanted is None and self._known and known != self._known:
            raise InputError(
                f"{self._name}: line {number} has its id under {shown(key)}, others before under {shown(self._key)}.",
                hint="Say which is the lead's: --id-column NAME.",
            )
        self._known, self._key = known, key


def _twice(value: Mapping[str, Any], ids: str, links: Sequence[tuple[str, str]]) -> str:
    """The key of a lead's id, or of what it is linked to, that stands twice in an object, however it is spelled."""
    repeated = value.keys_twice if isinstance(value, Repeated) else ()
    spelt = [which for which, _ in links]
    keys = (ids, *(key for which, key in links if key in repeated or spelt.count(which) > 1))
    return next((key for key in keys if key != ids or key in repeated), "")
