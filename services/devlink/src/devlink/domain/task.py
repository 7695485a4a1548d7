"""A task of Development on the built-in board: its states, and what each move needs and causes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import get_args
from uuid import UUID

from shared.contracts.devlink import DevTaskStatusChanged, TaskBrief, TaskStatus
from shared.errors import Conflict, Invalid

# The connection's code of the built-in board.
BOARD = "board"
STATUSES: tuple[TaskStatus, ...] = get_args(TaskStatus)

# Where a task may go from each state. Backwards: work turns out unfinished (in_review, fixed -> in_progress), is put
# back (in_progress -> triaged), or was declined too soon (declined -> triaged). What was released stays released.
TRANSITIONS: Mapping[TaskStatus, frozenset[TaskStatus]] = {
    "new": frozenset({"triaged", "declined"}),
    "triaged": frozenset({"in_progress", "declined"}),
    "in_progress": frozenset({"in_review", "triaged", "declined"}),
    "in_review": frozenset({"fixed", "in_progress", "declined"}),
    "fixed": frozenset({"released", "in_progress"}),
    "released": frozenset(),
    "declined": frozenset({"triaged"}),
}


def display_id(number: int) -> str:
    """What developers call the task of this number: 17 is DEV-17."""
    return f"DEV-{number}"


class MoveNotPossible(Conflict):
    """The board has no such move."""

    code = "move-not-possible"
    title = "The task cannot be moved there from where it is"


class ReasonNeeded(Invalid):
    """A task is declined only with a reason: support has to tell the client something."""

    code = "reason-needed"
    title = "Declining a task needs a reason"


class FixVersionNeeded(Invalid):
    """A task is released only in a version: support has to say which one to install."""

    code = "fix-version-needed"
    title = "Releasing a task needs the version that carries the fix"


@dataclass(frozen=True)
class Link:
    """A ticket that waits for the task, by the escalation that asked for it."""

    ticket_id: UUID
    escalation_id: UUID


@dataclass(frozen=True)
class Change:
    """One field of a task before and after, as its trace tells it."""

    field: str
    old: str | None
    new: str | None


@dataclass
class Task:
    """One task. `version` goes up once per command that changes it; `changes` are what the present command changed.

    `changed_at` is when the last change was recorded: the next one comes after it.
    """

    id: UUID
    number: int
    status: TaskStatus
    status_at: datetime
    assignee: str | None
    fix_version: str | None
    declined_reason: str | None
    version: int
    changed_at: datetime
    links: tuple[Link, ...]
    changes: list[Change] = field(default_factory=list)

    @classmethod
    def new(cls, id: UUID, number: int, at: datetime) -> Task:
        """A task that was just put on the board."""
        return cls(id, number, "new", at, None, None, None, version=1, changed_at=at, links=())

    def move(
        self, to: TaskStatus, *, reason: str | None, fix_version: str | None, url: str, at: datetime
    ) -> list[DevTaskStatusChanged]:
        """Moves the task to another column; one event per linked ticket.

        A fix version once said stays known, so `released` needs it only where it was not said at `fixed`. Work that is
        taken up again forgets it. Raises MoveNotPossible, ReasonNeeded, FixVersionNeeded.
        """
        before = self.status
        if to not in TRANSITIONS[before]:
            raise MoveNotPossible(_where_to(before, to), status=before, possible=_in_order(TRANSITIONS[before]))
        if to == "declined" and not reason:
            raise ReasonNeeded("Say in reason why Development declines the task: the client will be told.")
        known_version = fix_version or self.fix_version
        if to == "released" and not known_version:
            raise FixVersionNeeded("Say in fix_version which version carries the fix: it is what clients install.")
        self._set("status", to)
        self.status_at = at
        self._set("declined_reason", reason if to == "declined" else None)
        self._set("fix_version", known_version if to in ("fixed", "released") else fix_version)
        if reason and to != "declined":
            self.changes.append(Change("reason", None, reason))
        self.version += 1
        brief = self.brief(url)
        return [
            DevTaskStatusChanged(
                ticket_id=link.ticket_id,
                escalation_id=link.escalation_id,
                task=brief,
                previous_status=before,
                reason=reason,
            )
            for link in self.links
        ]

    def assign(self, assignee: str | None) -> bool:
        """Gives the task to somebody, or with None back to nobody; False when it already was so."""
        if assignee == self.assignee:
            return False
        self._set("assignee", assignee)
        self.version += 1
        return True

    def _set(self, name: str, value: str | None) -> None:
        old = getattr(self, name)
        if old != value:
            self.changes.append(Change(name, old, value))
            setattr(self, name, value)

    def brief(self, url: str) -> TaskBrief:
        """The task as every event carries it, with its address. The board has no names of its own for its statuses."""
        return TaskBrief(
            task_id=self.id,
            tracker=BOARD,
            external_id=str(self.id),
            display_id=display_id(self.number),
            url=url,
            status=self.status,
            status_at=self.status_at,
            tracker_status=self.status,
            declined_reason=self.declined_reason,
            fix_version=self.fix_version,
        )


def _in_order(statuses: frozenset[TaskStatus]) -> list[TaskStatus]:
    return [status for status in STATUSES if status in statuses]


def _where_to(before: TaskStatus, to: TaskStatus) -> str:
    if before == to:
        return f"The task is already {to}."
    possible = _in_order(TRANSITIONS[before])
    if not possible:
        return f"The task is {before}, and that is its end."
    return f"The task is {before}: from there it can only become {' or '.join(possible)}."
