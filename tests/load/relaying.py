"""How fast the relay drains a backlog, beside a producer that only sends the same records."""

from __future__ import annotations

import asyncio
from collections import defaultdict

from shared.contracts.tickets import TicketOpened
from shared.contracts.topics import TICKETS
from shared.messaging.kafka import Cluster
from tests.load.bus import bus, fill_archive
from tests.load.figures import Table, middle, ratio
from tests.load.parts import Moved, run_apart
from tests.load.scene import Options, Scene
from tests.support.databases import OWNER, Database, fresh_database

_FILL = "INSERT INTO runtime.outbox (position) SELECT position FROM runtime.archive WHERE topic = $1"
# What a topic that nobody made leaves behind in some hours.
WAITING, NEVER_MADE = 300_000, "desk.never-made.v1"
_ARCHIVE_BURST = """
    INSERT INTO runtime.archive (id, topic, key, type, subject, occurred_at, recorded_at, origin, actor, correlation_id,
                                 value)
    SELECT gen_random_uuid(), $2, 'k' || n % 1000, 'desk.never.made.v1', 'k', '2026-11-24T13:00Z', '2026-11-24T13:00Z',
           'live', 'ana', 'call-1', '{}'
    FROM generate_series(1, $1::int) n
"""
_TAKE_AWAY = "DELETE FROM runtime.withheld"


def measure_relay(scene: Scene, options: Options) -> list[Table]:
    """Rows per second from the outbox to Kafka's acknowledgement and the deletion."""
    return [asyncio.run(_measure(scene, options))]


async def _measure(scene: Scene, options: Options) -> Table:
    moved: dict[str, list[Moved]] = defaultdict(list)
    async with (
        fresh_database(scene.servers.postgres_url, "runtime") as db,
        bus(scene.servers.kafka_bootstrap) as cluster,
    ):
        # Archived before the tickets: the relay takes the lowest positions first, and only there they are in its way.
        await _execute(db, _ARCHIVE_BURST, WAITING, NEVER_MADE)
        await fill_archive(db, options.rows)
        for round_ in range(options.rounds):
            if round_:
                await _execute(db, _FILL, TICKETS.name)
            moved["relay"].append(await _drained(db, cluster, options.rows, withheld=0))
            moved["raw producer"].append(await run_apart("producer", db, cluster, options.rows))
        for _ in range(options.rounds):
            for topic in (NEVER_MADE, TICKETS.name):
                await _execute(db, _FILL, topic)
            moved[f"relay, {WAITING:,} rows before"].append(await _drained(db, cluster, options.rows, withheld=WAITING))
            await _execute(db, _FILL, TICKETS.name)
            moved[f"relay, {WAITING:,} rows aside"].append(await _drained(db, cluster, options.rows, withheld=WAITING))
            await _execute(db, _TAKE_AWAY)
    return table_of(
        f"relay: {options.rows:,} rows of {TicketOpened.type}, drained",
        moved,
        "raw producer",
        [
            "relay: reads archive and outbox in batches of 500, makes the headers, sends in order, deletes; of each "
            "ticket also the open copy, so that two records go out for a row",
            "rows before: they wait for a topic that does not exist, and were archived before the tickets, so that the "
            "relay takes them out of its way first; rows aside: it has done so",
            "raw producer: aiokafka, idempotent, acks=all; the records were read and their headers made beforehand",
        ],
    )


async def _drained(db: Database, cluster: Cluster, rows: int, *, withheld: int) -> Moved:
    """The relay drains the outbox. Raises RuntimeError when it left something, or has not withheld what it should."""
    moved = await run_apart("relay", db, cluster, rows)
    left = await db.count("SELECT count(*) FROM runtime.outbox")
    aside = await db.count("SELECT count(*) FROM runtime.withheld")
    if (left, aside) != (0, withheld):
        raise RuntimeError(f"the relay left {left} rows behind and {aside} aside")
    return moved


async def _execute(db: Database, statement: str, *arguments: object) -> None:
    async with db.connect(OWNER) as connection:
        await connection.execute(statement, *arguments)


def table_of(title: str, moved: dict[str, list[Moved]], floor: str, notes: list[str]) -> Table:
    """The median of the rounds of each, and how much of the floor it reached."""
    table = Table(title, ("subject", "rows/s", f"of {floor}", "CPU µs/row"), notes=notes)
    speeds = {name: middle(one.rows / one.seconds for one in rounds) for name, rounds in moved.items()}
    for name, rounds in moved.items():
        cpu = middle(one.cpu_seconds * 1e6 / one.rows for one in rounds)
        table.rows.append((name, speeds[name], ratio(speeds[name], speeds[floor]), cpu))
    return table
