"""What waits to be sent: the outbox in order, and beside it the rows that must wait so that they hold nobody up.

A row leaves the outbox when Kafka has acknowledged it, or for `runtime.withheld` while its topic cannot be written or
an earlier row of its key cannot be sent. So the next rows of the outbox are always rows to send, however many wait.
"""

# ruff: noqa: S608 - every piece that is put into a statement is written in this file

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

import asyncpg

from shared import clock
from shared.db.statement import sql
from shared.db.transaction import Transaction

# How many rows of a topic that cannot be written leave the outbox at once, and come back at once.
WITHHELD_AT_ONCE = 20_000
TAKEN_BACK_AT_ONCE = 20_000

_COLUMNS = """
    a.position, a.id, a.topic, a.key, a.type, a.subject, a.occurred_at, a.recorded_at, a.origin, a.actor,
    a.correlation_id, a.causation_id, a.traceparent, a.value
"""
# As an array, so that it is always looked up by its key: after a burst, when the outbox seems large, a join would go
# through the archive from its beginning, again for each batch.
_NEXT = f"""
    SELECT {_COLUMNS},
           EXISTS (SELECT FROM runtime.blocked_rows u WHERE u.topic = a.topic AND u.key = a.key) AS behind
    FROM runtime.archive a
    WHERE a.position = ANY (ARRAY(SELECT position FROM runtime.outbox ORDER BY position LIMIT $1))
    ORDER BY a.position
"""
_DELETE = "DELETE FROM runtime.outbox WHERE position = ANY($1::bigint[])"
_BLOCK = """
    INSERT INTO runtime.blocked_rows (topic, key, position, problem, found_at) VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (topic, key) DO NOTHING
"""
# The key's row is locked first: whoever lets the key go meanwhile (`release`) either sees the rows that were withheld,
# or is seen, and then nothing is withheld.
_WITHHOLD_BEHIND = """
    WITH held AS (
        SELECT u.topic, u.key FROM runtime.blocked_rows u
        WHERE (u.topic, u.key) IN (SELECT * FROM unnest($1::text[], $2::text[])) ORDER BY u.topic, u.key FOR SHARE
    ), moved AS (
        DELETE FROM runtime.outbox o USING runtime.archive a, held
        WHERE a.position = o.position AND o.position = ANY($3::bigint[]) AND (a.topic, a.key) = (held.topic, held.key)
        RETURNING a.position, a.topic, a.key
    )
    INSERT INTO runtime.withheld (position, topic, key) SELECT position, topic, key FROM moved
"""
_WITHHOLD_TOPICS = """
    WITH moved AS (
        DELETE FROM runtime.outbox o USING runtime.archive a
        WHERE a.position = o.position AND a.topic = ANY($1::text[])
          AND o.position IN (SELECT position FROM runtime.outbox ORDER BY position LIMIT $2)
        RETURNING a.position, a.topic, a.key
    )
    INSERT INTO runtime.withheld (position, topic, key) SELECT position, topic, key FROM moved
"""
# All of them before anything of the topic is sent: a later row of a key must not overtake those that come back. The
# youngest first, so that the oldest withheld row is the oldest of all even for whoever goes on after a half.
_TAKE_BACK = """
    WITH due AS (
        SELECT w.position FROM runtime.withheld w WHERE w.topic = $1
          AND NOT EXISTS (SELECT FROM runtime.blocked_rows u WHERE u.topic = w.topic AND u.key = w.key)
        ORDER BY w.position DESC LIMIT $2
    ), back AS (
        DELETE FROM runtime.withheld w USING due WHERE w.position = due.position RETURNING w.position
    ), moved AS (
        INSERT INTO runtime.outbox (position) SELECT position FROM back RETURNING position
    )
    SELECT count(*) FROM moved
"""
# The topics whose rows wait for nothing but the topic.
WITHHELD_TOPICS = """
    SELECT DISTINCT topic FROM runtime.withheld w
    WHERE NOT EXISTS (SELECT FROM runtime.blocked_rows u WHERE u.topic = w.topic AND u.key = w.key)
"""
_OLDEST_WITHHELD = f"""
    SELECT {_COLUMNS}
    FROM runtime.withheld w JOIN runtime.archive a USING (position)
    WHERE w.topic = $1 AND NOT EXISTS (SELECT FROM runtime.blocked_rows u WHERE u.topic = w.topic AND u.key = w.key)
    ORDER BY position LIMIT 1
"""
_DELETE_WITHHELD = "DELETE FROM runtime.withheld WHERE position = $1"
_BACKLOG = """
    SELECT (SELECT count(*) FROM (SELECT FROM runtime.outbox LIMIT 100000) o) AS rows,
           (SELECT count(*) FROM (SELECT FROM runtime.withheld LIMIT 100000) w) AS withheld,
           (SELECT recorded_at FROM runtime.archive WHERE position = least(
               (SELECT min(position) FROM runtime.outbox), (SELECT min(position) FROM runtime.withheld))) AS oldest,
           (SELECT count(*) FROM runtime.blocked_rows) AS blocked
"""
_RELEASE = sql("DELETE FROM runtime.blocked_rows WHERE topic = :topic AND key = :key")
_TAKE_BACK_KEY = sql("""
    WITH back AS (DELETE FROM runtime.withheld WHERE topic = :topic AND key = :key RETURNING position)
    INSERT INTO runtime.outbox (position) SELECT position FROM back
""")


