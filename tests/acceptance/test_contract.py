"""The contract that other people's scripts rely on (docs/commands.md): exit statuses, JSON shapes, forms of input.

Real commands against one real house that runs for all of them. Nothing here may be changed to make a test pass.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.acceptance.house import OPTIONS, House
from tests.acceptance.truth import code_of_unknown

pytestmark = pytest.mark.acceptance

REPORT = ["lead_id", "outcome", "code", "message", "job_id", "attempts", "contact_id", "account_id", "deal_id"]
COUNTS = ["total", "waiting", "sent", "converted", "failed", "skipped", "cancelled"]


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A house with a Redis, a Zoho of 400 leads and a worker."""
    made = House(tmp_path_factory.mktemp("contract"))
    made.redis()
    made.simulator("--leads", "400", "--unknown", "40", "--job-seconds", "0.3")
    made.worker()
    (made.folder / "options.json").write_text(json.dumps(OPTIONS))
    yield made
    made.close()


class Stock:
    """Leads of the town that no test has used yet."""

    def __init__(self, town: House) -> None:
        known = town.truth()
        self.good = [lead for lead in town.leads() if lead in known]
        self.unknown = [lead for lead in town.leads() if lead not in known]

    def take(self, number: int, *, unknown: bool = False) -> list[str]:
        pile = self.unknown if unknown else self.good
        taken, pile[:] = pile[:number], pile[number:]
        assert len(taken) == number
        return taken


@pytest.fixture(scope="module")
def stock(town: House) -> Stock:
    return Stock(town)


