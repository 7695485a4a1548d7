"""An owner whose database was restored sends nothing before somebody has seen what it lost, then goes on behind it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import RecordsToDelete

from runner.databases import clone_database, drop_database
from shared.contracts.inventory import ClientRecorded
from shared.contracts.topics import CLIENTS, TICKETS
from shared.db.engine import make_engine
from shared.messaging import published
from shared.messaging import relay as relaying
from shared.messaging.kafka import Cluster, admin
from shared.messaging.relay import Relay
from tests.shared.messaging import story
from tests.shared.messaging.story import (
    first_deliveries,
    outbox_empty,
    publish_all,
    read_topic,
    refusal,
    require_order,
    running,
    story_of,
)
from tests.shared.messaging.test_operator import ask
from tests.support.databases import OWNER, Database
from tests.support.eventually import eventually
from tests.support.parts import started

Make = Callable[[str], Awaitable[Database]]

NOTE_THE_LIMIT = """
    CREATE TABLE public.noted (seconds int);
    GRANT SELECT ON public.noted TO test_serving;
    CREATE FUNCTION public.note() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO public.noted VALUES (extract(epoch FROM current_setting('statement_timeout')::interval));
        RETURN NEW;
    END $$;
    CREATE TRIGGER note AFTER INSERT ON runtime.advanced FOR EACH ROW EXECUTE FUNCTION public.note()
