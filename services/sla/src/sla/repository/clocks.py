"""Facts, clocks and timers: loaded, locked and stored in few statements, whatever their number."""

# ruff: noqa: S608 - every piece that is put into a statement is written in this file

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from shared.db.statement import query, sql
from shared.db.transaction import Row, Transaction
from sla.domain.clock import CLOCK_KINDS, Clock, Fact, FactKind, Terms
from sla.domain.ticket_clock import TicketClock

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class TicketFact:
    """A fact and the ticket that it belongs to."""

    ticket_id: UUID
    fact: Fact


@dataclass(frozen=True, slots=True)
class ClockWithFacts:
    """A locked clock and every fact that concerned it before this transaction."""

    clock: TicketClock
    facts: tuple[Fact, ...]


@dataclass(frozen=True, slots=True)
class Claimed:
    """A timer whose instant has passed, locked together with its clock; void when the clock has moved on since."""

    timer_id: int
    clock: TicketClock
    is_void: bool


_GIVEN_FACTS = """
    WITH given AS (
        SELECT * FROM unnest(CAST(:tickets AS uuid[]), CAST(:ids AS uuid[]), CAST(:kinds AS text[]),
                             CAST(:concerns AS text[]), CAST(:reasons AS text[]), CAST(:occurred AS timestamptz[]),
                             CAST(:sequences AS bigint[]))
             AS g(ticket_id, fact_id, kind, concerns, reason, occurred_at, sequence)
    ), added AS (
        INSERT INTO sla.clock_facts (ticket_id, fact_id, kind, concerns, reason, occurred_at, sequence, recorded_at)
        SELECT ticket_id, fact_id, kind, concerns, reason, occurred_at, sequence, :now FROM given
        ON CONFLICT DO NOTHING
    )
"""
FACT_DOCUMENT = """
    jsonb_build_array(f.fact_id, f.kind, (extract(epoch FROM f.occurred_at) * 1000000)::bigint, f.sequence, f.concerns,
                      f.reason)
"""
# The facts read here are those from before this statement. That is all there are: the consumer holds the partition of a
# ticket while it applies its events, so nobody else adds a fact of the same ticket meanwhile.
_ADD_FACTS_AND_LOCK_CLOCKS = sql(f"""
    {_GIVEN_FACTS}
    SELECT c.*, (SELECT jsonb_agg({FACT_DOCUMENT}) FROM sla.clock_facts f
                 WHERE f.ticket_id = c.ticket_id AND (f.concerns IS NULL OR f.concerns = c.kind)) AS facts
    FROM sla.clocks c
    WHERE c.ticket_id = ANY(CAST(:tickets AS uuid[])) AND c.kind = ANY(CAST(:clock_kinds AS text[]))
    ORDER BY c.id FOR UPDATE OF c
""")
_ADD_FACTS_AND_READ_EARLIER = sql(f"""
    {_GIVEN_FACTS}
    SELECT f.ticket_id, {FACT_DOCUMENT} AS fact FROM sla.clock_facts f
    WHERE f.ticket_id = ANY(CAST(:tickets AS uuid[]))
""")


async def add_facts_and_lock_clocks(
    tx: Transaction, facts: Sequence[TicketFact], now: datetime
) -> list[ClockWithFacts]:
    """Records the facts and locks the clocks that they may concern. A ticket that is not open yet has none."""
    concerned = {kind for one in facts for kind in (CLOCK_KINDS if one.fact.concerns is None else (one.fact.concerns,))}
    parameters = {**_fact_columns(facts, now), "clock_kinds": sorted(concerned)}
    rows = await tx.fetch(_ADD_FACTS_AND_LOCK_CLOCKS, parameters)
    return [ClockWithFacts(clock_of(row), tuple(map(fact_of, row.facts or ()))) for row in rows]


async def add_facts_and_read_earlier(
    tx: Transaction, facts: Sequence[TicketFact], now: datetime
) -> dict[UUID, list[Fact]]:
    """Records the facts; returns what was known of their tickets before, by ticket."""
    earlier: dict[UUID, list[Fact]] = {}
    for row in await tx.fetch(_ADD_FACTS_AND_READ_EARLIER, _fact_columns(facts, now)):
        earlier.setdefault(row.ticket_id, []).append(fact_of(row.fact))
    return earlier


