"""How late sla tells what time alone does: many alarms at one instant, among a million clocks that run."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

import asyncpg
import httpx2

from shared import clock
from shared.contracts.sla import SlaClockBreached, SlaClockWarned
from shared.ids import new_id
from shared.messaging.kafka import Cluster
from sla.commands.clocks import PORTION
from tests.load import machine
from tests.load.clocks import BY_24X7, BY_OFICINA, TARGETS, fill, opened, prepare, start
from tests.load.figures import Table, histogram, percentile, ratio, spread
from tests.load.machine import cpu_of
from tests.load.scene import Options, Scene
from tests.load.switching import measure_switching
from tests.support.databases import Database, fresh_database
from tests.support.eventually import eventually
from tests.support.parts import started

PROCESSES = {1: "one process", 2: "two processes"}
FLOOR = "plain asyncpg"
# In what each clock counts, and how much of its target is used up at the instant: a quarter of the alarms each.
DUE = [(client, share, event) for client in (BY_24X7, BY_OFICINA)
       for share, event in ((0.5, SlaClockWarned), (1.0, SlaClockBreached))]  # fmt: skip
# From the first ticket until all alarms are set, also on a busy machine, and how long that must be before the instant.
AHEAD, CALM = timedelta(seconds=30), timedelta(seconds=2)
LATEST_SECONDS = 60.0
# The distance of the looks from another connection.
LOOK_SECONDS = 0.002
# Whatever would be told twice is there by then.
AFTERWARDS_SECONDS = 1.0

_LAST = "SELECT coalesce(max(position), 0) FROM runtime.archive"
_ALARMS = """
    SELECT count(*) FILTER (WHERE due_at < $1) AS before, count(*) FILTER (WHERE due_at = $1) AS due
    FROM sla.timers WHERE due_at <= $1
"""
_SEEN = "SELECT count(*) FROM runtime.outbox WHERE position > $1"
_TOLD = "SELECT * FROM runtime.archive WHERE position > $1 ORDER BY position"


@dataclass
class Late:
    """Milliseconds after the instant: of each event when it was recorded, and when another connection saw it."""

    recorded: list[float] = field(default_factory=list)
    seen: list[float] = field(default_factory=list)
    # Seconds of CPU: of the processes of jobs, and of PostgreSQL where it runs on this machine.
    cpu: float = 0.0
    database_cpu: float = 0.0


def measure_timers(scene: Scene, options: Options) -> list[Table]:
    """Lateness with one and with two processes of jobs, and how fast clocks are switched to another calendar."""
    return asyncio.run(_measure(scene, options))


async def _measure(scene: Scene, options: Options) -> list[Table]:
    cluster = Cluster(scene.servers.kafka_bootstrap, "")
    async with fresh_database(scene.servers.postgres_url, "sla") as db:
        begun = time.perf_counter()
        await prepare(db)
        await fill(db, options.clocks)
        running = await db.count("SELECT count(*) FROM sla.clocks WHERE course = 'running'")
        filled = f"{running:,} clocks run, filled in {time.perf_counter() - begun:.0f} s"
        late = {name: Late() for name in (*PROCESSES.values(), FLOOR)}
        for processes, name in PROCESSES.items():
            async with jobs(db, cluster, processes) as pids:
                for _ in range(options.rounds):
                    told, at = await _round(db, options.due, late[name], pids)
                    if processes == 1:
                        await _write_plainly(db, told, at, late[FLOOR])
        return [_table(late, options, filled), await measure_switching(db, partial(jobs, db, cluster), options)]


@asynccontextmanager
async def jobs(db: Database, cluster: Cluster, processes: int) -> AsyncIterator[list[int]]:
    """So many `python -m sla jobs` while the block runs, by their process ids."""
    async with AsyncExitStack() as stack:
        pids = []
        for _ in range(processes):
            process, client = await stack.enter_async_context(started("sla", "jobs", db, cluster))
            await eventually(partial(_is_ready, client), what="the jobs of sla are ready")
            pids.append(process.pid)
        yield pids


async def _is_ready(client: httpx2.AsyncClient) -> bool:
    try:
        return (await client.get("/readyz")).status_code == 200
    except httpx2.HTTPError:
        return False


async def _round(db: Database, due: int, late: Late, pids: list[int]) -> tuple[list[asyncpg.Record], datetime]:
    """What was told of the alarms of one instant, and the instant."""
    at = (clock.now() + AHEAD).replace(microsecond=0)
    alarms = [DUE[number % len(DUE)] for number in range(due)]
    await start(db, [opened(client, at - share * TARGETS["response"]) for client, share, _ in alarms])
    async with db.connect() as connection:
        await _require_calm(connection, at, due)
        last = await connection.fetchval(_LAST)
        with _cpu(late, connection, pids):
            await asyncio.sleep((at - clock.now()).total_seconds())  # until the instant
            late.seen += await _watch(connection, last, at, due)
        await asyncio.sleep(AFTERWARDS_SECONDS)  # what is told twice is told by then
        told = await connection.fetch(_TOLD, last)
    expected = Counter(event.type for _, _, event in alarms)
    found = Counter(row["type"] for row in told if row["occurred_at"] == at)
    if found != expected or not (len({row["subject"] for row in told}) == len(told) == due):
        raise RuntimeError(f"of {dict(expected)} at {at} were told {dict(found)}, {len(told)} events in all")
    late.recorded += [_milliseconds(row["recorded_at"] - at) for row in told]
    return told, at


@contextmanager
def _cpu(late: Late, connection: asyncpg.Connection, pids: Sequence[int] = ()) -> Iterator[None]:
    """Adds what these processes use inside, and what PostgreSQL does; not for a connection that looks on at them."""
    server = machine.server_of(connection.get_server_pid())
    looking = {connection.get_server_pid()} if pids else set()
    with cpu_of(lambda: pids) as used, cpu_of(lambda: set(machine.family(server)) - looking) as database:
        yield
    late.cpu += used.seconds
    late.database_cpu += database.seconds


async def _require_calm(connection: asyncpg.Connection, at: datetime, due: int) -> None:
    """What lies before the instant was told, and nothing else happens until then."""
    while True:
        alarms = await connection.fetchrow(_ALARMS, at)
        if alarms["before"] == 0 and alarms["due"] == due:
            return
        if clock.now() > at - CALM:
            raise RuntimeError(f"shortly before the instant {dict(alarms)} alarms are set, not {due}")
        await asyncio.sleep(0.1)  # asked ten times a second


async def _watch(connection: asyncpg.Connection, last: int, at: datetime, due: int) -> list[float]:
    """When another connection saw each event, as late as its look."""
    seen: list[float] = []
    while len(seen) < due:
        found = await connection.fetchval(_SEEN, last)
        looked = _milliseconds(clock.now() - at)
        seen += [looked] * (found - len(seen))
        if looked > LATEST_SECONDS * 1000:
            raise RuntimeError(f"{len(seen)} of {due} events were told within {LATEST_SECONDS:.0f} s")
        await asyncio.sleep(LOOK_SECONDS)  # the resolution of what is measured
    return seen


# -- the floor --------------------------------------------------------------------------------------------------

_ARCHIVED = ("id", "topic", "key", "type", "subject", "occurred_at", "recorded_at", "origin", "actor",
             "correlation_id", "value")  # fmt: skip
_PUBLISH = f"""
    WITH archived AS (
        INSERT INTO runtime.archive ({", ".join(_ARCHIVED)})
        SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::timestamptz[],
                             $7::timestamptz[], $8::text[], $9::text[], $10::text[], $11::bytea[])
        RETURNING position)
    INSERT INTO runtime.outbox (position) SELECT position FROM archived
