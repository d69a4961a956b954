"""The simulator's query language and its search: what they find, and the documented errors."""

from __future__ import annotations

from typing import Any

import pytest

from massconvert.simulator import Response
from tests.unit.simulated_crm import Crm, code


def query(crm: Crm, text: Any) -> Response:
    """POST coql."""
    return crm.call("POST", "/crm/v8/coql", body={"select_query": text})


def found(crm: Crm, where: str, rest: str = "order by id limit 2000") -> list[int]:
    """The numbers of the leads that a WHERE finds."""
    answer = query(crm, f"select id from Leads where {where} {rest}")
    if answer.status == 204:
        return []
    assert isinstance(answer.body, dict), answer
    assert answer.status == 200, answer.body
    return [crm.ids.index(row["id"]) for row in answer.body["data"]]


@pytest.mark.parametrize(
    ("where", "numbers"),
    [
        ("Lead_Status = 'Qualified'", [1, 5, 9]),
        ("Lead_Status != 'Qualified'", [0, 2, 3, 4, 6, 7, 8, 10, 11]),
        ("Lead_Status in ('Qualified', 'Junk Lead')", [1, 3, 5, 7, 9, 11]),
        ("Lead_Status not in ('Qualified', 'Junk Lead')", [0, 2, 4, 6, 8, 10]),
        ("Lead_Source is null", [2, 5, 8, 11]),
        ("Lead_Source is not null and Lead_Status = 'Qualified'", [1, 9]),
        ("Email like 'lead1%'", [1, 10, 11]),
        ("Email not like '%1@%'", [0, 2, 3, 4, 5, 6, 7, 8, 9, 10]),
        ("Annual_Revenue >= 10000", [10, 11]),
        ("Annual_Revenue between 2000 and 4000", [2, 3, 4]),
        ("((Lead_Status = 'Qualified' or Lead_Status = 'Contacted') and Annual_Revenue < 6000)", [0, 1, 4, 5]),
        ("Converted__s = 'true'", []),
        ("Company = 'It''s \"one\"'", []),
    ],
)
def test_a_query_finds_what_meets_its_criteria(where: str, numbers: list[int]) -> None:
    """Comparisons, and/or in pairs, in, like, null, between, quotes."""
    assert found(Crm(12), where) == numbers


def test_pages_by_the_last_id_or_by_offset() -> None:
    """And says whether there are more."""
    crm = Crm(10)
    assert found(crm, f"id > {crm.ids[3]}", "order by id limit 3") == [4, 5, 6]
    assert found(crm, f"id <= '{crm.ids[2]}'", "order by id desc limit 9") == [2, 1, 0]
    assert found(crm, "id is not null", "limit 8, 5") == [8, 9]
    assert found(crm, "id is not null", "limit 2 offset 4") == [4, 5]
    answer = query(crm, "select id, Email from Leads where id is not null limit 4")
    assert isinstance(answer.body, dict)
    assert answer.body["info"] == {"count": 4, "more_records": True}
    assert answer.body["data"][0] == {"id": crm.ids[0], "Email": "lead0@example.com"}


def test_counts_and_knows_of_conversions() -> None:
    """A converted lead keeps its status."""
    crm = Crm(8)
    crm.organisation.convert_by_hand(crm.ids[1])
    answer = query(crm, "select COUNT(id) from Leads where (Lead_Status = 'Qualified' and Converted__s = 'false')")
    assert isinstance(answer.body, dict)
    assert answer.body["data"] == [{"COUNT(id)": 1}]


