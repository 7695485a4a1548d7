"""Spans that are made in the test's own process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult

from shared.telemetry import tracing
from shared.telemetry.recording import Recorder
from tests.support.collector import Collector


class _Straight(SpanExporter):
    """Gives each span to a collector, in the form in which it would be sent."""

    def __init__(self, collector: Collector) -> None:
        self.collector = collector

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.collector.take("/v1/traces", encode_spans(spans).SerializeToString())
        return SpanExportResult.SUCCESS


@contextmanager
def recording() -> Iterator[Collector]:
    """Spans are made inside; each is seen as soon as it is exported."""
    collector = Collector()
    provider = TracerProvider(resource=Resource({"service.name": "test"}), shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(_Straight(collector)))
    tracing.use(Recorder(provider))
    try:
        yield collector
    finally:
        tracing.use(None)
