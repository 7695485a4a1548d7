"""Pauses grow to their limit, and what belongs to one message is told from what passes by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import asyncpg
import pytest

from shared.db.failures import is_transient, pause_after
from shared.db.statement import sql
from tests.support.databases import Database

Make = Callable[[str], Awaitable[Database]]


def test_the_pause_grows_to_its_limit_and_stays_there_for_any_outage() -> None:
    assert [pause_after(failures, first=0.1) for failures in (1, 2, 3)] == [0.2, 0.4, 0.8]
    assert pause_after(100, first=0.1) == 5.0
    assert pause_after(100_000, first=0.1) == 5.0


async def test_a_lock_that_is_not_had_in_time_is_waited_for_again(database: Make) -> None:
    db = await database("runtime")
    async with db.begin() as holder:
        await holder.execute(sql("SELECT pg_advisory_xact_lock(7)"))
        async with db.begin() as waiter:
            await waiter.execute(sql("SET LOCAL lock_timeout = '50ms'"))
            with pytest.raises(asyncpg.LockNotAvailableError) as caught:
                await waiter.execute(sql("SELECT pg_advisory_xact_lock(7)"))
    assert is_transient(caught.value)


async def test_two_statements_at_once_on_one_connection_are_a_mistake_of_ours(database: Make) -> None:
    db = await database("runtime")
    async with db.begin() as tx:
        await tx.execute(sql("SELECT 1"))
        sleeping = asyncio.create_task(tx.execute(sql("SELECT pg_sleep(0.2)")))
        await asyncio.sleep(0)  # the first has begun
        with pytest.raises(asyncpg.InterfaceError) as caught:
            await tx.execute(sql("SELECT 1"))
        await sleeping
    assert not is_transient(caught.value)


@pytest.mark.parametrize(
    ("statement", "arguments", "expected"),
    [
        ("SELECT 1 / 0", {}, False),
        ("SELECT CAST(:number AS int)", {"number": 2**40}, False),
        ("SELECT nothing", {}, False),
        ("DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '40001'; END $$", {}, True),
        ("DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '53300'; END $$", {}, True),
        ("SELECT pg_terminate_backend(pg_backend_pid())", {}, True),
    ],
)
async def test_only_what_passes_by_itself_is_waited_out(
    database: Make, statement: str, arguments: dict[str, int], expected: bool
) -> None:
    db = await database("runtime")
    with pytest.raises(Exception) as caught:  # noqa: PT011  any family: telling them apart is what is tested
        async with db.begin() as tx:
            await tx.execute(sql(statement), arguments)
    assert is_transient(caught.value) is expected
