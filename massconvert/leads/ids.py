"""What is a lead id, and what may name a batch."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from decimal import Decimal
from itertools import islice
from numbers import Integral, Rational, Real
from typing import Any

from massconvert.errors import InputError
from massconvert.words.plurals import number_of

LARGEST_ID = 2**63 - 1
#: How many wrong ids an error names.
NAMED = 20
#: Matches every id but those of 19 digits that begin with 9, which must be compared with the largest.
is_plain_id = re.compile(r"[1-9][0-9]{0,17}|[1-8][0-9]{18}").fullmatch
_largest_ids = re.compile(r"9[0-9]{18}").fullmatch
#: Matches what a spreadsheet or JavaScript makes of an id that it takes for a number.
is_rounded = re.compile(r"[-+]?[0-9]+([.,][0-9]*)?[eE][-+]?[0-9]+|[0-9]+[.][0-9]*").fullmatch
#: Matches a number in groups of three digits, as spreadsheets show it: 3,652,397,000,009,850,000.
is_grouped = re.compile("[0-9]{1,3}([.,' _\u00a0\u2009\u202f\u2019])[0-9]{3}(?:\\1[0-9]{3})+").fullmatch


def is_id(text: str) -> bool:
    """Whether a text is an id as Zoho writes it: the digits of a positive 64-bit integer."""
    return bool(is_plain_id(text) or (_largest_ids(text) and int(text) <= LARGEST_ID))


# What nobody sees: blanks of every kind, byte order marks, marks of width and direction.
_UNSEEN = "\\s\ufeff\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2069"
_around = re.compile(f"^[{_UNSEEN}]+|[{_UNSEEN}]+$").sub
# Each with what may close it.
_QUOTES = {
    '"': '"',
    "'": "'",
    "`": "`",
    "\u2018": "\u2019",
    "\u201c": "\u201d",
    "\u201e": "\u201c\u201d",
    "\u00ab": "\u00bb",
}
#: In front of a cell it says that a text follows.
_APOSTROPHES = "'\u2019"
# The formulas that make a text of a number: ="3652…", =T("3652…"), =TEXT("3652…";"0").
_formula = re.compile(
    r"=\s*(?:T\s*\((?P<t>[^()]*)\)|TEXT\s*\((?P<text>[^(),;]*)[,;][^()]*\)|(?P<rest>.*))", re.I | re.S
)
_MOST_LAYERS = 8

_ROUNDED = (
    "is a number that a spreadsheet or JavaScript has rounded, so its last digits are lost; "
    "export the ids again, as text (in a spreadsheet, format the column as Text before they come in)"
)
_GROUPED = (
    "is a number in groups of three digits, as a spreadsheet shows one that it has perhaps rounded; "
    "export the ids again, as text"
)


def bare(text: str) -> str:
    """What a cell says, without what people and tools put around it so that a long number stays a text.

    Blanks and marks that nobody sees, quotes of every kind, an apostrophe in front, ``="…"`` and its relatives.
    """
    for _ in range(_MOST_LAYERS):
        inner = _around("", text)
        if inner[:1] == "=" and (formula := _formula.fullmatch(inner)):
            inner = next(part for part in formula.groups() if part is not None)
        elif len(inner) > 1 and inner[-1] in _QUOTES.get(inner[0], ""):
            inner = inner[1:-1]
        elif inner[:1] and inner[0] in _APOSTROPHES:
            inner = inner[1:]
        if inner == text:
            break
        text = inner
    return text


def parse_lead_id(value: object) -> str:
    """The lead id in ``value``: a string of digits, or an exact whole number.

    Zoho's export prefix ``zcrm_`` is dropped, and so is what stands `bare` of meaning around a cell. Ids of Zoho are
    positive 64-bit integers, so 1 to 19 digits up to 9223372036854775807; without an upper bound a telephone number
    pasted onto an id would pass. An int is exact in Python and in JSON that Python reads, whatever its size, and is
    accepted, as are the integers of other libraries (numpy's) and a Decimal that has all its digits: that some
    JavaScript had rounded it before cannot be seen. Raises InputError with a short reason, which does not repeat the
    value.
    """
    if type(value) is str:
        text = value.strip()
        if is_plain_id(text):
            return text
        return _parse_text(text)
    if isinstance(value, Integral) and not isinstance(value, bool):
        number = int(value)
        if 0 < number <= LARGEST_ID:
            return str(number)
        raise InputError("is outside the range of Zoho's ids, 1 to 9223372036854775807")
    if isinstance(value, Decimal):
        return parse_lead_id(_whole(value))
    if isinstance(value, Real) and not isinstance(value, Rational):
        raise InputError(_ROUNDED)
    if isinstance(value, str):
        return parse_lead_id(str(value))
    raise InputError("is missing" if value is None else f"is a {type(value).__name__}, not a string of digits")


def _parse_text(text: str) -> str:
    text = bare(text)
    if not text:
        raise InputError("is empty")
    if text[:5].lower() == "zcrm_":
        text = text[5:]
    if not (text.isascii() and text.isdigit()):
        if is_rounded(text):
            raise InputError(_ROUNDED)
        raise InputError(_GROUPED if is_grouped(text) else "is not a string of digits")
    if text[0] == "0":
        raise InputError("begins with 0, which no id of Zoho does")
    if len(text) > 19 or int(text) > LARGEST_ID:
        raise InputError(f"has {number_of(len(text), 'digit')}; Zoho's ids are at most 9223372036854775807")
    return text


def _whole(value: Decimal) -> int:
    """A Decimal as the whole number that it is; with noughts in place of its last digits it has been rounded."""
    exponent = value.as_tuple().exponent
    if not isinstance(exponent, int):
        raise InputError("is not a number")
    if exponent > 0:
        raise InputError(_ROUNDED)
    if value.adjusted() > 18:
        raise InputError("is outside the range of Zoho's ids, 1 to 9223372036854775807")
    if value != value.to_integral_value():
        raise InputError("is not a whole number")
    return int(value)


def valid_ids(values: Iterable[Any], wrong: dict[str, str]) -> Iterator[str]:
    """The lead ids among ``values``; wrong ones go into ``wrong``, as given, with the reason."""
    for value in values:
        # The common case at full speed; everything else takes the long way.
        if (
            type(value) is str
            and len(value) == 19
            and value.isdigit()
            and value.isascii()
            and "1" <= value < "9223372036854775808"
        ):
            yield value
            continue
        try:
            yield parse_lead_id(value)
        except InputError as error:
            wrong[_as_given(value)] = error.message


def _as_given(value: object) -> str:
    """The wrong value, cut short and safe to encode as UTF-8."""
    text = value if isinstance(value, str) else shown(value)
    return text[:200].encode("utf-8", "backslashreplace").decode()


def demand_valid(values: Iterable[Any]) -> None:
    """Raise InputError that names the first wrong ids among ``values``, if there are any."""
    wrong: dict[str, str] = {}
    for _ in valid_ids(values, wrong):
        pass
    if wrong:
        first = "\n".join(f"  {given}: {reason}" for given, reason in islice(wrong.items(), NAMED))
        more = f"\n  and {len(wrong) - NAMED} more" if len(wrong) > NAMED else ""
        are = "is not an id" if len(wrong) == 1 else "are not ids"
        raise InputError(
            f"{len(wrong):,} of the lead ids {are}; nothing was enqueued:\n{first}{more}",
            hint="Fix them, or pass skip_invalid=True to enqueue the others.",
        )


def check_batch_key(key: object) -> str:
    """``key`` if it can name a batch, else InputError.

    It becomes a part of names in Redis, of file names and of commands, hence the few characters.
    """
    if isinstance(key, str) and re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,199}", key):
        return key
    raise InputError(
        f"The key {shown(key)} cannot name a batch.",
        hint="Use 1 to 200 letters, digits and . _ @ + -, beginning with a letter or a digit, like import-2026-11-24.",
    )


def shown(value: object) -> str:
    """``value`` for a message: quoted, on one line, not too long."""
    try:
        text = repr(value)
    except ValueError:  # a number of more digits than Python writes
        text = "a number of thousands of digits"
    except RecursionError:
        text = f"a {type(value).__name__} of too many levels"
    return text if len(text) <= 60 else f"{text[:56]}…"
