"""The command line as a whole: help, version, exit statuses, how it ends when something is wrong."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version
from typing import Any

import pytest

from massconvert import errors
from massconvert.cli.app import exit_for
from massconvert.contract import Exit
from tests.unit.cli_shell import A, Shell, finished

COMMANDS = ["demo", "convert", "enqueue", "status", "report", "retry", "cancel", "pause", "resume", "simulator"]


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
        ("massconvert re", ["rehearse", "report", "retry", "resume"]),
        ("massconvert retry --op", ["--options"]),
        ("massconvert report --format j", ["json", "jsonl"]),
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


@pytest.mark.parametrize("flag", ["-V", "--version"])
def test_the_versions_that_matter_are_on_stdout(shell: Shell, flag: str) -> None:
    said = shell.run(flag)
    assert said.code == Exit.OK
    ours, others = said.out.splitlines()
    assert ours == f"massconvert {version('zoho-mass-convert')}"
    python = ".".join(map(str, sys.version_info[:3]))
    assert others == f"Python {python}, Celery {version('celery')}, redis-py {version('redis')}"


def test_python_minus_m_is_the_command() -> None:
    done = subprocess.run([sys.executable, "-m", "massconvert", "-V"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("massconvert ")


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
    def fail(*_: object, **__: object) -> None:
        raise error("What is wrong.", hint="What to do.")

    monkeypatch.setattr("massconvert.cli.status.find_desk", fail)
    said = shell.run("status")
    assert said.code == code
    assert (said.out, said.err) == ("", "massconvert: What is wrong.\nWhat to do.\n")
    assert exit_for(error("x")) == code


def test_ctrl_c_is_130_and_no_traceback(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("massconvert.cli.status.find_desk", interrupted)
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


# --- errors under --json ----------------------------------------------------------------------------------------


def error(shell: Shell, *arguments: str) -> Any:
    said = shell.run(*arguments)
    assert said.code != Exit.OK
    assert said.err  # people are told as ever
    return said.json["error"]


def test_an_error_under_json_is_json_and_names_the_file(shell: Shell) -> None:
    shell.write("o.json", '{"Deals": 1,\n}')
    found = error(shell, "enqueue", A, "--options", "o.json", "--json")
    assert found["file"] == "o.json"
    assert "o.json: not JSON at line 2" in found["message"]
    shell.write("o.json", '{"Deals": {"Stage": 7}, "asign_to": "5"}')
    found = error(shell, "enqueue", A, "--options", "o.json", "--json")
    assert found["file"] == "o.json"
    assert {problem["path"] for problem in found["problems"]} >= {"$.asign_to", "$.Deals.Stage"}
    assert error(shell, "options", "check", "none.json", "--json")["file"] == "none.json"
    shell.write("names.csv", "Name,Company\nAnn,ACME\n")
    assert error(shell, "enqueue", "names.csv", "--no-deal", "--json")["file"] == "names.csv"


def test_an_error_under_json_names_the_settings(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MASSCONVERT_RETENTION_DAYS", "x")
    monkeypatch.setenv("ZOHO_CONCURRENCY", "0")
    found = error(shell, "status", "--json")
    assert found["settings"] == ["ZOHO_CONCURRENCY", "MASSCONVERT_RETENTION_DAYS"]


@pytest.mark.parametrize(
    "arguments",
    [("status", "nope", "--json"), ("cancel", "--json"), ("nonesuch", "--json"), ("status", "--json", "--no-such")],
)
def test_every_error_under_json_is_one_document(shell: Shell, arguments: tuple[str, ...]) -> None:
    assert error(shell, *arguments)["message"]


def test_without_json_stdout_stays_empty(shell: Shell) -> None:
    for arguments in (("status", "nope"), ("status", "--no-such"), ("status", "--", "--json")):
        assert shell.run(*arguments).out == ""


def test_a_choice_that_is_none_is_told_without_the_words_of_a_library(shell: Shell) -> None:
    said = shell.run("report", "k", "--format", "xls")
    assert said.code == Exit.USAGE
    assert "Invalid value for '--format': 'xls' is not one of 'table', 'csv', 'json', 'jsonl'." in said.err
