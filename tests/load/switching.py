"""How fast running clocks are switched to another version of their calendar, and what looking for them costs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from statistics import median

from shared import clock
from shared.contracts.envelope import Cause
from shared.contracts.sla import SlaClockRetargeted
from sla.commands.calendars import Begin, activate_version, draft_version
from sla.commands.clocks import PORTION, SWITCHES
from sla.documents import CalendarFacts, WeekFacts
from tests.load.clocks import COMERCIAL, DAYS
from tests.load.figures import Cell, Table
from tests.load.scene import Options
from tests.support.databases import Database

# A number of processes of jobs, while the block runs.
Jobs = Callable[[int], AbstractAsyncContextManager[list[int]]]

LOOKS = 5
# What takes longer is not waited for: the rate is that of what was switched by then.
LONGEST_SECONDS = 120.0
LONGER_HOURS = (("08:00", "20:00"),)

_BEHIND = "SELECT count(*) FROM sla.clocks WHERE calendar_id = $1 AND calendar_version < $2 AND course = 'running'"
_LAST = "SELECT coalesce(max(position), 0) FROM runtime.archive"
# Nothing else is told meanwhile.
_TOLD = "SELECT count(*) AS clocks, clock_timestamp() AS at FROM runtime.archive WHERE position > $1"
_TWICE = """
    SELECT count(*) - count(DISTINCT subject) FILTER (WHERE type = $2) FROM runtime.archive WHERE position > $1
"""


async def measure_switching(db: Database, jobs: Jobs, options: Options) -> Table:
    """A version of `comercial` is activated over the clocks that run in it, and the job switches some of them."""
    table = Table(
        "timers: a version of a calendar is activated over running clocks",
        ("what", "clocks", "seconds", "clocks/s"),
        notes=[
            f"look: the claim of a portion of {PORTION} alone, the median of {LOOKS}; the job looks each time anew, "
            "and every five seconds for ever when nothing is behind",
            "switched: so many were committed while all processes were at work; each tells its old and its new due",
        ],
    )
    table.rows.append(("look, nothing is behind", 0, await _look(db, 0), None))
    begun = time.perf_counter()
    version = await _activate(db)
    behind = await db.count(_BEHIND, COMERCIAL, version)
    table.rows.append(("activate", behind, time.perf_counter() - begun, None))
    table.rows.append(("look, all are behind", PORTION, await _look(db, PORTION), None))
    for processes, name in ((1, "switched, one process"), (2, "switched, two processes")):
        table.rows.append((name, *await _switch(db, jobs, processes, min(options.switched, behind // 3))))
    table.rows.append(("look, after that", PORTION, await _look(db, PORTION), None))
    return table


async def _look(db: Database, expected: int) -> float:
    """Seconds in which the job's claim is answered; what it locked it lets go."""
    took = []
    for _ in range(LOOKS):
        async with db.begin() as tx:
            begun = time.perf_counter()
            found = await SWITCHES.claim(tx, clock.now(), PORTION)
            took.append(time.perf_counter() - begun)
        if len(found) != expected:
            raise RuntimeError(f"{len(found)} clocks were behind their calendar, not {expected}")
    return median(took)


async def _activate(db: Database) -> int:
    """The number of the version: longer hours, and no holidays, from now on."""
    now = clock.now()
    cause = Cause(actor="bruno", occurred_at=now, recorded_at=now, correlation_id="bench")
    week = WeekFacts(**dict.fromkeys(DAYS[:5], LONGER_HOURS))
    facts = CalendarFacts(name="Comercial", timezone="America/Argentina/Buenos_Aires", weekly=week)
    async with db.begin() as tx:
        await draft_version(tx, cause, COMERCIAL, facts)
        return (await activate_version(tx, cause, COMERCIAL, 2, Begin())).version


async def _switch(db: Database, jobs: Jobs, processes: int, wanted: int) -> tuple[Cell, ...]:
    """How many clocks were switched, in how many seconds, and how many a second that is."""
    async with db.connect() as connection:
        last = await connection.fetchval(_LAST)
        async with jobs(processes):
            first = now = await connection.fetchrow(_TOLD, last)
            until = time.monotonic() + LONGEST_SECONDS
            while now["clocks"] < first["clocks"] + wanted and time.monotonic() < until:
                await asyncio.sleep(0.1)  # asked ten times a second
                now = await connection.fetchrow(_TOLD, last)
        twice = await connection.fetchval(_TWICE, last, SlaClockRetargeted.type)
    switched, seconds = now["clocks"] - first["clocks"], (now["at"] - first["at"]).total_seconds()
    if not switched or twice:
        raise RuntimeError(f"{switched} clocks were switched, {twice} of them twice")
    return switched, seconds, switched / seconds
