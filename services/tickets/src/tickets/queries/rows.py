"""One row of a list: what a queue shows of a ticket, so that nobody has to ask for each."""

# ruff: noqa: S608 - every piece that is put into a statement is written in this package

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field

from shared.contracts.codes import written
from shared.contracts.devlink import TaskStatus
from shared.contracts.tickets import HoldReason
from shared.db.transaction import Reader, Row
from tickets.queries.clocks import TOLD, ClockShort, ClockView, NextDue, in_short, read_clocks
from tickets.queries.tickets import (
    ENVIRONMENT,
    OF_TICKET,
    SUMMARY,
    TASKS,
    AttentionView,
    EnvironmentView,
    ParticipantView,
    TaskView,
    TicketSummary,
)
from tickets.queries.written import View, object_of, spliced

Included = Literal["description", "participants", "environment", "clocks", "tasks"]


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
    "tasks": TASKS,
}


# Of a row everything but its clocks and what else is asked for, which are told beside it.
_ROW = object_of(
    TicketRow,
    "t",
    left_out=("next_due", "response", "resolution", "more"),
    **SUMMARY,
    updated_at="t.last_fact_at",
    clocks="COALESCE(o.clocks, 'ended')",
    environment=_ENVIRONMENT,
    task=_TASK,
)


def columns_of(include: Collection[Included]) -> str:
    """The SQL of what `write_rows` reads of a ticket `t`, whose row in the queue is `o`."""
    asked = {name: written if name in include else "NULL" for name, written in _MORE.items()}
    more = object_of(RowMore, "t", left_out=("clocks",), **asked) if include else "NULL"
    return f"{_ROW}::text AS row, {more}::text AS more, {TOLD} AS told, o.id IS NOT NULL AS is_queued"


async def write_rows(
    connection: Reader, found: Sequence[Row], include: Collection[Included], now: datetime
) -> list[str]:
    """The JSON of the rows of a list, with what its clocks show at an instant and what else was asked for."""
    rows = []
    for row, clocks in zip(found, await read_clocks(connection, (each.told for each in found), now), strict=True):
        more = row.more and spliced(row.more, {"clocks": clocks if "clocks" in include else None})
        shown = spliced(row.row, in_short(clocks, is_queued=row.is_queued))
        rows.append(f'{shown[:-1]}, "more": {more or "null"}}}')
    return rows
