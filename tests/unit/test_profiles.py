"""massconvert.toml: what it may hold, what is said of a wrong one, and what follows: queries and slots."""

from __future__ import annotations

import json
import os
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from jsonschema import Draft202012Validator

from massconvert.errors import InputError, SettingsError
from massconvert.model import Language, Priority
from massconvert.profiles import (
    ConfigFile,
    LeadCriteria,
    Schedule,
    count_query,
    latest_slot,
    next_slot,
    page_query,
    parse_slot,
    slot_name,
)
from massconvert.profiles.reading import read_toml
from massconvert.profiles.schema import dump, make_schema, shipped

ROOT = Path(__file__).resolve().parents[2]
GOOD = """
[profiles.nightly]
description = "Every qualified lead, on workdays"

[profiles.nightly.criteria]
coql = "Lead_Status = 'Qualified' and Email is not null"

[profiles.nightly.options]
assign_to = "3652397000000281001"

[profiles.nightly.options.Deals]
Deal_Name = "Renewal"
Stage = "Needs Analysis"
Closing_Date = 2026-12-24

[profiles.nightly.schedule]
crontab = "0 4 * * mon-fri"
time_zone = "Europe/Berlin"

[profiles.nightly.limits]
max_leads = 5000
priority = "interactive"

[profiles.by-hand.criteria]
search = "(Lead_Status:equals:Qualified)"
"""


def config(folder: Path, text: str) -> ConfigFile:
    """A file of that text."""
    path = folder / "massconvert.toml"
    path.write_text(text, encoding="utf-8")
    return ConfigFile(path)


def test_a_profile_is_read_with_everything_that_it_may_have(tmp_path: Path) -> None:
    """Options are Zoho's body, checked like those of an options file; a TOML date is a date."""
    file = config(tmp_path, GOOD)
    nightly = file.profile("nightly")
    assert nightly.options["assign_to"] == {"id": "3652397000000281001"}
    assert nightly.options["Deals"]["Closing_Date"] == "2026-12-24"
    assert nightly.criteria
    assert (nightly.criteria.form, nightly.priority, nightly.limits.max_leads) == (Language.COQL, "interactive", 5000)
    by_hand = file.to_find_with("by-hand")
    assert by_hand.criteria
    assert (by_hand.criteria.form, by_hand.priority, by_hand.schedule) == (Language.SEARCH, Priority.BULK, None)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("coql =", "cql ="), "profiles.nightly.criteria.cql is not a key that is known"),
        (("mon-fri", "nope"), "profiles.nightly.schedule.crontab is wrong: day of the week 'nope' is no number"),
        (("0 4 * * mon-fri", "0 4 30 2 *"), "crontab matches no date in the calendar"),
        (("Europe/Berlin", "Europe/Berln"), "time_zone must be a time zone"),
        (('Needs Analysis"', '"\nWhat = {}'), "profiles.nightly.options "),
        (("max_leads = 5000", "max_leads = 0"), "profiles.nightly.limits.max_leads: "),
        (("'Qualified'", "'Qualified"), "quotation mark that nothing closes"),
        (("is not null", "is not null order by id"), "criteria.coql has ORDER BY"),
        (("(Lead_Status:equals", "(Lead_Status=equals"), "profiles.by-hand.criteria.search must be written like"),
        (
            ("[profiles.by-hand.criteria]", '[profiles.other]\ncriteria = "id is not null"'),
            "profiles.other.criteria must be a table",
        ),
        (("[profiles.by-hand.criteria]", '[profiles."by hand".criteria]'), "a name has 1 to 60 letters"),
        (
            ("[profiles.nightly.criteria]", 'on_complete = "http://shop.example.com"\n[profiles.nightly.criteria]'),
            "https",
        ),
        (('search = "', 'coql = "id is not null"\nsearch = "'), "must have one of coql and search"),
    ],
)
def test_what_is_wrong_is_named_by_its_place(tmp_path: Path, change: tuple[str, str], says: str) -> None:
    """One line each; the file's name is in front."""
    file = config(tmp_path, GOOD.replace(*change))
    with pytest.raises(SettingsError) as wrong:
        file.config()
    assert says in wrong.value.message
    assert str(file.path) in wrong.value.message


