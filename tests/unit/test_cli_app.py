"""The command line as a whole: help, version, exit statuses, how it ends when something is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from massconvert import errors
from massconvert.cli.app import exit_for
from massconvert.contract import Exit
from tests.unit.cli_shell import Shell, finished

COMMANDS = ["demo", "convert", "enqueue", "status", "report", "retry", "cancel", "pause", "resume", "simulator"]


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Shell:
    return Shell(monkeypatch, capsys, tmp_path)


def test_help_lists_the_commands_in_the_order_in_which_they_are_needed(shell: Shell) -> None:
    said = shell.run("--help")
    assert said.code == Exit.OK
    places = [said.out.index(f"  {name} ") for name in COMMANDS]
    assert places == sorted(places)


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_explains_itself_with_an_example(shell: Shell, command: str) -> None:
    said = shell.run(command, "--help")
    assert said.code == Exit.OK
    assert "Example" in said.out
    assert f"massconvert {command}" in said.out.split("Example")[1]


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        ("massconvert rep", ["report"]),
        ("massconvert re", ["report", "retry", "resume"]),
        ("massconvert retry --o", ["--options"]),
        ("massconvert report --format j", ["jsonl"]),
        ("massconvert status k", ["k-1", "k-2"]),
    ],
)
def test_a_shell_completes_commands_options_choices_and_batches(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, words: str, completed: list[str]
) -> None:
    for name in ("k-1", "k-2", "other"):
        shell.batch(name, finished())
    monkeypatch.setenv("_MASSCONVERT_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", str(words.count(" ")))
    assert sorted(shell.run().out.split()) == sorted(completed)


def test_a_completion_without_redis_is_empty_and_silent(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    shell.redis_away()
    for name, value in (("_MASSCONVERT_COMPLETE", "complete_bash"), ("COMP_WORDS", "massconvert status k")):
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("COMP_CWORD", "2")
    said = shell.run()
    assert (said.out.strip(), said.err) == ("", "")


def test_the_version_is_on_stdout(shell: Shell) -> None:
    said = shell.run("--version")
    assert said.code == Exit.OK
    assert said.out.startswith("massconvert ")


@pytest.mark.parametrize("typed", [("convrt",), ("report",), ("status", "--jso"), ("demo", "--leads", "0")])
def test_a_wrong_command_line_is_status_2_and_told_on_stderr(shell: Shell, typed: tuple[str, ...]) -> None:
    said = shell.run(*typed)
    assert said.code == Exit.USAGE
    assert said.out == ""
    assert said.err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.OptionsError, Exit.USAGE),
        (errors.InputError, Exit.USAGE),
        (errors.KeyConflictError, Exit.USAGE),
        (errors.UnknownBatchError, Exit.USAGE),
        (errors.SettingsError, Exit.UNREACHABLE),
        (errors.StoreError, Exit.UNREACHABLE),
        (errors.BrokerError, Exit.UNREACHABLE),
        (errors.ZohoError, Exit.UNREACHABLE),
        (errors.EmbeddedError, Exit.UNREACHABLE),
        (errors.WaitTimeoutError, Exit.STILL_RUNNING),
    ],
)
def test_each_error_has_its_exit_status(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, error: type[errors.MassConvertError], code: Exit
) -> None:
    def fail(*_: object) -> None:
        raise error("What is wrong.", hint="What to do.")

    monkeypatch.setattr("massconvert.cli.status.open_desk", fail)
    said = shell.run("status")
    assert said.code == code
    assert (said.out, said.err) == ("", "massconvert: What is wrong.\nWhat to do.\n")
    assert exit_for(error("x")) == code


def test_ctrl_c_is_130_and_no_traceback(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("massconvert.cli.status.open_desk", interrupted)
    said = shell.run("status")
    assert (said.code, said.err) == (130, "massconvert: interrupted.\n")


def test_a_reader_that_has_seen_enough_ends_it_quietly(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise BrokenPipeError(32, "Broken pipe")

    shell.batch("k", finished())
    monkeypatch.setattr("massconvert.cli.report.print_lines", broken)
    monkeypatch.setattr("massconvert.cli.app._forget_stdout", lambda: None)  # it would be pytest's own
    said = shell.run("report", "k", "--format", "csv")
    assert (said.code, said.err) == (141, "")


def test_a_full_disk_behind_stdout_is_told_in_words(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    shell.batch("k", finished())
    monkeypatch.setattr("massconvert.cli.report.print_lines", full)
    monkeypatch.setattr("massconvert.cli.app._forget_stdout", lambda: None)  # it would be pytest's own
    said = shell.run("report", "k", "--format", "csv")
    assert (said.code, said.err) == (Exit.USAGE, "massconvert: No space left on device.\n")
