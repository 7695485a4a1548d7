"""What the devlink service tells: the tasks that Development has for a ticket."""

from __future__ import annotations

from typing import Literal
from uuid import UUID

from pydantic import Field

from shared.contracts.envelope import Event
from shared.contracts.personal import Personal

TaskStatus = Literal["new", "triaged", "in_progress", "in_review", "fixed", "released", "declined"]


class DevTaskEvent(Event):
    """Any fact about a task, told once per ticket that is linked to it."""

    ticket_id: UUID
    task_id: UUID
    escalation_id: UUID

    def subject(self) -> str:
        return str(self.task_id)

    def key(self) -> str:
        return str(self.ticket_id)


class DevTaskLinked(DevTaskEvent):
    """The escalation has its task in a tracker."""

    type = "desk.dev-task.linked.v1"
    tracker: str = Field(description="the connection's code", examples=["board"])
    external_id: str = Field(description="the tracker's own immutable id")
    display_id: str = Field(description="what developers call it", examples=["DEV-17"])
    url: str
    status: TaskStatus

    def told_apart_by(self) -> tuple[object, ...]:
        return (self.display_id,)


class DevTaskStatusChanged(DevTaskEvent):
    """Development moved the task."""

    type = "desk.dev-task.status-changed.v1"
    status: TaskStatus
    previous_status: TaskStatus
    tracker_status: str = Field(description="the tracker's own name of the status, for display")
    reason: Personal[str] | None = Field(default=None, description="needed when the task was declined")
    fix_version: str | None = None
