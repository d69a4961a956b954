"""A real browser without a screen: the Chromium that is installed here, driven by playwright."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

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
