"""From a profile's criteria to the queries of one page; pure.

Sources: Zoho's pages on COQL (conditions are grouped in pairs, ``limit`` up to 2,000, beyond 100,000 rows one goes on
by ``id > last``; a boolean takes only ``=``) and on Search.
"""

from __future__ import annotations

import re

#: What is hidden while clauses are looked for: a quoted value, with doubled or escaped quotes inside it.
_QUOTED = re.compile(r"'(?:[^'\\]|''|\\.)*'|\"(?:[^\"\\]|\"\"|\\.)*\"", re.DOTALL)
_SELECT = re.compile(r"select\s+.+?\s+from\s+leads\b(?:\s+where\s+(?P<where>.+))?", re.IGNORECASE | re.DOTALL)
_OURS = re.compile(r"\b(order\s+by|group\s+by|limit|offset)\b", re.IGNORECASE)
_LONGEST = 20_000
_CONVERTED = "Converted__s"


def where_of(coql: str) -> str:
    """The WHERE clause in ``coql``, which is one, or a whole SELECT on Leads.

    Only what we must know is checked; whether the fields and comparators exist is Zoho's to say. Raises ValueError that
    says what is wrong.
    """
    text = coql.strip().rstrip(";").strip()
    if not text or len(text) > _LONGEST:
        raise ValueError("is empty" if not text else f"has more than {_LONGEST} characters")
    hidden = _QUOTED.sub(lambda match: "x" * len(match[0]), text)
    if "'" in hidden or '"' in hidden:
        raise ValueError("has a quotation mark that nothing closes")
    if clause := _OURS.search(hidden):
        raise ValueError(f"has {clause[0].upper()}: the order and the pages are made here, and limits.max_leads bounds")
    if re.match(r"select\b", hidden, re.IGNORECASE):
        found = _SELECT.fullmatch(hidden)
        if not found:
            raise ValueError("must select from Leads, like: select id from Leads where Lead_Status = 'Qualified'")
        if found["where"] is None:
            raise ValueError("has no WHERE: a profile that converts every lead says so with `where id is not null`")
        start, end = found.span("where")
        text, hidden = text[start:end], hidden[start:end]
    _demand_balanced(hidden)
    return text.strip()


def check_search(criteria: str) -> str:
    """``criteria`` if it has Search's form, ``(Field:operator:value)``, with and/or between. Raises ValueError."""
    text = criteria.strip()
    if not re.fullmatch(r"\(+\s*[A-Za-z]\w*:[a-z_]+:.*\)+", text, re.DOTALL) or len(text) > _LONGEST:
        raise ValueError("must be written like (Lead_Status:equals:Qualified)")
    _demand_balanced(re.sub(r"\\.", "", text))
    return text


def page_query(coql: str, *, after: str, until: str, rows: int) -> str:
    """The query of one page: the leads of ``coql`` that are not converted, by id, after ``after`` and up to ``until``.

    Without an offset: leads that drop out while a run goes on move no page.
    """
    bounds = [f"id > {after}"] if after else []
    bounds += [f"id <= {until}"] if until else []
    return f"select id from Leads where {_unconverted(coql, bounds)} order by id limit {rows}"  # noqa: S608 - COQL only reads


def count_query(coql: str) -> str:
    """The query that counts the leads of ``coql`` that are not converted."""
    return f"select COUNT(id) from Leads where {_unconverted(coql, [])}"  # noqa: S608 - as above


def _unconverted(coql: str, bounds: list[str]) -> str:
    """The conditions, in pairs as COQL wants them. Criteria that speak of conversion themselves are left alone."""
    where = where_of(coql)
    joined = f"({where})"
    if _CONVERTED.lower() not in _QUOTED.sub("''", where).lower():
        bounds = [f"{_CONVERTED} = 'false'", *bounds]
    for bound in bounds:
        joined = f"({joined} and {bound})"
    return joined


def _demand_balanced(text: str) -> None:
    depth = 0
    for char in text:
        depth += (char == "(") - (char == ")")
        if depth < 0:
            break
    if depth:
        raise ValueError("has brackets that do not match")
