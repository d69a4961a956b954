"""What people read fits their terminal: no line is wider, and no name, code or id is cut or broken."""

from __future__ import annotations

import io
import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console

from massconvert.cli.app import app
from massconvert.cli.doctor import _show
from massconvert.cli.watching import Bar
from massconvert.doctor import Finding, Level
from massconvert.model import HELD_FOR_CANARY, BatchState, BatchStatus, CanaryCounts, Kind, Outcome
from tests.unit.cli_shell import A, B, Said, Shell

WIDTHS = (60, 80, 120)
NAME = "minutely@20261130T014600Z"
CODES = ("MANDATORY_NOT_FOUND", "REQUIRED_PARAM_MISSING", "ALREADY_CONVERTED")
LONG = "required field not found ($.Deals.Pipeline), as the layout of the organisation wants it to be given"

Terminal = Callable[[int], Shell]


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Terminal:
    """A shell on a terminal of some width."""
    shell = Shell(monkeypatch, capsys, tmp_path)

    def made(width: int) -> Shell:
        monkeypatch.setenv("FORCE_COLOR", "1")  # rich takes it for a terminal
        monkeypatch.setenv("COLUMNS", str(width))
        return shell

    return made


def lines(said: Said | str) -> list[str]:
    """What was shown, without the movements of the cursor and the styles."""
    text = said if isinstance(said, str) else said.out + said.err
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text).splitlines()


def fits(said: Said | str, width: int) -> str:
    """All that was shown; no line of it is wider than the terminal."""
    shown = lines(said)
    wide = [line for line in shown if cell_len(line) > width]
    assert wide == []
    return "\n".join(shown)


def leads(count: int, outcome: Outcome, start: int = 0) -> dict[str, Outcome]:
    return {str(3652397000009850001 + number): outcome for number in range(start, start + count)}


def mixed() -> dict[str, Outcome]:
    return {
        **leads(300, Outcome(Kind.CONVERTED)),
        **leads(60, Outcome(Kind.FAILED, CODES[0], LONG), 300),
        **leads(2, Outcome(Kind.FAILED, CODES[1], "param missing"), 400),
        **leads(2, Outcome(Kind.SKIPPED, CODES[2], "the lead had been converted before"), 500),
    }


@pytest.mark.parametrize("width", WIDTHS)
def test_the_batches_of_an_organisation(terminal: Terminal, width: int) -> None:
    shell = terminal(width)
    shell.batch(NAME, mixed(), waiting=["7"])
    shell.batch("k", leads(1, Outcome(Kind.CONVERTED)))
    said = fits(shell.run("status"), width)
    assert NAME in said
    assert "running" in said
    if width != 80:  # there it goes over two lines of its column
        assert "300 ok, 62 failed, 2 skipped of 365" in " ".join(said.split())
    assert "cancelled" not in said


def test_when_a_batch_has_begun_is_told_as_how_long_ago(terminal: Terminal) -> None:
    shell = terminal(80)
    shell.ledger.batches.open("k", "0" * 16, {}, now=time.time() - 250, leads=1)
    assert re.search(r"^k .* 4 min ago$", fits(shell.run("status"), 80), re.MULTILINE)


@pytest.mark.parametrize("width", WIDTHS)
def test_batches_that_are_not_shown_are_counted_with_the_command_that_shows_them(
    terminal: Terminal, width: int
) -> None:
    shell = terminal(width)
    for number in range(23):
        shell.batch(f"import-{number}", leads(1, Outcome(Kind.CONVERTED)))
    said = fits(shell.run("status"), width)
    assert "The newest 20 of 23 batches. To see all: massconvert status --all" in " ".join(said.split())
    every = fits(shell.run("status", "--all"), width)
    assert all(re.search(rf"\bimport-{number}\b", every) for number in range(23))
    assert "The newest" not in every
    assert len(shell.run("status", "--all", "--json").json["batches"]) == 23


