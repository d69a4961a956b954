"""Prose, facts and tables for a terminal of some width: nothing is cut, and what is copied is not broken."""

from __future__ import annotations

import io
import shlex

import pytest
from rich.cells import cell_len
from rich.console import Console, RenderableType

from massconvert.cli.layout import Column, Pairs, Prose, Sheet, wrapped

WIDTHS = (60, 80, 120)
COMMAND = "massconvert report import-2026-11-24 --files --input 'my leads.csv' --id-column 'Lead Id'"


def drawn(what: RenderableType, width: int, *, terminal: bool = True) -> list[str]:
    paper = io.StringIO()
    Console(file=paper, width=width, force_terminal=terminal, no_color=True, soft_wrap=True).print(what)
    return paper.getvalue().replace("\x1b[1m", "").replace("\x1b[0m", "").splitlines()


@pytest.mark.parametrize("width", WIDTHS)
def test_prose_is_wrapped_at_words(width: int) -> None:
    text = "massconvert: " + "Zoho has stopped the work for a reason that is long. " * 6
    lines = wrapped(text.strip(), width)
    assert max(map(cell_len, lines)) <= width
    assert " ".join(lines) == text.strip()


@pytest.mark.parametrize("width", range(40, 130, 5))
def test_a_command_is_on_one_line_or_goes_on_after_a_backslash(width: int) -> None:
    """As it stands there it can be copied into a shell."""
    lines = wrapped(f"As files, with the columns of the input and ours behind them: {COMMAND}", width)
    assert max(map(cell_len, lines)) <= width
    text = "\n".join(lines).replace("\\\n", "")  # as a shell does
    assert shlex.split(text[text.index("massconvert") :]) == shlex.split(COMMAND)


def test_two_commands_of_a_sentence_stay_whole_with_their_commas() -> None:
    text = "To see how far: massconvert profile list, massconvert status nightly@20261130T014600Z, or the log"
    assert wrapped(text, 60) == [
        "To see how far: massconvert profile list,",
        "massconvert status nightly@20261130T014600Z, or the log",
    ]


def test_what_is_longer_than_the_line_is_left_whole() -> None:
    name = "import-" + "x" * 100
    assert name in wrapped(f"Batch {name} is paused.", 60)


def test_a_text_without_spaces_is_broken_where_it_must_be() -> None:
    lines = wrapped("必須項目が見つかりません" * 8, 60)
    assert max(map(cell_len, lines)) <= 60
    assert "".join(lines) == "必須項目が見つかりません" * 8


def test_an_indentation_is_kept() -> None:
    lines = wrapped("  " + "word " * 30, 60)
    assert all(line.startswith("  ") for line in lines)


@pytest.mark.parametrize("width", WIDTHS)
def test_facts_hang_beside_their_names(width: int) -> None:
    lines = drawn(Pairs([("batch", "k"), ("paused", "for a reason that is long enough " * 5)]), width)
    assert lines[0] == "batch   k"
    assert max(map(cell_len, lines)) <= width
    assert all(line.startswith(" " * 8) for line in lines[2:])


def test_a_column_that_says_nothing_is_left_out() -> None:
    sheet = Sheet((Column("name"), Column("job"), Column("failed", right=True)), [("a", "", "0"), ("b", "", "0")])
    assert drawn(sheet, 80) == ["name", "────", "a", "b"]


def test_a_pipe_has_prose_on_one_line() -> None:
    assert len(drawn(Prose("word " * 100), 80, terminal=False)) == 1
