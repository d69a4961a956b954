"""Every command line that README and docs show can be typed: the program that it names takes each of its words."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import click
import pytest
import typer.main
import yaml
from celery.bin.celery import celery

from massconvert.cli import main
from massconvert.cli.app import app
from massconvert.simulator import command as simulator
from tests.documented import PAGES, ROOT, Line, command_lines

LINES = command_lines()
COMMAND = typer.main.get_command(app)


def walk(command: Any, name: str, words: list[str], parent: Any = None) -> None:
    """Parse ``words`` as the command would, group by group, and run nothing. Raises what its parser raises."""
    context = command.make_context(name, words, parent=parent)
    rest = [*getattr(context, "_protected_args", ()), *context.args]
    if isinstance(command, click.Group) or hasattr(command, "resolve_command"):
        assert rest, f"{name} needs a command"
        found, inner, left = command.resolve_command(context, rest)
        walk(inner, found, left, context)


#: What its parser raises; Typer has a Click of its own.
WRONG: Any = typer.BadParameter.__base__


def massconvert(words: list[str]) -> None:
    """Parsed by the command line itself."""
    command = COMMAND
    if words in (["--install-completion"], ["--show-completion"]):  # parsing it does it
        assert words[0] in {name for option in command.params for name in option.opts}
        return
    if words[0] in ("worker", "beat"):  # whatever follows is passed on
        celery_worker(words)
    if words[0] == "simulator":
        simulator.parser().parse_args(words[1:])
    try:
        walk(command, "massconvert", words)
    except typer.Exit:  # --help
        return


def celery_worker(words: list[str]) -> None:
    """The command and each of its options are Celery's; what an option is given is not looked at."""
    if words[:1] == ["-A"]:
        words = words[2:]
    command = celery.commands[words[0]]
    known = {name for option in command.params for name in option.opts}
    if isinstance(command, click.Group):
        assert words[1] in command.commands or words[1:] == []
    assert {word.partition("=")[0] for word in words[1:] if word.startswith("-")} <= known | {"--help"}


def make(words: list[str]) -> None:
    """A target of the Makefile, and variables that it reads."""
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    for word in words:
        name, is_variable, _ = word.partition("=")
        assert f"$({name})" in text if is_variable else re.search(rf"^{name}:", text, re.M), word


def docker(words: list[str]) -> None:
    """What is named is there. Docker itself cannot be asked on every machine."""
    if words[0] != "compose":
        return
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    profiles = {name for service in compose["services"].values() for name in service.get("profiles", ())}
    assert {"up", "down", "ps", "logs", "run", "exec", "build"} & set(words)
    for before, word in pairwise(words):
        assert before != "--env-file" or word == ".env" or (ROOT / word).is_file()  # the first is the reader's own
        assert before != "--profile" or word in profiles
        assert before != "--scale" or word.partition("=")[0] in compose["services"]


def python(words: list[str]) -> None:
    """A module or a file that is there; the simulator's words are parsed as it does."""
    words = words[1:] if words[0] == "-m" else words
    path = words[0] if words[0].endswith(".py") else words[0].replace(".", "/")
    if words[0] in ("venv", "pip"):
        return
    assert (ROOT / path).exists() or (ROOT / f"{path}.py").is_file(), words[0]
    source = ROOT / path if words[0].endswith(".py") else ROOT / f"{path}.py"
    source = source if source.is_file() else ROOT / path / "__main__.py"
    text = source.read_text(encoding="utf-8")
    if words[0] == "massconvert.simulator":
        text = Path(simulator.__file__).read_text(encoding="utf-8")
    assert all(f'"{word}"' in text for word in words[1:] if word.startswith("--")), words


def pip(words: list[str]) -> None:
    """An extra that there is: what is installed may be older."""
    table = (ROOT / "pyproject.toml").read_text(encoding="utf-8").partition("[project.optional-dependencies]")[2]
    extras = re.findall(r"^([a-z]+) = \[", table.partition("\n[")[0], re.MULTILINE)
    for word in words:
        for extra in re.findall(r"\[([\w,]+)\]", word):
            assert set(extra.split(",")) <= set(extras), word


