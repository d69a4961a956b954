"""A worker's traces, with MASSCONVERT_TRACES: OpenTelemetry's SDK, set up by its own variables (OTEL_…).

A payload's trace is computed from what the ledger knows of it (docs/decisions/0059-a-trace-is-computed.md).
"""

from __future__ import annotations

import hashlib
import os
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from typing import Any, TypeVar
from urllib.parse import urlsplit

from opentelemetry import propagate, trace
from opentelemetry.context import Context, attach, detach
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult
from opentelemetry.trace import Link, Span, SpanContext, SpanKind, StatusCode, TraceFlags

from massconvert.metrics import our_version
from massconvert.model import Chunk, State
from massconvert.policy import Decision as Decided
from massconvert.telemetry import traces

A = TypeVar("A")

#: A collector that hangs holds no worker for longer than this, in seconds.
FLUSH_WITHIN = 5.0
_PROTOCOLS = {"": "otlp_proto_http", "http/protobuf": "otlp_proto_http", "grpc": "otlp_proto_grpc"}
#: A batch in a payload: its key, how many of its leads, its enqueue's traceparent. See form_chunks.lua.
_LINK = re.compile(r"([^;=]+)=(\d+)=00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
_RECORD_ID = re.compile(r"/\d{5,}(?=/|$)")
_STEPS = {
    State.WAITING: "send",
    State.SENDING: "send",
    State.RUNNING: "follow",
    State.SETTLING: "settle",
    State.UPDATING: "update",
}


def begin(processors: Sequence[SpanProcessor] | None = None) -> Callable[[], None]:
    """Trace what this process does; what is returned flushes and ends it.

    ``processors`` get the spans; without them, those that the environment names. Raises what an exporter raises that
    cannot be set up.
    """
    if processors is None:
        processors = [BatchSpanProcessor(exporter) for exporter in _exporters()]
    provider = TracerProvider(resource=_resource(), id_generator=_Ids(), shutdown_on_exit=False)
    provider.sampler = ByLinks(provider.sampler)
    for processor in processors:
        provider.add_span_processor(processor)
    traces.worker = Traces(provider)

    def end() -> None:
        traces.worker = None
        flushing = threading.Thread(target=provider.shutdown, name="flush", daemon=True)
        flushing.start()
        flushing.join(FLUSH_WITHIN)

    return end


class ByLinks(Sampler):
    """A trace that begins with links is sampled where one of them is; any other as OTEL_TRACES_SAMPLER says."""

    def __init__(self, other: Sampler) -> None:
        self._other = other

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Any = None,
        links: Sequence[Link] | None = None,
        trace_state: Any = None,
    ) -> SamplingResult:
        """See OpenTelemetry's `Sampler`."""
        if links:
            some = any(link.context.trace_flags.sampled for link in links)
            return SamplingResult(Decision.RECORD_AND_SAMPLE if some else Decision.DROP, attributes)
        return self._other.should_sample(parent_context, trace_id, name, kind, attributes, links, trace_state)

    def get_description(self) -> str:
        """What it is, for people."""
        return f"ByLinks({self._other.get_description()})"


@dataclass
class _Visit:
    """A step of a payload; its span is made when there is something to tell."""

    account: str
    chunk: Chunk
    trace_id: int
    root: int
    links: list[Link]
    parent: Context
    began: int = field(default_factory=time.time_ns)
    facts: dict[str, Any] = field(default_factory=dict)  # of the next call
    span: Span | None = None
    end: dict[str, Any] | None = None


_visit: ContextVar[_Visit | None] = ContextVar("visit", default=None)
#: The trace and the span that are made next, where they are not left to chance.
_next: ContextVar[tuple[int, int] | None] = ContextVar("next", default=None)


