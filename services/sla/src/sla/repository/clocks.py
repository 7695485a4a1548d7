"""Facts, clocks and timers: loaded, locked and stored in few statements, whatever their number."""

# ruff: noqa: S608 - every name that is put into a statement is a field of a class or written in this file

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any
from uuid import UUID

from shared.business_time.known import CalendarName, In
from shared.contracts.sla import Threshold
from shared.db.statement import query, sql
from shared.db.transaction import Row, Transaction
from sla.domain.clock import CLOCK_KINDS, Clock, Fact, Terms
from sla.domain.meaning import TicketFact, meaning_of
from sla.domain.ticket_clock import TicketClock

# The names of jobs, by which what cannot be done is set aside.
SWITCHES_JOB, SAMPLES_JOB = "sla-switches", "sla-samples"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class ClockWithFacts:
    """A clock and every fact of its ticket, as one statement read them."""

    clock: TicketClock
    facts: tuple[Fact, ...]

    def names(self, news: Iterable[Fact] = ()) -> set[CalendarName]:
        """Whatever it counts in, by what is kept of it, by its facts and by further ones."""
        return self.clock.names() | self.clock.switched_to([*self.facts, *news])


@dataclass(frozen=True, slots=True)
class Claimed:
    """A timer whose instant has passed, locked together with its clock; void when the clock has moved on since."""

    timer_id: int
    clock: TicketClock
    is_void: bool


# Columns have the names of the fields: what the facts add up to, what changes of a clock, what is settled at its start.
_FOLDED = tuple(one.name for one in fields(Clock))
_CHANGING = (*_FOLDED, "judged_until", "generation")
_SETTLED = tuple(one.name for one in fields(TicketClock) if one.name not in ("terms", "clock", "to_arm", *_CHANGING))
_OF_TERMS = ("kind", "target_seconds", "terms")
_CLOCK = ", ".join((*_SETTLED, *_OF_TERMS, *_CHANGING))
_FACT = tuple(one.name for one in fields(TicketFact))
_FACT_ROW = ", ".join((*_FACT, "recorded_at"))

_ADDED_FACTS = f"""
    WITH added AS (
        INSERT INTO sla.clock_facts ({_FACT_ROW})
        SELECT {_FACT_ROW} FROM jsonb_populate_recordset(NULL::sla.clock_facts, CAST(:facts AS jsonb))
        ON CONFLICT DO NOTHING
    )
"""
# What of a fact `fact_of` makes its meaning of.
FACT_DOCUMENT = """
    jsonb_build_array(f.fact_id, f.type, (extract(epoch FROM f.occurred_at) * 1000000)::bigint, f.sequence, f.carried)
"""
# Clocks, each whole and with all facts of its ticket: what `with_facts` reads.
CLOCKS_WITH_FACTS = f"""
    SELECT c.*, (SELECT jsonb_agg({FACT_DOCUMENT}) FROM sla.clock_facts f WHERE f.ticket_id = c.ticket_id) AS facts
      FROM sla.clocks c
"""
# The facts read here are those from before this statement. That is all there are: whoever adds a fact of a ticket has
# locked its row in sla.tickets before, the consumer by keeping it and the job that switches calendars by its claim.
_ADD_FACTS_AND_LOCK_CLOCKS = sql(f"""
    {_ADDED_FACTS} {CLOCKS_WITH_FACTS}
    WHERE c.ticket_id = ANY(CAST(:tickets AS uuid[])) AND c.kind = ANY(CAST(:clock_kinds AS text[]))
    ORDER BY c.id FOR UPDATE OF c
""")
_ADD_FACTS_AND_READ_EARLIER = sql(f"""
    {_ADDED_FACTS}
    SELECT f.ticket_id, {FACT_DOCUMENT} AS fact FROM sla.clock_facts f
    WHERE f.ticket_id = ANY(CAST(:tickets AS uuid[]))
""")