def flask(words: list[str]) -> None:
    """The app is there."""
    assert words[0] == "--app"
    assert (ROOT / f"{words[1].replace('.', '/')}.py").is_file()


def another(_words: list[str]) -> None:
    """A program of the machine's: nothing of ours can be wrong in its words but what is named elsewhere."""


PARSERS: dict[str, Callable[[list[str]], None]] = {
    "massconvert": massconvert,
    "celery": celery_worker,
    "make": make,
    "docker": docker,
    "python": python,
    "pip": pip,
    "pipx": pip,
    "uvx": pip,
    "flask": flask,
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with what the lines name."""
    for name in ("leads.csv", "options.json", "fixed.json", "import-2026-11-24-error.csv", "massconvert.toml"):
        (tmp_path / name).write_text("")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("line", LINES, ids=str)
def test_a_line_that_is_shown_can_be_typed(line: Line, folder: Path) -> None:
    program, *words = line.typed
    try:
        PARSERS.get(program, another)(words)
    except WRONG as error:
        if not (line.in_prose and re.search("Missing argument|requires an argument", error.format_message())):
            raise


def test_the_lines_are_found() -> None:
    """Of every page that has some, and in every way that the notation allows."""
    shown = {" ".join(line.typed) for line in LINES}
    assert len(LINES) > 120
    for line in (
        "massconvert enqueue leads.csv --options options.json --wait",
        "massconvert resume import-2026-11-24",
        "massconvert resume",
        "massconvert report import-2026-11-24 --format jsonl",
        "massconvert health beat --max-age 60",
        "massconvert beat",
        "celery -A workers worker",
        "docker compose up -d --scale worker=4",
        "make simulate SEED=2404",
    ):
        assert line in shown
    assert {line.page for line in LINES} >= {"README.md", "examples/README.md", "docs/doctor.md", "docs/commands.md"}
    assert set(PAGES) >= {line.page for line in LINES}


@pytest.mark.parametrize(
    "words", ["statuses", "status --wath", "report b --fromat csv", "profile rum", "enqueue a b --key"]
)
def test_a_line_that_cannot_be_typed_is_found_out(words: str, folder: Path) -> None:
    with pytest.raises(WRONG):
        massconvert(words.split())


# --- the output that the pages show


def block(page: str, begins: str) -> list[str]:
    """The lines of the block of code that begins so."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return next(part for part in text.split("```\n") if part.startswith(begins)).splitlines()


def run(*words: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """Type a command as somebody would who has set nothing."""
    for name in os.environ:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home))
    return main(words)


def test_a_wrong_file_is_refused_as_readme_shows(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "bad.csv").write_text("id\n3652397000009850001\n3.6524E+18\nhello\n")
    assert run("enqueue", "bad.csv", "--no-deal", home=folder, monkeypatch=monkeypatch) == 2
    shown = block("README.md", "massconvert: bad.csv:")
    assert capsys.readouterr().err.splitlines()[-len(shown) :] == shown


def test_a_dry_run_says_what_the_page_of_commands_shows(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ids = [f"{3652397000009850001 + 1000 * number}\n" for number in range(1001)]
    (folder / "leads.csv").write_text("".join(["id\n", *ids, ids[0]]))
    (folder / "options.json").write_text('{"Deals": {"Deal_Name": "R", "Stage": "S", "Closing_Date": "+30d"}}')
    words = ("convert", "leads.csv", "--options", "options.json", "--dry-run")
    assert run(*words, home=folder, monkeypatch=monkeypatch) == 0
    shown = block("docs/commands.md", "leads            1,001")
    said = capsys.readouterr().out.splitlines()
    assert said[: shown.index("the first payload:") + 1] == shown[: shown.index("the first payload:") + 1]
