"""massconvert retry, cancel and --last: what is tried again, what is called off, and which batch is meant."""

from __future__ import annotations

import json

import pytest

from massconvert.contract import Exit
from massconvert.model import Kind, Outcome
from tests.unit.cli_shell import OPTIONS, A, B, C, FakeNudge, Shell, finished

GONE, GAVE_UP = Outcome(Kind.FAILED, "NOT_FOUND", "gone"), Outcome(Kind.FAILED, "GAVE_UP", "no answer")
CONVERTED = Outcome(Kind.CONVERTED, job_id="77", attempts=1)


@pytest.fixture
def shell(shell: Shell) -> Shell:
    shell.batch("k", {A: GONE, B: GAVE_UP, C: CONVERTED})
    return shell


def waiting_of(shell: Shell, batch: str) -> set[str]:
    return {row.lead_id for row in shell.ledger.batches.rows(batch)}


@pytest.mark.parametrize(
    ("arguments", "leads"),
    [
        ((), {A, B}),
        (("--code", "GAVE_UP"), {B}),
        (("--code", "gave_up", "--code", "NOT_FOUND"), {A, B}),
        (("--id", f"zcrm_{A}"), {A}),
        (("--id", A, "--id", B), {A, B}),
        (("--id", B, "--code", "GAVE_UP"), {B}),
    ],
)
def test_what_failed_is_a_batch_of_its_own(shell: Shell, arguments: tuple[str, ...], leads: set[str]) -> None:
    said = shell.run("retry", "k", *arguments, "--json")
    assert said.code == Exit.OK, said.err
    assert list(said.json) == ["batch", "accepted", "duplicates", "invalid", "already_queued", "retries"]
    assert (said.json["accepted"], said.json["retries"]) == (len(leads), "k")
    assert waiting_of(shell, said.json["batch"]) == leads
    assert FakeNudge.told


def test_the_same_retry_again_is_the_same_batch_and_says_so(shell: Shell) -> None:
    first = shell.run("retry", "k", "--json").json
    again = shell.run("retry", "k")
    assert again.code == Exit.OK
    assert again.out == f"Batch {first['batch']} has retried these leads before; it is running.\n"
    assert shell.ledger.batches.status(first["batch"]).total == 2


def test_what_failed_in_a_retry_is_retried_under_its_name(shell: Shell) -> None:
    made = shell.run("retry", "k", "--json").json["batch"]
    shell.end(made, {A: GONE, B: CONVERTED})
    said = shell.run("retry", "k")
    assert f"massconvert retry {made}" in said.err
    assert shell.run("retry", made, "--json").json["accepted"] == 1


def test_a_retry_of_a_retry_can_be_named_however_long_the_chain(shell: Shell) -> None:
    name = "k" * 200
    shell.batch(name, {A: GONE})
    made = shell.run("retry", name, "--json").json["batch"]
    assert len(made) < 200
    assert made.startswith("kkk")


def test_fixed_options_are_used_and_others_are_those_of_the_batch(shell: Shell) -> None:
    shell.run("enqueue", "5", "--options", shell.options(), "--key", "first")
    shell.end("first", {A: GONE})
    same = shell.run("retry", "first", "--json").json["batch"]
    assert shell.ledger.batches.options(same) == shell.ledger.batches.options("first")
    fixed = {**OPTIONS, "assign_to": {"id": "6"}}
    shell.write("fixed.json", json.dumps(fixed))
    other = shell.run("retry", "first", "--options", "fixed.json", "--json").json["batch"]
    assert other != same
    assert shell.ledger.batches.options(other)["assign_to"] == {"id": "6"}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--code", "NO_SUCH"), "no failed leads to retry with NO_SUCH. Its codes: GAVE_UP, NOT_FOUND."),
        (("--id", C), "no failed leads to retry"),
        (("--id", A, "--id", C), f"Not among the leads to retry of batch k: {C}. Nothing was enqueued."),
        (("--id", "3.65E+18"), "rounded"),
        (("--options", "none.json"), "none.json cannot be read"),
        (("--wait=soon",), "--wait takes a number of seconds"),
    ],
)
def test_a_retry_of_nothing_is_told_in_words(shell: Shell, arguments: tuple[str, ...], told: str) -> None:
    said = shell.run("retry", "k", *arguments)
    assert said.code == Exit.USAGE
    assert said.out == ""
    assert told in said.err
    assert [status.batch for status in shell.ledger.batches.recent()] == ["k"]


