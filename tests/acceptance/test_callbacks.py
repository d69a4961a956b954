"""Who wants to know that a batch has finished is told: a real web hook, a real queue, real workers."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from celery import Celery

from massconvert.callbacks import DELIVERY_HEADER, SIGNATURE_HEADER, verify_webhook
from tests.acceptance.house import OPTIONS, House, until

pytestmark = pytest.mark.acceptance
SECRET = "a-secret-of-this-test-alone"


class Shop:
    """A shop that is called over HTTP. ``answers`` are the statuses of its next answers (then 204); ``hold`` delays."""

    def __init__(self) -> None:
        self.answers: list[int] = []
        self.hold = threading.Event()
        self.hold.set()
        self.calls: list[dict[str, Any]] = []
        shop = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                genuine = verify_webhook(SECRET, body, self.headers.get(SIGNATURE_HEADER, ""))
                found = {"genuine": genuine, "header": self.headers.get(DELIVERY_HEADER, ""), **json.loads(body)}
                shop.calls.append(found)
                shop.hold.wait(120)
                self.send_response(shop.answers.pop(0) if shop.answers else 204)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/converted"

    def close(self) -> None:
        self.hold.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def shop() -> Iterator[Shop]:
    made = Shop()
    yield made
    made.close()


@pytest.fixture
def enqueue(house: House) -> Callable[..., None]:
    """Redis, a simulator with leads of which some do not exist, a worker; then enqueues with ``--on-complete``."""
    house.redis()
    house.simulator("--leads", "60", "--unknown", "3", "--job-seconds", "0.2")
    house.environment |= {"MASSCONVERT_WEBHOOK_SECRET": SECRET, "MASSCONVERT_WEBHOOK_ALLOW": "127.0.0.1"}
    house.worker()
    (house.folder / "o.json").write_text(json.dumps(OPTIONS))

    def run(key: str, leads: list[str], *whom: str) -> None:
        more = [word for each in whom for word in ("--on-complete", each)]
        done = house.command("enqueue", *leads, "--options", "o.json", "--key", key, *more)
        assert done.returncode == 0, done.stderr

    return run


def status(house: House, key: str) -> dict[str, Any]:
    """The counts of a batch, as scripts see them."""
    found = json.loads(house.command("status", key, "--json").stdout)
    for name in ("paused", "waits_for", "why"):  # of now, and not of the end
        found.pop(name)
    return dict(found)


def test_a_hook_and_a_task_are_told_the_counts_and_a_failed_call_is_made_again(
    house: House, enqueue: Callable[..., None], shop: Shop
) -> None:
    """With the same JSON as ``status`` prints, signed; a 500 and a 404 are tried again."""
    shop.answers = [500, 404]
    enqueue("k", house.leads(), shop.url, '{"task": "shop.converted", "queue": "shop", "args": [7]}')
    until(lambda: len(shop.calls) >= 3, 60, "the third call")
    expected = status(house, "k")
    assert (expected["state"], expected["converted"], expected["failed"]) == ("finished", 57, 3)
    assert all(call.pop("genuine") for call in shop.calls)
    assert all(call["header"] == call["delivery"] for call in shop.calls)
    assert len({call.pop("header") and call.pop("delivery") for call in shop.calls}) == 1  # three tries of one delivery
    assert shop.calls == [{name: expected[name] for name in shop.calls[0]}] * 3
    with Celery(broker=house.broker.url, set_as_current=False) as app, app.connection_for_read() as connection:
        queue = connection.SimpleQueue("shop")
        message = queue.get(timeout=20)
        message.ack()
        queue.close()
    assert message.headers["task"] == "shop.converted"
    summary, seven = message.payload[0]
    assert summary.pop("delivery")
    assert [summary, seven] == [{name: expected[name] for name in summary}, 7]
    log = (house.folder / "worker.log").read_text()
    assert "was not told: it answered HTTP 500. Again in" in log
    assert "/converted" not in log
    assert SECRET not in log


def test_a_hook_that_hangs_holds_up_no_lead_and_is_named_by_the_doctor(
    house: House, enqueue: Callable[..., None], shop: Shop
) -> None:
    """More batches than calls may run at once; the next batch goes through as ever."""
    leads = house.leads()
    shop.hold.clear()
    for number in range(6):
        enqueue(f"slow-{number}", [leads[number]], shop.url)
    until(lambda: len(shop.calls) >= 4, 60, "as many calls as may run at once")
    enqueue("quick", leads[10:12])
    until(lambda: status(house, "quick")["state"] == "finished", 20, "the next batch")
    until(lambda: "no answer within" in house.command("doctor", "--json").stdout, 60, "the doctor to say so")
    shop.hold.set()
    until(lambda: len({call["batch"] for call in shop.calls}) == 6, 90, "every batch to be told of")


@pytest.mark.slow
def test_a_worker_killed_while_it_calls_is_followed_by_another_that_calls_again(
    house: House, enqueue: Callable[..., None], shop: Shop
) -> None:
    """At least once, whatever dies: when the lease of the first call has ended."""
    shop.hold.clear()
    enqueue("k", house.leads()[:2], shop.url)
    until(lambda: shop.calls, 60, "the first call")
    house.kill(house.processes[-1])
    shop.hold.set()
    house.worker("second")
    until(lambda: len(shop.calls) >= 2, 100, "the second call")
    assert shop.calls[0] == shop.calls[1]


def test_a_wrong_on_complete_is_told_at_once_and_enqueues_nothing(house: House) -> None:
    """On the command line."""
    house.redis()
    done = house.command("enqueue", "--no-deal", "3652397000009850001", "--on-complete", "http://shop.example.com/x")
    assert done.returncode == 2
    assert "without https" in done.stderr
    assert json.loads(house.command("status", "--json").stdout)["batches"] == []


def test_a_hook_into_the_network_is_refused_and_status_says_where_it_can_be_allowed(
    house: House, enqueue: Callable[..., None], shop: Shop
) -> None:
    """An address is refused for good; a name is tried again, since it may lead elsewhere then."""
    del house.environment["MASSCONVERT_WEBHOOK_ALLOW"]
    house.kill(house.processes[-1])
    house.worker("guarded")
    enqueue("k", house.leads()[:2], shop.url, shop.url.replace("127.0.0.1", "localhost"), "shop.converted@shop")
    until(lambda: "not told" in house.command("status", "k").stdout, 30, "the refusal")
    until(lambda: "not_called" in house.command("status", "k", "--json").stdout, 20, "the refusal for good")
    (given_up,) = json.loads(house.command("status", "k", "--json").stdout)["not_called"]
    assert given_up["tries"] == 1
    assert "the address 127.0.0.1 is not of the public internet" in given_up["why"]
    shown = until(lambda: (text := house.command("status", "k").stdout).count("not told") == 2 and text, 20, "both")
    assert "MASSCONVERT_WEBHOOK_ALLOW" in shown
    assert "of localhost" in " ".join(shown.split())
    assert shop.calls == []
    for target in ("massconvert.convert@massconvert.convert", "celery.chord", "shop.converted@massconvert"):
        refused = house.command("enqueue", *house.leads()[:2], "--options", "o.json", "--on-complete", target)
        assert (refused.returncode, "on_complete names the" in refused.stderr) == (2, True)