_ARM = """
    INSERT INTO sla.timers (due_at, clock_id, generation, percent)
    SELECT t.due_at, t.clock_id, t.generation, t.percent
    FROM unnest(CAST(:timer_dues AS timestamptz[]), CAST(:timer_clocks AS uuid[]), CAST(:timer_generations AS int[]),
                CAST(:timer_percents AS int[])) AS t(due_at, clock_id, generation, percent)
"""
_INSERT_CLOCKS = sql(f"""
    WITH new AS (
        INSERT INTO sla.clocks (id, ticket_id, kind, client_id, contract_id, contract_version, target_seconds, terms,
                                origin, correlation_id, state, started_at, since, counted_seconds, due_at, hold,
                                breached_at, warned_percent, judged_until, generation)
        SELECT g.id, g.ticket_id, g.kind, g.client_id, g.contract_id, g.contract_version, g.target_seconds,
               CAST(g.terms AS jsonb), g.origin, g.correlation_id, g.state, g.started_at, g.since, g.counted_seconds,
               g.due_at, g.hold, g.breached_at, g.warned_percent, g.judged_until, g.generation
        FROM unnest(CAST(:ids AS uuid[]), CAST(:tickets AS uuid[]), CAST(:kinds AS text[]), CAST(:clients AS text[]),
                    CAST(:contracts AS text[]), CAST(:versions AS int[]), CAST(:targets AS int[]),
                    CAST(:terms AS text[]), CAST(:origins AS text[]), CAST(:correlations AS text[]),
                    CAST(:states AS text[]), CAST(:started AS timestamptz[]), CAST(:since AS timestamptz[]),
                    CAST(:counted AS bigint[]), CAST(:dues AS timestamptz[]), CAST(:holds AS text[]),
                    CAST(:breached AS timestamptz[]), CAST(:warned AS int[]), CAST(:judged AS timestamptz[]),
                    CAST(:generations AS int[]))
             AS g(id, ticket_id, kind, client_id, contract_id, contract_version, target_seconds, terms, origin,
                  correlation_id, state, started_at, since, counted_seconds, due_at, hold, breached_at, warned_percent,
                  judged_until, generation)
        ON CONFLICT (ticket_id, kind) DO NOTHING
        RETURNING id
    ), armed AS ({_ARM} JOIN new ON new.id = t.clock_id)
    SELECT id FROM new
""")
_FORGET_TIMERS = sql("DELETE FROM sla.timers WHERE id = ANY(CAST(:fired AS bigint[]))")
_STORE_CLOCKS = sql("""
    UPDATE sla.clocks c
    SET state = g.state, since = g.since, counted_seconds = g.counted_seconds, due_at = g.due_at, hold = g.hold,
        breached_at = g.breached_at, warned_percent = g.warned_percent, judged_until = g.judged_until,
        generation = g.generation, started_at = g.started_at
    FROM unnest(CAST(:ids AS uuid[]), CAST(:states AS text[]), CAST(:started AS timestamptz[]),
                CAST(:since AS timestamptz[]), CAST(:counted AS bigint[]), CAST(:dues AS timestamptz[]),
                CAST(:holds AS text[]), CAST(:breached AS timestamptz[]), CAST(:warned AS int[]),
                CAST(:judged AS timestamptz[]), CAST(:generations AS int[]))
         AS g(id, state, started_at, since, counted_seconds, due_at, hold, breached_at, warned_percent,
              judged_until, generation)
    WHERE c.id = g.id
""")
_ARM_TIMERS = sql(_ARM)


async def insert_clocks(tx: Transaction, clocks: Sequence[TicketClock]) -> set[UUID]:
    """Inserts new clocks with their timers. Returns the ids of those whose ticket had no clock of that kind before."""
    columns = {
        "tickets": [one.ticket_id for one in clocks],
        "kinds": [one.kind for one in clocks],
        "clients": [one.client_id for one in clocks],
        "contracts": [one.contract_id for one in clocks],
        "versions": [one.contract_version for one in clocks],
        "targets": [one.terms.target_seconds for one in clocks],
        "terms": [_terms_document(one.terms) for one in clocks],
        "origins": [one.origin for one in clocks],
        "correlations": [one.correlation_id for one in clocks],
    }
    rows = await tx.fetch(_INSERT_CLOCKS, {**columns, **_state_columns(clocks), **_timer_columns(clocks)})
    return {row.id for row in rows}


async def store_clocks(tx: Transaction, clocks: Sequence[TicketClock], fired: Sequence[int] = ()) -> None:
    """Stores the state of locked clocks, sets the alarms that are still to be set, and deletes fired timers."""
    if fired:
        await tx.write(_FORGET_TIMERS, {"fired": list(fired)})
    await tx.write(_STORE_CLOCKS, _state_columns(clocks))
    # The timers that fired are old rows, those that are armed are new ones.
    await tx.write(_ARM_TIMERS, _timer_columns(clocks), beside="sla.timers")


# A target still holds at its due and is missed after it, so a timer is due strictly after its instant. The timer is
# locked before its clock and neither is waited for: a consumer locks clocks first.
_CLAIM_DUE = sql("""
    SELECT t.id AS timer_id, t.generation AS armed_generation, c.*
    FROM sla.timers t JOIN sla.clocks c ON c.id = t.clock_id
    WHERE t.due_at < :now ORDER BY t.due_at, t.id LIMIT :portion FOR UPDATE OF t, c SKIP LOCKED
""")
_ARM_AGAIN = sql("""
    INSERT INTO sla.timers (due_at, clock_id, generation, percent)
    SELECT :now, id, generation, 100 FROM sla.clocks WHERE id = :clock AND state = 'running'
""")
_NEXT_DUE = query("SELECT due_at FROM sla.timers ORDER BY due_at, id LIMIT 1")


