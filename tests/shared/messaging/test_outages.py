"""Broker and database die under a consumer and come back."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from shared.messaging.kafka import Cluster
from tests.conftest import make_topics
from tests.shared.messaging.story import consumer_of, prepare_effects, running, send
from tests.shared.messaging.test_consumer import applied, prepared, require_each_once, story_of
from tests.support.databases import Database, fresh_database
from tests.support.eventually import eventually
from tests.support.servers import private_kafka, private_postgres

Make = Callable[[str], Awaitable[Database]]


async def test_the_broker_is_killed_and_comes_back(database: Make, tmp_path: Path) -> None:
    db = await prepared(database)
    broker = private_kafka(tmp_path / "kafka")
    broker.start()
    try:
        cluster = Cluster(broker.bootstrap, "killed.")
        await make_topics(cluster)
        await send(cluster, *story_of(6, 300))
        async with running(consumer_of(db, cluster)):
            await eventually(lambda: applied(db, 300))
            broker.kill()
            await asyncio.sleep(1)  # the outage
            broker.start()
            await send(cluster, *story_of(6, 300, start=300))
            await eventually(lambda: applied(db, 600), within=40)
        await require_each_once(db, 600)
    finally:
        broker.remove()


async def test_postgresql_is_killed_and_comes_back(tmp_path: Path, cluster: Cluster) -> None:
    server = private_postgres(tmp_path / "postgres")
    server.start()
    try:
        async with fresh_database(server.url, "runtime") as db:
            await prepare_effects(db)
            await send(cluster, *story_of(6, 300))
            async with running(consumer_of(db, cluster)):
                await eventually(lambda: applied(db, 300))
                server.kill()
                await send(cluster, *story_of(6, 300, start=300))
                await asyncio.sleep(1)  # the outage
                server.start()
                await eventually(lambda: applied(db, 600), within=40)
            await require_each_once(db, 600)
    finally:
        server.remove()
