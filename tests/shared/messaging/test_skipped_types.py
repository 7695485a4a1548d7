"""What was passed over is known: a release that reacts to it does not begin in the middle before somebody decided."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from shared import clock
from shared.contracts.inventory import ClientRecorded
from shared.contracts.tickets import TicketEscalated, TicketOpened
from shared.contracts.topics import TICKETS
from shared.messaging import skipped
from shared.messaging.adopting import NothingSkipped, accept_skipped, adopt_log, replay
from shared.messaging.batch import BatchApplier
from shared.messaging.kafka import Cluster, bounds
from shared.messaging.reactions import Reaction, Reactions
from shared.messaging.records import Record
from shared.messaging.replicas import unfilled_replicas
from tests.shared.messaging.story import (
    assigned,
    consumer_of,
    count_effect,
    effects,
    keep_client,
    message,
    opened,
    reactions,
    running,
    send,
)
from tests.shared.messaging.test_consumer import applied, prepared, reached_end, story_of
from tests.support.databases import Database
from tests.support.eventually import eventually
from tests.support.statements import counted

Make = Callable[[str], Awaitable[Database]]
ASSIGNED = "desk.ticket.assigned.v1"


def earlier() -> Reactions:
    """The release before: it reacts to opened tickets alone."""
    return Reactions([Reaction(TicketOpened, count_effect, False)])


def mixed(events: int, start: int = 0) -> list[Any]:
    """Of three tickets: every second event is an assignment."""
    return [
        message(assigned(number, of=number % 3) if number % 2 else opened(number, of=number % 3), number + 1)
        for number in range(start, start + events)
    ]


async def after_the_earlier_release(database: Make, cluster: Cluster, events: int = 60) -> Database:
    """A database whose earlier release has passed over every second event."""
    db = await prepared(database)
    await send(cluster, *mixed(events))
    async with running(consumer_of(db, cluster, earlier())):
        await eventually(lambda: applied(db, events // 2))
        await eventually(lambda: reached_end(db, cluster))
    return db


async def has_problem(consumer: Any, words: str) -> bool:
    return words in (consumer.problem or "")


async def types_of_effects(db: Database) -> list[str]:
    return sorted(row["type"].split(".")[2] for row in await effects(db))


async def test_a_release_that_reacts_to_what_was_passed_over_does_not_begin_in_the_middle(
    database: Make, cluster: Cluster
) -> None:
    db = await after_the_earlier_release(database, cluster)
    await send(cluster, *mixed(10, start=60))
    consumer = consumer_of(db, cluster)
    async with running(consumer):
        await eventually(lambda: has_problem(consumer, f"messaging replay {ASSIGNED}"))
        assert f"messaging accept-skipped {ASSIGNED} --reason" in (consumer.stopped or "")
        assert not consumer.loaded
        assert len(await effects(db)) == 30


async def test_replaying_a_type_applies_what_was_passed_over_and_nothing_twice(
    database: Make, cluster: Cluster
) -> None:
    db = await after_the_earlier_release(database, cluster)
    consumer = consumer_of(db, cluster)
    async with running(consumer):
        await eventually(lambda: has_problem(consumer, "messaging replay"))
        logs = await bounds(cluster, [TICKETS.name])
        async with db.begin() as tx:
            told = await replay(tx, ASSIGNED, logs, dry_run=True)
        assert await has_problem(consumer, "messaging replay"), "only told"
        async with db.begin() as tx:
            assert await replay(tx, ASSIGNED, logs) == told
        assert all(one.reads_from < one.stood_at == logs[one.topic, one.partition].end for one in told)
        await eventually(lambda: applied(db, 60))
        await eventually(lambda: reached_end(db, cluster))
        async with db.begin() as tx:
            with pytest.raises(NothingSkipped):
                await replay(tx, ASSIGNED, logs)
    assert await types_of_effects(db) == ["assigned"] * 30 + ["opened"] * 30
    assert len({row["event_id"] for row in await effects(db)}) == 60


async def test_what_was_passed_over_can_be_left_out_for_a_reason(database: Make, cluster: Cluster) -> None:
    db = await after_the_earlier_release(database, cluster)
    consumer = consumer_of(db, cluster)
    async with running(consumer):
        await eventually(lambda: has_problem(consumer, "messaging accept-skipped"))
        async with db.begin() as tx:
            await accept_skipped(tx, ASSIGNED, "told by hand", clock.now())
        await send(cluster, *mixed(10, start=60))
        await eventually(lambda: applied(db, 40))
    assert await types_of_effects(db) == ["assigned"] * 5 + ["opened"] * 35
    assert await db.count("SELECT count(*) FROM runtime.accepted_skips WHERE reason = 'told by hand'") > 0


async def test_what_was_left_out_stays_so_when_another_type_is_replayed(database: Make, cluster: Cluster) -> None:
    """The partitions are set back behind it, and the inbox does not know it."""
    db = await prepared(database)
    await send(cluster, *mixed(60))
    neither = Reactions([Reaction(TicketEscalated, count_effect, False)])
    async with running(consumer_of(db, cluster, neither)):
        await eventually(lambda: reached_end(db, cluster))
    async with db.begin() as tx:
        await accept_skipped(tx, ASSIGNED, "told by hand", clock.now())
    # Both go on, while releases change: what comes after the decision is nothing that was decided.
    await send(cluster, *mixed(20, start=60))
    async with running(consumer_of(db, cluster, neither)):
        await eventually(lambda: reached_end(db, cluster))
    async with db.begin() as tx:
        logs = await bounds(cluster, [TICKETS.name])
        for type_name in (TicketOpened.type, ASSIGNED):
            await replay(tx, type_name, logs)
    consumer = consumer_of(db, cluster)
    async with running(consumer):
        await eventually(lambda: applied(db, 50))
        await eventually(lambda: reached_end(db, cluster))
        assert consumer.problem is None
    assert await types_of_effects(db) == ["assigned"] * 10 + ["opened"] * 40
    # In another log their offsets mean something else.
    async with db.begin() as tx:
        await adopt_log(tx, TICKETS.name, logs)
    async with running(consumer_of(db, cluster)):
        await eventually(lambda: applied(db, 80))


async def test_an_earlier_release_that_goes_on_after_the_decision_is_noticed_again(
    database: Make, cluster: Cluster
) -> None:
    """While releases change, both run: what the old one passes over after the decision must not be lost in silence."""
    db = await prepared(database)
    await send(cluster, *mixed(30))
    async with running(consumer_of(db, cluster, earlier())):
        await eventually(lambda: applied(db, 15))
        await eventually(lambda: reached_end(db, cluster))
        async with db.begin() as tx:
            await accept_skipped(tx, ASSIGNED, "told by hand", clock.now())
        await send(cluster, *mixed(30, start=30))
        await eventually(lambda: applied(db, 30))
        await eventually(lambda: reached_end(db, cluster))
    consumer = consumer_of(db, cluster)
    async with running(consumer):
        await eventually(lambda: has_problem(consumer, f"messaging replay {ASSIGNED}"))
        async with db.begin() as tx:
            await replay(tx, ASSIGNED, await bounds(cluster, [TICKETS.name]))
        await eventually(lambda: applied(db, 45))
        await eventually(lambda: reached_end(db, cluster))
    assert await types_of_effects(db) == ["assigned"] * 15 + ["opened"] * 30


async def test_a_fresh_installation_need_not_decide(database: Make, cluster: Cluster) -> None:
    db = await prepared(database)
    await send(cluster, *mixed(40))
    async with running(consumer_of(db, cluster)):
        await eventually(lambda: applied(db, 40))
    consumer = consumer_of(db, cluster, earlier())
    async with running(consumer):
        await send(cluster, *story_of(3, 4, start=40))
        await eventually(lambda: applied(db, 44))
        assert consumer.problem is None


async def test_a_replica_of_which_a_kind_was_passed_over_is_filled_again(database: Make, cluster: Cluster) -> None:
    db = await prepared(database)
    other = Reactions([Reaction(TicketOpened, count_effect, False)])
    async with db.connect() as connection:
        await connection.execute(
            "INSERT INTO runtime.offsets SELECT 'desk.clients.v1', number, 0 FROM generate_series(0, 2) AS number"
        )
        await connection.execute(
            "INSERT INTO runtime.replicas SELECT 'desk.clients.v1', number, 0, now() FROM generate_series(0, 2) number"
        )
    told = [message(ClientRecorded(id=f"c-{one}", name="C", tier="oro"), one + 1) for one in range(30)]
    await BatchApplier(db.engine, other, lambda: None).apply(
        [
            Record(topic, 0, number, key, tuple(headers), value)
            for number, (topic, key, value, headers) in enumerate(told)
        ]
    )
    await send(cluster, *told)
    async with db.begin() as tx:
        await replay(tx, ClientRecorded.type, await bounds(cluster, ["desk.clients.v1"]))
        assert await unfilled_replicas(tx, ["desk.clients.v1"]) == ["desk.clients.v1"]
    react = Reactions([Reaction(ClientRecorded, keep_client, False)])
    async with running(consumer_of(db, cluster, react)):
        await eventually(lambda: clients(db, 30))


async def clients(db: Database, number: int) -> bool:
    return await db.count("SELECT count(*) FROM public.clients") == number


def records_of(types: Sequence[str], start: int = 0) -> list[Record]:
    topic, key, value, headers = message(opened(1), 1)
    return [
        Record(
            topic, 0, start + offset, key,
            tuple((name, kind.encode() if name == "ce_type" else text) for name, text in headers), value,
        )
        for offset, kind in enumerate(types)
    ]  # fmt: skip


async def with_offsets(database: Make) -> Database:
    db = await prepared(database)
    async with db.connect() as connection:
        await connection.execute("INSERT INTO runtime.offsets VALUES ('desk.tickets.v1', 0, 0)")
    return db


async def recorded(db: Database) -> dict[str, int]:
    async with db.connect() as connection:
        rows = await connection.fetch("SELECT type, first_offset FROM runtime.skipped_types")
    return {row["type"]: row["first_offset"] for row in rows}


async def test_what_is_recorded_costs_no_statement_of_a_later_batch(database: Make) -> None:
    db = await with_offsets(database)
    applier = BatchApplier(db.engine, earlier(), lambda: None)
    await applier.apply(records_of([ASSIGNED] * 5))
    with counted(db.engine) as statements:
        await applier.apply(records_of([ASSIGNED] * 5, start=5))
    assert not [one for one in statements if "skipped_types" in one]
    with counted(db.engine) as without:
        await BatchApplier(db.engine, reactions(), lambda: None).apply(
            [Record(topic, 0, 10, key, tuple(headers), value) for topic, key, value, headers in [message(opened(1), 1)]]
        )
    assert len(statements) < len(without)
    assert await recorded(db) == {ASSIGNED: 0}


@pytest.mark.parametrize(
    "strange",
    [
        "unknown",
        "desk.ticket.v1",
        "desk.ticket.Opened.v1",
        "com.desk.ticket.moved.v1",
        "desk.ticket.moved.v1 ",
        f"desk.ticket.{'m' * 200}.v1",
        # A type of another topic cannot become one of this.
        "desk.sla-clock.started.v1",
    ],
)
async def test_a_type_that_does_not_look_like_one_of_ours_is_not_recorded(database: Make, strange: str) -> None:
    db = await with_offsets(database)
    await BatchApplier(db.engine, earlier(), lambda: None).apply(records_of([strange, "desk.ticket.moved.v2"]))
    assert await recorded(db) == {"desk.ticket.moved.v2": 1}


async def test_strangers_fill_neither_the_table_nor_the_memory(database: Make) -> None:
    db = await with_offsets(database)
    applier = BatchApplier(db.engine, earlier(), lambda: None)
    for start in range(0, 1500, 500):
        await applier.apply(
            records_of([f"desk.ticket.moved-{number}.v1" for number in range(start, start + 500)], start=start)
        )
    await applier.apply(records_of([ASSIGNED], start=1500))
    found = await recorded(db)
    assert len(found) == skipped.MOST_TYPES_OF_A_TOPIC + 1
    assert found[ASSIGNED] == 1500, "what the registry knows is recorded all the same"
    assert len(applier.skipped._recorded) == len(found)


async def test_what_a_rolled_back_batch_passed_over_is_recorded_by_the_next(database: Make) -> None:
    db = await with_offsets(database)
    applier = BatchApplier(db.engine, earlier(), lambda: None)
    store = applier._store

    async def fail(*arguments: Any) -> None:
        raise TimeoutError("no answer")

    applier._store = fail  # type: ignore[method-assign,assignment]
    with pytest.raises(TimeoutError):
        await applier.apply(records_of([ASSIGNED]))
    applier._store = store  # type: ignore[method-assign]
    assert await recorded(db) == {}
    await applier.apply(records_of([ASSIGNED]))
    assert await recorded(db) == {ASSIGNED: 0}
