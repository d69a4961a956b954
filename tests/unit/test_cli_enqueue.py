"""massconvert enqueue: what is taken, what is printed, what is refused."""

from __future__ import annotations

import json

import pytest

from massconvert.cli.waiting import bind_wait
from massconvert.contract import Exit
from massconvert.errors import StoreError
from massconvert.model import Kind, Outcome
from tests.unit.cli_shell import A, B, FakeNudge, Shell, finished


def test_whom_to_call_is_kept_with_the_batch(shell: Shell) -> None:
    """A task, a web hook, and what is neither."""
    said = shell.run(
        "enqueue", "--no-deal", A, "--key", "k", "--on-complete", "t@q", "--on-complete", "https://shop.example.com/x"
    )
    assert said.code == 0
    kept = json.loads(shell.connect("").hget("mc:{default}:batch:k", "on_complete"))
    assert kept == [{"task": "t", "queue": "q", "args": [], "kwargs": {}}, {"url": "https://shop.example.com/x"}]
    said = shell.run("enqueue", "--no-deal", B, "--key", "l", "--on-complete", "http://shop.example.com/x")
    assert said.code == 2
    assert "https" in said.err


def test_a_file_is_enqueued_and_json_has_its_counts_and_nothing_else(shell: Shell) -> None:
    shell.write("leads.csv", f"Company,Record Id\nACME,zcrm_{A}\nIT,{B}\nIT,{B}\n")
    said = shell.run("enqueue", "leads.csv", "--options", shell.options(), "--key", "k", "--json")
    assert said.code == Exit.OK, said.err
    assert said.json == {"batch": "k", "accepted": 2, "duplicates": 1, "invalid": 0, "already_queued": 0}
    assert shell.ledger.batches.status("k").total == 2
    assert FakeNudge.told


def test_for_people_it_names_the_batch_and_how_to_watch_it(shell: Shell) -> None:
    said = shell.run("enqueue", A, "--options", shell.options(), "--key", "k")
    assert said.out == "Batch k: 1 lead accepted.\n"
    assert "massconvert status k --watch" in said.err


@pytest.mark.parametrize("arguments", [("-",), ("--file", "-")])
def test_stdin_is_a_file_too(shell: Shell, arguments: tuple[str, ...]) -> None:
    said = shell.run("enqueue", "--no-deal", *arguments, "--key", "k", "--json", stdin=f"{A}\n{B}\n".encode())
    assert said.json["accepted"] == 2


def test_ids_may_be_given_one_by_one(shell: Shell) -> None:
    assert shell.run("enqueue", "--no-deal", A, f"zcrm_{B}", "--key", "k", "--json").json["accepted"] == 2


def test_a_file_whose_name_is_digits_is_a_file(shell: Shell) -> None:
    shell.write("2026", f"{A}\n{B}\n")
    assert shell.run("enqueue", "--no-deal", "2026", "--json").json["accepted"] == 2
    assert shell.run("enqueue", "--no-deal", "--file", "2026", "--json").json["already_queued"] == 2


def test_the_same_key_again_is_the_same_batch_and_adds_nothing(shell: Shell) -> None:
    for accepted in (2, 0):
        said = shell.run("enqueue", "--no-deal", A, B, "--key", "k", "--json")
        assert (said.json["batch"], said.json["accepted"]) == ("k", accepted)


def test_a_wrong_id_refuses_the_whole_file_and_names_the_line(shell: Shell) -> None:
    shell.write("leads.txt", f"{A}\n3.6524E+18\n{B}\n")
    said = shell.run("enqueue", "--no-deal", "leads.txt", "--key", "k", "--json")
    assert said.code == Exit.USAGE
    assert said.json["error"]["file"] == "leads.txt"
    assert "line 2: '3.6524E+18'" in said.json["error"]["message"]
    assert "line 2" in said.err
    assert "rounded" in said.err
    assert shell.run("status", "k").code == Exit.USAGE