"""
_STORE = "UPDATE sla.clocks SET judged_until = $2 WHERE id = ANY($1::uuid[])"
_FORGET = "DELETE FROM sla.timers WHERE id = ANY($1::bigint[])"
_ARM = """
    INSERT INTO sla.timers (due_at, clock_id, generation) SELECT $2, id, 0 FROM unnest($1::uuid[]) id RETURNING id
"""


async def _write_plainly(db: Database, told: Sequence[asyncpg.Record], at: datetime, late: Late) -> None:
    """Commits what a round has written once more, by hand: nothing is read, judged or put into words."""
    clocks = [UUID(row["subject"]) for row in told]
    rows = [[new_id(), *[row[name] for name in _ARCHIVED[1:]]] for row in told]
    far = at + timedelta(days=1)
    async with db.connect() as connection:
        timers = [row["id"] for row in await connection.fetch(_ARM, clocks, far)]
        with _cpu(late, connection):
            begun = time.perf_counter()
            for first in range(0, len(rows), PORTION):
                portion = slice(first, first + PORTION)
                async with connection.transaction():
                    await connection.execute(_STORE, clocks[portion], at)
                    await connection.execute(_FORGET, timers[portion])
                    await connection.execute(_ARM, clocks[portion], far)
                    await connection.execute(_PUBLISH, *[list(column) for column in zip(*rows[portion], strict=True)])
                late.seen += [(time.perf_counter() - begun) * 1000] * len(rows[portion])


# -- the table --------------------------------------------------------------------------------------------------


def _table(late: dict[str, Late], options: Options, filled: str) -> Table:
    table = Table(
        f"timers: milliseconds from the instant at which {options.due:,} alarms were due together",
        (
            "who tells",
            "until",
            "events",
            "p50 ms",
            "p95 ms",
            "p99 ms",
            "longest ms",
            "p99 of the floor",
            "CPU µs/event",
            "PostgreSQL µs/event",
        ),
        notes=[
            f"{filled}; {options.rounds} rounds; a quarter of the alarms each: half of a target is used up, or all of "
            "it, day and night or in office hours; every alarm was told once",
            "recorded: recorded_at of the event, the instant at which its portion was judged; seen: another connection "
            f"sees it committed, looking every {LOOK_SECONDS * 1000:.0f} ms",
            f"{FLOOR}: the rows of a round once more, by one connection in portions of {PORTION}, clocks and timers "
            "too; from the first statement to the commit of each",
            "CPU: of the processes of jobs, and of PostgreSQL, for each event; waiting for the instant included",
        ],
    )
    floor = percentile(late[FLOOR].seen, 99)
    for name, one in late.items():
        beside = (
            ratio(percentile(one.seen, 99), floor),
            *[each * 1e6 / len(one.seen) or None for each in (one.cpu, one.database_cpu)],
        )
        for until, values, costs in (("recorded", one.recorded, (None, None, None)), ("seen", one.seen, beside)):
            if values:
                table.rows.append((name, until, len(values), *spread(values), max(values), *costs))
                table.histograms[f"{name}, {until}"] = histogram(values).encode().decode("ascii")
    return table


def _milliseconds(late: timedelta) -> float:
    return late / timedelta(milliseconds=1)
