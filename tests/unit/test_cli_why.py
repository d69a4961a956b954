"""Why a batch waits: one word, one sentence and what to do, the same everywhere."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from massconvert.cli.why import GOES_ON, Known, Word, why
from massconvert.contract import Exit
from massconvert.ledger import Member, Workers
from massconvert.model import HELD_FOR_CANARY, BatchState, BatchStatus, CanaryCounts, Kind, Outcome, Pause, Waits
from massconvert.policy import HoldKind
from massconvert.policy.codes import CODES, Retry, retry_of
from massconvert.zoho.standing import Held, Standing
from tests.unit.cli_shell import A, B, C, Shell

STATUS = BatchStatus("k", BatchState.RUNNING, 10, 10, 0, 0, 0, 0, 0, sealed=True, created_at=0.0, account="default")
CALLS = Standing(10, "edition standard", 10, 0, 0, 0.0, "")
WORKERS = Workers((Member("worker", "a", 100.0),), 1.0, 1.0, 1.0)
FINE = Known(STATUS, None, CALLS, WORKERS, now=1000.0)
CANARY = replace(STATUS, state=BatchState.PAUSED, held=HELD_FOR_CANARY, canary=CanaryCounts(5, 2, 0))
OUTAGE = replace(CALLS, hold=Held(HoldKind.OUTAGE, "Connection refused", 900.0, 3.0))
IDLE = replace(WORKERS, took_ago=300.0, idle_for=300.0)
SICK = replace(WORKERS, alive=(Member("worker", "a", 100.0, trouble="its broker is away"),))

CASES = {
    Word.PAUSED: (replace(FINE, paused=Pause("denied", "NO_PERMISSION", "Ask for it.", 0.0)), "NO_PERMISSION: denied"),
    Word.HELD: (replace(FINE, status=replace(STATUS, held="paused by hand")), "is paused by hand. "),
    Word.CANARY_ENDED: (
        replace(FINE, status=replace(CANARY, canary=CanaryCounts(5, 5, 1))),
        "1 of 5 leads failed",
    ),
    Word.NO_WORKER: (replace(FINE, workers=Workers((), None, None, 0.0)), "No worker runs."),
    Word.OUTAGE: (replace(FINE, calls=OUTAGE), "Connection refused; the next call finds out in 3 s"),
    Word.CREDITS: (
        replace(FINE, calls=replace(CALLS, hold=Held(HoldKind.CREDITS, "no credits are left", 0.0, 300.0))),
        "no credits are left",
    ),
    Word.ASKED: (
        replace(FINE, calls=replace(CALLS, hold=Held(HoldKind.ASKED, "Zoho asked to wait for 24 h", 0.0, 300.0))),
        "Zoho asked to wait for 24 h",
    ),
    Word.NO_TOKEN: (replace(FINE, token_trouble="too many tokens"), "too many tokens"),
    Word.WORKERS_TROUBLED: (replace(FINE, workers=SICK), "its broker is away"),
    Word.LIMIT: (replace(FINE, calls=replace(CALLS, gate_for=20.0, gate_why="Zoho said 429")), "Zoho said 429"),
    Word.CANARY: (replace(FINE, status=CANARY), "2 of its 5 leads have ended"),
    Word.TRIED_AGAIN: (
        replace(FINE, waits=Waits(1, "OAUTH_SCOPE_MISMATCH", "invalid scope", 1060.0)),
        "1 payload, in 1 min 00 s; Zoho said: OAUTH_SCOPE_MISMATCH: invalid scope",
    ),
    Word.ZOHO_AT_WORK: (replace(FINE, status=replace(STATUS, waiting=9, sent=1)), "Zoho is at work on 1 lead;"),
    Word.NOT_ENQUEUED_WHOLE: (replace(FINE, status=replace(STATUS, total=0, waiting=0, sealed=False)), "interrupted"),
    Word.NOTHING_TAKEN: (replace(FINE, workers=IDLE), "1 worker is alive, but none has taken anything for 5 min 00 s"),
    Word.ITS_TURN: (replace(FINE, ahead=11), "10 leads wait for a turn; 1 lead of other batches waits, too."),
}


@pytest.mark.parametrize("word", Word)
def test_each_reason_has_its_word_and_its_sentence(word: Word) -> None:
    known, said = CASES[word]
    found = why(known)
    assert found is not None
    assert found.word is word
    assert said in found.said


@pytest.mark.parametrize("word", sorted(set(Word) - GOES_ON))
def test_where_a_person_is_needed_it_is_said_what_to_do(word: Word) -> None:
    found = why(CASES[word][0])
    assert found is not None
    assert found.do


def test_of_several_causes_the_one_that_must_end_first_is_named() -> None:
    """In the order in which they stop the work; each is found when those before it have ended."""
    nobody = Workers((), None, None, 0.0)
    shut = replace(CALLS, gate_for=9.0, gate_why="Zoho said 429")
    calls = replace(shut, hold=OUTAGE.hold)
    all_at_once = replace(FINE, paused=CASES[Word.PAUSED][0].paused, workers=nobody, calls=calls)
    assert [
        found.word
        for known in (
            all_at_once,
            replace(all_at_once, paused=None, status=replace(STATUS, held="paused by hand")),
            replace(all_at_once, paused=None),
            replace(all_at_once, paused=None, workers=WORKERS),
            replace(all_at_once, paused=None, workers=WORKERS, calls=shut),
        )
        if (found := why(known))
    ] == [Word.PAUSED, Word.HELD, Word.NO_WORKER, Word.OUTAGE, Word.LIMIT]


def test_a_batch_that_has_finished_waits_for_nothing() -> None:
    assert why(replace(CASES[Word.PAUSED][0], status=replace(STATUS, state=BatchState.FINISHED))) is None


# --- the commands ------------------------------------------------------------------------------------------


def a_worker(shell: Shell) -> None:
    now = time.time()
    shell.ledger.fleet.note(Member("worker", "a", now, took_at=now))


def test_enqueue_warns_at_once_when_no_worker_runs(shell: Shell) -> None:
    for lead, arguments in ((A, ()), (C, ("--json",))):
        said = shell.run("enqueue", "--no-deal", lead, *arguments)
        assert said.code == Exit.OK
        assert "No worker runs." in said.err
        assert "To start one: massconvert worker" in said.err
    a_worker(shell)
    assert "worker runs" not in shell.run("enqueue", "--no-deal", B, "--key", "other").err


def test_enqueue_says_at_once_that_the_organisation_is_paused(shell: Shell) -> None:
    a_worker(shell)
    shell.run("pause")
    assert "The organisation is paused" in shell.run("enqueue", "--no-deal", A).err


def test_a_batch_tells_the_outage_that_the_organisation_has(shell: Shell) -> None:
    """`status` knew why, and `status BATCH` and `--wait` did not."""
    a_worker(shell)
    shell.batch("k", {}, waiting=[A])
    now = time.time()
    hold = {"kind": "outage", "why": "Connection refused", "since": now - 60, "wait": 20, "tries": 5, "probe": now + 9}
    shell.connect("").hset("mc:{default}:hold", mapping=hold)
    said = shell.run("status", "k")
    assert "Connection refused" in said.out
    found = shell.run("status", "k", "--json").json["why"]
    assert found["word"] == "outage"
    assert "Connection refused" in found["said"]
    waited = shell.run("enqueue", "--no-deal", B, "--key", "new", "--wait", "0")
    assert waited.code == Exit.STILL_RUNNING
    assert "Connection refused" in waited.err
    assert "batch new has not finished" in waited.err
    assert "celery" not in waited.err


def test_a_finished_batch_has_no_why(shell: Shell) -> None:
    shell.batch("k", {A: Outcome(Kind.CONVERTED)})
    assert shell.run("status", "k", "--json").json["why"] is None


def test_a_wait_ends_with_a_line_for_each_code_and_what_fits_it(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    ends = {
        A: Outcome(Kind.FAILED, "NOT_FOUND", "Zoho does not return this lead"),
        B: Outcome(Kind.FAILED, "UNKNOWN_NAME", "$.assign_to is 'anne@example.com', nearest Ann Archer"),
        C: Outcome(Kind.FAILED, "LOCKED", "in approval"),
        "3652397000009853001": Outcome(Kind.SKIPPED, "ALREADY_QUEUED", "in batch other"),
    }
    shell.batch("k", ends)
    status = shell.ledger.batches.status("k")
    rows = list(shell.ledger.batches.rows("k"))
    monkeypatch.setattr("massconvert.producer.mass_convert.Batch.progress", lambda _: status)
    monkeypatch.setattr("massconvert.producer.mass_convert.Batch.outcomes", lambda _: iter(rows))
    said = shell.run("enqueue", "--no-deal", "3652397000009854001", "--key", "new", "--wait").err
    assert f"1 lead failed: NOT_FOUND: Zoho does not return this lead (for example {A})" in said
    assert "1 lead failed: UNKNOWN_NAME: $.assign_to is 'anne@example.com', nearest Ann Archer" in said
    assert "1 lead skipped: ALREADY_QUEUED: in batch other" in said
    assert "UNKNOWN_NAME: Fix the options, then: massconvert retry new --code UNKNOWN_NAME --options O.json" in said
    assert "massconvert retry new --code LOCKED\n" in said
    assert "--code NOT_FOUND" not in said
    assert "a retry would fail once more" in said


def test_leads_that_zoho_does_not_have_are_never_sent_to_a_retry(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    shell.batch("k", {A: Outcome(Kind.FAILED, "NOT_FOUND", "gone")})
    status, rows = shell.ledger.batches.status("k"), list(shell.ledger.batches.rows("k"))
    monkeypatch.setattr("massconvert.producer.mass_convert.Batch.progress", lambda _: status)
    monkeypatch.setattr("massconvert.producer.mass_convert.Batch.outcomes", lambda _: iter(rows))
    said = shell.run("enqueue", "--no-deal", B, "--key", "new", "--wait").err
    assert "massconvert retry" not in said


@pytest.mark.parametrize(
    ("code", "does"),
    [
        ("NOT_FOUND", Retry.NO_USE),
        ("INVALID_ID", Retry.NEW_INPUT),
        ("UNKNOWN_NAME", Retry.FIXED_OPTIONS),
        ("MANDATORY_NOT_FOUND", Retry.FIXED_OPTIONS),
        ("LOCKED", Retry.LATER),
        ("GAVE_UP", Retry.LATER),
        ("NOT_CONVERTED", Retry.LATER),
        ("RECORD_LOCKED", Retry.WHEN_FIXED),
        ("A_CODE_OF_NEXT_YEAR", Retry.WHEN_FIXED),
    ],
)
def test_what_a_retry_does_with_a_code(code: str, does: Retry) -> None:
    assert retry_of(code) is does


def test_every_code_has_something_that_a_retry_does() -> None:
    assert all(retry_of(code) is not Retry.NO_NEED for code in CODES)
