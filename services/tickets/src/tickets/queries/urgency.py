"""Reads urgency: the schemes with what differs from the shipped one, and what answers would give, with why."""

# ruff: noqa: S608 - every piece that is put into a statement is written in this package

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, Field

from shared.contract_choice import Choice, Standing
from shared.contracts.tickets import ImpactAnswers, Kind, Priority, Severity
from shared.db.statement import query
from shared.db.transaction import Reader, Row
from tickets.documents import SchemeTerms
from tickets.domain.contract import KnownContract
from tickets.domain.grouping import Asked, KnownClient, known_client, resolve_groups
from tickets.domain.scheme import Assessed, NoSuchScheme, Scheme, check_sense
from tickets.domain.shipped import differing
from tickets.domain.ticket import TicketNotFound
from tickets.domain.urgency import (
    Stated,
    Urgency,
    facts_of,
    needs_immediate_attention,
    require_scheme,
    settle,
)
from tickets.repository.tickets import read_known
from tickets.repository.urgency import LATEST_SHIPPED, scheme_of

State = Literal["planned", "in-force", "past"]


class SchemeView(SchemeTerms):
    """A scheme of urgency. In force it stays as it is; a planned one may be changed until then."""

    id: str
    valid_from: AwareDatetime
    valid_until: AwareDatetime | None = Field(description="when the next one begins")
    state: State
    differs_from_shipped: list[str] = Field(
        description="the entries that are not as they were shipped: `matrix`, `rule:…`, `shift:…`"
    )
    version: int
    changed_at: AwareDatetime
    changed_by: str


class SchemesView(BaseModel):
    """Every scheme, the one that began first, first."""

    schemes: list[SchemeView]


class DecidedBy(BaseModel):
    """A rule or a shift that made the priority what it is."""

    id: str
    says: str


class ContractChoice(BaseModel):
    """The contract that a ticket would fall under, and how it stands then."""

    id: str | None
    contract_type: str | None
    standing: Standing
    says: str


class UrgencyPreview(BaseModel):
    """What answers give: what follows, what would hold, and why."""

    severity: Severity
    severity_derived: Severity
    severity_to_review: bool = Field(description="something was not known: level 2 looks at it")
    priority: Priority
    priority_derived: Priority
    immediate: bool = Field(description="P1/S1: attended at once")
    rule: DecidedBy
    shifts: list[DecidedBy]
    contract: ContractChoice
    scheme: str | None = Field(description="null: the draft of the request")
    why: list[str]


@dataclass(frozen=True, slots=True)
class Wondered:
    """What somebody wonders about: a ticket as it might be opened."""

    asked: Asked
    kind: Kind
    reported_at: datetime
    stated: Stated


_SCHEMES = query(f"""
    SELECT u.*, lead(u.valid_from) OVER (ORDER BY u.valid_from) AS valid_until, {LATEST_SHIPPED} AS shipped
      FROM tickets.urgency_schemes u ORDER BY u.valid_from
""")
_TICKET = query("SELECT client_id, product_id, module_id, kind, impact, reopenings FROM tickets.tickets WHERE id = :id")


async def list_schemes(connection: Reader, now: datetime) -> list[SchemeView]:
    """Every scheme by its beginning, at an instant."""
    return [_shown(row, row.shipped, now) for row in await connection.fetch(_SCHEMES)]


async def view_scheme(connection: Reader, id: str, now: datetime) -> SchemeView:
    """One scheme. Raises NoSuchScheme."""
    for one in await list_schemes(connection, now):
        if one.id == id:
            return one
    raise NoSuchScheme(f"there is no scheme {id}: look it up with GET /v1/urgency/schemes")


async def preview_urgency(connection: Reader, wondered: Wondered, draft: SchemeTerms | None) -> UrgencyPreview:
    """What a ticket would have, by the scheme in force when the client reported, or by a draft; nothing is stored.

    Raises ReasonMissing, UnknownReference, GroupsDoNotFit, NoScheme, MatrixMakesNoSense or RulesMakeNoSense.
    """
    _, known, _, in_force = await read_known(connection, wondered.asked, wondered.reported_at, opens=False)
    groups = resolve_groups(wondered.asked, known)
    client = known_client(wondered.asked, known)
    facts, choice = facts_of(client.tier, client.contracts, groups.product_id, wondered.kind, wondered.reported_at)
    if draft is not None:
        scheme = scheme_of("draft", wondered.reported_at, draft.terms())
        check_sense(scheme)
    else:
        scheme = require_scheme(in_force, wondered.reported_at)
    judged, assessed = settle(scheme, wondered.stated, facts), scheme.priority_of(facts)
    return _previewed(scheme, judged, assessed, _contract(choice), drafted=draft is not None)


