"""A collector of traces: takes what OpenTelemetry's exporters send over HTTP, and shows it as plain spans."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from runner.ports import free_port


@dataclass(frozen=True)
class Span:
    """One span as it was received; `parent_id` is empty for the first of a trace."""

    trace_id: str
    id: str
    parent_id: str
    name: str
    kind: str
    service: str
    failed: bool
    started_at: int
    ended_at: int
    attributes: Mapping[str, Any]


@dataclass
class Collector:
    """What was received so far. It may be away and come back, at the same address."""

    # Outside the range of outgoing connections: who reconnects while it is away must not be given its port.
    port: int = field(default_factory=free_port)
    bodies: list[bytes] = field(default_factory=list)
    addresses: list[str] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)
    server: ThreadingHTTPServer | None = None

    def start(self) -> None:
        """Answers on its port, the same each time."""
        self.server = ThreadingHTTPServer(("127.0.0.1", self.port), _handler(self))
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def stop(self) -> None:
        """Goes away."""
        if self.server is not None:
            self.server.shutdown()
            self.server.server_close()
            self.server = None

    def environment(self) -> dict[str, str]:
        """What a process must be told to send its spans here, soon after they end."""
        return {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{self.port}", "OTEL_BSP_SCHEDULE_DELAY": "100"}

    def of(self, trace_id: str) -> list[Span]:
        """The spans of one trace, in the order in which they began."""
        return sorted((span for span in self.spans if span.trace_id == trace_id), key=lambda span: span.started_at)

    def take(self, address: str, body: bytes) -> None:
        """Keeps one request of an exporter."""
        self.addresses.append(address)
        self.bodies.append(body)
        self.spans += _decoded(body)


@contextmanager
def collecting() -> Iterator[Collector]:
    """A collector on a free port."""
    collector = Collector()
    collector.start()
    try:
        yield collector
    finally:
        collector.stop()


def _handler(collector: Collector) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            collector.take(self.path, self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.send_header("content-type", "application/x-protobuf")
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Says nothing."""

    return Handler


def _decoded(body: bytes) -> Iterator[Span]:
    request = ExportTraceServiceRequest.FromString(body)
    for resource_spans in request.resource_spans:
        service = _plain(resource_spans.resource.attributes)["service.name"]
        for scope_spans in resource_spans.scope_spans:
            for one in scope_spans.spans:
                yield Span(
                    trace_id=one.trace_id.hex(),
                    id=one.span_id.hex(),
                    parent_id=one.parent_span_id.hex(),
                    name=one.name,
                    kind=one.SpanKind.Name(one.kind).removeprefix("SPAN_KIND_").lower(),
                    service=service,
                    failed=one.status.code == one.status.STATUS_CODE_ERROR,
                    started_at=one.start_time_unix_nano,
                    ended_at=one.end_time_unix_nano,
                    attributes=_plain(one.attributes),
                )


def _plain(attributes: Any) -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in attributes}
