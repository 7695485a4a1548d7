"""The consumer: FastStream frames the process, everything that decides correctness is here and in `batch`.

Offsets live in the database; Kafka's committed offsets only show lag. aiokafka hands out records before the seek to the
stored offset has happened, so records count only when they were fetched while their partition was in `loaded`.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, ConsumerRecord, TopicPartition
from aiokafka.errors import ConsumerStoppedError, IllegalStateError, KafkaError
from faststream import AckPolicy
from faststream.kafka import KafkaBroker
from faststream.kafka.message import FAKE_CONSUMER, KafkaMessage
from faststream.security import BaseSecurity, SASLScram512

from shared.db.engine import Engine
from shared.db.failures import pause_after, problem_of
from shared.messaging import positions
from shared.messaging.access import group_of
from shared.messaging.batch import BatchApplier, OffsetsMoved, Partition
from shared.messaging.kafka import Cluster, missing_topics
from shared.messaging.parking import ParkingRunsWild
from shared.messaging.reactions import Reactions
from shared.messaging.records import Record

log = structlog.get_logger(__name__)

MAX_BATCH = 500
FETCH_MS = 1000
# Longer than any batch may take: a handler that is cancelled in its transaction only costs a repetition.
GRACEFUL_SECONDS = 35.0
# The client asks the brokers that it knows for news this often. When none has answered for so much longer, they may
# have come back under other addresses, and the addresses that it was given are asked again.
METADATA_SECONDS = 30.0
STALE_SECONDS = 75.0
# How long the brokers' answer is waited for where nothing depends on it: they may be away.
COURTESY_SECONDS = 5.0
# A batch, or Kafka's answer at the start, may take longer than a loop that turns; what takes longer than this hangs.
LONGEST_WORK_SECONDS = 60.0


class LogBegunAnew(Exception):
    """Records came that lie before what was already applied: the topic was made anew beneath this consumer."""


class Consumer:
    """One process's consumer of one service, for all topics that the service reacts to.

    `problem` says why it does not go on, None when it does; `halted` is a problem that only an operator can end.
    """

    def __init__(
        self,
        *,
        service: str,
        engine: Engine,
        cluster: Cluster,
        reactions: Reactions,
        hint: Callable[[], None],
        session_timeout_ms: int = 10_000,
        max_batch: int = MAX_BATCH,
        applier: BatchApplier | None = None,
    ) -> None:
        self.service = service
        self.engine = engine
        self.cluster = cluster
        self.reactions = reactions
        self.applier = applier or BatchApplier(engine, reactions, hint)
        self.session_timeout_ms = session_timeout_ms
        self.max_batch = max_batch
        self.problem: str | None = "not started"
        self.halted: str | None = None
        # The partitions whose stored offsets are loaded, and the offset that each has reached.
        self.loaded: dict[TopicPartition, int] = {}
        self._turned = time.monotonic()
        self._at_work_since: float | None = None
        self._assignment = 0  # grows with every rebalance, so that what belongs to an older one is recognised
        self._fetched_in = 0
        self._in_hand = False  # records were taken out of the client and are not yet applied
        self._failures = 0
        self._batch = asyncio.Lock()
        self._loading: asyncio.Task[None] | None = None
        self._to_acknowledge: dict[TopicPartition, int] = {}
        # The client's mark of the brokers' last answer, and when it was first seen.
        self._answered: tuple[float, float] = (0.0, time.monotonic())
        self._kafka: Callable[[], AIOKafkaConsumer | None] = lambda: None

    @property
    def last_turn(self) -> float:
        """The monotonic second of the last turn of the loop: now, while a batch takes no longer than it may."""
        now = time.monotonic()
        since = self._at_work_since
        return now if since is not None and now - since < LONGEST_WORK_SECONDS else self._turned

    async def run(self) -> None:
        """Consumes until cancelled. Waits for topics that do not exist yet: FastStream would hang on them."""
        await self._wait_for_topics()
        broker = KafkaBroker(
            # A list, because FastStream takes a text for one address, with commas and all.
            [address.strip() for address in self.cluster.bootstrap.split(",")],
            client_id=f"{self.service}-consumer",
            security=_security(self.cluster),
            consumer_only=True,
            allow_auto_create_topics=False,
            graceful_timeout=GRACEFUL_SECONDS,
            metadata_max_age_ms=int(METADATA_SECONDS * 1000),
            apply_types=False,
            logger=None,
        )
        subscriber = broker.subscriber(
            *[self.cluster.physical(topic.name) for topic in self.reactions.topics],
            batch=True,
            group_id=self.cluster.physical(group_of(self.service)),
            ack_policy=AckPolicy.MANUAL,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            max_records=self.max_batch,
            session_timeout_ms=self.session_timeout_ms,
            heartbeat_interval_ms=max(100, self.session_timeout_ms // 4),
            listener=_Listener(self),
            parser=_parse_nothing,
            decoder=_decode_nothing,
        )
        subscriber(self._consume)
        # FastStream sleeps after each empty fetch, which would delay the next event; and only here, in the same turn of
        # the loop that takes records out of the client, is it certain whether they were fetched after the seek.
        subscriber.get_msg = self._fetch  # type: ignore[method-assign,assignment]
        # A function, since the client exists before start() returns, and the first assignment may come before that.
        self._kafka = lambda: subscriber.consumer
        try:
            with self._at_work():
                await broker.start()
            await self._tend()
        finally:
            await self._end_loading()
            await self._say_goodbye(broker)

    async def _say_goodbye(self, broker: KafkaBroker) -> None:
        """Leaves the group, so that others need not wait for the session to end; brokers that are away keep nobody."""
        try:
            async with asyncio.timeout(COURTESY_SECONDS):
                await broker.stop()
        except TimeoutError:
            log.warning("the brokers did not answer the goodbye")

    async def _wait_for_topics(self) -> None:
        while True:
            try:
                with self._at_work():
                    missing = await missing_topics(self.cluster, [topic.name for topic in self.reactions.topics])
                if not missing:
                    self.problem = None
                    return
                self.problem = f"topics do not exist: {', '.join(missing)}: run `python -m shared.messaging topics`"
            except (KafkaError, OSError) as error:
                self.problem = f"Kafka does not answer: {error!r}"
            log.warning("consumer waits", problem=self.problem)
            await asyncio.sleep(1)

    @contextlib.contextmanager
    def _at_work(self) -> Iterator[None]:
        self._at_work_since = time.monotonic()
        try:
            yield
        finally:
            self._at_work_since, self._turned = None, time.monotonic()

    async def _tend(self) -> None:
        """Each second: pass over what is never delivered, and tell Kafka how far this is (it shows as lag there)."""
        while True:
            await asyncio.sleep(1)
            await self._find_brokers_again()
            await self._pass_markers()
            marks, self._to_acknowledge = self._to_acknowledge, {}
            if marks:
                # A rebalance refuses the commit, and that is fine: the truth is in the database. Without a coordinator
                # the client would wait for ever.
                with contextlib.suppress(KafkaError, IllegalStateError, TimeoutError):
                    async with asyncio.timeout(COURTESY_SECONDS):
                        await self._require_kafka().commit(marks)

    async def _find_brokers_again(self) -> None:
        client = self._require_kafka()._client  # noqa: SLF001  aiokafka asks its first addresses once, and never again
        answered = client.cluster._last_successful_refresh_ms  # noqa: SLF001
        if answered != self._answered[0]:
            self._answered = answered, time.monotonic()
        elif time.monotonic() - self._answered[1] > STALE_SECONDS:
            with contextlib.suppress(KafkaError):
                await client.bootstrap()
                log.warning("the brokers were asked for anew at the addresses given")

    async def _pass_markers(self) -> None:
        """The markers of transactions have offsets and are never delivered: a log that ends in some has an end that no
        record reaches, and whoever waits for it (a replica that is to be filled) would wait for ever."""
        async with self._batch:
            if self._in_hand or not self.loaded:
                return
            kafka = self._require_kafka()
            try:
                positions = {one: await kafka.position(one) for one in self.loaded}
                passed = {one: at for one, at in positions.items() if at > self.loaded[one]}
                if passed:
                    await self.applier.pass_over(
                        {self._place(one): (self.loaded[one], at) for one, at in passed.items()}
                    )
                    self.loaded |= passed
            except Exception as error:
                # The batch that comes next meets the same trouble, and deals with it.
                log.warning("markers are not passed over now", problem=problem_of(error))

    # -- fetching and applying ----------------------------------------------------------------------------------

    async def _fetch(self, kafka: AIOKafkaConsumer) -> tuple[ConsumerRecord[Any, Any], ...]:
        """Waits for records of loaded partitions; never returns empty unless the consumer stops."""
        while True:
            self._turned = time.monotonic()
            if self.halted is not None:
                await asyncio.sleep(1)
                continue
            try:
                delivered = await kafka.getmany(timeout_ms=FETCH_MS, max_records=self.max_batch)
            except ConsumerStoppedError:
                raise
            except Exception as error:
                # What the client had taken out for other partitions before it stumbled is gone: it is read again.
                self._seek_back()
                self.problem = f"Kafka: {problem_of(error)}"
                log.warning("fetch failed", problem=problem_of(error))
                await asyncio.sleep(0.5)
                continue
            if self.loaded and not self._failures:
                self.problem = None
            usable = [records for partition, records in delivered.items() if partition in self.loaded]
            if usable:
                self._fetched_in, self._in_hand = self._assignment, True
                return tuple(record for records in usable for record in records)

    async def _consume(self, delivered: Sequence[ConsumerRecord[Any, Any]]) -> None:
        pause = 0.0
        async with self._batch:
            self._in_hand = False
            if self._fetched_in != self._assignment:
                return
            try:
                with self._at_work():
                    await self.applier.apply([self._record(one) for one in delivered])
            except ParkingRunsWild as error:
                self._halt(str(error))
            except Exception as error:
                pause = self._fail(error)
            else:
                self._failures = 0
                self.problem = None
                for one in delivered:
                    partition = TopicPartition(one.topic, one.partition)
                    self.loaded[partition] = self._to_acknowledge[partition] = one.offset + 1
        # Asleep outside the lock: a rebalance need not wait for the pause.
        if pause:
            await asyncio.sleep(pause)

    def _record(self, one: ConsumerRecord[Any, Any]) -> Record:
        topic, reached = self.cluster.logical(one.topic), self.loaded[TopicPartition(one.topic, one.partition)]
        if one.offset < reached:
            raise LogBegunAnew(f"{topic}/{one.partition} delivers offset {one.offset} after {reached}")
        return Record(topic, one.partition, one.offset, one.key, tuple(one.headers), one.value, reached)

    def _fail(self, error: Exception) -> float:
        """Seeks back to the beginning of the batch; returns how long to wait before trying again."""
        self._failures += 1
        self.problem = f"batch failed: {problem_of(error)}"
        log.warning("batch will be tried again", problem=problem_of(error), failures=self._failures)
        self._seek_back()
        if isinstance(error, (OffsetsMoved, LogBegunAnew)):
            self._reload()
        return pause_after(self._failures, first=0.1)

    def _seek_back(self) -> None:
        for partition, offset in self.loaded.items():
            with contextlib.suppress(IllegalStateError):  # no longer ours: its new owner reads the stored offset
                self._require_kafka().seek(partition, offset)

    def _halt(self, why: str) -> None:
        self.halted = self.problem = f"stopped, because parking runs wild: {why}"
        self.loaded.clear()
        log.critical("consumer stopped", problem=self.problem)

    # -- assignment ---------------------------------------------------------------------------------------------

    async def revoked(self) -> None:
        """Waits for the batch in flight, then forgets all partitions."""
        async with self._batch:
            self._assignment += 1
            self._failures = 0
            self.loaded.clear()
        await self._end_loading()

    async def assigned(self, partitions: set[TopicPartition]) -> None:
        """Loads the stored offsets in the background: a database that is away must not cost the membership."""
        await self._end_loading()
        if partitions and self.halted is None:
            self._loading = asyncio.create_task(self._load(partitions, self._assignment))

    def _reload(self) -> None:
        mine = set(self.loaded)
        self.loaded.clear()
        self._assignment += 1
        self._loading = asyncio.create_task(self._load(mine, self._assignment))

    async def _end_loading(self) -> None:
        loading, self._loading = self._loading, None
        if loading is not None:
            loading.cancel()
            await asyncio.gather(loading, return_exceptions=True)

    async def _load(self, partitions: set[TopicPartition], assignment: int) -> None:
        failures = 0
        starts: dict[TopicPartition, int] | None = None
        while starts is None:
            try:
                starts = await self._starts(partitions)
            except positions.Refused as refusal:
                self.problem = str(refusal)
                log.critical("consumer refuses the log", problem=self.problem)
                await asyncio.sleep(5)
            except Exception as error:
                failures += 1
                self.problem = f"offsets cannot be loaded: {problem_of(error)}"
                log.warning("offsets cannot be loaded", problem=problem_of(error), failures=failures)
                await asyncio.sleep(pause_after(failures, first=0.1))
        # From here to the end no await: nothing may be fetched between the seek and the mark.
        if assignment != self._assignment:
            return
        for partition, offset in starts.items():
            self._require_kafka().seek(partition, offset)
            self.loaded[partition] = offset
        self.problem = None
        log.info("partitions loaded", partitions=len(starts))

    async def _starts(self, partitions: set[TopicPartition]) -> dict[TopicPartition, int]:
        kafka = self._require_kafka()
        compacted = {topic.name for topic in self.reactions.replicas}
        replicated = {
            TopicPartition(topic, number)
            for topic in map(self.cluster.physical, compacted)
            for number in kafka.partitions_for_topic(topic) or ()
        }
        asked = sorted(partitions | replicated)
        ends = await kafka.end_offsets(asked)
        begins = await kafka.beginning_offsets(asked)
        logs = {self._place(one): positions.Log(begins[one], ends[one]) for one in asked}
        starts = await positions.load(self.engine, self.cluster, logs, compacted)
        return {one: starts[self._place(one)] for one in partitions}

    def _place(self, partition: TopicPartition) -> Partition:
        return self.cluster.logical(partition.topic), partition.partition

    def _require_kafka(self) -> AIOKafkaConsumer:
        kafka = self._kafka()
        if kafka is None:
            raise ConsumerStoppedError
        return kafka


def _security(cluster: Cluster) -> BaseSecurity | None:
    """The cluster's security as FastStream takes it; None where there is none."""
    asked = cluster.security
    context = asked.context()
    if context is None:
        return None
    if asked.has_login:
        return SASLScram512(asked.username or "", asked.secret(), ssl_context=context, use_ssl=True)
    return BaseSecurity(ssl_context=context, use_ssl=True)


class _Listener(ConsumerRebalanceListener):
    """Tells the consumer of its partitions; what it raises aiokafka would swallow, so it raises nothing."""

    def __init__(self, consumer: Consumer) -> None:
        self.consumer = consumer

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:  # noqa: ARG002  aiokafka's signature
        await self.consumer.revoked()

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        await self.consumer.assigned(assigned)


async def _parse_nothing(delivered: tuple[ConsumerRecord[Any, Any], ...]) -> KafkaMessage:
    """Hands the records over as they are: FastStream's own parser fails a whole batch for one undecodable header."""
    return KafkaMessage(raw_message=delivered, body=b"", consumer=FAKE_CONSUMER)


async def _decode_nothing(message: KafkaMessage) -> Any:
    return message.raw_message
