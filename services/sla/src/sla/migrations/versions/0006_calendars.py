"""Calendars in versions; contracts and their types in versions too; clocks that name the calendars they count in."""

from alembic import op

from shared.db.alembic_env import grant

revision = "sla_0006"
down_revision = "sla_0005"

# Contracts and their types are recorded anew, from the defaults and by whoever keeps them: they said their targets in
# seconds of day and night, and nothing is in production (decision 0015).
RECORDS = """
DROP TABLE sla.contracts;
DROP TABLE sla.contract_types;
CREATE TABLE sla.calendars (
    id text NOT NULL,
    revision integer NOT NULL,
    changed_at timestamptz NOT NULL,
    changed_by text NOT NULL,
    PRIMARY KEY (id)
);
CREATE TABLE sla.calendar_drafts (
    calendar_id text NOT NULL,
    version integer NOT NULL,
    name text NOT NULL,
    facts jsonb NOT NULL,
    definition jsonb NOT NULL,
    changed_at timestamptz NOT NULL,
    changed_by text NOT NULL,
    PRIMARY KEY (calendar_id)
);
CREATE TABLE sla.calendar_versions (
    calendar_id text NOT NULL,
    version integer NOT NULL,
    name text NOT NULL,
    facts jsonb NOT NULL,
    definition jsonb NOT NULL,
    effective_from timestamptz,
    reason text,
    activated_at timestamptz NOT NULL,
    activated_by text NOT NULL,
    CONSTRAINT calendar_versions_pkey PRIMARY KEY (calendar_id, version),
    CONSTRAINT calendar_versions_begin CHECK ((effective_from IS NULL) = (version = 1))
);
CREATE TABLE sla.calendar_years (
    calendar_id text NOT NULL,
    year integer NOT NULL,
    imported_at timestamptz NOT NULL,
    imported_by text NOT NULL,
    confirmed_at timestamptz,
    confirmed_by text,
    CONSTRAINT calendar_years_pkey PRIMARY KEY (calendar_id, year)
);
CREATE TABLE sla.contract_types (
    id text NOT NULL,
    version integer NOT NULL,
    name text NOT NULL,
    promises jsonb NOT NULL,
    recorded_at timestamptz NOT NULL,
    recorded_by text NOT NULL,
    CONSTRAINT contract_types_pkey PRIMARY KEY (id, version)
);
CREATE TABLE sla.contracts (
    id text NOT NULL,
    version integer NOT NULL,
    client_id text NOT NULL,
    contract_type text NOT NULL,
    type_version integer NOT NULL,
    effective_from timestamptz NOT NULL,
    valid_from timestamptz NOT NULL,
    valid_until timestamptz,
    product_ids text[] NOT NULL,
    differences jsonb NOT NULL,
    recorded_at timestamptz NOT NULL,
    recorded_by text NOT NULL,
    CONSTRAINT contracts_pkey PRIMARY KEY (id, version),
    CONSTRAINT contracts_of_type FOREIGN KEY (contract_type, type_version)
        REFERENCES sla.contract_types (id, version)
);
CREATE INDEX contracts_of_client ON sla.contracts (client_id, id, version)
"""

# What there is of clocks has counted day and night, and goes on so.
CLOCKS = """
ALTER TABLE sla.clock_facts ADD COLUMN calendar_version integer, ADD COLUMN told_at timestamptz;
ALTER TABLE sla.clocks ADD COLUMN would_have_been_at timestamptz, ADD COLUMN counted_in jsonb;
UPDATE sla.clocks SET
    terms = terms || jsonb_build_object('calendar', jsonb_build_array('24x7', 1)),
    counted_in = jsonb_build_array(jsonb_build_array(started_at, jsonb_build_array('24x7', 1)));
ALTER TABLE sla.clocks
    ALTER COLUMN counted_in SET NOT NULL,
    ADD COLUMN calendar_id text GENERATED ALWAYS AS (terms -> 'calendar' ->> 0) STORED,
    ADD COLUMN calendar_version integer GENERATED ALWAYS AS (CAST(counted_in -> -1 -> 1 ->> 1 AS integer)) STORED;
CREATE INDEX clocks_by_calendar ON sla.clocks (calendar_id, calendar_version)
    WHERE course IN ('running', 'paused')
"""


def upgrade() -> None:
    for statement in (RECORDS + ";\n" + CLOCKS).split(";\n"):
        op.execute(statement)
    # Versions are only ever added, also by a service that has gone wrong.
    grant("SELECT, INSERT", "calendar_versions", "contract_types", "contracts")
    grant("SELECT, INSERT, UPDATE", "calendars", "calendar_years")
    grant("SELECT, INSERT, UPDATE, DELETE", "calendar_drafts")


def downgrade() -> None:
    raise NotImplementedError("a database goes forward only: restore a backup instead")
