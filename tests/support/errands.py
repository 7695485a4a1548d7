"""A kind of errand whose answers are kept in a table of the test's, and workers for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

from shared import clock, errands
from shared.db.statement import sql
from shared.db.transaction import Transaction
from shared.errands import Errand, ErrandJob, ErrandLoop
from tests.support.databases import OWNER, Database

KIND = "create-task"
ANSWERS = """
    CREATE TABLE public.answers (key text NOT NULL, answer text NOT NULL, attempt int NOT NULL);
    GRANT SELECT, INSERT ON public.answers TO test_serving;
"""
_KEEP = sql("INSERT INTO public.answers (key, answer, attempt) VALUES (:key, :answer, :attempt)")


async def keep(tx: Transaction, errand: Errand, answer: Any, now: datetime) -> None:
    """What a capability does with an answer: one row."""
    await tx.execute(_KEEP, {"key": errand.key, "answer": str(answer), "attempt": errand.attempt})


async def keep_refusal(tx: Transaction, errand: Errand, why: str, now: datetime) -> None:
    """The same where there will be none."""
    await keep(tx, errand, f"given up: {why}", now)


async def done_at_once(errand: Errand) -> str:
    """A call that is answered."""
    return "done"


JOB = ErrandJob(
    KIND, done_at_once, keep, keep_refusal, lease_seconds=10, first_pause_seconds=0.1, longest_pause_seconds=0.3,
    every_seconds=0.05,
)  # fmt: skip


async def with_answers(db: Database) -> Database:
    """The database, with a table for what a capability keeps."""
    async with db.connect(OWNER) as owner:
        await owner.execute(ANSWERS)
    return db


async def want(db: Database, *keys: str) -> None:
    """Asks for an errand of each key."""
    async with db.begin() as tx:
        for key in keys:
            await errands.want(tx, KIND, key, {"title": f"Falla {key}"}, clock.now())


@asynccontextmanager
async def working(db: Database, *jobs: ErrandJob) -> AsyncIterator[None]:
    """A worker of each job while the block runs."""
    tasks = [asyncio.create_task(ErrandLoop(job, db.engine, lambda: None).run()) for job in jobs]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def answers(db: Database) -> list[tuple[str, str, int]]:
    """What was kept: key, answer, attempt."""
    async with db.connect() as connection:
        rows = await connection.fetch("SELECT key, answer, attempt FROM public.answers ORDER BY key, attempt")
    return [(row["key"], row["answer"], row["attempt"]) for row in rows]


async def state(db: Database, key: str) -> Any:
    """The row of an errand."""
    async with db.connect() as connection:
        return await connection.fetchrow("SELECT * FROM runtime.errands WHERE key = $1", key)
