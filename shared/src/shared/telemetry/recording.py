"""Makes spans with OpenTelemetry and sends them to the collector in the background; imported only where one is named.

The standard variables decide: OTEL_EXPORTER_OTLP_* where to, OTEL_TRACES_SAMPLER how many, OTEL_BSP_* how often.
"""

from __future__ import annotations

import threading
from uuid import uuid4

import opentelemetry.trace as otel
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from shared import clock
from shared.telemetry import tracing
from shared.telemetry.trace import TraceParent

_KINDS: dict[tracing.Kind, otel.SpanKind] = {
    "server": otel.SpanKind.SERVER,
    "producer": otel.SpanKind.PRODUCER,
    "consumer": otel.SpanKind.CONSUMER,
    "internal": otel.SpanKind.INTERNAL,
}


class RecordedSpan:
    """One span of OpenTelemetry."""

    __slots__ = ("_ended_at", "_made", "traceparent")

    def __init__(self, made: otel.Span) -> None:
        context = made.get_span_context()
        self.traceparent = f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags & 1:02x}"
        self._made = made
        self._ended_at = 0

    def rename(self, name: str) -> None:
        """Gives it another name."""
        self._made.update_name(name)

    def tell(self, name: str, value: str | int) -> None:
        """Sets one attribute."""
        self._made.set_attribute(name, value)

    def fail(self, error_type: str) -> None:
        """Marks it as failed."""
        # Neither the message of the error nor its traceback: a database quotes the row that it refused.
        self._made.set_attribute("error.type", error_type)
        self._made.set_status(otel.StatusCode.ERROR)

    def end(self) -> None:
        """Ends it now, and exports it now or after the commit."""
        self._ended_at = _nanoseconds()
        if not tracing.hold(self):
            self.export()

    def export(self) -> None:
        """Hands it to the exporter's queue."""
        self._made.end(self._ended_at)


class Recorder:
    """Makes spans with a provider of its own, so that no library beside this product sends anything."""

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("psa-desk")

    def start(self, kind: tracing.Kind, name: str, above: TraceParent | None, told: tracing.Told) -> RecordedSpan:
        """A span below another, or one that begins a trace."""
        made = self._tracer.start_span(
            name, context=_context(above), kind=_KINDS[kind], attributes=told, start_time=_nanoseconds()
        )
        return RecordedSpan(made)

    def close(self, seconds: float) -> None:
        """Sends what is left, and gives up after so many seconds."""
        # The SDK itself would wait for half a minute for a collector that is away.
        closing = threading.Thread(target=self._provider.shutdown, name="closes tracing", daemon=True)
        closing.start()
        closing.join(seconds)


def exporting(service: str, part: str) -> Recorder:
    """A recorder that sends to the collector of the environment, from a thread of its own."""
    resource = Resource.create(
        {
            "service.namespace": "psa-desk",
            "service.name": service,
            "service.instance.id": str(uuid4()),
            "desk.part": part,
        }
    )
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return Recorder(provider)


def _context(above: TraceParent | None) -> Context:
    if above is None:
        return Context()
    parent = otel.SpanContext(
        int(above.trace_id, 16), int(above.span_id, 16), is_remote=True, trace_flags=otel.TraceFlags(above.flags)
    )
    return otel.set_span_in_context(otel.NonRecordingSpan(parent), Context())


def _nanoseconds() -> int:
    """Of this product's clock, so that a span and the log lines inside it agree."""
    return int(clock.now().timestamp() * 1_000_000) * 1000
