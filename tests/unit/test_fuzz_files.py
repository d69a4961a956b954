"""Files, options and crontabs as nobody should write them: each ends soon, in ids of the known column or in a refusal.

What is in another column is never taken, whatever the file looks like and whatever is left out. A case can be had
again by its seed, which a failure names.
"""

from __future__ import annotations

import csv
import io
import json
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from random import Random
from typing import Any, Literal

import pytest

from massconvert.errors import InputError, OptionsError
from massconvert.leads import open_leads, open_table
from massconvert.options import Options, resolve_body
from massconvert.profiles.crontabs import NICKNAMES, parse_crontab
from massconvert.profiles.slots import check_crontab
from tests.unit.fuzz import cases, generator

#: `make fuzz` tries as many cases as one likes; each test has a hundredth of a second for one, on a busy machine.
pytestmark = pytest.mark.timeout(180 + cases(0) / 100)

#: Seconds of this thread's own time that a case may take: others' work on the machine does not count.
LONGEST = 1.0
ENCODINGS = ("utf-8", "utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be")
FOREIGN = (
    "Company",
    "Phone",
    "Mobile",
    "Lead Owner Id",
    "Account Id",
    "Contact.id",
    "Converted Deal.id",
    "Ids",
    "#",
    "",
)
HEADINGS = (
    "id",
    "Id",
    "ID",
    "Record Id",
    "record_id",
    "Lead Id",
    "LEAD ID",
    " leadId ",
    "\u00a0Id\ufeff",
    "'Record Id",
)
ODD = ("Datensatz-ID", "Identifiant", "\u30ec\u30b3\u30fc\u30c9ID", "N\u00ba", "Lead Owner.id")
TITLES = (
    "Leads",
    "Leads by source,,,",
    "As of 24.11.2026, 10:00",
    '"Leads; all"',
    "sep=,",
    "# notes",
    "Report\t2026",
    "",
)
DRESSES = (
    "{}",
    "{}",
    "zcrm_{}",
    '="{}"',
    "'{}",
    "\t{}",
    "{}\u00a0",
    "\ufeff{}",
    '"{}"',
    '=T("{}")',
    "\u201c{}\u201d",
)
SPOILT = ("", "abc", "3.6524E+18", "3,6524E+18", "3,652,397,000,009,850,001", "0815", "-1", "n/a", "9" * 25, "id", "ID")


@contextmanager
def soon(seed: int) -> Iterator[None]:
    """The case with this seed ends within `LONGEST`."""
    begun = time.thread_time()
    yield
    assert time.thread_time() - begun < LONGEST, f"seed {seed}"


@dataclass
class Made:
    """A file: its text, the ids in it that are leads', and the name of their column where it must be said."""

    chance: Random
    text: str = ""
    leads: list[str] = field(default_factory=list)
    id_column: str | None = None
    broken: bool = False

    def lead(self) -> str:
        """A new lead's id, noted."""
        self.leads.append(f"36523970000{len(self.leads) + 1:02}{self.chance.randrange(10**6):06}")
        return self.leads[-1]

    def other(self) -> str:
        """What is no lead's id, but may look like one; none begins as a lead's does."""
        numbers = (
            f"4915{self.chance.randrange(10**9)}",
            f"77{self.chance.randrange(10**17):017}",
            "Acme",
            "",
            "Ann, B.",
        )
        return self.chance.choice(numbers)


