"""What an operator asks and does from the command line."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from types import ModuleType
from typing import Any

from shared import clock
from shared.contracts.topics import topic_of
from shared.db.connection import STATEMENT_SECONDS
from shared.db.engine import make_engine
from shared.db.statement import sql
from shared.db.transaction import Transaction, begin
from shared.errors import Invalid, NotFound
from shared.messaging import adopting, limit, outgoing, parking, refusals, skipped
from shared.messaging import republish as republishing
from shared.messaging.adopting import SetBack
from shared.messaging.kafka import Bounds, Cluster, bounds, cluster_id, end_offsets
from shared.messaging.published import compare, told_unreadable
from shared.messaging.reactions import Reactions, collect
from shared.messaging.rebuild import Rebuild
from shared.messaging.records import Partition
from shared.messaging.relay import LEADER_LOCK
from shared.messaging.republish import replay_topic
from shared.settings import ServiceSettings

# What is shown of a parked message in place of what may have been personal.
ERASED = "erased"
# Every row that was not sent takes a new position, in one statement that holds the archive.
ADVANCE_SECONDS = 600.0

_ADVANCE = sql("SELECT runtime.advance_position(:beyond, :unknown, :now)")


@asynccontextmanager
async def _database(
    settings: ServiceSettings, *, statement_seconds: float = STATEMENT_SECONDS
) -> AsyncIterator[Transaction]:
    engine = make_engine(
        settings.database_url.get_secret_value(), application="desk operator", pool_size=2,
        statement_seconds=statement_seconds,
    )  # fmt: skip
    try:
        async with begin(engine, lambda: None) as tx:
            yield tx
    finally:
        await engine.dispose()


async def lag(settings: ServiceSettings, subscribers: ModuleType | None) -> list[dict[str, Any]]:
    """Per topic: events that the log has and this service has not applied, and what keeps it from going on."""
    if subscribers is None:
        return []
    reactions = collect(subscribers)
    topics = [topic.name for topic in reactions.topics]
    ends = await end_offsets(Cluster.of(settings), topics)
    async with _database(settings) as tx:
        rows = await tx.fetch(sql("SELECT topic, partition, next_offset FROM runtime.offsets"))
        stored = {(row.topic, row.partition): row.next_offset for row in rows}
        stopped, allowed = await _stopped(tx, reactions), await limit.unspent(tx)
    behind = {
        topic: [max(0, end - stored.get((name, number), 0)) for (name, number), end in ends.items() if name == topic]
        for topic in topics
    }
    return [
        {
            "topic": topic,
            "partitions": len(each),
            "lag": sum(each),
            "worst_partition": max(each, default=0),
            **{name: told for name, rows in stopped.items() if (told := _told_of(rows, topic))},
            **({"allowed_keys": allowed[topic]} if topic in allowed else {}),
        }
        for topic, each in behind.items()
    ]


async def _stopped(tx: Transaction, reactions: Reactions) -> dict[str, Any]:
    return {
        "refused": await refusals.refused(tx),
        "halted": await limit.halted(tx),
        "passed_over": await skipped.passed_over(tx, reactions.by_type),
    }


def _told_of(rows: Any, topic: str) -> list[dict[str, Any]]:
    """What concerns a topic; another cluster concerns each."""
    return [dict(row) for row in rows if row.topic in (topic, refusals.WHOLE_CLUSTER)]


async def backlog(settings: ServiceSettings) -> dict[str, Any]:
    """The outbox: rows, age of the oldest, those that wait for a topic or behind another, and the keys that cannot be
    sent."""
    async with _database(settings) as tx:
        row = await tx.fetch_one(
            sql("""
                    SELECT (SELECT count(*) FROM runtime.outbox) AS rows, min(a.recorded_at) AS oldest
                    FROM (SELECT position FROM runtime.outbox UNION ALL SELECT position FROM runtime.withheld) waiting
                    JOIN runtime.archive a USING (position)
                """)
        )
        withheld = await tx.fetch(
            sql("SELECT topic, count(*) AS rows FROM runtime.withheld GROUP BY topic ORDER BY topic")
        )
        blocked = await tx.fetch(sql("SELECT * FROM runtime.blocked_rows ORDER BY position"))
    oldest = (clock.now() - row.oldest).total_seconds() if row.oldest else None
    return {
        "rows": row.rows,
        "oldest_seconds": oldest,
        "withheld": {one.topic: one.rows for one in withheld},
        "blocked_rows": [dict(one) for one in blocked],
    }


async def leader(settings: ServiceSettings) -> dict[str, Any]:
    """The session that holds the leader's lock, and how many stand by."""
    query = sql("""
        SELECT a.pid, a.application_name, a.client_addr::text AS address, a.backend_start, a.state_change
        FROM pg_locks l JOIN pg_stat_activity a USING (pid)
        WHERE l.locktype = 'advisory' AND l.granted AND l.objid = :lock
          AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    """)
    relays = sql("""
        SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE '% relay'
    """)
    async with _database(settings) as tx:
        row = await tx.fetch_first(query, {"lock": LEADER_LOCK})
        sessions = await tx.fetch_value(relays)
    return {"leader": dict(row) if row else None, "standing_by": sessions - (1 if row else 0)}


