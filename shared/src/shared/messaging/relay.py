"""The relay: carries the outbox to Kafka in commit order, with one leader per database and hot standbys."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Coroutine
from itertools import zip_longest
from typing import Any, TypeVar

import asyncpg
import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    InvalidMessageError,
    InvalidTimestampError,
    KafkaError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
    TopicAuthorizationFailedError,
)

from shared import clock
from shared.contracts.envelope import Cause, headers_of
from shared.db.engine import direct_connection
from shared.db.failures import pause_after
from shared.messaging import spans
from shared.messaging.hint import CHANNEL
from shared.messaging.kafka import Cluster
from shared.telemetry import metrics
from shared.telemetry.tracing import Span

log = structlog.get_logger(__name__)

T = TypeVar("T")

# The session lock of the leader, the same number in every service: each has its own database.
LEADER_LOCK = 0x0DE5_0002
# PostgreSQL ends the session of a leader that was frozen this long, and a standby takes over.
IDLE_SESSION = "5s"
POLL_SECONDS = 1.0
BATCH = 500
TOPICS_PAUSE_SECONDS = 10.0

# The broker says of a record itself that it will never take it. InvalidRecord (87) has no class in aiokafka.
REJECTIONS = (MessageSizeTooLargeError, RecordListTooLargeError, InvalidMessageError, InvalidTimestampError)
INVALID_RECORD = 87

_NEXT = """
    SELECT a.position, a.id, a.topic, a.key, a.type, a.subject, a.occurred_at, a.recorded_at, a.origin, a.actor,
           a.correlation_id, a.causation_id, a.traceparent, a.value
    FROM runtime.outbox o JOIN runtime.archive a USING (position)
    WHERE a.topic = ANY($1::text[])
      AND NOT EXISTS (SELECT FROM runtime.unsendable u WHERE u.topic = a.topic AND u.key = a.key)
    ORDER BY position LIMIT $2
"""
_BACKLOG = """
    SELECT count(*) AS rows, (SELECT a.recorded_at FROM runtime.archive a WHERE a.position = min(o.position)) AS oldest,
           (SELECT count(*) FROM runtime.unsendable) AS blocked
    FROM (SELECT position FROM runtime.outbox ORDER BY position LIMIT 100000) o
"""
_WAITING = """
    SELECT DISTINCT a.topic FROM (SELECT position FROM runtime.outbox ORDER BY position LIMIT 10000) o
    JOIN runtime.archive a USING (position) WHERE NOT a.topic = ANY($1::text[])
