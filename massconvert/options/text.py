"""Options as a text: the API's JSON, in which each key stands once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from massconvert.errors import OptionsError
from massconvert.options.problem import Problem, at, demand

_HINT = "Nothing was enqueued."


class _Repeated(dict[str, Any]):
    """An object in which ``twice`` are keys that it has more than once; of each the last value is here."""

    twice: tuple[str, ...] = ()


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    keys = [key for key, _ in pairs]
    repeated = _Repeated(pairs)
    repeated.twice = tuple(key for key in found if keys.count(key) > 1)
    return repeated


def read_text(text: str, subject: str = "") -> Any:
    """The JSON value of ``text``, which errors call ``subject`` (the beginning of a sentence).

    Raises OptionsError: where it is no JSON, or each key that an object has twice.
    """
    try:
        value = json.loads(text, object_pairs_hook=_object)
        twice = list(_twice("$", value))
    except json.JSONDecodeError as error:
        raise OptionsError(
            f"{subject}not JSON at line {error.lineno}, column {error.colno}: {error.msg}.", path="$", hint=_HINT
        ) from None
    except RecursionError:
        raise OptionsError(f"{subject}nested too deeply.", path="$", hint=_HINT) from None
    except ValueError:  # Python's own limit
        raise OptionsError(
            f"{subject}not JSON that can be read: it has a number of thousands of digits.", path="$", hint=_HINT
        ) from None
    demand(twice, _HINT)
    return value


def _twice(path: str, value: Any) -> Iterator[Problem]:
    """Each key that stands more than once in its object: which of the values is meant, nobody can know."""
    if isinstance(value, _Repeated):
        yield from (Problem(at(path, key), "is given twice; which one is meant cannot be known") for key in value.twice)
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _twice(at(path, key), item)
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _twice(f"{path}[{number}]", item)
