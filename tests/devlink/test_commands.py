"""Moving and assigning tasks: what is stored, told and traced."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from uuid import UUID

import pytest
import time_machine

from devlink import commands, queries
from devlink.commands import NoSuchTask
from devlink.domain.task import MoveNotPossible, ReasonNeeded
from shared.contracts.devlink import DevTaskStatusChanged, TaskBrief, TaskStatus
from shared.db.statement import sql
from shared.ids import new_id
from tests.devlink.scene import AT, cause, escalated, move, published, put_on_board
from tests.support.briefs import task_brief
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
        await move(devlink, id_, "declined", reason="No es un error")
    assert len(sent) == 2
    [told] = await published(devlink, DevTaskStatusChanged.type)
    assert (told["key"], told["actor"]) == (str(event.data.ticket_id), "nora")
    assert DevTaskStatusChanged.model_validate(told["data"]) == DevTaskStatusChanged(
        ticket_id=event.data.ticket_id,
        escalation_id=event.data.escalation_id,
        task=task_brief(
            id_, external_id=str(id_), display_id="DEV-1", url=f"http://127.0.0.1:8440/v1/tasks/{id_}",
            status="declined", tracker_status="declined", status_at=LATER, declined_reason="No es un error",
        ),
        previous_status="new",
        reason="No es un error",
    )  # fmt: skip
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
        await move(devlink, id_, status, fix_version="7.4.3" if status == "fixed" else None)
    told = [one["data"] for one in await published(devlink, DevTaskStatusChanged.type)]
    assert [one["task"]["status"] for one in told if one["ticket_id"] == str(other)] == path
    assert [(one["task"]["status"], one["task"]["fix_version"]) for one in told[-4:]] == [
        ("fixed", "7.4.3"),
        ("fixed", "7.4.3"),
        ("released", "7.4.3"),
        ("released", "7.4.3"),
    ]


# A task's whole way, with what it needs: it is declined and taken up again, fixed, found wanting, and released.
WAY: list[tuple[TaskStatus, dict[str, str]]] = [
    ("declined", {"reason": "no es un error"}),
    ("triaged", {"reason": "sí lo es"}),
    ("in_progress", {}),
    ("in_review", {}),
    ("fixed", {"fix_version": "7.4.3"}),
    ("in_progress", {"reason": "falla con dos balanzas"}),
    ("in_review", {}),
    ("fixed", {}),
    ("released", {"fix_version": "7.4.4"}),
]


async def stored_brief(devlink: Database, id_: UUID) -> TaskBrief:
    """A task as the table has it, in the form in which it is told."""
    async with devlink.connect() as connection:
        row = await connection.fetchrow(
            "SELECT 'DEV-' || number AS display_id, status, status_at, declined_reason, fix_version "
            "FROM devlink.tasks WHERE id = $1",
            id_,
        )
    url = f"http://127.0.0.1:8440/v1/tasks/{id_}"
    return task_brief(id_, external_id=str(id_), url=url, tracker_status=row["status"], **dict(row))


async def test_every_event_of_a_task_carries_it_as_it_is_stored(database: Databases) -> None:
    """Assigning it tells nothing, and is no other status either."""
    devlink = await database("devlink")
    with time_machine.travel(AT, tick=False):
        [id_] = await put_on_board(devlink, escalated())
    [linked] = await published(devlink)
    stored = [await stored_brief(devlink, id_)]
    for hours, (to, given) in enumerate(WAY, start=1):
        with time_machine.travel(AT + timedelta(hours=hours), tick=False):
            await move(devlink, id_, to, **given)
            async with devlink.begin() as tx:
                await commands.assign_task(tx, cause(), id_, assignee=f"dev-{hours}")
        stored.append(await stored_brief(devlink, id_))
    told = [linked, *await published(devlink, DevTaskStatusChanged.type)]
    assert [TaskBrief.model_validate(one["data"]["task"]) for one in told] == stored
    assert [one.status_at for one in stored] == [AT + timedelta(hours=hours) for hours in range(len(WAY) + 1)]
    assert [one["data"]["previous_status"] for one in told[1:]] == [one.status for one in stored[:-1]]


async def test_a_refused_move_changes_and_tells_nothing(database: Databases) -> None:
    devlink = await database("devlink")
    [id_] = await put_on_board(devlink, escalated())
    before = await published(devlink)
    with pytest.raises(ReasonNeeded):
        await move(devlink, id_, "declined")
    with pytest.raises(MoveNotPossible):
        await move(devlink, id_, "released", fix_version="7.4.3")
    assert await published(devlink) == before
    async with devlink.begin() as tx:
        task = await queries.get_task(tx, id_)
    assert task is not None
    assert (task.status, task.version, len(task.trace)) == ("new", 1, 1)


async def test_of_developers_who_move_one_task_at_once_one_succeeds(database: Databases) -> None:
    devlink = await database("devlink")
    [id_] = await put_on_board(devlink, escalated())
    outcomes = await asyncio.gather(*(move(devlink, id_, "triaged") for _ in range(6)), return_exceptions=True)
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
        await move(devlink, new_id(), "triaged")
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