def table(made: Made) -> None:
    """A table of some form: titles, a heading, rows, and perhaps something that is wrong with them."""
    chance = made.chance
    columns = chance.sample(FOREIGN, chance.randrange(0, 6))
    place = chance.randrange(len(columns) + 1)
    kind = chance.choice(("known", "known", "known", "named", "foreign", "two"))
    heading = chance.choice(ODD if kind in ("named", "foreign") else HEADINGS)
    columns.insert(place, heading)
    if kind == "named":
        made.id_column = chance.choice((heading, heading.lower(), f" {heading}"))
    if kind == "two":
        columns.insert(chance.randrange(len(columns)), chance.choice(HEADINGS))
    rows = [columns]
    for _ in range(chance.randrange(6)):
        if kind in ("foreign", "two"):  # nobody can know which are the leads'
            rows.append([made.other() for _ in columns])
            continue
        value = chance.choice(SPOILT) if chance.random() < 0.15 else chance.choice(DRESSES).format(made.lead())
        row = [made.other() for _ in columns]
        row[place] = value
        rows.append(spoilt_row(made, row, place))
    for _ in range(chance.choice((0, 0, 1, 2))):
        rows.insert(chance.randrange(1, len(rows) + 1), chance.choice(([], columns, ["", ""], [])))
    if chance.random() < 0.2:  # another table below
        rows += [
            [],
            ["Fax", "Company" if kind == "foreign" else "Record Id"],
            *([made.other(), made.other()] for _ in range(3)),
        ]
    written = io.StringIO()
    delimiter = chance.choice(",,;\t|" if len(columns) > 1 else ",;|")  # a tab alone is a dress
    quoting: Literal[0, 1] = chance.choice((0, 1))  # where need be, everywhere
    csv.writer(written, delimiter=delimiter, lineterminator="\n", quoting=quoting).writerows(rows)
    titles = [chance.choice(TITLES) for _ in range(chance.choice((0, 0, 1, 3)))]
    made.text = "\n".join([*titles, written.getvalue()])


def spoilt_row(made: Made, row: list[str], place: int) -> list[str]:
    """The row, perhaps with a cell too many or too few; never with both."""
    chance = made.chance
    what = chance.random()
    if what < 0.08:
        row.insert(chance.randrange(len(row)) + 1, made.other() or "x")  # a delimiter has split a cell in two
    elif what < 0.16 and place:
        del row[chance.randrange(place)]
    return row


def plain_list(made: Made) -> None:
    """A list, perhaps with a heading that is not known, or with lines of several values."""
    chance = made.chance
    lines = [chance.choice(DRESSES).format(made.lead()) for _ in range(chance.randrange(1, 6))]
    for _ in range(chance.choice((0, 0, 1, 2))):
        odd = (
            f"{made.other()},{made.other() or 1}",
            f",{made.other()}",
            "# note",
            "",
            chance.choice(SPOILT),
            f"{made.other()} x y",
        )
        lines.insert(chance.randrange(len(lines) + 1), chance.choice(odd))
    if chance.random() < 0.2:
        lines = [chance.choice(("Phone", "Owner Id", "Leads")), *(made.other() for _ in range(3))]
    if chance.random() < 0.2:
        lines += ["", "Phone", *(f"4915{chance.randrange(10**9)}" for _ in range(3))]
    made.text = "\n".join(lines)


def objects(made: Made) -> None:
    """JSON lines or an array, of objects with one id of the lead and others' around it."""
    chance = made.chance
    made.id_column = chance.choice((None, None, "Datensatz"))
    key = made.id_column or chance.choice(("id", "Record Id", "lead_id"))
    values: list[Any] = []
    for _ in range(chance.randrange(1, 6)):
        value: dict[str, Any] = {"Owner": {"id": made.other()}, "Phone": made.other(), "contact_id": made.other()}
        what = chance.random()
        if what < 0.6:
            value[key] = made.lead() if chance.random() < 0.5 else int(made.lead())
        elif what < 0.7:
            value[key] = {"id": made.other()}
        elif what < 0.8:
            value |= {"id": made.other(), "lead_id": made.other()} if made.id_column is None else {}
        values.append(dict(chance.sample(list(value.items()), len(value))))
    texts = [json.dumps(value, ensure_ascii=chance.random() < 0.5) for value in values]
    if chance.random() < 0.2:
        texts = [
            text.replace('"Phone"', f'"{key}"') if key in value else text
            for text, value in zip(texts, values, strict=True)
        ]
    form = chance.choice(("lines", "lines", "array", "pretty"))
    if form == "pretty":
        made.text = json.dumps(values, indent=2)
    else:
        made.text = "\n".join(texts) if form == "lines" else f"[{', '.join(texts)}]"
    if chance.random() < 0.2:  # JSON of another kind around it, over several lines
        made.text = json.dumps({"owners": [made.other() for _ in range(3)], "data": values}, indent=1)


