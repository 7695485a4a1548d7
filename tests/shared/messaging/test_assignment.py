"""Partition n of every topic goes to the same member: what reacts to one ticket never waits for another member."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor

from shared.contracts.inventory import EnvironmentUnknown
from shared.contracts.tickets import TicketOpened
from shared.contracts.topics import ENVIRONMENTS, TICKETS
from shared.db.statement import sql
from shared.db.transaction import Transaction
from shared.messaging import framing
from shared.messaging.consumer import Consumer
from shared.messaging.kafka import Cluster
from shared.messaging.reactions import Reaction, Reactions
from shared.messaging.topics import create_topics
from tests.conftest import delete_topics
from tests.shared.messaging.story import consumer_of, message, opened, running, send, ticket
from tests.support.databases import OWNER, Database
from tests.support.eventually import eventually

Make = Callable[[str], Awaitable[Database]]

MEMBERS, PARTITIONS, KEYS, TIMES = 5, 12, 60, 4
# Nobody is killed here. With the short session of the other tests a busy machine would throw members out of the group,
# and each that is thrown out gives all partitions anew.
SESSION_MS = 10_000
# Five members join one after the other, each of them with everything given anew.
LONG = 120.0
HANDS = """
    CREATE TABLE public.hands (key text PRIMARY KEY, times int NOT NULL);
    CREATE TABLE public.touches (event_id uuid PRIMARY KEY, key text NOT NULL, type text NOT NULL, member int NOT NULL);
    GRANT SELECT, INSERT, UPDATE ON public.hands, public.touches TO test_serving;
