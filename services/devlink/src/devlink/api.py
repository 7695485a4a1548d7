"""The board over HTTP."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from devlink import commands, queries
from devlink.commands import NoSuchTask
from devlink.queries import Board, TaskDetail, TaskView
from shared.contracts.devlink import TaskStatus
from shared.http.auth import CauseDep
from shared.http.etag import etag
from shared.http.limits import Clean, CleanLine
from shared.http.paging import DEFAULT_LIMIT, After, Keyset, Limit, Page
from shared.http.transaction import ReadTx, Tx

router = APIRouter(prefix="/v1", tags=["devlink"])

_tasks = Keyset("tasks", int)

OfClient = Annotated[
    str | None, Query(pattern=r"^[a-z0-9-]{2,40}$", description="a ticket of this client waits for it")
]
OfTicket = Annotated[UUID | None, Query(description="this ticket waits for it")]
OfStatus = Annotated[TaskStatus | None, Query(description="the column of the board")]


class Move(BaseModel):
    """Where a task goes."""

    model_config = ConfigDict(extra="forbid")

    status: TaskStatus = Field(examples=["in_review"])
    reason: Annotated[str, Clean(max_length=1000)] | None = Field(
        default=None, description="needed when the task is declined", examples=["No es un error: así lo pide ARCA."]
    )
    fix_version: Annotated[str, Clean(max_length=40, lines=False)] | None = Field(
        default=None, description="needed when the task is released, unless it was said before", examples=["7.4.3"]
    )


class Assignment(BaseModel):
    """Who works on a task."""

    model_config = ConfigDict(extra="forbid")

    assignee: CleanLine | None = Field(description="a developer's user id; null: nobody", examples=["nora"])


@router.get("/tasks")
async def list_tasks(
    tx: ReadTx,
    status: OfStatus = None,
    ticket: OfTicket = None,
    client: OfClient = None,
    after: After = None,
    limit: Limit = DEFAULT_LIMIT,
) -> Page[TaskView]:
    """Tasks, the newest first."""
    start = _tasks.start(after)
    found = await queries.list_tasks(
        tx,
        status=status,
        ticket_id=ticket,
        client_id=client,
        before_number=start[0] if start else None,
        limit=limit,
    )
    return _tasks.page(found, limit, lambda task: (task.number,))


@router.get("/tasks/{id}")
async def get_task(tx: ReadTx, id: UUID, response: Response) -> TaskDetail:
    """One task with the tickets that wait for it and the trace of every change."""
    return _shown(response, id, await queries.get_task(tx, id))


@router.post("/tasks/{id}/move")
async def move_task(tx: Tx, cause: CauseDep, id: UUID, move: Move, response: Response) -> TaskDetail:
    """Moves a task to another column; every ticket that waits for it is told."""
    await commands.move_task(tx, cause, id, to=move.status, reason=move.reason, fix_version=move.fix_version)
    return _shown(response, id, await queries.get_task(tx, id))


@router.post("/tasks/{id}/assign")
async def assign_task(tx: Tx, cause: CauseDep, id: UUID, assignment: Assignment, response: Response) -> TaskDetail:
    """Gives a task to a developer, or back to nobody."""
    await commands.assign_task(tx, cause, id, assignee=assignment.assignee)
    return _shown(response, id, await queries.get_task(tx, id))


@router.get("/board")
async def get_board(
    tx: ReadTx, size: Annotated[int, Query(ge=1, le=200, description="tasks shown per column")] = 50
) -> Board:
    """The board: one column per state with its count and its most urgent tasks."""
    return await queries.get_board(tx, size=size)


def _shown(response: Response, id: UUID, found: TaskDetail | None) -> TaskDetail:
    if found is None:
        raise NoSuchTask(f"There is no task {id}.")
    etag(response, found.version)
    return found
