"""What would become of leads is told as it becomes of them afterwards: the same rules, the same reads, no write."""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from massconvert.cli import match as command
from massconvert.cli import matches
from massconvert.contract import Exit
from massconvert.errors import ZohoError
from massconvert.leads import open_leads
from massconvert.model import Busy, Call, Kind, Outcome
from massconvert.options import Options, matching_of
from massconvert.policy.cost import Matches
from massconvert.policy.foresight import Foreseen, Would
from massconvert.steps.ports import Ports
from tests.unit.cli_shell import OPTIONS, Shell
from tests.unit.simulated_crm import ANN, DEAL
from tests.unit.test_match import LINK, contact, run, town
from tests.unit.test_resolve import Pipeline


def foresee(line: Pipeline, options: Any = LINK, ids: list[str] | None = None) -> tuple[list[Foreseen], matches.Tally]:
    rules, tally = matching_of(Options.parse(options).body()), matches.Tally()
    assert rules
    found = list(matches.foresee_all(line.ports, ids or line.crm.ids, rules, tally, at_once=1))
    return found, tally


def crowd(seed: int, leads: int = 40) -> Pipeline:
    """A few people of a few companies, again and again: as leads, and some of them as records, some of those twice."""
    chance = random.Random(seed)
    line = Pipeline(leads=leads)
    crm = line.crm.organisation
    crm.set_behaviour({"linking_strictness": "folded"})
    people = [("Ann", "Lee"), ("Bob", "Ray"), ("Eve", "Day"), ("Kim", "Fox"), ("Max", "O'Neil"), ("Tom", "Hill")]
    firms = ["Acme", "Bolt", "Dawn", "O'Brien & Sons", ""]
    for number, firm in enumerate(firms[:-1]):
        for copy in range(chance.choice([0, 0, 1, 1, 2])):
            crm.put_records("Accounts", [{"id": str(700 + 10 * number + copy), "Account_Name": firm}])
    accounts = list(crm.records("Accounts"))
    for number, (first, last) in enumerate(people):
        for copy in range(chance.choice([0, 0, 1, 1, 2])):
            home = chance.choice(["", *accounts])
            crm.put_records(
                "Contacts", [contact(str(600 + 10 * number + copy), f"{first} {last}", f"{first}@x.org", home)]
            )

    def lead() -> dict[str, str]:
        first, last = chance.choice(people)
        email = chance.choice([f"{first}@x.org".upper(), f"{first}@x.org", f"{chance.choice(people)[0]}@x.org", ""])
        return {"First_Name": first, "Last_Name": last, "Email": email, "Company": chance.choice(firms)}

    crm.give_leads({each: lead() for each in line.crm.ids})
    crm.convert_by_hand(line.crm.ids[3])
    crm.delete_lead(line.crm.ids[5])
    return line


@pytest.mark.parametrize("on_match", ["link", "hold"])
@pytest.mark.parametrize("seed", range(12))
def test_what_is_foreseen_is_what_becomes_of_the_leads(seed: int, on_match: str) -> None:
    line = crowd(seed)
    options = {"Deals": DEAL, "assign_to": ANN, "on_match": on_match}
    before = {module: dict(line.crm.organisation.records(module)) for module in ("Contacts", "Accounts")}
    found, tally = foresee(line, options)
    assert (line.posts(), line.calls("POST convert"), line.redis.keys("*")) == (0, 0, [])
    assert [each.lead_id for each in found] == line.crm.ids
    line.enqueue(options, leads=line.crm.ids)
    ended = run(line, rounds=400)
    for each in found:
        outcome = ended[each.lead_id]
        assert outcome is not None
        assert became(outcome, before) == (each.would, each.contact_id, each.account_id), (each, outcome)
        if each.behind:
            truth = line.crm.organisation.truth()
            made = {truth[lead][record] for lead in each.behind for record in ("contact_id", "account_id")}
            assert {outcome.contact_id, outcome.account_id} & made
    assert tally.leads == len(line.crm.ids)
    assert sum(tally.counts.values()) == len(found)


