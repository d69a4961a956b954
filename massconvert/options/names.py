"""Names in options: those that have no id yet, and the ids that the organisation's listings have for them; pure.

A reference without ``id`` is a name: ``{"name": "ann@example.com"}``, ``{"api_name": "Contacts"}``. With its id it
becomes what somebody who wrote the id would have written, so both share payloads.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

from massconvert.model import Listing, MatchKey
from massconvert.model.matching import MATCH_KEYS
from massconvert.options.extras import EXTRAS, MATCH, extras_of
from massconvert.options.match_fields import LISTINGS, match_field
from massconvert.options.problem import Problem, nearest, shown

Row: TypeAlias = Mapping[str, Any]
Listings: TypeAlias = Mapping[Listing, Sequence[Row]]

#: Which listing has the ids of each key.
_LISTING = {
    "assign_to": Listing.USERS,
    "portal_user_type": Listing.PORTALS,
    "related_modules": Listing.MODULES,
    "carry_over_tags": Listing.MODULES,
    "move_attachments_to": Listing.MODULES,
}
_NOUN = {
    Listing.USERS: "active user of that name or e-mail address",
    Listing.PORTALS: "portal user type of that name",
    Listing.MODULES: "module of that API name",
}
_WHAT = {Listing.USERS: "active user", Listing.PORTALS: "portal user type", Listing.MODULES: "module"}


@dataclass(frozen=True)
class Reference:
    """A place in a body that names something: by ``given``'s id, or by ``text`` alone."""

    path: str
    key: str
    number: int | None  # in a list
    given: Mapping[str, Any]

    @property
    def listing(self) -> Listing:
        """Where its id is listed."""
        return self.listings[0]

    @property
    def listings(self) -> tuple[Listing, ...]:
        """All that is needed to look it up."""
        return LISTINGS if self.key == MATCH else (_LISTING[self.key],)

    @property
    def text(self) -> str:
        """The name."""
        return str(self.given.get("api_name" if self.listing is Listing.MODULES else "name") or "")

    @property
    def unresolved(self) -> bool:
        """Whether its id must be found."""
        return self.given.get("id") is None


@dataclass(frozen=True)
class Resolution:
    """A body with ids where they were found; ``left`` could not be looked up, for want of a listing."""

    body: dict[str, Any]
    problems: tuple[Problem, ...] = ()
    left: tuple[Reference, ...] = ()
    doubted: frozenset[Listing] = frozenset()  # the listings that the problems were found in


def references(body: Mapping[str, Any]) -> Iterator[Reference]:
    """Every user, portal user type and module in a body, and each field of leads that is yet to be looked up."""
    for key in _LISTING.keys() & body.keys():
        value = body[key]
        if isinstance(value, Mapping):
            yield Reference(f"$.{key}", key, None, value)
        elif isinstance(value, list | tuple):
            yield from (Reference(f"$.{key}[{n}]", key, n, item) for n, item in enumerate(value))
    yield from _own_fields(body)


def _own_fields(body: Mapping[str, Any]) -> Iterator[Reference]:
    """The fields of the organisation's own by which leads are matched, and of which it is not known what they fill."""
    for number, key in enumerate(extras_of(body).get(MATCH) or ()):
        if isinstance(key, str) and key not in MATCH_KEYS:
            yield Reference(f"$.{MATCH}", MATCH, number, {"name": key})


def unresolved(body: Mapping[str, Any]) -> list[Reference]:
    """The references whose id must be found before the body can be sent."""
    return [reference for reference in references(body) if reference.unresolved]


