"""One batch, one transaction: lock offsets, inbox, reactions, store offsets; after a failure message by message."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import structlog

from shared import clock
from shared.contracts.envelope import type_of
from shared.db.engine import Engine
from shared.db.failures import is_transient, problem_of
from shared.db.statement import sql
from shared.db.transaction import Transaction, begin
from shared.messaging import limit, parking, skipped
from shared.messaging.limit import ParkingRunsWild
from shared.messaging.reactions import Reactions
from shared.messaging.records import Applicable, Invalid, Partition, Read, Record, Skipped, read_record, runs
from shared.messaging.spans import processing, trace_id_of
from shared.telemetry import metrics
from shared.telemetry.tracing import told_after_commit

log = structlog.get_logger(__name__)

_LOCK_OFFSETS = sql("""
    SELECT topic, partition, next_offset, generation FROM runtime.offsets
    WHERE (topic, partition) IN (SELECT * FROM unnest(CAST(:topics AS text[]), CAST(:partitions AS int[])))
    ORDER BY topic, partition FOR UPDATE
""")
_STORE_OFFSETS = sql(
    """
    UPDATE runtime.offsets o SET next_offset = greatest(o.next_offset, n.next_offset)
    FROM unnest(CAST(:topics AS text[]), CAST(:partitions AS int[]), CAST(:offsets AS bigint[]))
         AS n(topic, partition, next_offset)
    WHERE o.topic = n.topic AND o.partition = n.partition
    RETURNING o.topic, o.partition, o.next_offset
    """,
    called="moved",
)
_MARK_FILLED = sql("""
    UPDATE runtime.replicas r SET filled_at = :now FROM moved m
    WHERE r.topic = m.topic AND r.partition = m.partition AND r.filled_at IS NULL AND m.next_offset >= r.target_offset
""")
_CLAIM_IDS = sql("""
    INSERT INTO runtime.inbox (id, applied_at) SELECT id, :now FROM unnest(CAST(:ids AS uuid[])) AS id ORDER BY id
    ON CONFLICT DO NOTHING RETURNING id
