"""Leads of special kinds: a payload with one of them is refused, with a code about that lead alone.

A kind is one of these words, or an object of its own, as a test or ``PUT /__simulator__/special`` gives it:

===================  ==================  =====================  ==============================================
kind                 code                names the lead by      what a read shows of it
===================  ==================  =====================  ==============================================
locked               RECORD_LOCKED       its id                 ``Locked__s``, ``$locked_for_me``
image_checked        RECORD_LOCKED       its id, the action     nothing
in_merge             RECORD_LOCKED       nothing                ``$in_merge``
not_approved         NOT_APPROVED        nothing                ``$approved``, ``$approval_state``
not_reviewed         NOT_REVIEWED        its place              ``$review_process``
converted_elsewhere  ID_ALREADY_CONVERTED  its id               that it is converted
duplicate            DUPLICATE_DATA      its place              nothing
===================  ==================  =====================  ==============================================

    {"code": "SOME_CODE", "status": 400, "message": "no", "details": {"more": 1}, "named": "path", "shape": "bare"}

``named``: ``path`` (``$.ids[3]``), ``inside`` (``$.ids[3].Email``), ``data`` (``$.data[3]``), ``id``, ``other`` (the id
of a record outside the payload), ``resource`` (``resource_path_index``, which names nobody), or ``nothing``.
``shape``: the error stands ``bare``, in a list ``data`` or ``errors``, or within MULTIPLE_OR_MULTI_ERRORS (``multi``).
``shows``: fields of a read. Only ``code`` is mandatory.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from massconvert.simulator.messages import RefusedError, SimulatorError, place

#: The id of a user of the catalogue.
OTHER_RECORD = "3652397000000281001"


@dataclass(frozen=True)
class Special:
    """How a payload with such a lead is refused, and what a read ``shows`` of the lead."""

    code: str
    message: str = "the record cannot be converted"
    status: int = 400
    details: Mapping[str, Any] = field(default_factory=dict)
    named: str = "path"
    shape: str = "bare"
    shows: Mapping[str, Any] = field(default_factory=dict)

    def alone(self) -> RefusedError:
        """What is said of a call about this lead alone, which names it by its path."""
        return RefusedError(self.status, self.code, self.message, {**self.details, "resource_path_index": 1})

    def refusal(self, lead_id: str, number: int) -> RefusedError:
        """What is said of a payload with this lead at place ``number``."""
        names: dict[str, dict[str, Any]] = {
            "path": place(f"$.ids[{number}]"),
            "inside": {"api_name": "Email", "json_path": f"$.ids[{number}].Email"},
            "data": place(f"$.data[{number}]"),
            "id": {"id": lead_id},
            "other": {"id": OTHER_RECORD},
            "resource": {"resource_path_index": 1},
            "nothing": {},
        }
        return RefusedError(self.status, self.code, self.message, {**self.details, **names[self.named]}, self.shape)


NAMED = ("path", "inside", "data", "id", "other", "resource", "nothing")
SHAPES = ("bare", "data", "errors", "multi")
CONVERTED_ELSEWHERE = "converted_elsewhere"
LOCKED, NOT_APPROVED, ALREADY_CONVERTED = "RECORD_LOCKED", "NOT_APPROVED", "ID_ALREADY_CONVERTED"

KINDS: dict[str, Special] = {
    "locked": Special(LOCKED, "record is locked", named="id", shows={"Locked__s": True, "$locked_for_me": True}),
    "image_checked": Special(LOCKED, "record is locked", named="id", details={"action": "zia_vision_processing"}),
    "in_merge": Special(LOCKED, "record is being merged", named="nothing", shows={"$in_merge": True}),
    "not_approved": Special(
        NOT_APPROVED,
        "record not approved",
        named="nothing",
        shows={"$approved": False, "$approval_state": "approval_process_pending"},
    ),
    "not_reviewed": Special(
        "NOT_REVIEWED", "record not reviewed", shows={"$review_process": {"approve": True, "reject": True}}
    ),
    CONVERTED_ELSEWHERE: Special(ALREADY_CONVERTED, "id already converted", named="id"),
    "duplicate": Special("DUPLICATE_DATA", "duplicate data"),
}


def special_of(given: Any) -> Special:
    """The kind that a word or an object names. Raises SimulatorError where it names none."""
    if isinstance(given, str):
        if given not in KINDS:
            raise SimulatorError(f"there is no kind of lead {given!r}; there are {', '.join(KINDS)}")
        return KINDS[given]
    known = {each.name for each in fields(Special)}
    if not isinstance(given, dict) or not isinstance(given.get("code"), str) or given.keys() - known:
        raise SimulatorError(f"a special lead is a kind, or an object with code and perhaps {', '.join(sorted(known))}")
    special = Special(**given)
    if special.named not in NAMED or special.shape not in SHAPES:
        raise SimulatorError(f"'named' must be one of {', '.join(NAMED)}, 'shape' one of {', '.join(SHAPES)}")
    if not isinstance(special.status, int) or not 200 <= special.status <= 599:
        raise SimulatorError("'status' must be an HTTP status from 200 to 599")
    if not all(isinstance(each, Mapping) for each in (special.details, special.shows)):
        raise SimulatorError("'details' and 'shows' must be objects")
    return special


def kinds_of(words: Iterable[str]) -> list[str]:
    """The kinds that words like ``locked=3`` ask for, one a lead. Raises SimulatorError."""
    kinds: list[str] = []
    for word in words:
        kind, _, count = word.partition("=")
        special_of(kind)
        if count and not (count.isascii() and count.isdecimal()):
            raise SimulatorError(f"--special {word}: a kind, or a kind and a number like locked=3, is wanted")
        kinds += [kind] * int(count or 1)
    return kinds
