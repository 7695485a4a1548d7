"""Loads and stores tasks by explicit statements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from devlink.domain.task import Link, Task
from shared.contracts.envelope import Cause
from shared.db.statement import query, sql
from shared.db.transaction import Transaction

# A second message about the same escalation, at the same time or later, waits at the unique reference and then finds
# nothing to do. Sorted, so that two consumers with the same escalations wait for each other in one direction only.
_CREATE = sql("""
    WITH wanted AS (
        SELECT * FROM jsonb_to_recordset(:rows) AS r(
            id uuid, escalation_id uuid, ticket_id uuid, ticket_number text, title text, support_block text,
            client_id text, product_id text, module_id text, severity integer, priority integer, due_at timestamptz,
            actor text, source text, correlation_id text, causation_id text, occurred_at timestamptz,
            recorded_at timestamptz)
    ), created AS (
        INSERT INTO devlink.tasks (id, escalation_id, title, support_block, client_id, product_id, module_id, severity,
                                   priority, due_at, status, status_at, version, created_at, changed_at)
        SELECT id, escalation_id, title, support_block, client_id, product_id, module_id, severity, priority, due_at,
               'new', recorded_at, 1, recorded_at, recorded_at
        FROM wanted ORDER BY escalation_id
        -- Whichever of its keys meets first: the id follows from the escalation too.
        ON CONFLICT DO NOTHING
        RETURNING id, number
    ), linked AS (
        INSERT INTO devlink.links (escalation_id, task_id, ticket_id, ticket_number, client_id, linked_at)
        SELECT w.escalation_id, w.id, w.ticket_id, w.ticket_number, w.client_id, w.recorded_at
        FROM wanted w JOIN created USING (id)
    ), traced AS (
        INSERT INTO devlink.trace (task_id, ticket_id, field, old, new, actor, source, correlation_id, causation_id,
                                   occurred_at, recorded_at, version)
        SELECT w.id, w.ticket_id, 'status', NULL, 'new', w.actor, w.source, w.correlation_id, w.causation_id,
               w.occurred_at, w.recorded_at, 1
        FROM wanted w JOIN created USING (id)
    )
    SELECT id, number FROM created
""")

_LOAD = sql("""
    SELECT id, number, status, status_at, assignee, fix_version, declined_reason, version, changed_at,
           (SELECT jsonb_agg(jsonb_build_object('ticket_id', ticket_id, 'escalation_id', escalation_id)
                             ORDER BY escalation_id)
            FROM devlink.links WHERE task_id = t.id) AS links
    FROM devlink.tasks t WHERE id = :id FOR NO KEY UPDATE OF t
""")

_CHANGES_SINCE = query("""
    SELECT version, field, old, new, occurred_at, actor FROM devlink.trace
    WHERE task_id = :id AND version > :version ORDER BY position LIMIT 20
""")

_STORE = sql("""
    UPDATE devlink.tasks SET status = :status, status_at = :status_at, assignee = :assignee, fix_version = :fix_version,
           declined_reason = :declined_reason, version = :version, changed_at = :recorded_at
    WHERE id = :id
""")
_TRACE = sql("""
    INSERT INTO devlink.trace (task_id, field, old, new, actor, source, correlation_id, causation_id, occurred_at,
                               recorded_at, version)
    SELECT :id, field, old, new, :actor, :source, :correlation_id, :causation_id, :occurred_at, :recorded_at, :version
    FROM jsonb_to_recordset(:changes) AS c(field text, old text, new text)
""")


@dataclass(frozen=True)
class NewTask:
    """A task that an escalation asks for."""

    id: UUID
    escalation_id: UUID
    ticket_id: UUID
    ticket_number: str
    title: str
    support_block: str
    client_id: str | None
    product_id: str | None
    module_id: str | None
    severity: int
    priority: int
    due_at: str | None


async def create_tasks(tx: Transaction, wanted: Sequence[tuple[Cause, NewTask]], *, source: str) -> dict[UUID, int]:
    """Creates those tasks whose escalation has none yet: the number of each that was created, by task id."""
    rows = [_row(task) | _because(cause, source) for cause, task in wanted]
    return {row.id: row.number for row in await tx.fetch(_CREATE, {"rows": rows})}


async def load_task(tx: Transaction, id: UUID) -> Task | None:
    """The task, locked until the transaction ends; None when there is none."""
    row = await tx.fetch_first(_LOAD, {"id": id})
    if row is None:
        return None
    links = tuple(Link(UUID(one["ticket_id"]), UUID(one["escalation_id"])) for one in row.links or ())
    return Task(
        id=row.id,
        number=row.number,
        status=row.status,
        status_at=row.status_at,
        assignee=row.assignee,
        fix_version=row.fix_version,
        declined_reason=row.declined_reason,
        version=row.version,
        changed_at=row.changed_at,
        links=links,
    )


async def changes_since(tx: Transaction, id: UUID, version: int) -> list[dict[str, Any]]:
    """What was changed on a task after it had this version, the oldest first, at most twenty."""
    return [dict(row) for row in await tx.fetch(_CHANGES_SINCE, {"id": id, "version": version})]


async def store_task(tx: Transaction, cause: Cause, task: Task, *, source: str) -> None:
    """Stores a task that `load_task` locked, and every change of it in its trace."""
    values = {
        "id": task.id,
        "status": task.status,
        "status_at": task.status_at,
        "assignee": task.assignee,
        "fix_version": task.fix_version,
        "declined_reason": task.declined_reason,
        "version": task.version,
        "changes": [{"field": one.field, "old": one.old, "new": one.new} for one in task.changes],
    }
    instants = {"occurred_at": cause.occurred_at, "recorded_at": cause.recorded_at}
    await tx.write(_STORE, values | instants)
    await tx.write(_TRACE, values | _because(cause, source) | instants)


def _row(task: NewTask) -> dict[str, Any]:
    ids = {"id": str(task.id), "escalation_id": str(task.escalation_id), "ticket_id": str(task.ticket_id)}
    return vars(task) | ids


def _because(cause: Cause, source: str) -> dict[str, Any]:
    return {
        "actor": cause.actor,
        "source": source,
        "correlation_id": cause.correlation_id,
        "causation_id": cause.causation_id,
        "occurred_at": cause.occurred_at.isoformat(),
        "recorded_at": cause.recorded_at.isoformat(),
    }