def became(outcome: Outcome, before: dict[str, dict[str, Any]]) -> tuple[Would, str, str]:
    """How a lead ended in the words of a forecast, and which of the records that were there it has."""
    if outcome.kind is Kind.FAILED:
        return Would.SKIP, "", ""
    if outcome.kind is Kind.SKIPPED:
        held = outcome.code.startswith("MATCH_")
        return Would.HOLD if held else Would.SKIP, "", ""
    assert outcome.kind is Kind.CONVERTED
    would = Would.CREATE if outcome.job_id else Would.LINK
    there = (outcome.contact_id in before["Contacts"], outcome.account_id in before["Accounts"])
    return would, outcome.contact_id if there[0] else "", outcome.account_id if there[1] else ""


def test_leads_of_one_customer_are_told_by_the_lead_that_makes_it() -> None:
    line = town()
    ids = line.crm.ids[1:4]
    same = {"Email": "eve@example.com", "First_Name": "Eve", "Last_Name": "Day", "Company": "Dawn"}
    other = {"Email": "kim@example.com", "First_Name": "Kim", "Last_Name": "Fox", "Company": "dawn"}
    third = {"Email": "eve@example.com", "First_Name": "Eva", "Last_Name": "Day", "Company": "Dawn"}
    line.crm.organisation.give_leads(dict(zip(ids, [same, other, third], strict=True)))
    (ann, eve, kim, eva), tally = foresee(line, ids=[line.crm.ids[0], *ids])
    assert (ann.would, ann.contact_id, ann.contact_name, ann.account_id, ann.account_name, ann.why) == (
        Would.LINK,
        "61",
        "Ann Lee",
        "71",
        "Acme",
        "one clear match",
    )
    assert (eve.would, eve.why) == (Would.CREATE, "nothing matches")
    assert (kim.would, kim.behind, kim.account_name) == (Would.LINK, (eve.lead_id,), "Dawn")
    assert kim.why == f"linked to what lead {eve.lead_id} makes"
    assert eva.would is Would.HOLD
    assert f"contact of lead {eve.lead_id} (Eve Day of Dawn)" in eva.why
    assert (tally.behind, tally.to_convert()) == (1, Matches(reads=2, queries=4, links=2, payloads=1))


def test_leads_that_cannot_be_converted_are_told_and_match_nobody() -> None:
    line = Pipeline(leads=3)
    line.crm.organisation.convert_by_hand(line.crm.ids[0])
    line.crm.organisation.lock_lead(line.crm.ids[1])
    found, tally = foresee(line, ids=[*line.crm.ids[:2], "9"])
    assert [each.why for each in found] == [
        "it is converted already",
        "Zoho has locked it for the user",
        "Zoho has no such lead, or does not show it",
    ]
    assert (tally.counts[Would.SKIP], tally.payloads) == (3, 0)


def test_a_lead_that_comes_twice_is_told_once() -> None:
    line = town()
    found, _ = foresee(line, ids=line.crm.ids[:2] * 3)
    assert [each.lead_id for each in found] == line.crm.ids[:2]


def test_a_read_that_is_too_long_is_halved_and_an_outage_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matches, "_pausing", lambda _stopped: lambda _seconds: None)
    faults = [
        {"method": "GET Leads", "do": "status", "status": 400, "code": "LIMIT_EXCEEDED", "times": 1},
        {"method": "POST coql", "do": "status", "status": 500, "times": 2},
    ]
    line = town(faults=faults)
    found, tally = foresee(line, ids=line.crm.ids[:2])
    assert [each.would for each in found] == [Would.LINK, Would.CREATE]
    assert (tally.reads, tally.queries) == (2, 4)


