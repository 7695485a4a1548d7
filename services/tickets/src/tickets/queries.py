"""Reads: SQL to JSON. PostgreSQL writes the answers, so that nothing is parsed and built again on the way out."""

# ruff: noqa: S608 - every piece that is put into a statement is written in this file

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict

from shared.contracts.devlink import TaskStatus
from shared.contracts.envelope import Origin
from shared.contracts.sla import ClockKind
from shared.contracts.tickets import Channel, HoldReason, Kind, Level, Priority, Severity, Target
from shared.db.statement import sql
from shared.db.transaction import Reader
from shared.spelling import search_key, search_words
from tickets.domain.ticket import TicketNotFound
from tickets.domain.workflow import Status

Sort = Literal["opened", "due"]


class View(BaseModel):
    """Describes an answer that PostgreSQL writes; a test holds the two together."""

    model_config = ConfigDict(extra="forbid")


class Named(View):
    """A record of reference data. The name is null while its record has not arrived."""

    id: str
    name: str | None


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


class ResolutionView(View):
    """How the matter was settled."""

    code: str
    text: str
    at: AwareDatetime


class EnvironmentView(View):
    """What the client runs: `pending` until inventory has answered; `data` is what its event said."""

    state: Literal["pending", "resolved", "unknown"]
    data: dict[str, Any] | None


class ClockView(View):
    """One clock at `server_time`. `due_at` is null while paused; what is left is negative after the due."""

    id: UUID
    kind: ClockKind
    state: Literal["running", "paused", "breached", "met", "stopped"]
    due_at: AwareDatetime | None
    remaining_seconds: int
    since: AwareDatetime
    pause_reason: HoldReason | None
    target_seconds: int | None
    started_at: AwareDatetime | None
    contract_id: str | None
    warned_percent: int | None
    breached_at: AwareDatetime | None


class TaskView(View):
    """One task of Development. What the tracker calls it is null until the task is linked."""

    id: UUID
    escalation_id: UUID
    tracker: str | None
    external_id: str | None
    display_id: str | None
    url: str | None
    status: TaskStatus
    status_at: AwareDatetime
    tracker_status: str | None
    reason: str | None
    fix_version: str | None


class HistoryEntry(View):
    """One fact, whoever told it; `type` and `data` are those of the event in the published language."""

    position: int
    fact_id: UUID
    type: str
    source: str
    occurred_at: AwareDatetime
    recorded_at: AwareDatetime
    actor: str
    origin: Origin
    correlation_id: str
    causation_id: str | None
    corrects: UUID | None
    data: dict[str, Any]


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
    assignee: str | None
    reported_at: AwareDatetime
    opened_at: AwareDatetime


class NextDue(View):
    """The running clock that runs out first."""

    kind: ClockKind
    at: AwareDatetime
    remaining_seconds: int
    breached: bool


class TicketRow(TicketSummary):
    """One row of the list."""

    hold_reason: HoldReason | None
    next_due: NextDue | None


class TicketView(TicketSummary):
    """Everything about a ticket, from one question to one database."""

    severity_to_review: bool
    description: str
    reporter: str | None
    channel: Channel
    installation_id: str | None
    reported_late_reason: str | None
    opened_by: str
    first_responded_at: AwareDatetime | None
    hold: HoldView | None
    resolution: ResolutionView | None
    closed_at: AwareDatetime | None
    environment: EnvironmentView
    clocks: list[ClockView]
    tasks: list[TaskView]
    history: list[HistoryEntry]
    server_time: AwareDatetime


class ClientView(View):
    """A client as the desk knows it from inventory."""

    id: str
    name: str
    tax_id: str | None
    tier: str
    city: str | None
    contact: str | None
    phone: str | None