async def parked(settings: ServiceSettings, state: str, limit: int) -> list[dict[str, Any]]:
    """The parked messages of a state (waiting, applied, discarded), without their values."""
    async with _database(settings) as tx:
        return [dict(row) for row in await parking.list_parked(tx, state, limit)]


async def show(settings: ServiceSettings, number: int) -> dict[str, Any]:
    """One parked message whole."""
    async with _database(settings) as tx:
        row = dict(await parking.show_parked(tx, number))
    if row["erased_at"] is not None:
        return {**row, "headers": ERASED, "raw_key": ERASED, "value": ERASED}
    row["headers"] = [
        {"name": name, "value": value.decode(errors="replace") if value is not None else None}
        for name, value in parking.unpacked(row["headers"])
    ]
    for name in ("raw_key", "value"):
        row[name] = row[name].decode(errors="replace") if row[name] is not None else None
    return row


async def retry(settings: ServiceSettings, key: str | None) -> dict[str, int]:
    """Makes blocked keys due now; the service's jobs try them within seconds. Raises NotFound for a key that is not."""
    async with _database(settings) as tx:
        due = await parking.retry_now(tx, clock.now(), key)
    if key is not None and due == 0:
        raise NotFound(f"nothing waits for key {key}: `messaging parked` lists what does")
    return {"keys": due}


async def discard(settings: ServiceSettings, number: int, reason: str) -> dict[str, int]:
    """Gives one parked message up, with a reason."""
    because = _reason(reason, "the message is given up")
    async with _database(settings) as tx:
        await parking.discard_parked(tx, number, because, clock.now())
    return {"discarded": number}


async def release(settings: ServiceSettings, topic: str, key: str) -> dict[str, str]:
    """Lets the relay try a key again. Raises NotFound when it is not blocked."""
    async with _database(settings) as tx:
        if not await outgoing.release_key(tx, topic, key):
            raise NotFound(f"the relay does not hold back key {key} of {topic}: `messaging backlog` lists what it does")
    return {"topic": topic, "key": key}


async def advance(settings: ServiceSettings, service: str) -> dict[str, Any]:
    """Moves the position of a restored database past everything that was published before, so that its relay sends
    again. Answers how many events its archive lacks and which; nothing is moved where it lacks none.

    Raises Invalid when a topic cannot be read: it may hold a higher position than the others.
    """
    found = await compare(settings.database_url.get_secret_value(), service, Cluster.of(settings))
    if found.unreadable:
        raise Invalid(told_unreadable(found.unreadable))
    if not found.unknown:
        return {"unknown_events": 0, "moved_rows": 0}
    lacking, beyond = len(found.unknown), max(event.sequence for event in found.unknown)
    async with _database(settings, statement_seconds=ADVANCE_SECONDS) as tx:
        moved = await tx.fetch_value(_ADVANCE, {"beyond": beyond, "unknown": lacking, "now": clock.now()})
    return {
        "unknown_events": lacking,
        **({"at_least": True} if found.has_more else {}),
        "past": beyond,
        "moved_rows": moved,
        "events": [asdict(event) for event in found.unknown],
    }


async def republish(
    settings: ServiceSettings, service: str, types: Sequence[str] | None, after: int, until: int | None
) -> dict[str, Any]:
    """Tells a range of the archive again. Raises Invalid for a type that the service does not tell."""
    if unknown := sorted(set(types or ()) - {event.type for event in replay_topic(service).events}):
        raise Invalid(f"{service} does not tell {', '.join(unknown)}")
    return await republishing.republish(
        settings.database_url.get_secret_value(), service, Cluster.of(settings), types=types, after=after, until=until,
        tell=_progress,
    )  # fmt: skip


