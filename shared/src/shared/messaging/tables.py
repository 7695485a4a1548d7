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

# Rows that cannot be sent, one of a key at most: the later ones of the key wait behind it, nothing is skipped.
blocked_rows = Table(
    "blocked_rows",
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
# `newest_at` is the youngest time (ms) of any record below `dated_below`: by it the log is known again (decision 0008).
# `dated_below` is less than `next_offset` where an earlier release, which knows no times, read on.
# `generation` grows with every decision of an operator about the partition: what was remembered before is void.
offsets = Table(
    "offsets",
    metadata,
    text_column("topic"),
    Column("partition", Integer, nullable=False),
    Column("next_offset", BigInteger, nullable=False),
    Column("newest_at", BigInteger, nullable=True),
    Column("dated_below", BigInteger, nullable=True),
    Column("generation", Integer, nullable=False, server_default=text("0")),
    PrimaryKeyConstraint("topic", "partition"),
)

# Logs that are not the ones that this database has read. They are refused, whatever they look like later, until an
# operator adopts them.
refused_logs = Table(
    "refused_logs",
    metadata,
    text_column("topic"),
    Column("partition", Integer, nullable=False),
    Column("stored_offset", BigInteger, nullable=False),
    text_column("why"),
    text_column("shows"),
    instant("found_at"),
    PrimaryKeyConstraint("topic", "partition"),
)

# Types that this service passed over because it did not react to them, from which offset on (decision 0009).
skipped_types = Table(
    "skipped_types",
    metadata,
    text_column("topic"),
    Column("partition", Integer, nullable=False),
    text_column("type"),
    Column("first_offset", BigInteger, nullable=False),
    instant("first_at"),
    PrimaryKeyConstraint("topic", "partition", "type"),
)

# The same, after somebody said that what was passed over shall never be applied: below `until_offset`, whatever is read
# again for another reason. It is 0 when the log is another one than that.
accepted_skips = Table(
    "accepted_skips",
    metadata,
    text_column("topic"),
    Column("partition", Integer, nullable=False),
    text_column("type"),
    Column("first_offset", BigInteger, nullable=False),
    instant("first_at"),
    text_column("reason"),
    instant("accepted_at"),
    Column("until_offset", BigInteger, nullable=False, server_default=text("0")),
    PrimaryKeyConstraint("topic", "partition", "type", "accepted_at"),
)

# Where a consumer stopped because too many keys would have been parked: how many were too many, in the batch that has
# this offset. The row is history as soon as the partition is past it.
halts = Table(
    "halts",
    metadata,
    text_column("topic"),
    Column("partition", Integer, nullable=False),
    Column("offset", BigInteger, nullable=False),
    Column("lacking", Integer, nullable=False),
    instant("halted_at"),
    PrimaryKeyConstraint("topic", "partition"),
)

# How many keys beyond that limit an operator lets be parked, of which topic, and why.
allowances = Table(
    "allowances",
    metadata,
    position("id"),
    text_column("topic"),
    Column("granted", Integer, nullable=False),
    Column("unspent", Integer, nullable=False),
    text_column("reason"),
    instant("granted_at"),
)
Index("allowances_unspent", allowances.c.topic, allowances.c.id, postgresql_where=text("unspent > 0"))

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
    instant("erased_at", nullable=True),
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
Index(
    "parked_to_erase",
    parked.c.ended_at,
    postgresql_where=text("state <> 'waiting' AND erased_at IS NULL"),
)

# Keys whose messages wait in `parked`. A batch reads them FOR SHARE, the retry deletes a row when its queue is empty.
blocked_keys = Table(
    "blocked_keys",
    metadata,
    text_column("topic"),
    text_column("key"),
    instant("blocked_at"),
    instant("next_attempt_at"),
    Column("gave_up", Boolean, nullable=False, server_default=text("false")),
    Column("imported", Boolean, nullable=False, server_default=text("false")),
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

# Work that calls out: wanted in the transaction of its cause, done outside any, its answer recorded in another one.
# `due_at` is when it is tried next, or when the lease of whoever is at it ends. `uncounted` is how many of the attempts
# do not count towards the most that are made.
errands = Table(
    "errands",
    metadata,
    text_column("kind"),
    text_column("key"),
    document("payload"),
    text_column("state", server_default=text("'waiting'")),
    Column("attempt", Integer, nullable=False, server_default=text("0")),
    Column("uncounted", Integer, nullable=False, server_default=text("0")),
    instant("due_at"),
    instant("wanted_at"),
    instant("ended_at", nullable=True),
    text_column("problem", nullable=True),
    PrimaryKeyConstraint("kind", "key"),
)
Index("errands_due", errands.c.kind, errands.c.due_at, postgresql_where=text("state IN ('waiting', 'running')"))
Index("errands_given_up", errands.c.ended_at, postgresql_where=text("state = 'given-up'"))
Index(
    "errands_standing",
    errands.c.kind,
    errands.c.state,
    postgresql_where=text("state IN ('waiting', 'running', 'given-up')"),
)
Index("errands_ended", errands.c.ended_at, postgresql_where=text("state IN ('done', 'discarded')"))

# Pieces of a job's work that raised, set aside so that the others of their portion go on.
set_aside = Table(
    "set_aside",
    metadata,
    text_column("job"),
    text_column("key"),
    text_column("problem"),
    Column("times", Integer, nullable=False, server_default=text("1")),
    instant("set_aside_at"),
    PrimaryKeyConstraint("job", "key"),
)