# A breach does not end a clock's course; it shows while the clock runs. What is paused or ended keeps its seconds.
_CLOCK_STATE = "CASE WHEN k.course = 'running' AND k.breached_at IS NOT NULL THEN 'breached' ELSE k.course END"
_CLOCK_REMAINING = (
    "CASE WHEN k.course = 'running' THEN floor(extract(epoch FROM k.due_at - :now))::bigint "
    "ELSE k.remaining_seconds END"
)
_NAMED = "json_build_object('id', {column}, 'name', (SELECT n.name FROM tickets.{table}s n WHERE n.id = {column}))"
_CLIENT = _NAMED.format(column="t.client_id", table="client")
_PRODUCT = f"CASE WHEN t.product_id IS NOT NULL THEN {_NAMED.format(column='t.product_id', table='product')} END"
_MODULE = f"CASE WHEN t.module_id IS NOT NULL THEN {_NAMED.format(column='t.module_id', table='module')} END"

_ENTRY = """json_build_object(
    'position', h.position, 'fact_id', h.fact_id, 'type', h.type, 'source', h.source, 'occurred_at', h.occurred_at,
    'recorded_at', h.recorded_at, 'actor', h.actor, 'origin', h.origin, 'correlation_id', h.correlation_id,
    'causation_id', h.causation_id, 'corrects', h.corrects, 'data', h.data)"""

_VIEW = sql(f"""
SELECT t.version, json_build_object(
    'id', t.id, 'number', t.number, 'version', t.version, 'status', t.status, 'kind', t.kind,
    'severity', t.severity, 'severity_to_review', t.severity_to_review, 'priority', t.priority,
    'immediate', t.severity = 1 AND t.priority = 1,
    'title', t.title, 'description', t.description, 'reporter', t.reporter, 'channel', t.channel,
    'groups', json_build_object('client', {_CLIENT}, 'product', {_PRODUCT}, 'module', {_MODULE}),
    'installation_id', t.installation_id,
    'level', t.level, 'target', t.target, 'assignee', t.assignee,
    'reported_at', t.reported_at, 'reported_late_reason', t.reported_late_reason,
    'opened_at', t.opened_at, 'opened_by', t.opened_by, 'first_responded_at', t.first_responded_at,
    'hold', CASE WHEN t.hold_reason IS NOT NULL THEN
        json_build_object('reason', t.hold_reason, 'note', t.hold_note, 'since', t.held_at) END,
    'resolution', CASE WHEN t.resolved_at IS NOT NULL THEN
        json_build_object('code', t.resolution_code, 'text', t.resolution_text, 'at', t.resolved_at) END,
    'closed_at', t.closed_at,
    'environment', COALESCE((SELECT json_build_object('state', e.state, 'data', e.data)
        FROM tickets.environments e WHERE e.ticket_id = t.id), '{{"state": "pending", "data": null}}'),
    'clocks', COALESCE((SELECT json_agg(json_build_object(
            'id', k.id, 'kind', k.kind, 'state', {_CLOCK_STATE},
            'due_at', CASE WHEN k.course <> 'paused' THEN k.due_at END, 'remaining_seconds', {_CLOCK_REMAINING},
            'since', k.course_at, 'pause_reason', k.pause_reason, 'target_seconds', k.target_seconds,
            'started_at', k.started_at, 'contract_id', k.contract_id, 'warned_percent', k.warned_percent,
            'breached_at', k.breached_at) ORDER BY k.kind DESC, k.id)
        FROM tickets.clocks k WHERE k.ticket_id = t.id AND k.course IS NOT NULL), '[]'),
    'tasks', COALESCE((SELECT json_agg(json_build_object(
            'id', d.id, 'escalation_id', d.escalation_id, 'tracker', d.tracker, 'external_id', d.external_id,
            'display_id', d.display_id, 'url', d.url, 'status', d.status, 'status_at', d.status_at,
            'tracker_status', d.tracker_status, 'reason', d.reason, 'fix_version', d.fix_version) ORDER BY d.id)
        FROM tickets.tasks d WHERE d.ticket_id = t.id), '[]'),
    'history', COALESCE((SELECT json_agg({_ENTRY} ORDER BY h.occurred_at, h.position)
        FROM tickets.history h WHERE h.ticket_id = t.id), '[]'),
    'server_time', CAST(:now AS timestamptz))::text AS view
FROM tickets.tickets t WHERE t.id = :id
""")

