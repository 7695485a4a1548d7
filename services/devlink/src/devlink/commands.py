"""Everything that devlink can do."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from devlink import repository
from devlink.domain.block import support_block
from devlink.domain.task import BOARD, Task
from devlink.repository import NewTask
from devlink.settings import PublicAddress
from shared.contracts.devlink import DevTaskLinked, TaskStatus
from shared.contracts.envelope import Cause
from shared.contracts.tickets import TicketEscalated
from shared.db.transaction import Transaction
from shared.errors import NotFound
from shared.ids import made_of
from shared.instants import under_lock
from shared.messaging.outbox import publish, seal, seal_each
from shared.versions import ANYTHING, Expected


class NoSuchTask(NotFound):
    """The board has no task of this id."""

    code = "no-such-task"
    title = "There is no such task"


async def create_tasks(
    tx: Transaction, cause: Sequence[Cause], escalations: Sequence[TicketEscalated], *, address: PublicAddress
) -> None:
    """Puts a task on the board for each escalation that has none yet, and publishes that it is linked.

    Each escalation has its own cause, in the same order. Its id is the unique reference: whatever is delivered twice,
    or to two processes at once, gives one task and one event.
    """
    told = [(why, _new_task(escalation)) for why, escalation in zip(cause, escalations, strict=True)]
    # The first of several messages about the same escalation.
    wanted = list({task.id: (why, task) for why, task in reversed(told)}.values())[::-1]
    numbers = await repository.create_tasks(tx, wanted, source=TicketEscalated.type)
    created = [(why, task) for why, task in wanted if task.id in numbers]
    await publish(
        tx, seal_each((why, _linked(task, numbers[task.id], why.recorded_at, address)) for why, task in created)
    )


async def move_task(
    tx: Transaction,
    cause: Cause,
    id: UUID,
    *,
    to: TaskStatus,
    reason: str | None,
    fix_version: str | None,
    address: PublicAddress,
    expected: Expected = ANYTHING,
) -> None:
    """Moves a task to another column and tells every ticket that waits for it.

    Raises NoSuchTask, VersionChanged, and MoveNotPossible, ReasonNeeded, FixVersionNeeded of `Task.move`.
    """
    task, cause = await _load(tx, cause, id, expected)
    events = task.move(to, reason=reason, fix_version=fix_version, url=address.task_url(id), at=cause.occurred_at)
    await repository.store_task(tx, cause, task, source=BOARD)
    await publish(tx, seal(cause, *events))


async def assign_task(
    tx: Transaction, cause: Cause, id: UUID, *, assignee: str | None, expected: Expected = ANYTHING
) -> None:
    """Gives a task to a developer, or with None back to nobody. Raises NoSuchTask, VersionChanged."""
    task, cause = await _load(tx, cause, id, expected)
    if task.assign(assignee):
        await repository.store_task(tx, cause, task, source=BOARD)


async def _load(tx: Transaction, cause: Cause, id: UUID, expected: Expected) -> tuple[Task, Cause]:
    """The task, locked, and the cause as of now."""
    task = await repository.load_task(tx, id)
    if task is None:
        raise NoSuchTask(f"There is no task {id}.")
    cause = under_lock(cause, task.changed_at)
    await expected.require("The task", task.version, lambda: repository.changes_since(tx, id, expected.newest))
    return task, cause


def _new_task(told: TicketEscalated) -> NewTask:
    ticket = told.ticket
    due_at = told.resolution_due_at
    return NewTask(
        id=made_of("task", told.escalation_id),
        escalation_id=told.escalation_id,
        ticket_id=told.ticket_id,
        ticket_number=ticket.number,
        title=told.title,
        support_block=support_block(told),
        client_id=ticket.groups.client_id,
        product_id=ticket.groups.product_id,
        module_id=ticket.groups.module_id,
        severity=ticket.severity,
        priority=ticket.priority,
        due_at=due_at.isoformat() if due_at is not None else None,
    )


def _linked(task: NewTask, number: int, at: datetime, address: PublicAddress) -> DevTaskLinked:
    brief = Task.new(task.id, number, at).brief(address.task_url(task.id))
    return DevTaskLinked(ticket_id=task.ticket_id, escalation_id=task.escalation_id, task=brief)
