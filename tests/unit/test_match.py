"""Leads are matched with what is there before they are sent: against the simulated organisation, call by call."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from massconvert.model import Call, Code, Kind, Matching, OnMatch, Outcome, Record, State
from massconvert.options import Options
from massconvert.policy import Row
from massconvert.policy.matching import Found, Judgement, judge, wanted
from massconvert.steps.advance import advance
from massconvert.steps.match import look_for
from tests.unit.simulated_crm import ANN, DEAL
from tests.unit.test_resolve import Pipeline

LINK = {"Deals": DEAL, "assign_to": ANN, "on_match": "link"}


def town(**rules: Any) -> Pipeline:
    """Acme with Ann is there; and two leads are to be converted: hers, and Bob's."""
    line = Pipeline(**rules)
    crm = line.crm.organisation
    crm.give_leads(
        {
            line.crm.ids[0]: {"Email": "ANN@example.com", "First_Name": "Ann", "Last_Name": "Lee", "Company": "acme"},
            line.crm.ids[1]: {"Email": "bob@example.com", "First_Name": "Bob", "Last_Name": "Ray", "Company": "Bolt"},
        }
    )
    crm.set_behaviour({"linking_strictness": "folded"})
    crm.put_records("Accounts", [{"id": "71", "Account_Name": "Acme"}])
    crm.put_records("Contacts", [contact("61", "Ann Lee", "ann@example.com", "71")])
    return line


def contact(record_id: str, name: str, email: str, account: str = "") -> dict[str, Any]:
    first, last = name.split()
    return {"id": record_id, "First_Name": first, "Last_Name": last, "Email": email, "Account_Name": account or None}


def run(line: Pipeline, key: str = "k", rounds: int = 40) -> Mapping[str, Outcome | None]:
    """Take steps until all leads have ended; seconds pass in between."""
    for _ in range(rounds):
        for chunk_id in line.ledger.chunks.form().chunk_ids:
            line.step(chunk_id)
        for overdue in line.ledger.chunks.overdue():
            advance(line.ports, overdue.chunk_id, [*State])
        rows = line.outcomes(key)
        if all(row.outcome for row in rows):
            return {row.lead_id: row.outcome for row in rows}
        line.crm.clock.now += 20.0
    raise AssertionError([row for row in line.outcomes(key) if not row.outcome])


def test_a_match_is_linked_and_the_others_are_created() -> None:
    line = town()
    line.enqueue(LINK)
    ended = run(line)
    ann, bob = (ended[lead] for lead in line.crm.ids[:2])
    assert ann is not None
    assert (ann.kind, ann.contact_id, ann.account_id) == (Kind.CONVERTED, "61", "71")
    assert ann.deal_id
    assert bob is not None
    assert (bob.kind, bob.job_id != "") == (Kind.CONVERTED, True)
    assert (line.posts(), line.calls("POST convert")) == (1, 1)
    assert line.calls("POST coql") == 2
    assert len(line.crm.organisation.records("Contacts")) == 2
    assert Row.LINKED in line.rows
    assert Call.LINK in line.permits.given


def test_without_the_option_nothing_is_looked_for() -> None:
    line = town()
    line.enqueue({"Deals": DEAL, "assign_to": ANN})
    run(line)
    assert (line.calls("POST coql"), line.calls("POST convert"), line.calls("GET Leads")) == (0, 0, 0)
    assert len(line.crm.organisation.records("Contacts")) == 3


def test_hold_leaves_what_matches_to_a_person() -> None:
    line = town()
    line.enqueue({**LINK, "on_match": "hold"})
    ended = run(line)
    held = ended[line.crm.ids[0]]
    assert held is not None
    assert (held.kind, held.code) == (Kind.SKIPPED, Code.MATCH_FOUND)
    assert held.message == "it matches contact 61 (Ann Lee of Acme), account 71 (Acme)"
    assert line.calls("POST convert") == 0


