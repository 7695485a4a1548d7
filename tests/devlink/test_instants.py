"""The changes of a task are dated in the order in which they were accepted, whatever the clocks say."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from itertools import pairwise

import pytest
import time_machine

from devlink import commands
from shared import clock
from shared.contracts.envelope import Cause
from shared.instants import STEP
from tests.devlink.scene import AT, escalated, move, put_on_board
from tests.support.clocks import unsteady
from tests.support.databases import Database

Databases = Callable[[str], Awaitable[Database]]
CALLERS = 24


async def test_many_callers_with_clocks_that_jump_leave_instants_that_grow(
    database: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    devlink = await database("devlink")
    unsteady(monkeypatch)
    [id_] = await put_on_board(devlink, escalated())

    async def assign(number: int) -> None:
        now = clock.now()
        why = Cause(actor="nora", occurred_at=now, recorded_at=now, correlation_id=f"r-{number}")
        async with devlink.begin() as tx:
            await commands.assign_task(tx, why, id_, assignee=f"dev-{number}")

    await asyncio.gather(*[assign(number) for number in range(CALLERS)])
    async with devlink.connect() as connection:
        rows = await connection.fetch("SELECT occurred_at, recorded_at FROM devlink.trace ORDER BY version, position")
        changed_at = await connection.fetchval("SELECT changed_at FROM devlink.tasks")
    instants = [row["recorded_at"] for row in rows]
    assert len(instants) == CALLERS + 1
    assert [pair for pair in pairwise(instants) if pair[0] >= pair[1]] == []
    assert [row["occurred_at"] for row in rows[1:]] == instants[1:]
    assert changed_at == instants[-1]


async def test_a_move_is_told_at_the_instant_of_its_turn(database: Databases) -> None:
    devlink = await database("devlink")
    with time_machine.travel(AT, tick=False):
        [id_] = await put_on_board(devlink, escalated())
        await move(devlink, id_, "triaged")
    async with devlink.connect() as connection:
        told = await connection.fetchrow("SELECT occurred_at, recorded_at FROM runtime.archive ORDER BY position DESC")
        status_at = await connection.fetchval("SELECT status_at FROM devlink.tasks")
    assert tuple(told) == (AT + STEP, AT + STEP)
    assert status_at == AT + STEP
