"""The board over HTTP."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from devlink import commands, queries
from devlink.commands import NoSuchTask
from devlink.queries import Board, TaskDetail, TaskView
from devlink.settings import PublicAddress
from shared.contracts.devlink import TaskStatus
from shared.http.auth import CauseDep, needs
from shared.http.etag import etag
from shared.http.idempotency import Idempotency
from shared.http.limits import Clean, CleanLine
from shared.http.paging import DEFAULT_LIMIT, After, Keyset, Limit, Page
from shared.http.preconditions import IfMatch
from shared.http.transaction import Reading, Tx

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


@router.get("/tasks", dependencies=[needs("task:read")])
async def list_tasks(
    tx: Reading,
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


@router.get("/tasks/{id}", dependencies=[needs("task:read")])
async def get_task(tx: Reading, id: UUID, response: Response) -> TaskDetail:
    """One task with the tickets that wait for it and the trace of every change."""
    found = _found(id, await queries.get_task(tx, id))
    etag(response, found.version)
    return found


@router.post("/tasks/{id}/move", response_model=TaskDetail, dependencies=[needs("task:move")])
async def move_task(
    expected: IfMatch, tx: Tx, cause: CauseDep, idempotency: Idempotency, id: UUID, move: Move
) -> Response:
    """Moves a task to another column; every ticket that waits for it is told."""
    await commands.move_task(
        tx, cause, id, to=move.status, reason=move.reason, fix_version=move.fix_version, address=PublicAddress(),
        expected=expected,
    )  # fmt: skip
    return await _answer(tx, idempotency, id)


@router.post("/tasks/{id}/assign", response_model=TaskDetail, dependencies=[needs("task:assign")])
async def assign_task(
    expected: IfMatch, tx: Tx, cause: CauseDep, idempotency: Idempotency, id: UUID, assignment: Assignment
) -> Response:
    """Gives a task to a developer, or back to nobody."""
    await commands.assign_task(tx, cause, id, assignee=assignment.assignee, expected=expected)
    return await _answer(tx, idempotency, id)


@router.get("/board", dependencies=[needs("task:read")])
async def get_board(
    tx: Reading, size: Annotated[int, Query(ge=1, le=200, description="tasks shown per column")] = 50
) -> Board:
    """The board: one column per state with its count and its most urgent tasks."""
    return await queries.get_board(tx, size=size)


async def _answer(tx: Tx, idempotency: Idempotency, id: UUID) -> Response:
    found = _found(id, await queries.get_task(tx, id))
    return await idempotency.answer(found, version=found.version)


def _found(id: UUID, task: TaskDetail | None) -> TaskDetail:
    if task is None:
        raise NoSuchTask(f"There is no task {id}.")
    return task
