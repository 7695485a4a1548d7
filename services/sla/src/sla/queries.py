"""Reads: contracts as they are now, and the clocks of a ticket with their explanation."""

# ruff: noqa: S608 - every piece that is put into a statement is written in this file
from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from pydantic import BaseModel, Field

from shared.contracts.sla import ClockCourse, ClockKind, ClockOutcome, ContractType, PromisedTarget, Threshold
from shared.contracts.tickets import HoldReason
from shared.db.statement import sql
from shared.db.transaction import Reader, Row
from sla.documents import WarningFacts
from sla.domain.clock import ENDED, Folded, Interval, Terms, Why, fold
from sla.domain.contract import Promises
from sla.repository.clocks import FACT_DOCUMENT, clock_of, fact_of
from sla.repository.contracts import contract_of, promises_of


class PromisesView(BaseModel):
    """What is promised: all four severities, S1 first."""

    targets: tuple[PromisedTarget, ...]
    pausing_holds: tuple[HoldReason, ...] = Field(description="holds that pause the resolution clock")
    warnings: WarningFacts


class ContractTypeView(PromisesView):
    """A type of contract."""

    id: ContractType
    name: str
    version: int


class ContractView(PromisesView):
    """A contract in its latest version."""

    id: str
    version: int
    client_id: str
    contract_type: ContractType
    valid_from: datetime
    valid_until: datetime | None
    product_ids: tuple[str, ...] = Field(description="the products that it is for; empty: whatever the client has")
    recorded_at: datetime
    recorded_by: str


class IntervalView(BaseModel):
    """A stretch of a clock's life, and whether it counts."""

    from_at: datetime
    until: datetime | None = Field(description="null: it has not ended")
    seconds: int = Field(description="its length, up to now where it has not ended")
    counted: bool
    why: Why = Field(
        description="open: somebody works on it; held: see reason; resolved, cancelled: nothing left to do"
    )
    reason: str | None


class ThresholdView(Threshold):
    """A threshold of a clock, and whether it was reached."""

    reached_at: datetime | None = Field(description="null: not reached so far")


class ExplainedClock(BaseModel):
    """One clock at the instant `server_time`."""

    id: UUID
    kind: ClockKind
    cycle: int
    course: ClockCourse = Field(description="whether seconds are being counted now, also after a breach")
    outcome: ClockOutcome = Field(description="`met` is provisional until the ticket can no longer be reopened")
    contract_id: str | None = Field(description="null: no contract was in force, the default targets apply")
    contract_version: int
    target_seconds: int
    counted_seconds: int = Field(description="the sum of the intervals that count")
    remaining_seconds: int = Field(description="negative when overdue")
    started_at: datetime
    due_at: datetime | None = Field(description="null while paused")
    ended_at: datetime | None = Field(description="when it was stopped or cancelled")
    breached_at: datetime | None
    thresholds: list[ThresholdView] = Field(description="at which of its seconds the clock warns, ascending")
    intervals: list[IntervalView]


class TicketClocks(BaseModel):
    """The clocks of one ticket, each with how its seconds add up."""

    ticket_id: UUID
    server_time: datetime
    clocks: list[ExplainedClock]


_CONTRACT = (
    "id, version, client_id, contract_type, valid_from, valid_until, product_ids, promises, recorded_at, recorded_by"
)
_LIST_CONTRACTS = sql(f"""
    SELECT DISTINCT ON (id) {_CONTRACT} FROM sla.contracts
    WHERE (CAST(:client AS text) IS NULL OR client_id = :client) AND (CAST(:after AS text) IS NULL OR id > :after)
    ORDER BY id, version DESC LIMIT :rows
""")
_GET_CONTRACT = sql(f"SELECT {_CONTRACT} FROM sla.contracts WHERE id = :id ORDER BY version DESC LIMIT 1")
_LIST_TYPES = sql("SELECT id, name, version, promises FROM sla.contract_types ORDER BY id")
_TICKET_CLOCKS = sql(f"""
    SELECT c.*, (SELECT jsonb_agg({FACT_DOCUMENT}) FROM sla.clock_facts f WHERE f.ticket_id = c.ticket_id) AS facts
    FROM sla.clocks c WHERE c.ticket_id = :ticket ORDER BY c.kind DESC, c.cycle
""")


