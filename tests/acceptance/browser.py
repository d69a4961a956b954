"""A real browser without a screen: the Chromium that is installed here, driven by playwright, and a page to look at."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.acceptance.house import House, until

PHONE, WIDE = {"width": 360, "height": 740}, {"width": 1100, "height": 800}
#: How people see it: on a desk, on a phone, in the dark.
READERS: list[dict[str, Any]] = [{"size": WIDE}, {"size": PHONE}, {"size": WIDE, "color_scheme": "dark"}]
#: It starts nothing that it was not asked for, and calls nobody.
ARGUMENTS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)


def find_chromium() -> str:
    """The path of a Chromium. Skips the test where there is none, or nothing to drive it."""
    pytest.importorskip("playwright", reason="no playwright here: `make install` brings it")
    named = os.environ.get("MASSCONVERT_TEST_CHROMIUM")
    for path in (named, shutil.which("chromium"), shutil.which("chromium-browser"), shutil.which("google-chrome")):
        if path:
            return path
    pytest.skip("no Chromium here: apt-get install chromium, or name one with MASSCONVERT_TEST_CHROMIUM")


@contextmanager
def a_browser() -> Iterator[Any]:
    """A browser, which ends with the context."""
    path = find_chromium()
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - where it is there

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        try:
            yield browser
        finally:
            browser.close()


class Served:
    """The page of a house, served by ``massconvert dashboard``."""

    def __init__(self, house: House, *arguments: str, prefix: str = "") -> None:
        self.process = house.run(house.python, "-m", "massconvert", "dashboard", "--port", "0", *arguments, name="page")

        def told() -> Any:
            assert self.process.poll() is None, house.log("page")
            return re.search(r"(http://\S+)/\s", house.log("page"))

        self.url = until(told, 30, "the dashboard")[1].removesuffix(prefix)


def assert_readable(page: Any) -> None:
    """axe finds nothing on the page, and nothing of it is cut at the side. Skips the test where there is no axe."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="no axe here: `make install` brings it")
    found = axe.Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    assert [(each["id"], [node["html"] for node in each["nodes"]]) for each in found] == [], page.url
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), page.url
