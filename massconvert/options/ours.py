"""The check of what in the options is ours: as written by hand, or under the key of a stored body."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Protocol

from massconvert.model import MatchKey, OnMatch
from massconvert.model.matching import MATCH_KEYS, USUAL_KEYS
from massconvert.options.extras import EXTRAS, MATCH, ON_MATCH, PREFLIGHT
from massconvert.options.match_fields import is_written
from massconvert.options.problem import at, kind_of, shown

OURS = (PREFLIGHT, ON_MATCH, MATCH)
#: Zoho's call for a single lead, which links, does not have them.
NOT_LINKED = ("portal_user_type", "related_modules", "apply_assignment_threshold")


_KNOWN = f"{', '.join(MATCH_KEYS)}, or the API name of a field of leads, like Customer_No"
#: Of such a field, once it has been looked up.
_OWN = {each.name for each in fields(MatchKey)}


class Noting(Protocol):
    """Where problems are noted."""

    def note(self, path: str, reason: str) -> None: ...


def check_ours(check: Noting, given: Mapping[str, Any]) -> dict[str, Any]:
    """What of ``given`` is ours, checked: each by its name, where it is given and not the default."""
    extras = given.get(EXTRAS)
    if extras is not None and not isinstance(extras, Mapping):
        check.note("$['$']", f"must be an object, not {kind_of(extras)}")
        extras = {}
    for key in sorted(map(str, (extras or {}).keys() - set(OURS))):
        check.note(at("$['$']", key), f"is not known; known are {', '.join(OURS)}")
    values = {name: value for name in OURS for value in (_of(given, extras or {}, name),) if value is not None}
    found: dict[str, Any] = {PREFLIGHT: _flag(check, values.get(PREFLIGHT, False))}
    on_match = _on_match(check, values.get(ON_MATCH, OnMatch.CREATE))
    keys = _keys(check, values[MATCH]) if MATCH in values else ()
    if on_match is None:
        return found
    if on_match is OnMatch.CREATE:
        if MATCH in values:
            check.note(
                f"$.{MATCH}", 'says how leads are matched, and they are not: give on_match "link" or "hold" as well'
            )
        return found
    if on_match is OnMatch.LINK:
        for key in NOT_LINKED:
            if given.get(key) not in (None, [], ()):
                check.note(
                    f"$.{key}", 'cannot be given with on_match "link": Zoho does not take it where it links a lead'
                )
    return found | {ON_MATCH: on_match.value, MATCH: keys}


def _of(given: Mapping[str, Any], extras: Mapping[str, Any], name: str) -> Any:
    """What is given under a name, in whichever place; a preflight that is wanted in one of them is wanted."""
    here, there = given.get(name), extras.get(name)
    if name == PREFLIGHT and there is True:
        return True if here in (None, False) else here
    return there if here in (None, ()) else here


def _flag(check: Noting, value: Any) -> bool:
    if not isinstance(value, bool):
        check.note(f"$.{PREFLIGHT}", f"must be true or false, not {kind_of(value)}")
    return value is True


def _on_match(check: Noting, value: Any) -> OnMatch | None:
    try:
        return OnMatch(value)
    except ValueError:
        known = ", ".join(each.value for each in OnMatch)
        check.note(f"$.{ON_MATCH}", f"is {shown(value)}, but must be one of {known}")
        return None


def _keys(check: Noting, value: Any) -> tuple[str | dict[str, str], ...]:
    if not isinstance(value, list | tuple) or not value:
        check.note(f"$.{MATCH}", f"must be a list of {_KNOWN}, not {shown(value)}")
        return ()
    own: list[str | dict[str, str]] = []
    for number, key in enumerate(value):
        if isinstance(key, Mapping) and key.keys() == _OWN and all(isinstance(each, str) for each in key.values()):
            own.append(dict(key))
        elif isinstance(key, str) and is_written(key):
            own.append(key)
        elif not (isinstance(key, str) and key in MATCH_KEYS):
            check.note(f"$.{MATCH}[{number}]", f"is {shown(key)}, but must be one of {_KNOWN}")
    # In one order, and blank for the usual ones, so that equal rules are equal options.
    keys: tuple[str | dict[str, str], ...] = (*(key for key in MATCH_KEYS if key in value), *sorted(own, key=str))
    return () if keys == USUAL_KEYS else keys
