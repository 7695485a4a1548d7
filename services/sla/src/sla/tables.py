"""The tables of sla."""

from __future__ import annotations

from sqlalchemy import (
    ARRAY,
    BigInteger,
    CheckConstraint,
    Column,
    Computed,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
)

from shared.db.columns import document, instant, uuid
from shared.db.columns import text as text_column
from shared.ticket_replica import ticket_replica

metadata = MetaData(schema="sla")

# Every calendar, and how often it was changed, drafts and confirmed years included. Its row is locked for each change.
calendars = Table(
    "calendars",
    metadata,
    text_column("id", primary_key=True),
    Column("revision", Integer, nullable=False),
    instant("changed_at"),
    text_column("changed_by"),
)

# The version of a calendar that comes next, as far as it is written: `facts` as somebody wrote it, `definition` what of
# that counts.
calendar_drafts = Table(
    "calendar_drafts",
    metadata,
    text_column("calendar_id", primary_key=True),
    Column("version", Integer, nullable=False),
    text_column("name"),
    document("facts"),
    document("definition"),
    instant("changed_at"),
    text_column("changed_by"),
)

# Every version that was activated, append-only: clocks name the versions that they count in. The first one has no
# beginning, it counts for always.
calendar_versions = Table(
    "calendar_versions",
    metadata,
    text_column("calendar_id"),
    Column("version", Integer, nullable=False),
    text_column("name"),
    document("facts"),
    document("definition"),
    instant("effective_from", nullable=True),
    text_column("reason", nullable=True),
    instant("activated_at"),
    text_column("activated_by"),
    PrimaryKeyConstraint("calendar_id", "version", name="calendar_versions_pkey"),
    CheckConstraint("(effective_from IS NULL) = (version = 1)", name="calendar_versions_begin"),
)

# The years whose holidays were imported; they are provisional until somebody confirms them.
calendar_years = Table(
    "calendar_years",
    metadata,
    text_column("calendar_id"),
    Column("year", Integer, nullable=False),
    instant("imported_at"),
    text_column("imported_by"),
    instant("confirmed_at", nullable=True),
    text_column("confirmed_by", nullable=True),
    PrimaryKeyConstraint("calendar_id", "year", name="calendar_years_pkey"),
)

# Every version of every type of contract, append-only: a contract names the version that it is of.
contract_types = Table(
    "contract_types",
    metadata,
    text_column("id"),
    Column("version", Integer, nullable=False),
    text_column("name"),
    document("promises"),
    instant("recorded_at"),
    text_column("recorded_by"),
    PrimaryKeyConstraint("id", "version", name="contract_types_pkey"),
)

# Every version of every contract, append-only: a clock names the version that it measures against. What it promises is
# what its type does, with its own differences.
contracts = Table(
    "contracts",
    metadata,
    text_column("id"),
    Column("version", Integer, nullable=False),
    text_column("client_id"),
    text_column("contract_type"),
    Column("type_version", Integer, nullable=False),
    instant("effective_from"),
    instant("valid_from"),
    instant("valid_until", nullable=True),
    # What it is for; empty: whatever the client has.
    Column("product_ids", ARRAY(Text), nullable=False),
    document("differences"),
    instant("recorded_at"),
    text_column("recorded_by"),
    PrimaryKeyConstraint("id", "version", name="contracts_pkey"),
    ForeignKeyConstraint(
        ["contract_type", "type_version"], ["sla.contract_types.id", "sla.contract_types.version"],
        name="contracts_of_type",
    ),
)  # fmt: skip
Index("contracts_of_client", contracts.c.client_id, contracts.c.id, contracts.c.version)

# What happened to each ticket, whole and append-only; what it means to a clock is said at each fold, in
# domain/meaning.py. Facts may come before the clock exists.
clock_facts = Table(
    "clock_facts",
    metadata,
    uuid("ticket_id"),
    uuid("fact_id"),
    text_column("type"),
    instant("occurred_at"),
    Column("sequence", BigInteger, nullable=False),
    document("carried"),
    instant("recorded_at"),
    PrimaryKeyConstraint("ticket_id", "fact_id", name="clock_facts_pkey"),
)

# The result of folding a ticket's facts under terms pinned at the start: always reproducible from clock_facts.
clocks = Table(
    "clocks",
    metadata,
    uuid("id", primary_key=True),
    uuid("ticket_id"),
    text_column("kind"),
    Column("cycle", Integer, nullable=False),
    text_column("client_id", nullable=True),
    text_column("contract_id", nullable=True),
    Column("contract_version", Integer, nullable=False),
    Column("target_seconds", Integer, nullable=False),
    document("terms"),
    text_column("origin"),
    text_column("correlation_id"),
    text_column("course"),
    instant("started_at"),
    instant("since"),
    Column("counted_seconds", BigInteger, nullable=False),
    instant("due_at", nullable=True),
    text_column("hold", nullable=True),
    instant("breached_at", nullable=True),
    Column("warned_seconds", Integer, nullable=False),
    instant("would_have_been_at", nullable=True),
    # One calendar after another, as [from, [calendar, version]]. Which it is, and the last version, follow from these.
    document("counted_in"),
    Column("calendar_id", Text, Computed("terms -> 'calendar'::text ->> 0", persisted=True)),
    Column("calendar_version", Integer, Computed("(counted_in -> '-1'::integer -> 1 ->> 1)::integer", persisted=True)),
    instant("judged_until", nullable=True),
    Column("generation", Integer, nullable=False),
    UniqueConstraint("ticket_id", "kind", "cycle", name="clocks_of_ticket"),
)
# Those that another version of their calendar would move.
Index(
    "clocks_by_calendar",
    clocks.c.calendar_id,
    clocks.c.calendar_version,
    postgresql_where=clocks.c.course.in_(("running", "paused")),
)

# When time will next change a clock. Rows are inserted and deleted, never updated; one of an older generation is void.
timers = Table(
    "timers",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    instant("due_at"),
    uuid("clock_id"),
    Column("generation", Integer, nullable=False),
)
Index("timers_by_due", timers.c.due_at, timers.c.id)

# Every ticket as its latest event left it.
tickets = ticket_replica(metadata)
