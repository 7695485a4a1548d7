"""Bills to send, of which some cannot be sent, and tasks to make elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from shared.db.statement import query, sql
from shared.db.transaction import Transaction
from shared.errands import Errand, ErrandJob
from shared.jobs import Job, Pieces
from tests.support.databases import OWNER, Database
from tests.support.errands import JOB, done_at_once

TABLE = """
    CREATE TABLE public.bills (id int PRIMARY KEY, guilty boolean NOT NULL, state text NOT NULL DEFAULT 'due');
    GRANT SELECT, UPDATE ON public.bills TO test_serving;
"""
_FILL = "INSERT INTO public.bills SELECT n, n = ANY($2::int[]) FROM generate_series(1, $1::int) n"
_CLAIM = query("SELECT id, guilty FROM public.bills WHERE state = 'due' ORDER BY id LIMIT :most")
_SENT = sql("UPDATE public.bills SET state = 'sent' WHERE id = :id")
_DUE = sql("UPDATE public.bills SET state = 'due' WHERE id = :id AND state = 'aside'")
_ASIDE = sql("UPDATE public.bills SET state = 'aside' WHERE id = :id")


async def billed(db: Database, many: int, guilty: Iterable[int]) -> None:
    """Bills that are due, numbered from 1; some of them cannot be sent."""
    async with db.connect(OWNER) as owner:
        await owner.execute(TABLE)
        await owner.execute(_FILL, many, list(guilty))


async def claim(tx: Transaction, now: datetime, most: int) -> Sequence[Any]:
    """The bills that are due."""
    return await tx.fetch(_CLAIM, {"most": most})


async def send(tx: Transaction, pieces: Sequence[Any], now: datetime) -> None:
    """Sends them; one that is guilty raises."""
    for piece in pieces:
        await tx.execute(_SENT, {"id": piece.id})
        if piece.guilty:
            raise ValueError(f"bill {piece.id} has no address")


async def put_aside(tx: Transaction, piece: Any) -> None:
    """Is due no more."""
    await tx.execute(_ASIDE, {"id": piece.id})


async def bring_back(tx: Transaction, key: str, now: datetime) -> bool:
    """Is due again."""
    return bool(await tx.execute(_DUE, {"id": int(key)}))


async def create_task(errand: Errand) -> str:
    """Answers, or hangs where the key says so."""
    if errand.key == "hangs":
        await asyncio.Event().wait()
    return await done_at_once(errand)


BILLS = Job("send-bills", Pieces(claim, send, lambda piece: str(piece.id), put_aside, bring_back, portion=100), 3600)
JOBS: tuple[Job | ErrandJob, ...] = (replace(JOB, call=create_task), BILLS)
