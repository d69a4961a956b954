"""The story of a lead, from real workers: what a person reads who pastes an id, and what a script gets."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from massconvert import Batch
from massconvert.model.story import Proof, Story
from massconvert.policy.sentences import PROOFS, SENTENCES
from tests.acceptance.house import OPTIONS, SHORT_LEASES, House, until

pytestmark = pytest.mark.acceptance

POST = "POST mass_convert"
#: An outcome is known by its job's counts only where they add up, and by its name where a payload is refused for it.
TRUSTED = {"counts": "add_up", "one_bad_id": "refuse_all"}


@pytest.fixture
def house(house: House) -> House:
    """A house whose leases are as short as settings allow, and where a lost answer is looked for soon."""
    house.environment |= SHORT_LEASES
    return house


def enqueue(house: House, leads: list[str], key: str) -> Batch:
    return house.producer().enqueue(leads, OPTIONS, key=key)


def ended(batch: Batch) -> None:
    until(lambda: batch.progress().finished, 60, f"batch {batch.id}")


def events(story: Story) -> list[str]:
    return [entry.event for entry in story.entries]


def test_each_way_to_end_is_told_with_how_it_is_known(house: House) -> None:
    """Converted, failed by name, skipped, a 500 and then good, and a worker that was killed while it sent."""
    house.redis()
    house.simulator("--leads", "80", "--converted", "1", "--unknown", "1", "--job-seconds", "0.3", **TRUSTED)
    truth, leads = house.truth(), house.leads()
    gone = next(lead for lead in leads if lead not in truth or not truth[lead].get("exists", True))
    before = next(lead for lead in leads if lead in truth and truth[lead]["converted"])
    good = [lead for lead in leads if lead not in (gone, before)]
    first = house.worker("first")
    plain = enqueue(house, good[:20], "plain")
    ended(plain)
    locked = good[20]
    house.ask("special", "PUT", {locked: {"code": "DUPLICATE_DATA", "message": "no twins", "named": "path"}})
    odd = enqueue(house, [gone, before, locked, *good[21:30]], "odd")
    ended(odd)
    house.set_faults(
        {"method": POST, "do": "status", "status": 500, "code": "INTERNAL_ERROR", "message": "oh", "times": 1}
    )
    shaky = enqueue(house, good[30:40], "shaky")
    ended(shaky)
    house.set_faults({"method": POST, "do": "latency", "seconds": 2, "when": "after", "times": 1})
    killed = enqueue(house, good[40:50], "killed")
    until(lambda: house.truth()[good[40]]["submissions"] == 1, 20, "the POST of the killed worker")
    house.kill(first)
    house.worker("second")
    ended(killed)

    def told(lead: str) -> Story:
        (story,) = house.producer().lead(lead)
        assert story.whole
        assert story.entries == tuple(sorted(story.entries, key=lambda entry: entry.last_at))
        return story

    story = told(good[0])
    assert (story.batch, story.proof) == ("plain", Proof.COUNTS)
    assert events(story)[:3] == ["formed", "sending", "accepted"]
    assert events(story)[-1] == "job_all_converted"
    assert story.outcome is not None
    assert story.entries[2].told.job_id == story.outcome.job_id
    assert [told(lead).proof for lead in (gone, before, locked)] == [Proof.UNSEEN, Proof.READ, Proof.NAMED]
    assert "bad_leads" in events(told(locked))
    refused = [entry for entry in told(locked).entries if entry.told.code == "DUPLICATE_DATA"][-1]
    assert (refused.told.status, refused.told.message.startswith("no twins")) == (400, True)
    story = told(good[30])
    assert events(story)[:4] == ["formed", "sending", "perhaps_accepted", "unconverted_again"]
    assert (story.entries[2].told.status, story.entries[2].told.code) == (500, "INTERNAL_ERROR")
    story = told(good[40])
    assert events(story) == ["formed", "sending", "sender_lost", "settled"]
    assert (story.proof, story.outcome and story.outcome.kind.value) == (Proof.READ, "converted")

    _as_a_person(house, locked)
    _as_a_script(house, good[30], gone)
    _wrong(house)


def _as_a_person(house: House, lead: str) -> None:
    house.environment["TZ"] = "Asia/Kolkata"
    done = house.command("lead", lead)
    house.environment.pop("TZ")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"Lead {lead}\n" in done.stdout
    assert SENTENCES["bad_leads"] in done.stdout
    assert "[400 DUPLICATE_DATA: no twins" in done.stdout
    assert f"known by  {PROOFS[Proof.NAMED]}" in done.stdout
    assert re.search(r"^payload \d+, 12 leads$", done.stdout, re.MULTILINE)
    assert "account default" in done.stdout


def _as_a_script(house: House, *leads: str) -> None:
    done = house.command("lead", *leads, "--json")
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)["leads"]
    assert [each["lead_id"] for each in found] == list(leads)
    (story,) = found[0]["stories"]
    assert (story["batch"], story["outcome"], story["known_by"]) == ("shaky", "converted", "counts")
    lost = story["entries"][2]
    assert (lost["event"], lost["status"], lost["code"]) == ("perhaps_accepted", 500, "INTERNAL_ERROR")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", lost["at"])


def _wrong(house: House) -> None:
    """No id, an id of no batch, too many."""
    unknown = house.command("lead", "3652397000777777001")
    assert (unknown.returncode, unknown.stdout) == (2, "")
    assert "No batch that is kept has lead 3652397000777777001." in unknown.stderr
    assert "status --all" in unknown.stderr
    wrong = house.command("lead", "abc")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert "'abc' is no lead id: it is not a string of digits." in wrong.stderr
    in_json = house.command("lead", "3652397000777777001", "--json")
    assert (in_json.returncode, json.loads(in_json.stdout)["leads"][0]["stories"]) == (2, [])
    many = house.command("lead", *map(str, range(1, 102)))
    assert (many.returncode, "100 is the most" in many.stderr) == (2, True)
