"""How fast the batch consumer applies events, beside the same loop written by hand."""

from __future__ import annotations

import asyncio
from collections import defaultdict

from shared.contracts.tickets import TicketOpened
from tests.load.bus import bus, fill_archive
from tests.load.figures import Table
from tests.load.parts import Moved, run_apart
from tests.load.relaying import table_of
from tests.load.scene import Options, Scene
from tests.shared.messaging import story
from tests.support.databases import fresh_database

SUBJECTS = {"consumer": "consumer", "loop by hand": "loop", "loop by hand, data only": "bare-loop"}


def measure_consumer(scene: Scene, options: Options) -> list[Table]:
    """Events per second that become one row each."""
    return [asyncio.run(_measure(scene, options))]


async def _measure(scene: Scene, options: Options) -> Table:
    moved: dict[str, list[Moved]] = defaultdict(list)
    postgres = scene.servers.postgres_url
    async with bus(scene.servers.kafka_bootstrap) as cluster:
        async with fresh_database(postgres, "runtime") as source:
            await fill_archive(source, options.rows)
            await run_apart("producer", source, cluster, options.rows)
        for _ in range(options.rounds):
            for name, kind in SUBJECTS.items():
                async with fresh_database(postgres, "runtime") as db:
                    await story.prepare_effects(db)
                    moved[name].append(await run_apart(kind, db, cluster, options.rows))
                    applied = await db.count("SELECT count(DISTINCT event_id) FROM public.effects")
                    if applied != options.rows:
                        raise RuntimeError(f"{name} applied {applied} of {options.rows} events")
    return table_of(
        f"consumer: {options.rows:,} events of {TicketOpened.type}, one row each",
        moved,
        "loop by hand",
        [
            "consumer: batches of at most 500; inbox, effects and offsets in one transaction, a set-based reaction",
            "loop by hand: aiokafka and asyncpg, one insert for each batch; no inbox, no stored offsets",
            "data only: the envelope is not checked; the data are parsed into their class",
        ],
    )
