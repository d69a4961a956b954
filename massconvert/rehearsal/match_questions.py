"""Questions 1, 2, 12, 13: what conversions do where a contact or an account of the same name is there already."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from massconvert.model import Call
from massconvert.rehearsal.question import NOT_SEEN, Point, Question, Seen, any_of, anything, none_seen
from massconvert.rehearsal.stage import READ_ON, Stage, converted
from massconvert.rehearsal.wire import ACCOUNTS, CONTACTS, Answer, converted_into, looked_up
from massconvert.zoho.values import id_of

_CONTACT, _ACCOUNT = "Converted_Contact", "Converted_Account"


def _matches(stage: Stage) -> Seen:
    leads = stage.cast.all_of("D3", "D4", "D5")
    account, contact = stage.cast.all_of("X", "Y")
    before = _contact(stage, contact)
    answer, job = stage.sent(leads)
    if job is None:
        return none_seen(_MATCH, f"the payload was not taken: {answer.in_words}")
    rows = stage.read_ended(job)
    company, email, both = (rows.get(lead, {}) for lead in leads)
    after = _contact(stage, contact)
    changed = f"{NOT_SEEN}: contacts cannot be read" if before is None or after is None else before != after
    return {
        "match_company": _linked(company, _ACCOUNT, account),
        "match_email": _linked(email, _CONTACT, contact),
        "match_all": _linked(both, _CONTACT, contact),
        "matched_contact_changed": changed,
    }


def _contact(stage: Stage, contact: str) -> Mapping[str, Any] | None:
    query = {"ids": contact, "fields": "Last_Name,First_Name,Email,Phone,Account_Name"}
    answer = stage.call(Call.READ, "GET", CONTACTS, query)
    rows = [row for row in answer.items if id_of(row.get("id")) == contact]
    kept = ("Last_Name", "First_Name", "Email", "Phone")
    return (
        {name: rows[0].get(name) for name in kept} | {"account": looked_up(rows[0], "Account_Name")} if rows else None
    )


def _linked(row: Mapping[str, Any], name: str, there: str) -> str:
    if not converted(row):
        return f"{NOT_SEEN}: the lead was not converted"
    record = looked_up(row, name)
    return "none" if not record else "the one that is there" if record == there else "a new one"


def _same_company(stage: Stage) -> Seen:
    leads = stage.cast.all_of("D1", "D2")
    alone = stage.cast.ids.get("G1", "")
    answer, job = stage.sent([*leads, *filter(None, [alone])])
    if job is None:
        return none_seen(_COMPANY, f"the payload was not taken: {answer.in_words}")
    rows = stage.read_ended(job)
    one, other, without = (rows.get(lead, {}) for lead in (*leads, alone))
    accounts = {looked_up(one, _ACCOUNT), looked_up(other, _ACCOUNT)} - {""}
    there = stage.count(ACCOUNTS, "Account_Name", stage.cast.company("D1"))
    number = len(accounts) if there is None else there
    both = converted(one) and converted(other)
    return {
        "same_company": {1: "one account", 2: "an account each"}.get(number, f"{number} accounts")
        if both
        else f"{NOT_SEEN}: they were not converted",
        "without_company": f"{NOT_SEEN}: {stage.cast.refused.get('G1', 'the lead was not converted')}"
        if not converted(without)
        else "an account"
        if looked_up(without, _ACCOUNT)
        else "no account",
    }


def _unknown_key(stage: Stage) -> Seen:
    lead, account = stage.cast.all_of("J1", "X")
    answer, job = stage.sent([lead], add_to_existing_record=True)
    if job is None:
        return {"unknown_key": f"refused: {answer.code or answer.lost}"}
    how = _linked(stage.read_ended(job).get(lead, {}), _ACCOUNT, account)
    return {"unknown_key": {"a new one": "ignored", "the one that is there": "obeyed"}.get(how, how)}


# --- 13: one lead at a time -------------------------------------------------------------------------------


def _one_by_one(stage: Stage) -> Seen:
    plain, same, other, add, cased, mailed = stage.cast.all_of("K1", "K2", "K3", "K4", "K6", "K7")
    account, contact = stage.cast.all_of("X", "Y")
    options = stage.call(Call.READ, "GET", f"Leads/{same}/__conversion_options")
    to_account = {"Accounts": {"id": account}}
    first = _convert(stage, plain, {})
    mismatched = _convert(stage, other, to_account)

    def outcome(lead: str, body: Mapping[str, Any], there: str) -> str:
        return _outcome(stage, lead, _convert(stage, lead, body), there)

    return {
        "conversion_options": _options(options, account),
        "single_convert": "a job" if first.job_id else _made(first, ""),
        "single_convert_seconds": round(first.seconds, 2),
        "single_link": outcome(same, to_account, account),
        "single_link_of_another_name": _outcome(stage, other, mismatched, account),
        "single_refusal": _shape(mismatched) if mismatched.refused else f"{NOT_SEEN}: none was refused",
        "single_link_in_capitals": outcome(cased, to_account, account),
        "single_link_by_email": outcome(mailed, {"Contacts": {"id": contact}}, contact),
        "single_add_to_existing": outcome(add, {"add_to_existing_record": True}, account),
        "composite": _composite(stage),
    }


def _shape(answer: Answer) -> str:
    where = "in data" if isinstance(answer.body, dict) and "data" in answer.body else "bare"
    return f"{where}, status {answer.status}"


def _convert(stage: Stage, lead: str, body: Mapping[str, Any]) -> Answer:
    return stage.call(Call.UPDATE, "POST", f"Leads/{lead}/actions/convert", body={"data": [body]})


def _outcome(stage: Stage, lead: str, answer: Answer, there: str) -> str:
    """What a conversion made, also where it became a job: then the lead is read until it is converted."""
    if answer.refused or not answer.job_id:
        return _made(answer, there)
    row: Mapping[str, Any] = {}
    for wait in READ_ON:
        stage.wire.wait(wait)
        row = stage.read([lead]).get(lead, {})
        if converted(row):
            break
    ids = {looked_up(row, name) for name in (_CONTACT, _ACCOUNT)}
    return "the one that is there" if there in ids else _linked(row, _ACCOUNT, there)


def _made(answer: Answer, there: str) -> str:
    if answer.refused or answer.lost:
        return f"refused: {answer.code or answer.lost}"
    made = converted_into(answer.body)
    if there and any(there in ids for ids in made.values()):
        return "the one that is there"
    return "a new one" if made.get(ACCOUNTS) else "no account"


def _options(answer: Answer, account: str) -> str:
    if answer.status == 204:
        return "nothing"
    if answer.refused or answer.lost:
        return f"refused: {answer.code or answer.lost}"
    found = answer.body.get("__conversion_options") if isinstance(answer.body, dict) else None
    accounts = found.get(ACCOUNTS) if isinstance(found, dict) else None
    ids = [id_of(row.get("id")) for row in accounts or () if isinstance(row, dict)]
    return "the account of that name" if account in ids else "others"


def _composite(stage: Stage) -> str:
    lead = stage.cast.all_of("K5")[0]
    request = {
        "sub_request_id": "k5",
        "method": "POST",
        "uri": f"/crm/v{stage.version}/Leads/{lead}/actions/convert",
        "body": {"data": [{}]},
    }
    answer = stage.call(Call.UPDATE, "POST", "__composite_requests", body={"__composite_requests": [request]})
    if answer.refused or answer.lost:
        return f"refused: {answer.code or answer.lost}"
    return "converts" if converted_into(answer.body) else "does not convert"


_DUPLICATES = "Conversions link to records that are there: look at what is changed in them before you convert many."
_MATCH = (
    Point("match_company", "the account of a lead's company", "a new one", any_of("a new one"), _DUPLICATES),
    Point("match_email", "the contact with a lead's e-mail", "a new one", any_of("a new one"), _DUPLICATES),
    Point("match_all", "the contact that is like it in all", "a new one", any_of("a new one"), _DUPLICATES),
    Point(
        "matched_contact_changed",
        "that contact is changed",
        "no",
        any_of(False),
        "A conversion writes into a contact that was there: what it held before is lost.",
    ),
)
_COMPANY = (
    Point(
        "same_company",
        "two leads of a new company make",
        "an account each",
        any_of("an account each", "one account"),
        "More accounts are made than there are leads.",
    ),
    Point("without_company", "a lead without company makes", "no account", anything, ""),
)
_SINGLE = (
    Point("conversion_options", "conversion options name", "the account of that name", anything, ""),
    Point("single_convert", "one lead by itself makes", "a new one", anything, ""),
    Point("single_convert_seconds", "seconds that this takes"),
    Point(
        "single_link",
        "with the account's id it gets",
        "the one that is there",
        any_of("the one that is there"),
        "Leads cannot be linked to accounts that are there: they make new ones.",
    ),
    Point("single_link_of_another_name", "with that of another company"),
    Point("single_refusal", "where such an error stands"),
    Point("single_link_in_capitals", "with its company in capitals"),
    Point("single_link_by_email", "with a contact of its e-mail alone"),
    Point("single_add_to_existing", "with add_to_existing_record"),
    Point("composite", "in a composite request it"),
)

MATCH_QUESTIONS = (
    Question(
        1,
        "Does mass convert link to records that are there?",
        _MATCH,
        _matches,
        ("X", "Y", "D3", "D4", "D5"),
        (),
        {Call.POST: 1, Call.STATUS: 3, Call.READ: 3},
    ),
    Question(
        2,
        "Which accounts do leads of one company make?",
        _COMPANY,
        _same_company,
        ("D1", "D2", "G1"),
        (),
        {Call.POST: 1, Call.STATUS: 3, Call.READ: 1, Call.QUERY: 1},
    ),
    Question(
        12,
        "Does a key that is none of mass convert's pass?",
        (Point("unknown_key", "add_to_existing_record there"),),
        _unknown_key,
        ("X", "J1"),
        (),
        {Call.POST: 1, Call.STATUS: 2, Call.READ: 1},
    ),
    Question(
        13,
        "What does the conversion of one lead do?",
        _SINGLE,
        _one_by_one,
        ("X", "Y", "K1", "K2", "K3", "K4", "K5", "K6", "K7"),
        (),
        {Call.UPDATE: 7, Call.READ: 1},
    ),
)
