"""One row of a list: what a queue shows of a ticket, so that nobody has to ask for each."""

# ruff: noqa: S608 - every piece that is put into a statement is written in this package

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, Literal, get_args

from pydantic import AwareDatetime, Field

from shared.contracts.codes import written
from shared.contracts.devlink import TaskStatus
from shared.contracts.sla import ClockKind
from shared.contracts.tickets import HoldReason
from tickets.queries.tickets import (
    CLOCK_REMAINING,
    CLOCK_STATE,
    CLOCKS,
    ENVIRONMENT,
    OF_TICKET,
    SUMMARY,
    TASKS,
    AttentionView,
    ClockView,
    EnvironmentView,
    ParticipantView,
    TaskView,
    TicketSummary,
)
from tickets.queries.written import View, object_of

Included = Literal["description", "participants", "environment", "clocks", "tasks"]


class NextDue(View):
    """The running clock that runs out first."""

    kind: Annotated[str, written(ClockKind)]
    at: AwareDatetime
    remaining_seconds: int
    breached: bool


class ClockShort(View):
    """A clock at `server_time`, as in the view of the ticket."""

    state: str = Field(description="in one word, as in the view of the ticket", examples=["running"])
    due_at: AwareDatetime | None
    remaining_seconds: int
    breached: bool = Field(description="it has run out, whatever became of it afterwards")


class EnvironmentShort(View):
    """What the client runs: the version, and how many of its modules were made for it."""

    state: Literal["pending", "resolved", "unknown"]
    version: str | None
    customised_modules: int | None


class TaskShort(View):
    """Where Development is."""

    display_id: str
    status: Annotated[str, written(TaskStatus)]
    status_at: AwareDatetime
    fix_version: str | None


class RowMore(View):
    """What `include` asked for, as it is in the view of the ticket; null is what it did not ask for."""

    description: str | None
    participants: list[ParticipantView] | None
    environment: EnvironmentView | None
    clocks: list[ClockView] | None
    tasks: list[TaskView] | None


class TicketRow(TicketSummary):
    """One row of the list."""

    hold_reason: HoldReason | None
    wake_at: AwareDatetime | None = Field(description="when the hold ends by itself, at the latest")
    updated_at: AwareDatetime = Field(description="when somebody did something to it last")
    clocks: Literal["pending", "running", "paused", "ended"] = Field(
        description="`pending` until sla has answered; `running` while one runs, then `next_due` is when it runs out"
    )
    next_due: NextDue | None
    response: ClockShort | None = Field(description="null while sla has not answered; of several the latest cycle's")
    resolution: ClockShort | None
    environment: EnvironmentShort
    task: TaskShort | None = Field(description="the task of Development that was moved last")
    attention: list[AttentionView] = Field(description="what it calls for, and whom")
    more: RowMore | None = Field(description="what `include` asked for; null without it")


def _clock(kind: str) -> str:
    short = object_of(
        ClockShort,
        "k",
        state=CLOCK_STATE,
        remaining_seconds=CLOCK_REMAINING,
        breached="k.breached_at IS NOT NULL",
    )
    return f"""(SELECT {short} FROM tickets.clocks k WHERE k.ticket_id = t.id AND k.kind = '{kind}'
                 ORDER BY k.cycle DESC, k.due_at, k.id LIMIT 1)"""


_NEXT_DUE = object_of(
    NextDue,
    "o",
    kind="o.due_kind",
    at="o.due_at",
    remaining_seconds="floor(extract(epoch FROM o.due_at - :now))::bigint",
    breached="o.due_breached",
)
_CUSTOMISED = """CASE WHEN e.state = 'resolved' THEN (
    SELECT count(*) FROM jsonb_array_elements(e.data -> 'modules') m WHERE m ->> 'nature' = 'customised') END"""
_SHORT = object_of(EnvironmentShort, "e", version="e.data ->> 'product_version'", customised_modules=_CUSTOMISED)
_ENVIRONMENT = f"""COALESCE(
    (SELECT {_SHORT} FROM {OF_TICKET}),
    '{{"state": "pending", "version": null, "customised_modules": null}}')"""
_TASK = f"""(SELECT {object_of(TaskShort, "d")} FROM tickets.tasks d WHERE d.ticket_id = t.id
              ORDER BY d.status_at DESC, d.id DESC LIMIT 1)"""
_MORE = {
    "description": "t.description",
    "participants": "t.participants",
    "environment": ENVIRONMENT,
    "clocks": CLOCKS,
    "tasks": TASKS,
}


def row_of(include: Collection[Included]) -> str:
    """The SQL of the row of a ticket `t`, whose row in the queue is `o`, with what else is asked for."""
    more = {name: _MORE[name] if name in include else "NULL" for name in get_args(Included)}
    return object_of(
        TicketRow,
        "t",
        **SUMMARY,
        updated_at="t.last_fact_at",
        clocks="COALESCE(o.clocks, 'ended')",
        next_due=f"CASE WHEN o.due_at IS NOT NULL THEN {_NEXT_DUE} END",
        response=_clock("response"),
        resolution=_clock("resolution"),
        environment=_ENVIRONMENT,
        task=_TASK,
        more=object_of(RowMore, "t", **more) if include else "NULL",
    )
