"""Work of pieces: one that raises is set aside and the others go on; where most raise, it is the job."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from shared import set_aside
from shared.jobs import MOST_SET_ASIDE, JobLoop
from shared.telemetry import metrics
from tests.support.caller.jobs import BILLS, billed
from tests.support.databases import Database

Make = Callable[[str], Awaitable[Database]]


async def states(db: Database) -> dict[str, int]:
    async with db.connect() as connection:
        return dict(await connection.fetch("SELECT state, count(*)::int FROM public.bills GROUP BY state"))


def counted() -> float:
    return float(metrics.jobs_set_aside_total.labels(job=BILLS.name)._value.get())


async def test_as_many_as_may_be_guilty_are_set_aside_and_counted(database: Make) -> None:
    db = await database("runtime")
    await billed(db, 90, range(1, MOST_SET_ASIDE + 1))
    loop = JobLoop(BILLS, db.engine, lambda: None)
    before = counted()
    assert await loop._portion() == 90
    assert await states(db) == {"aside": MOST_SET_ASIDE, "sent": 90 - MOST_SET_ASIDE}
    assert counted() - before == MOST_SET_ASIDE
    async with db.begin() as tx:
        rows = await set_aside.all_of(tx)
    assert [(row.job, row.times) for row in rows] == [("send-bills", 1)] * MOST_SET_ASIDE
    assert "ValueError: bill 7 has no address" in {row.problem for row in rows}
    assert await loop._portion() == 0


async def test_where_more_are_guilty_it_is_the_job_and_nothing_is_set_aside(database: Make) -> None:
    """A release that judges every piece wrongly would otherwise set aside all there is, portion by portion."""
    db = await database("runtime")
    await billed(db, 90, range(10, 10 + MOST_SET_ASIDE + 1))
    loop = JobLoop(BILLS, db.engine, lambda: None)
    before = counted()
    with pytest.raises(RuntimeError, match=f"more than {MOST_SET_ASIDE} pieces .* bill 35 has no address"):
        await loop._portion()
    assert await states(db) == {"due": 90}
    assert counted() == before
    async with db.begin() as tx:
        assert await set_aside.all_of(tx) == []