_HISTORY = """
SELECT h.position, {entry}::text AS entry
  FROM tickets.tickets t LEFT JOIN tickets.history h ON h.ticket_id = t.id {after}
 WHERE t.id = :id ORDER BY h.position LIMIT :limit
"""
_HISTORY_FIRST = sql(_HISTORY.format(entry=_ENTRY, after=""))
_HISTORY_NEXT = sql(_HISTORY.format(entry=_ENTRY, after="AND h.position > :after"))

# The next instant at which a running clock has run out; a ticket whose clocks all rest comes last.
_NEXT_DUE = """LEFT JOIN LATERAL (
    SELECT k.due_at, k.kind, k.breached_at FROM tickets.clocks k
     WHERE k.ticket_id = t.id AND k.course = 'running' ORDER BY k.due_at LIMIT 1) next ON true"""
_RESTING = "COALESCE(next.due_at, 'infinity'::timestamptz)"

_ROW = f"""json_build_object(
    'id', t.id, 'number', t.number, 'version', t.version, 'status', t.status, 'kind', t.kind, 'severity', t.severity,
    'priority', t.priority, 'immediate', t.severity = 1 AND t.priority = 1, 'title', t.title,
    'groups', json_build_object('client', {_CLIENT}, 'product', {_PRODUCT}, 'module', {_MODULE}),
    'level', t.level, 'target', t.target, 'assignee', t.assignee, 'hold_reason', t.hold_reason,
    'reported_at', t.reported_at, 'opened_at', t.opened_at,
    'next_due', CASE WHEN next.due_at IS NOT NULL THEN json_build_object('kind', next.kind, 'at', next.due_at,
        'remaining_seconds', floor(extract(epoch FROM next.due_at - :now))::bigint,
        'breached', next.breached_at IS NOT NULL) END)"""

_CLIENTS = """
SELECT c.name_key, c.id, json_build_object(
    'id', c.id, 'name', c.name, 'tax_id', c.tax_id, 'tier', c.tier, 'city', c.city, 'contact', c.contact,
    'phone', c.phone)::text AS client
  FROM tickets.clients c
 WHERE NOT c.retired AND {conditions}
 ORDER BY c.name_key, c.id LIMIT :limit
"""
# A word of a question, which has no spaces and no punctuation, is looked for in what has none either.
_NAMES_CLIENT = (
    "(replace(c.name_key, ' ', '') LIKE {word} OR replace(c.id, '-', '') LIKE {word} OR c.tax_key LIKE {word})"
)


@dataclass(frozen=True, slots=True)
class TicketFilter:
    """What a list is narrowed to; None means everything. `q` is a number or a part of a title."""

    status: Sequence[str] | None = None
    client: str | None = None
    product: str | None = None
    module: str | None = None
    level: int | None = None
    target: str | None = None
    assignee: str | None = None
    severity: int | None = None
    q: str | None = None


# Each filter of TicketFilter as a condition.
_CONDITIONS = {
    "status": "t.status = ANY (CAST(:status AS text[]))",
    "client": "t.client_id = :client",
    "product": "t.product_id = :product",
    "module": "t.module_id = :module",
    "level": "t.level = :level",
    "target": "t.target = :target",
    "assignee": "t.assignee = :assignee",
    "severity": "t.severity = :severity",
    "q": "(t.number = :number OR t.title_key LIKE :pattern)",
}
_AFTER = {
    "opened": "(t.opened_at, t.id) < (:after_at, :after_id)",
    "due": f"({_RESTING}, t.id) > (COALESCE(CAST(:after_at AS timestamptz), 'infinity'), :after_id)",
}
_ORDER = {"opened": "t.opened_at DESC, t.id DESC", "due": f"{_RESTING}, t.id"}


