"""The tables of sla."""

from __future__ import annotations

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Column,
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

# Templates of contracts; a contract takes their promises when it is recorded.
contract_types = Table(
    "contract_types",
    metadata,
    text_column("id", primary_key=True),
    text_column("name"),
    document("promises"),
    Column("version", Integer, nullable=False),
    instant("recorded_at"),
    text_column("recorded_by"),
)

# Every version of every contract, append-only: a clock names the version that it measures against.
contracts = Table(
    "contracts",
    metadata,
    text_column("id"),
    Column("version", Integer, nullable=False),
    text_column("client_id"),
    text_column("contract_type"),
    instant("valid_from"),
    instant("valid_until", nullable=True),
    document("promises"),
    instant("recorded_at"),
    text_column("recorded_by"),
    # What it is for; empty: whatever the client has.
    Column("product_ids", ARRAY(Text), nullable=False, server_default="{}"),
    PrimaryKeyConstraint("id", "version", name="contracts_pkey"),
)
Index("contracts_of_client", contracts.c.client_id, contracts.c.id, contracts.c.version)

# What happened to each ticket as far as clocks are concerned, append-only. Facts may come before the clock exists.
clock_facts = Table(
    "clock_facts",
    metadata,
    uuid("ticket_id"),
    uuid("fact_id"),
    text_column("kind"),
    text_column("concerns", nullable=True),
    text_column("reason", nullable=True),
    instant("occurred_at"),
    Column("sequence", BigInteger, nullable=False),
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
    instant("judged_until", nullable=True),
    Column("generation", Integer, nullable=False),
    UniqueConstraint("ticket_id", "kind", "cycle", name="clocks_of_ticket"),
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
