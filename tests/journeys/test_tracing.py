"""One trace from the request to the last reaction, as a collector receives it from the processes of the product."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Callable, Iterator

import httpx2
import pytest

from tests.journeys.desk import act, facts, has_reacted, open_ticket, targets_of, until, view
from tests.support.collector import Collector, Span, collecting
from tests.support.eventually import eventually
from tests.support.system import SERVICES, System

CALLER = "00f067aa0ba902b7"
OPENING = "tickets POST /v1/tickets > tickets send desk.ticket.opened.v1"
ENVIRONMENT = f"{OPENING} > inventory process desk.ticket.opened.v1"
CLOCKS = f"{OPENING} > sla process desk.ticket.opened.v1"
ESCALATION = "tickets POST /v1/tickets/{ticket_id}/escalate > tickets send desk.ticket.escalated.v1"
TASK = f"{ESCALATION} > devlink process desk.ticket.escalated.v1"
# Of every span of the journey the way that leads to it.
JOURNEY = [
    "tickets POST /v1/tickets",
    OPENING,
    ENVIRONMENT,
    f"{ENVIRONMENT} > inventory send desk.environment.resolved.v1",
    f"{ENVIRONMENT} > inventory send desk.environment.resolved.v1 > tickets process desk.environment.resolved.v1",
    CLOCKS,
    # Who has nothing to do about it keeps the ticket as it is.
    f"{OPENING} > devlink process desk.ticket.opened.v1",
    *[f"{CLOCKS} > sla send desk.sla-clock.started.v1"] * 2,
    *[f"{CLOCKS} > sla send desk.sla-clock.started.v1 > tickets process desk.sla-clock.started.v1"] * 2,
    "tickets GET /v1/tickets/{ticket_id}",
    "tickets POST /v1/tickets/{ticket_id}/escalate",
    ESCALATION,
    *[f"{ESCALATION} > {keeper} process desk.ticket.escalated.v1" for keeper in ("inventory", "sla")],
    TASK,
    f"{TASK} > devlink send desk.dev-task.linked.v1",
    f"{TASK} > devlink send desk.dev-task.linked.v1 > tickets process desk.dev-task.linked.v1",
]
# Every name that may stand in a span. A new one is added here by somebody who knows that it holds nothing personal.
NAMES = {
    "desk.correlation_id", "desk.event_id", "desk.job", "desk.job.done", "desk.problem", "desk.ticket_id", "desk.type",
    "http.request.method", "http.response.status_code", "http.route", "url.scheme",
    "messaging.destination.name", "messaging.destination.partition.id", "messaging.kafka.offset",
    "messaging.operation.name", "messaging.operation.type", "messaging.system",
}  # fmt: skip


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with collecting() as made:
        yield made


@pytest.fixture(scope="module")
def system(
    tmp_path_factory: pytest.TempPathFactory, postgres_url: str, kafka_bootstrap: str, collector: Collector
) -> Iterator[System]:
    """The whole product, a process for each service, told where the collector is."""
    folder, told = tmp_path_factory.mktemp("system"), {**collector.environment(), "OTEL_EXPORTER_OTLP_TIMEOUT": "1"}
    with System(folder, postgres_url, kafka_bootstrap, parts=("all",), extra=told) as started:
        yield started


def traced(client: httpx2.AsyncClient) -> str:
    """Lets a caller trace what it does from here on; returns the id of its trace."""
    trace_id = secrets.token_hex(16)
    client.headers["traceparent"] = f"00-{trace_id}-{CALLER}-01"
    return trace_id


async def spans_of(collector: Collector, question: Callable[[list[Span]], bool], trace_id: str) -> list[Span]:
    """The spans of a trace, once the question is answered by them."""

    async def look() -> bool:
        return question(collector.of(trace_id))

    await eventually(look, what=f"the spans of trace {trace_id}")
    return collector.of(trace_id)


def step(span: Span) -> str:
    """A span in short: the service, and what it does with what."""
    return f"{span.service} {span.name.split()[0]} {span.attributes.get('desk.type') or span.name.partition(' ')[2]}"


def paths(spans: list[Span]) -> list[str]:
    """Of every span the way that leads to it, from the caller on; fails where that way is broken."""
    by_id = {span.id: span for span in spans}
    assert len(by_id) == len(spans)

    def way(span: Span) -> str:
        return step(span) if span.parent_id in ("", CALLER) else f"{way(by_id[span.parent_id])} > {step(span)}"

    return sorted(way(span) for span in spans)


async def test_one_trace_leads_from_the_request_through_every_service_to_the_last_reaction(
    system: System, collector: Collector
) -> None:
    async with system.client() as agent, system.client() as watcher:
        # Whoever comes for the first time is recorded, which is a journey of its own.
        (await agent.get("/v1/me")).raise_for_status()
        trace_id = traced(agent)
        opened = await open_ticket(agent, severity=1)
        await until(watcher, opened["id"], has_reacted)
        await act(agent, opened["id"], "escalate", target="development", reason="Error 500 al confirmar")
        await until(watcher, opened["id"], lambda seen: seen["tasks"])
    spans = await spans_of(collector, lambda seen: len(seen) >= len(JOURNEY), trace_id)
    assert paths(spans) == sorted(JOURNEY)
    assert {(span.name.split()[0], span.kind) for span in spans} == {
        ("POST", "server"),
        ("GET", "server"),
        ("send", "producer"),
        ("process", "consumer"),
    }
    assert not any(span.failed for span in spans)
    told = [span.attributes["desk.ticket_id"] for span in spans if span.name != "POST /v1/tickets"]
    assert set(told) == {opened["id"]}


async def test_what_time_causes_is_a_trace_of_its_own(system: System, collector: Collector) -> None:
    contract = {
        "client_id": "tejidos-runa-simi",
        "contract_type": "oro",
        "valid_from": "2026-01-01T00:00:00Z",
        "targets": targets_of(1, 2),
    }
    async with system.client() as agent, system.client("sla", "admin") as admin:
        assert (await admin.put("/v1/contracts/runa-simi-prueba", json=contract)).status_code in (200, 201)
        opened = await open_ticket(agent, client_id="tejidos-runa-simi", product_id=None)
        await until(agent, opened["id"], lambda seen: len(facts(seen, "desk.sla-clock.breached.v1")) == 2)
    rows = await system.rows(
        "sla",
        "SELECT traceparent FROM runtime.archive WHERE key = $1 AND type = 'desk.sla-clock.breached.v1'",
        opened["id"],
    )
    assert len(rows) == 2, "answer and solution are both late"
    way = "sla job sla-timers > sla send desk.sla-clock.breached.v1 > tickets process desk.sla-clock.breached.v1"
    for trace_id in {row["traceparent"].split("-")[1] for row in rows}:
        await spans_of(collector, lambda seen: way in _whole(seen), trace_id)


def _whole(spans: list[Span]) -> list[str]:
    """The ways of a trace of which every span has arrived; nothing before that."""
    known = {span.id for span in spans} | {"", CALLER}
    return paths(spans) if all(span.parent_id in known for span in spans) else []


async def test_no_span_tells_what_somebody_wrote_or_who_may_come_in(system: System, collector: Collector) -> None:
    async with system.client() as agent:
        trace_id = traced(agent)
        opened = await open_ticket(
            agent, title="canary-title", description="canary-description, llame al 11-5555-0199", severity=1
        )
        await until(agent, opened["id"], has_reacted)
        await act(agent, opened["id"], "escalate", target="development", reason="canary-reason")
        await act(agent, opened["id"], "respond", text="canary-answer")
        await agent.get("/v1/clients?q=canary-query")
        await agent.get("/v1/tickets/canary-path?cursor=canary-cursor")
        refused = await agent.post("/v1/tickets", json={"title": "canary-refused"})
        assert refused.status_code == 422
        await until(agent, opened["id"], lambda seen: seen["tasks"])
        token = agent.headers["authorization"].removeprefix("Bearer ")
    last = "tickets process desk.dev-task.linked.v1"
    await spans_of(collector, lambda seen: any(way.endswith(last) for way in _whole(seen)), trace_id)
    told = b"".join(collector.bodies)
    for secret in ("canary", "5555", *token.split(".")):
        assert secret.encode() not in told, secret
    assert {name for span in collector.spans for name in span.attributes} <= NAMES


async def test_no_span_is_an_orphan_and_none_is_told_twice(system: System, collector: Collector) -> None:
    async def missing() -> set[str]:
        """What was archived and of which no span told that it was sent, and parents that are not known."""
        archived = {
            str(row["id"]) for one in SERVICES for row in await system.rows(one, "SELECT id FROM runtime.archive")
        }
        spans = list(collector.spans)
        sent = {span.attributes["desk.event_id"] for span in spans if span.kind == "producer"}
        return (archived - sent) | {span.parent_id for span in spans} - {span.id for span in spans} - {"", CALLER}

    async def complete() -> bool:
        return not await missing()

    await eventually(complete, what="every parent and every event's span has arrived")
    assert len({span.id for span in collector.spans}) == len(collector.spans)
    done = Counter(
        (span.service, span.name, span.attributes["desk.event_id"])
        for span in collector.spans
        if "desk.event_id" in span.attributes
    )
    assert set(done.values()) == {1}


async def test_the_desk_works_while_the_collector_is_away(system: System, collector: Collector) -> None:
    collector.stop()
    try:
        async with system.client() as agent:
            opened = await open_ticket(agent, severity=1)
            await until(agent, opened["id"], has_reacted)
            await act(agent, opened["id"], "escalate", target="development", reason="Sin colector")
            await until(agent, opened["id"], lambda seen: seen["tasks"])
    finally:
        collector.start()
    async with system.client() as agent:
        trace_id = traced(agent)
        await view(agent, opened["id"])
    assert paths(await spans_of(collector, bool, trace_id)) == ["tickets GET /v1/tickets/{ticket_id}"]