"""


def relay_of(db: Database, cluster: Cluster, service: str = "tickets") -> Relay:
    return story.relay_of(db, cluster, service=service)


@asynccontextmanager
async def dumped(db: Database, url: str) -> AsyncIterator[Database]:
    """A copy of the database as it is now, used as the restored one. It is made while nobody is connected."""
    name = f"{db.name}_restored"
    await db.engine.dispose()
    await clone_database(url, db.name, name)
    db.engine = make_engine(db.url, application="test", pool_size=2)
    engine = make_engine(db.url.replace(db.name, name), application="test", pool_size=2)
    try:
        yield Database(name, url, engine)
    finally:
        await engine.dispose()
        await drop_database(url, name)


def _sequences(records: list[Any]) -> list[int]:
    return [int(dict(record.headers)["ce_sequence"]) for record in records]


async def test_a_restored_owner_does_not_send_until_its_position_was_advanced(
    database: Make, postgres_url: str, cluster: Cluster
) -> None:
    db = await database("runtime")
    async with running(relay_of(db, cluster)):
        await publish_all(db, story_of(3, 30))
        await eventually(lambda: outbox_empty(db))
    async with dumped(db, postgres_url) as restored:
        async with running(relay_of(db, cluster)):
            await publish_all(db, story_of(3, 20, start=30))
            await eventually(lambda: outbox_empty(db))
        # Positions 31 to 35 are given to other events than those that were published under them.
        await publish_all(restored, story_of(3, 5, start=100))
        relay = relay_of(restored, cluster)
        async with running(relay):
            refused = await eventually(lambda: refusal(relay))
            assert "20 events on the topics of tickets, up to sequence 50, are not in its archive" in refused
            assert "desk.ticket.opened.v1 of" in refused
            assert "python -m tickets messaging advance" in refused
            assert len(await read_topic(cluster, TICKETS.name, 50)) == 50, "nothing was sent"
            answer = await ask(restored, cluster, "advance")
            assert (answer["unknown_events"], answer["past"], answer["moved_rows"]) == (20, 50, 5)
            assert len(answer["events"]) == 20
            await publish_all(restored, story_of(3, 5, start=105))
            await eventually(lambda: outbox_empty(restored), within=30)
            assert relay.refused is None
        records = await read_topic(cluster, TICKETS.name, 60)
        assert sorted(_sequences(records)) == list(range(1, 61))
        require_order(first_deliveries(records))
        assert await ask(restored, cluster, "advance") == {"unknown_events": 0, "moved_rows": 0}


async def test_while_one_refuses_the_other_stands_by_and_whoever_refused_says_so_until_somebody_acts(
    database: Make, postgres_url: str, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relaying, "IDLE_SESSION", "2s")
    db = await database("runtime")
    async with dumped(db, postgres_url) as restored:
        async with running(relay_of(db, cluster)):
            await publish_all(db, story_of(1, 3))
            await eventually(lambda: outbox_empty(db))
        first, second = relay_of(restored, cluster), relay_of(restored, cluster)
        async with running(first):
            await eventually(lambda: refusal(first))
            async with running(second):
                for _ in range(40):
                    await asyncio.sleep(0.1)  # four seconds are twice as long as a session may idle
                    assert (first.leads, second.leads) == (True, False)
                    assert first.refused
                await _end_the_leader(restored)
                await eventually(lambda: refusal(second), what="the other has the lead and refuses, too")
                for _ in range(25):
                    await asyncio.sleep(0.1)  # meanwhile it asks for the lead twice
                    assert first.refused, "it stands by, and nobody has acted"
                assert (first.leads, second.leads) == (False, True)
                await ask(restored, cluster, "advance")
                await eventually(lambda: _both_are_well(first, second))


async def _both_are_well(*relays: Relay) -> bool:
    return not any(relay.refused or relay.problem for relay in relays)


async def _end_the_leader(db: Database) -> None:
    async with db.connect() as connection:
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND database = "
            "(SELECT oid FROM pg_database WHERE datname = current_database())"
        )


async def test_moving_a_position_has_the_time_that_many_rows_take(
    database: Make, postgres_url: str, cluster: Cluster
) -> None:
    """It is one statement, and what waits may be the work of days."""
    db = await database("runtime")
    async with dumped(db, postgres_url) as restored:
        async with running(relay_of(db, cluster)):
            await publish_all(db, story_of(1, 3))
            await eventually(lambda: outbox_empty(db))
        async with restored.connect(OWNER) as owner:
            await owner.execute(NOTE_THE_LIMIT)
        assert (await ask(restored, cluster, "advance"))["unknown_events"] == 3
        assert await restored.count("SELECT seconds FROM public.noted") == 600


async def test_no_more_is_looked_at_than_the_most_and_that_is_said(
    database: Make, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(published, "MOST", 60)
    db = await database("runtime")
    async with running(relay_of(db, cluster)):
        await publish_all(db, story_of(1, 70))
        await eventually(lambda: outbox_empty(db))
    other = await database("runtime")
    found = await published.compare(other.url, "tickets", cluster)
    assert len(found.unknown) == 60
    assert published.told("tickets", found).startswith("at least 60 events on the topics of tickets, up to sequence 70")
    monkeypatch.setattr(published, "MOST", 70)
    found = await published.compare(other.url, "tickets", cluster)
    assert published.told("tickets", found).startswith("70 events")


async def test_what_retention_deletes_while_one_looks_hides_nothing(
    database: Make, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A look that begins before the log does would otherwise go on at its end, and find nothing strange."""
    db = await database("runtime")
    async with running(relay_of(db, cluster)):
        await publish_all(db, story_of(1, 70))
        await eventually(lambda: outbox_empty(db))
    (partition,) = {record.partition for record in await read_topic(cluster, TICKETS.name, 70)}
    place = TopicPartition(cluster.physical(TICKETS.name), partition)
    async with admin(cluster) as client:
        await client.delete_records({place: RecordsToDelete(before_offset=40)})

    async def begins_a_moment_ago(_consumer: Any, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(partitions, 0)

    monkeypatch.setattr(AIOKafkaConsumer, "beginning_offsets", begins_a_moment_ago)
    other = await database("runtime")
    assert len((await published.compare(other.url, "tickets", cluster)).unknown) == 30


async def test_the_relay_of_a_restored_owner_is_not_ready_and_says_why(
    database: Make, postgres_url: str, cluster: Cluster
) -> None:
    db = await database("tickets")
    async with dumped(db, postgres_url) as restored:
        async with running(relay_of(db, cluster)):
            await publish_all(db, story_of(1, 3))
            await eventually(lambda: outbox_empty(db))
        async with started("tickets", "relay", restored, cluster) as (_, http):

            async def told() -> str:
                answer = await http.get("/readyz")
                return "" if answer.status_code == 200 else str(answer.json()["checks"]["archive"])

            async def refuses() -> bool:
                try:
                    return "3 events on the topics of tickets" in await told()
                except httpx2.HTTPError:
                    return False

            await eventually(refuses)


async def test_markers_strangers_and_other_services_do_not_look_like_a_restored_database(
    database: Make, cluster: Cluster
) -> None:
    """A topic of state records ends in the markers of its transactions, and somebody may have written beside us."""
    db = await database("runtime")
    async with running(relay_of(db, cluster, "inventory")):
        for number in range(70):
            await publish_all(db, [ClientRecorded(id=f"c{number % 3}", name=str(number), tier="oro")])
        await eventually(lambda: outbox_empty(db))
    assert (await published.compare(db.url, "inventory", cluster)).unknown == []
    assert (await published.compare(db.url, "sla", cluster)).unknown == []
    other = await database("runtime")
    unknown = (await published.compare(other.url, "inventory", cluster)).unknown
    assert {event.topic for event in unknown} == {CLIENTS.name}
    assert len(unknown) == 70