async def claim_due(tx: Transaction, now: datetime, portion: int) -> list[Row]:
    """Locks at most `portion` overdue timers with their clocks, the oldest first; passes over what others hold."""
    return await tx.fetch(_CLAIM_DUE, {"now": now, "portion": portion})


def claimed_of(rows: Sequence[Row]) -> list[Claimed]:
    """What was claimed, each clock once however many of its timers were."""
    clocks: dict[UUID, TicketClock] = {}
    return [
        Claimed(row.timer_id, clocks.setdefault(row.id, clock_of(row)), row.armed_generation != row.generation)
        for row in rows
    ]


async def forget_timers(tx: Transaction, ids: Sequence[int]) -> None:
    """Deletes timers."""
    await tx.execute(_FORGET_TIMERS, {"fired": list(ids)})


async def arm_again(tx: Transaction, clock_id: str, now: datetime) -> bool:
    """Sets an alarm for now on a clock that was set aside; False where there is none, or it stands still."""
    return bool(await tx.execute(_ARM_AGAIN, {"clock": UUID(clock_id), "now": now}))


async def next_due(tx: Transaction) -> datetime | None:
    """The instant of the earliest timer; None when there is none."""
    found: datetime | None = await tx.fetch_value(_NEXT_DUE)
    return found


async def wake_timers(tx: Transaction, channel: str) -> None:
    """Tells a sleeping worker, at commit, that an alarm lies within its sleep."""
    await tx.execute(sql("SELECT pg_notify(:channel, '')"), {"channel": channel})


def _terms_document(terms: Terms) -> str:
    return json.dumps({"pausing_holds": sorted(terms.pausing_holds), "warn_percents": terms.warn_percents})


def clock_of(row: Row) -> TicketClock:
    """A clock from its whole row."""
    terms = row.terms
    return TicketClock(
        id=row.id,
        ticket_id=row.ticket_id,
        client_id=row.client_id,
        contract_id=row.contract_id,
        contract_version=row.contract_version,
        terms=Terms(row.kind, row.target_seconds, frozenset(terms["pausing_holds"]), tuple(terms["warn_percents"])),
        origin=row.origin,
        correlation_id=row.correlation_id,
        clock=Clock(
            state=row.state,
            started_at=row.started_at,
            since=row.since,
            counted_seconds=row.counted_seconds,
            due_at=row.due_at,
            hold=row.hold,
            breached_at=row.breached_at,
            warned_percent=row.warned_percent,
        ),
        judged_until=row.judged_until,
        generation=row.generation,
    )


def fact_of(document: list[Any]) -> Fact:
    """A fact from the array that FACT_DOCUMENT makes."""
    fact_id, kind, microseconds, sequence, concerns, reason = document
    occurred_at = _EPOCH + timedelta(microseconds=microseconds)
    return Fact(UUID(fact_id), FactKind(kind), occurred_at, sequence, concerns, reason)


def _fact_columns(facts: Sequence[TicketFact], now: datetime) -> dict[str, Any]:
    return {
        "tickets": [one.ticket_id for one in facts],
        "ids": [one.fact.fact_id for one in facts],
        "kinds": [one.fact.kind.value for one in facts],
        "concerns": [one.fact.concerns for one in facts],
        "reasons": [one.fact.reason for one in facts],
        "occurred": [one.fact.occurred_at for one in facts],
        "sequences": [one.fact.sequence for one in facts],
        "now": now,
    }


def _state_columns(clocks: Sequence[TicketClock]) -> dict[str, list[Any]]:
    standing = [(one, one.clock) for one in clocks if one.clock is not None]
    return {
        "ids": [one.id for one, _ in standing],
        "states": [clock.state for _, clock in standing],
        "started": [clock.started_at for _, clock in standing],
        "since": [clock.since for _, clock in standing],
        "counted": [clock.counted_seconds for _, clock in standing],
        "dues": [clock.due_at for _, clock in standing],
        "holds": [clock.hold for _, clock in standing],
        "breached": [clock.breached_at for _, clock in standing],
        "warned": [clock.warned_percent for _, clock in standing],
        "judged": [one.judged_until for one, _ in standing],
        "generations": [one.generation for one, _ in standing],
    }


def _timer_columns(clocks: Sequence[TicketClock]) -> dict[str, list[Any]]:
    armed = [(one, one.to_arm) for one in clocks if one.to_arm is not None]
    return {
        "timer_dues": [alarm.at for _, alarm in armed],
        "timer_clocks": [one.id for one, _ in armed],
        "timer_generations": [one.generation for one, _ in armed],
        "timer_percents": [alarm.percent for _, alarm in armed],
    }