_ADD_FACTS = sql(f"{_ADDED_FACTS} SELECT 1")


async def add_facts(tx: Transaction, facts: Sequence[TicketFact], now: datetime) -> None:
    """Records facts, if there are any."""
    if facts:
        await tx.execute(_ADD_FACTS, _given(facts, now))


async def add_facts_and_lock_clocks(
    tx: Transaction, facts: Sequence[TicketFact], now: datetime
) -> list[ClockWithFacts]:
    """Records the facts and locks the clocks that they may concern. A ticket that is not open yet has none."""
    concerns = {one.meaning().concerns for one in facts}
    concerned = CLOCK_KINDS if None in concerns else {kind for kind in concerns if kind is not None}
    parameters = {**_given(facts, now), "clock_kinds": sorted(concerned)}
    rows = await tx.fetch(_ADD_FACTS_AND_LOCK_CLOCKS, parameters)
    return [with_facts(row) for row in rows]


async def add_facts_and_read_earlier(
    tx: Transaction, facts: Sequence[TicketFact], now: datetime
) -> dict[UUID, list[Fact]]:
    """Records the facts; returns what was known of their tickets before, by ticket."""
    earlier: dict[UUID, list[Fact]] = {}
    for row in await tx.fetch(_ADD_FACTS_AND_READ_EARLIER, _given(facts, now)):
        earlier.setdefault(row.ticket_id, []).append(fact_of(row.fact))
    return earlier


_TIMER = "due_at, clock_id, generation"
_ARM = f"""
    INSERT INTO sla.timers ({_TIMER})
    SELECT {_TIMER} FROM jsonb_populate_recordset(NULL::sla.timers, CAST(:timers AS jsonb)) t
"""
_INSERT_CLOCKS = sql(f"""
    WITH new AS (
        INSERT INTO sla.clocks ({_CLOCK})
        SELECT {_CLOCK} FROM jsonb_populate_recordset(NULL::sla.clocks, CAST(:clocks AS jsonb))
        ON CONFLICT (ticket_id, kind, cycle) DO NOTHING
        RETURNING id
    ), armed AS ({_ARM} WHERE t.clock_id IN (SELECT id FROM new))
    SELECT id FROM new
""")
_FORGET_TIMERS = sql("DELETE FROM sla.timers WHERE id = ANY(CAST(:fired AS bigint[]))")
# One document for each row: of these the planner knows how many there are, and looks for each clock by its id. A single
# document it takes for a hundred rows, and may then read a whole table for one clock, or go through it for each clock.
_STORE_CLOCKS = sql(f"""
    UPDATE sla.clocks c SET {", ".join(f"{name} = g.{name}" for name in _CHANGING)}
    FROM unnest(CAST(:clocks AS jsonb[])) AS given (one), jsonb_populate_record(NULL::sla.clocks, given.one) g
    WHERE c.id = g.id
""")
_ARM_TIMERS = sql(_ARM)


async def insert_clocks(tx: Transaction, clocks: Sequence[TicketClock]) -> set[UUID]:
    """Inserts new clocks with their timers. Returns the ids of those whose ticket had no clock of that kind before."""
    rows = await tx.fetch(
        _INSERT_CLOCKS, {"clocks": _document([_row_of(one) for one in clocks]), "timers": _timers(clocks)}
    )
    return {row.id for row in rows}


async def store_clocks(tx: Transaction, clocks: Sequence[TicketClock], fired: Sequence[int] = ()) -> None:
    """Stores the state of locked clocks, sets the alarms that are still to be set, and deletes fired timers."""
    if fired:
        await tx.write(_FORGET_TIMERS, {"fired": list(fired)})
    changed = [_document({"id": one.id, **_changing(one)}) for one in clocks]
    await tx.write(_STORE_CLOCKS, {"clocks": changed})
    # The timers that fired are old rows, those that are armed are new ones.
    await tx.write(_ARM_TIMERS, {"timers": _timers(clocks)}, beside="sla.timers")