def test_what_is_no_lead_id_is_not_retried(shell: Shell) -> None:
    shell.batch("odd", {"nonsense": Outcome(Kind.FAILED, "INVALID_ID", "is not a string of digits")})
    assert "no failed leads to retry" in shell.run("retry", "odd").err


def test_a_batch_that_goes_on_retries_what_has_failed_so_far_and_says_so(shell: Shell) -> None:
    shell.batch("half", {A: GONE}, waiting=[B])
    said = shell.run("retry", "half")
    assert said.code == Exit.OK
    assert "only what has failed so far" in said.err


NOT_UPDATED = Outcome(Kind.CONVERTED, "DEAL_NOT_UPDATED", "NO_PERMISSION: permission denied", "77", 1)


@pytest.fixture
def undealt(shell: Shell) -> Shell:
    """A batch d with deals named after their leads, one of which could not be updated."""
    options = {**OPTIONS, "Deals": {**OPTIONS["Deals"], "Deal_Name": "{Company}"}}
    shell.run("enqueue", "5", "6", "--options", shell.write("named.json", json.dumps(options)), "--key", "d")
    shell.end("d", {A: NOT_UPDATED, B: CONVERTED})
    return shell


def test_deals_that_were_not_updated_are_a_batch_of_their_own(undealt: Shell) -> None:
    said = undealt.run("retry", "d", "--deals", "--json")
    assert said.code == Exit.OK, said.err
    assert (said.json["accepted"], said.json["retries"]) == (1, "d")
    assert waiting_of(undealt, said.json["batch"]) == {A}
    again = undealt.run("retry", "d", "--deals")
    assert again.out == f"Batch {said.json['batch']} has retried these leads before; it is running.\n"


def test_deals_that_cannot_be_updated_again_are_retried_under_the_new_name(undealt: Shell) -> None:
    made = undealt.run("retry", "d", "--deals", "--json").json["batch"]
    undealt.end(made, {A: NOT_UPDATED})
    undealt.connect("").hset(f"mc:{{default}}:batch:{made}", "not_updated", 1)
    assert f"massconvert retry {made} --deals" in undealt.run("retry", "d", "--deals").err
    assert undealt.run("retry", made, "--deals", "--json").json["accepted"] == 1


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--deals", "--preflight"), "leave --preflight out"),
        (("--deals", "--id", B), "no deals to update again"),
        ((), "massconvert retry d --deals"),
    ],
)
def test_a_retry_of_no_deals_is_told_in_words(undealt: Shell, arguments: tuple[str, ...], told: str) -> None:
    said = undealt.run("retry", "d", *arguments)
    assert (said.code, said.out) == (Exit.USAGE, "")
    assert told in said.err


def test_a_retry_can_be_waited_for(shell: Shell) -> None:
    said = shell.run("retry", "k", "--wait", "0")
    assert said.code == Exit.STILL_RUNNING
    assert "massconvert status k." in said.err


