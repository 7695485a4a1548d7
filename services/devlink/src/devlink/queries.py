"""Reads of the board: SQL to what callers see."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, Field
from sqlalchemy import Select, literal, select

from devlink import tables
from devlink.domain.task import STATUSES, TRANSITIONS, display_id
from shared.contracts.codes import written
from shared.contracts.devlink import TaskStatus
from shared.contracts.personal import Personal
from shared.contracts.tickets import Status
from shared.db.statement import sql
from shared.db.transaction import Reader


class TaskView(BaseModel):
    """A task as a list shows it."""

    id: UUID
    number: int
    display_id: str = Field(examples=["DEV-17"])
    title: Personal[str]
    client_id: str | None
    product_id: str | None
    module_id: str | None
    severity: int
    priority: int
    due_at: datetime | None = Field(description="when the ticket's resolution was due at the escalation")
    status: TaskStatus
    assignee: str | None
    fix_version: str | None
    declined_reason: str | None
    version: int
    created_at: datetime
    changed_at: datetime


class LinkView(BaseModel):
    """A ticket that waits for the task, and how it stands now; null until devlink has heard of it."""

    ticket_id: UUID
    ticket_number: str
    ticket_status: Annotated[str, written(Status)] | None
    ticket_severity: int | None
    ticket_assignee: str | None
    escalation_id: UUID
    client_id: str | None
    linked_at: datetime


class TraceView(BaseModel):
    """One change: which field, from what to what, by whom, because of what."""

    field: str
    old: str | None
    new: str | None
    actor: str
    source: str = Field(description="the event type or the door that it came through")
    ticket_id: UUID | None
    correlation_id: str
    causation_id: str | None
    occurred_at: datetime
    recorded_at: datetime


class TaskDetail(TaskView):
    """A task with everything that belongs to it."""

    support_block: Personal[str]
    possible_moves: list[TaskStatus]
    links: list[LinkView]
    trace: list[TraceView]


class Column(BaseModel):
    """One column of the board: how many tasks it holds, and the most urgent of them."""

    status: TaskStatus
    count: int
    tasks: list[TaskView]


class Board(BaseModel):
    """The board: one column per state, in the order of the work."""

    columns: list[Column]


_t, _l = tables.tasks.c, tables.links.c
# A list shows everything but the long text.
_SHOWN = [name for name in TaskView.model_fields if name != "display_id"]

_DETAIL = sql("""
    SELECT t.*,
           (SELECT coalesce(jsonb_agg(to_jsonb(l) || jsonb_build_object(
                        'ticket_status', k.brief -> 'status', 'ticket_severity', k.brief -> 'severity',
                        'ticket_assignee', k.brief -> 'assignee') ORDER BY l.linked_at, l.escalation_id), '[]')
            FROM devlink.links l LEFT JOIN devlink.tickets k ON k.id = l.ticket_id WHERE l.task_id = t.id) AS links,
           (SELECT coalesce(jsonb_agg(to_jsonb(c) ORDER BY c.position), '[]')
            FROM devlink.trace c WHERE c.task_id = t.id) AS trace
    FROM devlink.tasks t WHERE t.id = :id
""")

# The counts and the head of each column come from one statement, so that they agree.
_BOARD = sql("""
    SELECT s.status, coalesce(n.held, 0) AS held, coalesce(h.tasks, '[]') AS tasks
    FROM unnest(CAST(:statuses AS text[])) WITH ORDINALITY AS s(status, place)
    LEFT JOIN LATERAL (SELECT count(*) AS held FROM devlink.tasks t WHERE t.status = s.status) n ON true
    LEFT JOIN LATERAL (
        SELECT jsonb_agg(to_jsonb(x) ORDER BY x.severity, x.priority, x.number) AS tasks
        FROM (SELECT * FROM devlink.tasks t WHERE t.status = s.status
              ORDER BY t.severity, t.priority, t.number LIMIT CAST(:size AS integer)) x
    ) h ON true
    ORDER BY s.place
""")


async def list_tasks(
    tx: Reader,
    *,
    status: TaskStatus | None,
    ticket_id: UUID | None,
    client_id: str | None,
    before_number: int | None,
    limit: int,
) -> list[TaskView]:
    """Tasks, the newest first, `limit` + 1 of them; with `client_id` those that a ticket of this client waits for."""
    wanted: Select[Any] = select(*(_t[name] for name in _SHOWN))
    wanted = wanted.order_by(_t.number.desc()).limit(limit + 1)
    if before_number is not None:
        wanted = wanted.where(_t.number < before_number)
    if status is not None:
        wanted = wanted.where(_t.status == status)
    if ticket_id is not None:
        wanted = wanted.where(select(literal(1)).where(_l.task_id == _t.id, _l.ticket_id == ticket_id).exists())
    if client_id is not None:
        wanted = wanted.where(select(literal(1)).where(_l.task_id == _t.id, _l.client_id == client_id).exists())
    return [_task(dict(row)) for row in await tx.fetch(wanted)]


async def get_task(tx: Reader, id: UUID) -> TaskDetail | None:
    """One task with its tickets and its trace; None when there is none."""
    row = await tx.fetch_first(_DETAIL, {"id": id})
    if row is None:
        return None
    possible = [status for status in STATUSES if status in TRANSITIONS[row["status"]]]
    return TaskDetail.model_validate(dict(row) | {"display_id": display_id(row["number"]), "possible_moves": possible})


async def get_board(tx: Reader, *, size: int) -> Board:
    """Every column with its count and its `size` most urgent tasks: by severity, priority, age."""
    rows = await tx.fetch(_BOARD, {"statuses": list(STATUSES), "size": size})
    return Board(
        columns=[Column(status=row.status, count=row.held, tasks=[_task(task) for task in row.tasks]) for row in rows]
    )


def _task(row: dict[str, Any]) -> TaskView:
    return TaskView.model_validate(row | {"display_id": display_id(row["number"])})