# A target still holds at its due and is missed after it, so a timer is due strictly after its instant. The timer is
# locked before its clock and neither is waited for: a consumer locks clocks first.
_CLAIM_DUE = sql("""
    SELECT t.id AS timer_id, t.generation AS armed_generation, c.*
    FROM sla.timers t JOIN sla.clocks c ON c.id = t.clock_id
    WHERE t.due_at < :now ORDER BY t.due_at, t.id LIMIT :portion FOR UPDATE OF t, c SKIP LOCKED
""")
_ARM_AGAIN = sql("""
    INSERT INTO sla.timers (due_at, clock_id, generation)
    SELECT :now, id, generation FROM sla.clocks WHERE id = :clock AND course = 'running'
""")
# Clocks that go on in an earlier version of their calendar than was activated, their tickets locked before anything
# else, as by whoever keeps these; the clocks too, so that one which has ended since it was seen is looked at again and
# passed over. Asked calendar by calendar and by version, so that the index answers it: mostly none is behind, and the
# job must not go through all clocks to learn that.
_CLAIM_BEHIND = sql("""
    SELECT behind.*
      FROM (SELECT v.calendar_id, max(v.version) AS version FROM sla.calendar_versions v
             WHERE v.activated_at IS NOT NULL GROUP BY v.calendar_id) latest
     CROSS JOIN LATERAL (
           SELECT c.id, c.ticket_id, c.kind, c.calendar_id, c.calendar_version, c.started_at, c.correlation_id, c.origin
             FROM sla.clocks c JOIN sla.tickets t ON t.id = c.ticket_id
            WHERE c.calendar_id = latest.calendar_id AND c.calendar_version < latest.version
              AND c.course IN ('running', 'paused')
              AND NOT EXISTS (SELECT FROM runtime.set_aside s WHERE s.job = :job AND s.key = CAST(c.id AS text))
            ORDER BY c.calendar_version LIMIT :portion FOR UPDATE OF t, c SKIP LOCKED) behind
     LIMIT :portion
""")
_ENDED = sql("""
    SELECT id, ticket_id, kind, calendar_id, calendar_version, since FROM sla.clocks
     WHERE ticket_id = ANY(CAST(:tickets AS uuid[])) AND course IN ('stopped', 'cancelled')
""")
# The place at which a sample begins follows from the instant: asked again with the same one, it is the same sample.
_SAMPLE = sql(f"""
    {CLOCKS_WITH_FACTS} WHERE c.id >= CAST(md5(CAST(:now AS text)) AS uuid)
       AND NOT EXISTS (SELECT FROM runtime.set_aside s WHERE s.job = :job AND s.key = CAST(c.id AS text))
     ORDER BY c.id LIMIT :portion
""")
_LOCK_TICKET = sql("""
    SELECT t.id FROM sla.tickets t WHERE t.id = (SELECT c.ticket_id FROM sla.clocks c WHERE c.id = :clock)
       FOR NO KEY UPDATE
""")
_LOCK_CLOCK = sql(f"{CLOCKS_WITH_FACTS} WHERE c.id = :clock FOR UPDATE OF c")
_IS_THERE = sql("SELECT 1 FROM sla.clocks WHERE id = CAST(:id AS uuid)")
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


async def claim_behind(tx: Transaction, _now: datetime, portion: int) -> list[Row]:
    """At most `portion` clocks whose calendar was switched without them, locked; passes over what others hold."""
    return await tx.fetch(_CLAIM_BEHIND, {"portion": portion, "job": SWITCHES_JOB})


async def ended_clocks(tx: Transaction, tickets: Collection[UUID]) -> list[Row]:
    """The clocks of these tickets that have ended, with the version in which each counted last."""
    return await tx.fetch(_ENDED, {"tickets": sorted(tickets)})


