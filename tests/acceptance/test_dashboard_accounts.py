"""The page of several accounts in a real Chromium: the switch, by mouse and keyboard, on a phone, in the dark."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from massconvert import MassConvert
from tests.acceptance.browser import PHONE, READERS, Served, assert_readable
from tests.acceptance.house import OPTIONS, House

pytestmark = pytest.mark.acceptance

TOKEN = "not-a-real-token-0123456789"
LONG = "an-account-with-quite-a-long-name-0123"
OURS, THEIRS = "3652397000000000001", "3652397000000000002"


@pytest.fixture
def accounts(house: House, monkeypatch: pytest.MonkeyPatch) -> dict[str, MassConvert]:
    """The environment's own account with a batch ``ours``, emea with ``theirs``, and one with a long name."""
    config = house.folder / "massconvert.toml"
    config.write_text(f'[accounts.emea]\ndata_center = "eu"\n[accounts.{LONG}]\ndata_center = "in"\n')
    house.environment["MASSCONVERT_CONFIG"] = str(config)
    house.redis()
    for name in ("REDIS_URL", "MASSCONVERT_CONFIG"):
        monkeypatch.setenv(name, house.environment[name])
    made = {"default": MassConvert(), "emea": MassConvert(account="emea")}
    made["default"].enqueue([OURS], OPTIONS, key="ours")
    made["emea"].enqueue([THEIRS], OPTIONS, key="theirs")
    return made


@pytest.mark.parametrize("script", [True, False], ids=["script", "no script"])
def test_the_switch_leads_to_another_account_whose_pages_and_buttons_stay_there(
    accounts: dict[str, MassConvert], serve: Callable[..., Served], visit: Callable[..., Any], *, script: bool
) -> None:
    served, page = serve(), visit(PHONE, java_script_enabled=script)
    page.goto(f"{served.url}/")
    assert page.get_by_role("link", name="theirs", exact=True).count() == 0
    page.get_by_text("Account default").click()
    page.get_by_role("link", name="emea", exact=True).click()
    page.wait_for_url(f"{served.url}/accounts/emea/")
    assert page.get_by_role("link", name="ours", exact=True).count() == 0
    page.get_by_role("link", name="theirs", exact=True).click()
    page.get_by_role("button", name="Pause").click()
    page.get_by_text("The batch is paused").wait_for()
    assert accounts["emea"].batch("theirs").progress().held
    assert not accounts["default"].batch("ours").progress().held
    for name, place in (("Batches", "batches"), ("Days", "days"), ("Leads", "leads")):
        page.get_by_role("navigation", name="Pages").get_by_role("link", name=name).click()
        page.wait_for_url(f"{served.url}/accounts/emea/{place}")
    page.get_by_role("searchbox").fill(OURS)
    page.get_by_role("button", name="Find").click()
    page.get_by_text("No batch that is kept has this lead in account emea.").wait_for()
    page.get_by_text("Account emea", exact=True).click()
    page.get_by_role("link", name="default", exact=True).click()
    page.wait_for_url(f"{served.url}/")
    page.get_by_role("link", name="ours", exact=True).wait_for()


def test_the_switch_is_worked_by_the_keyboard_and_stays_open_while_the_page_follows(
    accounts: dict[str, MassConvert], serve: Callable[..., Served], visit: Callable[..., Any]
) -> None:
    served, page = serve(), visit()
    page.goto(f"{served.url}/accounts/emea/batches/theirs")
    for _ in range(10):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.tagName") == "SUMMARY":
            break
    page.keyboard.press("Enter")
    accounts["emea"].pause("theirs", reason="from outside")
    page.get_by_text("from outside").first.wait_for()
    assert page.locator("details.account").get_attribute("open") is not None
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_url(f"{served.url}/")
    page.get_by_text("Account default").wait_for()


def test_one_login_is_good_for_all_accounts_and_one_logout_too(
    house: House, accounts: dict[str, MassConvert], serve: Callable[..., Served], visit: Callable[..., Any]
) -> None:
    assert accounts
    house.environment["MASSCONVERT_DASHBOARD_TOKEN"] = TOKEN
    served, page = serve(), visit()
    page.goto(f"{served.url}/accounts/emea/batches/theirs")
    assert page.get_by_text("emea", exact=True).count() == 0  # nobody is told of accounts before
    page.get_by_label("Token").fill(TOKEN)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(f"{served.url}/accounts/emea/batches/theirs")
    page.goto(f"{served.url}/batches/ours")
    page.get_by_role("heading", name="ours", exact=True).wait_for()
    page.goto(f"{served.url}/accounts/emea/")
    page.get_by_role("button", name="Log out").click()
    page.get_by_label("Token").wait_for()
    page.goto(f"{served.url}/")
    page.get_by_label("Token").wait_for()


@pytest.mark.parametrize("how", READERS, ids=str)
def test_axe_finds_nothing_in_the_switch_and_nothing_is_cut(
    accounts: dict[str, MassConvert], serve: Callable[..., Served], visit: Callable[..., Any], how: dict[str, Any]
) -> None:
    assert accounts
    served, page = serve(), visit(**how)
    for place in ("", "accounts/emea/", "accounts/emea/batches/theirs", "accounts/emea/days", f"accounts/{LONG}/"):
        page.goto(f"{served.url}/{place}")
        assert_readable(page)
        page.locator("details.account summary").click()
        page.get_by_role("link", name=LONG).wait_for()
        assert_readable(page)
    assert page.goto(f"{served.url}/accounts/nobody/").status == 404
    assert_readable(page)
