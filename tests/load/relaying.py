"""How fast the relay drains a backlog, beside a producer that only sends the same records."""

from __future__ import annotations

import asyncio
from collections import defaultdict

from shared.contracts.tickets import TicketOpened
from tests.load.bus import bus, fill_archive
from tests.load.figures import Table, middle, ratio
from tests.load.parts import Moved, run_apart
from tests.load.scene import Options, Scene
from tests.support.databases import Database, fresh_database

_REFILL = "INSERT INTO runtime.outbox (position) SELECT position FROM runtime.archive WHERE topic = 'desk.tickets.v1'"
# What a topic that nobody made leaves behind in some hours.
WAITING = 300_000
_BURST = """
    WITH archived AS (
        INSERT INTO runtime.archive (id, topic, key, type, subject, occurred_at, recorded_at, origin, actor,
                                     correlation_id, value)
        SELECT gen_random_uuid(), 'desk.never-made.v1', 'k' || n % 1000, 'desk.never.made.v1', 'k', '2026-11-24T13:00Z',
               '2026-11-24T13:00Z', 'live', 'ana', 'call-1', '{}'
        FROM generate_series(1, $1::int) n RETURNING position)
    INSERT INTO runtime.outbox SELECT position FROM archived
"""


def measure_relay(scene: Scene, options: Options) -> list[Table]:
    """Rows per second from the outbox to Kafka's acknowledgement and the deletion."""
    return [asyncio.run(_measure(scene, options))]


async def _measure(scene: Scene, options: Options) -> Table:
    moved: dict[str, list[Moved]] = defaultdict(list)
    async with (
        fresh_database(scene.servers.postgres_url, "runtime") as db,
        bus(scene.servers.kafka_bootstrap) as cluster,
    ):
        await fill_archive(db, options.rows)
        for round_ in range(options.rounds):
            if round_:
                await _refill(db)
            moved["relay"].append(await run_apart("relay", db, cluster, options.rows))
            left = await db.count("SELECT count(*) FROM runtime.outbox")
            if left:
                raise RuntimeError(f"the relay left {left} rows behind")
            moved["raw producer"].append(await run_apart("producer", db, cluster, options.rows))
        async with db.connect() as connection:
            await connection.execute(_BURST, WAITING)
        for _ in range(options.rounds):
            await _refill(db)
            moved[f"relay, {WAITING:,} rows wait"].append(await run_apart("relay", db, cluster, options.rows))
    return table_of(
        f"relay: {options.rows:,} rows of {TicketOpened.type}, drained",
        moved,
        "raw producer",
        [
            "relay: reads archive and outbox in batches of 500, makes the headers, sends in order, deletes; of each "
            "ticket also the open copy, so that two records go out for a row",
            "rows wait: for a topic that does not exist; the first round also takes them out of the way",
            "raw producer: aiokafka, idempotent, acks=all; the records were read and their headers made beforehand",
        ],
    )


async def _refill(db: Database) -> None:
    async with db.connect() as connection:
        await connection.execute(_REFILL)


def table_of(title: str, moved: dict[str, list[Moved]], floor: str, notes: list[str]) -> Table:
    """The median of the rounds of each, and how much of the floor it reached."""
    table = Table(title, ("subject", "rows/s", f"of {floor}", "CPU µs/row"), notes=notes)
    speeds = {name: middle(one.rows / one.seconds for one in rounds) for name, rounds in moved.items()}
    for name, rounds in moved.items():
        cpu = middle(one.cpu_seconds * 1e6 / one.rows for one in rounds)
        table.rows.append((name, speeds[name], ratio(speeds[name], speeds[floor]), cpu))
    return table
