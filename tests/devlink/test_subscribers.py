"""What devlink does when a ticket is escalated."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Awaitable, Callable
from datetime import datetime

import pytest

from devlink import queries
from devlink.subscribers import create_task
from shared.contracts.devlink import DevTaskLinked
from shared.contracts.envelope import Received
from shared.contracts.tickets import TicketEscalated
from shared.db.statement import sql
from shared.ids import new_id
from tests.devlink.scene import AT, DUE, escalated, hear, published, put_on_board
from tests.support.briefs import task_brief
from tests.support.databases import Database, dumped
from tests.support.statements import counted

Databases = Callable[[str], Awaitable[Database]]
# In about one of fifty, two met at another key before that was mended.
ROUNDS = 150


async def tasks(database: Database) -> int:
    return await database.count("SELECT count(*) FROM devlink.tasks")


async def test_an_escalation_to_development_gets_a_task_and_says_so(database: Databases) -> None:
    devlink = await database("devlink")
    event = escalated(number=42)
    [id_] = await put_on_board(devlink, event)

    [told] = await published(devlink)
    assert (told["topic"], told["key"], told["subject"]) == (
        "desk.devlink.v1",
        str(event.data.ticket_id),
        str(id_),
    )
    assert (told["actor"], told["correlation_id"], told["causation_id"]) == ("system:devlink", "call-1", str(event.id))
    assert DevTaskLinked.model_validate(told["data"]) == DevTaskLinked(
        ticket_id=event.data.ticket_id,
        escalation_id=event.data.escalation_id,
        task=task_brief(
            id_,
            external_id=str(id_),
            display_id="DEV-1",
            url=f"http://127.0.0.1:8440/v1/tasks/{id_}",
            status_at=datetime.fromisoformat(told["data"]["task"]["status_at"]),
        ),
    )
    assert await devlink.count("SELECT count(*) FROM devlink.tasks WHERE status_at = created_at") == 1


async def test_a_new_task_shows_what_support_wrote_who_waits_and_where_it_came_from(database: Databases) -> None:
    devlink = await database("devlink")
    event = escalated(number=42)
    [id_] = await put_on_board(devlink, event)
    async with devlink.begin() as tx:
        task = await queries.get_task(tx, id_)
    assert task is not None
    assert task.title == "La orden de corte sale en cero"
    assert (task.client_id, task.severity, task.priority, task.due_at) == ("arenales", 2, 3, DUE)
    assert (task.status, task.assignee, task.version) == ("new", None, 1)
    assert task.support_block.startswith("Motivo: Se reproduce en la 7.4.2")
    assert [(one.ticket_id, one.ticket_number, one.escalation_id) for one in task.links] == [
        (event.data.ticket_id, "T-000042", event.data.escalation_id)
    ]
    [first] = task.trace
    assert (first.field, first.old, first.new) == ("status", None, "new")
    assert (first.actor, first.source) == ("system:devlink", "desk.ticket.escalated.v1")
    assert (first.correlation_id, first.causation_id, first.occurred_at) == ("call-1", str(event.id), AT)


async def test_a_ticket_of_nobody_who_could_be_identified_gets_its_task_too(database: Databases) -> None:
    devlink = await database("devlink")
    [id_] = await put_on_board(devlink, escalated(client=None))
    async with devlink.begin() as tx:
        task = await queries.get_task(tx, id_)
        board = await queries.get_board(tx, size=1)
    assert task is not None
    assert (task.client_id, [link.client_id for link in task.links]) == (None, [None])
    assert [one.client_id for one in board.columns[0].tasks] == [None]


async def test_the_address_of_a_task_is_built_from_the_public_address(
    database: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DESK_PUBLIC_URL", "https://desk.example.org/devlink/")
    devlink = await database("devlink")
    [id_] = await put_on_board(devlink, escalated())
    [told] = await published(devlink)
    assert told["data"]["task"]["url"] == f"https://desk.example.org/devlink/v1/tasks/{id_}"


async def test_other_targets_and_imports_give_development_no_work(database: Databases) -> None:
    devlink = await database("devlink")
    events = [
        escalated(target="analysts"),
        escalated(target="functional-analysis"),
        escalated(origin="import"),
    ]
    with counted(devlink.engine) as sent:
        async with devlink.begin() as tx:
            await create_task(tx, events)
    assert sent == []
    assert await tasks(devlink) == 0
    assert await published(devlink) == []


async def test_an_escalation_gives_development_its_task_and_is_how_the_ticket_stands(database: Databases) -> None:
    devlink = await database("devlink")
    ours, theirs, history = escalated(), escalated(target="analysts"), escalated(origin="import")
    await hear(devlink, ours, theirs, history)
    assert await tasks(devlink) == 1
    async with devlink.connect() as connection:
        kept = {row["id"]: json.loads(row["brief"]) for row in await connection.fetch("SELECT * FROM devlink.tickets")}
    assert kept == {one.data.ticket_id: one.data.ticket.model_dump(mode="json") for one in (ours, theirs, history)}


async def test_a_batch_costs_two_statements_and_numbers_follow_the_escalations(database: Databases) -> None:
    devlink = await database("devlink")
    events = [escalated(number=n) for n in range(1, 121)]
    with counted(devlink.engine) as sent:
        async with devlink.begin() as tx:
            await create_task(tx, [*events, escalated(target="analysts")])
    assert len(sent) == 2
    told = await published(devlink)
    assert [one["key"] for one in told] == [str(event.data.ticket_id) for event in events]
    assert [one["data"]["task"]["display_id"] for one in told] == [f"DEV-{n}" for n in range(1, 121)]


async def test_an_escalation_that_is_told_twice_has_one_task_and_one_event(database: Databases) -> None:
    devlink = await database("devlink")
    first = escalated()
    again = escalated(escalation=first.data.escalation_id, ticket=first.data.ticket_id)
    async with devlink.begin() as tx:
        await create_task(tx, [first, again])
    async with devlink.begin() as tx:
        await create_task(tx, [again])
    assert await tasks(devlink) == 1
    assert len(await published(devlink)) == 1
    assert await devlink.count("SELECT count(*) FROM devlink.trace") == 1


async def test_consumers_that_get_the_same_escalations_at_once_make_each_task_once(database: Databases) -> None:
    devlink = await database("devlink")
    ids = [new_id() for _ in range(5)]
    ticket = new_id()

    async def react(order: list[int]) -> None:
        async with devlink.begin() as tx:
            await create_task(tx, [escalated(escalation=ids[place], ticket=ticket) for place in order])

    orders = [[0, 1, 2, 3, 4], [4, 3, 2, 1, 0], [2, 0, 4, 1, 3], [1, 4], [3, 0], [4, 2, 0]]
    await asyncio.gather(*(react(order) for order in orders))
    assert await tasks(devlink) == 5
    told = await published(devlink)
    assert sorted(one["data"]["escalation_id"] for one in told) == sorted(map(str, ids))


async def test_consumers_in_the_very_same_moment_fail_over_none_of_a_task_s_keys(database: Databases) -> None:
    """Its id follows from the escalation too: of two that look at one key, one may meet the other at another key."""
    devlink = await database("devlink")

    async def react(ready: asyncio.Barrier, one: Received[TicketEscalated]) -> None:
        async with devlink.begin() as tx:
            await tx.fetch_value(sql("SELECT 1"))  # the connection is there, and waits for the others
            await ready.wait()
            await create_task(tx, [one])

    for _ in range(ROUNDS):
        ready, one = asyncio.Barrier(6), escalated()
        await asyncio.gather(*(react(ready, one) for _ in range(6)))
    assert await tasks(devlink) == len(await published(devlink)) == ROUNDS


async def test_two_escalations_of_one_ticket_have_a_task_each(database: Databases) -> None:
    devlink = await database("devlink")
    first = escalated()
    second = escalated(ticket=first.data.ticket_id)
    one, other = await put_on_board(devlink, first, second)
    assert one != other
    async with devlink.begin() as tx:
        listed = await queries.list_tasks(
            tx, status=None, ticket_id=first.data.ticket_id, client_id=None, before_number=None, limit=10
        )
    assert [task.display_id for task in listed] == ["DEV-2", "DEV-1"]


async def linked(devlink: Database) -> dict[tuple[str, str], uuid.UUID]:
    """Which task was linked under which name, and the id of the event that told it."""
    async with devlink.connect() as connection:
        rows = await connection.fetch("SELECT id, convert_from(value, 'UTF8')::json AS data FROM runtime.archive")
    found = [(json.loads(row["data"]), row["id"]) for row in rows]
    return {(data["task"]["task_id"], data["task"]["display_id"]): event_id for data, event_id in found}


async def test_a_restored_board_that_numbers_a_task_otherwise_tells_another_fact(database: Databases) -> None:
    """Under the id of the first, everybody would drop it as known: a ticket would show the name of another's task."""
    devlink = await database("devlink")
    first, second = escalated(number=1), escalated(number=2)
    async with dumped(devlink) as same, dumped(devlink) as other:
        for board, arriving in ((devlink, (first, second)), (same, (first, second)), (other, (second, first))):
            for event in arriving:
                await put_on_board(board, event)
        told, again, otherwise = await linked(devlink), await linked(same), await linked(other)
    assert again == told
    assert {task for task, _ in otherwise} == {task for task, _ in told}, "the tasks themselves are the same"
    assert not told.keys() & otherwise.keys()
    assert not set(told.values()) & set(otherwise.values())
