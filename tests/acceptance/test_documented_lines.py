"""README and docs, typed: the command lines that they show, in one house, and the output that they promise."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from massconvert.cli import main
from tests.acceptance.house import House
from tests.documented import ROOT, command_lines

pytestmark = pytest.mark.acceptance

FIRST = "massconvert enqueue leads.csv --options options.json --key import-2026-11-24"
#: What is not run here, by how it begins, and where it is.
ELSEWHERE = {
    "massconvert demo": "test_cli.py: processes of its own",
    "massconvert convert": "test_cli.py and test_first_minutes.py: processes of its own",
    "massconvert simulator": "test_cli.py: it runs until it is told to stop",
    "massconvert options init --output": "test_names.py: it asks",
    "massconvert dashboard": "test_dashboard.py: it runs until it is told to stop",
    "massconvert rehearse --ask-credits": "it asks",
    "massconvert rehearse --use": "test_rehearse.py: it takes the file of a rehearsal",
    "massconvert login": "test_login.py: it asks, and a code is good once",
    "massconvert logout": "test_login.py: it ends the token of all the others",
    "massconvert webhook test": "tests/integration/test_webhook_command.py: it calls a receiver",
    "massconvert letters --show": "its ids are those of letters: test_only_copies.py",
    "massconvert missing": "test_forgotten.py: it reads the logs of workers",
    "massconvert worker": "it becomes Celery's own process",
    "massconvert beat": "it becomes Celery's own process",
    "massconvert --install-completion": "it changes the shell's files",
}
#: Lines that end with 2 here, by how they begin, and why. All others end with 0, or with 1 where leads have failed.
REFUSED = {
    "massconvert cancel convert-5e0d50325f1d8c61": "the batch of an example",
    "massconvert retry import-2026-11-24 --deals": "no deal of it has failed",
    "massconvert retry import-2026-11-24 --code MATCH_FOUND": "none of it was held",
    "massconvert enqueue leads.csv --options options.json --on-match": "keys of the page's example do not go with it",
    "massconvert match leads.csv --options options.json": "keys of the page's example do not go with it",
    "massconvert retry import-2026-11-24 --file fixed.csv": "none of it was held",
    "massconvert retry import-2026-11-24 --code NOT_FOUND --id": "its options go together one by one only",
}
#: What is said of a command that prose names without its arguments.
UNFINISHED = (
    "Missing argument",
    "requires an argument",
    "No BATCH is named",
    "No leads are given",
    "Nothing says what",
    "no terminal to ask on",
)
#: The page's own example, whole.
OPTIONS = (ROOT / "docs" / "options.md").read_text(encoding="utf-8").split("```json\n")[1].split("```")[0]
TOML = """
[accounts.emea]
data_center = "eu"

[profiles.nightly]
criteria.coql = "Lead_Status = 'Qualified'"
schedule.crontab = "0 4 * * mon-fri"
options.Deals.Deal_Name = "Renewal"
options.Deals.Pipeline = "Standard (Standard)"
options.Deals.Stage = "Needs Analysis"
options.Deals.Closing_Date = "+30d"
"""


@pytest.fixture(scope="module")
def village(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A house with a Redis, a Zoho and a worker, and with the files that the pages speak of."""
    made = House(tmp_path_factory.mktemp("documented"))
    made.redis()
    sizes = ("--leads", "120", "--unknown", "2", "--job-seconds", "0.2")
    made.simulator(*sizes, "--pipelines", one_bad_id="refuse_all")  # whose codes the lines have
    for name in ("ZOHO_CLIENT_ID", "ZOHO_CLIENT_SECRET", "ZOHO_REFRESH_TOKEN", "ZOHO_API_DOMAIN", "ZOHO_ACCOUNTS_URL"):
        made.environment[f"{name}__EMEA"] = made.environment[name]
    leads = made.leads()
    (made.folder / "leads.csv").write_text("id,Datensatz-ID\n" + "".join(f"{lead},{lead}\n" for lead in leads))
    for name in ("import-2026-11-24-error.csv", "fixed.csv"):
        (made.folder / name).write_text(f"id\n{leads[-1]}\n")
    for name in ("options.json", "fixed.json"):
        (made.folder / name).write_text(OPTIONS)
    (made.folder / "massconvert.toml").write_text(TOML)
    made.environment["MASSCONVERT_CONFIG"] = str(made.folder / "massconvert.toml")
    made.worker()
    (made.folder / "results").mkdir()
    yield made
    made.close()


@pytest.fixture
def typing(village: House, monkeypatch: pytest.MonkeyPatch) -> House:
    """Commands run in this process, with the environment and in the folder of the house."""
    for name in os.environ:
        monkeypatch.delenv(name)
    for name, value in village.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(village.folder)
    return village


def typed(house: House, text: str, number: int) -> int:
    """Type a line: with a key of its own, and into a file that is not there yet."""
    words = text.replace("--key key", f"--key key-{number}").split()[1:]
    name = words[words.index("--output") + 1] if "--output" in words else ""
    file = house.folder / (name or "none")
    before = file.read_text() if file.exists() else None
    file.unlink(missing_ok=True)
    try:
        return main(words)
    finally:
        file.unlink(missing_ok=True)
        if before is not None:
            file.write_text(before)


def test_the_command_lines_of_the_pages_work(typing: House, capsys: pytest.CaptureFixture[str]) -> None:
    prose = {" ".join(line.typed): line.in_prose for line in command_lines() if line.typed[0] == "massconvert"}
    wrong, done = [], 0
    for number, text in enumerate(dict.fromkeys((FIRST, *prose))):
        if text.startswith(tuple(ELSEWHERE)):
            continue
        ended = typed(typing, text, number)
        said = capsys.readouterr()
        unfinished = prose[text] and ended == 2 and any(words in said.err for words in UNFINISHED)
        right = (2,) if text.startswith(tuple(REFUSED)) else (0, 1)
        done += ended in right
        if not unfinished and (ended not in right or "Traceback" in said.err):
            wrong.append(f"{text}\n  ended with {ended}: {said.out[-600:]}{said.err[-500:]}")
    assert wrong == [], "\n".join(wrong)
    assert done > 60