def resolve_names(body: Mapping[str, Any], listings: Listings) -> Resolution:
    """``body`` with the ids of its names, as far as ``listings`` are there; what they do not know is a problem."""
    resolved = {key: list(value) if isinstance(value, list | tuple) else value for key, value in body.items()}
    problems, left, doubted, extras = [], [], set(), extras_of(body)
    for reference in sorted(unresolved(body), key=lambda each: each.path):
        rows = listings.get(reference.listing)
        if rows is None or any(listing not in listings for listing in reference.listings):
            left.append(reference)
            continue
        if reference.key == MATCH:
            field = match_field(reference.text, listings)
            if isinstance(field, str):
                problems.append(Problem(reference.path, field))
                doubted |= set(reference.listings)
            else:
                resolved[EXTRAS] = extras = _with_field(extras, reference.number, field)
            continue
        found = _named(reference, rows)
        if len(found) != 1:
            problems.append(Problem(reference.path, _trouble(reference, rows, found)))
            doubted.add(reference.listing)
            continue
        with_id = _with_id(reference, found[0])
        if reference.number is None:
            resolved[reference.key] = with_id
        else:
            resolved[reference.key][reference.number] = with_id
    return Resolution(resolved, tuple(problems), tuple(left), frozenset(doubted))


def _with_field(extras: Mapping[str, Any], number: int | None, field: MatchKey) -> dict[str, Any]:
    keys = [asdict(field) if place == number else key for place, key in enumerate(extras[MATCH])]
    return {**extras, MATCH: keys}


def check_ids(body: Mapping[str, Any], listings: Listings) -> list[Problem]:
    """What the listings say against ids that were given as ids."""
    problems = []
    for reference in sorted(references(body), key=lambda each: each.path):
        rows = listings.get(reference.listing)
        if reference.unresolved or not rows:
            continue
        given = str(reference.given["id"])
        row = next((row for row in rows if row["id"] == given), None)
        if row is None:
            problems.append(
                Problem(f"{reference.path}.id", f"is {given}, which is the id of no {_WHAT[reference.listing]}")
            )
        elif reference.listing is Listing.MODULES and reference.text and reference.text != row["name"]:
            problems.append(Problem(reference.path, f"names {reference.text}, but the id is that of {row['name']}"))
    return problems


def _named(reference: Reference, rows: Sequence[Row]) -> list[Row]:
    """The rows that go by this name: by the e-mail address, which is unique, before the full name."""
    if reference.listing is Listing.MODULES:
        return [row for row in rows if row["name"] == reference.text]
    wanted = _folded(reference.text)
    by_mail = [row for row in rows if row.get("email") and _folded(row["email"]) == wanted]
    return by_mail or [row for row in rows if _folded(row["name"]) == wanted]


def _with_id(reference: Reference, row: Row) -> dict[str, Any]:
    rest = {key: value for key, value in reference.given.items() if key not in ("name", "api_name", "email", "id")}
    if reference.listing is Listing.MODULES:
        return {"api_name": row["name"], "id": row["id"], **rest}
    # The page wants a portal's name with its id; of a user, its own sample sends the id alone.
    return {"id": row["id"], **({"name": row["name"]} if reference.listing is Listing.PORTALS else {}), **rest}


def _trouble(reference: Reference, rows: Sequence[Row], found: Sequence[Row]) -> str:
    if found:
        labels = ", ".join(f"{_label(row)} has id {row['id']}" for row in found[:5])
        more = f" and {len(found) - 5} more" if len(found) > 5 else ""
        return (
            f"is {shown(reference.text)}, which {len(found)} go by: {labels}{more}; write the e-mail address or the id"
        )
    # Of addresses only what stands before the @ tells people apart.
    text, by_mail = reference.text.partition("@")[0], "@" in reference.text
    keys = [(str(row.get("email", "")).partition("@")[0] if by_mail else row["name"], row) for row in rows]
    near = nearest(text, [(key, _label(row)) for key, row in keys if key])
    return f"is {shown(reference.text)}, but there is no {_NOUN[reference.listing]}{near}"


def _label(row: Row) -> str:
    if row.get("email"):
        return f"{row['name']} <{row['email']}>"
    return f"{row['name']} (portal {row['portal']})" if row.get("portal") else str(row["name"])


def _folded(text: str) -> str:
    return " ".join(text.split()).casefold()
