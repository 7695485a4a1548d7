"""The consumer: FastStream frames the process, everything that decides correctness is here and in `batch`.

Offsets live in the database; Kafka's committed offsets only show lag. aiokafka hands out records before the seek to the
stored offset has happened, so records count only when they were fetched while their partition was in `loaded`.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import ConsumerStoppedError, IllegalStateError, KafkaError

from shared.db.engine import Engine
from shared.db.failures import pause_after, problem_of
from shared.messaging import courtesies, fingerprint, framing, limit, offsets
from shared.messaging.access import group_of
from shared.messaging.batch import BatchApplier, OffsetsMoved
from shared.messaging.fingerprint import LogBegunAnew
from shared.messaging.kafka import Cluster, missing_topics
from shared.messaging.limit import ParkingRunsWild
from shared.messaging.loading import LOOK_SECONDS, Loader
from shared.messaging.offsets import Standing
from shared.messaging.reactions import Reactions
from shared.messaging.records import Partition, Record
from shared.messaging.refusals import Refusal
from shared.messaging.witness import Witness

log = structlog.get_logger(__name__)

MAX_BATCH = 500
FETCH_MS = 1000
# A batch, or Kafka's answer at the start, may take longer than a loop that turns; what takes longer than this hangs.
LONGEST_WORK_SECONDS = 300.0


class Consumer:
    """One process's consumer of one service, for all topics that the service reacts to.

    `problem` says why it does not go on, None when it does; `stopped` is a problem that only an operator can end.
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
        # Each is set and ended by its own part of this class, so that none hides another that is still there.
        self.halted: str | None = None
        self._joining: str | None = "not started"
        self._gone: str | None = None
        self._failing: str | None = None
        self._unfetched: str | None = None
        self._retried: Sequence[Any] = ()
        self._standing: Standing | None = None
        self._loader = Loader(engine, cluster, reactions)
        self._witness = Witness()
        # The partitions whose stored offsets are loaded, and the offset that each has reached.
        self.loaded: dict[TopicPartition, int] = {}
        self._turned = time.monotonic()
        self._at_work_since: float | None = None
        self._assignment = 0  # grows with every rebalance, so that what belongs to an older one is recognised
        self._fetched_in = self._failures = self._allowed = 0
        self._in_hand = False  # records were taken out of the client and are not yet applied
        self._batch = asyncio.Lock()
        self._loading: asyncio.Task[None] | None = None
        self._to_acknowledge: dict[TopicPartition, int] = {}
        self._kafka: Callable[[], AIOKafkaConsumer | None] = lambda: None

    @property
    def stopped(self) -> str | None:
        """What only an operator can end: too much would have been parked, or the logs are refused."""
        return self.halted or self._loader.refused

    @property
    def problem(self) -> str | None:
        """Why it does not go on; None when it does, or has no partition to read."""
        return self.trouble or self._joining

    @property
    def trouble(self) -> str | None:
        """The same without what is only a step on its way: a moment in which partitions move is no trouble."""
        retried = f"tries again: {limit.told(self._retried)}" if self._retried else None
        return (
            self.stopped or self._gone or self._loader.waiting or self._failing or retried
            or self._unfetched
        )  # fmt: skip

    @property
    def last_turn(self) -> float:
        """The monotonic second of the last turn of the loop: now, while a batch takes no longer than it may."""
        now, since = time.monotonic(), self._at_work_since
        return now if since is not None and now - since < LONGEST_WORK_SECONDS else self._turned

    async def run(self) -> None:
        """Consumes until cancelled. Waits for topics that do not exist yet: FastStream would hang on them."""
        await self._wait_for_topics()
        broker = framing.broker_of(self.service, self.cluster)
        subscriber = framing.subscriber_of(
            broker,
            [self.cluster.physical(topic.name) for topic in self.reactions.topics],
            self.cluster.physical(group_of(self.service)),
            self,
            max_batch=self.max_batch,
            session_timeout_ms=self.session_timeout_ms,
        )
        subscriber(self._consume)
        # Only there, in the same turn of the loop that takes records out of the client, is it certain whether they were
        # fetched after the seek.
        subscriber.get_msg = self._fetch
        # A function, since the client exists before start() returns, and the first assignment may come before that.
        self._kafka = lambda: subscriber.consumer
        try:
            with self._at_work():
                await broker.start()
            async with asyncio.TaskGroup() as group:
                group.create_task(self._tend())
                group.create_task(self._watch())
                group.create_task(self._look_back())
        finally:
            await self._end_loading()
            await courtesies.say_goodbye(broker)

    async def _wait_for_topics(self) -> None:
        while True:
            try:
                with self._at_work():
                    missing = await missing_topics(self.cluster, [topic.name for topic in self.reactions.topics])
                if not missing:
                    self._joining, self._loader.waiting = "waits for its partitions", None
                    return
                self._loader.waiting = _told_missing(missing)
            except (KafkaError, OSError) as error:
                self._loader.waiting = f"Kafka does not answer: {error!r}"
            log.warning("consumer waits", problem=self._loader.waiting)
            await asyncio.sleep(1)

    @contextlib.contextmanager
    def _at_work(self) -> Iterator[None]:
        self._at_work_since = time.monotonic()
        try:
            yield
        finally:
            self._at_work_since, self._turned = None, time.monotonic()

    async def _tend(self) -> None:
        """Each second: look after the brokers, pass over what is never delivered, and tell Kafka how far this is."""
        whereabouts = courtesies.Whereabouts()
        while True:
            await asyncio.sleep(1)
            await whereabouts.find_again(self._require_kafka())
            await self._pass_markers()
            marks, self._to_acknowledge = self._to_acknowledge, {}
            if marks:
                await courtesies.acknowledge(self._require_kafka(), marks)

    async def _pass_markers(self) -> None:
        """The markers of transactions are never delivered: whoever waits for the end of a log (a replica that is to be
        filled) would wait for ever where it ends in one."""
        async with self._batch:
            if self._in_hand:
                return
            try:
                read_to = {one: await self._require_kafka().position(one) for one in self.loaded}
                if self._in_hand:
                    # Taken out while this asked: what it was told may lie behind records that are not yet applied.
                    return
                passed = {one: at for one, at in read_to.items() if at > self.loaded[one]}
                if passed:
                    await self.applier.pass_over({self._place(one): (self.loaded[one], passed[one]) for one in passed})
                    self.loaded |= passed
            except Exception as error:
                # The batch that comes next meets the same trouble, and deals with it.
                log.warning("markers are not passed over now", problem=problem_of(error))

    async def _watch(self) -> None:
        """Every few seconds: whether an operator has decided something, or another process has refused a log."""
        topics = [topic.name for topic in self.reactions.topics]
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                async with self.engine.connect() as connection:
                    decisions = await offsets.decided(connection, topics)
                    allowed = await limit.last_allowed(connection)
            except Exception as error:
                # Whatever it is, whoever needs the database meets it too, and tells.
                log.warning("cannot look for decisions", problem=problem_of(error))
                continue
            async with self._batch:
                known = self._standing.decisions if self._standing is not None else decisions
                if self.halted is not None and (allowed > self._allowed or decisions != known):
                    self.halted = None
                    self._reload(self._require_kafka().assignment())
                elif self.loaded and decisions != known:
                    self._reload(set(self.loaded))

    async def _look_back(self) -> None:
        """After a batch, once a second at most: whether the logs are still the ones that were read, and how far that is
        certain."""
        while True:
            await self._witness.read_on.wait()
            self._witness.read_on.clear()
            assignment = self._assignment
            try:
                found, certain = await self._witness.look(self._require_kafka(), self.cluster)
                await offsets.date(self.engine, certain)
            except Exception as error:
                log.warning("cannot look whether the logs are the same", problem=problem_of(error))
                self._witness.read_on.set()
            else:
                async with self._batch:
                    # Otherwise whoever loads finds the same, by what is stored.
                    if found and assignment == self._assignment:
                        self._reload(set(self.loaded), found)
            await asyncio.sleep(1)

    # -- fetching and applying ----------------------------------------------------------------------------------

    async def _fetch(self, kafka: AIOKafkaConsumer) -> tuple[ConsumerRecord[Any, Any], ...]:
        """Waits for records of loaded partitions; never returns empty unless the consumer stops."""
        while True:
            self._turned = time.monotonic()
            try:
                if self.halted is not None:
                    # Asked for next to nothing, the client still counts as alive in its group.
                    await asyncio.sleep(1)
                    await kafka.getmany(timeout_ms=0, max_records=1)
                    continue
                delivered = await kafka.getmany(timeout_ms=FETCH_MS, max_records=self.max_batch)
            except ConsumerStoppedError:
                raise
            except Exception as error:
                # What the client had taken out for other partitions before it stumbled is gone: it is read again.
                self._seek_back()
                self._unfetched = f"Kafka: {problem_of(error)}"
                log.warning("fetch failed", problem=problem_of(error))
                await asyncio.sleep(0.5)
                continue
            self._unfetched = None
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
                records = [self._record(one) for one in delivered]
                with self._at_work():
                    await self.applier.apply(records)
            except ParkingRunsWild as wild:
                self._halt(wild)
            except Exception as error:
                pause = self._fail(error)
            else:
                self._failures, self._failing = 0, None
                self._witness.saw(records)
                for one in delivered:
                    partition = TopicPartition(one.topic, one.partition)
                    self.loaded[partition] = self._to_acknowledge[partition] = one.offset + 1
                self._retried = [one for one in self._retried if not self._is_past(one)]
        # Asleep outside the lock: a rebalance need not wait for the pause.
        if pause:
            await asyncio.sleep(pause)

    def _record(self, one: ConsumerRecord[Any, Any]) -> Record:
        topic, reached = self.cluster.logical(one.topic), self.loaded[TopicPartition(one.topic, one.partition)]
        if one.offset < reached:
            generation = self._standing.stood[topic, one.partition].generation if self._standing is not None else 0
            raise LogBegunAnew((topic, one.partition), one.offset, reached, generation)
        appended_at = one.timestamp if one.timestamp_type == fingerprint.APPENDED else None
        return Record(topic, one.partition, one.offset, one.key, tuple(one.headers), one.value, reached, appended_at)

    def _fail(self, error: Exception) -> float:
        """Seeks back to the beginning of the batch; returns how long to wait before trying again."""
        self._failures += 1
        self._failing = f"batch failed: {problem_of(error)}"
        log.warning("batch will be tried again", problem=problem_of(error), failures=self._failures)
        self._seek_back()
        if isinstance(error, (OffsetsMoved, LogBegunAnew)):
            self._reload(set(self.loaded), [error.refusal] if isinstance(error, LogBegunAnew) else [])
        return pause_after(self._failures, first=0.1)

    def _seek_back(self) -> None:
        for partition, offset in self.loaded.items():
            with contextlib.suppress(IllegalStateError):  # no longer ours: its new owner reads the stored offset
                self._require_kafka().seek(partition, offset)

    def _halt(self, wild: ParkingRunsWild) -> None:
        self.halted, self._allowed = f"{limit.told(wild.overruns)} ({wild})", wild.allowed
        self.loaded.clear()
        log.critical("consumer stopped", problem=self.halted)

    # -- assignment ---------------------------------------------------------------------------------------------

    async def revoked(self) -> None:
        """Waits for the batch in flight, then forgets all partitions."""
        async with self._batch:
            self._assignment += 1
            self._failures, self._failing, self._retried = 0, None, ()
            self._joining, self._loader.waiting = "waits for its partitions", None
            self.loaded.clear()
        await self._end_loading()

    async def assigned(self, partitions: set[TopicPartition]) -> None:
        """Loads the stored offsets in the background: a database that is away must not cost the membership."""
        await self._end_loading()
        # A topic that was deleted is given to nobody, and nothing else tells.
        known = self._require_kafka().partitions_for_topic
        gone = [one.name for one in self.reactions.topics if not known(self.cluster.physical(one.name))]
        self._gone = _told_missing(gone) if gone else None
        if partitions and self.halted is None:
            self._loading = asyncio.create_task(self._load(partitions, self._assignment))
        elif not partitions:
            # Others read them all, and this one stands by.
            self._joining = None
            self._loader.forget()

    def _reload(self, mine: Collection[TopicPartition], found: Sequence[Refusal] = ()) -> None:
        """Loads again, after noting for good what was found of the logs."""
        self.loaded.clear()
        self._assignment += 1
        self._joining, self._loader.waiting = "loads its offsets", None
        if self._loading is not None:
            self._loading.cancel()
        self._loading = asyncio.create_task(self._load(set(mine), self._assignment, found))

    async def _end_loading(self) -> None:
        loading, self._loading = self._loading, None
        if loading is not None:
            loading.cancel()
            await asyncio.gather(loading, return_exceptions=True)

    async def _load(self, partitions: set[TopicPartition], assignment: int, found: Sequence[Refusal] = ()) -> None:
        standing = await self._loader.load(self._require_kafka, partitions, found)
        # From here to the end no await: nothing may be fetched between the seek and the mark.
        if assignment == self._assignment:
            # Stopped meanwhile: nobody asks for it any more.
            with contextlib.suppress(ConsumerStoppedError):
                self._begin(partitions, standing)

    def _begin(self, partitions: set[TopicPartition], standing: Standing) -> None:
        for partition in partitions:
            offset = standing.starts[self._place(partition)]
            with contextlib.suppress(IllegalStateError):  # no longer ours, and its rebalance is on its way
                self._require_kafka().seek(partition, offset)
                self.loaded[partition] = offset
        self._standing, self._joining = standing, None
        self._loader.forget()
        self._witness.begin(standing.stood)
        self.applier.left_out = standing.left_out
        # Where one stopped before, the same batch comes first: not before it is through is all well.
        self._retried = [one for one in standing.halts if self._physical(one) in self.loaded]
        log.info("partitions loaded", partitions=len(self.loaded))

    def _place(self, partition: TopicPartition) -> Partition:
        return self.cluster.logical(partition.topic), partition.partition

    def _is_past(self, halt: Any) -> bool:
        return bool(self.loaded.get(self._physical(halt), 0) > halt.offset)

    def _physical(self, row: Any) -> TopicPartition:
        return TopicPartition(self.cluster.physical(row.topic), row.partition)

    def _require_kafka(self) -> AIOKafkaConsumer:
        kafka = self._kafka()
        if kafka is None:
            raise ConsumerStoppedError
        return kafka


def _told_missing(topics: Sequence[str]) -> str:
    return f"topics do not exist: {', '.join(topics)}: run `python -m shared.messaging topics`"
