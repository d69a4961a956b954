"""Traces: one for a payload with links to its batches, a client span a call, nothing while idle, nothing when off."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

import workers.traces
from massconvert.model import Again, Call, NotSent, Unsent
from massconvert.settings import load_settings
from massconvert.telemetry import traces
from massconvert.testing import FakeCrm
from massconvert.testing.wire import InProcess
from massconvert.zoho.transport import Reply
from tests.acceptance.house import OPTIONS
from workers import lifecycle
from workers.log import OneObject

FIRST = 3652397000009850001
LOST = {"method": "POST mass_convert", "when": "after", "do": "status", "status": 500, "times": 1}
APP = "4bf92f3577b34da6a3ce929d0e0e4736"


class Seen:
    """The spans of a worker in this process."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.end = workers.traces.begin([SimpleSpanProcessor(self.exporter)])

    def all(self) -> tuple[ReadableSpan, ...]:
        return self.exporter.get_finished_spans()

    def of(self, kind: SpanKind) -> list[ReadableSpan]:
        return [span for span in self.all() if span.kind is kind]


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Iterator[Seen]:
    # The transport of these tests is the only one without sockets; the real one is wrapped where it is defined.
    monkeypatch.setattr(InProcess, "exchange", traces.calls(InProcess.exchange))
    found = Seen()
    yield found
    found.end()


def ids(number: int, first: int = 0) -> list[str]:
    return [str(FIRST + each) for each in range(first, first + number)]


def message(traceparent: str) -> Any:
    """A task's request with this header."""
    return SimpleNamespace(traceparent=traceparent)


