"""The simulator over real HTTP: what a client meets on the wire, in this process and as a command."""

from __future__ import annotations

import http.client
import io
import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest

from massconvert.simulator import Credentials, Rules, Simulator, SimulatorError, run
from massconvert.simulator.command import main

pytestmark = pytest.mark.integration
MASS_CONVERT = "/crm/v8/Leads/actions/mass_convert"
POST = "POST mass_convert"


class Client:
    """A client with one kept connection and a token."""

    def __init__(self, url: str) -> None:
        self.connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=20)
        form = {"client_id": "c", "client_secret": "s", "refresh_token": "r", "grant_type": "refresh_token"}
        _, answer = self.call("POST", "/oauth/v2/token", urlencode(form).encode())
        self.token = answer
        self.headers = {"Authorization": f"Zoho-oauthtoken {answer['access_token']}"}

    headers: dict[str, str] = {}  # noqa: RUF012 - none before there is a token

    def call(self, method: str, path: str, body: bytes | None = None) -> tuple[int, Any]:
        """Status and JSON (None: no body)."""
        self.connection.request(method, path, body, self.headers)
        answer = self.connection.getresponse()
        content = answer.read()
        return answer.status, json.loads(content) if content else None

    def post(self, ids: list[str]) -> tuple[int, Any]:
        """POST mass_convert."""
        return self.call("POST", MASS_CONVERT, json.dumps({"ids": ids}).encode())


@pytest.fixture
def make_client() -> Iterator[Callable[[str], Client]]:
    """Makes clients whose connections are closed in the end."""
    made: list[Client] = []

    def make(url: str) -> Client:
        made.append(Client(url))
        return made[-1]

    yield make
    for client in made:
        client.connection.close()


MakeClient = Callable[[str], Client]


def until(condition: Callable[[], bool]) -> None:
    """Wait for something in another thread that tells nobody."""
    give_up = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < give_up
        time.sleep(0.01)


def test_a_mass_convert_from_token_to_truth(make_client: MakeClient) -> None:
    with Simulator(100, job_seconds=0) as sim:
        client = make_client(sim.url)
        assert client.token["api_domain"] == sim.url
        status, answer = client.post(sim.lead_ids()[:50])
        assert (status, answer["code"]) == (200, "SCHEDULED")
        status, answer = client.call("GET", f"{MASS_CONVERT}?job_id={answer['details']['job_id']}")
        assert answer["data"][0]["Converted_Count"] == 50
        query = urlencode({"ids": ",".join(sim.lead_ids()), "fields": "Converted__s", "converted": "true"})
        status, answer = client.call("GET", f"/crm/v8/Leads?{query}")
        assert len(answer["data"]) == 50
        assert sim.calls() == {"POST token": 1, POST: 1, "GET mass_convert": 1, "GET Leads": 1}
        assert sum(known["conversions"] for known in sim.truth().values()) == 50


def test_an_empty_answer_has_no_body_and_keeps_the_connection(make_client: MakeClient) -> None:
    with Simulator(2, unknown=2) as sim:
        client = make_client(sim.url)
        kept = client.connection.sock
        assert client.call("GET", "/crm/v8/Leads?fields=id") == (204, None)
        assert client.call("GET", "/crm/v8/org")[0] == 200
        assert client.connection.sock is kept


# --- what faults do on the wire ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "breaks_with"),
    [
        ({"do": "reset"}, ConnectionResetError),
        ({"do": "drop"}, http.client.RemoteDisconnected),
        ({"do": "hang", "seconds": 0.1}, http.client.RemoteDisconnected),
        ({"do": "cut"}, http.client.IncompleteRead),
        ({"do": "garbage"}, json.JSONDecodeError),
    ],
)
def test_a_lost_answer_was_carried_out_all_the_same(
    fault: dict[str, Any], breaks_with: type[Exception], make_client: MakeClient
) -> None:
    after = {} if fault["do"] == "cut" else {"when": "after"}
    with Simulator(10, job_seconds=0, faults=[{"method": POST, **after, **fault}]) as sim:
        client = make_client(sim.url)
        with pytest.raises(breaks_with) as caught:
            client.post(sim.lead_ids()[:1])
        assert type(caught.value) is breaks_with
        assert sim.truth()[sim.lead_ids()[0]]["converted"]
        assert sum(sim.fired().values()) == 1


def test_a_reset_before_the_effect_leaves_no_trace_but_in_the_counts(make_client: MakeClient) -> None:
    with Simulator(10, faults=[{"method": POST, "do": "reset", "times": 1}]) as sim:
        client = make_client(sim.url)
        with pytest.raises(ConnectionResetError):
            client.post(sim.lead_ids()[:1])
        assert sim.truth()[sim.lead_ids()[0]]["submissions"] == 0
        assert sim.calls()[POST] == 1
        client.connection.close()
        assert client.post(sim.lead_ids()[:1])[0] == 200


