"""Reads tickets: what every list shows of one, and the whole view of one."""

# ruff: noqa: S608 - every piece that is put into a statement is written in this file

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, Literal, get_args
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, Field

from shared.contracts.codes import written
from shared.contracts.devlink import TaskStatus
from shared.contracts.tickets import (
    Addressee,
    AttentionReason,
    Channel,
    HoldReason,
    Kind,
    Level,
    ParticipantRole,
    Priority,
    Relation,
    Severity,
    Status,
    Target,
)
from shared.db.statement import sql
from shared.db.transaction import Reader
from tickets.domain.completing import Naming
from tickets.domain.link import COUNTERPART, LinkKind
from tickets.domain.possible import Standing, possibilities
from tickets.domain.ticket import TicketNotFound
from tickets.domain.workflow import Action
from tickets.queries import history
from tickets.queries.clocks import TOLD, ClockView, read_clocks
from tickets.queries.history import HistoryEntry
from tickets.queries.written import Named, View, array_of, object_of, spliced
from tickets.repository.queue import IMMEDIATE


class GroupsView(View):
    """Client, product and module; null is what the caller could not say."""

    client: Named
    product: Named | None
    module: Named | None


class HoldView(View):
    """Why the work rests."""

    reason: HoldReason
    note: str
    since: AwareDatetime
    wake_at: AwareDatetime | None


class ParticipantView(BaseModel):
    """Somebody who takes part beside owner and assignee."""

    person_id: str
    role: Annotated[str, written(ParticipantRole)]
    since: AwareDatetime


class AttentionView(BaseModel):
    """Why the ticket calls somebody, and whom."""

    reason: Annotated[str, written(AttentionReason)]
    addressee: Annotated[str, written(Addressee)]
    since: AwareDatetime


class ActionView(BaseModel):
    """One action for the caller: allowed, or the code and the words of the problem that it would meet."""

    action: Action
    allowed: bool
    code: str | None
    problem: str | None


class ResolutionView(View):
    """How the matter was settled."""

    code: str
    text: str
    at: AwareDatetime


class ImpactView(BaseModel):
    """What the caller answered to the two questions, 1 the worst; null is «no sé»."""

    operational: int | None
    economic: int | None


class AnswerView(BaseModel):
    """What the caller said to one question of the category; null is «no sé»."""

    question: str
    text: str | None


class EnvironmentView(View):
    """What the client runs: `pending` until inventory has answered; `data` is what its event said.

    Its `classification` is the version of the ticket that named what it was found by.
    """

    state: Literal["pending", "resolved", "unknown"]
    data: dict[str, Any] | None


class TaskView(View):
    """One task of Development."""

    id: UUID
    escalation_id: UUID
    tracker: str
    external_id: str
    display_id: str
    url: str
    status: Annotated[str, written(TaskStatus)]
    status_at: AwareDatetime
    tracker_status: str
    declined_reason: str | None
    fix_version: str | None


class RelatedView(View):
    """Another ticket that this one has to do with."""

    relation: Annotated[str, written(Relation)] = Field(description="what this ticket is to that one")
    id: UUID
    number: str
    title: str
    status: Status
    link_id: UUID
    linked_at: AwareDatetime
    linked_by: str
    reason: str | None


class TicketSummary(View):
    """What every list of tickets shows."""

    id: UUID
    number: str
    version: int
    status: Status
    kind: Kind
    severity: Severity
    priority: Priority
    immediate: bool
    title: str
    groups: GroupsView
    level: Level
    target: Target | None
    team: str | None
    team_name: str | None
    owner: str
    owner_name: str | None
    assignee: str | None
    assignee_name: str | None
    reported_at: AwareDatetime
    opened_at: AwareDatetime


class TicketView(TicketSummary):
    """Everything about a ticket, from one question to one database."""

    impact: ImpactView
    severity_derived: Severity | None = Field(description="what followed from the impact; null before it was asked")
    severity_reason: str | None = Field(description="why another severity was chosen")
    severity_to_review: bool
    priority_derived: Priority | None = Field(description="what followed from the client's conditions")
    priority_reason: str | None = Field(description="why another priority was chosen")
    priority_rule: str | None = Field(description="the rule of the scheme that gave the derived priority")
    urgency_scheme: str | None
    reopenings: int
    category: Named | None
    answers: list[AnswerView]
    description: str
    reporter: str | None
    channel: Channel
    installation_id: str | None
    reported_late_reason: str | None
    opened_by: str
    first_responded_at: AwareDatetime | None
    participants: list[ParticipantView]
    attention: list[AttentionView] = Field(description="what it calls for; whatever the addressee does answers it")
    hold: HoldView | None
    resolution: ResolutionView | None
    reopenable_until: AwareDatetime | None = Field(
        description="until when a resolved or closed ticket may be reopened: so many business days of its contract "
        "after the resolution"
    )
    closes_at: AwareDatetime | None = Field(description="when a resolved ticket closes by itself; likewise")
    closed_at: AwareDatetime | None
    cancelled_at: AwareDatetime | None
    environment: EnvironmentView
    earlier_environments: list[EnvironmentView] = Field(
        description="what was frozen before product, module or installation were named, the first one first"
    )
    clocks: list[ClockView]
    tasks: list[TaskView]
    related: list[RelatedView] = Field(description="tickets that it is linked to, the first link first")
    history: list[HistoryEntry] = Field(description=f"the last {history.SHOWN} facts, by when they happened")
    history_goes_on: bool = Field(description="there are earlier facts: all of them are at GET …/history")
    server_time: AwareDatetime