@pytest.mark.parametrize("width", WIDTHS)
def test_a_batch_that_zoho_has_paused(terminal: Terminal, width: int) -> None:
    shell = terminal(width)
    shell.batch(NAME, {}, waiting=[A])
    hint = "Give the user of the refresh token the permission to convert leads, then: massconvert resume"
    pause = {"code": "NO_PERMISSION", "reason": f"permission denied {LONG}", "hint": hint, "since": "1800000000"}
    shell.connect("").hset("mc:{default}:pause", mapping=pause)
    for arguments in (("status",), ("status", NAME), ("pause",)):
        said = fits(shell.run(*arguments), width)
        assert "NO_PERMISSION" in said
    assert NAME in fits(shell.run("status", NAME), width)


@pytest.mark.parametrize("width", WIDTHS)
def test_a_report_folds_equal_failures(terminal: Terminal, width: int) -> None:
    shell = terminal(width)
    shell.batch("k", mixed())
    said = fits(shell.run("report", "k"), width)
    for code in CODES:
        assert code in said
    assert said.count("3652397000009850301") == said.count("3652397000009850302") + 1  # it is the example, too
    assert "and 57 more" in said
    assert len(said.splitlines()) < 30
    assert "job" not in said


@pytest.mark.parametrize("width", WIDTHS)
def test_what_follows_an_enqueueing(terminal: Terminal, width: int) -> None:
    shell = terminal(width)
    for arguments in (("--key", NAME), ("--key", NAME, "--wait", "0"), ("--dry-run",)):
        said = fits(shell.run("enqueue", "--no-deal", A, B, *arguments), width)
        assert NAME in said or "--dry-run" in arguments
    for command in ("pause", "resume", "cancel"):
        assert NAME in fits(shell.run(command, NAME), width)


@pytest.mark.parametrize("width", WIDTHS)
def test_the_examination(width: int) -> None:
    paper = io.StringIO()
    console = Console(file=paper, width=width, force_terminal=True, no_color=True, soft_wrap=True)
    fix = f"See whom its on_complete names.\nThen: massconvert retry {NAME} --code MANDATORY_NOT_FOUND --options o.json"
    for level in Level:
        _show(console, Finding("organisation", level, f"Batch {NAME} has finished, but {LONG}. {LONG}.", fix))
    said = fits(paper.getvalue(), width)
    assert said.count(f"retry {NAME}") == 3
    assert said.count("organisation") >= 3


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize(
    "command",
    [(), *((command.name or command.callback.__name__,) for command in app.registered_commands if command.callback)],
)
def test_each_help(terminal: Terminal, width: int, command: tuple[str, ...]) -> None:
    said = fits(terminal(width).run(*command, "--help"), width)
    assert "..." not in said.replace("]...", "")
    assert "Usage: massconvert" in said


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("command", ["list", "check", "run"])
def test_each_help_of_a_group(terminal: Terminal, width: int, command: str) -> None:
    fits(terminal(width).run("profile", command, "--help"), width)


RUNNING = BatchStatus(
    NAME,
    BatchState.RUNNING,
    1_000_000,
    600_000,
    199_990,
    100_000,
    50_000,
    50_000,
    10,
    sealed=True,
    created_at=0.0,
    account="default",
)


@pytest.mark.parametrize("width", WIDTHS)
def test_a_bar_has_its_counts_whole(width: int) -> None:
    paper = io.StringIO()
    with Bar(Console(file=paper, width=width, force_terminal=True, no_color=True, soft_wrap=True)) as bar:
        bar.show(RUNNING)
        bar.note(f"Batch {NAME} is paused: {LONG}")
    said = fits(paper.getvalue().replace("\r", "\n"), width)
    assert "200010/1000000" in said
    assert "100,000 converted, 50,000 failed, 50,000 skipped, 10 cancelled, 199,990 sent, 600,000 waiting" in " ".join(
        said.split()
    )
    assert "…" not in said
    assert "/?" not in said


def test_a_bar_of_a_canary_is_called_so_while_its_leads_run() -> None:
    paper = io.StringIO()
    held = BatchStatus(
        "k", BatchState.PAUSED, 9, 8, 1, 0, 0, 0, 0, sealed=True, created_at=0.0, held=HELD_FOR_CANARY,
        canary=CanaryCounts(1, 0, 0), account="default",
    )  # fmt: skip
    with Bar(Console(file=paper, width=80, force_terminal=True)) as bar:
        bar.show(held)
    assert "canary" in paper.getvalue()
    assert "paused" not in paper.getvalue()