""")


class OffsetsMoved(Exception):
    """The database does not stand where this consumer left it: it was restored, or failed over to an older copy."""


class _Outcome(NamedTuple):
    """What a batch came to: the events that it applied, and the types that it recorded as passed over."""

    applied: list[Applicable]
    skipped: skipped.Found
    generations: Mapping[Partition, int]


class BatchApplier:
    """Applies batches of records to one service's database, each event exactly once."""

    def __init__(self, engine: Engine, reactions: Reactions, hint: Callable[[], None]) -> None:
        self.engine = engine
        self.reactions = reactions
        self.hint = hint
        self.skipped = skipped.SkippedTypes()
        # Of what is read again; whoever loads the offsets sets it.
        self.left_out: skipped.LeftOut = {}

    async def apply(self, records: Sequence[Record]) -> None:
        """Applies a batch and stores how far it came, in one transaction.

        A message that fails is parked with its key and the others go on. Raises what is transient (nothing is stored
        then: deliver the batch again), ParkingRunsWild, which is noted for good, and OffsetsMoved.
        """
        try:
            await self._apply(records)
        except ParkingRunsWild as wild:
            async with begin(self.engine, self.hint) as tx:
                await limit.note_halt(tx, wild.overruns, clock.now())
            raise

    async def _apply(self, records: Sequence[Record]) -> None:
        messages = [read_record(record, self.reactions) for record in records]
        if self.left_out:
            messages = [self._unless_left_out(one) for one in messages]
        try:
            with metrics.consumer_batch_seconds.time(), told_after_commit():
                async with begin(self.engine, self.hint) as tx:
                    outcome = await self._apply_whole(tx, messages)
        except Exception as error:
            if is_transient(error) or isinstance(error, (ParkingRunsWild, OffsetsMoved)):
                raise
            log.warning("batch failed, applying it message by message", problem=problem_of(error), size=len(messages))
            with told_after_commit():
                async with begin(self.engine, self.hint) as tx:
                    outcome = await self._apply_singly(tx, messages)
        self.skipped.remember(outcome.skipped, outcome.generations)
        _count(outcome.applied)

    def _unless_left_out(self, message: Read) -> Read:
        if isinstance(message, Skipped):
            return message
        record = message.record
        stated = type_of(record.headers, record.value) or ""
        ranges = self.left_out.get(((record.topic, record.partition), stated), ())
        if any(first <= record.offset < until for first, until in ranges):
            return Skipped(record, stated, left_out=True)
        return message

    async def pass_over(self, passed: Mapping[Partition, tuple[int, int]]) -> None:
        """Stores that nothing is left between two offsets of each partition. Raises OffsetsMoved when the database does
        not stand at the first of them."""
        async with begin(self.engine, self.hint) as tx:
            stored, _ = await self._lock(tx, sorted(passed))
            for place, (reached, _) in passed.items():
                if stored[place] != reached:
                    raise OffsetsMoved(f"{place} is at {stored[place]} and was at {reached}: a restored database?")
            await store_offsets(tx, {place: offset for place, (_, offset) in passed.items()}, clock.now())

    # -- all at once --------------------------------------------------------------------------------------------

    async def _apply_whole(self, tx: Transaction, messages: Sequence[Read]) -> _Outcome:
        now = clock.now()
        fresh, generations = await self._fresh(tx, messages)
        blocked = await self._blocked(tx, fresh)
        ready = await self._park_what_must_wait(tx, fresh, blocked, now)
        claimed = await self._claim(tx, ready, now)
        for run in runs(claimed):
            if run[0].reaction.many and len(run) > 1:
                with processing(run) as events:
                    await run[0].reaction.function(tx, events)
            else:
                for message in run:
                    await parking.apply_one(tx, message)
        found = await self._note_skipped(tx, fresh, generations, now)
        await self._store(tx, messages, now)
        return _Outcome(claimed, found, generations)

    async def _fresh(self, tx: Transaction, messages: Sequence[Read]) -> tuple[list[Read], dict[Partition, int]]:
        """Locks the batch's offset rows, in key order, and drops what lies below them; also their generations."""
        places = sorted({(one.record.topic, one.record.partition) for one in messages})
        stored, generations = await self._lock(tx, places)
        for one in messages:
            place = one.record.topic, one.record.partition
            if stored[place] < one.record.reached:
                # Storing this batch's offsets would pass over everything between.
                raise OffsetsMoved(
                    f"{place} is at {stored[place]} and was at {one.record.reached}: a restored database?"
                )
        fresh = [one for one in messages if one.record.offset >= stored[one.record.topic, one.record.partition]]
        dropped = len(messages) - len(fresh)
        if dropped:
            metrics.consumer_skipped_total.labels(reason="behind").inc(dropped)
        unread = sum(isinstance(one, Skipped) for one in fresh)
        if unread:
            metrics.consumer_skipped_total.labels(reason="unknown").inc(unread)
        return fresh, generations

    async def _lock(
        self, tx: Transaction, partitions: Sequence[Partition]
    ) -> tuple[dict[Partition, int], dict[Partition, int]]:
        rows = await tx.fetch(
            _LOCK_OFFSETS, {"topics": [p[0] for p in partitions], "partitions": [p[1] for p in partitions]}
        )
        stored = {(row.topic, row.partition): row.next_offset for row in rows}
        if len(stored) < len(partitions):
            raise OffsetsMoved(f"no stored offset for {sorted(set(partitions) - set(stored))}")
        return stored, {(row.topic, row.partition): row.generation for row in rows}

    async def _note_skipped(
        self, tx: Transaction, messages: Sequence[Read], generations: Mapping[Partition, int], now: datetime
    ) -> skipped.Found:
        """Records types that are passed over for the first time; what is recorded already costs no statement."""
        found = self.skipped.new_among(
            [one for one in messages if isinstance(one, Skipped) and not one.left_out], generations
        )
        if found:
            await skipped.record(tx, found, now)
        return found

    async def _blocked(self, tx: Transaction, messages: Sequence[Read]) -> set[parking.Key]:
        keys = {(one.record.topic, one.record.key) for one in messages if not isinstance(one, Skipped)}
        return await parking.blocked_among(tx, keys) if keys else set()

    async def _park_what_must_wait(
        self, tx: Transaction, messages: Sequence[Read], blocked: set[parking.Key], now: datetime
    ) -> list[Applicable]:
        """Parks invalid messages and everything behind a blocked key; returns what may be applied."""
        ready: list[Applicable] = []
        newly: list[Record] = []
        for message in messages:
            key = (message.record.topic, message.record.key)
            if isinstance(message, Skipped):
                continue
            if isinstance(message, Invalid):
                if await parking.park_invalid(tx, message, now):
                    newly += [message.record] if key not in blocked else []
                    blocked.add(key)
            elif key in blocked:
                await self._park_behind(tx, message, now)
            else:
                ready.append(message)
        if newly:
            await limit.refuse_wild_parking(tx, now, newly)
        return ready

    async def _park_behind(self, tx: Transaction, message: Applicable, now: datetime) -> None:
        await parking.park(
            tx, message.record, now, reason="behind", problem="an earlier message of its key is parked",
            event_id=message.event.id,
        )  # fmt: skip

    async def _claim(self, tx: Transaction, messages: Sequence[Applicable], now: datetime) -> list[Applicable]:
        """Claims the ids of the batch; what another transaction or an earlier place in it claimed is only projected."""
        ids = [message.event.id for message in messages if not message.bypasses_inbox]
        if not ids:
            return list(messages)
        new = {row.id for row in await tx.fetch(_CLAIM_IDS, {"ids": sorted(set(ids)), "now": now})}
        claimed, repeated = [], 0
        for message in messages:
            if message.bypasses_inbox:
                claimed.append(message)
            elif message.event.id in new:
                new.discard(message.event.id)
                claimed.append(message)
            else:
                repeated += 1
                claimed += [again] if (again := message.again()) is not None else []
        if repeated:
            metrics.consumer_skipped_total.labels(reason="duplicate").inc(repeated)
        return claimed

    async def _store(self, tx: Transaction, messages: Sequence[Read], now: datetime) -> None:
        reached: dict[Partition, int] = {}
        for one in messages:
            place = (one.record.topic, one.record.partition)
            if one.record.offset >= reached.get(place, 0):
                reached[place] = one.record.offset + 1
        await store_offsets(tx, reached, now)

    # -- one by one ---------------------------------------------------------------------------------------------

    async def _apply_singly(self, tx: Transaction, messages: Sequence[Read]) -> _Outcome:
        """The same batch with a savepoint around each message, so that only the guilty one fails."""
        now = clock.now()
        fresh, generations = await self._fresh(tx, messages)
        blocked = await self._blocked(tx, fresh)
        applied: list[Applicable] = []
        for number, message in enumerate(fresh):
            key = (message.record.topic, message.record.key)
            if isinstance(message, Skipped):
                continue
            if isinstance(message, Applicable) and key in blocked:
                await self._park_behind(tx, message, now)
                continue
            if not await self._park_guilty(tx, message, now, applied) or key in blocked:
                continue
            blocked.add(key)
            # Asked at each new key: a bad release must not fail five hundred times before it is noticed.
            behind = [one.record for one in fresh[number + 1 :] if isinstance(one, Invalid)]
            await limit.refuse_wild_parking(tx, now, [message.record], behind)
        found = await self._note_skipped(tx, fresh, generations, now)
        await self._store(tx, messages, now)
        return _Outcome(applied, found, generations)

    async def _park_guilty(
        self, tx: Transaction, message: Applicable | Invalid, now: datetime, applied: list[Applicable]
    ) -> bool:
        """Applies a message, or parks it when it is invalid or fails; whether it was parked, for the first time."""
        if isinstance(message, Invalid):
            return await parking.park_invalid(tx, message, now)
        problem = await self._try(tx, message, now)
        if problem is None:
            applied.append(message)
            return False
        return await parking.park(tx, message.record, now, reason="failed", problem=problem, event_id=message.event.id)

    async def _try(self, tx: Transaction, message: Applicable, now: datetime) -> str | None:
        try:
            async with tx.savepoint():
                await parking.apply_claimed(tx, message, now)
        except Exception as error:
            if is_transient(error):
                raise
            log.exception(
                "reaction failed", event_id=str(message.event.id), type=message.event.type,
                trace_id=trace_id_of(message.record),
            )  # fmt: skip
            return problem_of(error)
        return None


async def store_offsets(tx: Transaction, reached: Mapping[Partition, int], now: datetime) -> None:
    """Stores the next offset of each partition; marks replicas that are filled by it."""
    places: list[Any] = sorted(reached)
    await tx.write(
        _STORE_OFFSETS,
        {
            "topics": [place[0] for place in places],
            "partitions": [place[1] for place in places],
            "offsets": [reached[place] for place in places],
        },
    )
    await tx.write(_MARK_FILLED, {"now": now})


def _count(applied: Sequence[Applicable]) -> None:
    now = clock.now()
    lags: dict[str, list[float]] = {}
    for message in applied:
        if message.repeated:
            continue
        lag = (now - message.event.recorded_at).total_seconds()
        lags.setdefault(message.event.type, []).append(lag if lag > 0 else 0.0)
    # Looking up a series costs more than counting in it, so each is looked up once for a batch.
    for type_name, of_type in lags.items():
        metrics.consumer_applied_total.labels(type=type_name).inc(len(of_type))
        observe = metrics.reaction_lag_seconds.labels(type=type_name).observe
        for lag in of_type:
            observe(lag)
