"""Before many leads of a production organisation a terminal asks once, a pipe never: on a real pseudo-terminal."""

from __future__ import annotations

import json

import pytest

from tests.acceptance.house import OPTIONS, House, until
from tests.acceptance.test_terminal import CTRL_C, CTRL_D, Terminal

pytestmark = pytest.mark.acceptance

QUESTION = "Convert them? [no]:"


def prepared(house: House, *simulator: str) -> House:
    """A house with a Zoho of 30 leads, a file of eleven and one of ten."""
    house.simulator("--leads", "30", "--job-seconds", "0.1", *simulator)
    (house.folder / "options.json").write_text(json.dumps(OPTIONS))
    for count in (10, 11):
        (house.folder / f"{count}.txt").write_text("\n".join(house.leads()[:count]))
    return house


@pytest.fixture
def fleet(house: House) -> House:
    """The same with a Redis and no worker, in an organisation that says that it is no sandbox."""
    house.redis()
    return prepared(house, "--production")


def enqueue(file: str, *more: str) -> tuple[str, ...]:
    return ("enqueue", file, "--options", "options.json", "--key", "k", *more)


def batches(house: House) -> list[str]:
    return [batch["batch"] for batch in json.loads(house.command("status", "--json").stdout)["batches"]]


@pytest.mark.parametrize(("typed", "code"), [("n", 2), ("", 2), (CTRL_D, 2), (CTRL_C, 130)])
def test_enqueue_asks_and_without_a_yes_nothing_is_enqueued(fleet: House, typed: str, code: int) -> None:
    terminal = Terminal(fleet, *enqueue("11.txt"))
    until(lambda: QUESTION in terminal.words, 30, "the question")
    for said in (
        "11 leads will be converted. That cannot be undone.",
        "'Example Ltd', id ",
        "production",
        "deal          Deal_Name ",
        "owner         ",
        "2 calls, about 6 credits",
    ):
        assert said in terminal.words
    assert batches(fleet) == []
    terminal.answer(QUESTION, typed)
    assert terminal.end() == code
    assert terminal.words.count(QUESTION) == 1
    assert "othing was enqueued" in terminal.words
    assert "Traceback" not in terminal.words
    assert batches(fleet) == []


def test_a_yes_enqueues_and_what_is_neither_is_asked_again(fleet: House) -> None:
    terminal = Terminal(fleet, *enqueue("11.txt"))
    terminal.answer(QUESTION, "what")
    terminal.answer(QUESTION, "y")
    assert terminal.end() == 0
    assert batches(fleet) == ["k"]


@pytest.mark.parametrize("arguments", [enqueue("10.txt"), enqueue("11.txt", "--yes"), enqueue("11.txt", "-y")])
def test_few_leads_and_yes_are_not_asked_about(fleet: House, arguments: tuple[str, ...]) -> None:
    terminal = Terminal(fleet, *arguments)
    assert terminal.end() == 0
    assert QUESTION not in terminal.words
    assert batches(fleet) == ["k"]


def test_a_pipe_is_never_asked(fleet: House) -> None:
    done = fleet.command(*enqueue("11.txt"))
    assert done.returncode == 0
    assert QUESTION not in done.stdout + done.stderr


def test_an_organisation_that_is_not_known_is_asked_about(fleet: House) -> None:
    for name in ("ZOHO_CLIENT_ID", "ZOHO_CLIENT_SECRET", "ZOHO_REFRESH_TOKEN"):
        fleet.environment.pop(name, None)
    terminal = Terminal(fleet, *enqueue("11.txt"))
    until(lambda: QUESTION in terminal.words, 30, "the question")
    assert "not known, since there are no credentials here" in terminal.words
    terminal.answer(QUESTION, "n")
    assert terminal.end() == 2


def test_a_sandbox_is_not_asked_about(house: House) -> None:
    house.redis()
    prepared(house)
    terminal = Terminal(house, *enqueue("11.txt"))
    assert terminal.end() == 0
    assert QUESTION not in terminal.words


@pytest.mark.parametrize(("typed", "code"), [("n", 2), (CTRL_C, 130), ("yes", 0)])
def test_convert_asks_before_it_starts_anything(house: House, typed: str, code: int) -> None:
    prepared(house, "--production").environment.pop("REDIS_URL", None)
    terminal = Terminal(house, "convert", "11.txt", "--options", "options.json", "--key", "k")
    until(lambda: QUESTION in terminal.words, 30, "the question")
    assert "starting Redis" not in terminal.words
    terminal.answer(QUESTION, typed)
    assert terminal.end() == code
    assert ("starting Redis" in terminal.words) is (code == 0)
    assert (house.folder / "k-report.csv").exists() is (code == 0)
    assert (house.calls("POST mass_convert") > 0) is (code == 0)