def test_a_value_in_the_wrong_place_is_not_repeated(tmp_path: Path) -> None:
    """It may be a secret."""
    with pytest.raises(SettingsError) as wrong:
        config(tmp_path, '[accounts]\nrefresh_token = "1000.s3cret"\n[profiles.a]\nenabled = "1000.s3cret"').config()
    assert "s3cret" not in str(wrong.value)


def test_a_schedule_needs_criteria(tmp_path: Path) -> None:
    """A run would not know which leads."""
    with pytest.raises(SettingsError, match="has a schedule but no criteria"):
        config(tmp_path, '[profiles.a.schedule]\nevery = "15m"').config()


def test_an_unknown_profile_names_the_nearest(tmp_path: Path) -> None:
    """And the file, where there is none."""
    with pytest.raises(InputError, match="did you mean nightly"):
        config(tmp_path, GOOD).profile("nightlly")
    with pytest.raises(InputError) as missing:
        ConfigFile(tmp_path / "none.toml").profile("x")
    assert "There is no file" in missing.value.hint
    with pytest.raises(InputError, match="has no criteria"):
        config(tmp_path, "[profiles.a]").to_find_with("a")


def test_an_edit_is_seen_and_an_unchanged_file_is_not_read_again(tmp_path: Path) -> None:
    """The same value comes back until the file changes; a wrong file is wrong until it is fixed."""
    file = config(tmp_path, GOOD)
    assert file.config() is file.config()
    file.path.write_text("[profiles", encoding="utf-8")
    for _ in range(2):
        with pytest.raises(SettingsError, match="not TOML"):
            file.config()
    file.path.write_text(GOOD + "\n[profiles.third]\n", encoding="utf-8")
    os.utime(file.path, ns=(1, 1))
    assert set(file.config().profiles) == {"nightly", "by-hand", "third"}
    file.path.unlink()
    assert file.config().profiles == {}


def test_the_schema_that_is_shipped_is_the_model_s() -> None:
    """Made anew by `python -m massconvert.profiles.schema`."""
    assert shipped() == dump()


def test_the_schema_takes_the_example_and_refuses_a_slip() -> None:
    """An editor says the same as `profile check`, but for what only we can know."""
    check = Draft202012Validator(make_schema())
    example = (ROOT / "examples" / "massconvert.toml").read_text(encoding="utf-8")
    raw = json.loads(json.dumps(read_toml(example), default=str))
    assert list(check.iter_errors(raw)) == []
    raw["profiles"][next(iter(raw["profiles"]))]["shedule"] = {}
    assert list(check.iter_errors(raw)) != []


def test_the_example_is_right() -> None:
    """examples/massconvert.toml is what people copy."""
    assert ConfigFile(ROOT / "examples" / "massconvert.toml").config().profiles


# --- queries --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("coql", "where"),
    [
        ("Lead_Status = 'Qualified'", "(Lead_Status = 'Qualified')"),
        ("select id, Email from Leads where Rating = 'A' ;", "(Rating = 'A')"),
        ("SELECT id FROM leads WHERE (A = 1 and B = 2)", "((A = 1 and B = 2))"),
        ("Company = 'limit 5'' order by'", "(Company = 'limit 5'' order by')"),
    ],
)
def test_a_page_asks_for_the_unconverted_after_the_cursor(coql: str, where: str) -> None:
    """Conditions in pairs, by id, without an offset."""
    unconverted = f"({where} and Converted__s = 'false')"
    assert page_query(coql, after="", until="", rows=2000) == (
        f"select id from Leads where {unconverted} order by id limit 2000"
    )
    assert page_query(coql, after="17", until="99", rows=5) == (
        f"select id from Leads where (({unconverted} and id > 17) and id <= 99) order by id limit 5"
    )
    assert count_query(coql) == f"select COUNT(id) from Leads where {unconverted}"


