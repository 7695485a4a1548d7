"""Contracts and their types, facts, clocks, timers, and every ticket as it is now.

The history of this schema begins here: nothing was promised before the first production (decision 0015).
"""

from alembic import op

from shared.db.alembic_env import grant

revision = "sla_0004"
down_revision = None

TABLES = """
CREATE TABLE sla.clock_facts (
    ticket_id uuid NOT NULL,
    fact_id uuid NOT NULL,
    kind text NOT NULL,
    concerns text,
    reason text,
    occurred_at timestamptz NOT NULL,
    sequence bigint NOT NULL,
    recorded_at timestamptz NOT NULL,
    CONSTRAINT clock_facts_pkey PRIMARY KEY (ticket_id, fact_id)
);
CREATE TABLE sla.clocks (
    id uuid NOT NULL,
    ticket_id uuid NOT NULL,
    kind text NOT NULL,
    cycle integer NOT NULL,
    client_id text,
    contract_id text,
    contract_version integer NOT NULL,
    target_seconds integer NOT NULL,
    terms jsonb NOT NULL,
    origin text NOT NULL,
    correlation_id text NOT NULL,
    course text NOT NULL,
    started_at timestamptz NOT NULL,
    since timestamptz NOT NULL,
    counted_seconds bigint NOT NULL,
    due_at timestamptz,
    hold text,
    breached_at timestamptz,
    warned_seconds integer NOT NULL,
    judged_until timestamptz,
    generation integer NOT NULL,
    PRIMARY KEY (id),
    CONSTRAINT clocks_of_ticket UNIQUE (ticket_id, kind, cycle)
);
CREATE TABLE sla.contract_types (
    id text NOT NULL,
    name text NOT NULL,
    promises jsonb NOT NULL,
    version integer NOT NULL,
    recorded_at timestamptz NOT NULL,
    recorded_by text NOT NULL,
    PRIMARY KEY (id)
);
CREATE TABLE sla.contracts (
    id text NOT NULL,
    version integer NOT NULL,
    client_id text NOT NULL,
    contract_type text NOT NULL,
    valid_from timestamptz NOT NULL,
    valid_until timestamptz,
    promises jsonb NOT NULL,
    recorded_at timestamptz NOT NULL,
    recorded_by text NOT NULL,
    CONSTRAINT contracts_pkey PRIMARY KEY (id, version)
);
CREATE INDEX contracts_of_client ON sla.contracts (client_id, id, version);
CREATE TABLE sla.tickets (
    id uuid NOT NULL,
    brief jsonb NOT NULL,
    sequence bigint NOT NULL,
    PRIMARY KEY (id)
);
CREATE TABLE sla.timers (
    id bigint GENERATED ALWAYS AS IDENTITY,
    due_at timestamptz NOT NULL,
    clock_id uuid NOT NULL,
    generation integer NOT NULL,
    PRIMARY KEY (id)
);
CREATE INDEX timers_by_due ON sla.timers (due_at, id);
-- Timers come and go at the head of the index: dead rows there would slow every look for the next one.
ALTER TABLE sla.timers SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);
-- A clock's row changes in place, in columns without an index: room on its page keeps the update there.
ALTER TABLE sla.clocks SET (fillfactor = 80)
"""


def upgrade() -> None:
    for statement in TABLES.split(";\n"):
        op.execute(statement)
    # Facts and versions of contracts are only ever added, also by a service that has gone wrong.
    grant("SELECT, INSERT", "contracts", "clock_facts")
    grant("SELECT, INSERT, UPDATE", "contract_types", "clocks", "tickets")
    # Locking a row asks for the right to update it; timers are never updated.
    grant("SELECT, INSERT, UPDATE, DELETE", "timers")


def downgrade() -> None:
    raise NotImplementedError("a database goes forward only: restore a backup instead")
