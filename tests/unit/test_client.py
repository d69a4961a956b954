"""Every call ends in one value, carries the token to Zoho alone, and is made once."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
import responses
import urllib3
from pydantic import SecretStr

from massconvert.errors import SettingsError
from massconvert.model import (
    Accepted,
    JobStatus,
    LeadsRead,
    LeadState,
    NotSent,
    PerhapsAccepted,
    Progress,
    Refused,
    Unsent,
)
from massconvert.zoho.answers import Body
from massconvert.zoho.client import ZohoClient
from massconvert.zoho.oauth import Token
from massconvert.zoho.transport import MAX_BODY, Transport

API = "https://www.zohoapis.com"
URL = f"{API}/crm/v8/Leads/actions/mass_convert"
SECRET = "1000.fake-access-token"
LEADS = ["3652397000009850001", "3652397000009851001"]
JOB = "3652397000009835020"


class Tokens:
    """Hands out one token, or says why there is none; remembers what was discarded."""

    def __init__(self) -> None:
        self.token: Token | NotSent = Token(SecretStr(SECRET), API)
        self.discarded: list[Token] = []

    def get(self) -> Token | NotSent:
        return self.token

    def discard(self, token: Token) -> None:
        self.discarded.append(token)


@pytest.fixture
def tokens() -> Tokens:
    return Tokens()


@pytest.fixture
def client(tokens: Tokens) -> ZohoClient:
    return ZohoClient(tokens, Transport(connect_timeout=5, deadline=30), "v8")


@responses.activate
def test_a_payload_is_posted_as_the_api_page_says(client: ZohoClient) -> None:
    responses.post(URL, json={"code": "SUCCESS", "details": {"job_id": JOB}, "message": "", "status": "success"})
    options = {"Deals": {"Deal_Name": "Überholung", "Amount": 10000}, "assign_to": {"id": "5"}}
    assert client.mass_convert(LEADS, options) == Accepted(JOB)
    (call,) = responses.calls
    assert call.request.headers["Authorization"] == f"Zoho-oauthtoken {SECRET}"
    assert call.request.headers["Content-Type"] == "application/json"
    body = call.request.body
    assert isinstance(body, bytes)
    assert json.loads(body) == {"ids": LEADS, **options}
    assert "Überholung".encode() in body


@responses.activate
def test_a_jobs_status_is_asked_for_by_its_id(client: ZohoClient) -> None:
    responses.get(URL, json={"data": [{"Status": "COMPLETED", "Total_Count": 2, "Converted_Count": 2}]})
    assert client.job_status(JOB) == JobStatus(Progress.COMPLETED, 2, 2, 0, 0)
    assert parse_qs(urlsplit(str(responses.calls[0].request.url)).query) == {"job_id": [JOB]}


@responses.activate
def test_leads_are_read_converted_or_not_with_their_native_fields(client: ZohoClient) -> None:
    responses.get(f"{API}/crm/v8/Leads", json={"data": [{"id": LEADS[0], "Converted__s": False}]})
    assert client.read_leads(LEADS) == LeadsRead({LEADS[0]: LeadState(LEADS[0], False)})
    query = parse_qs(urlsplit(str(responses.calls[0].request.url)).query)
    assert query["ids"] == [",".join(LEADS)]
    assert query["converted"] == ["both"]
    assert query["fields"][0].split(",")[:2] == ["Converted__s", "Converted_Date_Time"]


@responses.activate
def test_an_empty_read_is_a_204(client: ZohoClient) -> None:
    responses.get(f"{API}/crm/v8/Leads", status=204)
    assert client.read_leads(LEADS) == LeadsRead({})


@responses.activate
@pytest.mark.parametrize("status", [200, 500])
def test_any_answer_of_the_last_quarter_of_an_hour_tells_zohos_clock(
    client: ZohoClient, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    ours = [1000.0]
    monkeypatch.setattr("massconvert.zoho.client.steady", lambda: ours[0])
    assert client.clock() is None
    responses.get(f"{API}/crm/v8/org", status=status, json={}, headers={"Date": "Fri, 15 Jan 2027 08:00:00 GMT"})
    client.get("org")
    ours[0] += 60.0
    assert client.clock() == 1_800_000_000.0 + 60.0 - 3.0
    ours[0] += 900.0
    assert client.clock() is None


@responses.activate
def test_any_other_get_gives_its_json(client: ZohoClient) -> None:
    responses.get(f"{API}/crm/v8/org", json={"org": [{"id": "1"}]})
    assert client.get("org") == Body({"org": [{"id": "1"}]})


@responses.activate
def test_without_a_token_nothing_is_sent(client: ZohoClient, tokens: Tokens) -> None:
    tokens.token = NotSent(Unsent.NO_TOKEN, "away")
    assert client.mass_convert(LEADS, {}) == tokens.token
    assert not responses.calls


@pytest.mark.parametrize("code", ["INVALID_TOKEN", "AUTHENTICATION_FAILURE", "INVALID_OAUTHTOKEN"])
@responses.activate
def test_a_refused_token_is_discarded_and_the_refusal_returned(client: ZohoClient, tokens: Tokens, code: str) -> None:
    responses.post(URL, status=401, json={"code": code, "details": {}, "message": "no", "status": "error"})
    assert client.mass_convert(LEADS, {}) == Refused(401, code, "no")
    assert tokens.discarded == [tokens.token]


@responses.activate
def test_a_missing_scope_does_not_cost_the_token(client: ZohoClient, tokens: Tokens) -> None:
    error = {"code": "OAUTH_SCOPE_MISMATCH", "details": {}, "message": "no", "status": "error"}
    responses.post(URL, status=401, json=error)
    assert isinstance(client.mass_convert(LEADS, {}), Refused)
    assert not tokens.discarded


def dropped(reason: Exception) -> Exception:
    return requests.ConnectionError(urllib3.exceptions.MaxRetryError(None, "/x", reason))  # type: ignore[arg-type]  # a pool is of no use here


@pytest.mark.parametrize(
    "error",
    [
        requests.ConnectTimeout("slow"),
        dropped(urllib3.exceptions.NewConnectionError(None, "Connection refused")),  # type: ignore[arg-type]  # as above
        dropped(urllib3.exceptions.ConnectTimeoutError("slow")),
        requests.exceptions.ProxyError(
            urllib3.exceptions.MaxRetryError(
                None,  # type: ignore[arg-type]  # as above
                "/x",
                urllib3.exceptions.ProxyError("no", urllib3.exceptions.NewConnectionError(None, "x")),  # type: ignore[arg-type]  # as above
            )
        ),
        requests.exceptions.InvalidURL("bad"),
    ],
)
@responses.activate
def test_what_says_that_it_never_connected_is_surely_not_sent(client: ZohoClient, error: Exception) -> None:
    responses.post(URL, body=error)
    answer = client.mass_convert(LEADS, {})
    assert isinstance(answer, NotSent)
    assert answer.why is Unsent.CONNECT
    assert len(responses.calls) == 1


@pytest.mark.parametrize(
    "error",
    [
        requests.ReadTimeout("slow"),
        requests.ConnectionError(urllib3.exceptions.ProtocolError("Connection aborted.", ConnectionResetError(104))),
        requests.exceptions.ChunkedEncodingError("broken"),
        requests.exceptions.ContentDecodingError("broken"),
        requests.exceptions.SSLError("bad record mac"),
        requests.exceptions.ProxyError("broken"),
        requests.RequestException("whatever"),
        urllib3.exceptions.IncompleteRead(1, 2),
        ConnectionResetError(104),
        OSError("whatever"),
        ValueError("whatever"),
    ],
)
@responses.activate
def test_what_does_not_say_so_is_perhaps_accepted(client: ZohoClient, error: Exception) -> None:
    responses.post(URL, body=error)
    assert isinstance(client.mass_convert(LEADS, {}), PerhapsAccepted)
    assert len(responses.calls) == 1


@responses.activate
def test_an_endless_body_is_not_read_to_its_end(client: ZohoClient) -> None:
    responses.post(URL, body=b"x" * (MAX_BODY + 1))
    answer = client.mass_convert(LEADS, {})
    assert isinstance(answer, PerhapsAccepted)
    assert str(MAX_BODY) in answer.detail


@responses.activate
def test_a_redirect_is_not_followed(client: ZohoClient) -> None:
    elsewhere = responses.post("https://evil.example/x", json={})
    responses.post(URL, status=307, headers={"Location": "https://evil.example/x"})
    assert isinstance(client.mass_convert(LEADS, {}), PerhapsAccepted)
    assert elsewhere.call_count == 0


@responses.activate
def test_netrc_does_not_replace_the_token(client: ZohoClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine www.zohoapis.com login me password hunter2\n")
    monkeypatch.setenv("NETRC", str(netrc))
    responses.post(URL, json={})
    client.mass_convert(LEADS, {})
    assert responses.calls[0].request.headers["Authorization"] == f"Zoho-oauthtoken {SECRET}"


@responses.activate
def test_cookies_are_not_kept(client: ZohoClient) -> None:
    responses.get(f"{API}/crm/v8/org", json={}, headers={"Set-Cookie": "session=1"})
    client.get("org")
    client.get("org")
    assert "Cookie" not in responses.calls[1].request.headers


@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_certificates_that_are_not_there_are_told_at_the_start(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "/nowhere/ca.pem")
    with pytest.raises(SettingsError, match=name):
        Transport(connect_timeout=5, deadline=30)


@responses.activate
def test_a_proxy_of_the_environment_is_used_but_not_for_loopback(
    tokens: Tokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    used: list[dict[str, Any]] = []
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.example:3128")
    transport = Transport(connect_timeout=5, deadline=30)
    send: Callable[..., Any] = transport._adapter.send

    def watched(*args: Any, **kwargs: Any) -> Any:
        used.append(kwargs["proxies"])
        return send(*args, **kwargs)

    monkeypatch.setattr(transport._adapter, "send", watched)
    responses.get(f"{API}/x", json={})
    responses.get("http://127.0.0.1:9000/x", json={})
    transport.exchange("GET", f"{API}/x", headers={})
    transport.exchange("GET", "http://127.0.0.1:9000/x", headers={})
    assert used[0]["https"] == "http://proxy.example:3128"
    assert not used[1]


@responses.activate
def test_no_secret_is_in_an_answer_or_a_log(
    client: ZohoClient, tokens: Tokens, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    responses.post(URL, body=requests.ConnectionError("broken"))
    said = [client.mass_convert(LEADS, {})]
    tokens.token = Token(SecretStr(f"{SECRET}\r\nX-Evil: 1"), API)
    said.append(client.mass_convert(LEADS, {}))
    assert isinstance(said[1], NotSent)
    assert SECRET not in f"{said} {caplog.text}"