def run(house: House, *arguments: str, stdin: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """Run ``massconvert …`` with this on stdin."""
    return subprocess.run(
        [sys.executable, "-m", "massconvert", *arguments],
        cwd=house.folder,
        env={**house.environment, **environment},
        input=stdin,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def enqueue(house: House, *arguments: str, stdin: str = "") -> dict[str, Any]:
    done = run(house, "enqueue", *arguments, "--options", "options.json", "--json", stdin=stdin)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert done.stdout.count("\n") == 1
    return dict(found)


def report(house: House, batch: str) -> list[dict[str, Any]]:
    done = run(house, "report", batch, "--format", "jsonl")
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


# --- JSON shapes --------------------------------------------------------------------------------------------


def test_enqueue_json_has_exactly_its_keys(town: House, stock: Stock) -> None:
    first, second = stock.take(2)
    found = enqueue(town, first, second, first, "--key", "four-keys")
    assert found == {"batch": "four-keys", "accepted": 2, "duplicates": 1, "invalid": 0, "already_queued": 0}
    assert list(found) == ["batch", "accepted", "duplicates", "invalid", "already_queued"]
    assert re.fullmatch(r"\d{8}-\d{6}-[0-9a-f]{8}", enqueue(town, *stock.take(1))["batch"])


def test_status_json_begins_with_the_batch_its_state_and_its_counts_which_add_up(town: House, stock: Stock) -> None:
    leads = [*stock.take(3), *stock.take(1, unknown=True)]
    assert run(town, "enqueue", *leads, "--options", "options.json", "--key", "counts", "--wait").returncode == 1
    found = json.loads(run(town, "status", "counts", "--json").stdout)
    assert list(found)[:9] == ["batch", "state", *COUNTS]
    assert found["state"] == "finished"
    assert [found[name] for name in COUNTS] == [4, 0, 0, 3, 1, 0, 0]
    assert found["total"] == sum(found[name] for name in COUNTS[1:])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", found["created_at"])


def test_each_of_the_four_states_has_its_word(town: House, stock: Stock) -> None:
    def state(batch: str, **environment: str) -> str:
        return str(json.loads(run(town, "status", batch, "--json", **environment).stdout)["state"])

    try:
        run(town, "pause")
        enqueue(town, *stock.take(2), "--key", "words")
        assert state("words") == "paused"
        run(town, "cancel", "words")
    finally:
        run(town, "resume")
    assert run(town, "status", "words", "--watch").returncode == 1
    assert state("words") == "cancelled"
    nobody = {"MASSCONVERT_ACCOUNT": "an-account-without-workers"}
    assert run(town, "enqueue", "7", "--options", "options.json", "--key", "words", **nobody).returncode == 0
    assert state("words", **nobody) == "running"
    run(town, "enqueue", *stock.take(1), "--options", "options.json", "--key", "more-words", "--wait")
    assert state("more-words") == "finished"


def test_a_report_in_json_lines_has_exactly_its_keys_and_null_where_nothing_is_known(town: House, stock: Stock) -> None:
    (good,), (unknown,) = stock.take(1), stock.take(1, unknown=True)
    run(town, "enqueue", good, unknown, "--options", "options.json", "--key", "lines", "--wait")
    rows = {row["lead_id"]: row for row in report(town, "lines")}
    assert [list(row) for row in rows.values()] == [REPORT, REPORT]
    converted, failed = rows[good], rows[unknown]
    assert (converted["outcome"], converted["code"], converted["message"]) == ("converted", None, None)
    assert isinstance(converted["job_id"], str)
    assert converted["attempts"] == (2 if code_of_unknown(town) == "NOT_FOUND" else 1)  # again, without the unknown one
    assert (failed["outcome"], failed["code"], failed["contact_id"]) == ("failed", code_of_unknown(town), None)
    csv = run(town, "report", "lines", "--format", "csv").stdout.splitlines()
    assert csv[0] == ",".join(REPORT)


def test_the_last_line_of_a_watch_is_the_status_and_a_wait_says_how_it_ended(town: House, stock: Stock) -> None:
    done = run(town, "enqueue", *stock.take(2), "--options", "options.json", "--key", "watched", "--wait", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert list(found)[:5] == ["batch", "accepted", "duplicates", "invalid", "already_queued"]
    assert (found["state"], found["accepted"], found["converted"], found["why"]) == ("finished", 2, 2, None)
    (code,) = found["codes"]
    assert (code["outcome"], code["count"]) == ("converted", 2)
    watched = run(town, "status", "watched", "--watch", "--json")
    assert json.loads(watched.stdout.splitlines()[-1])["state"] == "finished"


# --- exit statuses ------------------------------------------------------------------------------------------


def test_0_and_1_are_what_became_of_the_leads(town: House, stock: Stock) -> None:
    (good,) = stock.take(1)
    options = ("--options", "options.json")
    assert run(town, "enqueue", good, *options, "--wait").returncode == 0  # converted
    assert run(town, "enqueue", good, *options, "--wait").returncode == 0  # skipped: converted already
    assert run(town, "enqueue", *stock.take(1, unknown=True), *options, "--wait").returncode == 1  # failed
    assert run(town, "enqueue", *stock.take(1, unknown=True), *options).returncode == 0  # without waiting: accepted


WRONG: list[tuple[tuple[str, ...], str]] = [
    (("enqueue", "--options", "options.json"), "No leads are given"),
    (("enqueue", "no-such-file.csv", "--options", "options.json"), "neither a file that is there nor a lead id"),
    (("enqueue", "3.6524E+18", "--options", "options.json"), "rounded"),
    (("enqueue", "7", "--options", "no-such.json"), "cannot be read"),
    (("enqueue", "7", "--options", "options.json", "--key", "no good"), "cannot name a batch"),
    (("status", "no-such-batch"), "There is no batch"),
    (("report",), "No BATCH is named"),
    (("retry", "no-such-batch"), "There is no batch"),
    (("cancel", "no-such-batch"), "There is no batch"),
    (("report", "four-keys", "--output", "report.xlsx"), "does not say in which form"),
]


@pytest.mark.parametrize(("arguments", "told"), WRONG, ids=[" ".join(arguments) for arguments, _ in WRONG])
def test_2_is_wrong_usage_told_in_one_or_two_lines_on_stderr(
    town: House, arguments: tuple[str, ...], told: str
) -> None:
    done = run(town, *arguments)
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    lines = done.stderr.splitlines()
    assert lines[0].startswith("massconvert: ")
    assert told in lines[0]
    assert len(lines) <= 2, done.stderr


def test_2_names_the_path_of_a_wrong_option_and_nothing_is_enqueued(town: House) -> None:
    wrong = {**OPTIONS, "Deals": {"Deal_Name": "x", "Closing_Date": "someday"}}
    (town.folder / "wrong.json").write_text(json.dumps(wrong))
    done = run(town, "enqueue", "7", "--options", "wrong.json", "--key", "wrong-options")
    assert (done.returncode, done.stdout) == (2, "")
    assert "$.Deals.Stage" in done.stderr
    assert "$.Deals.Closing_Date" in done.stderr
    assert run(town, "status", "wrong-options").returncode == 2


@pytest.mark.parametrize(
    ("command", "url"),
    [
        ("enqueue 7 --options options.json", "redis://127.0.0.1:1/0"),
        ("retry k", "redis://127.0.0.1:1/0"),
        ("cancel k", "redis://127.0.0.1:1/0"),
        ("report k --files", "nonsense"),
    ],
)
def test_3_is_a_redis_that_is_away_or_settings_that_are_wrong(town: House, command: str, url: str) -> None:
    done = run(town, *command.split(), REDIS_URL=url)
    assert (done.returncode, done.stdout) == (3, ""), done.stderr
    assert "REDIS_URL" in done.stderr
    assert len(done.stderr.splitlines()) <= 2, done.stderr


def test_3_is_a_convert_without_credentials(town: House) -> None:
    done = run(town, "convert", "--no-deal", "7", ZOHO_CLIENT_ID="", ZOHO_REFRESH_TOKEN="")
    assert (done.returncode, done.stdout) == (3, "")
    assert "ZOHO_CLIENT_ID" in done.stderr
    assert len(done.stderr.splitlines()) <= 2, done.stderr


def test_4_is_a_wait_that_ran_out_and_names_the_command_that_goes_on(town: House, stock: Stock) -> None:
    try:
        run(town, "pause")
        done = run(town, "enqueue", *stock.take(1), "--options", "options.json", "--key", "slow", "--wait", "0.5")
    finally:
        run(town, "resume")
    assert done.returncode == 4
    go_on = re.search(r"massconvert (status slow --watch)", done.stderr)
    assert go_on
    assert run(town, *go_on[1].split()).returncode == 0


def test_data_goes_to_stdout_and_everything_else_to_stderr(town: House, stock: Stock) -> None:
    done = run(town, "enqueue", *stock.take(1), "--options", "options.json", "--key", "streams", "--wait")
    assert done.stdout == "Batch streams: 1 lead accepted.\n"
    assert "1 of 1 lead has ended" in done.stderr
    for arguments in (("report", "streams", "--format", "csv"), ("report", "streams"), ("status", "streams")):
        assert run(town, *arguments).stderr == ""


# --- what is read -------------------------------------------------------------------------------------------

FORMS = {
    "id": "id,Company\n{0},ACME\n{1},ACME\n",
    "Record Id": "Company,Record Id\nACME,zcrm_{0}\nACME,zcrm_{1}\n",
    "Lead Id": "Lead Id;Company\r\n{0};ACME\r\n{1};ACME\r\n",
    "list": "{0}\n\n# a comment\n{1}\n",
    "JSON lines": '{{"id": "{0}"}}\n{{"id": {1}}}\n',
    "JSON array": '["{0}", {1}]',
}


@pytest.mark.parametrize("form", list(FORMS))
def test_leads_are_read_from_every_form_of_file(town: House, stock: Stock, form: str) -> None:
    leads = stock.take(2)
    (town.folder / "leads.txt").write_text(FORMS[form].format(*leads), newline="")
    found = enqueue(town, "leads.txt")
    assert (found["accepted"], found["invalid"]) == (2, 0)
    assert members(town, found["batch"]) == set(leads)


@pytest.mark.parametrize("arguments", [("--file", "2026"), ("-",)])
def test_a_file_may_have_any_name_and_a_dash_is_stdin(town: House, stock: Stock, arguments: tuple[str, ...]) -> None:
    leads = stock.take(2)
    text = "\n".join(leads)
    (town.folder / "2026").write_text(text)
    assert members(town, enqueue(town, *arguments, stdin=text)["batch"]) == set(leads)


def members(town: House, batch: str) -> set[str]:
    """The leads of a batch, as the ledger has them."""
    with redis.Redis.from_url(town.redis_url, decode_responses=True) as client:
        return set(client.smembers(f"mc:{{default}}:batch:{batch}:members:0"))


def test_a_wrong_id_refuses_the_whole_file_and_names_the_first_20_lines_and_how_many(town: House, stock: Stock) -> None:
    (good,) = stock.take(1)
    bad = [f"wrong-{number}" for number in range(25)]
    (town.folder / "bad.csv").write_text("\n".join(["id", good, *bad, "3.6524E+18", ""]))
    done = run(town, "enqueue", "bad.csv", "--options", "options.json", "--key", "bad")
    assert (done.returncode, done.stdout) == (2, "")
    named = re.findall(r"^ +line (\d+): ", done.stderr, re.MULTILINE)
    assert named == [str(number) for number in range(3, 23)]
    assert "26 of 27 values are not lead ids; nothing was enqueued" in done.stderr
    assert "and 6 more" in done.stderr
    assert run(town, "status", "bad").returncode == 2
    found = enqueue(town, "bad.csv", "--skip-invalid", "--key", "bad")
    assert found == {"batch": "bad", "accepted": 1, "duplicates": 0, "invalid": 26, "already_queued": 0}


def test_the_same_key_with_the_same_options_is_the_same_batch_and_with_others_is_refused(
    town: House, stock: Stock
) -> None:
    (lead,) = stock.take(1)
    assert enqueue(town, lead, "--key", "once")["accepted"] == 1
    again = enqueue(town, lead, "--key", "once")
    assert (again["batch"], again["accepted"], again["duplicates"]) == ("once", 0, 1)
    done = run(town, "enqueue", "--no-deal", lead, "--key", "once")
    assert (done.returncode, done.stdout) == (2, "")
    assert "other options" in done.stderr


def test_a_dotenv_file_is_read_and_the_real_environment_wins(town: House, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"REDIS_URL={town.redis_url}\n")
    environment = {name: value for name, value in town.environment.items() if name != "REDIS_URL"}
    command = [sys.executable, "-m", "massconvert", "status", "--json"]

    def status(**more: str) -> int:
        done = subprocess.run(command, cwd=tmp_path, env=environment | more, capture_output=True, check=False)
        return done.returncode

    assert status() == 0
    assert status(REDIS_URL="redis://127.0.0.1:1/0") == 3
    assert os.listdir(tmp_path) == [".env"]