async def sample(tx: Transaction, now: datetime, portion: int) -> list[Row]:
    """Some clocks with all facts of their tickets, both as they are at one instant; those that are not set aside."""
    return await tx.fetch(_SAMPLE, {"now": now.isoformat(), "portion": portion, "job": SAMPLES_JOB})


async def lock_clock(tx: Transaction, clock_id: UUID) -> Row | None:
    """A clock with all facts of its ticket, both locked; None where there is none."""
    await tx.fetch(_LOCK_TICKET, {"clock": clock_id})
    return await tx.fetch_first(_LOCK_CLOCK, {"clock": clock_id})


async def leave_to_an_operator(_tx: Transaction, _row: Row) -> None:
    """A clock that is set aside is passed over for as long as it is: nothing is to be done to it."""


async def is_there(tx: Transaction, clock_id: str, _now: datetime) -> bool:
    """Whether there still is such a clock; its job finds it again once it is no longer set aside."""
    return await tx.fetch_value(_IS_THERE, {"id": clock_id}) is not None


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


def clock_of(row: Row) -> TicketClock:
    """A clock from its whole row."""
    terms = row.terms
    thresholds = tuple(_threshold(one["seconds"], one["said_as"]) for one in terms["thresholds"])
    calendar = CalendarName(*terms["calendar"])
    pinned = Terms(row.kind, row.target_seconds, frozenset(terms["pausing_holds"]), thresholds, calendar)
    folded = {name: row[name] for name in _FOLDED}
    folded["counted_in"] = tuple(
        In(datetime.fromisoformat(at), CalendarName(*calendar)) for at, calendar in row.counted_in
    )
    return TicketClock(
        **{name: row[name] for name in _SETTLED},
        terms=pinned,
        clock=Clock(**folded),
        judged_until=row.judged_until,
        generation=row.generation,
    )


def with_facts(row: Row) -> ClockWithFacts:
    """A clock with its facts from a row of CLOCKS_WITH_FACTS."""
    return ClockWithFacts(clock_of(row), tuple(map(fact_of, row.facts or ())))


# A contract says a few, of which each of its clocks has the same.
@lru_cache(maxsize=1024)
def _threshold(seconds: int, said_as: str) -> Threshold:
    return Threshold(seconds=seconds, said_as=said_as)


def fact_of(document: list[Any]) -> Fact:
    """What a fact means to clocks, from the array that FACT_DOCUMENT makes of it."""
    fact_id, type_name, microseconds, sequence, carried = document
    return meaning_of(UUID(fact_id), type_name, _EPOCH + timedelta(microseconds=microseconds), sequence, carried)


def _given(facts: Sequence[TicketFact], now: datetime) -> dict[str, Any]:
    rows = [{**{name: getattr(one, name) for name in _FACT}, "recorded_at": now} for one in facts]
    return {"tickets": [one.ticket_id for one in facts], "facts": _document(rows)}


def _row_of(one: TicketClock) -> dict[str, Any]:
    thresholds = [threshold.model_dump() for threshold in one.terms.thresholds]
    terms = {
        "pausing_holds": sorted(one.terms.pausing_holds),
        "thresholds": thresholds,
        "calendar": one.terms.calendar,
    }
    return {
        **{name: getattr(one, name) for name in _SETTLED},
        "kind": one.kind,
        "target_seconds": one.terms.target_seconds,
        "terms": terms,
        **_changing(one),
    }


def _changing(one: TicketClock) -> dict[str, Any]:
    return {name: getattr(one.clock if name in _FOLDED else one, name) for name in _CHANGING}


def _timers(clocks: Sequence[TicketClock]) -> str:
    return _document(
        [
            {"due_at": one.to_arm, "clock_id": one.id, "generation": one.generation}
            for one in clocks
            if one.to_arm is not None
        ]
    )


def _document(what: dict[str, Any] | list[dict[str, Any]]) -> str:
    return json.dumps(what, default=str)
