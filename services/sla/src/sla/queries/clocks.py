"""Reads the clocks of a ticket with their explanation."""

# ruff: noqa: S608 - every piece that is put into a statement is written in this file
from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from pydantic import BaseModel, Field

from shared.contracts.sla import ClockCourse, ClockKind, ClockOutcome, Threshold
from shared.db.statement import sql
from shared.db.transaction import Reader, Row
from sla.domain.clock import ENDED, Folded, Interval, Terms, Why, fold
from sla.repository.clocks import FACT_DOCUMENT, clock_of, fact_of


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


_TICKET_CLOCKS = sql(f"""
    SELECT c.*, (SELECT jsonb_agg({FACT_DOCUMENT}) FROM sla.clock_facts f WHERE f.ticket_id = c.ticket_id) AS facts
    FROM sla.clocks c WHERE c.ticket_id = :ticket ORDER BY c.kind DESC, c.cycle
""")


async def get_ticket_clocks(tx: Reader, ticket_id: UUID, now: datetime) -> TicketClocks | None:
    """The clocks of a ticket as they stand at `now`, folded from its facts; None when it has none."""
    rows = await tx.fetch(_TICKET_CLOCKS, {"ticket": ticket_id})
    clocks = [view for row in rows if (view := _explained(row, now)) is not None]
    return TicketClocks(ticket_id=ticket_id, server_time=now, clocks=clocks) if clocks else None


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
