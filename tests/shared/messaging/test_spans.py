"""The spans of a record: below whoever caused it, one for each consumer, and only for what was committed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any
from uuid import UUID

import pytest
from structlog.contextvars import get_contextvars

from shared import clock
from shared.contracts.envelope import Event, Received, headers_of
from shared.contracts.topics import TICKETS
from shared.db.transaction import Transaction
from shared.ids import new_id
from shared.jobs import Job, JobLoop
from shared.messaging import parking
from shared.messaging.batch import BatchApplier
from shared.messaging.kafka import Cluster
from shared.messaging.outbox import publish, seal
from shared.messaging.reactions import Reactions
from shared.messaging.records import Record
from shared.telemetry import trace
from tests.shared.messaging.story import (
    assigned,
    cause,
    opened,
    publish_all,
    reactions,
    read_topic,
    relay_of,
    running,
    ticket,
)
from tests.shared.output import written
from tests.support.collector import Collector, Span
from tests.support.databases import OWNER, Database
from tests.support.eventually import eventually
from tests.support.spans import recording

Make = Callable[[str], Awaitable[Database]]
TRACE, REQUEST = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
ABOVE = f"00-{TRACE}-{REQUEST}-01"


@pytest.fixture
def collector() -> Iterator[Collector]:
    with recording() as made:
        yield made


async def prepared(database: Make) -> Database:
    db = await database("runtime")
    async with db.connect() as connection:
        await connection.execute("INSERT INTO runtime.offsets VALUES ('desk.tickets.v1', 0, 0)")
    return db


def record(event: Event, offset: int, traceparent: str | None = ABOVE, value: bytes | None = None) -> Record:
    headers = headers_of(
        id=new_id(), source=TICKETS.source, type=event.type, subject=event.subject(), sequence=offset + 1,
        cause=cause(traceparent=traceparent),
    )  # fmt: skip
    body = event.model_dump_json().encode() if value is None else value
    return Record(TICKETS.name, 0, offset, event.key().encode(), tuple(headers), body)


async def apply(db: Database, react: Reactions, *records: Record) -> None:
    await BatchApplier(db.engine, react, lambda: None).apply(records)


def parents(spans: Sequence[Span]) -> set[tuple[str, str]]:
    return {(span.trace_id, span.parent_id) for span in spans}


async def test_a_record_is_one_span_and_what_the_reaction_publishes_is_below_it(
    database: Make, collector: Collector
) -> None:
    db = await prepared(database)
    seen: list[dict[str, Any]] = []

    async def react(tx: Transaction, event: Received[Any]) -> None:
        seen.append(get_contextvars())
        await publish(tx, seal(event.cause(actor="system:test", recorded_at=clock.now()), assigned(1, of=7)))
        assert collector.spans == [], "nothing is told before the commit"

    one = record(opened(1, of=7), 0)
    await apply(db, reactions(react), one)
    (span,) = collector.spans
    assert (span.name, span.kind, span.failed) == ("process desk.tickets.v1", "consumer", False)
    assert (span.trace_id, span.parent_id) == (TRACE, REQUEST)
    assert span.attributes == {
        "messaging.system": "kafka",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": "desk.tickets.v1",
        "messaging.destination.partition.id": "0",
        "messaging.kafka.offset": 0,
        "desk.event_id": dict(one.headers)["ce_id"].decode(),  # type: ignore[union-attr]
        "desk.type": "desk.ticket.opened.v1",
        "desk.ticket_id": str(ticket(7)),
        "desk.correlation_id": "call-1",
    }
    async with db.connect() as connection:
        stored = await connection.fetchval("SELECT traceparent FROM runtime.archive")
    assert stored == f"00-{TRACE}-{span.id}-01"
    assert [(line["trace_id"], line["span_id"]) for line in seen] == [(TRACE, span.id)]


async def test_a_batch_is_one_span_for_each_record_in_the_trace_of_each(database: Make, collector: Collector) -> None:
    db = await prepared(database)
    given: dict[UUID, str] = {}

    async def react(tx: Transaction, events: Sequence[Received[Any]]) -> None:
        assert len(events) == 3
        given.update({event.id: event.traceparent or "" for event in events})

    other = f"00-{'1' * 32}-{'2' * 16}-01"
    await apply(
        db,
        reactions(react, many=True),
        record(opened(1), 0),
        record(opened(2), 1, other),
        record(opened(3), 2, None),
    )
    first, second, third = sorted(collector.spans, key=lambda span: int(span.attributes["messaging.kafka.offset"]))
    assert parents([first, second]) == {(TRACE, REQUEST), ("1" * 32, "2" * 16)}
    assert third.parent_id == ""
    assert given == {
        UUID(span.attributes["desk.event_id"]): f"00-{span.trace_id}-{span.id}-01" for span in collector.spans
    }


class Guilty:
    """A reaction that fails for one ticket until it is mended."""

    def __init__(self, number: int, error: Exception) -> None:
        self.key, self.error = str(ticket(number)), error
        self.broken = True

    async def react(self, tx: Transaction, event: Received[Any]) -> None:
        if event.key == self.key and self.broken:
            raise self.error


async def test_a_failed_reaction_is_told_once_with_its_type_and_what_waits_behind_it_says_so(
    database: Make, collector: Collector
) -> None:
    db = await prepared(database)
    guilty = Guilty(2, ValueError("canary-message"))
    react = reactions(guilty.react)
    await apply(db, react, record(opened(1), 0), record(opened(2), 1), record(opened(3), 2))
    await apply(db, react, record(opened(4, of=2), 3))
    told = [
        (one.failed, one.attributes.get("error.type"), one.attributes.get("desk.parked")) for one in collector.spans
    ]
    assert told == [
        (False, None, None),
        (True, "ValueError", "failed"),
        (False, None, None),
        (False, None, "behind"),
    ]
    assert parents(collector.spans) == {(TRACE, REQUEST)}
    assert b"canary" not in b"".join(collector.bodies)


async def test_the_lines_about_a_failed_reaction_say_its_trace(database: Make) -> None:
    db = await prepared(database)
    with written() as output:
        await apply(db, reactions(Guilty(2, ValueError("no")).react), record(opened(2), 0))
    lines = {line["event"]: line.get("trace_id") for line in output.lines}
    assert (lines["reaction failed"], lines["message parked"]) == (TRACE, TRACE)


async def test_a_parked_message_that_is_applied_later_is_told_in_its_trace(
    database: Make, collector: Collector
) -> None:
    db = await prepared(database)
    guilty = Guilty(2, ValueError("no"))
    react = reactions(guilty.react)
    await apply(db, react, record(opened(2), 0))
    guilty.broken = False
    collector.spans.clear()

    async def retry(tx: Transaction, now: Any) -> int:
        await parking.retry_now(tx, now)
        return await parking.retry_parked(tx, now, react)

    assert await JobLoop(Job("retry-parked", retry, 1), db.engine, lambda: None)._portion() == 1
    process, job = collector.spans
    assert (process.name, process.trace_id, process.parent_id) == ("process desk.tickets.v1", TRACE, REQUEST)
    assert process.failed is False
    assert (job.name, job.parent_id) == ("job retry-parked", "")


async def test_an_invalid_record_says_that_it_is_parked_and_nothing_of_what_it_holds(
    database: Make, collector: Collector
) -> None:
    db = await prepared(database)
    await apply(db, reactions(), record(opened(1), 0, value=b'{"title": "canary"}'))
    (span,) = collector.spans
    assert (span.failed, span.attributes["error.type"], span.attributes["desk.parked"]) == (
        True,
        "InvalidMessage",
        "invalid",
    )
    assert (span.trace_id, span.parent_id) == (TRACE, REQUEST)
    assert b"canary" not in collector.bodies[0]


async def test_a_batch_that_is_rolled_back_and_delivered_again_is_told_once(
    database: Make, collector: Collector
) -> None:
    db = await prepared(database)
    away = Guilty(2, ConnectionResetError("canary"))
    batch = [record(opened(1), 0), record(opened(2), 1)]
    react = reactions(away.react)
    with pytest.raises(ConnectionResetError):
        await apply(db, react, *batch)
    assert collector.spans == []
    away.broken = False
    await apply(db, react, *batch)
    await apply(db, react, *batch)
    assert [span.attributes["messaging.kafka.offset"] for span in collector.spans] == [0, 1]


async def test_the_relay_sends_below_the_cause_and_what_receives_is_below_the_relay(
    database: Make, cluster: Cluster, collector: Collector
) -> None:
    db = await database("runtime")
    async with db.begin() as tx:
        await publish(tx, seal(cause(traceparent=ABOVE), opened(1), opened(2)))
        await publish(tx, seal(cause(traceparent=None), opened(3)))
    async with running(relay_of(db, cluster)):
        records = await read_topic(cluster, TICKETS.name, 3)
        await eventually(lambda: told(collector, 3))
    spans = {span.attributes["desk.event_id"]: span for span in collector.spans}
    for one in records:
        headers = {name: value.decode() for name, value in one.headers}
        span = spans[headers["ce_id"]]
        assert headers["ce_traceparent"] == f"00-{span.trace_id}-{span.id}-01"
        assert (span.name, span.kind) == ("send desk.tickets.v1", "producer")
        assert (span.attributes["messaging.destination.partition.id"], span.attributes["messaging.kafka.offset"]) == (
            str(one.partition),
            one.offset,
        )
        assert span.attributes["desk.ticket_id"] == one.key.decode()
    assert sorted(span.parent_id for span in collector.spans) == ["", REQUEST, REQUEST]


async def told(collector: Collector, number: int) -> bool:
    return len(collector.spans) >= number


async def test_a_record_that_the_broker_refuses_is_a_failed_span(
    database: Make, cluster: Cluster, collector: Collector
) -> None:
    db = await database("runtime")
    await publish_all(db, [opened(1)])
    async with db.connect(OWNER) as connection:
        # More than a producer sends; publishing itself would have refused it.
        await connection.execute("UPDATE runtime.archive SET value = repeat('x', 2000000)::bytea")
    async with running(relay_of(db, cluster)):
        await eventually(lambda: told(collector, 2))
    assert {(span.failed, span.attributes["error.type"]) for span in collector.spans} == {
        (True, "MessageSizeTooLargeError")
    }


async def test_without_a_collector_a_trace_is_carried_on_unchanged(database: Make, cluster: Cluster) -> None:
    db = await prepared(database)
    seen: list[Received[Any]] = []

    async def react(tx: Transaction, event: Received[Any]) -> None:
        seen.append(event)
        assert get_contextvars()["trace_id"] == TRACE
        assert "span_id" not in get_contextvars()

    await apply(db, reactions(react), record(opened(1), 0))
    assert [event.traceparent for event in seen] == [ABOVE]
    async with db.begin() as tx:
        await publish(tx, seal(cause(traceparent=ABOVE), opened(1)))
    async with running(relay_of(db, cluster)):
        (sent,) = await read_topic(cluster, TICKETS.name, 1)
    assert dict(sent.headers)["ce_traceparent"].decode() == ABOVE


async def test_what_a_job_publishes_belongs_to_its_own_trace(database: Make, collector: Collector) -> None:
    db = await database("runtime")

    async def work(tx: Transaction, now: Any) -> int:
        await publish(tx, seal(cause(), opened(1)))
        return 1

    await JobLoop(Job("timers", work, 1), db.engine, lambda: None)._portion()
    (span,) = collector.spans
    async with db.connect() as connection:
        stored = trace.parse(await connection.fetchval("SELECT traceparent FROM runtime.archive"))
    assert stored == trace.TraceParent(span.trace_id, span.id, 1)
    assert span.name == "job timers"