def test_several_matches_are_held_and_a_retry_creates_them() -> None:
    line = town()
    line.crm.organisation.put_records("Contacts", [contact("62", "Ann Lee", "ann@example.com", "71")])
    line.enqueue(LINK)
    held = run(line)[line.crm.ids[0]]
    assert held is not None
    assert held.message.startswith("several records match: contact 61 (Ann Lee of Acme), contact 62")
    again = line.intake.retry("k", {"Deals": DEAL, "assign_to": ANN}, codes=["MATCH_FOUND"])
    ended = run(line, again.id)
    assert {lead: outcome and outcome.kind for lead, outcome in ended.items()} == {line.crm.ids[0]: Kind.CONVERTED}


def test_leads_of_one_customer_are_converted_one_after_the_other() -> None:
    line = town()
    ids = line.crm.ids[1:5]
    same = {"Email": "eve@example.com", "First_Name": "Eve", "Last_Name": "Day", "Company": "Dawn"}
    line.crm.organisation.give_leads(dict.fromkeys(ids, same))
    line.enqueue(LINK, leads=ids)
    ended = run(line)
    assert {outcome and outcome.kind for outcome in ended.values()} == {Kind.CONVERTED}
    made = line.crm.organisation.records("Contacts")
    assert [each["Full_Name"] for each in made.values()].count("Eve Day") == 1
    assert (line.posts(), line.calls("POST convert")) == (1, 3)
    assert Row.MATCH_WAITS in line.rows


def test_a_lead_s_own_deal_is_in_the_call_itself() -> None:
    line = town()
    options = {**LINK, "Deals": {**DEAL, "Deal_Name": "{Company} renewal"}}
    body = Options.parse(options).body()
    line.intake.take(line.crm.ids[:1], body, key="k", deal_values={line.crm.ids[0]: '{"Amount":7}'})
    (ann,) = run(line).values()
    assert ann is not None
    deal = line.crm.organisation.records("Deals")[ann.deal_id]
    assert (deal["Deal_Name"], deal["Amount"]) == ("acme renewal", 7)
    assert line.calls("PUT Deals") == 0


def test_an_odd_name_is_looked_up_by_its_longest_word() -> None:
    line = town()
    line.crm.organisation.put_records("Accounts", [{"id": "72", "Account_Name": "O'Brien & Sons"}])
    line.crm.organisation.give_leads({line.crm.ids[1]: {"Email": "pat@example.com", "Company": "o'brien & sons"}})
    line.enqueue(LINK, leads=line.crm.ids[1:2])
    (pat,) = run(line).values()
    assert pat is not None
    assert (pat.kind, pat.account_id) == (Kind.CONVERTED, "72")


def crowded(line: Pipeline, contacts: int) -> None:
    """So many contacts of one address, all older than Bob's; and an odd name that many accounts have."""
    crowd = [contact(str(n), "No Body", "none@example.com") for n in range(10_000, 10_000 + contacts)]
    accounts = [{"id": str(n), "Account_Name": "n|none"} for n in range(200, 3000)]
    organisation = line.crm.organisation
    organisation.put_records("Accounts", [*accounts, {"id": "3071", "Account_Name": "Bolt"}])
    organisation.put_records("Contacts", [*crowd, contact("100061", "Bob Ray", "bob@example.com", "3071")])
    organisation.give_leads({line.crm.ids[2]: {"Email": "None@example.com", "Last_Name": "X", "Company": "None given"}})
    organisation.give_leads({line.crm.ids[3]: {"Email": "y@example.com", "Last_Name": "Y", "Company": "N|NONE"}})