def test_skip_invalid_enqueues_the_others_and_counts_what_was_left_out(shell: Shell) -> None:
    shell.write("leads.txt", f"{A}\nnonsense\n{B}\n")
    said = shell.run("enqueue", "--no-deal", "leads.txt", "--skip-invalid", "--json")
    assert said.code == Exit.OK
    assert {name: said.json[name] for name in ("accepted", "invalid")} == {"accepted": 2, "invalid": 1}
    assert "line 2" in said.err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "No leads are given"),
        (("leads.cvs",), "leads.cvs is neither a file that is there nor a lead id"),
        (("--file", "leads.cvs"), "leads.cvs cannot be read"),
        (("3.65E+18",), "rounded"),
        (("036523970000098",), "begins with 0"),
        ((A, "x"), "x is neither"),
        ((".",), "is a directory"),
        (("leads.txt", A), "leads.txt is a file, and"),
        (("leads.txt", "leads.txt"), "leads.txt is a file, and"),
        (("--file", "leads.txt", A), "Both --file"),
        (("empty.txt",), "empty.txt has no lead ids"),
        (("x" * 5000,), "neither a file"),
        ((A, "--key", "no spaces"), "cannot name a batch"),
        ((A, "--wait=soon"), "--wait takes a number of seconds"),
        ((A, "--wait", "-5"), "--wait takes a number of seconds"),
        ((A, "--wait", "10m"), "--wait takes a number of seconds"),
        ((A, "--options", "none.json"), "none.json cannot be read"),
        ((A, "--options", "."), "cannot be read"),
        ((A, "--options", "latin1.json"), "not UTF-8"),
        ((A, "--options", "list.json"), "list.json: not a JSON object"),
        ((A, "--options", "null.json"), "null.json: not a JSON object"),
        ((A, "--options", "broken.json"), "broken.json: not JSON at line 2, column 11"),
        ((A, "--options", "wrong.json"), "$.Deals.Stage"),
        ((A, "--colour"), "--colour"),
    ],
)
def test_what_is_typed_wrong_is_told_in_words_and_nothing_is_enqueued(
    shell: Shell, arguments: tuple[str, ...], told: str
) -> None:
    shell.write("leads.txt", f"{A}\n")
    shell.write("empty.txt", "\n")
    shell.write("list.json", "[]")
    shell.write("null.json", "null")
    shell.write("broken.json", '{\n  "Deals" {}}')
    shell.write("wrong.json", json.dumps({"Deals": {"Deal_Name": "x", "Closing_Date": "+30d"}}))
    (shell.folder / "latin1.json").write_bytes(b'{"Deals": "\xfc"}')
    said = shell.run("enqueue", "--no-deal", *arguments)
    assert said.code == Exit.USAGE, said.err
    assert said.out == ""
    assert told in said.err
    assert not shell.connect("").keys("*batch*")


def test_a_key_that_was_used_with_other_options_is_refused(shell: Shell) -> None:
    shell.run("enqueue", "--no-deal", A, "--key", "k")
    said = shell.run("enqueue", B, "--key", "k", "--options", shell.options())
    assert said.code == Exit.USAGE
    assert "used before with other options" in said.err


def test_redis_away_is_status_3_and_says_what_to_do(shell: Shell) -> None:
    shell.redis_away()
    said = shell.run("enqueue", "--no-deal", A)
    assert said.code == Exit.UNREACHABLE
    assert "massconvert: Redis at" in said.err
    assert "REDIS_URL" in said.err


def test_a_broker_away_is_status_3_and_the_batch_is_named(shell: Shell) -> None:
    FakeNudge.broken = True
    said = shell.run("enqueue", "--no-deal", A, "--key", "k")
    assert said.code == Exit.UNREACHABLE
    assert "accepted as batch k" in said.err


