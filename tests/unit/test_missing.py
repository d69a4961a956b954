"""massconvert missing: batches that logs and producers know, and a ledger from an older copy does not."""

from __future__ import annotations

import logging
import time

import pytest

from massconvert.contract import Exit
from massconvert.ledger import Ledger
from massconvert.policy import Tuning
from massconvert.words.mentions import Mention, mentions
from tests.unit.cli_shell import Shell
from workers.log import OneLine, OneObject

OF_LONG_AGO = "2001-09-09T01:46:40Z"
NOW = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def accepted(batch: str, leads: str, at: str = NOW) -> str:
    return f"{at} INFO massconvert batch {batch} accepted, with {leads}\n"


def payload(number: int, *parts: str, at: str = NOW) -> str:
    return f"{at} INFO massconvert payload {number} made: {', '.join(parts)}\n"


@pytest.fixture
def shell(shell: Shell) -> Shell:
    """The ledger has `known`, with 3 leads."""
    enqueue(shell.ledger, "known", 3)
    return shell


def enqueue(ledger: Ledger, batch: str, leads: int) -> None:
    ledger.batches.open(batch, "0" * 16, {}, leads=leads)
    ledger.batches.add(batch, "call", [str(3652397000009850000 + number) for number in range(leads)])
    ledger.batches.seal(batch, flush=True)


# --- what logs say is read back ---


