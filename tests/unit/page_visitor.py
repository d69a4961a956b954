"""A browser without a screen: the page over a simulated CRM, asked as a browser asks."""

from __future__ import annotations

from collections.abc import Mapping
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.testclient import TestClient

from massconvert import store, wiring
from massconvert.dashboard import actions, app
from massconvert.settings import Settings
from massconvert.testing import FakeCrm

TOKEN = "not-a-real-token-0123456789"
SAME = {"sec-fetch-site": "same-origin"}
OPTIONS = {"Deals": {"Deal_Name": "Renewal", "Stage": "Closed Won", "Closing_Date": "+30d"}}


def lead_ids(number: int, first: int = 0) -> list[str]:
    """Ids that could be Zoho's."""
    return [f"36523970000{9_850_000 + first + place:08}" for place in range(number)]


class Visitor:
    """Visits the page of a CRM's ledger; ``prefix`` is where it is mounted."""

    def __init__(
        self,
        crm: FakeCrm,
        patch: pytest.MonkeyPatch,
        prefix: str = "",
        token: str = "",
        client: str = "127.0.0.1",
        config: Path | None = None,
        **access: Any,
    ) -> None:
        for room in (store, wiring):
            patch.setattr(room, "connect", lambda *_, **__: crm.redis)
        patch.setattr(actions, "Nudge", lambda *_, **__: crm.nudge)
        self.crm, self.prefix = crm, prefix
        given: dict[str, Any] = {"MASSCONVERT_CONFIG": config} if config else {}
        self.door = app(Settings(MASSCONVERT_DASHBOARD_TOKEN=token, **given), **access)
        mounted = Starlette(routes=[Mount(prefix, self.door)]) if prefix else self.door
        self.client = TestClient(mounted, base_url="http://localhost", client=(client, 50_000), follow_redirects=False)

    def get(self, path: str, **headers: str) -> Any:
        """Ask for a page."""
        return self.client.get(f"{self.prefix}{path}", headers=_named(headers))

    def post(
        self, path: str, data: Mapping[str, str] | None = None, *, of: Mapping[str, str] = SAME, **headers: str
    ) -> Any:
        """Press a button; ``of`` is what the browser says of where it stood."""
        return self.client.post(f"{self.prefix}{path}", data=dict(data or {}), headers={**_named(headers), **of})

    def text(self, path: str) -> str:
        """What a page says, without its tags."""
        answer = self.get(path)
        assert answer.status_code == 200, answer.text
        return words(answer.text)

    def routes(self, method: str) -> list[str]:
        """Every address that takes this method, with a batch and a file that are there."""
        found = [route.path for route in self.door._pages.routes if method in getattr(route, "methods", ())]
        known = {"{batch}": "b", "{part}": "error", "{name}": "page.css", "{lead}": lead_ids(1)[0]}
        for name, value in known.items():
            found = [path.replace(name, value) for path in found]
        assert found
        return found


def _named(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


class _Words(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []
        self.links: list[str] = []

    def handle_data(self, data: str) -> None:
        self.said.append(data)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.links += [value for name, value in attrs if name in ("href", "src", "action") and value]


def words(html: str) -> str:
    """The words of a page, on one line."""
    parser = _Words()
    parser.feed(html)
    return " ".join(" ".join(parser.said).split())


def links(html: str) -> list[str]:
    """Where a page leads, and what it loads."""
    parser = _Words()
    parser.feed(html)
    return parser.links