def test_a_wrong_setting_is_status_3_and_names_the_variable(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "http://user:s3cret@host")
    said = shell.run("enqueue", "--no-deal", A)
    assert said.code == Exit.UNREACHABLE
    assert "REDIS_URL" in said.err
    assert "s3cret" not in said.err


def test_waiting_for_a_batch_that_has_ended_gives_its_exit_status(shell: Shell) -> None:
    said = shell.run("enqueue", "--no-deal", A, "--key", "k", "--wait", "0")
    assert said.code == Exit.STILL_RUNNING
    assert "massconvert status k --watch" in said.err
    assert "0 of 1 lead has ended" in said.err
    assert said.out == "Batch k: 1 lead accepted.\n"


def test_a_wait_that_ends_with_a_failed_lead_is_status_1(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    shell.batch("k", finished())
    batch = shell.ledger.batches
    monkeypatch.setattr("massconvert.producer.mass_convert.Batch.progress", lambda _: batch.status("k"))
    said = shell.run("enqueue", "--no-deal", A, "--key", "other", "--wait", "--json")
    assert said.code == Exit.SOME_FAILED
    assert said.json["accepted"] == said.json["failed"] == 1
    assert "1 converted, 1 failed" in said.err


def test_ctrl_c_while_waiting_says_how_to_go_on(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("massconvert.producer.mass_convert.Batch.progress", interrupted)
    said = shell.run("enqueue", "--no-deal", A, "--key", "k", "--wait")
    assert said.code == 130
    assert "massconvert status k --watch" in said.err


@pytest.mark.parametrize(("key", "told"), [("k", "The same command goes on"), (None, "The same command with --key 20")])
def test_ctrl_c_while_enqueueing_says_what_became_of_the_leads(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, key: str | None, told: str
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("massconvert.producer.mass_convert.MassConvert.enqueue", interrupted)
    said = shell.run("enqueue", "--no-deal", A, *(["--key", key] if key else []))
    assert said.code == 130
    assert told in said.err


@pytest.mark.parametrize(
    ("typed", "bound"),
    [
        (["--wait"], ["--wait=for-ever"]),
        (["--wait", "60", A], ["--wait=60", A]),
        (["--wait", "0.5"], ["--wait=0.5"]),
        (["--wait", ".5"], ["--wait=.5"]),
        (["--wait", A], ["--wait=for-ever", A]),
        (["--wait", "--json"], ["--wait=for-ever", "--json"]),
        (["--wait", "leads.csv"], ["--wait=for-ever", "leads.csv"]),
        (["--wait=7"], ["--wait=7"]),
        (["--", "--wait", "7"], ["--", "--wait", "7"]),
    ],
)
def test_wait_takes_a_number_or_nothing(shell: Shell, typed: list[str], bound: list[str]) -> None:
    assert bind_wait(typed) == bound


def test_a_file_named_like_a_number_after_a_bare_wait_stays_a_file(shell: Shell) -> None:
    shell.write("2026", A)
    assert bind_wait(["--wait", "2026"]) == ["--wait=for-ever", "2026"]


def test_a_misspelt_setting_is_told(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MASSCONVERT_LINGERS", "1")
    said = shell.run("enqueue", "--no-deal", A, "--json")
    assert said.code == Exit.OK
    assert "MASSCONVERT_LINGER" in said.err


def test_a_batch_may_be_called_interactive_or_bulk_and_nothing_else(shell: Shell) -> None:
    assert shell.run("enqueue", "--no-deal", A, "--key", "k", "--priority", "bulk").code == Exit.OK
    assert shell.connect("").hget("mc:{default}:batch:k", "priority") == "bulk"
    said = shell.run("enqueue", "--no-deal", B, "--key", "n", "--priority", "urgent")
    assert said.code == Exit.USAGE
    assert "interactive" in said.err


def test_a_heading_in_another_language_is_named_and_no_other_column_is_taken(shell: Shell) -> None:
    """Datensatz-ID;Firma: refused with what to write, and taken with that, by each command that reads the file."""
    shell.write("leads.csv", f"Leads\n\nDatensatz-ID;Inhaber-ID\nzcrm_{A};3652397000000281001\n")
    refused = shell.run("enqueue", "--no-deal", "leads.csv", "--key", "k", "--skip-invalid")
    assert refused.code == Exit.USAGE
    assert "line 3 has 'Datensatz-ID', 'Inhaber-ID'" in refused.err
    assert "--id-column NAME" in refused.err
    named = ("leads.csv", "--id-column", "Datensatz-ID")
    for command in ("enqueue", "convert"):
        said = shell.run(command, *named, "--no-deal", "--dry-run", "--json")
        assert (said.json["leads"], said.json["payload"]["ids"]) == (1, [A])
    assert shell.run("enqueue", "--no-deal", *named, "--key", "k", "--json").json["accepted"] == 1
    assert {row.lead_id for row in shell.ledger.batches.rows("k")} == {A}


def test_a_report_of_an_app_is_refused_whole_and_skip_invalid_changes_nothing(shell: Shell) -> None:
    shell.write("leads.csv", f"Leads\n'Company','Phone','Owner'\nAcme,4915112345678,3652397000000281001\n{A},{B}\n")
    for skip in ((), ("--skip-invalid",)):
        said = shell.run("enqueue", "--no-deal", "leads.csv", "--key", "k", *skip)
        assert (said.code, said.out) == (Exit.USAGE, "")
    assert shell.run("status", "k").code == Exit.USAGE


def test_a_column_is_not_named_where_there_is_no_file(shell: Shell) -> None:
    said = shell.run("enqueue", "--no-deal", A, "--id-column", "Datensatz-ID")
    assert said.code == Exit.USAGE
    assert "--id-column names a column of a file" in said.err


def test_an_options_file_with_a_key_twice_is_refused_by_each_command_that_reads_it(shell: Shell) -> None:
    shell.write("o.json", '{"Deals": {"Deal_Name": "A", "Stage": "B",\n"Stage": "C", "Closing_Date": "+1d"}}')
    for command in (("enqueue", A, "--options", "o.json"), ("convert", A, "--dry-run", "--options", "o.json")):
        said = shell.run(*command)
        assert (said.code, said.out) == (Exit.USAGE, "")
        assert "$.Deals.Stage is given twice" in said.err
        assert "o.json" in said.err
    assert "$.Deals.Stage is given twice" in shell.run("options", "check", "o.json").err
    shell.write("o.json", "1" * 5000)
    assert "a number of thousands of digits" in shell.run("enqueue", A, "--options", "o.json").err


@pytest.mark.parametrize("command", ["enqueue", "convert"])
@pytest.mark.parametrize("more", [(), ("--dry-run",), ("--key", "k"), ("--preflight",)])
def test_nothing_is_converted_by_omission(shell: Shell, command: str, more: tuple[str, ...]) -> None:
    """A conversion without a deal cannot be undone, so it must be said."""
    said = shell.run(command, A, *more)
    assert (said.code, said.out) == (Exit.USAGE, "")
    assert "Nothing says what to convert the leads into, and a conversion cannot be undone." in said.err
    assert "--options O.json" in said.err
    assert "massconvert options init" in said.err
    assert "--no-deal" in said.err
    assert ("--profile" in said.err) == (command == "enqueue")
    assert shell.run("status", "k").code == Exit.USAGE


def test_without_a_deal_is_said_by_name_and_goes_with_options_that_make_none(shell: Shell) -> None:
    shell.write("owner.json", '{"assign_to": "5"}')
    payload = shell.run("enqueue", A, "--no-deal", "--options", "owner.json", "--dry-run", "--json").json["payload"]
    assert payload == {"ids": [A], "assign_to": {"id": "5"}}
    assert shell.run("enqueue", A, "--no-deal", "--dry-run", "--json").json["payload"] == {"ids": [A]}
    for command in ("enqueue", "convert"):
        said = shell.run(command, A, "--no-deal", "--options", shell.options(), "--dry-run")
        assert (said.code, "--no-deal is given, and the options make a deal." in said.err) == (Exit.USAGE, True)


def test_a_task_without_a_queue_is_explained_where_it_will_be_looked_for(shell: Shell) -> None:
    said = shell.run("enqueue", "--no-deal", A, "--key", "k", "--on-complete", "shop.converted")
    assert said.code == Exit.OK
    assert "Celery's own default" in said.err
    assert "shop.converted@QUEUE" in said.err
    assert "default" not in shell.run("enqueue", "--no-deal", B, "--on-complete", "shop.converted@shop").err


# --- leads that another batch has -------------------------------------------------------------------------------


@pytest.mark.parametrize("wait", [(), ("--wait",)])
def test_leads_that_another_batch_has_are_told_and_are_status_1_each_time(shell: Shell, wait: tuple[str, ...]) -> None:
    assert shell.run("enqueue", "--no-deal", A, B, "--key", "first").code == Exit.OK
    for told in ("0 leads accepted, 2 in another batch already", "0 leads accepted, 2 duplicates dropped"):
        said = shell.run("enqueue", "--no-deal", A, B, "--key", "second", *wait)
        assert said.code == Exit.SOME_FAILED
        assert told in said.out
        assert "ALREADY_QUEUED" in said.err
    found = shell.run("enqueue", "--no-deal", A, B, "--key", "third", "--json", *wait)
    assert (found.code, found.json["accepted"], found.json["already_queued"]) == (Exit.SOME_FAILED, 0, 2)
    assert shell.run("status", "third", "--json").json["already_queued"] == 2
    assert shell.run("status", "third", "--watch").code == Exit.SOME_FAILED
    assert shell.run("enqueue", "--no-deal", A, B, "--key", "first").code == Exit.OK  # these are its own


def test_leads_that_were_converted_before_are_no_reason_for_status_1(shell: Shell) -> None:
    shell.batch("k", {A: Outcome(Kind.SKIPPED, "ALREADY_CONVERTED")})
    assert shell.run("status", "k", "--watch").code == Exit.OK


# --- a wait in JSON ---------------------------------------------------------------------------------------------


def test_a_wait_in_json_is_one_document_that_says_how_it_ended(shell: Shell) -> None:
    shell.run("enqueue", "--no-deal", A, "--key", "first")
    found = shell.run("enqueue", "--no-deal", A, "--key", "k", "--wait", "--json").json
    assert (found["batch"], found["accepted"], found["state"], found["skipped"]) == ("k", 0, "finished", 1)
    (code,) = found["codes"]
    assert (code["outcome"], code["code"], code["count"], code["lead_id"]) == ("skipped", "ALREADY_QUEUED", 1, A)
    assert found["why"] is None


def test_a_wait_in_json_that_is_over_before_the_batch_says_how_far_it_is_and_why(shell: Shell) -> None:
    said = shell.run("enqueue", "--no-deal", A, "--key", "k", "--wait", "0", "--json")
    assert said.code == Exit.STILL_RUNNING
    found = said.json
    assert (found["state"], found["accepted"], found["waiting"], found["codes"]) == ("running", 1, 1, [])
    assert found["why"]["word"] == "no_worker"


def test_a_wait_that_redis_ends_names_the_batch_that_is_there_all_the_same(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(_: object) -> None:
        raise StoreError("Redis is away.")

    monkeypatch.setattr("massconvert.producer.mass_convert.Batch.progress", away)
    said = shell.run("enqueue", "--no-deal", A, "--key", "k", "--wait", "--json")
    assert said.code == Exit.UNREACHABLE
    assert said.json == {"error": {"message": "Redis is away.", "batch": "k"}}