async def list_contracts(
    tx: Reader, *, client_id: str | None, after: tuple[Any, ...] | None, limit: int
) -> list[ContractView]:
    """The latest version of each contract by id, one row more than `limit` where there are more."""
    parameters = {"client": client_id, "after": after[0] if after else None, "rows": limit + 1}
    return [_contract_view(row) for row in await tx.fetch(_LIST_CONTRACTS, parameters)]


async def get_contract(tx: Reader, id: str) -> ContractView | None:
    """The latest version of a contract."""
    row = await tx.fetch_first(_GET_CONTRACT, {"id": id})
    return None if row is None else _contract_view(row)


async def list_contract_types(tx: Reader) -> list[ContractTypeView]:
    """All types of contract."""
    rows = await tx.fetch(_LIST_TYPES)
    return [
        ContractTypeView(id=row.id, name=row.name, version=row.version, **_promises(promises_of(row.promises)))
        for row in rows
    ]


async def get_ticket_clocks(tx: Reader, ticket_id: UUID, now: datetime) -> TicketClocks | None:
    """The clocks of a ticket as they stand at `now`, folded from its facts; None when it has none."""
    rows = await tx.fetch(_TICKET_CLOCKS, {"ticket": ticket_id})
    clocks = [view for row in rows if (view := _explained(row, now)) is not None]
    return TicketClocks(ticket_id=ticket_id, server_time=now, clocks=clocks) if clocks else None


def _contract_view(row: Row) -> ContractView:
    contract = contract_of(row)
    return ContractView(
        id=contract.id,
        version=contract.version,
        client_id=contract.client_id,
        contract_type=contract.contract_type,
        valid_from=contract.valid_from,
        valid_until=contract.valid_until,
        product_ids=contract.product_ids,
        recorded_at=row.recorded_at,
        recorded_by=row.recorded_by,
        **_promises(contract.promises),
    )


def _promises(promises: Promises) -> dict[str, Any]:
    warnings = WarningFacts(response=promises.warnings.response, resolution=promises.warnings.resolution)
    return {"targets": promises.targets, "pausing_holds": promises.pausing_holds, "warnings": warnings}


def _explained(row: Row, now: datetime) -> ExplainedClock | None:
    kept = clock_of(row)
    folded = fold(kept.terms, map(fact_of, row.facts or ()), now)
    if folded is None:
        return None
    clock = folded.clock
    counted = clock.elapsed_seconds(now)
    return ExplainedClock(
        id=kept.id,
        kind=kept.kind,
        cycle=kept.cycle,
        course=clock.course,
        outcome=clock.outcome,
        contract_id=kept.contract_id,
        contract_version=kept.contract_version,
        target_seconds=kept.terms.target_seconds,
        counted_seconds=counted,
        remaining_seconds=kept.terms.target_seconds - counted,
        started_at=clock.started_at,
        due_at=clock.due_at,
        ended_at=clock.since if clock.course in ENDED else None,
        breached_at=clock.breached_at,
        thresholds=_thresholds_view(kept.terms, folded),
        intervals=[_interval_view(interval, now) for interval in folded.intervals],
    )


def _thresholds_view(terms: Terms, folded: Folded) -> list[ThresholdView]:
    reached_at = {crossing.threshold: crossing.at for crossing in folded.crossings}
    return [ThresholdView(**one.model_dump(), reached_at=reached_at.get(one)) for one in terms.thresholds]


def _interval_view(interval: Interval, now: datetime) -> IntervalView:
    # Edges of intervals are whole seconds; what has begun of the present one counts, as it does in the clock.
    end = interval.until or max(interval.from_at, now)
    return IntervalView(
        from_at=interval.from_at,
        until=interval.until,
        seconds=-((interval.from_at - end) // timedelta(seconds=1)),
        counted=interval.counted,
        why=interval.why,
        reason=interval.reason,
    )