def test_ctrl_c_in_a_retry_says_that_the_same_command_goes_on(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("massconvert.producer.mass_convert.MassConvert.retry", interrupted)
    said = shell.run("retry", "k")
    assert said.code == 130
    assert "The same command goes on" in said.err


def test_cancel_ends_what_waits_and_is_safe_to_repeat(shell: Shell) -> None:
    shell.run("enqueue", "--no-deal", "8", "9", "--key", "new")
    said = shell.run("cancel", "new", "--json")
    assert (said.code, said.json) == (Exit.OK, {"batch": "new", "cancelled": 2, "followed": 0})
    again = shell.run("cancel", "new")
    assert again.code == Exit.OK
    assert again.out.startswith("Batch new: 2 leads are cancelled")  # the workers have not drained its inbox yet
    assert "massconvert report new" in again.err


def test_cancelling_what_has_ended_changes_nothing(shell: Shell) -> None:
    said = shell.run("cancel", "k")
    assert (said.code, said.out) == (Exit.OK, "Batch k has finished already: nothing was left to cancel.\n")
    shell.batch("off", {A: Outcome(Kind.CANCELLED)})
    assert "has cancelled already" not in shell.run("cancel", "off").out
    assert "was cancelled before" in shell.run("cancel", "off").out


@pytest.mark.parametrize("command", ["retry", "cancel"])
def test_an_unknown_batch_is_status_2(shell: Shell, command: str) -> None:
    said = shell.run(command, "nope")
    assert said.code == Exit.USAGE
    assert "There is no batch 'nope'" in said.err


@pytest.mark.parametrize("command", ["retry", "cancel", "report"])
def test_a_command_without_a_batch_says_how_to_name_one(shell: Shell, command: str) -> None:
    said = shell.run(command)
    assert said.code == Exit.USAGE
    assert f"massconvert {command} BATCH" in said.err
    assert "--last" in said.err


def test_a_batch_and_last_together_are_refused(shell: Shell) -> None:
    assert "Both k and --last" in shell.run("cancel", "k", "--last").err


# --- --last -------------------------------------------------------------------------------------------------


def test_last_is_what_was_enqueued_last_from_here_and_not_what_others_have_made_since(shell: Shell) -> None:
    shell.run("enqueue", "--no-deal", "8", "--key", "mine")
    shell.batch("a-shop", {}, waiting=["9"])
    assert shell.run("status", "--last", "--json").json["batch"] == "mine"
    said = shell.run("cancel", "--last", "--json")
    assert said.json["batch"] == "mine"
    assert "the last batch is mine" in said.err


def test_a_retry_is_the_last_batch_from_then_on(shell: Shell) -> None:
    made = shell.run("retry", "k", "--json").json["batch"]
    assert shell.run("status", "--last", "--json").json["batch"] == made


def test_who_has_made_none_may_look_at_the_newest_but_change_only_what_is_named(shell: Shell) -> None:
    said = shell.run("status", "--last", "--json")
    assert said.json["batch"] == "k"
    assert "the newest is k" in said.err
    for command in ("cancel", "retry"):
        refused = shell.run(command, "--last")
        assert refused.code == Exit.USAGE
        assert "No batch has been made from this command line yet" in refused.err
        assert f"massconvert {command} BATCH" in refused.err


def test_each_ledger_has_a_last_batch_of_its_own(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    shell.run("enqueue", "--no-deal", "8", "--key", "mine")
    monkeypatch.setenv("REDIS_URL", "redis://:s3cret@other.example:6379/0")
    assert "the newest is" in shell.run("status", "--last").err
    state = next(tmp for tmp in shell.folder.parent.iterdir() if tmp.name.endswith("-state"))
    assert all("s3cret" not in path.name + path.read_text() for path in (state / "last").iterdir())


def test_an_interrupted_enqueue_is_the_last_batch_too(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("massconvert.producer.mass_convert.MassConvert.enqueue", interrupted)
    named = shell.run("enqueue", "--no-deal", "8").err.split("--key ")[1].split()[0]
    said = shell.run("status", "--last")
    assert f"There is no batch '{named}'" in said.err


def test_a_state_directory_that_cannot_be_written_is_no_error(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MASSCONVERT_STATE_DIR", str(shell.folder / shell.write("a-file", "")))
    assert shell.run("enqueue", "--no-deal", "8", "--key", "mine").code == Exit.OK


def test_a_report_of_the_last_batch(shell: Shell) -> None:
    shell.run("enqueue", "--no-deal", "8", "--key", "mine")
    shell.end("mine", finished())
    assert A in shell.run("report", "--last", "--format", "csv").out


def test_a_cancelled_batch_says_how_its_leads_are_enqueued_again(shell: Shell) -> None:
    shell.batch("gone", {A: Outcome(Kind.CANCELLED), B: Outcome(Kind.CONVERTED)})
    said = shell.run("retry", "gone")
    assert said.code == Exit.USAGE
    assert "gone-unprocessed.csv has them, after: massconvert report gone --files" in said.err
