"""The runtime's own tables, in the PostgreSQL schema `runtime` of every service's database."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    text,
)

from shared.db.columns import document, instant, position, uuid
from shared.db.columns import text as text_column

metadata = MetaData(schema="runtime")

# Every event that this service ever published, for ever: the source of rebuilds after the topics' retention.
archive = Table(
    "archive",
    metadata,
    position(),
    uuid("id", unique=True),
    text_column("topic"),
    text_column("key"),
    text_column("type"),
    text_column("subject"),
    instant("occurred_at"),
    instant("recorded_at"),
    text_column("origin"),
    text_column("actor"),
    text_column("correlation_id"),
    text_column("causation_id", nullable=True),
    text_column("traceparent", nullable=True),
    Column("value", LargeBinary, nullable=False),
)
Index("archive_of_record", archive.c.key, archive.c.position, postgresql_where=text("key LIKE '%:%'"))

# What is not yet acknowledged by Kafka. The row is only the position: the relay joins the archive and deletes the row.
outbox = Table("outbox", metadata, Column("position", BigInteger, primary_key=True, autoincrement=False))

# Keys with a row that cannot be sent: their later rows wait behind it, nothing is skipped.
unsendable = Table(
    "unsendable",
    metadata,
    text_column("topic"),
    text_column("key"),
    Column("position", BigInteger, nullable=False),
    text_column("problem"),
    instant("found_at"),
    PrimaryKeyConstraint("topic", "key"),
)

# Rows that must wait, so that they hold nobody up: their topic cannot be written, or an earlier row of their key not be
# sent.
withheld = Table(
    "withheld",
    metadata,
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    text_column("topic"),
    text_column("key"),
)
Index("withheld_by_key", withheld.c.topic, withheld.c.key, withheld.c.position)

# Where an operator moved the position after a restore: what the topics hold up to there need not be in the archive.
advanced = Table(
    "advanced",
    metadata,
    Column("past", BigInteger, primary_key=True, autoincrement=False),
    Column("unknown_events", Integer, nullable=False),
    instant("advanced_at"),
)

# Ids of the events that were applied; kept longer than the topics keep the events.
inbox = Table("inbox", metadata, uuid("id", primary_key=True), instant("applied_at"))
Index("inbox_by_age", inbox.c.applied_at)

# Where this service stands in each partition: the next offset to apply. Kafka's own committed offsets only show lag.
offsets = Table(
    "offsets",
    metadata,
    text_column("topic"),
    Column("partition", Integer, nullable=False),
    Column("next_offset", BigInteger, nullable=False),
    PrimaryKeyConstraint("topic", "partition"),
)

# The cluster that the offsets belong to. Another cluster is refused until an operator adopts it.
cluster = Table("cluster", metadata, text_column("id", primary_key=True), instant("adopted_at"))

# How far a replica of a compacted topic must have read to be complete, and when it had.
replicas = Table(
    "replicas",
    metadata,
    text_column("topic"),
    Column("partition", Integer, nullable=False),
    Column("target_offset", BigInteger, nullable=False),
    instant("filled_at", nullable=True),
    PrimaryKeyConstraint("topic", "partition"),
)

# Messages that could not be applied, and those of the same key behind them, in order.
parked = Table(
    "parked",
    metadata,
    position("id"),
    text_column("topic"),
    Column("partition", Integer, nullable=False),
    Column("offset", BigInteger, nullable=False),
    text_column("key"),
    uuid("event_id", nullable=True),
    text_column("type", nullable=True),
    Column("headers", LargeBinary, nullable=False),
    Column("raw_key", LargeBinary, nullable=True),
    Column("value", LargeBinary, nullable=True),
    text_column("reason"),
    text_column("problem"),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    text_column("state", server_default=text("'waiting'")),
    instant("parked_at"),
    instant("ended_at", nullable=True),
    text_column("ended_because", nullable=True),
)
# With the event's id, since a topic that was made anew has the old places once more, with other messages.
Index(
    "parked_once",
    parked.c.topic,
    parked.c.partition,
    parked.c.offset,
    parked.c.event_id,
    unique=True,
    postgresql_nulls_not_distinct=True,
)
Index("parked_waiting", parked.c.topic, parked.c.key, parked.c.id, postgresql_where=text("state = 'waiting'"))

# Keys whose messages wait in `parked`. A batch reads them FOR SHARE, the retry deletes a row when its queue is empty.
blocked_keys = Table(
    "blocked_keys",
    metadata,
    text_column("topic"),
    text_column("key"),
    instant("blocked_at"),
    instant("next_attempt_at"),
    Column("gave_up", Boolean, nullable=False, server_default=text("false")),
    PrimaryKeyConstraint("topic", "key"),
)

# Answers of commands that carried an idempotency key, in the transaction of their effect.
idempotency = Table(
    "idempotency",
    metadata,
    text_column("caller"),
    text_column("route"),
    text_column("key"),
    Column("request_digest", LargeBinary, nullable=False),
    Column("status", Integer, nullable=False),
    document("headers"),
    Column("body", LargeBinary, nullable=False),
    instant("answered_at"),
    PrimaryKeyConstraint("caller", "route", "key"),
)
Index("idempotency_by_age", idempotency.c.answered_at)
