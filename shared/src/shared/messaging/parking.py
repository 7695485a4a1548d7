"""Parking: what cannot be applied waits in the database, with the later messages of its key behind it, in order."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog

from shared.contracts.envelope import Headers, is_imported, type_of
from shared.db.failures import is_transient, problem_of
from shared.db.statement import query, sql
from shared.db.transaction import Transaction
from shared.errors import NotFound
from shared.messaging import spans
from shared.messaging.reactions import Reactions
from shared.messaging.records import Applicable, Invalid, Record, read_record
from shared.telemetry import logs, metrics, trace, tracing

log = structlog.get_logger(__name__)

MAX_ATTEMPTS = 8
REPLAY_AT_ONCE = 200

Key = tuple[str, str]

_BLOCKED = sql("""
    SELECT topic, key FROM runtime.blocked_keys
    WHERE (topic, key) IN (SELECT * FROM unnest(CAST(:topics AS text[]), CAST(:keys AS text[])))
    ORDER BY topic, key FOR SHARE
""")
_PARK = sql("""
    INSERT INTO runtime.parked
        (topic, partition, "offset", key, event_id, type, headers, raw_key, value, reason, problem, parked_at)
    VALUES (:topic, :partition, :offset, :key, :event_id, :type, :headers, :raw_key, :value, :reason,
            :problem, :now)
    ON CONFLICT (topic, partition, "offset", event_id) DO NOTHING
""")
_BLOCK = sql("""
    INSERT INTO runtime.blocked_keys (topic, key, blocked_at, next_attempt_at, imported)
    VALUES (:topic, :key, :now, :next, :imported)
    ON CONFLICT (topic, key) DO NOTHING
""")
_CLAIM_ID = sql("INSERT INTO runtime.inbox (id, applied_at) VALUES (:id, :now) ON CONFLICT DO NOTHING RETURNING id")


async def blocked_among(tx: Transaction, keys: Collection[Key]) -> set[Key]:
    """Which of these keys are blocked; locked against the retry that could free them meanwhile."""
    ordered = sorted(set(keys))
    found = await tx.fetch(_BLOCKED, {"topics": [key[0] for key in ordered], "keys": [key[1] for key in ordered]})
    return {(row.topic, row.key) for row in found}


async def claim_id(tx: Transaction, id: UUID, now: datetime) -> bool:
    """Whether this transaction is the first to see the event."""
    return await tx.fetch_first(_CLAIM_ID, {"id": id, "now": now}) is not None


async def park(
    tx: Transaction, record: Record, now: datetime, *, reason: str, problem: str, event_id: UUID | None = None
) -> bool:
    """Keeps the raw message and blocks its key. False, and nothing is done, when the same was parked before: it comes
    again where a partition was set back, and its key may be free."""
    new = await tx.execute(
        _PARK,
        {
            "topic": record.topic, "partition": record.partition, "offset": record.offset, "key": record.key,
            "event_id": event_id, "type": _storable(type_of(record.headers, record.value)),
            "headers": _packed(record.headers),
            "raw_key": record.raw_key, "value": record.value, "reason": reason,
            "problem": _storable(problem), "now": now,
        },
    )  # fmt: skip
    if not new:
        return False
    key = {"topic": record.topic, "key": record.key, "imported": is_imported(record.headers, record.value)}
    await tx.execute(_BLOCK, {**key, "now": now, "next": now + timedelta(seconds=5)})
    metrics.consumer_parked_total.labels(reason=reason).inc()
    if reason != "failed":  # the span of the reaction has told it
        spans.tell_parked(record, event_id, reason)
    log.error(
        "message parked", topic=record.topic, partition=record.partition, offset=record.offset, reason=reason,
        trace_id=spans.trace_id_of(record),
    )  # fmt: skip
    return True


async def park_invalid(tx: Transaction, message: Invalid, now: datetime) -> bool:
    """Parks what is not an event of ours, once: its id is claimed with it when it has one. False for a duplicate."""
    if message.event_id is not None and not await claim_id(tx, message.event_id, now):
        return False
    return await park(tx, message.record, now, reason="invalid", problem=message.problem, event_id=message.event_id)


# -- retry --------------------------------------------------------------------------------------------------------

_DUE_KEY = sql("""
    SELECT topic, key FROM runtime.blocked_keys WHERE NOT gave_up AND next_attempt_at <= :now
    ORDER BY next_attempt_at LIMIT 1 FOR UPDATE SKIP LOCKED