FORMS = (table, table, table, plain_list, objects)


def a_file(seed: int) -> tuple[Made, bytes]:
    """The file with this seed, and its bytes."""
    made = Made(generator(seed))
    made.chance.choice(FORMS)(made)
    text = made.text
    if made.chance.random() < 0.1:
        text, made.broken = text[: made.chance.randrange(len(text) + 1)], True
    text = text.replace("\n", made.chance.choice(("\n", "\r\n", "\r")))
    return made, text.encode(made.chance.choice(ENCODINGS))


def taken(data: bytes, made: Made, *, skip_invalid: bool) -> list[str]:
    """The ids that are taken of a file; none where it is refused."""
    try:
        with open_leads("-", stdin=io.BytesIO(data), skip_invalid=skip_invalid, id_column=made.id_column) as leads:
            return list(leads)
    except InputError:
        return []


def test_of_any_file_only_ids_of_the_leads_own_column_are_taken() -> None:
    some = whole = 0
    for seed in range(cases(3000)):
        made, data = a_file(seed)
        with soon(seed):
            lenient, strict = (taken(data, made, skip_invalid=skip) for skip in (True, False))
        # Of a file that broke off nobody knows whether its last value is whole.
        for lead in lenient[:-1] if made.broken else lenient:
            assert lead in made.leads, f"seed {seed}: {lead} of {made.text!r}"
        assert strict in ([], lenient), f"seed {seed}"
        some += bool(lenient)
        whole += bool(strict) and strict == made.leads
    assert some > whole > cases(3000) // 10  # or nothing has been tried


def test_a_file_is_the_same_as_a_table() -> None:
    for seed in range(cases(1500)):
        made, data = a_file(seed)
        with soon(seed):
            try:
                with open_table(io.BytesIO(data), "x", id_column=made.id_column) as found:
                    ids = [line.lead_id for line, _ in found.rows if line.lead_id is not None]
            except InputError:
                ids = []
        assert ids == taken(data, made, skip_invalid=True), f"seed {seed}"


def test_of_any_bytes_there_is_a_plain_answer() -> None:
    for seed in range(cases(1500)):
        made, data = a_file(seed)
        chance = made.chance
        spoilt = bytearray(data)
        for _ in range(chance.randrange(1, 8)):
            at = chance.randrange(len(spoilt) + 1)
            spoilt[at : at + chance.randrange(3)] = chance.choice(
                (b"", b'"', b"\x00", b"\xff", b"{", b"[", b"\n", b";", b"=")
            )
        with soon(seed):
            taken(bytes(spoilt), made, skip_invalid=True)


@pytest.mark.parametrize(
    "text", ['"' * 100_000, "[" * 100_000, "{" * 100_000, '"\n' * 50_000, "a;b\n" * 50_000, "\n" * 200_000]
)
def test_of_much_that_says_nothing_there_is_an_answer_soon(text: str) -> None:
    with soon(0):
        assert taken(text.encode(), Made(generator(0)), skip_invalid=True) == []


# --- options ------------------------------------------------------------------------------------------------

VALUES: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    1.5,
    1e300,
    "",
    "5",
    "+30d",
    "{Company}",
    "{",
    "\ud800",
    "a" * 300,
    [],
    {},
    10**30,
)
KEYS = (
    "Deals",
    "deal",
    "assign_to",
    "carry_over_tags",
    "related_modules",
    "portal_user_type",
    "preflight",
    "$",
    "id",
    "x y",
)
INNER = ("Deal_Name", "Stage", "Closing_Date", "Pipeline", "Amount", "id", "api_name", "name", "email", "extra", "")


