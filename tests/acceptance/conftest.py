"""Fixtures of the acceptance tests."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.browser import WIDE, Served, a_browser
from tests.acceptance.house import House


@pytest.fixture(autouse=True, scope="session")
def _signals_reach_what_is_started() -> None:
    """A process started by a test must not inherit that signals are ignored, as under ``nohup`` or after ``&``."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """A house of which nothing runs yet; everything that a test starts in it is ended afterwards."""
    made = House(tmp_path)
    yield made
    made.close()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """A real browser."""
    with a_browser() as browser:
        yield browser


@pytest.fixture
def serve(house: House) -> Callable[..., Served]:
    """Serves the page of the house."""
    return lambda *arguments, **how: Served(house, *arguments, **how)


@pytest.fixture
def visit(chromium: Any) -> Iterator[Callable[..., Any]]:
    """Opens tabs; whatever the browser's console says against a page fails the test."""
    said: list[str] = []
    contexts = []

    def opened(size: Any = None, **how: Any) -> Any:
        context = chromium.new_context(viewport=size or WIDE, **how)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(15_000)
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("console", lambda line: said.append(line.text) if "Content Security Policy" in line.text else None)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert said == []