async def judge_today(connection: Reader, ticket_id: UUID, now: datetime) -> UrgencyPreview:
    """What a ticket that there is would be given now: by today's scheme and contracts, and what happened to it since.

    Raises TicketNotFound, NoScheme.
    """
    row = await connection.fetch_first(_TICKET, {"id": ticket_id})
    if row is None:
        raise TicketNotFound(f"there is no ticket {ticket_id}: look it up with GET /v1/tickets?q=…")
    asked = Asked(row.client_id, row.product_id, row.module_id, None)
    _, known, _, in_force = await read_known(connection, asked, now, opens=False)
    client = known.client or KnownClient(tier="", retired=False, contracts=())
    facts, choice = facts_of(client.tier, client.contracts, row.product_id, row.kind, now)
    facts = replace(facts, reopenings=row.reopenings)
    scheme = require_scheme(in_force, now)
    judged = settle(scheme, Stated(ImpactAnswers(**row.impact)), facts)
    return _previewed(scheme, judged, scheme.priority_of(facts), _contract(choice), drafted=False)


def _previewed(
    scheme: Scheme, judged: Urgency, assessed: Assessed, contract: ContractChoice, *, drafted: bool
) -> UrgencyPreview:
    return UrgencyPreview(
        severity=judged.severity,
        severity_derived=judged.severity_derived,
        severity_to_review=judged.severity_to_review,
        priority=judged.priority,
        priority_derived=judged.priority_derived,
        immediate=needs_immediate_attention(judged.severity, judged.priority),
        rule=DecidedBy(id=assessed.rule.id, says=assessed.rule.says),
        shifts=[DecidedBy(id=one.id, says=one.says) for one in assessed.shifts],
        contract=contract,
        scheme=None if drafted else scheme.id,
        why=[_why_severity(scheme, judged.impact), *_why_priority(assessed), contract.says],
    )


def _shown(row: Row, shipped: Mapping[str, Any] | None, now: datetime) -> SchemeView:
    state: State = "planned" if row.valid_from > now else "in-force"
    if row.valid_until is not None and row.valid_until <= now:
        state = "past"
    return SchemeView(
        **row.terms,
        id=row.id,
        valid_from=row.valid_from,
        valid_until=row.valid_until,
        state=state,
        differs_from_shipped=differing(row.terms, shipped),
        version=row.version,
        changed_at=row.changed_at,
        changed_by=row.changed_by,
    )


def _contract(choice: Choice[KnownContract]) -> ContractChoice:
    contract = choice.contract
    if contract is None:
        told = "no contract applies: the targets are those of básico"
        return ContractChoice(id=None, contract_type=None, standing=choice.standing, says=told)
    whose = "that names the product" if contract.product_ids else "of the client"
    ended = f"ended {contract.valid_until:%Y-%m-%d}, at most 60 days ago" if contract.valid_until else ""
    stands = "in force" if choice.standing == "in-force" else f"vencido: {ended}"
    told = f"the contract {contract.id} ({contract.contract_type}) {whose} applies, {stands}"
    return ContractChoice(id=contract.id, contract_type=contract.contract_type, standing=choice.standing, says=told)


def _why_severity(scheme: Scheme, impact: ImpactAnswers) -> str:
    row, column = (
        str(answer) if answer is not None else f"«no sé», which counts as {scheme.unknown_counts_as}"
        for answer in (impact.operational, impact.economic)
    )
    return f"S{scheme.severity_of(impact)}: who is stopped is {row}, what is lost is {column}"


def _why_priority(assessed: Assessed) -> list[str]:
    first = f"P{assessed.rule.priority}: {assessed.rule.says} ({assessed.rule.id})"
    return [first, *(f"{one.by:+d}: {one.says} ({one.id})" for one in assessed.shifts)]
