"""Where a consumer stands when partitions are given to it: asked for until the database and the brokers answer."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Collection, Sequence

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition

from shared.db.engine import Engine
from shared.db.failures import pause_after, problem_of
from shared.messaging import fingerprint, offsets
from shared.messaging.batch import OffsetsMoved
from shared.messaging.kafka import Cluster
from shared.messaging.offsets import Standing
from shared.messaging.reactions import Reactions
from shared.messaging.refusals import Refusal, Refused

log = structlog.get_logger(__name__)

# How often it looks whether an operator has decided something.
LOOK_SECONDS = 3.0


class Loader:
    """Loads for one consumer. `refused` says which logs are not the ones that were read, `waiting` what is away."""

    def __init__(self, engine: Engine, cluster: Cluster, reactions: Reactions) -> None:
        self.engine = engine
        self.cluster = cluster
        self.reactions = reactions
        self.refused: str | None = None
        self.waiting: str | None = None

    async def load(
        self, kafka: Callable[[], AIOKafkaConsumer], partitions: Collection[TopicPartition], found: Sequence[Refusal]
    ) -> Standing:
        """Where to begin in these partitions, as soon as it can be told. First notes for good what was found."""
        failures = 0
        while True:
            try:
                await offsets.refuse(self.engine, found, [topic.name for topic in self.reactions.topics])
                standing = await self._stand(kafka(), partitions)
            except Refused as refusal:
                self.refused, found = str(refusal), ()
                log.critical("consumer refuses the logs", problem=self.refused)
                await asyncio.sleep(LOOK_SECONDS)
            except Exception as error:
                failures += 1
                # Decided otherwise meanwhile: then the log is looked at like any other.
                found = () if isinstance(error, OffsetsMoved) else found
                self.waiting = f"offsets cannot be loaded: {problem_of(error)}"
                log.warning("offsets cannot be loaded", problem=problem_of(error), failures=failures)
                await asyncio.sleep(pause_after(failures, first=0.1))
            else:
                return standing

    def forget(self) -> None:
        """Nothing is asked of it any more."""
        self.refused = self.waiting = None

    async def _stand(self, kafka: AIOKafkaConsumer, partitions: Collection[TopicPartition]) -> Standing:
        compacted = {topic.name for topic in self.reactions.replicas}
        replicated = {
            TopicPartition(topic, number)
            for topic in map(self.cluster.physical, compacted)
            for number in kafka.partitions_for_topic(topic) or ()
        }
        places = {(self.cluster.logical(one.topic), one.partition) for one in {*partitions, *replicated}}
        look = functools.partial(fingerprint.look, kafka, self.cluster)
        return await offsets.load(self.engine, self.cluster, places, self.reactions, look)
