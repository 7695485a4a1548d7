"""Topics and archives of the benchmarks' own, filled with tickets as they are opened."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from shared.contracts.topics import ALL_TOPICS
from shared.messaging.kafka import Cluster, admin
from shared.messaging.topics import create_topics
from tests.shared.messaging import story
from tests.support.databases import OWNER, Database

PARTITIONS = 3
AT_ONCE = 500
DESCRIPTION = "Al confirmar el comprobante aparece el error 500 y la pantalla queda en blanco. " * 3


@asynccontextmanager
async def bus(bootstrap: str) -> AsyncIterator[Cluster]:
    """The topics of the registry under a prefix of their own, deleted at the end."""
    cluster = Cluster(bootstrap, f"b{uuid.uuid4().hex[:8]}.")
    await create_topics(cluster, ALL_TOPICS, partitions=PARTITIONS)
    try:
        yield cluster
    finally:
        async with admin(cluster) as client:
            mine = [name for name in await client.list_topics() if name.startswith(cluster.prefix)]
            await client.delete_topics(mine)


async def fill_archive(db: Database, rows: int) -> None:
    """So many opened tickets in archive and outbox."""
    events = [story.opened(number, description=DESCRIPTION) for number in range(rows)]
    await story.publish_all(db, events, at_once=AT_ONCE)
    # What autovacuum would have done by then in an installation that has run for a while.
    async with db.connect(OWNER) as connection:
        await connection.execute("ANALYZE")
