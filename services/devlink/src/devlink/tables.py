"""Devlink's own tables, in the PostgreSQL schema `devlink`."""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKey, Identity, Index, Integer, MetaData, Table, Uuid

from shared.db.columns import instant, position, text, uuid
from shared.ticket_replica import ticket_replica

metadata = MetaData(schema="devlink")

# The built-in board. `escalation_id` is the reference that makes a task the only one of its escalation.
tasks = Table(
    "tasks",
    metadata,
    uuid("id", primary_key=True),
    Column("number", BigInteger, Identity(always=True, cache=1), nullable=False, unique=True),
    uuid("escalation_id", unique=True),
    text("title"),
    text("support_block"),
    text("client_id", nullable=True),
    text("product_id", nullable=True),
    text("module_id", nullable=True),
    Column("severity", Integer, nullable=False),
    Column("priority", Integer, nullable=False),
    instant("due_at", nullable=True),
    text("status"),
    instant("status_at"),
    text("assignee", nullable=True),
    text("fix_version", nullable=True),
    text("declined_reason", nullable=True),
    Column("version", Integer, nullable=False),
    instant("created_at"),
    instant("changed_at"),
    CheckConstraint("status <> 'declined' OR declined_reason IS NOT NULL", name="tasks_declined_with_reason"),
    CheckConstraint("status <> 'released' OR fix_version IS NOT NULL", name="tasks_released_in_version"),
)
Index("tasks_by_status", tasks.c.status, tasks.c.severity, tasks.c.priority, tasks.c.number)
Index("tasks_of_client", tasks.c.client_id, tasks.c.number)

# Which tickets wait for a task: append-only, one per escalation.
links = Table(
    "links",
    metadata,
    uuid("escalation_id", primary_key=True),
    Column("task_id", Uuid(as_uuid=True), ForeignKey(tasks.c.id, name="links_task"), nullable=False),
    uuid("ticket_id"),
    text("ticket_number"),
    text("client_id", nullable=True),
    instant("linked_at"),
)
Index("links_of_task", links.c.task_id)
Index("links_of_ticket", links.c.ticket_id)

# Everything that ever changed on a task, and who changed it from where: append-only.
trace = Table(
    "trace",
    metadata,
    position(),
    Column("task_id", Uuid(as_uuid=True), ForeignKey(tasks.c.id, name="trace_task"), nullable=False),
    uuid("ticket_id", nullable=True),
    text("field"),
    text("old", nullable=True),
    text("new", nullable=True),
    text("actor"),
    text("source"),
    text("correlation_id"),
    text("causation_id", nullable=True),
    instant("occurred_at"),
    instant("recorded_at"),
    Column("version", Integer, nullable=True),
)
Index("trace_of_task", trace.c.task_id, trace.c.position)

# Every ticket as its latest event left it.
tickets = ticket_replica(metadata)
