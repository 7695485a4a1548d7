"""Reads what a ticket is promised and why: contract and rules, for a ticket that there is and for one that might be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from pydantic import BaseModel, Field

from shared.business_time.known import CalendarName
from shared.business_time.open_time import OpenTime
from shared.business_time.seconds import instant, second
from shared.contract_choice import Choice, Standing, choose_contract
from shared.contracts.sla import ClockKind, TargetRule, Threshold
from shared.contracts.tickets import TicketBrief
from shared.db.statement import query
from shared.db.transaction import Reader
from shared.errors import NotFound
from shared.target_choice import Judged
from sla.domain.contract import Contract, Promises
from sla.domain.promise import Due, Passed, PassedBecause, may_cost, other_rules, passed_over, told
from sla.domain.switching import Activated, in_force
from sla.domain.target import CLOCKS
from sla.repository.contracts import contracts_of_clients
from sla.repository.known_calendars import calendars_in_force, zone_of

# The activated versions of each calendar, and what they count one after another.
Calendars = Mapping[str, tuple[Sequence[Activated], OpenTime]]


class NoSuchTicket(NotFound):
    """No event told of this ticket."""

    code = "no-such-ticket"
    title = "There is no such ticket"


@dataclass(frozen=True, slots=True)
class Wondered:
    """A ticket as it is or might be. No client: nobody could say who calls."""

    client_id: str | None
    judged: Judged
    reported_at: datetime


class ChosenContract(BaseModel):
    """The version of a contract that applies."""

    id: str
    version: int
    contract_type: str
    type_version: int
    effective_from: datetime
    valid_from: datetime
    valid_until: datetime | None
    product_ids: tuple[str, ...]


class PassedContract(BaseModel):
    """Another contract of the client, and what speaks against it."""

    id: str
    version: int
    because: PassedBecause


class PromisedClock(BaseModel):
    """What one clock would measure against, started at the report."""

    kind: ClockKind
    rule: TargetRule = Field(description="the most specific of those that are for such a ticket, then the first")
    other_rules: list[TargetRule] = Field(description="those that are for it too, in their order")
    calendar_version: int = Field(description="the one that holds at the report")
    due_at: datetime = Field(description="without holds, by every version of the calendar that was activated")
    pausing_holds: list[str]
    thresholds: list[Threshold]


class Sentences(BaseModel):
    """The same as people read it, in the time of the calendar in which days are counted."""

    es: list[str]
    en: list[str]


class PromiseView(BaseModel):
    """Which contract and which targets a ticket has, and why."""

    client_id: str | None
    product_id: str | None
    module_id: str | None
    kind: str
    severity: int
    priority: int
    reported_at: datetime
    contract: ChosenContract | None = Field(description="null: none applies, the targets are those of básico")
    standing: Standing
    penalties: bool = Field(
        description="whether a miss may cost something: neither of a question, nor without one in force"
    )
    passed_over: list[PassedContract]
    clocks: list[PromisedClock]
    reporting_calendar: str
    reopen_days: int
    objection_days: int
    why: Sentences


class StartedClock(BaseModel):
    """What a clock of the ticket was started under; it stays so, whatever is recorded since."""

    kind: ClockKind
    cycle: int
    contract_id: str | None
    contract_version: int
    target_seconds: int
    calendar_id: str


class TicketPromise(PromiseView):
    """What a ticket as it is now is promised by what is recorded now, beside what its clocks were started under."""

    ticket_id: UUID
    started: list[StartedClock]


_TICKET = query("SELECT brief FROM sla.tickets WHERE id = :ticket")
_STARTED = query("""
    SELECT kind, cycle, contract_id, contract_version, target_seconds, calendar_id FROM sla.clocks
    WHERE ticket_id = :ticket ORDER BY kind DESC, cycle
""")


async def wonder(tx: Reader, wondered: Wondered) -> PromiseView:
    """What a ticket would be promised. Raises NoDefaultTargets, NoCalendar."""
    return PromiseView(**await _promise(tx, wondered))


async def explain_ticket(tx: Reader, ticket_id: UUID) -> TicketPromise:
    """What a ticket is promised. Raises NoSuchTicket, NoDefaultTargets, NoCalendar."""
    row = await tx.fetch_first(_TICKET, {"ticket": ticket_id})
    if row is None:
        raise NoSuchTicket(f"There is no ticket {ticket_id}, or it opened a moment ago.")
    brief = TicketBrief.model_validate(row.brief)
    promise = await _promise(tx, Wondered(brief.groups.client_id, Judged.of(brief), brief.reported_at))
    started = [StartedClock(**dict(row)) for row in await tx.fetch(_STARTED, {"ticket": ticket_id})]
    return TicketPromise(**promise, ticket_id=ticket_id, started=started)


async def _promise(tx: Reader, wondered: Wondered) -> dict[str, Any]:
    client, judged, at = wondered.client_id, wondered.judged, wondered.reported_at
    by_client, default = await contracts_of_clients(tx, [client] if client else [])
    versions = by_client.get(client or "", [])
    choice = choose_contract(versions, judged.product_id, at)
    promises = choice.contract.promises if choice.contract else default
    passed = passed_over(versions, choice, judged.product_id, at)
    calendars = await calendars_in_force(tx)
    clocks = _clocks(promises, judged, at, calendars)
    reporting = CalendarName(promises.reporting_calendar, _version(promises.reporting_calendar, calendars, at))
    return {
        "client_id": client,
        "product_id": judged.product_id,
        "module_id": judged.module_id,
        "kind": judged.kind,
        "severity": judged.severity,
        "priority": judged.priority,
        "reported_at": at,
        "contract": _chosen(choice.contract),
        "standing": choice.standing,
        "penalties": may_cost(choice.standing, judged),
        "passed_over": [
            PassedContract(id=one.contract.id, version=one.contract.version, because=one.because) for one in passed
        ],
        "clocks": clocks,
        "reporting_calendar": promises.reporting_calendar,
        "reopen_days": promises.reopen_days,
        "objection_days": promises.objection_days,
        "why": _sentences(choice, passed, clocks, await zone_of(tx, reporting)),
    }


def _chosen(contract: Contract | None) -> ChosenContract | None:
    if contract is None:
        return None
    return ChosenContract(**{name: getattr(contract, name) for name in ChosenContract.model_fields})


def _clocks(promises: Promises, judged: Judged, at: datetime, calendars: Calendars) -> list[PromisedClock]:
    others = other_rules(promises.targets, judged)
    found = []
    for kind in CLOCKS:
        rule = promises.rule_of(kind, judged)
        version = _version(rule.calendar_id, calendars, at)
        _, hours = calendars[rule.calendar_id]
        terms = promises.terms_of(rule, version)
        found.append(
            PromisedClock(
                kind=kind,
                rule=rule,
                other_rules=others[kind],
                calendar_version=version,
                due_at=instant(hours.add(second(at), rule.seconds)),
                pausing_holds=sorted(terms.pausing_holds),
                thresholds=list(terms.thresholds),
            )
        )
    return found


def _version(calendar_id: str, calendars: Calendars, at: datetime) -> int:
    versions = calendars[calendar_id][0] if calendar_id in calendars else ()
    return in_force(calendar_id, versions, at).version


def _sentences(
    choice: Choice[Contract], passed: Sequence[Passed], clocks: Sequence[PromisedClock], zone: ZoneInfo
) -> Sentences:
    dues = [Due(one.rule, one.due_at) for one in clocks]
    return Sentences(es=told(choice, passed, dues, zone, "es"), en=told(choice, passed, dues, zone, "en"))