class Traces:
    """What `massconvert.telemetry.traces` tells, as spans of ``provider``."""

    def __init__(self, provider: TracerProvider) -> None:
        self._sampler = provider.sampler
        self.tracer = provider.get_tracer("massconvert", our_version())

    @contextmanager
    def received(self, request: Any) -> Iterator[None]:
        """See `massconvert.telemetry.traces.Worker`."""
        brought = {name: getattr(request, name, None) for name in propagate.get_global_textmap().fields}
        texts = {name: text for name, text in brought.items() if isinstance(text, str)}
        token = attach(propagate.extract(texts, Context()))
        try:
            yield
        finally:
            detach(token)

    @contextmanager
    def visiting(self, account: str, chunk: Chunk) -> Iterator[None]:
        """Likewise."""
        trace_id, root = trace_of(account, chunk)
        links = _links(chunk.trace)
        decision = self._sampler.should_sample(Context(), trace_id, "process massconvert", links=links).decision
        flags = TraceFlags(TraceFlags.SAMPLED if decision is Decision.RECORD_AND_SAMPLE else TraceFlags.DEFAULT)
        above = trace.NonRecordingSpan(SpanContext(trace_id, root, is_remote=True, trace_flags=flags))
        visit = _Visit(account, chunk, trace_id, root, links, trace.set_span_in_context(above, Context()))
        token = _visit.set(visit)
        try:
            yield
        finally:
            _visit.reset(token)
            if visit.span is not None:
                visit.span.end()
            if visit.end is not None:
                self._end_payload(visit, visit.end)

    def permitted(self, kind: str, waited: float) -> None:
        """Likewise."""
        if visit := _visit.get():
            visit.facts = {"massconvert.call": kind, "massconvert.permit_wait": round(waited, 3)}

    def decided(self, decision: Decided) -> None:
        """Likewise. That it is to be looked at again is not told, where nothing was asked."""
        visit = _visit.get()
        if visit is None or (visit.span is None and visit.chunk.state is decision.chunk.state):
            return
        self._step(visit).add_event(decision.row.event)
        if decision.chunk.state is State.DONE:
            visit.end = _ended(visit, decision)

    def called(self, method: str, url: str, call: Callable[[], A], *, public: bool) -> A:
        """Likewise. Its name and attributes are those of OpenTelemetry's conventions for HTTP; no query is told."""
        visit, parts = _visit.get(), urlsplit(url)
        about: dict[str, Any] = {"http.request.method": method, "server.address": parts.hostname or ""}
        about["server.port"] = parts.port or (443 if parts.scheme == "https" else 80)
        name, above = method, None
        if public:
            template = _RECORD_ID.sub("/{id}", parts.path)
            name = f"{method} {template}"
            about |= {"url.template": template, "url.full": f"{parts.scheme}://{parts.netloc}{parts.path}"}
        if visit is not None:
            about |= visit.facts
            above = trace.set_span_in_context(self._step(visit), visit.parent)
        span = self.tracer.start_span(name, above, kind=SpanKind.CLIENT, attributes=about)
        try:
            _tell_answer(span, answer := call())
        finally:
            span.end()
        return answer

    def ids(self) -> Mapping[str, str]:
        """Likewise."""
        if (visit := _visit.get()) is None:
            return {}
        span = {"span_id": f"{visit.span.get_span_context().span_id:016x}"} if visit.span else {}
        return {"trace_id": f"{visit.trace_id:032x}", **span}

    def _step(self, visit: _Visit) -> Span:
        if visit.span is None:
            chunk = visit.chunk
            about: dict[str, Any] = {
                "massconvert.account": visit.account,
                "massconvert.payload": chunk.id,
                "massconvert.leads": len(chunk.leads),
                "massconvert.attempt": chunk.attempts + chunk.outages + 1,
            }
            visit.span = self.tracer.start_span(
                _STEPS[chunk.state], visit.parent, attributes=about, start_time=visit.began
            )
        return visit.span

    def _end_payload(self, visit: _Visit, about: Mapping[str, Any]) -> None:
        """The span of the whole payload, from its making on: the one that all its steps have named as theirs."""
        token = _next.set((visit.trace_id, visit.root))
        try:
            whole = self.tracer.start_span(
                "process massconvert",
                Context(),
                kind=SpanKind.CONSUMER,
                attributes=about,
                links=visit.links,
                start_time=int(visit.chunk.created_at * 1e9),
            )
        finally:
            _next.reset(token)
        whole.end()


def trace_of(account: str, chunk: Chunk) -> tuple[int, int]:
    """The ids of a payload's trace and of its first span: the same in every worker, and after every retry."""
    named = f"{account} {chunk.id} {chunk.created_at!r}".encode()
    digest = hashlib.blake2b(named, digest_size=24).digest()
    return int.from_bytes(digest[:16], "big"), int.from_bytes(digest[16:], "big")


class _Ids(RandomIdGenerator):
    def generate_trace_id(self) -> int:
        wanted = _next.get()
        return wanted[0] if wanted else super().generate_trace_id()

    def generate_span_id(self) -> int:
        wanted = _next.get()
        return wanted[1] if wanted else super().generate_span_id()


def _ended(visit: _Visit, decision: Decided) -> dict[str, Any]:
    chunk, ends = decision.chunk, decision.ends
    return {
        **traces.MESSAGING,
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.batch.message_count": sum(ends.values()),
        "massconvert.account": visit.account,
        "massconvert.payload": chunk.id,
        "massconvert.attempts": chunk.attempts,
        "massconvert.polls": chunk.polls,
        **{f"massconvert.{kind}": number for kind, number in ends.items()},
    }


def _tell_answer(span: Span, answer: Any) -> None:
    status = getattr(answer, "status", None)
    if status is not None:
        span.set_attribute("http.response.status_code", status)
    if status is None or status >= 400:
        span.set_attribute("error.type", str(status or type(answer).__name__))
        span.set_status(StatusCode.ERROR)


def _links(text: str) -> list[Link]:
    """The enqueues of a payload's batches; what cannot be read is left out."""
    return [
        Link(
            SpanContext(int(trace_id, 16), int(span_id, 16), is_remote=True, trace_flags=TraceFlags(int(flags, 16))),
            {"massconvert.batch": batch, "massconvert.leads": int(leads)},
        )
        for batch, leads, trace_id, span_id, flags in _LINK.findall(text)
    ]


def _resource() -> Resource:
    given = Resource.create()
    if str(given.attributes.get("service.name", "")).startswith("unknown_service"):
        return given.merge(Resource({"service.name": "massconvert", "service.version": our_version()}))
    return given


def _exporters() -> Iterator[Any]:
    """As OTEL_TRACES_EXPORTER names them: ``otlp`` (the default), ``console``, ``none``, or another that is there."""
    for given in os.environ.get("OTEL_TRACES_EXPORTER", "otlp").split(","):
        name = given.strip() or "otlp"
        if name == "none":
            continue
        if name == "otlp":
            protocol = os.environ.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "")
            name = _PROTOCOLS.get(protocol or os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL", ""), name)
        found = list(entry_points(group="opentelemetry_traces_exporter", name=name))
        if not found:
            raise LookupError(f"no exporter {name!r} is installed (OTEL_TRACES_EXPORTER, OTEL_EXPORTER_OTLP_PROTOCOL)")
        yield found[0].load()()
