"""The loop of a job: portions at once while there is work, then a pause that an instant or a call can shorten."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

import pytest

from shared import clock
from shared.db.statement import sql
from shared.db.transaction import Transaction
from shared.jobs import LONGEST_WORK_SECONDS, Job, JobLoop
from shared.parts import STALLED_SECONDS
from tests.support.databases import Database
from tests.support.eventually import eventually

Make = Callable[[str], Awaitable[Database]]
FOR_EVER = 3600.0


class Work:
    """Portions that a test hands out, and a note of each run."""

    def __init__(self, *portions: int | Exception) -> None:
        self.portions = list(portions)
        self.runs: list[datetime] = []
        self.due: datetime | None = None

    async def do(self, tx: Transaction, now: datetime) -> int:
        await tx.execute(sql("SELECT 1"))
        self.runs.append(now)
        portion = self.portions.pop(0) if self.portions else 0
        if isinstance(portion, Exception):
            raise portion
        return portion

    async def next_due(self, tx: Transaction, now: datetime) -> datetime | None:
        return self.due

    async def ran(self, times: int) -> bool:
        return len(self.runs) >= times


@asynccontextmanager
async def looping(db: Database, job: Job) -> AsyncIterator[JobLoop]:
    loop = JobLoop(job, db.engine, lambda: None)
    task = asyncio.create_task(loop.run())
    try:
        yield loop
    finally:
        task.cancel()


async def test_portions_follow_at_once_while_there_is_work(database: Make) -> None:
    work = Work(500, 500, 3)
    async with looping(await database("runtime"), Job("work", work.do, every_seconds=FOR_EVER)):
        await eventually(lambda: work.ran(4))
    assert len(work.runs) == 4


async def test_a_failure_is_tried_again_after_a_pause(database: Make) -> None:
    work = Work(RuntimeError("first"), 1)
    async with looping(await database("runtime"), Job("work", work.do, every_seconds=FOR_EVER)):
        await eventually(lambda: work.ran(3))


async def test_the_next_due_instant_shortens_the_pause(database: Make) -> None:
    work = Work()
    work.due = clock.now() + timedelta(seconds=0.5)
    async with looping(await database("runtime"), Job("work", work.do, FOR_EVER, next_due=work.next_due)):
        await eventually(lambda: work.ran(2))
    assert work.runs[1] >= work.due


async def test_a_loop_is_alive_at_rest_and_at_work_and_not_when_its_work_hangs(
    database: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    hangs = asyncio.Event()
    begun = asyncio.Event()

    async def hang(tx: Transaction, now: datetime) -> int:
        begun.set()
        await hangs.wait()
        return 0

    def silent_for(loop: JobLoop, later: float) -> float:
        """How long its last turn would be ago, that many seconds from now."""
        instant = time.monotonic() + later
        monkeypatch.setattr("shared.jobs.time.monotonic", lambda: instant)
        try:
            return instant - loop.last_turn
        finally:
            monkeypatch.undo()

    async with looping(await database("runtime"), Job("work", hang, every_seconds=FOR_EVER)) as loop:
        await begun.wait()
        assert silent_for(loop, LONGEST_WORK_SECONDS - 5) == 0
        assert silent_for(loop, LONGEST_WORK_SECONDS + 5) > STALLED_SECONDS
        hangs.set()

        async def rests() -> bool:
            return silent_for(loop, LONGEST_WORK_SECONDS + 5) == 0

        await eventually(rests)


async def test_a_call_wakes_it(database: Make) -> None:
    work = Work()
    async with looping(await database("runtime"), Job("work", work.do, every_seconds=FOR_EVER)) as loop:
        await eventually(lambda: work.ran(1))
        loop.woken.set()
        await eventually(lambda: work.ran(2))
