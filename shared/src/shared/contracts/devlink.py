"""What the devlink service tells: the tasks that Development has for a ticket."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from pydantic import AwareDatetime, Field

from shared.contracts.codes import written
from shared.contracts.envelope import Event, Part
from shared.contracts.personal import Personal

# What this service writes today; whoever reads an event takes any code in its place.
TaskStatus = Literal["new", "triaged", "in_progress", "in_review", "fixed", "released", "declined"]


class TaskBrief(Part):
    """The task as it is after the fact."""

    task_id: UUID
    tracker: str = Field(description="the connection's code", examples=["board"])
    external_id: str = Field(description="the tracker's own immutable id")
    display_id: str = Field(description="what developers call it", examples=["DEV-17"])
    url: str
    status: Annotated[str, written(TaskStatus)]
    status_at: AwareDatetime = Field(description="since when it has this status")
    tracker_status: str = Field(description="the tracker's own name of the status, for display")
    declined_reason: Personal[str] | None = Field(description="why Development declined it")
    fix_version: str | None = Field(description="the version that carries the fix")


class DevTaskEvent(Event):
    """Any fact about a task, told once per ticket that is linked to it, and the task as it is after it."""

    ticket_id: UUID
    escalation_id: UUID = Field(description="the escalation by which the ticket waits for it")
    task: TaskBrief

    def subject(self) -> str:
        return str(self.task.task_id)

    def key(self) -> str:
        return str(self.ticket_id)


class DevTaskLinked(DevTaskEvent):
    """The escalation has its task in a tracker."""

    type = "desk.dev-task.linked.v1"

    def told_apart_by(self) -> tuple[object, ...]:
        return (self.task.display_id,)


class DevTaskStatusChanged(DevTaskEvent):
    """Development moved the task."""

    type = "desk.dev-task.status-changed.v1"
    previous_status: Annotated[str, written(TaskStatus)]
    reason: Personal[str] | None = Field(default=None, description="what was said when it was moved")