async def view_ticket(connection: Reader, id: UUID, now: datetime) -> tuple[int, str]:
    """Version and whole view of a ticket as JSON, from one statement. Raises TicketNotFound."""
    row = await connection.fetch_first(_VIEW, {"id": id, "now": now})
    if row is None:
        raise TicketNotFound(f"there is no ticket {id}: look it up with GET /v1/tickets?q=…")
    return row.version, row.view


async def list_tickets(
    connection: Reader,
    wanted: TicketFilter,
    *,
    sort: Sort,
    after: tuple[datetime | None, UUID] | None,
    limit: int,
    now: datetime,
) -> list[tuple[datetime | None, UUID, str]]:
    """At most `limit` rows after a sort key, as (sort instant, id, JSON).

    Sorted by `opened`, the newest first, or by `due`, the next instant at which a running clock runs out; that is None
    for tickets without one, which come last.
    """
    given = {one.name: getattr(wanted, one.name) for one in fields(wanted) if getattr(wanted, one.name) is not None}
    conditions = [_CONDITIONS[name] for name in given]
    values: dict[str, Any] = {**given, "now": now, "limit": limit}
    if wanted.q is not None:
        del values["q"]
        values |= {"number": _number(wanted.q), "pattern": _pattern(wanted.q)}
    if after is not None:
        conditions.append(_AFTER[sort])
        values |= {"after_at": after[0], "after_id": after[1]}
    statement = sql(
        f"SELECT {'t.opened_at' if sort == 'opened' else 'next.due_at'} AS at, t.id, {_ROW}::text AS row "
        f"FROM tickets.tickets t {_NEXT_DUE} WHERE {' AND '.join(conditions) or 'true'} "
        f"ORDER BY {_ORDER[sort]} LIMIT :limit"
    )
    return [(row.at, row.id, row.row) for row in await connection.fetch(statement, values)]


async def page_history(connection: Reader, id: UUID, *, after: tuple[int] | None, limit: int) -> list[tuple[int, str]]:
    """At most `limit` entries of a ticket's history as (position, JSON), in the order in which they were recorded.

    By the time of the facts, one that is told late would stand on a page that was read already. Raises TicketNotFound.
    """
    values: dict[str, Any] = {"id": id, "limit": limit}
    if after is None:
        rows = await connection.fetch(_HISTORY_FIRST, values)
    else:
        rows = await connection.fetch(_HISTORY_NEXT, values | {"after": after[0]})
    if not rows:
        raise TicketNotFound(f"there is no ticket {id}: look it up with GET /v1/tickets?q=…")
    return [(row.position, row.entry) for row in rows if row.position is not None]


async def find_clients(
    connection: Reader, q: str | None, *, after: tuple[str, str] | None, limit: int
) -> list[tuple[str, str, str]]:
    """At most `limit` clients whose name, id or tax id holds every word of `q`, as (name key, id, JSON), by name."""
    words = search_words(q or "")
    conditions = [_NAMES_CLIENT.format(word=f":word{index}") for index in range(len(words))]
    values: dict[str, Any] = {f"word{index}": f"%{_literal(word)}%" for index, word in enumerate(words)}
    if after is not None:
        conditions.append("(c.name_key, c.id) > (:after_name, :after_id)")
        values |= {"after_name": after[0], "after_id": after[1]}
    statement = sql(_CLIENTS.format(conditions=" AND ".join(conditions) or "true"))
    return [(row.name_key, row.id, row.client) for row in await connection.fetch(statement, values | {"limit": limit})]


def _number(q: str) -> str:
    """`42`, `t-42` and `T-000042` are the same number to whoever types it."""
    digits = q.strip().upper().removeprefix("T-")
    return f"T-{int(digits):06d}" if digits.isascii() and digits.isdigit() else q


def _pattern(q: str) -> str:
    return f"%{_literal(search_key(q))}%"


def _literal(word: str) -> str:
    """The text as LIKE takes it literally."""
    return word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
