"""Pauses grow to their limit, and what belongs to one message is told from what passes by itself."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from shared.db.failures import is_transient, pause_after
from shared.db.statement import sql
from tests.support.databases import Database

Make = Callable[[str], Awaitable[Database]]


def test_the_pause_grows_to_its_limit_and_stays_there_for_any_outage() -> None:
    assert [pause_after(failures, first=0.1) for failures in (1, 2, 3)] == [0.2, 0.4, 0.8]
    assert pause_after(100, first=0.1) == 5.0
    assert pause_after(100_000, first=0.1) == 5.0


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
