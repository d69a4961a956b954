"""Traces, end to end: a producer with Celery alone, real workers that are killed, an OTLP receiver over loopback."""

from __future__ import annotations

import gzip
import json
import os
import signal
import threading
from collections import Counter, defaultdict
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from celery import Celery
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.acceptance.house import OPTIONS, SHORT_LEASES, House, until

pytestmark = pytest.mark.acceptance

APP = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7")


class Receiver:
    """Takes spans as a collector does."""

    def __init__(self) -> None:
        self.spans: list[Any] = []
        self.services: set[str] = set()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                receiver.take(self.path, body)
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def take(self, path: str, body: bytes) -> None:
        assert path == "/v1/traces"
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            named = {each.key: each.value.string_value for each in resource.resource.attributes}
            self.services.add(named["service.name"])
            for scope in resource.scope_spans:
                self.spans += scope.spans

    def named(self, name: str) -> list[Any]:
        return [span for span in self.spans if span.name == name]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.server.shutdown()
    made.server.server_close()


def said(span: Any, name: str) -> Any:
    """An attribute of a span."""
    (value,) = (each.value for each in span.attributes if each.key == name)
    return getattr(value, value.WhichOneof("value"))


def test_a_message_of_celery_is_followed_into_payloads_whose_worker_is_killed(house: House, receiver: Receiver) -> None:
    house.environment |= {
        "MASSCONVERT_TRACES": "yes",
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url,
        "OTEL_BSP_SCHEDULE_DELAY": "100",
        **SHORT_LEASES,
    }
    house.redis()
    house.simulator("--leads", "100", "--job-seconds", "0.3", "--latency", "0.3")
    first = house.worker("first")
    app = Celery(broker=house.environment.get("CELERY_BROKER_URL") or house.redis_url)
    kwargs = {"lead_ids": house.leads(), "options": OPTIONS, "key": "traced"}
    headers = {"traceparent": f"00-{APP[0]}-{APP[1]}-01"}
    app.send_task("massconvert.enqueue", kwargs=kwargs, queue="massconvert", headers=headers)
    app.close()
    # The first worker is killed with a payload at Zoho; what it sent before is here.
    until(lambda: receiver.named("send massconvert"), 30, "the enqueue's span")
    until(lambda: house.calls("POST mass_convert") >= 1, 30, "a call")
    house.kill(first)
    second = house.worker("second")
    batch = house.producer().batch("traced")
    until(lambda: batch.progress().finished, 90, "the batch")
    until(lambda: len(receiver.named("process massconvert")) >= 2, 15, "the payloads' spans")
    house.kill(second, signal.SIGTERM)  # and it sends what is left

    (sent,) = receiver.named("send massconvert")
    assert (sent.trace_id.hex(), sent.parent_span_id.hex()) == APP
    assert receiver.services == {"massconvert"}
    payloads = receiver.named("process massconvert")
    assert sum(said(span, "massconvert.converted") for span in payloads) == 100
    assert all([link.span_id for link in span.links] == [sent.span_id] for span in payloads)
    roots = {span.trace_id: span.span_id for span in payloads}
    steps = [span for span in receiver.spans if span.name in ("send", "follow", "settle")]
    assert all(roots[span.trace_id] == span.parent_span_id for span in steps)
    assert {span.trace_id for span in steps} == set(roots)
    posts = receiver.named("POST /crm/v8/Leads/actions/mass_convert")
    calls = Counter(said(span, "http.request.method") for span in receiver.spans if span.kind == span.SPAN_KIND_CLIENT)
    # At most what the killed worker had under way is missing.
    assert len(posts) <= house.calls("POST mass_convert") <= len(posts) + 2
    assert calls["GET"] >= 2


def scraped(places: Path) -> dict[str, float]:
    """The metrics of all processes that have written where theirs are, added up."""
    found: dict[str, float] = defaultdict(float)
    for place in places.glob("metrics-*.json"):
        ((target,),) = (entry["targets"] for entry in json.loads(place.read_text(encoding="utf-8")))
        with urlopen(f"http://{target}/metrics", timeout=5) as answer:
            lines = answer.read().decode().splitlines()
        for line in lines:
            if not line.startswith("#"):
                name, _, number = line.rpartition(" ")
                found[name] += float(number)
    return found


def test_each_of_several_processes_has_traces_and_metrics_of_its_own(house: House, receiver: Receiver) -> None:
    """Celery tells the parent alone that a worker is ready; the calls are made by its children."""
    states = house.folder / "state"
    house.environment |= {
        "MASSCONVERT_TRACES": "yes",
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url,
        "MASSCONVERT_METRICS_PORT": "0",
        "MASSCONVERT_STATE_DIR": str(states),
    }
    house.redis()
    house.simulator("--leads", "200", "--job-seconds", "0.3", "--latency", "0.2")
    worker = house.worker("forked", "-P", "processes", "-c", "3")
    batch = house.producer().enqueue(house.leads(), OPTIONS, key="forked")
    until(lambda: batch.progress().finished, 60, "the batch")
    until(lambda: len(list(states.glob("metrics-*.json"))) == 4, 10, "the worker's metrics and its processes'")
    found = scraped(states)
    counts = {
        kind: found[f'massconvert_worker_call_duration_seconds_count{{kind="{kind}"}}'] for kind in ("post", "status")
    }
    assert counts == {"post": house.calls("POST mass_convert"), "status": house.calls("GET mass_convert")}
    assert found["massconvert_worker_threads"] == 3
    os.kill(worker.pid, signal.SIGTERM)  # not its children: they are told by it
    worker.wait(40)
    assert list(states.glob("metrics-*.json")) == []
    payloads = receiver.named("process massconvert")
    assert sum(said(span, "massconvert.converted") for span in payloads) == 200
    assert len(receiver.named("POST /crm/v8/Leads/actions/mass_convert")) == house.calls("POST mass_convert")
    assert "Traceback" not in house.logs()
