"""What is wrong with options: a path and a reason each, told all at once, with the nearest of what there is."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Any, NamedTuple

from massconvert.errors import OptionsError
from massconvert.words.readable import readable

#: How many of the nearest, or of all, are told.
_TOLD = 3
_FEW = 8


class Problem(NamedTuple):
    """Why a value cannot stand where it stands."""

    path: str
    reason: str

    @property
    def in_words(self) -> str:
        """The problem as a line; the whole file (``$``) has no place to name."""
        return self.reason if self.path == "$" else f"{self.path} {self.reason}"


def demand(problems: Sequence[tuple[str, str]], hint: str = "Nothing was enqueued.") -> None:
    """Raise OptionsError with all problems, if there is one."""
    if problems:
        lines = "\n".join(readable(f"  {path} {reason}") for path, reason in problems)
        error = OptionsError(f"The options are wrong:\n{lines}", hint=hint, path=problems[0][0])
        error.problems = tuple(problems)
        raise error


def nearest(text: str, known: Iterable[tuple[str, str]]) -> str:
    """``; nearest: …`` by difflib, where something is near; ``; there are: …`` where there are few; else nothing.

    ``known`` are pairs: how it may be written, how it is shown.
    """
    labels: dict[str, None] = {}
    by_form: dict[str, list[str]] = {}
    for form, label in known:
        labels[label] = None
        by_form.setdefault(form.casefold(), []).append(label)
    near = get_close_matches(text.casefold(), by_form, n=_TOLD, cutoff=0.6)
    told = dict.fromkeys(label for form in near for label in by_form[form])
    if told:
        return f"; nearest: {', '.join(list(told)[:_TOLD])}"
    return f"; there are: {', '.join(labels)}" if 0 < len(labels) <= _FEW else ""


def at(path: str, key: object) -> str:
    """The path of what stands under ``key`` of the object at ``path``."""
    return f"{path}.{key}" if re.fullmatch(r"\w+", str(key)) else f"{path}[{json.dumps(str(key))}]"


def shown(value: Any) -> str:
    """A value as a message repeats it: never longer than a line."""
    try:
        text = repr(value)
    except ValueError:  # a number of more digits than Python writes
        text = "a number of thousands of digits"
    return text if len(text) <= 60 else f"{text[:56]}…"


def kind_of(value: Any) -> str:
    """What a value is, in JSON's words."""
    if isinstance(value, bool):
        return "true" if value else "false"
    names = {str: "a text", int: "a number", float: "a number", list: "a list", tuple: "a list", dict: "an object"}
    return "null" if value is None else names.get(type(value), type(value).__name__)
