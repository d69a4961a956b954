"""The page in a real Chromium, served by the real command: each flow, each failure, no script, the keyboard."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.browser import PHONE, READERS, WIDE, Served, assert_readable
from tests.acceptance.house import OPTIONS, House, until
from tests.acceptance.truth import code_of_unknown

pytestmark = pytest.mark.acceptance

TOKEN = "not-a-real-token-0123456789"
#: Where the pictures of docs/dashboard.md go: with MASSCONVERT_PICTURES=docs/images the test of axe takes them.
PICTURES = os.environ.get("MASSCONVERT_PICTURES", "")


@pytest.fixture
def stocked(house: House) -> House:
    """A Redis and a simulator with 130 leads, 3 of which do not exist; a batch ``b`` of all that nobody works on."""
    house.redis()
    house.simulator("--leads", "130", "--unknown", "3", "--job-seconds", "0.3")
    house.producer().enqueue(house.leads(), OPTIONS, key="b")
    return house


# --- the flows


def test_a_batch_is_paused_resumed_and_followed_to_its_end_without_loading_the_page(
    stocked: House, serve: Callable[..., Served], visit: Callable[..., Any]
) -> None:
    page = visit()
    page.goto(f"{serve().url}/")
    page.get_by_text("It stands still, and it is us").wait_for()
    page.get_by_role("link", name="b", exact=True).click()
    page.get_by_placeholder("Why (optional)").fill("the owner is wrong")
    page.get_by_role("button", name="Pause").click()
    page.get_by_text("The batch is paused: nothing more of it is sent.").wait_for()
    assert stocked.producer().batch("b").progress().held == "the owner is wrong"
    page.get_by_role("button", name="Resume").click()
    page.get_by_text("The batch goes on.").wait_for()
    page.evaluate("window.same = true")
    stocked.worker()
    page.locator(".state.finished").wait_for(timeout=60_000)
    page.get_by_text("127 of 130 leads converted, 3 failed.").wait_for()
    page.get_by_role("heading", name=code_of_unknown(stocked)).wait_for()
    page.get_by_text("let it go on").wait_for()
    assert page.locator("#actions").count() == 0
    assert page.evaluate("window.same") is True


def test_a_canary_goes_on_and_failures_are_tried_again_and_downloaded(
    house: House, serve: Callable[..., Served], visit: Callable[..., Any]
) -> None:
    house.redis()
    house.simulator("--leads", "60", "--job-seconds", "0.2", "--special", "locked=2")
    house.worker()
    ids = house.leads()
    house.producer().enqueue(ids, {**OPTIONS}, key="b", canary=5)
    page = visit(PHONE)
    page.goto(f"{serve().url}/batches/b")
    page.get_by_role("button", name="Go on with the others").click(timeout=60_000)
    page.locator(".state.finished").wait_for(timeout=60_000)
    failed = house.producer().batch("b").progress().failed
    assert failed
    page.goto(f"{page.url.partition('?')[0]}")
    page.get_by_role("link", name=re.compile("Try (it|them) again…")).first.click()
    page.get_by_text("credits, about").wait_for()
    page.get_by_role("button", name=re.compile("Try [0-9]+ leads? again")).click()
    page.get_by_text("These leads are tried again, as a batch of their own: this one.").wait_for()
    page.goto(f"{page.url.partition('/batches')[0]}/batches/b")
    with page.expect_download() as caught:
        page.get_by_role("link", name="error").click()
    text = Path(caught.value.path()).read_text()
    assert caught.value.suggested_filename == "b-error.csv"
    assert len(text.splitlines()) == failed + 1


def test_without_a_script_all_of_it_works(
    stocked: House, serve: Callable[..., Served], visit: Callable[..., Any]
) -> None:
    page = visit(java_script_enabled=False)
    page.goto(f"{serve().url}/batches/b")
    page.get_by_role("button", name="Pause").click()
    page.get_by_text("The batch is paused").wait_for()
    page.get_by_role("link", name="Cancel…").click()
    page.get_by_role("link", name="Back, and change nothing").click()
    assert stocked.producer().batch("b").progress().cancelled == 0
    page.get_by_role("link", name="Cancel…").click()
    page.get_by_role("button", name="Cancel the batch").click()
    page.get_by_text("The batch is cancelled.").wait_for()
    assert page.locator("time").first.inner_text().endswith("UTC")


def test_the_keyboard_alone_will_do(stocked: House, serve: Callable[..., Served], visit: Callable[..., Any]) -> None:
    page = visit()
    page.goto(f"{serve().url}/batches/b")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "reason":
            break
    page.keyboard.type("by hand")
    page.keyboard.press("Enter")
    page.get_by_text("The batch is paused").wait_for()
    assert stocked.producer().batch("b").progress().held == "by hand"


def test_the_organisation_is_paused_and_goes_on_without_loading_the_page(
    stocked: House, serve: Callable[..., Served], visit: Callable[..., Any]
) -> None:
    page = visit(PHONE)
    page.goto(f"{serve().url}/")
    page.get_by_placeholder("Why (optional)").fill("Zoho is being rebuilt")
    page.get_by_role("button", name="Pause all calls to Zoho").click()
    page.get_by_text("The organisation is paused: Zoho is not called.").wait_for()
    page.get_by_role("heading", name="It is paused").wait_for()
    page.get_by_text("Zoho is being rebuilt").first.wait_for()
    page.get_by_role("button", name="Resume all calls").click()
    page.get_by_text("The organisation goes on.").wait_for()
    page.get_by_role("heading", name="It stands still, and it is us").wait_for()  # no worker runs


def test_a_column_of_ids_that_is_pasted_into_the_box_is_not_cut(
    stocked: House, serve: Callable[..., Served], visit: Callable[..., Any]
) -> None:
    leads, page = stocked.leads()[:50], visit(PHONE, permissions=["clipboard-read", "clipboard-write"])
    page.goto(f"{serve().url}/")
    page.evaluate("text => navigator.clipboard.writeText(text)", "\r\n".join(leads))
    page.get_by_role("searchbox").focus()
    page.keyboard.press("Control+V")
    page.keyboard.press("Enter")
    page.wait_for_url("**/leads?ids=*")
    assert page.get_by_role("rowheader").count() == len(leads)
    assert page.get_by_text("in no batch").count() == 0
    assert page.evaluate("(table => table.scrollWidth <= table.clientWidth)(document.querySelector('.table'))")


def test_a_column_of_thousands_is_told_how_much_of_it_is_shown(
    stocked: House, serve: Callable[..., Served], visit: Callable[..., Any]
) -> None:
    page = visit()
    page.goto(f"{serve().url}/leads")
    column = "\n".join(str(10**18 + place) for place in range(5_000))
    page.locator("#ids").evaluate("(box, text) => { box.value = text }", column)
    page.get_by_role("button", name="Look them up").click()
    page.get_by_text("4,900 leads were left out: at most 100 at once.").wait_for()


def test_a_lead_is_found_by_the_keyboard_on_a_phone(
    stocked: House, serve: Callable[..., Served], visit: Callable[..., Any]
) -> None:
    lead, page = stocked.leads()[0], visit(PHONE)
    page.goto(f"{serve().url}/")
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "q":
            break
    page.keyboard.type(lead)
    page.keyboard.press("Enter")
    page.get_by_role("heading", name=f"Lead {lead}").wait_for()
    page.get_by_text("It waits to be put into a payload").wait_for()


@pytest.mark.parametrize("script", [True, False], ids=["script", "no script"])
def test_days_look_back_as_far_as_is_asked_and_come_as_a_file(
    house: House, serve: Callable[..., Served], visit: Callable[..., Any], *, script: bool
) -> None:
    house.redis()
    house.simulator("--leads", "60", "--unknown", "2", "--job-seconds", "0.2")
    house.worker()
    house.producer().enqueue(house.leads(), OPTIONS, key="b").wait(60)
    page = visit(PHONE, java_script_enabled=script, timezone_id="America/New_York")
    page.goto(f"{serve().url}/")
    page.get_by_role("link", name="Days").click()
    day = f"{datetime.now(timezone.utc):%a %Y-%m-%d}"  # the simulator's organisation has UTC, wherever its readers are
    assert page.get_by_role("rowheader").inner_text() == day
    assert page.locator("[aria-current=true]").inner_text() == "30 days"
    assert page.get_by_role("img", name="60 leads").count() == 1
    assert page.get_by_role("cell", name="58", exact=True).count() == 1
    page.get_by_role("link", name="a week").click()
    page.wait_for_url("**/days?since=7")
    assert page.locator("[aria-current=true]").inner_text() == "a week"
    with page.expect_download() as caught:
        page.get_by_role("link", name="As a file").click()
    head, counted = Path(caught.value.path()).read_text().splitlines()
    assert head == "day,enqueued,converted,skipped,failed,cancelled,calls"
    assert counted.split(",")[1:6] == ["60", "58", "0", "2", "0"]


# --- nothing moves under the reader's hands


def test_what_is_being_typed_stays_while_the_page_follows(
    stocked: House, serve: Callable[..., Served], visit: Callable[..., Any]
) -> None:
    page = visit()
    page.goto(f"{serve().url}/batches/b")
    page.get_by_placeholder("Why (optional)").press_sequentially("half a rea")
    stocked.producer().pause("b", reason="somebody else was faster")
    page.get_by_text("somebody else was faster").first.wait_for()
    assert page.get_by_placeholder("Why (optional)").input_value() == "half a rea"
    assert page.evaluate("document.activeElement.id") == "reason"
    page.get_by_placeholder("Why (optional)").blur()
    page.mouse.move(1, 1)
    page.get_by_role("button", name="Resume").wait_for()


def test_newer_batches_are_announced_and_do_not_push_the_list_down(
    stocked: House, serve: Callable[..., Served], visit: Callable[..., Any]
) -> None:
    page = visit()
    page.goto(f"{serve().url}/batches")
    stocked.producer().enqueue(["3652397000000000001"], OPTIONS, key="newer")
    page.get_by_text("There are newer batches.").wait_for()
    assert page.get_by_role("link", name="newer", exact=True).count() == 0
    page.get_by_role("link", name="Show them").click()
    page.get_by_role("link", name="newer", exact=True).wait_for()


# --- failures


def test_a_redis_that_goes_is_told_and_its_return_too(
    house: House, serve: Callable[..., Served], visit: Callable[..., Any]
) -> None:
    server = house.redis()
    house.simulator("--leads", "3")
    house.producer().enqueue(house.leads(), OPTIONS, key="b")
    served, page = serve(), visit(PHONE)
    page.goto(f"{served.url}/batches/b")
    house.kill(server, signal.SIGTERM)
    lost = page.get_by_text("No answer: what you see may be old.")
    lost.wait_for()
    assert lost.bounding_box()["y"] < PHONE["height"]  # seen without scrolling
    assert_readable(page)
    page.get_by_text("0 of 3 leads converted").first.wait_for()
    other = visit(PHONE)
    for place in ("/", "/batches", "/batches/b", "/days", f"/leads/{house.leads()[0]}"):
        assert other.goto(f"{served.url}{place}").status == 503
        other.get_by_text("cannot be reached").wait_for()
    assert_readable(other)
    assert other.goto(f"{served.url}/healthz").status == 503
    house.redis()
    page.locator("#lost:empty").wait_for(state="attached", timeout=30_000)
    assert other.goto(f"{served.url}/healthz").status == 200


def test_a_worker_that_is_killed_is_told_and_the_next_one_too(
    house: House, serve: Callable[..., Served], visit: Callable[..., Any]
) -> None:
    house.redis()
    house.simulator("--leads", "130", "--job-seconds", "300")
    house.producer().enqueue(house.leads(), OPTIONS, key="b")
    first = house.worker("first")
    page = visit(PHONE)
    page.goto(f"{serve().url}/")
    page.evaluate("window.same = true")
    page.get_by_role("heading", name="It is running").wait_for()
    page.get_by_role("row", name=re.compile("first@")).wait_for()
    house.kill(first)
    page.get_by_role("heading", name="It stands still, and it is us").wait_for(timeout=100_000)
    page.get_by_text("No worker runs (the last was seen").wait_for()
    page.get_by_text("To start one: massconvert worker").first.wait_for()
    assert page.get_by_role("row", name=re.compile("first@")).count() == 0
    house.worker("next")
    page.get_by_role("heading", name="It is running").wait_for(timeout=30_000)
    page.get_by_role("row", name=re.compile("next@")).wait_for()
    assert page.evaluate("window.same") is True


def test_who_logs_out_in_another_tab_is_told_in_this_one(
    stocked: House, serve: Callable[..., Served], visit: Callable[..., Any]
) -> None:
    stocked.environment["MASSCONVERT_DASHBOARD_TOKEN"] = TOKEN
    served, page = serve(), visit()
    page.goto(f"{served.url}/batches/b")
    page.get_by_label("Token").fill(TOKEN)
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("heading", name="b", exact=True).wait_for()
    other = page.context.new_page()
    other.goto(f"{served.url}/")
    other.get_by_role("button", name="Log out").click()
    page.get_by_text("You are not logged in any more: load the page again.").wait_for()
    page.get_by_text("0 of 130 leads converted").first.wait_for()


def test_a_wrong_token_is_refused_and_the_right_one_holds_until_the_logout(
    stocked: House, serve: Callable[..., Served], visit: Callable[..., Any]
) -> None:
    stocked.environment["MASSCONVERT_DASHBOARD_TOKEN"] = TOKEN
    served, page = serve(), visit()
    page.goto(f"{served.url}/batches/b")
    page.get_by_label("Token").fill("another-token-of-16")
    page.get_by_role("button", name="Log in").click()
    page.get_by_text("That is not the token.").wait_for()
    page.get_by_label("Your name").fill("Ann")
    page.get_by_label("Token").fill(TOKEN)
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("heading", name="b", exact=True).wait_for()
    assert page.evaluate("document.cookie") == ""
    page.get_by_role("button", name="Pause").click()
    page.get_by_text("Ann paused it").wait_for()
    page.get_by_role("button", name="Log out").click()
    page.get_by_label("Token").wait_for()
    page.goto(f"{served.url}/batches/b")
    page.get_by_label("Token").wait_for()
    assert TOKEN not in stocked.log("page")


def test_read_only_and_a_prefix(stocked: House, serve: Callable[..., Served], visit: Callable[..., Any]) -> None:
    """A proxy serves it below a path, and takes that path away."""
    served, page = serve("--read-only", "--prefix", "/jobs/of", prefix="/jobs/of"), visit()
    page.route("**/jobs/of/**", lambda route: route.continue_(url=route.request.url.replace("/jobs/of", "")))
    page.goto(f"{served.url}/jobs/of/")
    page.get_by_role("link", name="b", exact=True).click()
    page.get_by_text("This page is read-only.").wait_for()
    assert page.url == f"{served.url}/jobs/of/batches/b"
    radius = "getComputedStyle(document.querySelector('.state')).borderRadius"
    until(lambda: page.evaluate(radius) != "0px", 10, "the style, which stands below the prefix too")
    assert page.locator("form[method=post]").count() == 0
    stocked.producer().pause("b", reason="from outside")
    page.get_by_text("from outside").wait_for()


# --- for everybody


@pytest.mark.parametrize("how", READERS, ids=str)
def test_axe_finds_nothing_and_nothing_is_cut(
    house: House, serve: Callable[..., Served], visit: Callable[..., Any], how: dict[str, Any]
) -> None:
    house.redis()
    house.simulator("--leads", "60", "--unknown", "2", "--job-seconds", "0.2")
    house.worker()
    producer = house.producer()
    producer.enqueue(house.leads()[:40], OPTIONS, key="import-2026-11-24").wait(60)
    producer.enqueue(house.leads()[40:], OPTIONS, key="a-batch-with-a-long-name-" + "x" * 60, canary=5)
    until(lambda: producer.batch("a-batch-with-a-long-name-" + "x" * 60).progress().awaits_verdict, 60, "the canary")
    served, page = serve(), visit(**how)
    names = ("import-2026-11-24", "a-batch-with-a-long-name-" + "x" * 60)
    places = ["/", "/batches", "/batches?state=paused", *(f"/batches/{name}" for name in names), "/nothing"]
    places += [f"/leads/{house.leads()[0]}", f"/leads?ids={'+'.join(house.leads()[:50])}", "/leads"]
    places += [f"/batches/{names[1]}/cancel", f"/batches/{names[0]}/retry", "/days", "/login"]
    for place in places:
        page.goto(f"{served.url}{place}")
        assert_readable(page)
        if PICTURES and how == {"size": WIDE} and place in ("/", f"/batches/{names[0]}"):
            page.screenshot(path=f"{PICTURES}/dashboard-{'overview' if place == '/' else 'batch'}.png", full_page=True)


def test_times_are_the_reader_s(stocked: House, serve: Callable[..., Served], visit: Callable[..., Any]) -> None:
    url = f"{serve().url}/batches/b"
    shown = []
    for zone in ("Asia/Kolkata", "America/New_York"):
        page = visit(timezone_id=zone)
        page.goto(url)
        time = page.locator("#now time").first
        shown.append((time.inner_text(), time.get_attribute("title")))
    assert shown[0][0] != shown[1][0]
    assert shown[0][1] == shown[1][1]
    assert shown[0][1].endswith("UTC")


def test_a_taken_port_is_one_line(stocked: House, serve: Callable[..., Served]) -> None:
    port = serve().url.rpartition(":")[2]
    done = stocked.command("dashboard", "--port", port)
    assert done.returncode == 3
    assert re.fullmatch(rf"massconvert: Nothing can listen at 127\.0\.0\.1, port {port}: .*\nName .*\n", done.stderr)


def test_ctrl_c_ends_it_without_a_word_of_trouble(stocked: House, serve: Callable[..., Served]) -> None:
    served = serve()
    served.process.send_signal(signal.SIGINT)
    try:
        assert served.process.wait(20) == 0
    except subprocess.TimeoutExpired:
        pytest.fail("it goes on")
    assert "Traceback" not in stocked.log("page")