def test_criteria_that_speak_of_conversion_are_left_alone() -> None:
    """Whoever writes it means it."""
    assert page_query("Converted__s = 'true'", after="", until="", rows=1).count("Converted__s") == 1
    assert page_query("Company = 'Converted__s'", after="", until="", rows=1).count("Converted__s = 'false'") == 1


@pytest.mark.parametrize(
    ("coql", "says"),
    [
        ("", "empty"),
        ("a = 'x", "quotation"),
        ("(a = 1", "brackets"),
        ("a = 1) or (b = 2", "brackets"),
        ("select id from Contacts where a = 1", "must select from Leads"),
        ("select id from Leads", "has no WHERE"),
        ("a = 1 limit 5", "LIMIT"),
        ("select id from Leads where a = 1 group by b", "GROUP BY"),
    ],
)
def test_criteria_that_cannot_be_paged_are_refused(coql: str, says: str) -> None:
    """Before anything is called."""
    with pytest.raises(ValueError, match=says):
        LeadCriteria(coql=coql)


# --- slots ----------------------------------------------------------------------------------------------------


def at(text: str, zone: str = "UTC") -> float:
    """Unix seconds of a local time."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()


def test_an_interval_s_slots_are_the_same_for_all_clocks() -> None:
    """Counted from the epoch, whenever a beat was started."""
    every = Schedule(every="15m")
    assert latest_slot(every, at("2026-11-24T10:17")) == at("2026-11-24T10:15")
    assert latest_slot(every, at("2026-11-24T10:15")) == at("2026-11-24T10:15")
    assert next_slot(every, at("2026-11-24T10:15")) == at("2026-11-24T10:30")


@pytest.mark.parametrize(
    ("now", "latest", "following"),
    [
        ("2026-11-24T10:17", "2026-11-24T04:00", "2026-11-25T04:00"),
        ("2026-11-24T04:00", "2026-11-24T04:00", "2026-11-25T04:00"),
        ("2026-11-24T03:59", "2026-11-23T04:00", "2026-11-24T04:00"),
        ("2026-11-27T12:00", "2026-11-27T04:00", "2026-11-30T04:00"),  # a Friday: no slot at the weekend
    ],
)
def test_a_crontab_s_slots_are_in_its_time_zone(now: str, latest: str, following: str) -> None:
    """Four in the morning in Berlin, whatever the machine's zone."""
    cron = Schedule(crontab="0 4 * * mon-fri", time_zone="Europe/Berlin", catch_up="1d")
    assert latest_slot(cron, at(now, "Europe/Berlin")) == at(latest, "Europe/Berlin")
    assert next_slot(cron, at(now, "Europe/Berlin")) == at(following, "Europe/Berlin")


def test_a_clock_change_neither_drops_nor_doubles_a_daily_run() -> None:
    """The hour that is skipped and the hour that comes twice, in Berlin in 2026; an hourly one runs in each hour."""
    daily = Schedule(crontab="30 2 * * *", time_zone="Europe/Berlin")
    assert next_slot(daily, at("2026-03-29T00:00")) == at("2026-03-29T01:30")  # 03:30 there, since 02:30 is not
    assert next_slot(daily, at("2026-10-24T23:00")) == at("2026-10-25T00:30")  # the first 02:30
    assert next_slot(daily, at("2026-10-25T00:30")) == at("2026-10-26T01:30")  # and not the second
    hourly = Schedule(crontab="30 * * * *", time_zone="Europe/Berlin")
    assert next_slot(hourly, at("2026-10-25T00:30")) == at("2026-10-25T01:30")


def test_a_slot_has_a_name_that_sorts_by_time() -> None:
    """It stands in keys and messages."""
    name = slot_name(at("2026-11-24T03:00"))
    assert name == "20261124T030000Z"
    assert parse_slot(name) == at("2026-11-24T03:00")
    assert name < slot_name(at("2026-11-24T03:01"))
