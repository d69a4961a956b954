"""The rules by which a lead is created, linked, held, or made to wait."""

from __future__ import annotations

import pytest

from massconvert.model import Link, Matching, OnMatch, Record
from massconvert.policy.matching import (
    MOST_ODD,
    Found,
    Judged,
    Judgement,
    behind_others,
    fields_to_read,
    folded,
    identities,
    judge,
    makes,
    wanted,
)

LINK, HOLD = Matching(OnMatch.LINK), Matching(OnMatch.HOLD)
EMAIL, NAME = ("Contacts", "Email"), ("Accounts", "Account_Name")
ANN = {"Full_Name": "Ann Lee", "Email": "ann@example.com", "Company": "Acme"}
ACME = Record("Accounts", "71", "ACME", {"Account_Name": "ACME"})
HER = Record("Contacts", "61", "ann lee", {"Email": "Ann@Example.com"}, "71", "ACME")


def found(*records: Record, unknown: tuple[tuple[tuple[str, str], str], ...] = ()) -> Found:
    made = Found({*unknown})
    for record in records:
        made.add(EMAIL if record.module == "Contacts" else NAME, [record])
    return made


@pytest.mark.parametrize(
    ("records", "lead", "link"),
    [
        ((HER, ACME), ANN, Link("61", "71")),
        ((HER,), ANN, Link("61", "71")),  # its account is the company's, though it was not found by itself
        ((HER, ACME), ANN | {"Full_Name": "ANN  LEE", "Company": " acme "}, Link("61", "71")),
        ((ACME,), ANN, Link("", "71")),
        ((HER,), ANN | {"Company": " "}, Link("61", "")),
        ((Record("Contacts", "61", "Ann Lee", {"Email": "ann@example.com"}),), ANN | {"Company": ""}, Link("61", "")),
    ],
    ids=["both", "the contact's own account", "case and blanks", "an account alone", "no company", "no account"],
)
def test_one_clear_match_is_linked(records: tuple[Record, ...], lead: dict[str, str], link: Link) -> None:
    assert judge(LINK, lead, found(*records)) == Judged(Judgement.LINK, link)
    assert judge(HOLD, lead, found(*records)).verdict is Judgement.HOLD


def test_no_match_is_created() -> None:
    bob = Record("Contacts", "62", "Bob", {"Email": "bob@example.com"})
    for lead in (ANN, {}, {"Email": "", "Company": ""}):
        assert judge(LINK, lead, found(bob)) == Judged(Judgement.CREATE)


@pytest.mark.parametrize(
    ("records", "why"),
    [
        ((HER, Record("Contacts", "62", "Ann Lee", HER.values)), "several records match: contact 61 (ann lee of ACME)"),
        ((ACME, Record("Accounts", "72", "acme", {"Account_Name": "Acme"})), "several records match: account 71"),
        ((Record("Contacts", "61", "Andy", HER.values, "71", "ACME"),), "the contact has another name than the lead"),
        ((Record("Contacts", "61", "Ann Lee", HER.values, "79", "Bolt"),), "the contact belongs to another company"),
        ((Record("Contacts", "61", "Ann Lee", HER.values, "79", ""), ACME), "the contact belongs to another company"),
        ((Record("Contacts", "61", "Ann Lee", HER.values),), "the contact belongs to no account"),
    ],
)
def test_what_is_not_clear_is_held_and_says_why(records: tuple[Record, ...], why: str) -> None:
    judged = judge(LINK, ANN, found(*records))
    assert judged.verdict is Judgement.HOLD
    assert judged.words.startswith(why)
    assert all(record.id in judged.words for record in records)


def test_an_account_of_another_name_is_not_linked_whatever_else_it_has_in_common() -> None:
    rules = Matching(OnMatch.LINK, ("website",))
    site, lead = Found(), ANN | {"Website": "acme.example"}
    site.add(("Accounts", "Website"), [Record("Accounts", "71", "Acme Ltd.", {"Website": "acme.example"})])
    assert judge(rules, lead, site).words.startswith("the account has another name than the lead's company")
    assert fields_to_read(rules) == ("Full_Name", "Website", "Company")


def test_a_value_that_nobody_can_look_up_is_not_taken_for_unknown() -> None:
    unknown = ((EMAIL, folded(ANN["Email"])),)
    assert judge(LINK, ANN, found(unknown=unknown)).verdict is Judgement.UNCLEAR
    assert judge(LINK, ANN, found(ACME, unknown=unknown)).verdict is Judgement.HOLD


def test_values_are_asked_for_as_they_stand_and_odd_ones_by_a_part() -> None:
    leads = {
        "1": ANN | {"Email": "Ann@Example.com"},
        "2": {"Company": "O'Brien & Sons", "Email": "x"},
        "3": {"Company": "''"},
        "4": {},
    }
    asked = wanted(LINK, leads)
    assert asked.plain == {EMAIL: ("Ann@Example.com", "ann@example.com", "x"), NAME: ("Acme",)}
    assert asked.odd == ((NAME, "Brien", "O'Brien & Sons"),)
    assert asked.unaskable == {(NAME, "''")}
    assert asked.later == ()


def test_so_many_odd_values_are_asked_for_at_once_and_the_others_have_their_turn() -> None:
    leads = {str(n): {"Company": f"O'Brien{n}"} for n in range(MOST_ODD + 3)}
    asked = wanted(LINK, leads)
    assert len(asked.odd) == MOST_ODD
    assert asked.later == tuple(list(leads)[MOST_ODD:])
    assert wanted(LINK, {lead: leads[lead] for lead in asked.later}).later == ()


def test_two_leads_of_one_customer_have_a_digest_in_common() -> None:
    one, other = identities(LINK, ANN), identities(LINK, {"Company": "ACME ", "Email": "bob@example.com"})
    assert one[NAME] == other[NAME]
    assert one[EMAIL] != other[EMAIL]
    assert one[EMAIL] not in other.values()
    assert ANN["Email"] not in str(one)


def test_a_lead_makes_what_it_is_not_linked_to() -> None:
    own = identities(LINK, ANN)
    assert set(makes(LINK, ANN, Judged(Judgement.CREATE))) == {*own.values()}
    assert makes(LINK, ANN, Judged(Judgement.LINK, Link("", "71"))) == (own[EMAIL],)
    assert makes(LINK, ANN, Judged(Judgement.LINK, Link("61", "71"))) == ()
    assert makes(LINK, ANN, Judged(Judgement.HOLD)) == ()


def test_a_lead_waits_behind_another_that_makes_the_same() -> None:
    create, taken = Judged(Judgement.CREATE), {"d1": "9"}
    assert behind_others(create, ("d1", "d2"), taken, ()) == Judged(Judgement.WAIT, behind=("d1",))
    assert behind_others(create, ("d2",), taken, ()) == create  # what is taken is there already
    linked = Judged(Judgement.LINK, Link("61", "71"))
    assert behind_others(linked, (), taken, ()) == linked


def test_a_lead_is_not_held_for_what_another_payload_may_just_be_making() -> None:
    held = Judged(Judgement.HOLD, words="no")
    assert behind_others(held, (), {"d1": "9"}, ("8",)).verdict is Judgement.WAIT
    assert behind_others(held, (), {"d1": "9"}, ("8", "9")) == held
