"""A consumer that stopped says so at once and for as long as it lasts, and goes on by itself once it is allowed to."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any

import httpx2
import pytest

from shared import clock
from shared.contracts.topics import TICKETS
from shared.db.statement import sql
from shared.messaging import limit, parking
from shared.messaging.batch import BatchApplier
from shared.messaging.kafka import Cluster
from shared.messaging.limit import ParkingRunsWild
from shared.messaging.records import Record
from tests.shared.messaging.story import message, opened, reactions, send
from tests.shared.messaging.test_batch import prepared, record
from tests.shared.messaging.test_operator import ask
from tests.support.databases import Database
from tests.support.eventually import eventually
from tests.support.parts import started

Make = Callable[[str], Awaitable[Database]]
SLA_TOPIC = "desk.sla.v1"
GARBAGE = [("ce_type", b"desk.sla-clock.started.v1")]


def unreadable(count: int, first: int = 0) -> Sequence[Any]:
    """Messages that claim a type which tickets reads and are none, each of another key."""
    return [(SLA_TOPIC, f"key-{number}".encode(), b"{}", GARBAGE) for number in range(first, first + count)]


async def readyz(client: httpx2.AsyncClient) -> dict[str, Any]:
    """What /readyz says, with its status; empty while nobody listens yet."""
    try:
        answer = await client.get("/readyz")
    except httpx2.TransportError:
        return {}
    return {"status_code": answer.status_code, **answer.json()}


@pytest.mark.parametrize("part", ["consumer", "all"])
async def test_a_halted_consumer_is_not_ready_and_says_what_to_do(database: Make, cluster: Cluster, part: str) -> None:
    db = await database("tickets")
    await send(cluster, *unreadable(60))
    async with started("tickets", part, db, cluster) as (_, client):

        async def told() -> Any:
            answer = await readyz(client)
            return answer if "--keys 40" in str(answer.get("checks")) else None

        answer = await eventually(told, within=40, what="a readiness that names the command")
        assert answer["status_code"] == 503
        assert f"messaging accept {SLA_TOPIC} --keys 40 --reason" in answer["checks"]["consumer"]


async def parked(db: Database) -> int:
    return await db.count("SELECT count(*) FROM runtime.parked")


async def test_what_an_operator_allows_is_parked_and_the_consumer_goes_on_by_itself(
    database: Make, cluster: Cluster
) -> None:
    db = await database("tickets")
    await send(cluster, *unreadable(60))
    async with started("tickets", "consumer", db, cluster) as (_, client):

        async def is_halted() -> bool:
            return "--keys 40" in str((await readyz(client)).get("checks"))

        async def is_ready() -> bool:
            return (await readyz(client)).get("status_code") == 200

        await eventually(is_halted, within=40)
        assert await parked(db) == 0
        (row,) = [row for row in await ask(db, cluster, "lag") if row["topic"] == SLA_TOPIC]
        assert [one["lacking"] for one in row["halted"]] == [40]
        words = ("accept", SLA_TOPIC, "--reason", "a stranger wrote them")
        await ask(db, cluster, *words, "--keys", "39")
        # Not enough: it tries, and asks for what is lacking.
        await eventually(lambda: lacks(client, 1), within=40)
        assert await parked(db) == 0
        await ask(db, cluster, *words, "--keys", "1")
        await eventually(is_ready, within=40)
        assert await parked(db) == 60
        assert await db.count("SELECT sum(unspent) FROM runtime.allowances") == 0
        assert await db.count("SELECT sum(granted) FROM runtime.allowances WHERE reason LIKE 'a stranger%'") == 40
        assert "halted" not in (await readyz(client))["status"]
        # What was allowed is spent: the next ones stop it again.
        await send(cluster, *unreadable(60, first=100))
        await eventually(lambda: lacks(client, 60), within=40)


async def lacks(client: httpx2.AsyncClient, keys: int) -> bool:
    return f"--keys {keys} " in str((await readyz(client)).get("checks"))


async def test_a_restart_does_not_hide_that_a_consumer_halted(database: Make, cluster: Cluster) -> None:
    """Every part tells, before, while and after the consumer is started again."""
    db = await database("tickets")
    await send(cluster, *unreadable(60))
    async with started("tickets", "consumer", db, cluster) as (_, client):
        await eventually(lambda: lacks(client, 40), within=40)
    async with started("tickets", "jobs", db, cluster) as (_, client):
        answer = await eventually(lambda: readyz(client), within=40)
        (halt,) = answer["status"]["halted"]
        assert (halt["topic"], halt["lacking"]) == (SLA_TOPIC, 40)
    async with started("tickets", "consumer", db, cluster) as (_, client):
        seen: list[Any] = []
        told: list[str] = []

        async def is_halted_again() -> bool:
            answer = await readyz(client)
            seen.append(answer.get("status_code"))
            told.append(str(answer.get("checks", {}).get("consumer")))
            return "RuntimeError: stopped, because" in told[-1]

        await eventually(is_halted_again, within=40)
        assert 200 not in seen, "not ready for a moment, or whoever watches would call it healthy"
        assert all("--keys 40 --reason" in one for one in told if "stopped, because" in one)


async def test_what_a_consumer_tries_again_after_a_restart_is_told_with_its_number(database: Make) -> None:
    db = await prepared(database)
    with pytest.raises(ParkingRunsWild):
        await BatchApplier(db.engine, reactions(), lambda: None).apply(invalid(60))
    async with db.begin() as tx:
        assert "--keys 40 --reason" in limit.told(await limit.halted(tx))


INVALID = (("ce_type", b"desk.ticket.opened.v1"),)


def invalid(count: int, first: int = 0) -> list[Record]:
    """Records that claim to open a ticket and are no event at all, each of another key."""
    return [
        Record(TICKETS.name, 0, offset, f"key-{offset}".encode(), INVALID, b"{}")
        for offset in range(first, first + count)
    ]


async def test_what_is_behind_in_the_batch_is_counted_at_once(database: Make) -> None:
    """A reaction that fails makes the batch go message by message; what is unreadable behind it is known all the
    same."""
    db = await prepared(database)

    async def fail(tx: Any, event: Any) -> None:
        raise ValueError("not this one")

    failing = [record(message(opened(number), number + 1), number) for number in range(10)]
    batch = [*failing, *invalid(15, first=10)]
    applier = BatchApplier(db.engine, reactions(fail), lambda: None)
    with pytest.raises(ParkingRunsWild) as stopped:
        await applier.apply(batch)
    assert [(one.topic, one.offset, one.lacking) for one in stopped.value.overruns] == [(TICKETS.name, 24, 5)]
    async with db.begin() as tx:
        await limit.allow(tx, TICKETS.name, 6, "seen", clock.now())
    await applier.apply(batch)
    assert await parked(db) == 25
    assert await db.count("SELECT unspent FROM runtime.allowances") == 1


async def test_an_allowance_is_spent_only_with_what_it_was_for(database: Make) -> None:
    """It is of one topic, and a batch that is rolled back spends nothing."""
    db = await prepared(database)
    async with db.begin() as tx:
        await limit.allow(tx, "desk.sla.v1", 100, "another topic", clock.now())
        await limit.allow(tx, TICKETS.name, 30, "too few", clock.now())
    applier = BatchApplier(db.engine, reactions(), lambda: None)
    with pytest.raises(ParkingRunsWild) as stopped:
        await applier.apply(invalid(60))
    assert [one.lacking for one in stopped.value.overruns] == [10]
    assert await db.count("SELECT sum(unspent) FROM runtime.allowances") == 130


async def test_what_was_parked_before_blocks_no_key_again(database: Make) -> None:
    """A partition that is set back delivers it once more; its key may be free, and it is no new trouble."""
    db = await prepared(database)
    strange = invalid(2)
    applier = BatchApplier(db.engine, reactions(), lambda: None)
    await applier.apply(strange)
    async with db.begin() as tx:
        for row in await parking.list_parked(tx):
            await parking.discard_parked(tx, row.id, "not ours", clock.now())
            await parking.retry_parked(tx, clock.now() + timedelta(hours=1), reactions())
        await tx.execute(sql("UPDATE runtime.offsets SET next_offset = 0"))
    assert await db.count("SELECT count(*) FROM runtime.blocked_keys") == 0
    await applier.apply(strange)
    assert await db.count("SELECT count(*) FROM runtime.blocked_keys") == 0
    assert await parked(db) == 2
