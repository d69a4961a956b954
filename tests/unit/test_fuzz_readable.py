"""What others have written is shown and never obeyed: in every log of ours, in tracebacks, on a terminal."""

from __future__ import annotations

import builtins
import io
import json
import logging
import re
import sys
from collections.abc import Callable
from typing import Any

import pytest

from massconvert.cli import batch_view, console, main
from massconvert.errors import InputError
from massconvert.model import Kind, LeadRow, Outcome, Pause, Waits
from massconvert.report import csv_lines, json_lines
from massconvert.words.readable import LONGEST, Readable, readable, readable_json, whole
from tests.unit.cli_shell import A, Shell
from tests.unit.fuzz import cases, generator
from workers import log

FORGED = "2026-11-24T15:00:00Z INFO massconvert forged"
#: One of each kind, each with the words before and behind it that a reader must still find.
CORPUS = {
    "C0": "before" + "".join(map(chr, range(0x20))) + "behind",
    "DEL and C1": "before" + "".join(map(chr, range(0x7F, 0xA0))) + "behind",
    "a colour": "before\x1b[31mbehind",
    "cursor up, line cleared": "before\x1b[1A\x1b[2Kbehind",
    "a CSI of one character": "before\x9b2Jbehind",
    "a title": "before\x1b]0;owned\x07behind",
    "a link of OSC 8": "before\x1b]8;;https://evil.example.com\x1b\\click\x1b]8;;\x1b\\behind",
    "a carriage return": f"before\r{FORGED} behind",
    "a line": f"before\n{FORGED} behind",
    "a line of Windows": f"before\r\n{FORGED} behind",
    "next line": f"before\x85{FORGED} behind",
    "line separator": f"before\u2028{FORGED} behind",
    "paragraph separator": f"before\u2029{FORGED} behind",
    "vertical tab, form feed": f"before\x0b{FORGED}\x0c{FORGED} behind",
    "bidi overrides": "before\u202e\u202d\u202a\u202b\u202c\u2066\u2067\u2068\u2069\u200e\u200f\u061cbehind",
    "no width": "before\u200b\u2060\ufeff\u00adbehind",
    "tags": "before\U000e0001\U000e0041behind",
    "half characters": "before\ud800 \udfff\udc80behind",
    "a traceback": f'before\nTraceback (most recent call last):\n  File "x", line 1\n{FORGED} behind',
    "formats": "before %s %(name)s {0} [bold]behind",
}


def odd_texts() -> list[str]:
    """The corpus, and what chance makes of its parts."""
    chance = generator(11)
    marks = [*map(chr, range(0x20)), *map(chr, range(0x7F, 0xA0)), *"\u2028\u2029\u202e\u2066\ud800\udfff\ufeff"]
    marks += [FORGED, "\x1b[2J", "\x1b]8;;x\x1b\\", "ä", "漢", "🙂", " "]
    made = []
    for _ in range(cases(300)):
        parts = chance.choices(
            [*marks, FORGED, "\x1b[2J", "\x1b]8;;x\x1b\\", "ä", "漢", "🙂", " "], k=chance.randint(1, 12)
        )
        made.append(f"before{''.join(parts)}behind")
    return [*CORPUS.values(), *made]


def obeyed(text: str) -> set[str]:
    """What of a text a terminal would not just show."""
    return {char for char in text if not char.isprintable()}


def carried(text: str) -> str:
    """What JSON makes of a text: two halves that fit are a character."""
    return str(json.loads(json.dumps(text)))


def record(message: object, *args: object, name: str = "massconvert", **more: Any) -> logging.LogRecord:
    """As a logger makes it."""
    return logging.LogRecord(name, logging.WARNING, __file__, 1, message, args, **{"exc_info": None, **more})


def raised(error: BaseException, cause: BaseException | None = None) -> Any:
    """``exc_info`` of an error that was raised."""
    with pytest.raises(type(error)) as caught:
        raise error from cause
    return caught.type, caught.value, caught.value.__traceback__


# --- the rule -------------------------------------------------------------------------------------------------


def test_a_shown_text_is_one_printable_line_that_says_what_was_there() -> None:
    for text in odd_texts():
        shown = readable(text)
        assert obeyed(shown) == set(), text
        assert shown.startswith("before")
        assert shown.endswith("behind")
        assert obeyed(readable(text, lines=True)) <= {"\n"}
    assert readable("plain ä 漢 🙂") == "plain ä 漢 🙂"
    assert readable("\x1b[2J\r\u202e\ud800") == r"\x1b[2J\r\u202e\ud800"


def test_a_very_long_text_is_cut_and_how_much_is_said() -> None:
    shown = readable("x" * 1_000_000, longest=LONGEST)
    assert len(shown) < LONGEST + 50
    assert shown.endswith("… (996,000 more characters)")


def test_json_that_is_shown_is_the_same_data() -> None:
    for text in odd_texts():
        written = json.dumps({text: [text]}, ensure_ascii=False)
        assert obeyed(readable_json(written)) == set()
        assert json.loads(readable_json(written)) == {carried(text): [carried(text)]}
        assert json.loads(whole(written)) == {carried(text): [carried(text)]}
        whole(written).encode()  # a pipe can carry it


# --- logs -----------------------------------------------------------------------------------------------------

LOGGERS = ("massconvert", "celery.app.trace", "celery.worker.consumer.consumer", "kombu", "py.warnings", "x\x1b[2J")