@pytest.mark.parametrize("form", [OneLine(), OneObject(), logging.Formatter("%(asctime)s [x] %(message)s")])
@pytest.mark.parametrize("account", ["default", "emea"])
def test_what_workers_and_apps_write_is_read_back(
    shell: Shell, form: logging.Formatter, account: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Accepted, and made into payloads: of the whole batch, and of two that travel together."""
    ledger = Ledger(shell.connect(""), account, Tuning(at_once=False, linger=0.0))
    with caplog.at_level(logging.INFO, "massconvert"):
        enqueue(ledger, "import.2026@x", 1200)
        enqueue(ledger, "one", 1)
        made = ledger.chunks.form(most=1).chunk_ids[0]
    found = list(mentions(form.format(record) for record in caplog.records))
    assert [(each.batch, each.leads, each.account, each.payload) for each in found][:2] == [
        ("import.2026@x", 1200, account, ""),
        ("one", 1, account, ""),
    ]
    assert {each.payload for each in found[2:]} == {made}
    assert sum(each.leads for each in found[2:]) == 50
    now = time.time()
    assert all(each.at is not None and abs(each.at - now) < 60 for each in found)


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("batch a accepted, with 1 lead", [Mention("a", 1, "default", None)]),
        (
            "x | 2001-09-09 01:46:40,123+0000 batch a of account emea accepted, with 1,000,000 leads",
            [Mention("a", 1_000_000, "emea", 1e9)],
        ),
        (
            "2001-09-09T03:46:40.5+02:00 payload 7 made: 1 lead of batch a, 2,000 leads of batch b-1.c",
            [Mention("a", 1, "default", 1e9, "7"), Mention("b-1.c", 2000, "default", 1e9, "7")],
        ),
        ("2001-99-99 01:46:40 batch a accepted, with 1 lead", [Mention("a", 1, "default", None)]),
        ("payload 7 ended: 3 converted; batch a is finished", []),
    ],
)
def test_a_line_of_any_log_is_read(line: str, found: list[Mention]) -> None:
    assert list(mentions([line])) == found


# --- the command ---


def test_a_ledger_that_has_all_says_so(shell: Shell) -> None:
    log = shell.write("worker.log", accepted("known", "3 leads") + payload(1, "3 leads of batch known"))
    said = shell.run("missing", log)
    assert (said.code, said.err) == (Exit.OK, "")
    assert said.out == "The ledger has all that is named: 1 batch.\n"
    assert shell.run("missing", log, "--json").json == {"named": 1, "missing": [], "expired": []}


def test_batches_that_are_missing_are_named_with_when_how_many_and_what_to_type(shell: Shell) -> None:
    log = shell.write(
        "worker.log",
        accepted("known", "3 leads", "2001-09-09T01:46:40Z")
        + accepted("gone", "1,200 leads")
        + accepted("gone", "1,250 leads")
        + payload(4, "30 leads of batch unheard", "20 leads of batch gone")
        + payload(4, "30 leads of batch unheard", "20 leads of batch gone")  # the same line in two files
        + payload(5, "50 leads of batch unheard")
        + accepted("nightly@20261124T030000Z", "9 leads"),
    )
    keys = shell.write("keys.txt", "\nknown\nof-a-producer\n")
    said = shell.run("missing", log, "--keys", keys)
    assert said.code == Exit.SOME_FAILED
    rows = [line.split() for line in said.out.splitlines()[2:]]
    assert [[row[0], *row[3:]] for row in rows if row[0] != "of-a-producer"] == [
        ["gone", "1,250", "none"],
        ["nightly@20261124T030000Z", "9", "none"],
        ["unheard", "80", "or", "more", "none"],
    ]
    assert ["of-a-producer", "-", "none"] in rows
    assert "4 of 5 batches" in said.err
    assert "massconvert enqueue LEADS.csv --options O.json --key of-a-producer" in said.err
    assert "massconvert profile run nightly\n" in said.err
    found = shell.run("missing", log, "--keys", keys, "--json")
    assert found.code == Exit.SOME_FAILED
    gone = next(each for each in found.json["missing"] if each["batch"] == "gone")
    assert gone | {"enqueued": ""} == {
        "batch": "gone",
        "enqueued": "",
        "leads": 1250,
        "leads_in_payloads": 20,
        "leads_in_ledger": 0,
        "next": "massconvert enqueue LEADS.csv --options O.json --key gone",
    }
    assert gone["enqueued"] == NOW.replace("Z", ".000Z")


def test_a_batch_of_which_the_copy_has_only_the_first_leads_is_named(shell: Shell) -> None:
    """The copy was made while its producer still added leads."""
    said = shell.run("missing", shell.write("worker.log", accepted("known", "5 leads")))
    assert said.code == Exit.SOME_FAILED
    assert said.out.splitlines()[2].split()[::3] == ["known", "5"]
    assert said.out.split()[-1] == "3"


def test_what_may_have_expired_is_left_out(shell: Shell) -> None:
    log = shell.write("worker.log", accepted("old", "5 leads", OF_LONG_AGO))
    said = shell.run("missing", log)
    assert (said.code, said.out) == (Exit.OK, "The ledger has all that is named: 1 batch.\n")
    assert "1 batch was named more than 30 days ago" in said.err
    assert shell.run("missing", log, "--json").json["expired"] == ["old"]
    again = shell.write("worker.log", accepted("old", "5 leads", OF_LONG_AGO) + payload(1, "5 leads of batch old"))
    assert shell.run("missing", again).code == Exit.SOME_FAILED  # it had not finished a moment ago


def test_batches_of_another_account_are_not_looked_for(shell: Shell) -> None:
    line = f"{NOW} INFO massconvert [emea] batch theirs of account emea accepted, with 5 leads\n"
    said = shell.run("missing", shell.write("worker.log", line), "--json")
    assert said.json == {"named": 0, "missing": [], "expired": []}


def test_stdin_is_a_log(shell: Shell) -> None:
    said = shell.run("missing", "-", "--json", stdin=accepted("gone", "5 leads").encode())
    assert [each["batch"] for each in said.json["missing"]] == ["gone"]


# --- what is wrong is told ---


def test_a_log_that_names_nothing_is_told(shell: Shell) -> None:
    """Beside others it is a warning; alone it must not end as if the ledger had everything."""
    other = shell.write("syslog", "Traceback of somebody else's\n\x00\xff")
    said = shell.run("missing", other, shell.write("worker.log", accepted("known", "3 leads")))
    assert (said.code, said.out) == (Exit.OK, "The ledger has all that is named: 1 batch.\n")
    assert "No line of syslog names a batch" in said.err
    said = shell.run("missing", other)
    assert (said.code, said.out) == (Exit.USAGE, "")
    assert "No line of syslog names a batch" in said.err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "No log is given, and no --keys."),
        (("nowhere.log",), "nowhere.log cannot be read: No such file or directory."),
        (("--keys", "."), ". cannot be read: Is a directory."),
        (("--keys", "keys.txt"), "keys.txt, line 2: The key 'two words' cannot name a batch."),
    ],
)
def test_wrong_input_is_told_with_its_line(shell: Shell, words: tuple[str, ...], told: str) -> None:
    shell.write("keys.txt", "good\ntwo words\n")
    said = shell.run("missing", *words)
    assert (said.code, said.out) == (Exit.USAGE, "")
    assert told in said.err