class TicketForCaller(TicketView):
    """The same, and what this caller may do to it now."""

    actions: list[ActionView]


def _named(table: str, column: str) -> str:
    return object_of(Named, "n", id=column, name=_name(table, column))


def _name(table: str, column: str) -> str:
    """The name of what a column names, if it has one."""
    return f"(SELECT n.name FROM tickets.{table} n WHERE n.id = {column})"


def _where(column: str, written: str) -> str:
    """What is written where the column has a value, and null elsewhere."""
    return f"CASE WHEN {column} IS NOT NULL THEN {written} END"


# What of a ticket `t` is more than its column, for every answer that has a TicketSummary in it.
SUMMARY = {
    "immediate": IMMEDIATE,
    "groups": object_of(
        GroupsView,
        "t",
        client=_named("clients", "t.client_id"),
        product=_where("t.product_id", _named("products", "t.product_id")),
        module=_where("t.module_id", _named("modules", "t.module_id")),
    ),
    "team_name": _name("teams", "t.team"),
    "owner_name": _name("people", "t.owner"),
    "assignee_name": _name("people", "t.assignee"),
}

_HOLD = object_of(HoldView, "t", reason="t.hold_reason", note="t.hold_note", since="t.held_at", wake_at="t.wake_at")
_RESOLUTION = object_of(ResolutionView, "t", code="t.resolution_code", text="t.resolution_text", at="t.resolved_at")
# The environment `e` of a ticket, for every answer that shows something of it.
OF_TICKET = "tickets.environments e WHERE e.ticket_id = t.id AND e.classification = t.classification"
ENVIRONMENT = f"""COALESCE(
    (SELECT {object_of(EnvironmentView, "e")} FROM {OF_TICKET}),
    '{{"state": "pending", "data": null}}')"""
TASKS = array_of(object_of(TaskView, "d"), "d.id", "tickets.tasks d WHERE d.ticket_id = t.id")
_RELATION = " ".join(f"WHEN '{kind}' THEN '{COUNTERPART[kind]}'" for kind in get_args(LinkKind))
_RELATED = object_of(
    RelatedView,
    "o",
    relation=f"CASE WHEN l.from_id = t.id THEN l.kind ELSE CASE l.kind {_RELATION} END END",
    link_id="l.id",
    linked_at="l.linked_at",
    linked_by="l.linked_by",
    reason="l.reason",
)
_LINKS = """(SELECT l.* FROM tickets.links l WHERE l.from_id = t.id AND l.unlinked_at IS NULL
             UNION ALL SELECT l.* FROM tickets.links l WHERE l.to_id = t.id AND l.unlinked_at IS NULL) l
    JOIN tickets.tickets o ON o.id = CASE WHEN l.from_id = t.id THEN l.to_id ELSE l.from_id END"""
# Everything but its clocks, which are told beside it.
_TICKET = object_of(
    TicketView,
    "t",
    left_out=("clocks",),
    **SUMMARY,
    category=_where("t.category", _named("categories", "t.category")),
    hold=_where("t.hold_reason", _HOLD),
    resolution=_where("t.resolved_at", _RESOLUTION),
    environment=ENVIRONMENT,
    earlier_environments=array_of(
        object_of(EnvironmentView, "e"),
        "e.classification",
        "tickets.environments e WHERE e.ticket_id = t.id AND e.classification < t.classification",
    ),
    tasks=TASKS,
    related=array_of(_RELATED, "l.linked_at, l.id", _LINKS),
    history=history.LAST,
    history_goes_on=history.MORE,
    server_time="CAST(:now AS timestamptz)",
)
_STANDING = (
    f"t.number, t.status, t.level, t.target, {IMMEDIATE} AS immediate, t.reopenable_until, "
    "t.product_id, t.module_id, t.installation_id"
)
VIEW = sql(
    f"SELECT t.version, {_STANDING}, {_TICKET}::text AS view, {TOLD} AS clocks FROM tickets.tickets t WHERE t.id = :id"
)


async def view_ticket(connection: Reader, id: UUID, now: datetime, permitted: Collection[str]) -> tuple[int, str]:
    """Version and whole view of a ticket at an instant, as JSON; what may be done to it then with these permissions.

    Raises TicketNotFound.
    """
    row = await connection.fetch_first(VIEW, {"id": id, "now": now})
    if row is None:
        raise TicketNotFound(f"there is no ticket {id}: look it up with GET /v1/tickets?q=…")
    named = Naming(row.product_id, row.module_id, row.installation_id)
    standing = Standing(row.number, row.status, row.level, row.target, row.immediate, row.reopenable_until, now, named)
    (clocks,) = await read_clocks(connection, [row.clocks], now)
    beside = {"clocks": clocks, "actions": [asdict(one) for one in possibilities(standing, permitted)]}
    return row.version, spliced(row.view, beside)
