"""The relay: carries the outbox to Kafka in commit order, with one leader per database and hot standbys."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Coroutine
from typing import Any, TypeVar

import asyncpg
import structlog
from aiokafka.errors import KafkaError

from shared import clock
from shared.db.engine import direct_connection
from shared.db.failures import pause_after
from shared.messaging import outgoing, published
from shared.messaging.hint import CHANNEL
from shared.messaging.kafka import Cluster
from shared.messaging.producers import DENIALS, Outcome, Producers, destinations, is_rejection
from shared.telemetry import metrics

log = structlog.get_logger(__name__)

T = TypeVar("T")

# The session lock of the leader, the same number in every service: each has its own database.
LEADER_LOCK = 0x0DE5_0002
# PostgreSQL ends the session of a leader that was frozen this long, and a standby takes over.
IDLE_SESSION = "5s"
POLL_SECONDS = 1.0
BATCH = 500
TOPICS_PAUSE_SECONDS = 10.0
# Who is asked to stop lets what is under way end for so long.
STOP_SECONDS = 3.0
# An idempotent producer tries for ever, and only at the addresses that it knows. After so many request timeouts it is
# thrown away, and the next one asks anew where the brokers are.
PATIENCE_IN_TIMEOUTS = 3
COMPARE_AGAIN_SECONDS = 5.0
RECONSIDER_SECONDS = 3.0


class Silent(KafkaError):
    """Kafka has not answered for longer than one waits."""


class Restored(Exception):
    """The topics hold events that the archive does not: sending would give their positions to others."""


class Relay:
    """One process's relay: a standby until it has the lock, then the leader until it loses it.

    `last_turn` is the monotonic second of the last turn of its loop; the process is dead when it stops growing.
    `refused` says why it does not send until an operator has acted.
    """

    def __init__(
        self, *, service: str, database_url: str, cluster: Cluster, request_timeout_seconds: float = 10
    ) -> None:
        self.service = service
        self.database_url = database_url
        self.cluster = cluster
        self.request_timeout_seconds = request_timeout_seconds
        self.last_turn = time.monotonic()
        self.leads = False
        self.problem: str | None = None
        self.refused: str | None = None
        self.producers = Producers(service=service, cluster=cluster, request_timeout_seconds=request_timeout_seconds)
        self._woken = asyncio.Event()
        self._stopping = asyncio.Event()
        # The topics that take records, and when that was asked last.
        self._known: set[str] = set()
        self._known_at: float | None = None
        # Those of the service's own topics whose events are all in the archive, and why others are not written.
        self._compared: set[str] = set()
        self._unreadable: dict[str, str] = {}
        self._reconsidered_at = 0.0
        self._measured_at = 0.0
        self._failures = 0

    def stop(self) -> None:
        """Asks the loop to end after what it is sending, or when that takes longer than STOP_SECONDS."""
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
                self.leads, self._unreadable = False, {}
                metrics.relay_leader.set(0)
                await self.producers.discard()
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
            if self.refused is None:
                self._be_well()
            else:
                await self._reconsider()
            await self._rest(POLL_SECONDS)

    async def _reconsider(self) -> None:
        """Whoever refused and lost the lead asks itself whether somebody has acted: another one leads now, and sends or
        refuses as well."""
        now = time.monotonic()
        if now - self._reconsidered_at < COMPARE_AGAIN_SECONDS:
            return
        self._reconsidered_at = now
        with contextlib.suppress(KafkaError, TimeoutError):
            # Meanwhile its session idles, and must not so long that it is ended.
            async with asyncio.timeout(RECONSIDER_SECONDS):
                found = await published.compare(self.database_url, self.service, self.cluster)
            if found.compared and not found.unknown:
                self._be_well()

    async def _lead(self, connection: asyncpg.Connection) -> None:
        self.leads, self._known_at = True, None
        self._compared.clear()
        metrics.relay_leader.set(1)
        log.info("relay leads", database=self.service)
        await connection.add_listener(CHANNEL, self._hear)
        while not self._stopping.is_set():
            self._turn()
            self._woken.clear()
            await self._measure(connection)
            try:
                seen = await self._carry(connection)
            except KafkaError as error:
                # Kafka's outage must not cost the lock: this process waits, and sends with a new producer.
                self._note(error)
                self._known_at = None
                await self._patiently(connection, self.producers.discard())
                await self._patiently(connection, self._pause())
                continue
            except Restored as restored:
                self._refuse(str(restored))
                await self._stay(connection, COMPARE_AGAIN_SECONDS)
                continue
            self._be_well()
            if not seen:
                await self._rest(POLL_SECONDS)

    async def _carry(self, connection: asyncpg.Connection) -> int:
        """Deals with the next rows; returns how many. Raises KafkaError when Kafka does not take them, and Restored."""
        await self._learn_topics(connection)
        rows = await outgoing.next_rows(connection, BATCH)
        if behind := [row for row in rows if row["behind"]]:
            await outgoing.withhold_behind(connection, behind)
        if strange := {row["topic"] for row in rows} - self._known:
            await outgoing.withhold_topics(connection, strange)
        if ready := [row for row in rows if not row["behind"] and row["topic"] in self._known]:
            await self._send_all(connection, ready)
        return len(rows)

    async def _patiently(self, connection: asyncpg.Connection, waiting: Coroutine[Any, Any, T]) -> T:
        """Waits for Kafka, and asks the database something each second: a session that idles loses the lock.

        Raises Silent when that takes too long, or longer than it may once this process was asked to stop.
        """
        work, began = asyncio.ensure_future(waiting), time.monotonic()
        stopping = asyncio.ensure_future(self._stopping.wait())
        asked_to_stop: float | None = None
        try:
            while not work.done():
                await asyncio.wait(
                    [work] if asked_to_stop else [work, stopping],
                    timeout=POLL_SECONDS,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                self._turn()
                if work.done():
                    break
                now = time.monotonic()
                if self._stopping.is_set():
                    asked_to_stop = asked_to_stop or now
                await self._measure(connection)
                self._lose_patience(now - began, now - asked_to_stop if asked_to_stop else 0.0)
            return work.result()
        finally:
            work.cancel()
            stopping.cancel()

    async def _stay(self, connection: asyncpg.Connection, seconds: float) -> None:
        """Waits that long, or until this process is asked to stop, and asks the database something each second."""
        until = time.monotonic() + seconds
        while not self._stopping.is_set() and (left := until - time.monotonic()) > 0:
            self._turn()
            await self._measure(connection)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), timeout=min(POLL_SECONDS, left))

    def _lose_patience(self, waited: float, stopping_for: float) -> None:
        if stopping_for > STOP_SECONDS:
            raise Silent("stopped while Kafka does not answer; what was not acknowledged is sent by the next leader")
        if waited > PATIENCE_IN_TIMEOUTS * self.request_timeout_seconds:
            raise Silent(f"Kafka has not answered for {waited:.0f} s")
        if waited > self.request_timeout_seconds:
            # An idempotent producer tries for ever and says nothing.
            self.problem = f"Kafka has not answered for {waited:.0f} s"

    def _be_well(self) -> None:
        self._failures, self.refused = 0, None
        self.problem = published.told_unreadable(self._unreadable) or None

    def _refuse(self, why: str) -> None:
        if self.refused != why:
            log.critical("relay does not send", problem=why)
        self.problem = self.refused = why

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

    async def _send(self, connection: asyncpg.Connection, rows: list[asyncpg.Record]) -> list[Outcome]:
        """Sends rows in order; one outcome per row, None where it was acknowledged. Raises KafkaError."""
        await self._fence(connection, rows)
        return await self._patiently(connection, self.producers.send(rows))

    async def _fence(self, connection: asyncpg.Connection, rows: list[asyncpg.Record]) -> None:
        if await self._patiently(connection, self.producers.fence(rows)):
            # Only who still has the lock may have fenced the others: a session that was ended meanwhile fails here.
            await connection.fetchval("SELECT 1")

    async def _send_all(self, connection: asyncpg.Connection, rows: list[asyncpg.Record]) -> None:
        """Sends a batch and deletes what Kafka acknowledged. A failed batch costs the producers."""
        outcomes = await self._send(connection, rows)
        acknowledged = [row["position"] for row, error in zip(rows, outcomes, strict=True) if error is None]
        await outgoing.delete_sent(connection, acknowledged)
        errors = [error for error in outcomes if error is not None]
        if not errors:
            return
        await self._patiently(connection, self.producers.discard())
        if denied := {row["topic"] for row, error in zip(rows, outcomes, strict=True) if isinstance(error, DENIALS)}:
            # The cluster's rights are wrong, not the records: the topics wait until they are mended.
            log.error("topics may not be written by this service; their rows wait", topics=sorted(denied))
            self._known -= denied
            return
        if not any(is_rejection(error) for error in errors):
            raise errors[0]
        left = [row for row, error in zip(rows, outcomes, strict=True) if error is not None]
        await self._find_guilty(connection, left)

    async def _find_guilty(self, connection: asyncpg.Connection, rows: list[asyncpg.Record]) -> None:
        """The broker rejects a whole batch for one record: row by row only the guilty one stays behind."""
        blocked: set[tuple[str, str]] = set()
        for row in rows:
            if (row["topic"], row["key"]) in blocked:
                continue
            (error,) = await self._send(connection, [row])
            if error is None:
                await outgoing.delete_sent(connection, [row["position"]])
                continue
            await self._patiently(connection, self.producers.discard())
            if not is_rejection(error):
                raise error
            blocked.add((row["topic"], row["key"]))
            log.error(
                "an event cannot be sent; its key waits behind it",
                topic=row["topic"], position=row["position"], event_id=str(row["id"]), problem=repr(error),
            )  # fmt: skip
            await outgoing.block_key(connection, row, repr(error))

    # -- topics and figures -------------------------------------------------------------------------------------

    async def _compare(self, connection: asyncpg.Connection, existing: set[str]) -> None:
        """Compares the service's own topics that were not compared yet: nothing may be sent to one that was not. Raises
        Restored while they hold events that are not in the archive; one that cannot be read is left out."""
        self._compared &= existing
        unreadable = {}
        if due := (published.owned(self.service) & existing) - self._compared:
            comparing = published.compare(
                self.database_url, self.service, self.cluster, due, within=self.request_timeout_seconds
            )
            found = await self._patiently(connection, comparing)
            if found.unknown:
                raise Restored(published.told(self.service, found))
            self._compared |= found.compared
            unreadable = found.unreadable
        if unreadable and unreadable != self._unreadable:
            log.error("relay leaves topics out", problem=published.told_unreadable(unreadable))
        self._unreadable = unreadable

    async def _learn_topics(self, connection: asyncpg.Connection) -> None:
        """Which topics take records: a send to a missing topic blocks for the whole request timeout, so that the rows
        of such topics are withheld until the topic is there and takes one of them."""
        now = time.monotonic()
        if self._known_at is not None and now - self._known_at < TOPICS_PAUSE_SECONDS:
            return
        waiting = await outgoing.withheld_topics(connection)
        if self._known_at is None or waiting or self._unreadable:
            existing = set(await self._patiently(connection, self.producers.fetch_topics()))
            await self._compare(connection, existing)
            whole = {topic for topic in existing if destinations(topic) <= existing} - set(self._unreadable)
            self._known = whole - waiting
            for topic in sorted(waiting & whole):
                await self._reopen(connection, topic)
            if closed := sorted(waiting - self._known):
                log.error("rows wait for topics that do not exist or may not be written", topics=closed)
        self._known_at = time.monotonic()

    async def _reopen(self, connection: asyncpg.Connection, topic: str) -> None:
        """Tries a topic with the first of its rows; when the topic takes it, the others come back."""
        row = await outgoing.oldest_withheld(connection, topic)
        if row is not None:
            await self._fence(connection, [row])
            error = await self._patiently(connection, self.producers.try_topic(row))
            if error is None:
                await outgoing.delete_withheld(connection, row["position"])
            else:
                await self._patiently(connection, self.producers.discard())
                if isinstance(error, DENIALS):
                    return
                if not is_rejection(error):
                    raise error
            # Whoever dies in between leaves the topic waiting: its rows are withheld again before any of them is sent.
            while await outgoing.take_back(connection, topic):
                self._turn()
        self._known.add(topic)

    async def _measure(self, connection: asyncpg.Connection) -> None:
        now = time.monotonic()
        if now - self._measured_at < POLL_SECONDS / 2:
            return
        self._measured_at = now
        waiting, withheld, oldest, blocked = await outgoing.backlog(connection)
        metrics.outbox_backlog.set(waiting + withheld)
        metrics.outbox_oldest_seconds.set(max(0.0, (clock.now() - oldest).total_seconds()) if oldest else 0)
        metrics.relay_blocked_rows.set(blocked)
