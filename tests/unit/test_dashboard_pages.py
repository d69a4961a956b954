"""What the pages say, and what their buttons do, over the real ledger and the real steps."""

from __future__ import annotations

import csv
import io
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

from massconvert import MassConvert
from massconvert.dashboard import app
from massconvert.dashboard.chart import credits_until, draw
from massconvert.dashboard.reads import LOOKED_AT, SHOWN, Cache
from massconvert.dashboard.words import failing_words
from massconvert.errors import SettingsError, StoreError
from massconvert.ledger import Deed, Member
from massconvert.ledger.days import Counted, Quarter
from massconvert.model import Kind, Owner, OwnerKind
from massconvert.policy import HoldKind
from massconvert.results import Part, write_results
from massconvert.testing import FakeCrm
from tests.unit.cli_shell import Shell
from tests.unit.page_visitor import OPTIONS, Visitor, lead_ids, links, words

A, B, C, D = lead_ids(4)


@pytest.fixture
def failed(zoho_crm: FakeCrm, mass_convert: MassConvert) -> MassConvert:
    """A producer with a batch ``b``: one lead converted, two not found."""
    zoho_crm.unknown = {B, C}
    mass_convert.enqueue([A, B, C], OPTIONS, key="b")
    return mass_convert


@pytest.fixture
def waiting(zoho_crm: FakeCrm, mass_convert: MassConvert) -> MassConvert:
    """A producer with a batch ``b`` of three leads that nobody works on."""
    zoho_crm.by_itself = False
    mass_convert.enqueue([A, B, C], OPTIONS, key="b")
    return mass_convert


# --- the list


def test_a_list_that_has_nothing_says_how_to_begin(visitor: Visitor) -> None:
    assert "No batches yet" in visitor.text("/batches")
    assert "Nothing is to be done: no lead waits." in visitor.text("/")


def test_the_list_tells_each_batch_in_a_sentence(visitor: Visitor, failed: MassConvert) -> None:
    assert "b finished 1 of 3 leads converted, 2 failed." in visitor.text("/batches")


def test_older_batches_follow_by_a_cursor_and_each_is_shown_once(visitor: Visitor, waiting: MassConvert) -> None:
    for place in range(2 * SHOWN):
        waiting.enqueue(lead_ids(1, 100 + place), OPTIONS, key=f"import-{place:02}")
    seen, path = [], "/batches"
    while path:
        page = visitor.get(path).text
        found = [link.rpartition("/")[2] for link in links(page) if link.startswith("/batches/")]
        seen += found
        older = [link for link in links(page) if "after=" in link]
        path = older[0] if older else ""
    assert seen == [*(f"import-{place:02}" for place in reversed(range(2 * SHOWN))), "b"]


def test_a_filter_is_in_the_address_and_says_how_far_it_looked(visitor: Visitor, failed: MassConvert) -> None:
    failed.enqueue([D], OPTIONS, key="good")
    page = visitor.get("/batches?state=failures&begins=b").text
    assert "1 of 3 leads converted" in words(page)
    assert "good" not in words(page)
    assert "/batches?state=finished&begins=b" in links(page)
    assert "2 looked at for this page" in words(page)
    assert "None among the 2 batches that were looked at" in visitor.text("/batches?state=cancelled")