def test_a_hang_ends_when_the_client_has_had_enough_and_holds_no_place(make_client: MakeClient) -> None:
    with Simulator(10, rules=Rules(concurrency=1), faults=[{"method": POST, "do": "hang", "seconds": 500}]) as sim:
        client, other = make_client(sim.url), make_client(sim.url)
        client.connection.timeout = 0.2
        client.connection.close()
        with pytest.raises(TimeoutError):
            client.post(sim.lead_ids()[:1])
        assert other.call("GET", "/crm/v8/org")[0] == 200


@pytest.mark.parametrize(("method", "rest"), [("GET", {"latency": 300}), ("POST", {})])
def test_closing_waits_for_nothing_that_hangs(method: str, rest: dict[str, Any], make_client: MakeClient) -> None:
    """Neither for a call that takes its time nor for one that never answers; both end without an answer."""
    sim = Simulator(10, faults=[{"method": POST, "do": "hang", "seconds": 500}], **rest).start()
    client, broken = make_client(sim.url), threading.Event()

    def ask() -> None:
        with pytest.raises((OSError, http.client.HTTPException)):
            client.call(method, MASS_CONVERT)
        broken.set()

    asking = threading.Thread(target=ask)
    asking.start()
    until(lambda: sum(sim.calls().values()) == 2)
    began = time.monotonic()
    sim.close()
    assert time.monotonic() - began < 20
    asking.join(10)
    assert broken.is_set()


def test_an_answer_may_trickle(make_client: MakeClient) -> None:
    with Simulator(10, faults=[{"method": "GET org", "do": "trickle", "seconds": 0.5}]) as sim:
        client = make_client(sim.url)
        began = time.monotonic()
        status, answer = client.call("GET", "/crm/v8/org")
        assert time.monotonic() - began > 0.4
        assert (status, len(answer["org"])) == (200, 1)


def test_calls_that_take_their_time_fill_the_limit_and_the_next_is_refused(make_client: MakeClient) -> None:
    sim = Simulator(10, latency=300, rules=Rules(concurrency=4)).start()
    clients = [make_client(sim.url) for _ in range(5)]

    def ask(client: Client) -> None:
        with pytest.raises((OSError, http.client.HTTPException)):
            client.call("GET", "/crm/v8/org")

    with ThreadPoolExecutor(4) as pool:
        running = [pool.submit(ask, client) for client in clients[:4]]
        until(lambda: sim.load()["now"] == 4)
        assert clients[4].call("GET", "/crm/v8/org")[0] == 429
        sim.close()
        for call in running:
            call.result(10)
    load = sim.load()
    assert (load["highest"], load["throttled"], load["now"]) == (4, 1, 0)


def test_latency_is_how_long_a_call_takes(make_client: MakeClient) -> None:
    with Simulator(10, latency=0.1) as sim:
        client = make_client(sim.url)
        began = time.monotonic()
        assert client.call("GET", "/crm/v8/org")[0] == 200
        assert time.monotonic() - began > 0.09


def test_within_the_limit_no_call_is_refused_however_fast_they_follow(make_client: MakeClient) -> None:
    """The place of a call is free before its client has the answer."""
    with Simulator(10, rules=Rules(concurrency=4)) as sim:
        clients = [make_client(sim.url) for _ in range(4)]

        def many(client: Client) -> set[int]:
            return {client.call("GET", "/crm/v8/org")[0] for _ in range(100)}

        with ThreadPoolExecutor(4) as pool:
            assert set().union(*pool.map(many, clients)) == {200}
        assert sim.calls()["GET org"] == 400


# --- broken clients ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 70_000 + b"\r\n\r\n", b" 431 "),
        (b"POST /oauth/v2/token HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n", b" 413 "),
        (b"POST /oauth/v2/token HTTP/1.1\r\nHost: x\r\nContent-Length: \xb2\r\n\r\n", b" 413 "),
        (b"POST /oauth/v2/token HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", b" 413 "),
        (b"HEAD /crm/v8/org HTTP/1.1\r\nHost: x\r\n\r\n", b" 501 "),
    ],
)
def test_what_is_no_call_is_refused_and_the_simulator_goes_on(sent: bytes, status: bytes) -> None:
    with Simulator(1) as sim:
        address = urlsplit(sim.url)
        with socket.create_connection((str(address.hostname), address.port or 0), timeout=10) as client:
            client.sendall(sent)
            client.shutdown(socket.SHUT_WR)
            assert status in client.makefile("rb").read(200)
        with socket.create_connection((str(address.hostname), address.port or 0), timeout=10) as client:
            client.sendall(b"GET /__simulator__/health HTTP/1.0\r\n\r\n")
            assert client.makefile("rb").read().endswith(b'{"status": "ok"}')