def test_a_missing_scope_is_told_at_once() -> None:
    line = town(scopes=frozenset({"ZohoCRM.modules.leads.READ"}))
    with pytest.raises(ZohoError, match="OAUTH_SCOPE_MISMATCH") as told:
        foresee(line)
    assert "ZohoCRM.coql.READ" in told.value.hint


class Free:
    """A governor that always has a permit."""

    def __init__(self, line: Pipeline) -> None:
        self._line = line

    def acquire(self, call: Call) -> Any | Busy:
        return self._line.permits.acquire(call)

    def release(self, permit: Any, answer: Any = None) -> None:
        self._line.permits.release(permit, answer)


@pytest.fixture
def line() -> Pipeline:
    line = town(leads=6)
    same = {"Email": "a@b.c", "First_Name": "Kim", "Last_Name": "Fox", "Company": "=Sum"}
    line.crm.organisation.give_leads(dict.fromkeys(line.crm.ids[2:4], same))
    return line


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, line: Pipeline) -> Shell:
    """A command line with credentials; Zoho is the town."""
    shell = Shell(monkeypatch, capsys, tmp_path)
    for name in ("CLIENT_ID", "CLIENT_SECRET", "REFRESH_TOKEN"):
        monkeypatch.setenv(f"ZOHO_{name}", "a-fake-one")

    @contextmanager
    def live(_settings: Any = None) -> Iterator[Ports]:
        yield line.ports

    for room in (command, matches):
        monkeypatch.setattr(room, "live_organisation", live)
    shell.write("leads.csv", "\n".join(["id", *line.crm.ids, line.crm.ids[0], "nonsense"]))
    return shell


def test_the_command_counts_and_writes_a_row_a_lead(shell: Shell, line: Pipeline) -> None:
    said = shell.run("match", "leads.csv", "--skip-invalid", "--output", "matches.csv", "--json")
    assert said.code == Exit.OK, said.err
    found = said.json
    assert {name: found[name] for name in ("leads", "duplicates", "invalid", "link", "hold", "create", "skip")} == {
        "leads": 6,
        "duplicates": 1,
        "invalid": 1,
        "link": 2,
        "hold": 0,
        "create": 4,
        "skip": 0,
    }
    assert found["behind_others"] == 1
    assert found["to_convert"]["calls"] == {"post": 1, "status": 1, "read": 2, "update": 0, "query": 4, "convert": 2}
    assert found["to_convert"]["credits"] == 6 + 6 + 10
    with (shell.folder / "matches.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["lead_id"] for row in rows] == line.crm.ids
    assert rows[0] == {
        "lead_id": line.crm.ids[0],
        "would": "link",
        "contact_id": "61",
        "contact_name": "Ann Lee",
        "account_id": "71",
        "account_name": "Acme",
        "why": "one clear match",
        "mc_row": f"match:{line.crm.ids[0]}",
    }
    assert rows[3]["account_name"] == "'=Sum"  # no spreadsheet runs it
    with open_leads(shell.folder / "matches.csv") as leads:
        assert list(leads) == line.crm.ids
    assert not shell.connect("").keys("*")


def test_people_see_counts_examples_and_what_to_do_next(shell: Shell, line: Pipeline) -> None:
    said = shell.run("match", "leads.csv", "--skip-invalid", "--on-match", "hold", "--match", "email")
    assert said.code == Exit.OK, said.err
    lines = [line.split(maxsplit=1) for line in said.out.splitlines()]
    assert ["hold", "2"] in lines
    assert ["create", "4"] in lines
    assert f"{line.crm.ids[0]}  hold" in said.out
    assert "it matches contact 61 (Ann Lee of Acme)" in said.out
    assert "nothing was enqueued" in said.err
    assert "massconvert enqueue leads.csv --options O.json --on-match hold" in said.err
    assert '"match": ["email"]' in said.err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--on-match", "create"), "--on-match create looks for nothing"),
        (("--match", "shoe_size"), "must be one of email, company, website, phone"),
        (("--match", "Shoe_Size"), "names Shoe_Size, which is no field of the Leads module"),
        (("--output", "matches.xlsx"), "the file is CSV"),
    ],
)
def test_what_is_wrong_is_told_before_any_call(
    shell: Shell, line: Pipeline, arguments: tuple[str, ...], told: str
) -> None:
    said = shell.run("match", "leads.csv", "--skip-invalid", *arguments)
    assert (said.code, said.out) == (Exit.USAGE, "")
    assert told in said.err
    assert line.calls("GET Leads") == 0


