"""Who may come in to the page, and what they may do: tried on every address that there is."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from importlib.resources import files
from typing import Any

import pytest

from massconvert import MassConvert
from massconvert.dashboard.door import HEADERS, LOGIN_HOLDS, Access
from massconvert.producer.intake import this_person
from massconvert.testing import FakeCrm
from tests.unit.page_visitor import OPTIONS, SAME, TOKEN, Visitor, lead_ids

Come = Callable[..., Visitor]
#: Addresses that show nothing of the ledger.
OPEN = {"/healthz", "/static/page.css", "/login"}


@pytest.fixture
def come(zoho_crm: FakeCrm, mass_convert: MassConvert, monkeypatch: pytest.MonkeyPatch) -> Come:
    """Makes visitors of a ledger with a batch ``b`` that has not finished."""
    zoho_crm.by_itself = False
    mass_convert.enqueue(lead_ids(3), OPTIONS, key="b")

    def made(**how: Any) -> Visitor:
        return Visitor(zoho_crm, monkeypatch, **how)

    return made


def changed(visitor: Visitor) -> bool:
    """Whether anything was done about the batch, or noted."""
    status = visitor.crm.ledger.batches.status("b")
    return bool(
        status.held or status.cancelled or visitor.crm.ledger.deeds.latest() or visitor.crm.ledger.batches.known() > 1
    )


# --- closed by default


def test_without_a_name_for_who_asks_this_machine_alone_is_answered(come: Come) -> None:
    far, near = come(client="10.0.0.9"), come()
    for path in far.routes("GET"):
        answer = far.get(path)
        assert (answer.status_code == 403) is (path not in OPEN), path
    for path in far.routes("POST"):
        assert far.post(path).status_code == 403, path
    assert near.get("/batches").status_code == 200
    assert near.get("/batches", x_forwarded_for="203.0.113.9").status_code == 403
    assert near.get("/batches", forwarded="for=203.0.113.9").status_code == 403
    assert not changed(far)


def test_what_comes_through_a_socket_in_the_file_system_may_be_a_proxy_s(come: Come) -> None:
    """Then nothing tells whether it is this machine."""
    visitor = come()
    answered: list[int] = []

    async def send(message: Any) -> None:
        answered.append(message.get("status", 0))

    scope = {"type": "http", "method": "GET", "path": "/batches", "root_path": "", "query_string": b"", "client": None}
    asyncio.run(visitor.door({**scope, "headers": [(b"host", b"localhost")]}, None, send))
    assert answered[0] == 403


def test_with_a_token_nobody_sees_anything_without_a_login(come: Come) -> None:
    visitor = come(token=TOKEN, client="10.0.0.9")
    for path in visitor.routes("GET"):
        answer = visitor.get(path)
        expected = 200 if path in OPEN else 303
        assert answer.status_code == expected, path
        assert path in OPEN or answer.headers["location"] == f"/login?next={path}"
    for path in set(visitor.routes("POST")) - {"/login"}:
        assert visitor.post(path).status_code == 401, path
    assert not changed(visitor)


def test_the_right_token_lets_in_and_a_wrong_one_does_not(come: Come) -> None:
    visitor = come(token=TOKEN)
    wrong = visitor.post("/login", {"token": "another-token-of-16", "next": "/batches/b"})
    assert wrong.status_code == 403
    assert "That is not the token" in wrong.text
    assert "set-cookie" not in wrong.headers
    right = visitor.post("/login", {"token": TOKEN, "name": "Ann", "next": "/batches/b"})
    assert (right.status_code, right.headers["location"]) == (303, "/batches/b")
    cookie = right.headers["set-cookie"]
    assert {"HttpOnly", "SameSite=strict", "Path=/"} <= set(cookie.split("; "))
    assert TOKEN not in cookie
    assert visitor.get("/batches/b").status_code == 200
    assert visitor.post("/batches/b/pause", {"reason": "wrong owner"}).status_code == 303
    assert visitor.crm.ledger.batches.status("b").held_by == "Ann"
    assert "Ann paused it: wrong owner" in visitor.text("/batches/b")
    assert visitor.post("/logout").status_code == 303
    assert visitor.get("/batches/b").status_code == 303


def test_a_cookie_is_good_for_its_token_and_its_time_alone() -> None:
    now = 1_800_000_000.0
    access = Access(TOKEN, clock=lambda: now)
    cookie = access.cookie("Ann")
    assert access.name_in(cookie) == "Ann"
    assert Access("another-token-of-16", clock=lambda: now).name_in(cookie) is None
    assert Access(TOKEN, clock=lambda: now + LOGIN_HOLDS + 1).name_in(cookie) is None
    written, _, signature = cookie.partition(".")
    forged = Access("another-token-of-16", clock=lambda: now).cookie("Eve").partition(".")[0]
    for wrong in (
        "",
        ".",
        "x",
        written,
        f"{written}.",
        f".{signature}",
        f"{forged}.{signature}",
        f"{cookie}x",
        "é.é",
        "a.b.c",
    ):
        assert access.name_in(wrong) is None, wrong


@pytest.mark.parametrize(
    "elsewhere",
    ["https://evil.example/", "//evil.example/", "/\\evil.example", "javascript:alert(1)", "evil", "/a\r\nx: y", ""],
)
def test_a_login_leads_nowhere_else(come: Come, elsewhere: str) -> None:
    answer = come(token=TOKEN).post("/login", {"token": TOKEN, "next": elsewhere})
    assert answer.headers["location"] == "/"


def test_a_script_comes_in_with_the_token_as_a_bearer(come: Come) -> None:
    visitor = come(token=TOKEN, client="10.0.0.9")
    assert visitor.get("/batches", authorization=f"Bearer {TOKEN}").status_code == 200
    assert visitor.get("/batches", authorization="Bearer another-token-of-16").status_code == 303
    assert visitor.get("/batches", authorization=f"Basic {TOKEN}").status_code == 303


def test_a_proxy_s_header_says_who_it_is(come: Come) -> None:
    visitor = come(trust_header="X-Forwarded-User", client="10.0.0.9")
    for path in visitor.routes("GET"):
        assert (visitor.get(path).status_code == 401) is (path not in OPEN), path
        assert path in OPEN or visitor.get(path, x_forwarded_user=" ").status_code == 401
    assert visitor.get("/batches", x_forwarded_user="ann@example.com").status_code == 200
    assert visitor.post("/batches/b/pause", x_forwarded_user="ann@example.com").status_code == 303
    assert visitor.crm.ledger.deeds.latest()[0].who == "ann@example.com"


def test_an_app_s_own_rule_says_who_it_is(come: Come) -> None:
    visitor = come(who=lambda headers: headers.get("x-session"), client="10.0.0.9")
    assert visitor.get("/batches").status_code == 401
    assert visitor.get("/batches", x_session="ben").status_code == 200
    assert visitor.post("/batches/b/cancel").status_code == 401
    assert not changed(visitor)


def test_on_this_machine_what_is_done_bears_its_user(come: Come) -> None:
    visitor = come()
    visitor.post("/batches/b/pause")
    assert visitor.crm.ledger.deeds.latest()[0].who == this_person()


# --- who made the request


@pytest.mark.parametrize(
    "of",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "none"},
        {"sec-fetch-site": "cross-site", "origin": "http://localhost"},
        {"origin": "https://evil.example"},
        {"origin": "http://localhost:9"},
        {"origin": "null"},
        {},
    ],
)
def test_a_button_on_another_page_does_nothing(come: Come, of: dict[str, str]) -> None:
    visitor = come()
    for path in visitor.routes("POST"):
        assert visitor.post(path, of=of).status_code == 403, path
    assert not changed(visitor)


@pytest.mark.parametrize("of", [SAME, {"origin": "http://localhost"}])
def test_a_button_of_ours_works(come: Come, of: dict[str, str]) -> None:
    visitor = come()
    assert visitor.post("/batches/b/pause", of=of).status_code == 303
    assert changed(visitor)


def test_nothing_is_changed_by_looking(come: Come) -> None:
    visitor = come()
    for path in visitor.routes("GET"):
        visitor.get(path)
    assert not changed(visitor)


@pytest.mark.parametrize(
    ("host", "answered"),
    [
        ("localhost", True),
        ("localhost:8640", True),
        ("127.0.0.1:8640", True),
        ("[::1]:8640", True),
        ("10.1.2.3", True),
        ("jobs.example.com", True),
        ("JOBS.example.com:443", True),
        ("evil.example", False),
        ("localhost.evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("", False),
        ("[", False),
    ],
)
def test_a_stranger_s_name_that_leads_here_is_not_answered(come: Come, host: str, answered: bool) -> None:
    visitor = come(hosts=["jobs.example.com"])
    for path in visitor.routes("GET"):
        assert (visitor.get(path, host=host).status_code != 400) is answered, path
    for path in visitor.routes("POST"):
        assert answered or visitor.post(path, host=host).status_code == 400, path


# --- read-only


def test_read_only_changes_nothing_at_any_address_and_shows_no_button(come: Come) -> None:
    visitor = come(read_only=True)
    for path in set(visitor.routes("POST")) - {"/login", "/logout"}:
        assert visitor.post(path).status_code == 403, path
    assert not changed(visitor)
    for path in set(visitor.routes("GET")) - {"/login"}:
        page = visitor.get(path).text
        assert 'method="post"' not in page, path


# --- what the browser is told


def test_every_answer_has_the_headers(come: Come) -> None:
    visitor = come()
    answers = [visitor.get(path) for path in [*visitor.routes("GET"), "/nothing", "/batches/none"]]
    answers += [
        visitor.post("/batches/b/pause", of={}),
        visitor.post("/batches"),
        visitor.get("/", host="evil.example"),
    ]
    answers += [visitor.client.request("TRACE", "/batches", headers=SAME)]
    for answer in answers:
        assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS
    assert "unsafe" not in HEADERS["content-security-policy"]


def test_no_template_needs_an_exception_from_the_policy() -> None:
    """No script or style in a page, and none in an attribute; nothing from outside."""
    for file in (files("massconvert.dashboard") / "templates").iterdir():
        text = file.read_text(encoding="utf-8")
        assert not re.search(r"<style|<script(?![^>]* src=)|\sstyle=|\son[a-z]+=|javascript:", text), file
        assert not re.search(r"(src|href|action)=\"https?:", text), file
        assert "| safe" not in text
    for name in ("page.css", "page.js"):
        text = (files("massconvert.dashboard") / "static" / name).read_text(encoding="utf-8")
        assert "http" not in text.replace("HTTP", "")
        assert "innerHTML" not in text
