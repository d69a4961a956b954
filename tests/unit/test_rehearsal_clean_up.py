"""Whatever kills a rehearsal, whoever cleans up behind it leaves nothing, and touches nothing of anybody else's."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from massconvert.errors import InputError
from massconvert.rehearsal.journal import Journal, unfinished
from massconvert.rehearsal.stage import Stage
from massconvert.simulator.rules import ALL_SCOPES
from tests.unit.rehearsal_hall import MARK, Hall

#: Each call of a run that builds on all kinds of calls, and some of the others.
ONLY = (6, 13)


@pytest.mark.parametrize("before", [True, False], ids=["before it leaves", "after it has left"])
def test_killed_at_any_call_nothing_is_left_after_a_clean_up(tmp_path: Path, before: bool) -> None:
    call, gone = 0, True
    while gone:
        call += 1
        folder = tmp_path / str(call)
        folder.mkdir()
        hall = Hall(folder)
        gone = hall.killed_at(call, before=before, only=ONLY)
        if gone:
            assert hall.clean_up().left == {}
        assert hall.everything() == hall.before, f"call {call}"
    assert call > 15


def test_a_clean_up_that_is_killed_is_done_again(tmp_path: Path) -> None:
    hall = Hall(tmp_path)
    assert hall.killed_at(12, before=False, only=ONLY)
    assert hall.everything() != hall.before
    for number in range(1, 12):
        hall.killed_clean_up(number)
    hall.clean_up()
    assert hall.everything() == hall.before
    assert hall.clean_up().number == 0  # repeatable


def test_only_what_the_run_made_is_deleted(tmp_path: Path) -> None:
    hall = Hall(tmp_path, duplicates="link_both")
    theirs = [{"Account_Name": "Theirs", "id": "3652397000099000001"}]

    def somebody_is_there(stage: Stage) -> None:
        hall.organisation.put_records("Accounts", theirs)
        # As if a conversion had named a record of somebody else's.
        number = stage.wire.journal.before(0.0, "1", "GET", "Leads", {}, None)
        stage.wire.journal.after(number, 0.0, {"came": {"Accounts": ["3652397000099000001"]}})

    _, cleaned = hall.rehearse((1,), during=somebody_is_there)
    assert cleaned.left == {}
    assert "3652397000099000001" in hall.organisation.records("Accounts")


def test_what_cannot_be_deleted_is_said_and_stays_in_the_journal(tmp_path: Path) -> None:
    hall = Hall(tmp_path, delete_converted="refused")
    found, cleaned = hall.rehearse((3, 4))
    assert {module for module, _ in cleaned.left} == {"Leads"}
    assert len(cleaned.left) == 10
    assert found["seen"]["delete_converted"].startswith("refused")
    assert unfinished(tmp_path) == [hall.path]


def test_a_job_that_still_runs_is_waited_for(tmp_path: Path) -> None:
    hall = Hall(tmp_path, job_seconds=30.0)
    posted = next(
        number for number in range(1, 200) if _killed_at_post(Hall(_folder(tmp_path, number), job_seconds=30.0), number)
    )
    assert hall.killed_at(posted, before=False, only=(3,))
    assert hall.clean_up().deleted["Contacts"] == 10  # not before the job has made them
    hall.clock.wait(120.0)
    assert hall.everything() == hall.before


def test_what_conversions_made_is_found_without_queries(tmp_path: Path) -> None:
    hall = Hall(tmp_path, scopes=ALL_SCOPES - {"ZohoCRM.coql.READ"})
    while hall.organisation.calls()["POST mass_convert"] == 0:  # killed when the payload has left, and was not answered
        hall = Hall(_folder(tmp_path, len(list(tmp_path.iterdir()))), scopes=ALL_SCOPES - {"ZohoCRM.coql.READ"})
        hall.killed_at(len(list(tmp_path.iterdir())), before=False, only=(3,))
    cleaned = hall.clean_up()
    assert cleaned.deleted["Contacts"] == 10
    assert hall.everything() == hall.before


def _folder(tmp_path: Path, number: int) -> Path:
    folder = tmp_path / f"n{number}"
    folder.mkdir()
    return folder


def _killed_at_post(hall: Hall, number: int) -> bool:
    hall.killed_at(number, before=False, only=(3,))
    return hall.organisation.calls()["POST mass_convert"] == 1


# --- the journal ------------------------------------------------------------------------------------------


def test_a_line_that_a_crash_has_cut_spoils_no_other(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    with Journal(path) as journal:
        journal.begin(MARK, "digest", 5.0, "v8")
        number = journal.before(6.0, "make", "POST", "Leads", {}, {"data": []})
        journal.after(number, 7.0, {"status": 201, "made": {"Leads": ["1", ""]}})
        journal.before(8.0, "3", "POST", "Leads/actions/mass_convert", {}, {})
    with path.open("a") as file:
        file.write('{"n": 2, "sta')
    with Journal(path) as journal:
        assert journal.past.mark == MARK
        assert journal.past.made == {"Leads": ["1"]}
        assert journal.past.unanswered
        journal.cleaned()
    with Journal(path) as journal:
        assert journal.past.clean
    assert unfinished(tmp_path) == []
    assert json.loads(path.read_text().splitlines()[-1]) == {"clean": True}


def test_a_call_is_on_disk_before_it_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hall = Hall(tmp_path)
    seen: list[str] = []
    synced: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda _file: synced.append(hall.path.read_text().splitlines()[-1]))

    class Looking:
        def exchange(self, method: str, path: str, *words: object, **more: object) -> object:
            seen.append(hall.path.read_text().splitlines()[-1])
            return hall.zoho.exchange(method, path, *words, **more)  # type: ignore[arg-type]  # passed on

    with Journal(hall.path) as journal:
        journal.begin(MARK, "digest", 0.0, "v8")
        stage = hall.stage(journal, Looking())
        with stage.asking("x"):
            stage.status("1")
    assert json.loads(seen[0])["call"] == "GET Leads/actions/mass_convert"
    assert seen[0] in synced
    assert json.loads(synced[-1])["status"] == 400


def test_a_run_that_lives_is_not_cleaned_up(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    with Journal(path) as journal:
        journal.begin(MARK, "digest", 5.0, "v8")
        with pytest.raises(InputError, match="A rehearsal runs"):
            Journal(path)


def test_a_journal_of_another_version_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({"form": 99, "mark": MARK, "organisation": "x", "at": 1.0}) + "\n")
    with pytest.raises(InputError, match="another version"):
        Journal(path)
