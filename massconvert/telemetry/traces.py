"""Traces for OpenTelemetry, which is an extra: nothing of it is imported before somebody wants traces.

A worker traces where MASSCONVERT_TRACES is set (workers/traces.py); a producer's enqueue is a span of its app's.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import wraps
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Protocol, TypeVar

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

P = ParamSpec("P")
S = TypeVar("S")
A = TypeVar("A")
B = TypeVar("B", bound="Any")

#: What all spans about messages say.
MESSAGING = {"messaging.system": "celery", "messaging.destination.name": "massconvert"}


class Worker(Protocol):
    """What a worker does is told to this. Nothing of it raises."""

    tracer: Tracer

    def received(self, request: Any) -> AbstractContextManager[None]:
        """A task goes on with the trace that its message's headers bring; ``request`` is Celery's."""
        ...

    def visiting(self, account: str, chunk: Any) -> AbstractContextManager[None]:
        """A step of this payload is under way in this thread."""
        ...

    def permitted(self, kind: str, waited: float) -> None:
        """The step has leave for a call of this kind; it has waited for that, in seconds."""
        ...

    def decided(self, decision: Any) -> None:
        """This was decided about the payload, and is written."""
        ...

    def called(self, method: str, url: str, call: Callable[[], A], *, public: bool) -> A:
        """Make this HTTP call; a URL that is not ``public`` may hold a secret."""
        ...

    def ids(self) -> Mapping[str, str]:
        """The trace and the span of the step that is under way in this thread, as a log writes them."""
        ...


#: Who is told in this process: nobody, unless it is a worker that traces.
worker: Worker | None = None


def received(request: Any) -> AbstractContextManager[None]:
    """See `Worker.received`."""
    return worker.received(request) if worker else nullcontext()


def visiting(account: str, chunk: Any) -> AbstractContextManager[None]:
    """See `Worker.visiting`."""
    return worker.visiting(account, chunk) if worker else nullcontext()


def ids() -> Mapping[str, str]:
    """See `Worker.ids`."""
    return worker.ids() if worker else {}


def sends(take: Callable[Concatenate[S, Collection[Any], P], B]) -> Callable[Concatenate[S, Collection[Any], P], B]:
    """Make an enqueue one span, whatever the number of its leads; what it makes has an ``id``."""

    @wraps(take)
    def traced(self: S, lead_ids: Collection[Any], /, *args: P.args, **kwargs: P.kwargs) -> B:
        if (tracer := _tracer()) is None:
            return take(self, lead_ids, *args, **kwargs)
        from opentelemetry.trace import SpanKind  # noqa: PLC0415 - an extra

        about: dict[str, Any] = {"messaging.operation.name": "send", "messaging.operation.type": "send", **MESSAGING}
        about |= {"messaging.batch.message_count": len(lead_ids)}
        with tracer.start_as_current_span(
            "send massconvert", kind=SpanKind.PRODUCER, attributes=about, record_exception=False
        ) as span:
            batch = take(self, lead_ids, *args, **kwargs)
            span.set_attribute("massconvert.batch", batch.id)
            return batch

    return traced


def calls(exchange: Callable[Concatenate[S, str, str, P], A]) -> Callable[Concatenate[S, str, str, P], A]:
    """Make each exchange of a transport a span; see `Worker.called`. One that looks at addresses is not public."""

    @wraps(exchange)
    def traced(self: S, method: str, url: str, /, *args: P.args, **kwargs: P.kwargs) -> A:
        if worker is None:
            return exchange(self, method, url, *args, **kwargs)
        public = getattr(self, "refuses", None) is None
        return worker.called(method, url, lambda: exchange(self, method, url, *args, **kwargs), public=public)

    return traced


def traceparent() -> str:
    """Of the span that is under way in this thread, as the W3C writes it; blank without one."""
    if _tracer() is None:
        return ""
    from opentelemetry.trace import get_current_span  # noqa: PLC0415 - an extra

    span = get_current_span().get_span_context()
    return f"00-{span.trace_id:032x}-{span.span_id:016x}-{int(span.trace_flags):02x}" if span.is_valid else ""


def _tracer() -> Tracer | None:
    """The worker's; or the app's, where it has loaded OpenTelemetry."""
    if worker is not None:
        return worker.tracer
    api: Any = sys.modules.get("opentelemetry.trace")
    return None if api is None else api.get_tracer("massconvert")
