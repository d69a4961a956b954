"""Printed commands: made in one place, whatever they hold they can be typed, and act where they were printed."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
import typer.main

import massconvert
from massconvert.cli.app import app
from massconvert.words.next_command import next_command, then_resume
from tests.printed import NAMES, commands_in, parse
from tests.unit.cli_shell import A, Shell

ROOT = Path(massconvert.__file__).parents[1]
MODULES = sorted(
    path
    for folder in ("massconvert", "tasks", "workers")
    for path in (ROOT / folder).rglob("*.py")
    if path != ROOT / "massconvert" / "next_command.py"
)
#: A command within a text. The first word of a name is enough: "massconvert profile" prints one, too.
BYPASS = re.compile(
    rf"massconvert (?:\{{\}}(?!\n)|(?:{'|'.join(sorted({name.split()[0] for name in NAMES}))})\b)|massconvert $"
)

#: What the simulator's own parser is called.
CALLED = "massconvert simulator"


def texts(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Each text of a module with its line, an f-string's values as ``{}``; docstrings excepted."""
    documents = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    inner = {id(value) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for value in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            parts = (str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
            yield node.lineno, "".join(parts)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documents | inner:
            yield node.lineno, node.value


def bypasses(source: str) -> list[int]:
    """The lines whose texts hold a command that was not made by `next_command`. An epilog's examples may."""
    return [
        line
        for line, text in texts(ast.parse(source))
        if BYPASS.search(text) and not text.startswith("\b\n") and text != CALLED
    ]


def test_no_text_holds_a_command_that_was_made_elsewhere() -> None:
    found = {str(path.relative_to(ROOT)): bypasses(path.read_text(encoding="utf-8")) for path in MODULES}
    assert {name: lines for name, lines in found.items() if lines} == {}


@pytest.mark.parametrize(
    "source",
    [
        'hint("To go on: massconvert resume")',
        'f"To go on: massconvert resume {batch}"',
        'f"massconvert {command} BATCH"',
        '"massconvert " + command',
        'hint("See `massconvert profile`.")',
    ],
)
def test_what_goes_around_it_is_found(source: str) -> None:
    assert bypasses(source) == [1]


@pytest.mark.parametrize(
    "source",
    [
        '"""`massconvert resume` ends it."""',
        '"give massconvert a Redis"',
        '"the fixtures of massconvert need its extra"',
        '"\\b\\nExamples:\\n  massconvert resume k"',
    ],
)
def test_docstrings_examples_of_a_help_and_prose_are_left_alone(source: str) -> None:
    assert bypasses(source) == []


def test_its_names_are_the_commands_of_the_command_line() -> None:
    found = []
    for name, command in cast("Any", typer.main.get_command(app)).commands.items():
        inner = getattr(command, "commands", None)
        found += [f"{name} {sub}" for sub in inner] if inner else [name]
    assert sorted(found) == sorted([*NAMES, "beat", "worker"])  # those two take no account


@pytest.mark.parametrize(
    "words",
    [["k"], ["k", "--files", "--input", "my leads.csv"], ["k", "--id-column", "it's; `id` $HOME *"], ["\n", "é"]],
)
@pytest.mark.parametrize("account", ["default", "emea"])
def test_a_shell_reads_the_words_that_were_meant(words: list[str], account: str) -> None:
    named = [] if account == "default" else ["--account", account]
    assert shlex.split(next_command("report", *words, account=account)) == ["massconvert", "report", *words, *named]


def test_a_pause_ends_with_what_is_fixed_and_the_command() -> None:
    assert then_resume("", account="default") == "To go on: massconvert resume"
    assert then_resume("Ask for it.", account="emea") == "Ask for it, then: massconvert resume --account emea"


# --- each place that prints one


def calls() -> Iterator[tuple[str, ast.Call, ast.AST]]:
    """Each call of `next_command` in the product, and the function or module that it stands in."""
    for path in MODULES:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for scope in ast.walk(tree):
            if not isinstance(scope, ast.FunctionDef):
                continue
            for node in ast.walk(scope):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "next_command":
                    yield f"{path.relative_to(ROOT)}:{node.lineno}", node, scope


def values(node: ast.expr, scope: ast.AST) -> list[list[str]]:
    """What words an argument may be: one list for each way."""
    if isinstance(node, ast.Constant):
        return [[str(node.value)]]
    if isinstance(node, ast.Starred):
        return several(node.value, scope)
    return [["sample"]]


def several(node: ast.expr, scope: ast.AST) -> list[list[str]]:
    """The same of what is unpacked: a list, one or another, one that was named before."""
    if isinstance(node, ast.IfExp):
        return several(node.body, scope) + several(node.orelse, scope)
    if isinstance(node, ast.List | ast.Tuple):
        return combined(node.elts, scope)
    if isinstance(node, ast.ListComp):
        return several(node.generators[-1].iter, scope)
    assert isinstance(node, ast.Name), ast.dump(node)
    made = [
        each.value for each in ast.walk(scope) if isinstance(each, ast.Assign) and node.id in map(name_of, each.targets)
    ]
    assert len(made) == 1, node.id
    return several(made[0], scope)


def name_of(target: ast.expr) -> str:
    return target.id if isinstance(target, ast.Name) else ""


def combined(nodes: list[ast.expr], scope: ast.AST) -> list[list[str]]:
    ways: list[list[str]] = [[]]
    for node in nodes:
        ways = [[*way, *more] for way in ways for more in values(node, scope)]
    return ways


def test_each_printed_command_is_one_that_the_parser_takes() -> None:
    printed = []
    for place, call, scope in calls():
        name, *words = call.args
        if isinstance(name, ast.Constant):  # `which` names any command, and is tried below
            for way in combined(words, scope):
                typed = next_command(cast("Any", name.value), *way, account="emea")
                printed.append(typed)
                assert parse(shlex.split(typed)[1:]) == "emea", place
    assert "massconvert retry sample --code sample --options O.json --account emea" in printed
    assert len(printed) > 40


# --- as it is printed


def test_what_is_printed_for_an_account_is_about_that_account(shell: Shell) -> None:
    """`Shell.run` gives every printed command to the parser; here there must be some."""
    shell.write("massconvert.toml", "[accounts.emea]\ndata_center = 'eu'\n")
    emea = ("--account", "emea")
    for arguments, expected in (
        (("status",), ["enqueue", "--help"]),
        (("enqueue", "--no-deal", A, "--key", "k"), ["status", "k", "--watch"]),
        (("pause", "k"), ["resume", "k"]),
        (("status", "k"), ["resume", "k"]),
        (("pause",), ["resume"]),
        (("status", "k"), ["resume"]),
        (("resume", "nope"), ["status", "--all"]),
        (("retry", "k"), ["report", "k"]),
        (("cancel", "k"), ["report", "k"]),
        (("letters", "--show", "nope"), ["letters"]),
        (("report",), ["report", "BATCH"]),
        (("enqueue", A), ["options", "init", "--output", "O.json"]),
    ):
        said = shell.run(*arguments, *emea)
        assert [*expected, *emea] in commands_in(said.out + said.err), (arguments, said)