async def rebuild(service: Any, tables: Sequence[str], *, change: bool) -> dict[str, Any]:
    """Does projections again. Raises Invalid where there are none, and for a role that may not."""
    settings, projections = service.settings(), service.projections()
    if projections is None:
        raise Invalid(f"{service.name} projects nothing: there is nothing to rebuild")
    if settings.owner_database_url is None:
        raise Invalid("rebuild needs DESK_OWNER_DATABASE_URL, the role that owns the tables")
    work = Rebuild(
        service=service.name,
        owner_url=settings.owner_database_url.get_secret_value(),
        cluster=Cluster.of(settings),
        reactions=_reactions(service.module("subscribers")),
        projections=projections.PROJECTIONS,
        tables=tables,
        tell=_progress,
    )
    found = await work.run(change=change)
    return {"events": work.applied, "changed": change, "projections": [asdict(one) for one in found]}


def _progress(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


async def adopt_cluster(settings: ServiceSettings, subscribers: ModuleType | None, *, dry_run: bool) -> dict[str, Any]:
    """Takes the present cluster for this database's own."""
    topics = [topic.name for topic in _reactions(subscribers).topics]
    cluster = Cluster.of(settings)
    identity, logs = await cluster_id(cluster), await bounds(cluster, topics)
    async with _database(settings) as tx:
        found = await adopting.adopt_cluster(tx, identity, logs, dry_run=dry_run)
    return {"cluster": identity, "partitions_reset": len(found), **_told_set_back(found, dry_run)}


async def adopt_log(
    settings: ServiceSettings, subscribers: ModuleType | None, topic: str, *, dry_run: bool
) -> dict[str, Any]:
    """Takes a topic's present log for the one to read. Raises NotFound for a topic that this service does not read."""
    logs = await _logs_of(settings, subscribers, topic)
    async with _database(settings) as tx:
        found = await adopting.adopt_log(tx, topic, logs, dry_run=dry_run)
    return {"topic": topic, **_told_set_back(found, dry_run)}


async def replay(
    settings: ServiceSettings, subscribers: ModuleType | None, type_name: str, *, dry_run: bool
) -> dict[str, Any]:
    """Lets events that were passed over be applied late. Raises Invalid for a type that this release does not know."""
    topic = _topic_of(subscribers, type_name)
    logs = await _logs_of(settings, subscribers, topic)
    async with _database(settings) as tx:
        found = await adopting.replay(tx, type_name, logs, dry_run=dry_run)
    return {"type": type_name, **_told_set_back(found, dry_run)}


async def accept_skipped(
    settings: ServiceSettings, subscribers: ModuleType | None, type_name: str, reason: str
) -> dict[str, Any]:
    """Leaves events that were passed over out for good, with a reason."""
    because = _reason(reason, "the events are left out")
    _topic_of(subscribers, type_name)
    async with _database(settings) as tx:
        left = await adopting.accept_skipped(tx, type_name, because, clock.now())
    return {"type": type_name, "accepted": [{"topic": topic, "partition": number} for topic, number in left]}


async def accept(
    settings: ServiceSettings, subscribers: ModuleType | None, topic: str, keys: int, reason: str
) -> dict[str, Any]:
    """Lets a halted consumer park so many keys of a topic beyond the limit, with a reason; it goes on by itself."""
    because = _reason(reason, "so many keys may be parked")
    _require_topic(subscribers, topic)
    async with _database(settings) as tx:
        await limit.allow(tx, topic, keys, because, clock.now())
    return {"topic": topic, "keys": keys}


def _reactions(subscribers: ModuleType | None) -> Reactions:
    return collect(subscribers) if subscribers is not None else Reactions([])


def _reason(given: str, what: str) -> str:
    if len(given.strip()) < 3:
        raise Invalid(f"say why {what}: --reason '...'")
    return given.strip()


def _topic_of(subscribers: ModuleType | None, type_name: str) -> str:
    reaction = _reactions(subscribers).by_type.get(type_name)
    if reaction is None:
        raise Invalid(f"this release does not react to {type_name}: there is nothing to decide")
    return topic_of(reaction.event).name


def _require_topic(subscribers: ModuleType | None, topic: str) -> None:
    topics = [each.name for each in _reactions(subscribers).topics]
    if topic not in topics:
        raise NotFound(f"this service does not read {topic}; it reads {', '.join(topics) or 'none'}")


async def _logs_of(settings: ServiceSettings, subscribers: ModuleType | None, topic: str) -> dict[Partition, Bounds]:
    _require_topic(subscribers, topic)
    return await bounds(Cluster.of(settings), [topic])


def _told_set_back(found: Sequence[SetBack], dry_run: bool) -> dict[str, Any]:
    return {"done": not dry_run, "partitions": [asdict(one) for one in found]}