def test_a_failure_leaves_no_half_written_file(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_args: Any, **_more: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(matches, "foresee", interrupted)
    said = shell.run("match", "leads.csv", "--skip-invalid", "--output", "matches.csv")
    assert said.code == 130
    assert [path.name for path in shell.folder.iterdir()] == ["leads.csv"]


@pytest.mark.parametrize("name", ["convert", "enqueue"])
def test_a_dry_run_tells_what_the_first_leads_match(
    shell: Shell, line: Pipeline, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(matches, "MOST_DRY", 2)
    monkeypatch.setattr("massconvert.cli.enqueue.check_before_enqueue", lambda *_args, **_more: "")
    arguments = (name, *line.crm.ids[:4], "--options", shell.options(), "--on-match", "link", "--dry-run")
    said = shell.run(*arguments)
    assert said.code == Exit.OK, said.err
    assert "a dry run looks at the first 2 leads. For all: massconvert match" in said.err
    found = shell.run(*arguments, "--json").json
    assert {name: found["matches"][name] for name in ("looked_at", "link", "create")} == {
        "looked_at": 2,
        "link": 1,
        "create": 1,
    }
    assert found["calls"]["convert"] == 2  # of four leads, as of the first two
    assert found["matches"]["not_looked"] is None
    assert shell.run(name, line.crm.ids[0], "--options", shell.options(), "--dry-run", "--json").json["matches"] is None


@pytest.mark.parametrize("said", [{}, {"on_match": "create"}])
def test_a_file_names_the_fields_and_the_command_says_what_they_are_for(
    shell: Shell, line: Pipeline, monkeypatch: pytest.MonkeyPatch, said: dict[str, str]
) -> None:
    monkeypatch.setattr("massconvert.cli.enqueue.check_before_enqueue", lambda *_args, **_more: "")
    shell.write("o.json", json.dumps({**OPTIONS, "match": ["email"], **said}))
    for name in ("enqueue", "convert"):
        found = shell.run(name, line.crm.ids[0], "--options", "o.json", "--on-match", "hold", "--dry-run", "--json")
        assert (found.code, found.json["matches"]["hold"]) == (Exit.OK, 1), found.err
        assert found.json["calls"]["query"] == 1  # for contacts, by their address
    assert shell.run("match", line.crm.ids[0], "--options", "o.json", "--json").json["looked"]["query"] == 1
    told = shell.run("match", line.crm.ids[0], "--options", "o.json").err
    assert told.endswith("--options o.json --on-match link\n")  # which has the fields already
    assert shell.run("enqueue", line.crm.ids[0], "--options", "o.json").code == Exit.USAGE


def test_a_dry_run_without_credentials_says_that_it_did_not_look(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def none_given(_settings: Any = None) -> Iterator[Ports]:
        raise ZohoError("Not set: ZOHO_CLIENT_ID")
        yield

    monkeypatch.setattr(matches, "live_organisation", none_given)
    said = shell.run("convert", "1", "--options", shell.options(), "--on-match", "link", "--dry-run", "--json")
    assert said.json["matches"]["not_looked"] == "Not set: ZOHO_CLIENT_ID"
    assert said.json["calls"] == {"post": 1, "status": 1, "read": 1, "update": 0, "query": 2, "convert": 0}