def test_a_filter_goes_on_where_it_stopped_looking(
    visitor: Visitor, failed: MassConvert, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("massconvert.dashboard.reads.LOOKED_AT", 25)
    for place in range(30):
        failed.enqueue(lead_ids(1, 100 + place), OPTIONS, key=f"import-{place:02}")
    page = visitor.get("/batches?state=failures").text
    assert "None among the 25 batches" in words(page)
    older = next(link for link in links(page) if "after=" in link)
    assert "1 of 3 leads converted" in visitor.text(older)
    assert LOOKED_AT > SHOWN


# --- the overview


def test_the_overview_says_first_what_keeps_the_work(visitor: Visitor, waiting: MassConvert) -> None:
    page = visitor.text("/")
    assert "It stands still, and it is us: 3 leads wait." in page
    assert "No worker runs. To start one: massconvert worker" in page
    ledger, now = visitor.crm.ledger, visitor.crm.clock.now()
    ledger.fleet.note(Member("worker", "one@host", now, now - 9, now - 2, 7, "1.2.3"))
    visitor.door._pages.state.reads.forget()
    page = visitor.text("/")
    assert "It is running: 3 leads wait, 0 jobs run at Zoho, done in about" in page
    assert "one@host" in page
    assert "1.2.3" in page


@pytest.mark.parametrize(
    ("kind", "words_of_it"),
    [(HoldKind.OUTAGE, "it is Zoho"), (HoldKind.CREDITS, "it is the day's API credits")],
)
def test_the_overview_tells_zoho_from_our_limit(
    visitor: Visitor, waiting: MassConvert, kind: HoldKind, words_of_it: str
) -> None:
    ledger, now = visitor.crm.ledger, visitor.crm.clock.now()
    ledger.fleet.note(Member("worker", "one@host", now, now - 9, now - 2))
    hold = {"kind": kind.value, "why": "it answers 500", "since": now, "probe": now + 60, "wait": 60}
    visitor.crm.redis.hset("mc:{default}:hold", mapping=hold)
    assert words_of_it in visitor.text("/")


def test_what_was_counted_is_drawn_and_served_to_prometheus(visitor: Visitor, failed: MassConvert) -> None:
    page = visitor.get("/").text
    assert "The last hour 3 leads ended (2 failed, 1 converted)" in words(page)
    assert '<rect class="failed"' in page
    assert re.search("read [0-9]+ [0-9]+ ok", words(page))
    metrics = visitor.get("/metrics")
    assert metrics.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert 'massconvert_leads_ended_total{account="default",outcome="failed",code="NOT_FOUND"} 2' in metrics.text


def test_a_full_day_and_a_large_fleet_fit_into_sixty_kilobytes(visitor: Visitor, waiting: MassConvert) -> None:
    ledger, now = visitor.crm.ledger, visitor.crm.clock.now()
    for place in range(60):
        member = Member(
            "worker", f"worker-of-a-long-name-{place}@a-host-of-a-long-name.example", now, now, now, 7, "1.2.3"
        )
        ledger.fleet.note(member)
    for place in range(20):
        waiting.enqueue(lead_ids(1, 100 + place), OPTIONS, key=f"{place}-{'x' * 190}")
    ended = {f"lead|{kind.value}|": 123_456 for kind in Kind}
    last = int(now) // 900 * 900
    day = [Quarter(last - 900 * place, Counted(ended)) for place in range(96)]
    visitor.door._pages.state.reads.chart = lambda: draw(day, now)
    page = visitor.get("/")
    assert page.text.count("<rect class=") >= 96 * 4
    assert "20 of 60 are shown" in words(page.text)
    assert len(page.content) <= 60_000
    assert len(visitor.get("/batches").content) <= 60_000


HOUR = 3600
LEFT = [(-3 * HOUR, 90_000), (-2 * HOUR, 9_000), (-HOUR, 7_500), (-900, 6_500)]


@pytest.mark.parametrize(
    ("left", "quarters", "until"),
    [
        (None, LEFT, None),  # Zoho does not say
        (6_000, LEFT, 11 * HOUR // 3),  # 3,000 in two hours; 5,500 may still be used
        (6_000, [(-900, 6_000)], None),  # none were used
        (6_000, [(-2 * HOUR, 9_000), (-HOUR, 6_000), (-900, 7_000)], 4_800),  # they came back in between
        (400, LEFT, None),  # the reserve, which is told otherwise
        (6_000, [(-60, 6_400)], None),  # too short a time to tell
    ],
)
def test_how_long_the_credits_last_is_told_by_what_was_used_lately(
    left: int | None, quarters: list[tuple[int, int]], until: int | None
) -> None:
    now = 1_800_000_000
    counted = Counted({"call|post|ok": 1})
    chart = draw([Quarter(now + at - 900, counted, number) for at, number in quarters], now)
    found = credits_until(chart, left, 500, now)
    assert found == (None if until is None else pytest.approx(now + until, abs=300))


def test_the_overview_says_until_when_the_credits_last(
    visitor: Visitor, waiting: MassConvert, monkeypatch: pytest.MonkeyPatch
) -> None:
    visitor.crm.redis.hset("mc:{default}:credits", "left", 6_000)
    now = visitor.crm.clock.now()
    quarters = [Quarter(int(now) - 2 * HOUR, Counted({"call|post|ok": 1}), 9_000)]
    monkeypatch.setattr(visitor.crm.ledger.days.__class__, "read", lambda *_: quarters)
    page = visitor.text("/")
    assert "6,000 of the day's API credits are left" in page
    assert "At the pace of the last hours the day's credits last until about" in page


def test_a_batch_that_the_credits_do_not_suffice_for_has_no_time_of_its_end(
    visitor: Visitor, waiting: MassConvert
) -> None:
    visitor.crm.ledger.fleet.note(Member("worker", "w", visitor.crm.clock.now(), began_at=visitor.crm.clock.now()))
    waiting.enqueue(lead_ids(5_000, 10), OPTIONS, key="many")
    assert "done in about" in visitor.text("/")
    visitor.crm.redis.hset("mc:{default}:credits", "left", 800)
    visitor.door._pages.state.reads.forget()
    page = visitor.text("/")
    assert "done in about" not in page
    assert re.search(r"The day's credits are enough for about \d,\d00 of them; the others wait for new ones\.", page)


def test_only_leads_of_others_are_said_to_be_of_others(
    visitor: Visitor, waiting: MassConvert, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What waits in all is read now and then; meanwhile the batch goes on."""
    now = visitor.crm.clock.now()
    visitor.crm.ledger.fleet.note(Member("worker", "w", now, began_at=now))
    waiting.enqueue(lead_ids(100, 10), OPTIONS, key="others")
    reads = visitor.door._pages.state.reads
    status = reads.desk.ledger.batches.status("b")
    assert reads._ahead(status) == 103
    assert reads._ahead(replace(status, waiting=1, converted=2)) == 101
    assert "100 leads of other batches wait, too." in visitor.text("/batches/b")


def test_many_failures_are_told_at_first_sight(visitor: Visitor) -> None:
    visitor.crm.redis.hset("mc:{default}:counts", "lead|failed|NOT_FOUND", 30)
    visitor.crm.redis.hset("mc:{default}:counts", "lead|converted|", 40)
    visitor.crm.redis.hset("mc:{default}:counts", "quarter", int(visitor.crm.clock.now()) // 900)
    said = "30 of the 70 leads that ended in the last hour failed. Their batches say why."
    assert said in visitor.text("/")
    assert failing_words(Counted({"lead|failed|NOT_FOUND": 7, "lead|converted|": 93})) == ""
    assert failing_words(Counted({"lead|failed|NOT_FOUND": 50})) == ""


def test_the_organisation_is_paused_and_goes_on_by_a_button(visitor: Visitor, waiting: MassConvert) -> None:
    assert visitor.post("/pause", {"reason": "the trial is over"}).headers["location"] == "/?done=stop"
    page = visitor.text("/?done=stop")
    assert "It is paused: 3 leads wait." in page
    assert "the trial is over" in page
    assert visitor.post("/pause", {"reason": "another"}).headers["location"] == "/?done=nothing"
    assert visitor.post("/resume").headers["location"] == "/?done=go"
    assert visitor.crm.ledger.organisation.paused() is None
    assert visitor.post("/resume").headers["location"] == "/?done=nothing"
    assert "paused the organisation: the trial is over" in visitor.text("/")


# --- a batch


def test_failures_are_grouped_by_code_with_what_it_means_and_what_to_do(visitor: Visitor, failed: MassConvert) -> None:
    page = visitor.text("/batches/b")
    assert "1 of 3 leads converted, 2 failed." in page
    assert "NOT_FOUND 2 leads" in page
    assert "Zoho has no such lead" in page
    assert "a retry would fail once more" in page


def test_zoho_s_own_words_are_shown_as_words(visitor: Visitor, zoho_crm: FakeCrm, mass_convert: MassConvert) -> None:
    """Whatever they are: a page obeys nothing that somebody else has written."""
    ledger = zoho_crm.ledger
    zoho_crm.by_itself = False
    mass_convert.enqueue([A], OPTIONS, key="b")
    said = {f"<script>{place}": "no <b>id</b>\x1b[31m" for place in range(2)}
    ledger.batches.refuse_ids("b", said)
    page = visitor.get("/batches/b").text
    assert "INVALID_ID 2 leads" in words(page)
    assert "no <b>id</b>" not in page
    assert "no &lt;b&gt;id&lt;/b&gt;\\x1b[31m" in page
    assert "<script>0" not in page


def test_what_an_earlier_version_did_not_count_is_said_and_not_hidden(visitor: Visitor, failed: MassConvert) -> None:
    redis = visitor.crm.redis
    for field in ("failed:NOT_FOUND", "reason:NOT_FOUND"):
        redis.hdel("mc:{default}:batch:b", field)
    page = visitor.text("/batches/b")
    assert "2 failed leads were counted by an earlier version" in page
    assert "Try all that failed again" in page


def test_a_batch_that_waits_says_why(visitor: Visitor, waiting: MassConvert) -> None:
    assert "No worker runs. To start one: massconvert worker" in visitor.text("/batches/b")


def test_a_batch_that_is_not_there_is_told_so(visitor: Visitor) -> None:
    answer = visitor.get("/batches/none")
    assert answer.status_code == 404
    assert "There is no batch" in answer.text
    assert visitor.get("/batches/none/error.csv").status_code == 404
    assert visitor.post("/batches/none/pause").status_code == 404


@pytest.mark.parametrize("part", list(Part))
def test_a_file_is_that_of_the_report(visitor: Visitor, failed: MassConvert, tmp_path: Path, part: Part) -> None:
    answer = visitor.get(f"/batches/b/{part.value}.csv")
    assert answer.headers["content-disposition"] == f'attachment; filename="b-{part.value}.csv"'
    results = write_results("b", visitor.crm.ledger.batches.rows("b"), tmp_path)
    assert answer.content == results.files[part].read_bytes()
    assert len(list(csv.reader(io.StringIO(answer.text)))) == 1 + results.counts[part]


def test_there_are_three_files(visitor: Visitor, failed: MassConvert) -> None:
    assert visitor.get("/batches/b/other.csv").status_code == 404


# --- leads


def test_a_lead_s_page_tells_its_story_and_how_its_outcome_is_known(visitor: Visitor, failed: MassConvert) -> None:
    page = visitor.text(f"/leads/{A}")
    assert "converted in batch b" in page
    assert "How we know: " in page
    assert "Zoho accepted the payload and started a job." in page
    deal = visitor.crm.truth()[A]["deal_id"]
    assert f"deal {deal}" in page or "deal" not in page
    gone = visitor.text(f"/leads/{B}")
    assert "failed in batch b NOT_FOUND: Zoho has no such lead" in gone
    assert "Zoho does not show the lead" in gone
    assert "a retry would fail once more" in gone  # what to do
    assert "No batch that is kept has this lead. A batch is kept for 30 days" in visitor.text(f"/leads/{D}")
    assert "'abc' is no lead id: it is not a string of digits." in words(visitor.get("/leads/abc").text)


def test_its_records_are_links_into_the_organisation_s_data_centre(
    visitor: Visitor, failed: MassConvert, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = Owner("digest", OwnerKind.ORGANISATION, "Example", "eu")
    monkeypatch.setattr(visitor.crm.ledger.title.__class__, "owner", lambda _: owner)
    assert f"https://crm.zoho.eu/crm/tab/Leads/{A}" in links(visitor.get(f"/leads/{A}").text)


def test_a_pasted_column_of_ids_is_looked_up(visitor: Visitor, failed: MassConvert) -> None:
    page = visitor.text(f"/leads?ids={A}%0D%0A{B},+{D}%0A3.65E%2B18")
    assert f"{A} converted b" in page
    assert f"{B} failed b NOT_FOUND" in page
    assert f"{D} in no batch" in page
    assert "No lead ids: 3.65E+18" in page
    many = "+".join(lead_ids(150, 1000))
    assert "50 leads were left out: at most 100 at once" in visitor.text(f"/leads?ids={many}")


def test_the_box_takes_an_id_a_batch_or_several_ids(visitor: Visitor) -> None:
    wanted = {
        A: f"/leads/{A}",
        f"zcrm_{A}": f"/leads/{A}",
        f"https://crm.zoho.eu/crm/org7/tab/Leads/{A}?layout=1": f"/leads/{A}",
        "import": "/batches?begins=import",
        f"{A} {B}": f"/leads?ids={A}+{B}",
        f"{A},{B}": f"/leads?ids={A}%2C{B}",
    }
    found = {given: visitor.get(f"/search?q={quote(given)}").headers["location"] for given in wanted}
    assert found == wanted


# --- what can be done


def test_a_batch_is_paused_with_a_reason_and_goes_on(visitor: Visitor, waiting: MassConvert) -> None:
    answer = visitor.post("/batches/b/pause", {"reason": "the owner is wrong"})
    assert answer.headers["location"] == "/batches/b?done=pause"
    page = visitor.text("/batches/b?done=pause")
    assert "The batch is paused" in page
    assert "the owner is wrong" in page
    assert visitor.crm.ledger.batches.status("b").held == "the owner is wrong"
    assert visitor.post("/batches/b/resume").headers["location"] == "/batches/b?done=resume"
    assert visitor.crm.ledger.batches.status("b").held == ""
    assert [deed.what for deed in visitor.crm.ledger.deeds.latest()] == ["resume", "pause"]


def test_the_latest_five_hundred_deeds_are_kept(visitor: Visitor) -> None:
    deeds = visitor.crm.ledger.deeds
    for place in range(510):
        deeds.note(Deed(float(place), "ann", "pause", "b", f"reason {place}"))
    kept = deeds.latest()
    assert (len(kept), kept[0].more, kept[-1].more) == (500, "reason 509", "reason 10")


def test_a_button_that_comes_too_late_changes_nothing_and_says_so(visitor: Visitor, failed: MassConvert) -> None:
    for what in ("pause", "resume", "cancel"):
        assert visitor.post(f"/batches/b/{what}").headers["location"] == "/batches/b?done=nothing"
    assert visitor.crm.ledger.deeds.latest() == []


def test_a_reason_that_is_too_long_is_refused(visitor: Visitor, waiting: MassConvert) -> None:
    answer = visitor.post("/batches/b/pause", {"reason": "x" * 501})
    assert answer.status_code == 409
    assert "501 characters" in answer.text
    assert visitor.post("/batches/b/pause", {"reason": "x" * 300_000}).status_code == 413
    assert visitor.crm.ledger.batches.status("b").held == ""


def test_cancel_asks_before_it_does(visitor: Visitor, waiting: MassConvert) -> None:
    assert "3 leads that are not sent will not be converted" in visitor.text("/batches/b/cancel")
    assert visitor.crm.ledger.batches.status("b").cancelled == 0
    assert visitor.post("/batches/b/cancel").headers["location"] == "/batches/b?done=cancel"
    visitor.crm.work()
    assert visitor.crm.ledger.batches.status("b").cancelled == 3
    assert "cancelled it: 3 leads cancelled, 0 under way" in visitor.text("/batches/b")


def test_a_canary_goes_on_by_a_button(visitor: Visitor, zoho_crm: FakeCrm, mass_convert: MassConvert) -> None:
    mass_convert.enqueue(lead_ids(60), OPTIONS, key="b", canary=5)
    page = visitor.get("/batches/b").text
    assert "The canary has ended: 0 of 5 leads failed. The others wait." in words(page)
    assert "Go on with the others" in page
    assert visitor.post("/batches/b/resume").status_code == 303
    visitor.crm.work()
    assert visitor.crm.ledger.batches.status("b").converted == 60


def test_a_retry_says_its_price_first(visitor: Visitor, failed: MassConvert) -> None:
    visitor.crm.redis.hset("mc:{default}:credits", mapping={"left": 4321, "at": 0})
    page = visitor.text("/batches/b/retry?code=NOT_FOUND")
    assert "2 leads that failed with NOT_FOUND" in page
    assert "payloads 1 calls, at least 2 credits, about 6 time, about" in page
    assert "4,321 of the day's credits are left" in page
    assert visitor.crm.ledger.batches.known() == 1
    assert "Nothing of it has failed with LOCKED" in visitor.text("/batches/b/retry?code=LOCKED")


def test_a_retry_takes_what_failed_in_again_once(visitor: Visitor, failed: MassConvert) -> None:
    visitor.crm.unknown = set()
    for lead in (B, C):
        visitor.crm.organisation.add_lead(lead)
    first = visitor.post("/batches/b/retry", {"code": "NOT_FOUND", "deals": ""})
    again = visitor.post("/batches/b/retry", {"code": "", "deals": ""})
    assert first.headers["location"] == again.headers["location"]
    page = visitor.text(first.headers["location"])
    assert "2 of 2 leads converted." in page
    assert "These leads are tried again" in page
    assert "tried failed leads again: NOT_FOUND, as b." in visitor.text("/batches/b")
    assert visitor.post("/batches/b/retry", {"code": "LOCKED"}).status_code == 409


# --- nothing new, nobody there


def test_a_page_with_nothing_new_is_not_sent_again(visitor: Visitor, waiting: MassConvert) -> None:
    for path in ("/batches", "/batches/b"):
        first = visitor.get(path)
        again = visitor.get(path, if_none_match=first.headers["etag"])
        assert (again.status_code, again.content) == (304, b"")
    tag = visitor.get("/batches/b").headers["etag"]
    visitor.post("/batches/b/pause")
    assert visitor.get("/batches/b", if_none_match=tag).status_code == 200


def test_without_redis_each_page_says_so_and_health_is_bad(
    visitor: Visitor, waiting: MassConvert, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert visitor.get("/healthz").json() == {"ledger": "up"}
    visitor.crm.redis.connection_pool.connection_kwargs["server"].connected = False
    visitor.door._pages.state.reads.forget()
    for path in ("/", "/batches", "/batches/b", "/batches/b/cancel", "/batches/b/retry", "/batches/b/error.csv"):
        answer = visitor.get(path)
        assert answer.status_code == 503, path
        assert "cannot be reached" in answer.text
    assert visitor.post("/batches/b/pause").status_code == 503
    assert 'massconvert_ledger_up{account="default"} 0' in visitor.get("/metrics").text
    assert visitor.get("/healthz").status_code == 503


def test_a_bug_is_told_without_its_traceback(
    visitor: Visitor, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise KeyError("a secret")

    monkeypatch.setattr(visitor.door._pages.state.reads, "listed", broken)
    answer = visitor.get("/batches")
    assert answer.status_code == 500
    assert "bug" in answer.text
    assert "secret" not in answer.text
    assert "KeyError" in caplog.text


def test_what_many_ask_is_read_once() -> None:
    now, read = [0.0], []
    cache = Cache(lambda: now[0])

    def count() -> int:
        read.append(1)
        return len(read)

    assert [cache.get("a", 1.0, count) for _ in range(10)] == [1] * 10
    now[0] = 1.0
    assert cache.get("a", 1.0, count) == 2
    cache.forget()
    assert cache.get("a", 1.0, count) == 3


def test_a_redis_that_does_not_answer_is_asked_once_too() -> None:
    asked = []

    def away() -> None:
        asked.append(1)
        raise StoreError("away")

    cache = Cache(lambda: 0.0)
    for _ in range(5):
        with pytest.raises(StoreError):
            cache.get("a", 1.0, away)
    assert len(asked) == 1


# --- under a prefix


def test_every_link_stays_under_the_prefix_and_leads_somewhere(
    zoho_crm: FakeCrm, failed: MassConvert, monkeypatch: pytest.MonkeyPatch
) -> None:
    visitor = Visitor(zoho_crm, monkeypatch, prefix="/x/y")
    zoho_crm.by_itself = False
    failed.enqueue([D], OPTIONS, key="open")
    seen: set[str] = set()
    to_see = ["/x/y/"]
    while to_see:
        path = to_see.pop()
        if path in seen:
            continue
        seen.add(path)
        answer = visitor.client.get(path)
        assert answer.status_code in (200, 303, 405), path
        if answer.status_code == 303:
            assert answer.headers["location"].startswith("/x/y/")
        if "html" in answer.headers.get("content-type", ""):
            found = [link for link in links(answer.text) if not link.startswith("#")]
            assert all(link.startswith("/x/y/") and not urlsplit(link).netloc for link in found), (path, found)
            to_see += found
    assert {"/x/y/batches/b", "/x/y/batches/open/cancel", "/x/y/batches/b/error.csv"} <= seen
    assert visitor.post("/batches/open/pause").headers["location"] == "/x/y/batches/open?done=pause"


# --- the command


def test_beyond_this_machine_it_wants_to_know_who_may(shell: Shell) -> None:
    said = shell.run("dashboard", "--host", "0.0.0.0")
    assert said.code == 3
    assert "MASSCONVERT_DASHBOARD_TOKEN" in said.err


@pytest.mark.parametrize("prefix", ["jobs", "/jobs/", "//jobs", "/"])
def test_a_prefix_is_a_path(shell: Shell, prefix: str) -> None:
    assert shell.run("dashboard", "--prefix", prefix).code == 2


@pytest.mark.parametrize("library", ["starlette", "jinja2", "uvicorn"])
def test_without_the_extra_one_line_says_what_to_install(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, library: str
) -> None:
    for name in [name for name in sys.modules if name.startswith("massconvert.dashboard.")]:
        monkeypatch.delitem(sys.modules, name)
    for name in [name for name in sys.modules if name.partition(".")[0] == library]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, library, None)
    said = shell.run("dashboard")
    assert said.code == 3
    assert "pip install 'zoho-mass-convert[dashboard]'" in said.err
    assert library in said.err


def test_an_app_without_the_extra_is_told_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "massconvert.dashboard.site", raising=False)
    monkeypatch.setitem(sys.modules, "jinja2", None)
    monkeypatch.delitem(sys.modules, "massconvert.dashboard.frame", raising=False)
    monkeypatch.delitem(sys.modules, "massconvert.dashboard.actions", raising=False)
    monkeypatch.delitem(sys.modules, "massconvert.dashboard.pages", raising=False)
    with pytest.raises(SettingsError, match="jinja2"):
        app()