@pytest.mark.parametrize("formatter", [log.OneLine(), Readable("massconvert: %(message)s")], ids=["worker", "command"])
def test_a_record_is_one_printable_line_whoever_logs_it(formatter: logging.Formatter) -> None:
    """As its message, as an argument of it, as what the line is about, and as what an outage says."""
    for text in odd_texts():
        for name in LOGGERS:
            with log.about([text[:40]], {"account": text[:40]}):
                lines = [
                    formatter.format(record(text, name=name)),
                    formatter.format(record("Task %s: %r", text, text, name=name)),
                    formatter.format(record("%(data)s", {"data": text}, name=name)),
                ]
                if isinstance(formatter, log.OneLine):
                    lines.append(formatter.format(record("Lost", name=name, exc_info=raised(ConnectionError(text)))))
            for line in lines:
                assert obeyed(line) == set(), (name, text)


def test_a_traceback_is_readable_over_several_lines_and_no_line_of_it_looks_like_a_record() -> None:
    for text in odd_texts():
        for info in (raised(ZeroDivisionError(text)), raised(KeyError("x"), ValueError(text)), raised(_group(text))):
            first, *others = log.OneLine().format(record("It failed", exc_info=info)).split("\n")
            assert first.endswith("WARNING massconvert It failed")
            assert len(others) >= 4
            assert all(line.startswith("  ") and not obeyed(line) for line in others), text
            assert any("Traceback (most recent call last):" in line for line in others)
            assert any(re.search(r'File ".*test_fuzz_readable.py", line [0-9]+, in raised', line) for line in others)
            assert any("before" in line and "behind" in line for line in others)


def _group(text: str) -> BaseException:
    group: Any = vars(builtins).get("ExceptionGroup")  # Python 3.11
    made: BaseException = group(text, [ValueError(text)]) if group else ValueError(text)
    return made


def test_what_another_handler_has_left_in_a_record_is_not_shown_raw() -> None:
    """A host's formatter keeps the text of the traceback in the record."""
    shared = record("It failed", exc_info=raised(ValueError(f"x\n{FORGED}\x1b[2J")))
    logging.Formatter().format(shared)
    assert "\x1b" not in log.OneLine().format(shared)
    assert f"\n{FORGED}" not in log.OneLine().format(shared)


def test_a_record_that_cannot_be_formatted_is_shown_nevertheless() -> None:
    """Logging would print it by itself, as it stands."""
    assert obeyed(log.OneLine().format(record("%d leads", "x\x1b[2J"))) == set()


def test_a_command_s_own_warnings_are_lines_too(shell: Shell) -> None:
    """Nobody has set up a log there: Python's last resort would print what it is given."""
    shell.run("status")
    assert logging.lastResort is not None
    assert logging.lastResort.format(record("Zoho said: a\nb\x1b[2J")) == r"massconvert: Zoho said: a b\x1b[2J"


# --- the command line -----------------------------------------------------------------------------------------


class Screen(io.StringIO):
    """A stdout that is a terminal."""

    def isatty(self) -> bool:
        return True


def printed(monkeypatch: pytest.MonkeyPatch, stream: io.StringIO, show: Callable[[], None]) -> str:
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", stream)
        show()
    return stream.getvalue()


def test_data_on_a_terminal_moves_no_cursor_and_forges_no_line(monkeypatch: pytest.MonkeyPatch) -> None:
    for text in odd_texts():
        rows = [LeadRow(A, Outcome(Kind.FAILED, code=text, message=text))]
        for lines, shown in ((csv_lines, readable), (json_lines, readable_json)):
            seen = printed(monkeypatch, Screen(), lambda: console.print_lines(lines(rows), shown))  # noqa: B023 - called at once
            assert obeyed(seen) <= {"\n"}
            assert seen.count("\n") == (2 if lines is csv_lines else 1)
            assert shown is readable or json.loads(seen)["message"] == carried(text)
        seen = printed(monkeypatch, Screen(), lambda: console.print_json({"message": text}))  # noqa: B023 - as above
        assert obeyed(seen) == {"\n"}
        assert json.loads(seen) == {"message": carried(text)}


def test_data_in_a_pipe_is_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """But for half characters, which no pipe can carry."""
    for text in odd_texts():
        rows = [LeadRow(A, Outcome(Kind.FAILED, code="X", message=text))]
        for lines in (csv_lines, json_lines):
            seen = printed(monkeypatch, io.StringIO(), lambda: console.print_lines(lines(rows)))  # noqa: B023 - called at once
            assert seen == whole("".join(lines(rows)))
            seen.encode()
    assert whole("\x1b[2J\u202e") == "\x1b[2J\u202e"


def test_what_zoho_said_is_one_line_wherever_a_command_tells_it() -> None:
    """A line of its own would be taken for ours."""
    for text in odd_texts():
        paused = Pause(code=text, reason=text, hint="Fix it.", since=0.0)
        assert batch_view.pause_in_words(paused).count("\n") == 1
        waits = Waits(payloads=1, until=5.0, code=text, message=text)
        assert obeyed(batch_view.waits_in_words(waits, 0.0)) == set()


def test_an_error_that_repeats_a_strangers_words_is_printed_readable(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One that is raised on purpose, and a bug's traceback."""
    for error in (InputError("It is wrong: \x1b[2J\u202e\ud800"), ZeroDivisionError(f"\x1b[2J\n{FORGED}\u202e\ud800")):

        def fail(*_: object, error: Exception = error, **__: object) -> None:
            raise error

        monkeypatch.setattr("massconvert.cli.status.find_desk", fail)
        assert main(["status"]) in (1, 2)
        said = capsys.readouterr().err
        assert obeyed(said) == {"\n"}
        assert f"\n{FORGED}" not in said
