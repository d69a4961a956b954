"""Contacts and accounts on the wire: the queries that look for them, and the answers, as values of the model."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from massconvert.model import Linked, Record, RecordsFound
from massconvert.model.matching import ACCOUNTS, CONTACTS
from massconvert.zoho.answers import Failure, UnusableError, accepted_in, credits_left_of, parse_answer
from massconvert.zoho.values import id_of, items_of, record_id_of, text_of, word_of

#: Values of one ``in``, and rows of a page: up to 200 cost one credit (Zoho's pages on COQL).
MOST_VALUES, ROWS = 50, 200
#: The columns of each module, in addition to the field that is compared.
_COLUMNS = {CONTACTS: ("Full_Name", "Account_Name"), ACCOUNTS: ("Account_Name",)}
_NAMES = {CONTACTS: "Full_Name", ACCOUNTS: "Account_Name"}
_MAY_STAND = re.compile(r"[^'\"\\]*")


def values_query(module: str, field: str, values: Sequence[str], after: str = "") -> str:
    """The query of one page of the records that have one of these values there; ``after`` is the last id before it."""
    listed = ", ".join(f"'{_quoted(value)}'" for value in values)
    return _query(module, field, f"{field} in ({listed})", after)


def part_query(module: str, field: str, part: str, after: str = "") -> str:
    """The same for records with ``part`` in their value there."""
    return _query(module, field, f"{field} like '%{_quoted(part)}%'", after)


def _query(module: str, field: str, condition: str, after: str) -> str:
    columns = dict.fromkeys(("id", *_COLUMNS[module], field))
    where = f"({condition} and id > {after})" if after else condition
    return f"select {', '.join(columns)} from {module} where {where} order by id limit {ROWS}"  # noqa: S608 - COQL only reads


def _quoted(value: str) -> str:
    if not _MAY_STAND.fullmatch(value):  # the rules ask for no such value
        raise ValueError("a value that may end a text of COQL")
    return value


def parse_records(
    status: int, headers: Mapping[str, str], body: bytes, module: str, field: str
) -> RecordsFound | Failure:
    """A page of contacts or accounts; 204 says that there are no (more) of them."""
    if status == 204:
        return RecordsFound((), more=False, credits_left=credits_left_of(headers))
    return parse_answer(status, headers, body, partial(_records, module=module, field=field))


def _records(answer: dict[str, Any], module: str, field: str) -> RecordsFound:
    rows = answer.get("data")
    if not isinstance(rows, list):
        raise UnusableError("no list of records")
    records = tuple(_record(row, module, field) for row in rows)
    info = answer.get("info")
    return RecordsFound(records, more=isinstance(info, dict) and info.get("more_records") is True)


def _record(row: Any, module: str, field: str) -> Record:
    if not isinstance(row, dict) or not id_of(row.get("id")):
        raise UnusableError("a record without id")
    account: Any = row.get("Account_Name") if module == CONTACTS else None
    account = account if isinstance(account, dict) else {}
    named = text_of(account.get("name")) or text_of(row.get("Account_Name.Account_Name"))
    name = text_of(row.get(_NAMES[module]))
    return Record(module, id_of(row["id"]), name, {field: text_of(row.get(field))}, id_of(account.get("id")), named)


def parse_linked(status: int, headers: Mapping[str, str], body: bytes) -> Any:
    """The answer to the conversion of a single lead: its records, or a job, or why not."""
    return parse_answer(status, headers, body, _linked)


def _linked(answer: dict[str, Any]) -> Any:
    for item in items_of(answer.get("data")):
        if not isinstance(item, dict) or word_of(item.get("status")) != "success":
            continue
        details = item.get("details")
        details = details if isinstance(details, dict) else {}
        if "job_id" in details:
            return accepted_in(answer)
        ids = (record_id_of(details.get(module)) for module in ("Contacts", "Accounts", "Deals"))
        return Linked(*ids)
    raise UnusableError("neither an error nor a success")
