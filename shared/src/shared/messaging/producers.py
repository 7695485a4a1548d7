"""The relay's producers: a plain one for facts, a fenced one for state records; both are thrown away after a failure.

A compacted topic keeps the last record of a key, so a stale leader that wakes up and sends an old state once more would
leave it there for ever. The fenced producer is transactional: whoever makes it next ends the power of the one before.
Facts need no fence: a late double of theirs is known by its id.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Sequence
from itertools import zip_longest
from typing import Any

import asyncpg
from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    InvalidMessageError,
    InvalidTimestampError,
    KafkaError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
)

from shared.contracts.open_copy import open_headers, open_value
from shared.contracts.topics import BY_TYPE, TOPICS
from shared.messaging import spans
from shared.messaging.access import transactional_id_of
from shared.messaging.archive import headers_of_row
from shared.messaging.kafka import Cluster, to_its_end
from shared.telemetry import metrics
from shared.telemetry.tracing import Span

# The broker says of a record itself that it will never take it. InvalidRecord (87) has no class in aiokafka.
REJECTIONS = (MessageSizeTooLargeError, RecordListTooLargeError, InvalidMessageError, InvalidTimestampError)
INVALID_RECORD = 87
# The cluster's rights are wrong, not the record.
DENIALS = (TopicAuthorizationFailedError, TransactionalIdAuthorizationFailed)
# A leader that dies within a transaction keeps readers waiting this long, unless its successor is faster.
TRANSACTION_TIMEOUT_MS = 10_000

FENCED = frozenset(topic.name for topic in TOPICS if topic.cleanup == "compact")
_COPIES = {topic.name: topic.open_copy for topic in TOPICS if topic.open_copy is not None}

Outcome = BaseException | None


class Unwritable(Exception):
    """A row of the archive that no record can be made of."""


class TransactionFailed(KafkaError):
    """The record was well, and another of its transaction was not."""


def is_rejection(error: BaseException) -> bool:
    """Whether it is the record itself that cannot be sent, so that trying it again cannot help."""
    return isinstance(error, (*REJECTIONS, Unwritable)) or getattr(error, "errno", None) == INVALID_RECORD


def destinations(topic: str) -> frozenset[str]:
    """Where the rows of a topic go: there, and to its open copy where it has one."""
    return frozenset({topic, _COPIES.get(topic, topic)})


class Producers:
    """What one leader sends with. Rows are those of the archive."""

    def __init__(self, *, service: str, cluster: Cluster, request_timeout_seconds: float) -> None:
        self.service = service
        self.source = f"/desk/{service}"
        self.cluster = cluster
        self.request_timeout_seconds = request_timeout_seconds
        self._plain: AIOKafkaProducer | None = None
        self._fenced: AIOKafkaProducer | None = None
        self._denied: TransactionalIdAuthorizationFailed | None = None
        # The topic (the broker's name) that refused the last row that was tried on it.
        self._refused_by: str | None = None

    async def fetch_topics(self) -> list[str]:
        """The topics (registry names) that the cluster has. Raises KafkaError when it does not answer."""
        producer = await self._ready_plain()
        metadata = await producer.client.fetch_all_metadata()
        prefix = self.cluster.prefix
        return [self.cluster.logical(name) for name in metadata.topics() if name.startswith(prefix)]

    async def fence(self, rows: Sequence[asyncpg.Record]) -> bool:
        """Makes the fenced producer when one of the rows needs it; whether it was made now.

        From then on nobody who made one before can write state records. Whoever was frozen on the way here may have
        been replaced meanwhile, and would fence its successor: ask for the lead once more before sending with it.
        Where the right to it is missing, that is the outcome of sending the rows that need it.
        """
        if self._fenced is not None or not any(row["topic"] in FENCED for row in rows):
            return False
        try:
            self._fenced = await self._start(
                transactional_id=self.cluster.physical(transactional_id_of(self.service)),
                transaction_timeout_ms=TRANSACTION_TIMEOUT_MS,
            )
        except TransactionalIdAuthorizationFailed as error:
            self._denied = error
            return False
        return True

    async def send(self, rows: Sequence[asyncpg.Record]) -> list[Outcome]:
        """Sends the rows in order and waits for every answer; one outcome per row, None where it was acknowledged.

        No key has rows of both kinds, so that the two kinds need no order between them. Call `fence` before.
        """
        facts = [row for row in rows if row["topic"] not in FENCED]
        records = [row for row in rows if row["topic"] in FENCED]
        outcomes: dict[int, Outcome] = {}
        if facts:
            of_facts = await self._hand_over(await self._ready_plain(), facts)
            outcomes |= {row["position"]: outcome for row, outcome in zip(facts, of_facts, strict=True)}
        if records:
            of_records = await self._send_fenced(records)
            outcomes |= {row["position"]: outcome for row, outcome in zip(records, of_records, strict=True)}
        metrics.relay_sent_total.inc(sum(outcome is None for outcome in outcomes.values()))
        return [outcomes[row["position"]] for row in rows]

    async def try_topic(self, row: asyncpg.Record) -> Outcome:
        """Sends one row as `send` does, to see whether its topic takes rows again.

        Topic and copy have it one after the other, whichever refused last first: a row that is tried again and again
        must not come again and again where it is taken.
        """
        if row["topic"] in FENCED:
            (outcome,) = await self.send([row])
        else:
            (outcome,) = await self._hand_over(await self._ready_plain(), [row], one_by_one=True)
            metrics.relay_sent_total.inc(outcome is None)
        return outcome

    async def discard(self) -> None:
        """Ends both without flushing: a leader that lost its lock must send nothing more, and after any failed batch
        an idempotent producer is stuck on that partition for ever."""
        producers, self._plain, self._fenced, self._denied = (self._plain, self._fenced), None, None, None
        for producer in producers:
            if producer is not None:
                await _end(producer)

    # -- sending ------------------------------------------------------------------------------------------------

    async def _send_fenced(self, rows: Sequence[asyncpg.Record]) -> list[Outcome]:
        """All of the rows in one transaction: either all are acknowledged or none is. One that failed is left open,
        because the producer is thrown away, and the next one ends whatever its predecessor left."""
        producer = self._fenced
        if self._denied is not None:
            return [self._denied] * len(rows)
        if producer is None:
            raise RuntimeError("state records are sent by a fenced producer: fence() comes first")
        await producer.begin_transaction()
        outcomes = await self._hand_over(producer, rows)
        failed: Outcome = next((outcome for outcome in outcomes if outcome is not None), None)
        if failed is None:
            try:
                await producer.commit_transaction()
            except KafkaError as error:
                return [error] * len(rows)
            return outcomes
        return [outcome or TransactionFailed(repr(failed)) for outcome in outcomes]

    async def _hand_over(
        self, producer: AIOKafkaProducer, rows: Sequence[asyncpg.Record], *, one_by_one: bool = False
    ) -> list[Outcome]:
        acknowledgements: list[Sequence[Awaitable[object]] | BaseException] = []
        opened: list[Span | None] = []
        for row in rows:
            opened.append(spans.open_sending(row))
            try:
                records = self._records(row, opened[-1])
                give = self._give_one_by_one if one_by_one else self._give
                acknowledgements.append(await give(producer, records))
            except (KafkaError, Unwritable) as error:
                # A later row of its key must not overtake this one: the rest of the batch is not tried.
                acknowledgements += [error] * (len(rows) - len(acknowledgements))
                break
        return [spans.close_sending(span, await _outcome(one)) for span, one in zip_longest(opened, acknowledgements)]

    async def _give(self, producer: AIOKafkaProducer, records: Sequence[dict[str, Any]]) -> list[asyncio.Future[Any]]:
        return [await producer.send(**record) for record in records]

    async def _give_one_by_one(
        self, producer: AIOKafkaProducer, records: Sequence[dict[str, Any]]
    ) -> list[asyncio.Future[Any]]:
        given: list[asyncio.Future[Any]] = []
        for record in sorted(records, key=lambda one: one["topic"] != self._refused_by):
            self._refused_by = record["topic"]
            given.append(await producer.send(**record))
            await asyncio.wait(given)
            if given[-1].exception() is not None:
                return given
        self._refused_by = None
        return given

    def _records(self, row: asyncpg.Record, span: Span | None) -> list[dict[str, Any]]:
        """The record of a row, and the one of its open copy. Raises Unwritable."""
        topic, key = self.cluster.physical(row["topic"]), row["key"].encode()
        record = {"topic": topic, "key": key, "value": row["value"], "headers": self._headers(row, span)}
        copy = _COPIES.get(row["topic"])
        # A type that this release does not know any more may be personal anywhere.
        event = BY_TYPE.get(row["type"]) if copy is not None else None
        if copy is None or event is None:
            return [record]
        try:
            value = open_value(event, row["value"])
        except ValueError as error:
            raise Unwritable("no open copy can be made of it") from error
        headers = open_headers(record["headers"])
        return [record, {**record, "topic": self.cluster.physical(copy), "value": value, "headers": headers}]

    def _headers(self, row: asyncpg.Record, span: Span | None) -> list[tuple[str, bytes]]:
        try:
            # Whoever receives it is below the sending, which is below what caused the event.
            return headers_of_row(row, self.source, traceparent=span.traceparent if span is not None else None)
        except Exception as error:
            # Whatever is wrong with this row must not keep the keys of all others waiting.
            raise Unwritable(f"no record can be made of it: {type(error).__name__}") from error

    # -- producers ----------------------------------------------------------------------------------------------

    async def _ready_plain(self) -> AIOKafkaProducer:
        if self._plain is None:
            self._plain = await self._start(enable_idempotence=True)
        return self._plain

    async def _start(self, **options: Any) -> AIOKafkaProducer:
        producer = AIOKafkaProducer(
            bootstrap_servers=self.cluster.bootstrap,
            client_id=f"{self.service}-relay",
            acks="all",
            linger_ms=0,
            request_timeout_ms=int(self.request_timeout_seconds * 1000),
            metadata_max_age_ms=30_000,
            **options,
            **self.cluster.security.options(),
        )
        try:
            await producer.start()
        except BaseException:
            producer._closed = True  # noqa: SLF001
            await to_its_end(producer.client.close())
            raise
        return producer


async def _end(producer: AIOKafkaProducer) -> None:
    producer._closed = True  # noqa: SLF001  stop() would flush, and aiokafka has no other way to end
    sender = producer._sender.sender_task  # noqa: SLF001
    if sender is not None:
        sender.cancel()
    with contextlib.suppress(Exception):
        await to_its_end(producer.client.close())
    # Cancelled once it waits for the requests under way, which may take long or for ever without its client.
    while sender is not None and not sender.done():
        sender.cancel()
        await asyncio.wait([sender], timeout=0.1)


async def _outcome(acknowledgements: Sequence[Awaitable[object]] | BaseException) -> Any:
    """Where Kafka put a record, or the first error of it and its copy."""
    if isinstance(acknowledgements, BaseException):
        return acknowledgements
    answers = await asyncio.gather(*acknowledgements, return_exceptions=True)
    if unexpected := [each for each in answers if isinstance(each, BaseException) and not isinstance(each, KafkaError)]:
        raise unexpected[0]
    return next((answer for answer in answers if isinstance(answer, KafkaError)), answers[0])