# --- its own pages, and starting it -----------------------------------------------------------------------


def test_another_process_can_ask_and_set_what_a_test_wants(make_client: MakeClient) -> None:
    with Simulator(5, unknown=1) as sim:
        client = make_client(sim.url)

        def page(name: str, method: str = "GET", body: Any = None) -> tuple[int, Any]:
            return client.call(method, f"/__simulator__/{name}", None if body is None else json.dumps(body).encode())

        assert page("leads") == (200, sim.lead_ids())
        assert page("truth") == (200, sim.truth())
        rule = {"method": "GET org", "do": "status", "status": 500, "name": "mine"}
        assert page("faults", "PUT", [rule]) == (200, [{**rule, "fired": 0}])
        assert client.call("GET", "/crm/v8/org")[0] == 500
        assert page("faults") == (200, [{**rule, "fired": 1}])
        assert page("fired") == (200, {"mine": 1})
        status, answer = page("faults", "PUT", [{**rule, "tims": 1}])
        assert status == 400
        assert "fault rule 1 (status): unknown key 'tims'" in answer["error"]
        assert client.call("PUT", "/__simulator__/faults", b"{")[0] == 400
        assert page("fired") == (200, {"mine": 1})
        assert page("calls") == (200, {"POST token": 1, "GET org": 1})
        assert page("load")[1]["highest"] == 1
        assert page("nothing")[0] == 404
        assert page("truth", "PUT", {})[0] == 405


def test_another_process_can_do_what_people_do_in_zoho_s_pages(make_client: MakeClient) -> None:
    with Simulator(3) as sim:
        client, (first, second, third) = make_client(sim.url), sim.lead_ids()

        def put(name: str, body: Any) -> int:
            return client.call("PUT", f"/__simulator__/{name}", json.dumps(body).encode())[0]

        assert put("converted_by_hand", [first]) == put("deleted", [second]) == 200
        truth = sim.truth()
        assert {lead: truth[lead]["converted"] for lead in truth} == {first: True, third: False}
        assert put("converted_by_hand", [second]) == put("deleted", third) == 400
        assert client.call("GET", "/__simulator__/deleted")[0] == 405


def test_another_process_can_put_in_who_is_a_customer_already_and_see_who_was_linked(make_client: MakeClient) -> None:
    with Simulator(3, job_seconds=0) as sim:
        client, lead = make_client(sim.url), sim.lead_ids()[0]

        def page(name: str, method: str = "GET", body: Any = None) -> Any:
            status, answer = client.call(method, f"/__simulator__/{name}", json.dumps(body).encode() if body else None)
            return answer if status == 200 else (status, answer["error"])

        page("leads", "PUT", {lead: {"Email": "ann@example.com", "Company": "Acme", "Last_Name": "Ng"}})
        page("accounts", "PUT", [{"id": "1", "Account_Name": "Acme"}])
        page("contacts", "PUT", [{"id": "2", "Last_Name": "Ng", "Email": "ann@example.com", "Account_Name": "1"}])
        body = {"data": [{"Accounts": {"id": "1"}, "Contacts": {"id": "2"}}]}
        status, _ = client.call("POST", f"/crm/v8/Leads/{lead}/actions/convert", json.dumps(body).encode())
        assert status == 200
        assert page("contacts")["2"]["leads"] == page("accounts")["1"]["leads"] == [lead]
        assert page("deals") == {}
        assert page("behaviour", "PUT", {"duplicates": "link_both"})["duplicates"] == "link_both"
        assert page("behaviour", "PUT", {"duplicate": "create"})[0] == 400
        assert page("contacts", "PUT", [{"Nonsense": 1}])[0] == 400
        assert page("hidden", "PUT", ["2"]) == {}
        assert client.call("GET", "/crm/v8/Contacts?ids=2&fields=Email") == (204, None)


def test_the_environment_points_a_worker_at_it() -> None:
    with Simulator(1) as sim:
        environment = sim.environment()
        assert environment["ZOHO_ACCOUNTS_URL"] == environment["ZOHO_API_DOMAIN"] == sim.url
        assert "not-a" in environment["ZOHO_CLIENT_SECRET"]
    with Simulator(1, credentials=Credentials("id", "not-secret", "not-token")) as sim:
        assert sim.environment()["ZOHO_REFRESH_TOKEN"] == "not-token"


def test_a_taken_port_is_one_line() -> None:
    with Simulator(1) as sim:
        port = urlsplit(sim.url).port or 0
        with pytest.raises(SimulatorError, match=rf"cannot listen on 127\.0\.0\.1 port {port}: Address already in use"):
            Simulator(1, port=port).start()
        with pytest.raises(SimulatorError, match="cannot listen"):
            Simulator(1, port=70000).start()