def test_off_nothing_of_opentelemetry_is_loaded() -> None:
    rooms = "massconvert, massconvert.producer.mass_convert, massconvert.wiring, workers.lifecycle, tasks.enqueue"
    given = f"import sys, {rooms}\n"
    given += "print([name for name in sys.modules if name.startswith('opentelemetry')])"
    done = subprocess.run([sys.executable, "-c", given], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert traces.worker is None
    assert traces.traceparent() == ""


def test_a_payload_is_a_trace_with_links_to_its_batches_and_a_client_span_a_call(seen: Seen) -> None:
    crm = FakeCrm(faults=[LOST], by_itself=False)
    for place, number in ((0, 20), (20, 10)):
        crm.receive({"lead_ids": ids(number, place), "options": OPTIONS, "key": f"batch-{number}"}, "m")
    crm.work()
    first, second = seen.of(SpanKind.PRODUCER)
    assert [span.name for span in (first, second)] == ["send massconvert"] * 2
    assert first.attributes
    assert first.attributes["messaging.batch.message_count"] == 20
    assert first.attributes["massconvert.batch"] == "batch-20"
    (payload,) = seen.of(SpanKind.CONSUMER)
    assert (payload.name, payload.parent, payload.status.status_code) == ("process massconvert", None, StatusCode.UNSET)
    assert payload.attributes
    assert payload.attributes["massconvert.converted"] == 30
    links = {link.context.span_id: dict(link.attributes or {}) for link in payload.links}
    assert links == {
        span.context.span_id: {"massconvert.batch": f"batch-{number}", "massconvert.leads": number}
        for span, number in ((first, 20), (second, 10))
    }
    steps = seen.of(SpanKind.INTERNAL)
    assert {span.context.trace_id for span in steps} == {payload.context.trace_id}
    assert all(span.parent and span.parent.span_id == payload.context.span_id for span in steps)
    # The answer was lost: what was sent was read, in the same trace.
    assert [(span.name, span.events[0].name) for span in steps] == [
        ("send", "perhaps_accepted"),
        ("settle", "settled"),
    ]
    calls = seen.of(SpanKind.CLIENT)
    assert len(calls) == sum(crm.calls().values())
    (post,) = [span for span in calls if span.name == "POST /crm/v8/Leads/actions/mass_convert"]
    assert post.parent
    assert post.parent.span_id == steps[0].context.span_id
    assert (post.status.status_code, post.context.trace_id) == (StatusCode.ERROR, payload.context.trace_id)
    assert post.attributes
    assert dict(post.attributes) | {"massconvert.permit_wait": 0} == {
        "http.request.method": "POST",
        "server.address": "zoho.invalid",
        "server.port": 443,
        "url.template": "/crm/v8/Leads/actions/mass_convert",
        "url.full": "https://zoho.invalid/crm/v8/Leads/actions/mass_convert",
        "http.response.status_code": 500,
        "error.type": "500",
        "massconvert.call": "express",
        "massconvert.permit_wait": 0,
    }


def test_a_payload_that_is_split_keeps_its_links(seen: Seen) -> None:
    refused = {"method": "POST mass_convert", "do": "status", "status": 400, "code": "SOMETHING_NEW", "times": 1}
    crm = FakeCrm(faults=[refused])
    crm.receive({"lead_ids": ids(4), "options": OPTIONS}, "m")
    payloads = seen.of(SpanKind.CONSUMER)
    assert len(payloads) == len({span.context.trace_id for span in payloads}) == 2
    assert [len(span.links) for span in payloads] == [1, 1]
    assert sum(span.attributes["massconvert.converted"] for span in payloads if span.attributes) == 4  # type: ignore[misc]  # numbers


def test_an_enqueue_goes_on_with_the_trace_of_its_message_and_decides_what_is_sampled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_always_off")
    monkeypatch.setattr(InProcess, "exchange", traces.calls(InProcess.exchange))
    seen = Seen()
    try:
        crm = FakeCrm()
        for number, flags in enumerate(("01", "00", "")):
            with traces.received(message(f"00-{APP}-00f067aa0ba902b7-{flags}" if flags else "junk")):
                crm.receive({"lead_ids": ids(3, 3 * number), "options": OPTIONS, "key": f"b{number}"}, "m")
        (sent,) = seen.of(SpanKind.PRODUCER)
        assert sent.parent
        assert f"{sent.parent.span_id:016x}" == "00f067aa0ba902b7"
        assert f"{sent.context.trace_id:032x}" == APP
        (payload,) = seen.of(SpanKind.CONSUMER)
        (link,) = payload.links
        assert link.context.span_id == sent.context.span_id
        # One of three payloads was sampled, with all its calls but those for a token, which may be of another trace.
        assert {span.context.trace_id for span in seen.of(SpanKind.CLIENT)} == {payload.context.trace_id}
        assert crm.calls()["POST mass_convert"] == 3
        assert len([span for span in seen.all() if span.name.startswith("POST /crm")]) == 1
    finally:
        seen.end()


def test_who_has_nothing_to_do_sends_nothing(seen: Seen) -> None:
    crm = FakeCrm()
    crm.receive({"lead_ids": ids(1), "options": OPTIONS}, "m")
    before = len(seen.all())
    for _ in range(3):
        crm._workshop.sweep()
        crm.clock.wait(60.0)
        crm.work()
    assert len(seen.all()) == before > 0


def test_a_wait_without_a_call_is_no_span(seen: Seen) -> None:
    crm = FakeCrm(by_itself=False)
    crm.receive({"lead_ids": ids(1), "options": OPTIONS}, "m")
    crm.clock.wait(60.0)
    for _ in range(10):  # all there are
        crm._workshop.ports.governor.acquire(Call.POST)
    before = len(seen.all())
    (chunk_id,) = crm._workshop.ports.ledger.chunks.form().chunk_ids
    assert isinstance(crm._workshop.convert(chunk_id), Again)
    assert len(seen.all()) == before


def test_of_a_web_hook_the_host_alone_is_told(seen: Seen) -> None:
    class Hooks:
        refuses = staticmethod(lambda *_: "")

        @traces.calls
        def exchange(self, _method: str, _url: str) -> Any:
            return NotSent(Unsent.CONNECT, "refused")

    Hooks().exchange("POST", "https://user@hooks.example.com:8443/services/a-secret?token=b")
    (span,) = seen.all()
    assert span.name == "POST"
    assert dict(span.attributes or {}) == {
        "http.request.method": "POST",
        "server.address": "hooks.example.com",
        "server.port": 8443,
        "error.type": "NotSent",
    }


def test_no_record_id_is_in_a_name_and_no_query_anywhere(seen: Seen) -> None:
    class Zoho:
        @traces.calls
        def exchange(self, _method: str, _url: str) -> Any:
            return Reply(200, {}, b"")

    Zoho().exchange("GET", "http://127.0.0.1:8099/crm/v8/Leads/3652397000009850001?fields=Email")
    (span,) = seen.all()
    assert span.name == "GET /crm/v8/Leads/{id}"
    assert "Email" not in span.to_json()
    assert span.status.status_code is StatusCode.UNSET


def test_an_enqueue_of_an_app_is_a_span_of_its_tracer(monkeypatch: pytest.MonkeyPatch) -> None:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer", provider.get_tracer)
    crm = FakeCrm()
    with provider.get_tracer("shop").start_as_current_span("POST /quotes/won") as request:
        batch = crm.intake.take(ids(2), OPTIONS)
    sent, outer = exporter.get_finished_spans()
    assert (sent.name, outer.name) == ("send massconvert", "POST /quotes/won")
    assert sent.parent == request.get_span_context()
    kept = crm.redis.hget(f"mc:{{default}}:batch:{batch.id}", "trace")
    assert kept.rpartition("-")[0] == f"00-{sent.context.trace_id:032x}-{sent.context.span_id:016x}"
    assert int(kept.rpartition("-")[2], 16) & 1


def test_an_enqueue_that_fails_is_an_error_of_its_span(seen: Seen) -> None:
    crm = FakeCrm()
    crm.intake.take(ids(1), OPTIONS, key="k")
    with pytest.raises(Exception, match="used before"):
        crm.intake.take(ids(1), {**OPTIONS, "notify": True}, key="k")
    assert [span.status.status_code for span in seen.of(SpanKind.PRODUCER)] == [StatusCode.UNSET, StatusCode.ERROR]


def test_a_line_of_the_log_names_the_trace(seen: Seen) -> None:
    crm = FakeCrm()
    lines: list[dict[str, Any]] = []

    class Kept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(json.loads(OneObject().format(record)))

    logger, kept = logging.getLogger("massconvert"), Kept()
    logger.addHandler(kept)
    level = logger.level
    logger.setLevel(logging.INFO)
    try:
        crm.receive({"lead_ids": ids(1), "options": OPTIONS}, "m")
    finally:
        logger.removeHandler(kept)
        logger.setLevel(level)
    (payload,) = seen.of(SpanKind.CONSUMER)
    named = {line["event"]: line.get("trace_id") for line in lines if line.get("chunk") or line.get("event")}
    assert named["payload_ended"] == named["accepted"] == f"{payload.context.trace_id:032x}"
    spans = {f"{span.context.span_id:016x}" for span in seen.of(SpanKind.INTERNAL)}
    assert {line["span_id"] for line in lines if line.get("event") == "accepted"} < spans


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, None),
        ({"MASSCONVERT_TRACES": "yes", "OTEL_SDK_DISABLED": "true"}, None),
        ({"MASSCONVERT_TRACES": "yes", "OTEL_TRACES_EXPORTER": "none"}, ""),
        ({"MASSCONVERT_TRACES": "yes", "OTEL_TRACES_EXPORTER": "jaeger"}, "no exporter 'jaeger' is installed"),
    ],
)
def test_a_worker_traces_where_it_is_told_to(
    given: dict[str, str], said: str | None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(lifecycle, "_ends", [])
    lifecycle._trace(load_settings({k: v for k, v in given.items() if k.startswith("MASS")}, dotenv=None))
    assert len(lifecycle._ends) == (said == "")
    assert (said or "") in caplog.text
    assert (caplog.text == "") == (not said)
    for end in lifecycle._ends:
        end()
    assert traces.worker is None


def test_without_the_extra_a_worker_says_so_in_a_line(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delattr(workers, "traces")
    monkeypatch.setitem(sys.modules, "workers.traces", None)
    lifecycle._trace(load_settings({"MASSCONVERT_TRACES": "yes"}, dotenv=None))
    assert "the extra `otel` is not installed" in caplog.text


def test_a_collector_that_hangs_holds_no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    goes_on = threading.Event()

    class Hangs(SpanExporter):
        def export(self, _spans: Any) -> SpanExportResult:
            return SpanExportResult.SUCCESS

        def shutdown(self) -> None:
            goes_on.wait(60.0)

    monkeypatch.setattr(workers.traces, "FLUSH_WITHIN", 0.05)
    end, began = workers.traces.begin([SimpleSpanProcessor(Hangs())]), time.monotonic()
    end()
    assert time.monotonic() - began < 30.0
    goes_on.set()
