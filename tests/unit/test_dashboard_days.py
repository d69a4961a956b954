"""The page of days: the organisation's own days, whichever zone the machine is in, and the same as a file."""

from __future__ import annotations

import csv
import io
import time

import pytest

from massconvert import MassConvert
from massconvert.ledger import Counted, Quarter
from massconvert.model import Owner, OwnerKind
from massconvert.testing import FakeCrm
from tests.unit.page_visitor import OPTIONS, Visitor, lead_ids

A, B, C, D = lead_ids(4)


def rows(visitor: Visitor, since: str = "") -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(visitor.get(f"/days.csv{since}").text)))


def counted_at(visitor: Visitor, monkeypatch: pytest.MonkeyPatch, *quarters: Quarter) -> None:
    """The ledger has counted this, and it is now the end of the last of them."""
    reads = visitor.door._pages.state.reads
    monkeypatch.setattr(reads, "now", lambda: quarters[-1].began + 900.0)
    monkeypatch.setattr(reads, "quarters", lambda since: [each for each in quarters if each.began >= since])


def in_zone(crm: FakeCrm, zone: str) -> None:
    owner = Owner("digest", OwnerKind.ORGANISATION, "Example", "in", client="client", zone=zone)
    crm.ledger.title.claim(owner, "credentials")


def test_what_ended_is_a_row_a_day_and_a_file(
    zoho_crm: FakeCrm, mass_convert: MassConvert, visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    zoho_crm.unknown = {B, C}
    mass_convert.enqueue([A, B, C], OPTIONS, key="b")
    (row,) = rows(visitor)
    assert {name: row[name] for name in ("enqueued", "converted", "failed", "skipped", "cancelled")} == {
        "enqueued": "3",
        "converted": "1",
        "failed": "2",
        "skipped": "0",
        "cancelled": "0",
    }
    assert int(row["calls"]) >= 2
    page = visitor.text("/days")
    assert row["day"] in page
    assert "Failed most: NOT_FOUND 2." in page
    assert "since Zoho has not told the organisation's" in page
    assert "Days" in visitor.text("/")


def test_nothing_counted_is_told(visitor: Visitor) -> None:
    assert "Nothing was counted in this time." in visitor.text("/days")


def test_a_day_is_the_organisation_s_and_not_the_machine_s(
    zoho_crm: FakeCrm, visitor: Visitor, zone: pytest.MonkeyPatch
) -> None:
    zone.setenv("TZ", "America/New_York")
    time.tzset()
    in_zone(zoho_crm, "Asia/Kolkata")
    # 18:30 UTC is midnight in Kolkata.
    first = 1_795_631_400
    ended = Counted({"lead|converted|": 1})
    counted_at(visitor, zone, Quarter(first - 900, ended), Quarter(first, ended), Quarter(first + 900, ended))
    assert [(row["day"], row["converted"]) for row in rows(visitor)] == [("2026-11-25", "1"), ("2026-11-26", "2")]
    page = visitor.text("/days")
    assert "in the organisation's time zone, Asia/Kolkata." in page
    assert page.index("Thu 2026-11-26") < page.index("Wed 2026-11-25")


def test_a_day_on_which_the_clock_is_changed_is_as_long_as_it_is(
    zoho_crm: FakeCrm, visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_zone(zoho_crm, "Europe/Berlin")
    first = 1_792_879_200  # midnight before the clocks are put back
    ended = Counted({"lead|converted|": 1})
    counted_at(visitor, monkeypatch, *(Quarter(first + 900 * number, ended) for number in range(101)))
    assert [row["converted"] for row in rows(visitor)] == ["100", "1"]


def test_it_looks_back_as_far_as_the_address_says(
    zoho_crm: FakeCrm, visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_zone(zoho_crm, "Etc/UTC")
    ended, day = Counted({"lead|failed|NOT_FOUND": 1}), 86_400
    last = 1_795_631_400
    counted_at(visitor, monkeypatch, *(Quarter(last - back * day, ended) for back in (380, 80, 20, 6, 0)))
    assert [len(rows(visitor, f"?since={back}")) for back in ("7", "30", "90", "400")] == [2, 3, 4, 5]
    assert len(rows(visitor, "?since=99999999")) == len(rows(visitor, "?since=no")) == 3


def test_a_zone_that_this_machine_does_not_know_is_not_believed(zoho_crm: FakeCrm, visitor: Visitor) -> None:
    in_zone(zoho_crm, "../../etc/passwd")
    assert "since Zoho has not told the organisation's" in visitor.text("/days")