@pytest.mark.parametrize(
    ("text", "refusal"),
    [
        ("update Leads set a = 1", "SYNTAX_ERROR"),
        ("select id from Leads", "SYNTAX_ERROR"),
        ("select id Leads where id is not null", "SYNTAX_ERROR"),
        ("select id from Leads where Email = 'a' and Email = 'b' and Email = 'c'", "SYNTAX_ERROR"),
        ("select id from Leads where (Email = 'a'", "SYNTAX_ERROR"),
        ("select id from Leads where Email = 'a' ?", "SYNTAX_ERROR"),
        ("select id from Leads where Nonsense = 'a'", "INVALID_QUERY"),
        ("select Nonsense from Leads where id is not null", "INVALID_QUERY"),
        ("select id from Leads where Email > 'a'", "INVALID_QUERY"),
        ("select id from Leads where Converted__s != 'true'", "INVALID_QUERY"),
        ("select id from Leads where Annual_Revenue = 'much'", "INVALID_QUERY"),
        ("select id from Leads where id is not null limit 2001", "LIMIT_EXCEEDED"),
        ("select id from Leads where id is not null limit 99000, 2000", "LIMIT_EXCEEDED"),
        (f"select id from Leads where Email in ({', '.join(['1'] * 51)})", "LIMIT_EXCEEDED"),
        ("select id, id from Leads where id is not null", "DUPLICATE_DATA"),
    ],
)
def test_a_wrong_query_is_refused_as_documented(text: str, refusal: str) -> None:
    """With 400, and what it is about."""
    assert code(query(Crm(3), text)) == (400, refusal)


def test_a_query_is_a_heavy_call_and_needs_its_scope() -> None:
    """It shares the sub-limit with conversions."""
    crm = Crm(3, heavy_concurrency=0)
    assert code(query(crm, "select id from Leads where id is not null")) == (429, "TOO_MANY_REQUESTS")
    narrow = Crm(3, scopes=frozenset({"ZohoCRM.modules.ALL"}))
    assert code(query(narrow, "select id from Leads where id is not null")) == (401, "OAUTH_SCOPE_MISMATCH")
    assert code(search(narrow, "(Email:equals:a)")) == (401, "OAUTH_SCOPE_MISMATCH")
    assert code(query(Crm(3), None)) == (400, "MANDATORY_NOT_FOUND")


def search(crm: Crm, criteria: str, **more: str) -> Response:
    """GET Leads/search."""
    return crm.call("GET", "/crm/v8/Leads/search", {"criteria": criteria, "fields": "id", **more})


@pytest.mark.parametrize(
    ("criteria", "numbers"),
    [
        ("(Lead_Status:equals:Qualified)", [1, 5, 9]),
        ("((Lead_Status:equals:Qualified)and(Annual_Revenue:greater_than:4000))", [5, 9]),
        ("((Lead_Status:equals:Qualified)or(Email:starts_with:lead3))", [1, 3, 5, 9]),
        ("(Lead_Status:in:Qualified,Junk Lead)", [1, 3, 5, 7, 9, 11]),
        ("(Company:equals:Company 1)", [1, 10, 11]),  # as documented: equals finds what contains the value
    ],
)
def test_a_search_finds_what_meets_its_criteria(criteria: str, numbers: list[int]) -> None:
    """Unconverted leads, unless more are asked for."""
    crm = Crm(12)
    answer = search(crm, criteria)
    assert isinstance(answer.body, dict)
    assert [crm.ids.index(row["id"]) for row in answer.body["data"]] == numbers
    for number in numbers:
        crm.organisation.convert_by_hand(crm.ids[number])
    assert search(crm, criteria).status == 204
    both = search(crm, criteria, converted="both")
    assert isinstance(both.body, dict)
    assert len(both.body["data"]) == len(numbers)


def test_a_search_shows_two_thousand_at_most() -> None:
    """In pages of 200."""
    crm = Crm(2100)
    last = search(crm, "(Last_Name:starts_with:Lead)", page="10")
    assert isinstance(last.body, dict)
    assert last.body["info"] == {"per_page": 200, "count": 200, "page": 10, "more_records": True}
    assert code(search(crm, "(Last_Name:starts_with:Lead)", page="11")) == (400, "LIMIT_REACHED")


@pytest.mark.parametrize(
    ("criteria", "refusal"),
    [
        ("", "EXPECTED_PARAM_MISSING"),
        ("Lead_Status:equals:Qualified", "INVALID_QUERY"),
        ("(Nonsense:equals:x)", "INVALID_QUERY"),
        ("(Email:resembles:x)", "INVALID_QUERY"),
        ("(Email:equals:x", "INVALID_QUERY"),
        ("(Annual_Revenue:equals:much)", "INVALID_QUERY"),
    ],
)
def test_a_wrong_search_is_refused_as_documented(criteria: str, refusal: str) -> None:
    """With 400."""
    assert code(search(Crm(3), criteria)) == (400, refusal)