"""


async def touch(tx: Transaction, event: Any, *, member: int) -> None:
    """What all reactions to one ticket do: they lock what belongs to it. Notes which member did."""
    await tx.execute(
        sql("""
            INSERT INTO public.hands AS h (key, times) VALUES (:key, 1)
            ON CONFLICT (key) DO UPDATE SET times = h.times + 1
        """),
        {"key": event.key},
    )
    await tx.execute(
        sql("INSERT INTO public.touches (event_id, key, type, member) VALUES (:id, :key, :type, :member)"),
        {"id": event.id, "key": event.key, "type": event.type, "member": member},
    )


def member_of(db: Database, cluster: Cluster, number: int) -> Consumer:
    """One of several processes of a service that reacts to two topics, both keyed by the ticket."""
    react = partial(touch, member=number)
    reactions = Reactions([Reaction(TicketOpened, react, False), Reaction(EnvironmentUnknown, react, False)])
    return consumer_of(db, cluster, reactions, max_batch=20, session_timeout_ms=SESSION_MS)


def told() -> list[Any]:
    """Events of both topics about the same tickets, in opposite orders: who locks several at once may meet another."""
    numbers = [(number, number % KEYS) for number in range(KEYS * TIMES)]
    first = [message(opened(number, of=key), number + 1) for number, key in numbers]
    second = [
        message(EnvironmentUnknown(ticket_id=ticket(key), client_id="acme", reason="no-installation"), number + 1)
        for number, key in reversed(numbers)
    ]
    return [one for pair in zip(first, second, strict=True) for one in pair]


def shares(consumers: list[Consumer], cluster: Cluster) -> list[dict[str, set[int]]]:
    """Which partitions of each of the two topics each member has."""
    return [
        {
            topic.name: {one.partition for one in consumer.loaded if one.topic == cluster.physical(topic.name)}
            for topic in (TICKETS, ENVIRONMENTS)
        }
        for consumer in consumers
    ]


async def settled(consumers: list[Consumer], cluster: Cluster) -> bool:
    """Whether every member has a share, and all partitions of both topics are given."""
    given = shares(consumers, cluster)
    each = {name: sum(len(mine[name]) for mine in given) for name in (TICKETS.name, ENVIRONMENTS.name)}
    return all(any(mine.values()) for mine in given) and set(each.values()) == {PARTITIONS}


async def played(db: Database, kafka_bootstrap: str, prefix: str) -> list[dict[str, set[int]]]:
    """Five members apply all of it; who had which partitions when it began."""
    cluster = Cluster(kafka_bootstrap, prefix)
    await create_topics(cluster, (TICKETS, ENVIRONMENTS), partitions=PARTITIONS)
    async with db.connect(OWNER) as owner:
        await owner.execute(HANDS)
    consumers = [member_of(db, cluster, number) for number in range(MEMBERS)]
    try:
        async with running(*consumers):
            await eventually(lambda: settled(consumers, cluster), within=LONG)
            given = shares(consumers, cluster)
            messages = told()
            await send(cluster, *messages)

            async def all_touched() -> bool:
                return await db.count("SELECT count(*) FROM public.touches") >= len(messages)

            await eventually(all_touched, within=LONG)
    finally:
        await delete_topics(cluster)
    assert await db.count("SELECT count(*) FROM public.touches") == len(messages)
    assert await db.count("SELECT count(*) FROM public.hands WHERE times <> $1", 2 * TIMES) == 0
    return given


async def touched_by_several(db: Database) -> int:
    """Keys that more than one member had its hands on: there one waits for another, and two may for each other."""
    return await db.count(
        "SELECT count(*) FROM (SELECT FROM public.touches GROUP BY key HAVING count(DISTINCT member) > 1) several"
    )


async def test_no_ticket_is_in_the_hands_of_two_of_five_members(database: Make, kafka_bootstrap: str) -> None:
    db = await database("runtime")
    given = await played(db, kafka_bootstrap, "range.")
    for mine in given:
        assert mine[TICKETS.name] == mine[ENVIRONMENTS.name]
    assert await touched_by_several(db) == 0
    assert await db.count("SELECT count(DISTINCT member) FROM public.touches") == MEMBERS


async def test_a_member_joins_once(database: Make, kafka_bootstrap: str) -> None:
    """Offered two assignors, aiokafka joins once for each of them, and the second time the group begins again: five
    members that start together may go on like that for minutes."""
    db, cluster = await database("runtime"), Cluster(kafka_bootstrap, "once.")
    await create_topics(cluster, (TICKETS, ENVIRONMENTS), partitions=PARTITIONS)
    alone = member_of(db, cluster, 0)
    try:
        async with running(alone):
            await eventually(lambda: settled([alone], cluster), within=LONG)
            assert alone._require_kafka()._coordinator.generation == 1
    finally:
        await delete_topics(cluster)


async def test_a_member_joins_beside_one_of_an_earlier_release(
    database: Make, kafka_bootstrap: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A release that replaces one process after the other must not wait until all of the earlier ones are gone."""
    db, cluster = await database("runtime"), Cluster(kafka_bootstrap, "beside.")
    await create_topics(cluster, (TICKETS, ENVIRONMENTS), partitions=PARTITIONS)
    earlier, present = member_of(db, cluster, 0), member_of(db, cluster, 1)
    try:
        with monkeypatch.context() as earlier_release:
            earlier_release.setattr(framing, "ASSIGNORS", (RoundRobinPartitionAssignor,))
            async with running(earlier):
                await eventually(lambda: settled([earlier], cluster), within=LONG)
                earlier_release.undo()
                async with running(present):
                    await eventually(lambda: settled([earlier, present], cluster), within=LONG)
    finally:
        await delete_topics(cluster)


async def test_round_robin_would_give_a_ticket_to_two_members(
    database: Make, kafka_bootstrap: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The counter-proof: what the test above counts is there as soon as partitions are given one by one."""
    monkeypatch.setattr(framing, "ASSIGNORS", (RoundRobinPartitionAssignor,))
    db = await database("runtime")
    given = await played(db, kafka_bootstrap, "roundrobin.")
    assert any(mine[TICKETS.name] != mine[ENVIRONMENTS.name] for mine in given)
    assert await touched_by_several(db) > 0
