"""Publishing is an insert; whoever rolls back has published nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from shared.db.statement import sql
from shared.db.transaction import begin
from shared.messaging.outbox import EventTooLarge, publish, seal
from tests.shared.messaging.story import cause, opened
from tests.support.databases import Database

Make = Callable[[str], Awaitable[Database]]


async def test_events_are_archived_and_queued_in_the_order_given(database: Make) -> None:
    db = await database("runtime")
    events = seal(cause(), *[opened(number) for number in range(50)])
    async with db.begin() as tx:
        await publish(tx, events)
    async with db.connect() as connection:
        rows = await connection.fetch(
            "SELECT a.id, o.position FROM runtime.archive a JOIN runtime.outbox o USING (position) ORDER BY position"
        )
    assert [row["id"] for row in rows] == [one.id for one in events]


async def test_a_rollback_publishes_nothing(database: Make) -> None:
    db = await database("runtime")

    async def publish_and_regret() -> None:
        async with db.begin() as tx:
            await publish(tx, seal(cause(), opened(1)))
            raise RuntimeError("second thoughts")

    with pytest.raises(RuntimeError, match="second thoughts"):
        await publish_and_regret()
    assert await db.count("SELECT count(*) FROM runtime.archive") == 0
    assert await db.count("SELECT count(*) FROM runtime.outbox") == 0


async def test_an_event_that_no_kafka_message_can_carry_is_refused_and_nothing_is_inserted(database: Make) -> None:
    db = await database("runtime")
    async with db.begin() as tx:
        with pytest.raises(EventTooLarge, match="900000"):
            await publish(tx, seal(cause(), opened(1), opened(2, description="x" * 900_001)))
    assert await db.count("SELECT count(*) FROM runtime.archive") == 0


async def test_the_serving_role_cannot_change_the_archive(database: Make) -> None:
    db = await database("runtime")
    async with db.begin() as tx:
        await publish(tx, seal(cause(), opened(1)))
    for statement in (
        "UPDATE runtime.archive SET actor = 'x'",
        "DELETE FROM runtime.archive",
        "TRUNCATE runtime.archive",
    ):
        with pytest.raises(Exception, match="permission denied"):
            async with db.begin() as tx:
                await tx.execute(sql(statement))


async def test_the_edge_gives_the_hint_only_when_something_was_published(database: Make) -> None:
    db = await database("runtime")
    hints: list[str] = []
    async with begin(db.engine, lambda: hints.append("hint")) as tx:
        await tx.execute(sql("SELECT 1"))
    assert hints == []
    async with begin(db.engine, lambda: hints.append("hint")) as tx:
        await publish(tx, seal(cause(), opened(1)))
    assert hints == ["hint"]

    async def publish_and_regret() -> None:
        async with begin(db.engine, lambda: hints.append("hint")) as tx:
            await publish(tx, seal(cause(), opened(2)))
            raise RuntimeError("second thoughts")

    with pytest.raises(RuntimeError, match="second thoughts"):
        await publish_and_regret()
    async with begin(db.engine, lambda: hints.append("hint")) as tx:
        await tx.execute(sql("SELECT 1"))
    assert hints == ["hint"]