"""


class Unwritable(Exception):
    """A row of the archive that no record can be made of."""


def is_rejection(error: BaseException) -> bool:
    """Whether it is the record itself that cannot be sent, so that trying it again cannot help."""
    return isinstance(error, (*REJECTIONS, Unwritable)) or getattr(error, "errno", None) == INVALID_RECORD


class Relay:
    """One process's relay: a standby until it has the lock, then the leader until it loses it.

    `last_turn` is the monotonic second of the last turn of its loop; the process is dead when it stops growing.
    """

    def __init__(
        self, *, service: str, database_url: str, cluster: Cluster, request_timeout_seconds: float = 10
    ) -> None:
        self.service = service
        self.source = f"/desk/{service}"
        self.database_url = database_url
        self.cluster = cluster
        self.request_timeout_seconds = request_timeout_seconds
        self.last_turn = time.monotonic()
        self.leads = False
        self.problem: str | None = None
        self._woken = asyncio.Event()
        self._stopping = asyncio.Event()
        self._producer: AIOKafkaProducer | None = None
        # The topics that take records, and when that was asked last.
        self._known: list[str] = []
        self._known_at: float | None = None
        self._measured_at = 0.0
        self._failures = 0

    def stop(self) -> None:
        """Asks the loop to end after what it is sending."""
        self._stopping.set()
        self._woken.set()

    async def run(self) -> None:
        """Leads or stands by until stopped; whatever breaks is logged, counted and begun anew."""
        while not self._stopping.is_set():
            self._turn()
            try:
                async with direct_connection(
                    self.database_url, application=f"{self.service} relay", idle_session_timeout=IDLE_SESSION
                ) as connection:
                    await self._stand_by(connection)
                    await self._lead(connection)
            except Exception as error:
                # Caught this broadly on purpose: asyncpg has errors of no common family when a backend is killed.
                self._note(error)
            finally:
                self.leads = False
                metrics.relay_leader.set(0)
                await self._discard_producer()
            await self._pause()

    def _note(self, error: Exception) -> None:
        self._failures += 1
        self.problem = repr(error)
        metrics.relay_restarts_total.inc()
        log.warning("relay begins anew", problem=repr(error), failures=self._failures, leads=self.leads)

    async def _pause(self) -> None:
        """A growing pause after failures. No hint ends it, or an outage under load would be one tight loop."""
        self._turn()
        if self._failures:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), timeout=pause_after(self._failures, first=0.2))

    async def _stand_by(self, connection: asyncpg.Connection) -> None:
        while not self._stopping.is_set():
            self._turn()
            # A blocking lock would pin the vacuum horizon for as long as this process waits.
            if await connection.fetchval("SELECT pg_try_advisory_lock($1)", LEADER_LOCK):
                return
            self._be_well()
            await self._rest(POLL_SECONDS)

    async def _lead(self, connection: asyncpg.Connection) -> None:
        self.leads = True
        metrics.relay_leader.set(1)
        log.info("relay leads", database=self.service)
        await connection.add_listener(CHANNEL, self._hear)
        while not self._stopping.is_set():
            self._turn()
            self._woken.clear()
            await self._measure(connection)
            try:
                sent = await self._carry(connection)
            except KafkaError as error:
                # Kafka's outage must not cost the lock: this process waits, and sends with a new producer.
                self._note(error)
                self._known_at = None
                await self._patiently(connection, self._discard_producer())
                await self._patiently(connection, self._pause())
                continue
            self._be_well()
            if not sent:
                await self._rest(POLL_SECONDS)

    async def _carry(self, connection: asyncpg.Connection) -> int:
        """Sends the next batch; returns its size. Raises KafkaError when Kafka does not take it."""
        await self._learn_topics(connection)
        rows = await connection.fetch(_NEXT, self._known, BATCH)
        if rows:
            await self._send_all(connection, rows)
        return len(rows)

    async def _patiently(self, connection: asyncpg.Connection, waiting: Coroutine[Any, Any, T]) -> T:
        """Waits for Kafka, and asks the database something each second: a session that idles loses the lock."""
        work, began = asyncio.ensure_future(waiting), time.monotonic()
        try:
            while not work.done():
                await asyncio.wait([work], timeout=POLL_SECONDS)
                self._turn()
                if not work.done():
                    await self._measure(connection)
                    # An idempotent producer tries for ever and says nothing.
                    if time.monotonic() - began > self.request_timeout_seconds:
                        self.problem = f"Kafka has not answered for {time.monotonic() - began:.0f} s"
            return work.result()
        finally:
            work.cancel()

    def _be_well(self) -> None:
        self._failures, self.problem = 0, None

    def _hear(self, *_: object) -> None:
        self._woken.set()

    def _turn(self) -> None:
        self.last_turn = time.monotonic()

    async def _rest(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._woken.wait(), timeout=seconds)
        if not self.leads:
            self._woken.clear()

    # -- sending ------------------------------------------------------------------------------------------------

    async def _send_all(self, connection: asyncpg.Connection, rows: list[asyncpg.Record]) -> None:
        """Sends a batch and deletes what Kafka acknowledged. A failed batch costs the producer."""
        outcomes = await self._patiently(connection, self._send(rows))
        acknowledged = [row["position"] for row, error in zip(rows, outcomes, strict=True) if error is None]
        await self._delete(connection, acknowledged)
        errors = [error for error in outcomes if error is not None]
        if not errors:
            return
        # After any failed batch an idempotent producer is stuck on that partition for ever: throw it away.
        await self._patiently(connection, self._discard_producer())
        for row, error in zip(rows, outcomes, strict=True):
            if isinstance(error, TopicAuthorizationFailedError):
                # The cluster's rights are wrong, not the record: its topic waits until they are mended.
                log.error("a topic may not be written by this service; its rows wait", topic=row["topic"])
                self._known.remove(row["topic"])
                return
        rejected = any(is_rejection(error) for error in errors)
        left = [row for row, error in zip(rows, outcomes, strict=True) if error is not None]
        if rejected:
            await self._find_guilty(connection, left)
        else:
            raise errors[0]

    async def _find_guilty(self, connection: asyncpg.Connection, rows: list[asyncpg.Record]) -> None:
        """The broker rejects a whole batch for one record: row by row only the guilty one stays behind."""
        blocked: set[tuple[str, str]] = set()
        for row in rows:
            if (row["topic"], row["key"]) in blocked:
                continue
            (error,) = await self._patiently(connection, self._send([row]))
            if error is None:
                await self._delete(connection, [row["position"]])
                continue
            await self._patiently(connection, self._discard_producer())
            if not is_rejection(error):
                raise error
            blocked.add((row["topic"], row["key"]))
            await self._block(connection, row, error)

    async def _block(self, connection: asyncpg.Connection, row: asyncpg.Record, error: BaseException) -> None:
        log.error(
            "an event cannot be sent; its key waits behind it",
            topic=row["topic"], position=row["position"], event_id=str(row["id"]), problem=repr(error),
        )  # fmt: skip
        await connection.execute(
            "INSERT INTO runtime.unsendable (topic, key, position, problem, found_at) VALUES ($1, $2, $3, $4, $5) "
            "ON CONFLICT (topic, key) DO NOTHING",
            row["topic"], row["key"], row["position"], repr(error), clock.now(),
        )  # fmt: skip

    async def _send(self, rows: list[asyncpg.Record]) -> list[BaseException | None]:
        """Sends the rows in order and waits for every answer; one outcome per row, None where it was acknowledged."""
        producer = await self._ready_producer()
        acknowledgements: list[Awaitable[object] | BaseException] = []
        opened: list[Span | None] = []
        for row in rows:
            opened.append(spans.open_sending(row))
            try:
                headers = self._headers(row, opened[-1])
                topic, key = self.cluster.physical(row["topic"]), row["key"].encode()
                acknowledgements.append(await producer.send(topic, key=key, value=row["value"], headers=headers))
            except (KafkaError, Unwritable) as error:
                # A later row of its key must not overtake this one: the rest of the batch is not tried.
                acknowledgements += [error] * (len(rows) - len(acknowledgements))
                break
        outcomes = [
            spans.close_sending(span, await _outcome(one)) for span, one in zip_longest(opened, acknowledgements)
        ]
        metrics.relay_sent_total.inc(sum(error is None for error in outcomes))
        return outcomes

    def _headers(self, row: asyncpg.Record, span: Span | None) -> list[tuple[str, bytes]]:
        try:
            cause = Cause(
                actor=row["actor"], occurred_at=row["occurred_at"], recorded_at=row["recorded_at"],
                origin=row["origin"], correlation_id=row["correlation_id"], causation_id=row["causation_id"],
                # Whoever receives it is below the sending, which is below what caused the event.
                traceparent=span.traceparent if span is not None else row["traceparent"],
            )  # fmt: skip
            return headers_of(
                id=row["id"], source=self.source, type=row["type"], subject=row["subject"], sequence=row["position"],
                cause=cause,
            )  # fmt: skip
        except Exception as error:
            # Whatever is wrong with this row must not keep the keys of all others waiting.
            raise Unwritable(f"no record can be made of it: {type(error).__name__}") from error

    async def _delete(self, connection: asyncpg.Connection, positions: list[int]) -> None:
        if positions:
            await connection.execute("DELETE FROM runtime.outbox WHERE position = ANY($1::bigint[])", positions)

    # -- producer -----------------------------------------------------------------------------------------------

    async def _ready_producer(self) -> AIOKafkaProducer:
        if self._producer is None:
            producer = AIOKafkaProducer(
                bootstrap_servers=self.cluster.bootstrap,
                client_id=f"{self.service}-relay",
                acks="all",
                enable_idempotence=True,
                linger_ms=0,
                request_timeout_ms=int(self.request_timeout_seconds * 1000),
                metadata_max_age_ms=30_000,
                **self.cluster.security.options(),
            )
            try:
                await producer.start()
            except BaseException:
                producer._closed = True  # noqa: SLF001
                await producer.client.close()
                raise
            self._producer = producer
        return self._producer

    async def _discard_producer(self) -> None:
        """Ends the producer without flushing: a leader that lost its lock must send nothing more."""
        producer, self._producer = self._producer, None
        if producer is None:
            return
        producer._closed = True  # noqa: SLF001  stop() would flush, and aiokafka has no other way to end
        sender = producer._sender.sender_task  # noqa: SLF001
        if sender is not None:
            sender.cancel()
        with contextlib.suppress(Exception):
            await producer.client.close()
        # Cancelled once it waits for the requests under way, which may take long or for ever without its client.
        while sender is not None and not sender.done():
            sender.cancel()
            await asyncio.wait([sender], timeout=0.1)

    # -- topics and figures -------------------------------------------------------------------------------------

    async def _learn_topics(self, connection: asyncpg.Connection) -> None:
        """A send to a missing topic blocks for the whole request timeout: rows of such topics stay, and alarm."""
        now = time.monotonic()
        if self._known_at is not None:
            if now - self._known_at < TOPICS_PAUSE_SECONDS:
                return
            waiting = await connection.fetch(_WAITING, self._known)
            if not waiting:
                self._known_at = now
                return
            log.error(
                "rows wait for topics that do not exist or may not be written", topics=[row["topic"] for row in waiting]
            )
        self._known = await self._patiently(connection, self._fetch_topics())
        self._known_at = time.monotonic()

    async def _fetch_topics(self) -> list[str]:
        producer = await self._ready_producer()
        metadata = await producer.client.fetch_all_metadata()
        prefix = self.cluster.prefix
        return [self.cluster.logical(name) for name in metadata.topics() if name.startswith(prefix)]

    async def _measure(self, connection: asyncpg.Connection) -> None:
        now = time.monotonic()
        if now - self._measured_at < POLL_SECONDS / 2:
            return
        self._measured_at = now
        row = await connection.fetchrow(_BACKLOG)
        metrics.outbox_backlog.set(row["rows"])
        oldest = row["oldest"]
        metrics.outbox_oldest_seconds.set(max(0.0, (clock.now() - oldest).total_seconds()) if oldest else 0)
        metrics.relay_blocked_keys.set(row["blocked"])


async def _outcome(acknowledgement: Awaitable[object] | BaseException) -> object:
    """Where Kafka put a record, or the error."""
    if isinstance(acknowledgement, BaseException):
        return acknowledgement
    try:
        return await acknowledgement
    except KafkaError as error:
        return error