def json_of(chance: Random, depth: int = 0) -> str:
    """JSON of some kind, whose objects perhaps have a key twice."""
    what = chance.random()
    if depth and (what < 0.5 or depth > 4):
        return json.dumps(chance.choice(VALUES))
    if depth and what < 0.65:
        return f"[{', '.join(json_of(chance, depth + 1) for _ in range(chance.randrange(4)))}]"
    keys = [chance.choice(INNER if depth else KEYS) for _ in range(chance.randrange(5))]
    items = (f"{json.dumps(key)}: {json_of(chance, depth + 1)}" for key in keys)
    return "{" + ", ".join(items) + "}"


def has_a_key_twice(text: str) -> bool:
    found = []

    def note(pairs: list[tuple[str, Any]]) -> None:
        found.append(len({key for key, _ in pairs}) < len(pairs))

    json.loads(text, object_pairs_hook=note)
    return any(found)


def test_any_options_are_taken_as_they_stand_or_refused_with_each_place() -> None:
    right = refused = named = twice = 0
    for seed in range(cases(3000)):
        chance = generator(seed)
        text = json_of(chance)
        if chance.random() < 0.2:
            at = chance.randrange(len(text))
            text = text[:at] + chance.choice(("", '"', "}", ",", "NaN", "9" * 5000)) + text[at + 1 :]
        with soon(seed):
            try:
                body = Options.parse(text).body()
            except OptionsError as error:
                named += error.path.startswith("$")
                twice += "is given twice; which one" in error.message
                refused += 1
                continue
        right += 1
        assert not has_a_key_twice(text), f"seed {seed}"
        json.dumps(resolve_body(body, date(2026, 11, 24)), allow_nan=False)
    assert right
    assert twice
    assert named == refused


# --- crontabs -----------------------------------------------------------------------------------------------

PARTS = (
    "*",
    "*/5",
    "*/0",
    "1-5",
    "5-1",
    "7",
    "0-7",
    "7-2/2",
    "mon",
    "fri-mon",
    "sunday",
    "jan",
    "60",
    "-1",
    "L",
    "?",
    "5#2",
    "1/",
    ",",
    "\u0663",
    "1-2-3",
    "9" * 30,
)


def test_any_crontab_names_days_that_there_are_or_is_refused_in_words() -> None:
    right, said = 0, defaultdict[str, list[int]](list)
    for seed in range(cases(3000)):
        chance = generator(seed)
        fields = [
            ",".join(chance.choices(PARTS, k=chance.choice((1, 1, 1, 2))))
            for _ in range(chance.choice((5,) * 9 + (4, 6)))
        ]
        for place in range(len(fields)):
            if chance.random() < 0.6:
                fields[place] = chance.choice(("*", "1", "*/5", "1-5"))
        text = chance.choice((*NICKNAMES, "@reboot", "@", "@every 5m")) if chance.random() < 0.1 else " ".join(fields)
        with soon(seed):
            try:
                parsed = parse_crontab(check_crontab(text))
            except ValueError as error:
                said[str(error).split(" ", 1)[0]].append(seed)
                continue
        right += 1
        assert parsed.minute <= set(range(60)), f"seed {seed}"
        assert parsed.hour <= set(range(24)), f"seed {seed}"
        assert parsed.day_of_month <= set(range(1, 32)), f"seed {seed}"
        assert parsed.month_of_year <= set(range(1, 13)), f"seed {seed}"
        assert parsed.day_of_week <= set(range(7)), f"seed {seed}"
        assert all((parsed.minute, parsed.hour, parsed.day_of_month, parsed.month_of_year, parsed.day_of_week))
    assert said.keys() <= {"is", "must", "names", "cannot"}, said
    assert right > cases(3000) // 20
