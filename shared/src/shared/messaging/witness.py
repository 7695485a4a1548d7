"""Whether the log beneath a running consumer is still the one that it read.

A log that is replaced, or cut and written on past where a consumer stands, shows it nothing: the next fetch goes on in
the middle of the other log. So what was read before each batch is kept, and beside the work the brokers are asked
whether anything below it is younger (decision 0008). Only times that were found well are stored, so that whoever loads
after a crash or a rebalance judges by what is certain.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace

from aiokafka import AIOKafkaConsumer

from shared.messaging import fingerprint
from shared.messaging.fingerprint import Stood
from shared.messaging.kafka import Cluster
from shared.messaging.records import Partition, Record
from shared.messaging.refusals import Refusal

# Each costs one question to the brokers. A log is not replaced between two batches of the same moment.
MOST_KEPT = 32


class Witness:
    """What one consumer has read of each of its partitions, now and before each batch since the last look.

    `read_on` is set when there is something to look at.
    """

    def __init__(self) -> None:
        self.read_on = asyncio.Event()
        self._now: dict[Partition, Stood] = {}
        self._before: dict[Partition, list[Stood]] = {}

    def begin(self, stood: Mapping[Partition, Stood]) -> None:
        """Begins anew from what the database holds; what was not yet looked at is looked at by whoever loads."""
        self._now, self._before = dict(stood), {}

    def saw(self, records: Sequence[Record]) -> None:
        """Keeps that a batch was applied."""
        reached: dict[Partition, tuple[int, int]] = {}
        for one in records:
            if one.appended_at is not None:
                place = one.topic, one.partition
                newest, below = reached.get(place, (-1, 0))
                reached[place] = max(newest, one.appended_at), max(below, one.offset + 1)
        for place, (newest, below) in reached.items():
            before = self._now[place]
            kept = self._before.setdefault(place, [])
            kept.append(before)
            if len(kept) > MOST_KEPT:
                del kept[1::2]
            self._now[place] = replace(
                before, next_offset=below, newest_at=max(newest, before.newest_at or 0), dated_below=below
            )
        self.read_on.set()

    async def look(self, kafka: AIOKafkaConsumer, cluster: Cluster) -> tuple[list[Refusal], dict[Partition, Stood]]:
        """The partitions whose log is another, and where every other one of which anything was read stands for certain.

        Raises KafkaError, and TimeoutError when a log cannot be read: then it looks at the same again.
        """
        mine, kept, self._before = self._now, self._before, {}
        now = {place: mine[place] for place in kept}
        found: list[Refusal] = []
        try:
            for turn in range(max(map(len, kept.values()), default=0)):
                stood = {place: befores[turn] for place, befores in kept.items() if turn < len(befores)}
                younger = await fingerprint.younger(kafka, cluster, stood)
                found += [fingerprint.made_anew(place, stood[place], one) for place, one in sorted(younger.items())]
        except BaseException:
            if self._now is mine:
                self._before |= {place: befores + self._before.get(place, []) for place, befores in kept.items()}
            raise
        refused = {(one.topic, one.partition) for one in found}
        return found, {place: at for place, at in now.items() if place not in refused}
