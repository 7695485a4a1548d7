"""A log that is not the one that the database has read is refused, for good, until an operator adopts it."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition

from shared import clock
from shared.contracts.topics import TICKETS
from shared.db.statement import sql
from shared.messaging import offsets, refusals
from shared.messaging.adopting import adopt_cluster, adopt_log
from shared.messaging.batch import OffsetsMoved
from shared.messaging.fingerprint import Log, Stood, Younger
from shared.messaging.kafka import Cluster, admin, bounds, cluster_id
from tests.conftest import make_topics
from tests.shared.messaging import process
from tests.shared.messaging.story import consumer_of, effects, running, send
from tests.shared.messaging.test_consumer import applied, prepared, require_each_once, story_of
from tests.shared.messaging.test_halted import readyz
from tests.support.databases import Database
from tests.support.eventually import eventually
from tests.support.parts import started

Make = Callable[[str], Awaitable[Database]]


async def read_once(database: Make, cluster: Cluster, events: int = 60) -> Database:
    """A database that has read the topic as it is now."""
    db = await prepared(database)
    await send(cluster, *story_of(6, events))
    async with running(consumer_of(db, cluster)):
        await eventually(lambda: applied(db, events))
        await eventually(lambda: dated(db))
    return db


async def dated(db: Database) -> bool:
    """Whether the log can be known again as far as it was read: that is stored after the batch."""
    return await db.count("SELECT count(*) FROM runtime.offsets WHERE dated_below IS DISTINCT FROM next_offset") == 0


async def make_anew(cluster: Cluster) -> None:
    """Deletes the topic of the tickets and makes it again.

    The broker takes events for the deleted log until it has heard of it from its controller: they would go with it.
    """
    name = cluster.physical(TICKETS.name)
    async with admin(cluster) as client:
        if name in await client.list_topics():
            await client.delete_topics([name])

        async def gone() -> bool:
            return name not in await client.list_topics()

        await eventually(gone)

    async def made() -> bool:
        try:
            await make_topics(cluster)
        except Exception:
            return False
        return True

    await eventually(made)


async def refuses(consumer: Any, words: str = "adopt-log desk.tickets.v1") -> bool:
    return words in (consumer.problem or "") and not consumer.loaded


async def test_a_log_made_anew_is_refused_although_it_grew_past_the_database(database: Make, cluster: Cluster) -> None:
    """Going on at the stored offset would pass over everything before it, in silence."""
    db = await read_once(database, cluster)
    await make_anew(cluster)
    await send(cluster, *story_of(6, 180, start=60))
    consumer = consumer_of(db, cluster)
    async with running(consumer):
        await eventually(lambda: refuses(consumer))
        assert len(await effects(db)) == 60


async def test_a_log_behind_the_database_is_refused_until_an_operator_adopts_it(
    database: Make, cluster: Cluster
) -> None:
    db = await prepared(database)
    await send(cluster, *story_of(6, 300))
    consumer = consumer_of(db, cluster)
    async with running(consumer):
        await eventually(lambda: applied(db, 300))
    await make_anew(cluster)
    await send(cluster, *story_of(6, 60, start=300))
    consumer = consumer_of(db, cluster)
    async with running(consumer):
        await eventually(lambda: refuses(consumer, "behind the database"))
        assert not consumer.loaded
        async with db.begin() as tx:
            logs = await bounds(cluster, [TICKETS.name])
            # The same cluster, so only what is refused is begun anew.
            assert 0 < len(await adopt_cluster(tx, await cluster_id(cluster), logs)) <= len(logs)
            assert await adopt_cluster(tx, await cluster_id(cluster), logs) == []
        await eventually(lambda: applied(db, 360))
    await require_each_once(db, 360)


async def test_a_refusal_outlives_the_growth_of_the_log_and_a_restart(database: Make, cluster: Cluster) -> None:
    db = await read_once(database, cluster)
    await make_anew(cluster)
    await send(cluster, *story_of(6, 12, start=60))
    first = consumer_of(db, cluster)
    async with running(first):
        await eventually(lambda: refuses(first))
        async with db.connect() as connection:
            # As if nothing were known of the log but where it ends.
            await connection.execute("UPDATE runtime.offsets SET newest_at = NULL")
        await send(cluster, *story_of(6, 180, start=72))
        await asyncio.sleep(6)  # longer than it waits between two looks
        assert await refuses(first)
    again = consumer_of(db, cluster)
    async with running(again):
        await eventually(lambda: refuses(again))
    assert len(await effects(db)) == 60


async def test_a_log_that_begins_again_beneath_a_running_consumer_is_refused(database: Make, cluster: Cluster) -> None:
    """The client itself goes back to the first record when a log was cut or made anew; no rebalance tells of it."""
    db = await prepared(database)
    await send(cluster, *story_of(6, 60))
    consumer = consumer_of(db, cluster)
    async with running(consumer):
        await eventually(lambda: applied(db, 60))
        for partition in consumer.loaded:
            consumer._require_kafka().seek(partition, 0)
        await send(cluster, *story_of(6, 30, start=60))
        await eventually(lambda: refuses(consumer))
        assert len(await effects(db)) <= 90
    again = consumer_of(db, cluster)
    async with running(again):
        await eventually(lambda: refuses(again))
    await require_each_once(db, len(await effects(db)))


async def test_a_topic_made_anew_beneath_a_running_consumer_is_refused(database: Make, cluster: Cluster) -> None:
    """While it is gone the group gives its partitions to nobody: that is no idle consumer. Then its log is looked
    at."""
    db = await prepared(database)
    await send(cluster, *story_of(6, 60))
    consumer = consumer_of(db, cluster)
    async with running(consumer):
        await eventually(lambda: applied(db, 60))
        await eventually(lambda: dated(db))
        async with admin(cluster) as client:
            await client.delete_topics([cluster.physical(TICKETS.name)])
        await eventually(lambda: refuses(consumer, "topics do not exist: desk.tickets.v1"))
        await make_anew(cluster)
        await send(cluster, *story_of(6, 180, start=60))
        await eventually(lambda: refuses(consumer), within=60)
    await require_each_once(db, 60)


async def test_a_log_replaced_beneath_a_frozen_consumer_is_refused_although_nothing_tells_of_it(
    database: Make, cluster: Cluster
) -> None:
    """It wakes up as a member of its group, and its next fetch goes on in the middle of the other log."""
    db = await prepared(database)
    await send(cluster, *story_of(6, 60))
    async with process.started("consumer", db, cluster, session_ms=30_000) as consumer:
        await eventually(lambda: applied(db, 60))
        consumer.send_signal(signal.SIGSTOP)
        await make_anew(cluster)
        await send(cluster, *story_of(6, 180, start=60))
        consumer.send_signal(signal.SIGCONT)
        await eventually(lambda: noted(db), within=30)
        logs = await bounds(cluster, [TICKETS.name])
        async with db.begin() as tx:
            await adopt_log(tx, TICKETS.name, logs)
        await eventually(lambda: applied(db, 240))
    rows = await effects(db)
    assert len({row["event_id"] for row in rows}) == len(rows) == 240


async def noted(db: Database) -> bool:
    return await db.count("SELECT count(*) FROM runtime.refused_logs") > 0


async def test_an_adopted_log_is_read_from_its_beginning_by_the_running_consumer(
    database: Make, cluster: Cluster
) -> None:
    db = await read_once(database, cluster)
    await make_anew(cluster)
    await send(cluster, *story_of(6, 180, start=60))
    consumer = consumer_of(db, cluster)
    async with running(consumer):
        await eventually(lambda: refuses(consumer))
        logs = await bounds(cluster, [TICKETS.name])
        async with db.begin() as tx:
            told = await adopt_log(tx, TICKETS.name, logs, dry_run=True)
        assert {(one.stood_at, one.reads_from) for one in told} == {(10, 0), (20, 0), (30, 0)}
        async with db.begin() as tx:
            await offsets.decided(tx, [TICKETS.name])
            assert await refusals.refused(tx), "only told"
            assert await adopt_log(tx, TICKETS.name, logs) == told
        await eventually(lambda: applied(db, 240))
        assert consumer.problem is None
    await require_each_once(db, 240)
    again = consumer_of(db, cluster)
    async with running(again):
        await eventually(lambda: is_well(again))
        await send(cluster, *story_of(6, 6, start=240))
        await eventually(lambda: applied(db, 246))


async def is_well(consumer: Any) -> bool:
    return consumer.problem is None and bool(consumer.loaded)


async def test_the_same_log_is_known_again_by_whoever_reads_on(database: Make, cluster: Cluster) -> None:
    """At its end and in the middle of it."""
    db = await read_once(database, cluster)
    for start in (60, 120):
        again = consumer_of(db, cluster)
        async with running(again):
            await eventually(partial(is_well, again))
            await send(cluster, *story_of(6, 50, start=start))
            await eventually(partial(applied, db, start + 50))
            await eventually(lambda: dated(db))
        # While nobody reads.
        await send(cluster, *story_of(6, 10, start=start + 50))
    assert await db.count("SELECT count(*) FROM runtime.refused_logs") == 0


async def test_what_an_earlier_release_read_without_times_is_no_other_log(database: Make, cluster: Cluster) -> None:
    """While releases change, both run; the earlier one goes on in the offsets and stores no times."""
    db = await read_once(database, cluster, 30)
    await send(cluster, *story_of(6, 30, start=30))
    logs = await bounds(cluster, [TICKETS.name])
    async with db.connect() as connection:
        for (_, number), log in logs.items():
            await connection.execute(
                "UPDATE runtime.offsets SET next_offset = $2 WHERE partition = $1", number, log.end
            )
    consumer = consumer_of(db, cluster)
    async with running(consumer):
        await eventually(lambda: is_well(consumer))
        await send(cluster, *story_of(6, 6, start=60))
        await eventually(lambda: applied(db, 36))


async def test_the_end_of_a_transaction_is_no_record_of_another_log(database: Make, cluster: Cluster) -> None:
    """Markers and aborted records have times too. With brokers whose clocks differ, they may be younger than all that
    was read although they lie below it."""
    db = await prepared(database)
    partition = TopicPartition(cluster.physical(TICKETS.name), 0)
    producer = AIOKafkaProducer(
        bootstrap_servers=cluster.bootstrap, transactional_id=cluster.physical("markers"), acks="all"
    )
    await producer.start()
    times = []
    for end in (producer.commit_transaction, producer.abort_transaction):
        await producer.begin_transaction()
        sent = await producer.send_and_wait(partition.topic, b"1", partition=0, headers=[("ce_type", b"unknown")])
        times.append(sent.timestamp)
        await asyncio.sleep(0.05)  # the marker is younger than the record
        await end()
    await producer.stop()
    read_at = times[0]
    async with db.connect() as connection:
        await connection.execute(
            "INSERT INTO runtime.offsets (topic, partition, next_offset, newest_at, dated_below) "
            "VALUES ($1, 0, 4, $2, 4)",
            TICKETS.name,
            read_at + 1,
        )
    consumer = consumer_of(db, cluster)
    async with running(consumer):
        await eventually(lambda: is_well(consumer))
    async with db.connect() as connection:
        await connection.execute("UPDATE runtime.offsets SET newest_at = $1 WHERE newest_at IS NOT NULL", read_at - 1)
    consumer = consumer_of(db, cluster)
    async with running(consumer):
        await eventually(lambda: refuses(consumer))
    assert await db.count("SELECT count(*) FROM runtime.refused_logs") == 1


@pytest.mark.parametrize(
    ("stood", "log", "why"),
    [
        (Stood(60, 1000, 60, 0), Log(0, 60), None),
        (Stood(60, None, 0, 0), Log(0, 60), None),
        (Stood(0, None, 0, 0), Log(7, 60), None),
        (Stood(60, 1000, 60, 0), Log(0, 59), "behind the database"),
        (Stood(60, None, 0, 0), Log(0, 59), "behind the database"),
        (Stood(60, 1000, 60, 0), Log(0, 120, Younger(0, 1001)), "made anew or cut"),
        # Cut by an unclean election, and written on.
        (Stood(60, 1000, 60, 0), Log(0, 120, Younger(55, 1001)), "made anew or cut"),
    ],
)
def test_what_is_another_log(stood: Stood, log: Log, why: str | None) -> None:
    found = offsets.others({("desk.sla.v1", 3): stood}, {("desk.sla.v1", 3): log})
    assert [why in one.why for one in found if why] == ([True] if why else [])
    assert len(found) == (1 if why else 0)


async def test_a_decision_in_the_same_moment_wins_over_a_refusal(database: Make) -> None:
    """The log was looked at before the operator adopted it: refused again, it would have to be adopted twice."""
    db = await prepared(database)
    async with db.connect() as connection:
        await connection.execute("INSERT INTO runtime.offsets VALUES ('desk.tickets.v1', 0, 60)")
    late = refusals.Refusal(TICKETS.name, 0, 60, 0, "the log is behind the database", "it ends at 0")
    async with db.begin() as tx:
        await adopt_log(tx, TICKETS.name, {})
    with pytest.raises(OffsetsMoved):
        await offsets.refuse(db.engine, [late], [TICKETS.name])
    assert await db.count("SELECT count(*) FROM runtime.refused_logs") == 0


async def test_what_one_process_refuses_the_others_refuse_too(database: Make, cluster: Cluster) -> None:
    db = await prepared(database)
    await send(cluster, *story_of(6, 60))
    well = consumer_of(db, cluster)
    async with running(well):
        await eventually(lambda: applied(db, 60))
        async with db.begin() as tx:
            found = refusals.Refusal(TICKETS.name, 0, 10, 0, "the log is behind the database", "it ends at 3")
            await refusals.note(tx, [found], clock.now())
        await eventually(lambda: refuses(well))
        async with db.begin() as tx:
            await adopt_log(tx, TICKETS.name, await bounds(cluster, [TICKETS.name]))
        await eventually(lambda: is_well(well))
        await send(cluster, *story_of(6, 6, start=60))
        await eventually(lambda: applied(db, 66))
    await require_each_once(db, 66)


@pytest.mark.parametrize("part", ["api", "consumer", "relay", "jobs", "all"])
async def test_every_part_of_a_service_tells_of_a_refused_log(database: Make, cluster: Cluster, part: str) -> None:
    db = await database("sla")
    async with db.connect() as connection:
        await connection.execute(
            "INSERT INTO runtime.refused_logs VALUES ($1, 4, 60, 'the log is behind the database', $2, now())",
            TICKETS.name,
            "it ends at 3",
        )
    async with started("sla", part, db, cluster) as (_, client):

        async def told() -> Any:
            answer = await readyz(client)
            stopped = answer.get("status_code") == 503 and "adopt-log" in str(answer["checks"].get("consumer"))
            return answer if answer and (stopped or part in ("api", "relay", "jobs")) else None

        answer = await eventually(told, within=40)
        (row,) = answer["status"]["refused_logs"]
        assert (row["topic"], row["partition"], row["stored_offset"]) == (TICKETS.name, 4, 60)
        if part == "all":
            assert answer["checks"]["database"] == "ok"


async def test_a_service_in_one_process_stays_ready_while_the_broker_is_away(database: Make) -> None:
    db = await database("devlink")
    async with started("devlink", "all", db, Cluster("127.0.0.1:9")) as (_, client):

        async def told() -> Any:
            answer = await readyz(client)
            return answer if "problems" in answer.get("status", {}) else None

        answer = await eventually(told, within=40)
        assert (answer["status_code"], answer["checks"]["consumer"]) == (200, "ok")


async def test_another_cluster_is_told_by_every_part_until_it_is_the_right_one_again(
    database: Make, cluster: Cluster
) -> None:
    db = await prepared(database)
    async with db.begin() as tx:
        await adopt_cluster(tx, "a-cluster-of-long-ago", {})
    await send(cluster, *story_of(3, 30))
    consumer = consumer_of(db, cluster)
    async with running(consumer):
        await eventually(lambda: refuses(consumer, "adopt-cluster"))
        async with db.begin() as tx:
            (row,) = await refusals.refused(tx)
        assert row.topic == refusals.WHOLE_CLUSTER
        assert await effects(db) == []
        assert "a-cluster-of-long-ago" in row.why
        async with db.begin() as tx:
            await tx.execute(sql("UPDATE runtime.cluster SET id = :id"), {"id": await cluster_id(cluster)})
        await eventually(lambda: applied(db, 30))
    assert await db.count("SELECT count(*) FROM runtime.refused_logs") == 0
