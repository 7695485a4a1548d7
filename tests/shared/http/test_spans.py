"""The span of a request: its place in the trace, what it tells, and what it must never tell."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fastapi import FastAPI

from shared.http.app import OPEN_PATHS
from shared.telemetry import trace
from tests.shared.http.conftest import client_of
from tests.shared.http.issuer import LocalIssuer
from tests.shared.http.sample import sample_app
from tests.shared.output import Output
from tests.support.collector import Collector, Span
from tests.support.spans import recording

TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
NOTE = "018f0000-0000-7000-8000-000000000000"


@pytest.fixture
def app(issuer: LocalIssuer) -> FastAPI:
    return sample_app(issuer.url)


@pytest.fixture
def collector() -> Iterator[Collector]:
    with recording() as made:
        yield made


def only(collector: Collector) -> Span:
    (span,) = collector.spans
    return span


async def test_a_request_is_one_span_below_its_callers(issuer: LocalIssuer, app: FastAPI, collector: Collector) -> None:
    head = {"traceparent": f"00-{TRACE}-{CALLER}-01", "x-correlation-id": "call-17"}
    async with client_of(app, issuer.token()) as client:
        cause = (await client.get("/v1/cause", headers=head)).json()
    span = only(collector)
    assert (span.name, span.kind, span.failed) == ("GET /v1/cause", "server", False)
    assert (span.trace_id, span.parent_id) == (TRACE, CALLER)
    assert cause["traceparent"] == f"00-{TRACE}-{span.id}-01", "what the command causes hangs below the span"
    assert span.attributes == {
        "url.scheme": "http",
        "http.request.method": "GET",
        "http.route": "/v1/cause",
        "http.response.status_code": 200,
        "desk.correlation_id": "call-17",
    }
    assert span.started_at < span.ended_at


@pytest.mark.parametrize("given", [None, "", "nonsense", f"00-{'0' * 32}-{CALLER}-01"])
async def test_without_a_valid_trace_a_request_begins_one(
    issuer: LocalIssuer, app: FastAPI, collector: Collector, given: str | None
) -> None:
    async with client_of(app, issuer.token()) as client:
        head = {"traceparent": given} if given is not None else {}
        cause = (await client.get("/v1/cause", headers=head)).json()
    span = only(collector)
    assert span.parent_id == ""
    assert trace.parse(cause["traceparent"]) == trace.TraceParent(span.trace_id, span.id, 1)


async def test_a_caller_that_does_not_sample_decides_it(
    issuer: LocalIssuer, app: FastAPI, collector: Collector
) -> None:
    async with client_of(app, issuer.token()) as client:
        head = {"traceparent": f"00-{TRACE}-{CALLER}-00"}
        cause = (await client.get("/v1/cause", headers=head)).json()
    assert collector.spans == []
    told = trace.parse(cause["traceparent"])
    assert told is not None
    assert (told.trace_id, told.flags) == (TRACE, 0)


async def test_the_route_stands_as_its_template(issuer: LocalIssuer, app: FastAPI, collector: Collector) -> None:
    async with client_of(app, issuer.token()) as client:
        await client.get(f"/v1/notes/{NOTE}")
    span = only(collector)
    assert (span.name, span.attributes["http.route"]) == ("GET /v1/notes/{note_id}", "/v1/notes/{note_id}")


@pytest.mark.parametrize(
    ("path", "status", "failed", "error"),
    [
        ("/v1/errors/conflict", 409, False, None),
        ("/v1/errors/unavailable", 503, True, "503"),
        ("/v1/errors/bug", 500, True, "RuntimeError"),
        ("/v1/rows", 503, True, "503"),
    ],
)
async def test_only_what_is_our_failure_is_an_error(
    issuer: LocalIssuer, app: FastAPI, collector: Collector, path: str, status: int, failed: bool, error: str | None
) -> None:
    async with client_of(app, issuer.token()) as client:
        assert (await client.get(path)).status_code == status
    span = only(collector)
    assert (span.failed, span.attributes.get("error.type")) == (failed, error)
    assert span.attributes["http.response.status_code"] == status
    assert span.attributes["desk.problem"]


async def test_probes_and_documents_leave_no_span(app: FastAPI, collector: Collector) -> None:
    async with client_of(app, None) as client:
        for path in OPEN_PATHS:
            await client.get(path)
    assert collector.spans == []


async def test_no_span_tells_a_token_a_query_a_header_a_body_or_an_address_that_somebody_made_up(
    issuer: LocalIssuer, app: FastAPI, collector: Collector
) -> None:
    token = issuer.token()
    head = {"cookie": "canary-cookie", "user-agent": "canary-agent", "referer": "http://canary-referer/"}
    async with client_of(app, token) as client:
        await client.get("/v1/notes?after=canary-query", headers=head)
        await client.post("/v1/notes", json={"title": "canary-title", "text": "canary-text"})
        await client.post("/v1/notes", json={"title": "canary-title" * 9})
        await client.get("/v1/errors/bug")
        await client.get(f"/v1/canary-path/{token}")
        await client.get("/v1/errors/Canary-Parameter")
        await client.get("/v1/notes/canary-parameter")
        await client.request("CANARY-METHOD", "/v1/me")
        await client.get("/v1/me", headers={"authorization": "Bearer canary.token.value"})
    told = b"".join(collector.bodies)
    assert len(collector.spans) == 9
    assert b"canary" not in told.lower()
    assert b"4711" not in told, "what an error says"
    for part in token.split("."):
        assert part.encode() not in told


async def test_every_line_of_a_request_says_its_span(
    issuer: LocalIssuer, app: FastAPI, output: Output, collector: Collector
) -> None:
    async with client_of(app, issuer.token()) as client:
        await client.get("/v1/errors/bug")
    span = only(collector)
    assert len(output.lines) == 2
    assert {(line["trace_id"], line["span_id"]) for line in output.lines} == {(span.trace_id, span.id)}
