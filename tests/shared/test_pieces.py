"""Work of pieces: one that raises is set aside and the others go on; where most raise, it is the job."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime
from typing import Any

import pytest

from shared import set_aside
from shared.db.statement import query, sql
from shared.db.transaction import Transaction
from shared.jobs import MOST_SET_ASIDE, Job, JobLoop, Pieces
from shared.telemetry import metrics
from tests.support.databases import OWNER, Database

Make = Callable[[str], Awaitable[Database]]

TABLE = """
    CREATE TABLE public.bills (id int PRIMARY KEY, guilty boolean NOT NULL, state text NOT NULL DEFAULT 'due');
    GRANT SELECT, UPDATE ON public.bills TO test_serving;
"""
_CLAIM = query("SELECT id, guilty FROM public.bills WHERE state = 'due' ORDER BY id LIMIT :most")
_SENT = sql("UPDATE public.bills SET state = 'sent' WHERE id = :id")
_ASIDE = sql("UPDATE public.bills SET state = 'aside' WHERE id = :id")


async def claim(tx: Transaction, now: datetime, most: int) -> Sequence[Any]:
    return await tx.fetch(_CLAIM, {"most": most})


async def send(tx: Transaction, pieces: Sequence[Any], now: datetime) -> None:
    for piece in pieces:
        await tx.execute(_SENT, {"id": piece.id})
        if piece.guilty:
            raise ValueError(f"bill {piece.id} has no address")


async def put_aside(tx: Transaction, piece: Any) -> None:
    await tx.execute(_ASIDE, {"id": piece.id})


async def bring_back(tx: Transaction, key: str, now: datetime) -> bool:
    raise NotImplementedError


JOB = Job("send-bills", Pieces(claim, send, lambda piece: str(piece.id), put_aside, bring_back, portion=100), 3600)


async def billed(db: Database, many: int, guilty: Iterable[int]) -> JobLoop:
    """A loop whose bills are numbered from 1, some of which cannot be sent."""
    async with db.connect(OWNER) as owner:
        await owner.execute(TABLE)
        await owner.execute(
            "INSERT INTO public.bills SELECT n, n = ANY($2::int[]) FROM generate_series(1, $1::int) n", many,
            list(guilty),
        )  # fmt: skip
    return JobLoop(JOB, db.engine, lambda: None)


async def states(db: Database) -> dict[str, int]:
    async with db.connect() as connection:
        return dict(await connection.fetch("SELECT state, count(*)::int FROM public.bills GROUP BY state"))


def counted() -> float:
    return float(metrics.jobs_set_aside_total.labels(job=JOB.name)._value.get())


async def test_as_many_as_may_be_guilty_are_set_aside_and_counted(database: Make) -> None:
    db = await database("runtime")
    loop = await billed(db, 90, range(1, MOST_SET_ASIDE + 1))
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
    loop = await billed(db, 90, range(10, 10 + MOST_SET_ASIDE + 1))
    before = counted()
    with pytest.raises(RuntimeError, match=f"more than {MOST_SET_ASIDE} pieces .* bill 35 has no address"):
        await loop._portion()
    assert await states(db) == {"due": 90}
    assert counted() == before
    async with db.begin() as tx:
        assert await set_aside.all_of(tx) == []