def test_a_value_that_thousands_have_takes_no_page_from_the_others() -> None:
    line = town()
    crowded(line, 2500)
    line.enqueue(LINK, leads=line.crm.ids[:4])
    ended = {lead: outcome for lead, outcome in run(line).items() if outcome}
    ann, bob, nobody, none = (ended[lead] for lead in line.crm.ids[:4])
    assert (ann.contact_id, bob.contact_id) == ("61", "100061")
    assert (nobody.code, none.code) == (Code.MATCH_FOUND, Code.MATCH_FOUND)
    held = "several records match: contact 10000 (No Body), contact 10001 (No Body), contact 10002 (No Body), and more"
    assert nobody.message == held
    assert line.calls("POST coql") == 4  # two pages of contacts, one of accounts, one for the odd name


class Loose:
    """Zoho, if it took letters with accents for those without: what it finds is not what was asked for."""

    def __init__(self, zoho: Any, records: int) -> None:
        self.zoho, self.calls = zoho, 0
        self._records = [Record("Contacts", str(n), "No Body", {"Email": "rene@example.com"}) for n in range(records)]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.zoho, name)

    def records(self, query: str, module: str, field: str) -> Any:
        self.calls += 1
        found = self.zoho.records(query, module, field)
        after = int((re.findall(r"id > (\d+)", query) or [0])[0])
        mine = [each for each in self._records if int(each.id) > after] if "rené@" in query else []
        both = sorted([*found.records, *mine], key=lambda each: int(each.id))
        return replace(found, records=tuple(both[:200]), more=found.more or len(both) > 200)


@pytest.mark.parametrize(("records", "rene"), [(900, Judgement.CREATE), (5000, Judgement.UNCLEAR)])
def test_what_only_zoho_takes_for_the_same_hides_nothing_else(records: int, rene: Judgement) -> None:
    line = town()
    rules = Matching(OnMatch.LINK)
    leads = {str(n): {"Email": f"{n}@example.com", "Last_Name": "X"} for n in range(48)}
    leads |= {
        "bob": {"Email": "bob@example.com", "Full_Name": "Bob Ray"},
        "rene": {"Email": "rené@example.com", "Last_Name": "Roy"},
    }
    line.crm.organisation.put_records("Contacts", [contact("100061", "Bob Ray", "bob@example.com")])
    zoho = Loose(line.ports.zoho, records)
    found = look_for(replace(line.ports, zoho=zoho), wanted(rules, leads))
    assert isinstance(found, Found)
    judged = {lead: judge(rules, fields, found).verdict for lead, fields in leads.items()}
    assert (judged.pop("bob"), judged.pop("rene")) == (Judgement.LINK, rene)
    assert {*judged.values()} == {Judgement.CREATE}
    assert zoho.calls == found.calls <= 20


def test_without_the_scope_to_look_the_leads_wait() -> None:
    line = town(scopes=frozenset({"ZohoCRM.modules.leads.READ", "ZohoCRM.mass_convert.leads.CREATE"}))
    line.enqueue(LINK)
    with pytest.raises(AssertionError):
        run(line, rounds=3)
    assert line.rows[0] is Row.MATCH_NOT_READABLE
    assert line.posts() == 0


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_lost_answer_is_looked_into_and_not_sent_twice(when: str) -> None:
    line = town(faults=[{"method": "POST convert", "times": 1, "do": "status", "status": 500, "when": when}])
    line.enqueue(LINK, leads=line.crm.ids[:1])
    (ann,) = run(line).values()
    assert ann is not None
    assert (ann.kind, ann.contact_id, ann.account_id) == (Kind.CONVERTED, "61", "71")
    assert line.calls("POST convert") == (2 if when == "before" else 1)


def test_a_single_lead_may_become_a_job() -> None:
    line = town()
    line.crm.organisation.set_behaviour({"single_convert": "scheduled", "linking_strictness": "folded"})
    line.enqueue(LINK, leads=line.crm.ids[:1])
    (ann,) = run(line).values()
    assert ann is not None
    assert ann.kind is Kind.CONVERTED
    assert line.crm.organisation.truth()[line.crm.ids[0]]["contact_id"] == "61"