def test_a_simulator_that_is_closed_leaves_no_thread_and_no_port(make_client: MakeClient) -> None:
    before = threading.active_count()
    sim = Simulator(1).start()
    make_client(sim.url)
    url = sim.url
    sim.close()
    sim.close()
    until(lambda: threading.active_count() == before)
    with pytest.raises(OSError, match="refused"):
        Client(url)
    with pytest.raises(SimulatorError, match="has not been started"):
        assert sim.url


def start(*arguments: str, cwd: Path | None = None) -> tuple[subprocess.Popen[str], dict[str, str]]:
    """The command, and the environment that it printed."""
    command = [sys.executable, "-m", "massconvert", "simulator", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=cwd)
    assert process.stdout
    lines = [process.stdout.readline().strip() for _ in range(5)]
    return process, dict(line.split("=", 1) for line in lines)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_the_command_prints_its_environment_and_ends_when_told(
    how: signal.Signals, tmp_path: Path, make_client: MakeClient
) -> None:
    faults = tmp_path / "faults.json"
    faults.write_text('[{"method": "GET org", "do": "status", "status": 503}]')
    credentials = ("--credentials", "c", "s", "r")
    process, environment = start("--leads", "7", "--unknown", "2", "--faults", str(faults), *credentials)
    try:
        assert environment["ZOHO_REFRESH_TOKEN"] == "r"
        client = make_client(environment["ZOHO_API_DOMAIN"])
        assert client.call("GET", "/crm/v8/org")[0] == 503
        assert len(client.call("GET", "/__simulator__/leads")[1]) == 7
        assert len(client.call("GET", "/__simulator__/truth")[1]) == 5
        process.send_signal(how)
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.communicate(timeout=10)


def test_the_command_tells_each_call_and_at_its_end_which_faults_struck(
    tmp_path: Path, make_client: MakeClient
) -> None:
    (tmp_path / "faults.json").write_text(
        json.dumps(
            [
                {"name": "busy", "method": "GET org", "do": "status", "status": 429, "times": 2},
                {"name": "never", "method": "GET users", "do": "reset"},
            ]
        )
    )
    process, environment = start(
        *("--leads", "3", "--unknown", "1", "--faults", "faults.json", "--log", "--write-leads", "leads.csv"),
        *("--without-scope", "zohocrm.coql.read"),
        cwd=tmp_path,
    )
    try:
        client = make_client(environment["ZOHO_API_DOMAIN"])
        assert client.call("GET", "/crm/v8/org")[0] == 429
        status, answer = client.call("POST", "/crm/v8/coql", b'{"select_query": "select id from Leads"}')
        assert (status, answer["code"]) == (401, "OAUTH_SCOPE_MISMATCH")
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
    finally:
        process.kill()
        process.wait(10)
    assert "GET org  429 TOO_MANY_REQUESTS   fault: busy\n" in err
    assert "POST coql  401 OAUTH_SCOPE_MISMATCH\n" in err
    assert err.splitlines()[-2:] == ["fault busy: struck 1 of 2", "fault never: struck 0"]
    assert "access_token" not in err
    rows = (tmp_path / "leads.csv").read_text().splitlines()
    assert rows[0] == "id,Company,Last_Name,First_Name,Email"
    assert len(rows) == 4
    (tmp_path / "leads.csv").write_text("mine\n")
    assert main(["--write-leads", str(tmp_path / "leads.csv")]) == 2
    assert (tmp_path / "leads.csv").read_text() == "mine\n"


def test_what_the_command_cannot_do_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    faults = tmp_path / "faults.json"
    faults.write_text('[{"method": "GET org", "do": "explode"}]')
    assert main(["--faults", str(faults)]) == 2
    assert main(["--faults", str(tmp_path / "none.json")]) == 2
    assert main(["--leads", "1", "--unknown", "2"]) == 2
    with Simulator(1) as sim:
        assert main(["--port", str(urlsplit(sim.url).port)]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 4
    assert "fault rule 1: 'do' must be one of status" in lines[0]
    assert "Address already in use" in lines[3]
    assert main(["--leads", "-1"]) == 2
    assert main(["--without-scope", "nonsense"]) == 2
    assert "ZohoCRM.coql.READ" in capsys.readouterr().err


def test_run_can_be_stopped_and_puts_the_signals_back() -> None:
    stop, out = threading.Event(), io.StringIO()
    stop.set()
    before = signal.getsignal(signal.SIGTERM)
    run(["--leads", "1"], out=out, stop=stop)
    assert signal.getsignal(signal.SIGTERM) is before
    assert out.getvalue().splitlines()[-1].startswith("ZOHO_API_DOMAIN=http://127.0.0.1:")