""")
_QUEUE = sql("""
    SELECT * FROM runtime.parked WHERE topic = :topic AND key = :key AND state = 'waiting' ORDER BY id LIMIT :most
""")
_APPLIED = sql("UPDATE runtime.parked SET state = 'applied', ended_at = :now, attempts = attempts + 1 WHERE id = :id")
_DUPLICATE = sql("""
    UPDATE runtime.parked SET state = 'discarded', ended_at = :now, ended_because = 'it had been applied' WHERE id = :id
""")
_FAILED = sql("UPDATE runtime.parked SET attempts = attempts + 1, problem = :problem WHERE id = :id RETURNING attempts")
_POSTPONE = sql("""
    UPDATE runtime.blocked_keys SET next_attempt_at = :next, gave_up = :gave_up WHERE topic = :topic AND key = :key
""")
_FREE = sql("DELETE FROM runtime.blocked_keys WHERE topic = :topic AND key = :key")
_LOCK_KEY = sql("""
    SELECT 1 FROM runtime.blocked_keys
    WHERE (topic, key) = (SELECT topic, key FROM runtime.parked WHERE id = :id) FOR UPDATE
""")
_COUNT = query("""
    SELECT (SELECT count(*) FROM runtime.parked WHERE state = 'waiting') AS messages,
           (SELECT count(*) FROM runtime.blocked_keys) AS blocked