async def next_rows(connection: asyncpg.Connection, most: int) -> list[asyncpg.Record]:
    """The next rows in the order of their positions; `behind` is true of one whose key waits for an operator."""
    rows: list[asyncpg.Record] = await connection.fetch(_NEXT, most)
    return rows


async def delete_sent(connection: asyncpg.Connection, positions: Sequence[int]) -> None:
    """Forgets rows that Kafka has acknowledged."""
    if positions:
        await connection.execute(_DELETE, positions)


async def block_key(connection: asyncpg.Connection, row: asyncpg.Record, problem: str) -> None:
    """Notes that a row cannot be sent; it and the later ones of its key wait until an operator releases the key."""
    await connection.execute(_BLOCK, row["topic"], row["key"], row["position"], problem, clock.now())


async def withhold_behind(connection: asyncpg.Connection, rows: Sequence[asyncpg.Record]) -> None:
    """Takes rows of blocked keys out of the way."""
    keys = sorted({(row["topic"], row["key"]) for row in rows})
    topics, names = [topic for topic, _ in keys], [key for _, key in keys]
    await connection.execute(_WITHHOLD_BEHIND, topics, names, [row["position"] for row in rows])


async def withhold_topics(connection: asyncpg.Connection, topics: Collection[str]) -> None:
    """Takes the rows of topics that cannot be written out of the way, many at once."""
    await connection.execute(_WITHHOLD_TOPICS, sorted(topics), WITHHELD_AT_ONCE)


async def withheld_topics(connection: asyncpg.Connection) -> set[str]:
    """The topics whose rows wait for nothing but the topic."""
    return {row["topic"] for row in await connection.fetch(WITHHELD_TOPICS)}


async def oldest_withheld(connection: asyncpg.Connection, topic: str) -> asyncpg.Record | None:
    """The first row of a topic that waits for nothing but the topic: sent alone, it shows whether that takes it."""
    return await connection.fetchrow(_OLDEST_WITHHELD, topic)


async def delete_withheld(connection: asyncpg.Connection, position: int) -> None:
    """Forgets a withheld row that Kafka has acknowledged."""
    await connection.execute(_DELETE_WITHHELD, position)


async def take_back(connection: asyncpg.Connection, topic: str) -> int:
    """Brings rows of a topic that can be written again back into the outbox, the youngest first and so many that the
    statement ends in time; answers how many. Nothing of the topic may be sent before the answer is 0."""
    taken: int = await connection.fetchval(_TAKE_BACK, topic, TAKEN_BACK_AT_ONCE)
    return taken


async def backlog(connection: asyncpg.Connection) -> tuple[int, int, datetime | None, int]:
    """Rows that wait to be sent, rows withheld, when the oldest of both was recorded, and blocked keys."""
    row = await connection.fetchrow(_BACKLOG)
    return row["rows"], row["withheld"], row["oldest"], row["blocked"]


async def release_key(tx: Transaction, topic: str, key: str) -> bool:
    """Lets the relay try a blocked key again, from the row that could not be sent; False when it is not blocked."""
    if not await tx.execute(_RELEASE, {"topic": topic, "key": key}):
        return False
    await tx.execute(_TAKE_BACK_KEY, {"topic": topic, "key": key})
    return True
