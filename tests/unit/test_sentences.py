"""Every event has one plain sentence, and every outcome a way in which it is known."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from massconvert.model import Code, Kind, Outcome, State
from massconvert.model.story import Entry, Mark, Proof
from massconvert.policy import Row
from massconvert.policy.sentences import PROOFS, SENTENCES, as_markdown, how_known

DOCS = Path(__file__).resolve().parents[2] / "docs" / "stories.md"


def test_every_row_and_every_mark_has_one_sentence_of_its_own() -> None:
    events = [*(mark.value for mark in Mark), *(row.event for row in Row)]
    assert list(SENTENCES) == events
    assert len(set(SENTENCES.values())) == len(events)


@pytest.mark.parametrize("event", SENTENCES)
def test_a_sentence_can_be_read_by_people(event: str) -> None:
    """It begins with a capital, ends with a full stop, has no code and no brackets, and is short enough."""
    said = SENTENCES[event]
    assert re.fullmatch(r"[A-Z][^()_{}|]+\.", said)
    assert len(said) <= 110
    for word in ("chunk", "row", "lease", "shall", "anew", "whoever"):
        assert not re.search(rf"\b{word}\b", said), word


def test_an_event_has_a_name_that_scripts_and_metrics_can_take() -> None:
    assert all(re.fullmatch(r"[a-z][a-z_]*", event) for event in SENTENCES)


def test_the_events_in_the_docs_are_these() -> None:
    """When it differs: python -m massconvert.policy.sentences."""
    assert as_markdown() in DOCS.read_text(encoding="utf-8")


def test_the_command_that_writes_them_for_the_docs() -> None:
    command = [sys.executable, "-m", "massconvert.policy.sentences"]
    assert (
        subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout == as_markdown() + "\n"
    )


def test_every_proof_has_its_words() -> None:
    assert set(PROOFS) == set(Proof)


def known(outcome: Outcome, *events: str, leads: int = 50) -> Proof | None:
    return how_known(outcome, [Entry("sending", 0.0, leads=leads), *(Entry(event, 0.0) for event in events)])


@pytest.mark.parametrize("row", [row for row in Row if State.DONE in row.targets])
def test_every_row_that_ends_leads_is_a_way_to_know(row: Row) -> None:
    assert known(Outcome(Kind.FAILED, "SOME_CODE"), row.event) is not None


@pytest.mark.parametrize(
    ("outcome", "events", "proof"),
    [
        (Outcome(Kind.CONVERTED), ["accepted", "job_all_converted"], Proof.COUNTS),
        (Outcome(Kind.CONVERTED), ["job_all_converted", "set_apart", "deals_found", "deals_updated"], Proof.COUNTS),
        (Outcome(Kind.CONVERTED), ["perhaps_accepted", "unconverted_again"], Proof.READ),
        (Outcome(Kind.SKIPPED, Code.ALREADY_CONVERTED), ["perhaps_accepted", "settled"], Proof.READ),
        (Outcome(Kind.FAILED, "INVALID_DATA"), ["bad_leads", "read_lags", "named_out"], Proof.NAMED),
        (Outcome(Kind.FAILED, Code.NOT_FOUND), ["bad_leads", "bad_leads_out"], Proof.UNSEEN),
        (Outcome(Kind.FAILED, Code.STATE_UNKNOWN), ["unclear"], Proof.UNCLEAR),
        (Outcome(Kind.FAILED, Code.NOT_CONVERTED), ["job_failed", "out_of_attempts"], Proof.READ),
        (Outcome(Kind.FAILED, Code.GAVE_UP), ["not_sent_give_up"], Proof.NEVER_SENT),
        (Outcome(Kind.CANCELLED), ["cancelled"], Proof.CANCELLED),
        (Outcome(Kind.SKIPPED, Code.ALREADY_QUEUED), ["already_queued"], Proof.ELSEWHERE),
    ],
)
def test_how_an_outcome_is_known(outcome: Outcome, events: list[str], proof: Proof) -> None:
    assert known(outcome, *events) is proof


def test_a_refusal_that_names_nobody_is_about_a_lead_that_was_alone() -> None:
    fate, events = Outcome(Kind.FAILED, "INVALID_DATA"), ("unexplained", "read_lags", "named_out")
    assert known(fate, *events, leads=1) is Proof.ALONE
    assert known(fate, *events, leads=2) is Proof.NAMED


def test_without_a_story_nothing_tells_how_it_is_known() -> None:
    assert how_known(Outcome(Kind.CONVERTED), []) is None