""")


async def retry_parked(tx: Transaction, now: datetime, reactions: Reactions) -> int:
    """Replays one due key in order; frees it when its queue is empty. Returns 0 only when no key is due."""
    await _measure(tx)
    due = await tx.fetch_first(_DUE_KEY, {"now": now})
    if due is None:
        return 0
    rows = await tx.fetch(_QUEUE, {"topic": due.topic, "key": due.key, "most": REPLAY_AT_ONCE})
    for row in rows:
        problem = await _replay(tx, row, reactions, now)
        if problem is not None:
            await _postpone(tx, row, problem, now)
            return 1
    if len(rows) < REPLAY_AT_ONCE:
        await tx.execute(_FREE, {"topic": due.topic, "key": due.key})
        log.info("key is free again", topic=due.topic, messages=len(rows))
    return 1


async def _measure(tx: Transaction) -> None:
    counted = await tx.fetch_one(_COUNT)
    metrics.parked_messages.set(counted.messages)
    metrics.blocked_keys.set(counted.blocked)


async def _replay(tx: Transaction, row: Any, reactions: Reactions, now: datetime) -> str | None:
    """Applies one parked message under a savepoint; the problem, when it fails again."""
    message = read_record(record_of(row), reactions)
    if isinstance(message, Invalid):
        return message.problem
    if not isinstance(message, Applicable):
        await tx.execute(_APPLIED, {"id": row.id, "now": now})
        return None
    try:
        async with tx.savepoint():
            # The id of an invalid message was claimed when it was parked: it is its own, not a duplicate's.
            claimed = await apply_claimed(tx, message, now, claim=row.reason != "invalid")
            await tx.execute(_APPLIED if claimed else _DUPLICATE, {"id": row.id, "now": now})
    except Exception as error:
        if is_transient(error):
            raise
        return problem_of(error)
    return None


async def _postpone(tx: Transaction, row: Any, problem: str, now: datetime) -> None:
    attempts = await tx.fetch_value(_FAILED, {"id": row.id, "problem": _storable(problem)})
    gave_up = attempts >= MAX_ATTEMPTS
    pause = timedelta(seconds=min(3600, 5 * 2**attempts))
    await tx.execute(_POSTPONE, {"topic": row.topic, "key": row.key, "next": now + pause, "gave_up": gave_up})
    log.error("parked message failed again", parked=row.id, attempts=attempts, gave_up=gave_up, problem=problem)


async def apply_claimed(tx: Transaction, message: Applicable, now: datetime, *, claim: bool = True) -> bool:
    """Applies one event unless it was applied before, of which only its projection is done again; whether it was new.

    With `claim` False its id is taken for new.
    """
    is_new = not claim or message.bypasses_inbox or await claim_id(tx, message.event.id, now)
    found = message if is_new else message.again()
    if found is not None:
        await apply_one(tx, found)
    return is_new


async def apply_one(tx: Transaction, message: Applicable) -> None:
    """Calls the reaction with this one event; its log lines carry event, ticket, actor, request and trace."""
    with spans.processing((message,)) as (event,):
        above = trace.parse(event.traceparent)
        with logs.working_on(
            event_id=event.id,
            ticket_id=getattr(event.data, "ticket_id", None),
            actor=event.actor,
            correlation_id=event.correlation_id,
            trace_id=above.trace_id if above is not None else None,
            span_id=above.span_id if above is not None and tracing.is_on() else None,
        ):
            await message.reaction.function(tx, [event] if message.reaction.many else event)


# -- what an operator does ----------------------------------------------------------------------------------------


class NothingParked(NotFound):
    """There is no such waiting message."""

    code = "nothing-parked"
    title = "Nothing is parked there"


async def list_parked(tx: Transaction, state: str = "waiting", limit: int = 100) -> Sequence[Any]:
    """The parked messages of a state, oldest first, without their values (those may be personal)."""
    query = sql("""
        SELECT p.id, p.topic, p.partition, p."offset", p.key, p.type, p.reason, p.problem, p.attempts, p.parked_at,
               b.next_attempt_at, b.gave_up, p.ended_at, p.ended_because
        FROM runtime.parked p
        LEFT JOIN runtime.blocked_keys b ON p.state = 'waiting' AND (b.topic, b.key) = (p.topic, p.key)
        WHERE p.state = :state ORDER BY p.id LIMIT :limit
    """)
    return await tx.fetch(query, {"state": state, "limit": limit})


async def show_parked(tx: Transaction, id: int) -> Any:
    """One parked message whole. Raises NothingParked."""
    row = await tx.fetch_first(sql("SELECT * FROM runtime.parked WHERE id = :id"), {"id": id})
    if row is None:
        raise NothingParked(f"no parked message has the number {id}: `messaging parked` lists them")
    return row


async def retry_now(tx: Transaction, now: datetime, key: str | None = None) -> int:
    """Makes blocked keys (all, or one) due at once, those that were given up too. Returns how many."""
    query = sql("""
        UPDATE runtime.blocked_keys SET next_attempt_at = :now, gave_up = false
        WHERE CAST(:key AS text) IS NULL OR key = :key
    """)
    return await tx.execute(query, {"now": now, "key": key})


async def discard_parked(tx: Transaction, id: int, reason: str, now: datetime) -> None:
    """Gives one waiting message up, for a reason that is kept with it. Its event is never applied, not even when it
    comes again (a state record may: the next one of its key replaces it anyway). Raises NothingParked."""
    # The key first, as the retry does it: the other order would deadlock with a retry that is at this message.
    await tx.execute(_LOCK_KEY, {"id": id})
    row = await tx.fetch_first(
        sql("""
                UPDATE runtime.parked SET state = 'discarded', ended_at = :now, ended_because = :reason
                WHERE id = :id AND state = 'waiting' RETURNING topic, key, event_id
            """),
        {"id": id, "reason": reason, "now": now},
    )
    if row is None:
        raise NothingParked(f"no waiting message has the number {id}: `messaging parked` lists them")
    if row.event_id is not None:
        await claim_id(tx, row.event_id, now)
    await tx.execute(_POSTPONE, {"topic": row.topic, "key": row.key, "next": now, "gave_up": False})


# -- the raw message as a row -------------------------------------------------------------------------------------


def _packed(headers: Headers) -> bytes:
    """Headers as JSON with base64 inside, since a stranger's header may hold any bytes, or none."""
    packed = [[name, None if value is None else b64encode(value).decode()] for name, value in headers]
    return json.dumps(packed).encode()


def unpacked(packed: bytes) -> Headers:
    """Headers from their column, as they were delivered."""
    return tuple((name, None if value is None else b64decode(value)) for name, value in json.loads(packed))


def record_of(row: Any) -> Record:
    """The record as it was delivered, from its row."""
    return Record(row.topic, row.partition, row.offset, row.raw_key, unpacked(row.headers), row.value)


def _storable(words: str | None) -> str | None:
    """PostgreSQL keeps no NUL in a text."""
    return words.replace("\x00", "\\x00") if words is not None else None
