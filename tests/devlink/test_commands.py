"""Moving and assigning tasks: what is stored, told and traced."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
import time_machine

from devlink import commands, queries
from devlink.commands import NoSuchTask
from devlink.domain.task import MoveNotPossible, ReasonNeeded
from shared.contracts.devlink import DevTaskStatusChanged, TaskStatus
from shared.db.statement import sql
from shared.ids import new_id
from tests.devlink.scene import AT, cause, escalated, published, put_on_board
from tests.support.databases import Database
from tests.support.statements import counted

Databases = Callable[[str], Awaitable[Database]]
LATER = AT + timedelta(hours=2)


async def test_a_move_costs_two_statements_and_is_stored_told_and_traced(database: Databases) -> None:
    devlink = await database("devlink")
    event = escalated()
    with time_machine.travel(AT, tick=False):
        [id_] = await put_on_board(devlink, event)
    with time_machine.travel(LATER, tick=False), counted(devlink.engine) as sent:
        async with devlink.begin() as tx:
            await commands.move_task(tx, cause(), id_, to="declined", reason="No es un error", fix_version=None)
    assert len(sent) == 2
    [told] = await published(devlink, DevTaskStatusChanged.type)
    assert (told["key"], told["actor"]) == (str(event.data.ticket_id), "nora")
    assert DevTaskStatusChanged.model_validate(told["data"]) == DevTaskStatusChanged(
        ticket_id=event.data.ticket_id,
        task_id=id_,
        escalation_id=event.data.escalation_id,
        status="declined",
        previous_status="new",
        tracker_status="declined",
        reason="No es un error",
    )
    async with devlink.begin() as tx:
        task = await queries.get_task(tx, id_)
    assert task is not None
    assert (task.status, task.declined_reason, task.version, task.changed_at) == (
        "declined",
        "No es un error",
        2,
        LATER,
    )
    assert task.possible_moves == ["triaged"]
    assert [(one.field, one.old, one.new, one.actor, one.source) for one in task.trace[1:]] == [
        ("status", "new", "declined", "nora", "board"),
        ("declined_reason", None, "No es un error", "nora", "board"),
    ]
    assert {one.recorded_at for one in task.trace[1:]} == {LATER}


async def test_every_ticket_of_a_shared_task_is_told_of_its_release(database: Databases) -> None:
    devlink = await database("devlink")
    [id_] = await put_on_board(devlink, escalated())
    other = new_id()
    async with devlink.begin() as tx:
        await tx.execute(
            sql("""INSERT INTO devlink.links (escalation_id, task_id, ticket_id, ticket_number, client_id, linked_at)
                    VALUES (:escalation, :task, :ticket, 'T-000009', 'la-yapa', :at)"""),
            {"escalation": new_id(), "task": id_, "ticket": other, "at": AT},
        )
    path: list[TaskStatus] = ["triaged", "in_progress", "in_review", "fixed", "released"]
    for status in path:
        async with devlink.begin() as tx:
            version = "7.4.3" if status == "fixed" else None
            await commands.move_task(tx, cause(), id_, to=status, reason=None, fix_version=version)
    told = [one["data"] for one in await published(devlink, DevTaskStatusChanged.type)]
    assert [one["status"] for one in told if one["ticket_id"] == str(other)] == path
    assert [(one["status"], one["fix_version"]) for one in told[-4:]] == [
        ("fixed", "7.4.3"),
        ("fixed", "7.4.3"),
        ("released", "7.4.3"),
        ("released", "7.4.3"),
    ]


async def test_a_refused_move_changes_and_tells_nothing(database: Databases) -> None:
    devlink = await database("devlink")
    [id_] = await put_on_board(devlink, escalated())
    before = await published(devlink)
    with pytest.raises(ReasonNeeded):
        async with devlink.begin() as tx:
            await commands.move_task(tx, cause(), id_, to="declined", reason=None, fix_version=None)
    with pytest.raises(MoveNotPossible):
        async with devlink.begin() as tx:
            await commands.move_task(tx, cause(), id_, to="released", reason=None, fix_version="7.4.3")
    assert await published(devlink) == before
    async with devlink.begin() as tx:
        task = await queries.get_task(tx, id_)
    assert task is not None
    assert (task.status, task.version, len(task.trace)) == ("new", 1, 1)


async def test_of_developers_who_move_one_task_at_once_one_succeeds(database: Databases) -> None:
    devlink = await database("devlink")
    [id_] = await put_on_board(devlink, escalated())

    async def move() -> None:
        async with devlink.begin() as tx:
            await commands.move_task(tx, cause(), id_, to="triaged", reason=None, fix_version=None)

    outcomes = await asyncio.gather(*(move() for _ in range(6)), return_exceptions=True)
    assert sum(one is None for one in outcomes) == 1
    assert sum(isinstance(one, MoveNotPossible) for one in outcomes) == 5
    assert len(await published(devlink, DevTaskStatusChanged.type)) == 1


async def test_assigning_is_traced_and_the_same_again_changes_nothing(database: Databases) -> None:
    devlink = await database("devlink")
    [id_] = await put_on_board(devlink, escalated())
    for assignee, statements in (("nora", 2), ("nora", 1), (None, 2)):
        with counted(devlink.engine) as sent:
            async with devlink.begin() as tx:
                await commands.assign_task(tx, cause(), id_, assignee=assignee)
        assert len(sent) == statements
    async with devlink.begin() as tx:
        task = await queries.get_task(tx, id_)
    assert task is not None
    assert (task.assignee, task.version) == (None, 3)
    assert [(one.field, one.old, one.new) for one in task.trace[1:]] == [
        ("assignee", None, "nora"),
        ("assignee", "nora", None),
    ]


async def test_a_task_that_is_not_there_can_be_neither_moved_nor_assigned(database: Databases) -> None:
    devlink = await database("devlink")
    with pytest.raises(NoSuchTask):
        async with devlink.begin() as tx:
            await commands.move_task(tx, cause(), new_id(), to="triaged", reason=None, fix_version=None)
    with pytest.raises(NoSuchTask):
        async with devlink.begin() as tx:
            await commands.assign_task(tx, cause(), new_id(), assignee="nora")


@pytest.mark.parametrize("table", ["links", "trace"])
@pytest.mark.parametrize("statement", ["UPDATE devlink.{} SET ticket_id = NULL", "DELETE FROM devlink.{}"])
async def test_the_serving_role_may_not_rewrite_who_asked_and_what_changed(
    database: Databases, table: str, statement: str
) -> None:
    devlink = await database("devlink")
    with pytest.raises(Exception, match="permission denied"):
        async with devlink.begin() as tx:
            await tx.execute(sql(statement.format(table)))
