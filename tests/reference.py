"""docs/reference.md, made from the docstrings of what apps import: ``python -m tests.reference`` writes it anew."""

from __future__ import annotations

import dataclasses
import enum
import inspect
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from massconvert import Batch, errors

PAGE = Path(__file__).parents[1] / "docs" / "reference.md"
#: The sections: a title, what stands below it, the module to import from, and its names.
SECTIONS: tuple[tuple[str, str, str, tuple[str, ...]], ...] = (
    (
        "Enqueue, and see what became of it",
        "How to use them: [apps](apps.md).",
        "massconvert",
        ("MassConvert", "Batch", "BatchStatus", "LeadRow", "Outcome", "Kind"),
    ),
    (
        "What happened to a lead",
        "`MassConvert().lead(lead_id)` returns stories: [stories](stories.md).",
        "massconvert.model.story",
        ("Story", "Payload", "Entry", "Told", "Whereabouts", "Proof"),
    ),
    (
        "What to convert into",
        "The same as JSON: [options](options.md).",
        "massconvert",
        ("Options", "Deal"),
    ),
    (
        "Django",
        "",
        "massconvert.contrib.django",
        ("enqueue_on_commit",),
    ),
    (
        "To be told of the end",
        "[callbacks](callbacks.md) has the body and its headers.",
        "massconvert.callbacks",
        ("verify_webhook",),
    ),
    (
        "Tests of your app",
        "How to use them: [testing](testing.md). pytest finds the fixtures `zoho_crm` and `mass_convert` by itself.",
        "massconvert.testing",
        ("FakeCrm", "StuckError"),
    ),
)
HEAD = """\
# Reference

What apps import. Made from the docstrings by `python -m tests.reference`; a test holds this page to them. What is not
here is not for apps, and may change with any version.
"""


def page() -> str:
    """The whole page."""
    parts = [HEAD]
    for title, below, module, names in SECTIONS:
        parts += [f"## {title}\n", *([f"{below}\n"] if below else ())]
        parts.append(f"```python\nfrom {module} import {', '.join(names)}\n```\n")
        for name in names:
            parts += _entry(name, getattr(import_module(module), name))
        if module == "massconvert.testing":
            for fixture in ("zoho_crm", "mass_convert"):
                parts += _fixture(fixture)
    parts += ["## Errors\n", f"{_prose(errors)}\n", "```python\nfrom massconvert.errors import MassConvertError\n```\n"]
    parts.append("| error | a kind of | when |\n| --- | --- | --- |")
    parts.append("\n".join(_error(kind) for kind in _errors(errors.MassConvertError)) + "\n")
    return "\n".join(parts)


def _entry(name: str, thing: Any) -> Iterator[str]:
    yield f"### {name}\n"
    if inspect.isclass(thing):
        yield from _class(name, thing)
    else:
        yield f"```python\n{name}{_signature(thing)}\n```\n\n{_prose(thing)}\n"


def _class(name: str, kind: type) -> Iterator[str]:
    if issubclass(kind, enum.Enum):
        yield f"{_prose(kind)}\n\n{', '.join(f'`{member.value}`' for member in kind)}\n"
        return
    if not issubclass(kind, Exception | Batch):  # nobody makes one of those but us
        yield f"```python\n{name}{_signature(kind)}\n```\n"
    yield f"{_prose(kind)}\n"
    for attribute, value in _members(kind):
        if isinstance(value, property):
            yield f"**`.{attribute}`** {_prose(value)}\n"
        else:
            plain = value.__func__ if isinstance(value, classmethod | staticmethod) else value
            owner = f"{name}." if isinstance(value, classmethod | staticmethod) else "."
            yield f"**`{owner}{attribute}`**\n\n```python\n{attribute}{_signature(plain)}\n```\n\n{_prose(plain)}\n"


def _members(kind: type) -> Iterator[tuple[str, Any]]:
    fields = {field.name for field in dataclasses.fields(kind)} if dataclasses.is_dataclass(kind) else set()
    for attribute, value in vars(kind).items():
        told = isinstance(value, property | classmethod | staticmethod) or inspect.isfunction(value)
        if told and not attribute.startswith("_") and attribute not in fields:
            yield attribute, value


def _signature(thing: Any) -> str:
    """The signature as one would write it: without ``self``, and over several lines where it is long."""
    found = inspect.signature(thing)
    given = [each for name, each in found.parameters.items() if name not in ("self", "cls")]
    found = found.replace(parameters=given)
    text = re.sub(r"(?<=: )'([^']*)'|(?<=-> )'([^']*)'", lambda match: match[1] or match[2], str(found))
    text = re.sub(r"\b(?:typing|collections\.abc|massconvert[a-z_.]*|pydantic[a-z_.]*)\.", "", text)
    text = text.replace(" -> None", "") if inspect.isclass(thing) else text
    if len(text) <= 100:
        return text
    inner, _, returned = text.rpartition(")")
    return "(\n    " + re.sub(r", (?=\*{0,2}\w+(?::|=|,|$)|\*, )", ",\n    ", inner[1:]) + f",\n){returned}"


def _prose(thing: Any) -> str:
    """A docstring as Markdown; indented parts are code."""
    words = (
        inspect.cleandoc(thing.__doc__ or "")
        if not isinstance(thing, property)
        else inspect.cleandoc(thing.fget.__doc__ or "")
    )
    assert words, thing
    return words.replace("``", "`")


def _fixture(name: str) -> Iterator[str]:
    plugin = import_module("massconvert.testing.plugin")
    made = vars(plugin)[name]
    function = getattr(made, "__wrapped__", None) or getattr(made, "_fixture_function", made)
    yield f"### the fixture {name}\n"
    yield f"{_prose(function)}\n"


def _errors(kind: type[errors.MassConvertError]) -> Iterator[type[errors.MassConvertError]]:
    yield kind
    for below in sorted(kind.__subclasses__(), key=lambda found: found.__name__):
        if below.__module__ == errors.__name__:
            yield from _errors(below)


def _error(kind: type) -> str:
    above = kind.__bases__[0].__name__
    return f"| `{kind.__name__}` | `{above}` | {' '.join(_prose(kind).split())} |"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
