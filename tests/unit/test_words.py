"""The words of public names have one meaning each, and it stands in docs/concepts.md."""

from __future__ import annotations

import re
from pathlib import Path

import typer.main

import massconvert
from massconvert.cli.app import app
from massconvert.producer.batch import Batch
from massconvert.producer.mass_convert import MassConvert

CONCEPTS = Path(__file__).resolve().parents[2] / "docs" / "concepts.md"
#: Words that mean here what they mean anywhere.
ORDINARY = {
    *("key", "new", "check", "wait", "progress", "conflict", "error", "input", "store", "unknown", "timeout", "kind"),
    *("zoho", "mass", "convert", "converts", "row", "settings", "broker", "worker", "beat", "health", "stats"),
    *("metrics", "demo", "dashboard", "doctor", "login", "logout", "match", "webhook", "whoami"),
}


def words(name: str) -> list[str]:
    """The words of a name, in lower case: of ``BatchStatus``, of ``run_profile``."""
    return [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)]


def told() -> set[str]:
    """The words of the table, each also with an s."""
    table = CONCEPTS.read_text(encoding="utf-8").partition("## How a lead travels")[0]
    found = {word.lower() for word in re.findall(r"\*\*([a-z]+)\*\*", table)}
    return found | {f"{word}s" for word in found}


def test_each_word_of_a_public_name_is_in_the_table_of_words() -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]  # it is a group
    methods = [name for kind in (MassConvert, Batch) for name in vars(kind) if not name.startswith("_")]
    names = [*massconvert.__all__, *methods, *commands]
    assert len(names) > 40
    unknown = {name for name in names for word in words(name) if word not in told() | ORDINARY}
    assert unknown == set()


def test_a_word_of_the_table_stands_in_it_once() -> None:
    table = CONCEPTS.read_text(encoding="utf-8").partition("## How a lead travels")[0]
    found = [
        word for row in re.findall(r"^\| (.*?) \|", table, re.MULTILINE) for word in re.findall(r"\*\*(.*?)\*\*", row)
    ]
    assert len(found) == len(set(found))
