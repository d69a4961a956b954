"""On a terminal and off it: bars, colours, Ctrl-C; real commands on a real pseudo-terminal."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import threading

import pytest

from tests.acceptance.house import OPTIONS, House, until

pytestmark = pytest.mark.acceptance

COLOUR = re.compile(r"\x1b\[(?:[0-9]+;)*(?:3[0-8]|9[0-7])[;m]")


CTRL_C, CTRL_D = "\x03", "\x04"


class Terminal:
    """A command on a pseudo-terminal; ``seen`` is all that it has shown."""

    def __init__(self, house: House, *arguments: str, **environment: str) -> None:
        ours, theirs = pty.openpty()
        inherited = {name: value for name, value in house.environment.items() if name != "NO_COLOR"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "massconvert", *arguments],
            cwd=house.folder,
            env={**inherited, "TERM": "xterm-256color", "COLUMNS": "160", **environment},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        house.processes.append(self.process)
        os.close(theirs)
        self._ours, self._answered = ours, 0
        self.seen = ""
        self._reader = threading.Thread(target=self._read, args=(ours,))
        self._reader.start()

    def _read(self, ours: int) -> None:
        try:
            while block := os.read(ours, 4096):
                self.seen += block.decode(errors="replace")
        except OSError:  # the other end is closed
            pass
        finally:
            os.close(ours)

    def answer(self, question: str, text: str) -> None:
        """Wait until it asks, and type; a control character is its key, and Ctrl-C a signal."""
        until(lambda: question in self.words[self._answered :], 60, f"the question {question!r} in {self.words!r}")
        self._answered = len(self.words)
        if text == CTRL_C:
            self.process.send_signal(signal.SIGINT)
        else:
            os.write(self._ours, (text if text == CTRL_D else f"{text}\n").encode())

    @property
    def words(self) -> str:
        """What it has shown, without the colours and the movements."""
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.seen)

    def end(self) -> int:
        """Wait for the command's end; its exit status."""
        code = self.process.wait(60)
        self._reader.join(10)
        return code


@pytest.fixture
def at_work(house: House) -> House:
    """A house with a Redis, a slow Zoho of 300 leads that takes one call at a time, and a worker."""
    house.environment["ZOHO_CONCURRENCY"] = "1"
    house.redis()
    house.simulator("--leads", "300", "--job-seconds", "0.1", "--latency", "0.8")
    house.worker()
    (house.folder / "options.json").write_text(json.dumps(OPTIONS))
    (house.folder / "leads.txt").write_text("\n".join(house.leads()))
    return house


ENQUEUE = ("enqueue", "leads.txt", "--options", "options.json", "--key", "k", "--wait")


def test_a_terminal_shows_a_bar_with_the_rate_and_the_time_left_in_colour(at_work: House) -> None:
    terminal = Terminal(at_work, *ENQUEUE)
    assert terminal.end() == 0
    assert "Traceback" not in terminal.seen
    assert re.search(r"300/300 .*\s+300 converted", terminal.words), terminal.words
    assert re.search(r"\d/s", terminal.words), terminal.words[-1500:]
    assert re.search(r"\d:\d\d:\d\d", terminal.words)
    assert COLOUR.search(terminal.seen)
    plain = Terminal(at_work, "status", "k", NO_COLOR="1")
    assert plain.end() == 0
    assert "finished" in plain.seen
    assert not COLOUR.search(plain.seen)
    coloured = Terminal(at_work, "status", "k")
    assert coloured.end() == 0
    assert COLOUR.search(coloured.seen)


@pytest.mark.parametrize("watch", [False, True])
def test_ctrl_c_ends_the_watching_and_not_the_work_and_says_how_to_go_on(at_work: House, watch: bool) -> None:
    if watch:
        at_work.command(*ENQUEUE[:-1])
        terminal = Terminal(at_work, "status", "--last", "--watch")
    else:
        terminal = Terminal(at_work, *ENQUEUE)
    until(lambda: re.search(r"\d+/300", terminal.words), 30, "the bar")
    terminal.process.send_signal(signal.SIGINT)
    assert terminal.end() == 130
    assert "Traceback" not in terminal.seen
    # The bar has ended when it is said, and does not come again below.
    assert re.search(r"\nmassconvert: stopped watching; batch k goes on: \d+ of 300", terminal.words), terminal.words
    assert "━" not in terminal.words.partition("stopped watching")[2]
    assert "0/?" not in terminal.words
    go_on = re.search(r"massconvert (status k --watch)", terminal.seen)
    assert go_on
    done = at_work.command(*go_on[1].split())
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout + done.stderr


# --- questions --------------------------------------------------------------------------------------------------


@pytest.fixture
def asked(house: House) -> Terminal:
    """``options init`` on a terminal of 80 columns, without a Redis, as on a first day."""
    house.simulator("--leads", "3", "--pipelines")
    house.environment.pop("REDIS_URL", None)
    house.environment["MASSCONVERT_STATE_DIR"] = str(house.folder / "state")
    return Terminal(house, "options", "init", "--output", "made/o.json", COLUMNS="80")


def test_options_init_takes_what_people_type_on_a_terminal(house: House, asked: Terminal) -> None:
    for question, text in (
        ("Make a deal of each lead?", "y"),
        ("The name of each deal", ""),
        ("The name of each deal", "{Company} 2027"),
        ("Its pipeline", "R"),
        ("Its stage", "qualif"),
        ("Its closing date", "tomorrow"),
        ("Its closing date", "+30d"),
        ("The new owner", "ann@example.com"),
        ("The lead's tags go to", "acc, 1"),
        ("Its attachments go to", ""),
        ("Write this?", "y"),
    ):
        asked.answer(question, text)
    assert asked.end() == 0, asked.words
    body = json.loads((house.folder / "made" / "o.json").read_text())
    assert body["Deals"]["Deal_Name"] == "{Company} 2027"
    assert body["Deals"]["Stage"] == "Qualification"
    assert (body["assign_to"], len(body["carry_over_tags"])) == ("ann@example.com", 2)
    assert "Type a text." in asked.words
    assert "Type a date like 2026-12-24" in " ".join(asked.words.split())
    checked = house.command("options", "check", "made/o.json")
    assert (checked.returncode, checked.stdout.splitlines()[-1]) == (0, "made/o.json: ok")


@pytest.mark.parametrize(("key", "status", "said"), [(CTRL_C, 130, "interrupted"), (CTRL_D, 2, "Nothing was written")])
def test_options_init_that_is_left_writes_nothing(
    house: House, asked: Terminal, key: str, status: int, said: str
) -> None:
    asked.answer("Make a deal of each lead?", "no")
    asked.answer("The new owner", key)
    assert asked.end() == status
    assert said in asked.words
    assert "Traceback" not in asked.words
    assert not (house.folder / "made").exists()
