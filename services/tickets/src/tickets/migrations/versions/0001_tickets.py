"""Tickets, their history, the replicas of the reference data, and the projections of what the others say."""

from alembic import op

from shared.db.alembic_env import grant

revision = "tickets_0001"
down_revision = None

TICKETS = """
CREATE SEQUENCE tickets.ticket_number;
CREATE TABLE tickets.ticket (
    id uuid PRIMARY KEY,
    number text NOT NULL UNIQUE,
    version integer NOT NULL,
    status text NOT NULL,
    kind text NOT NULL,
    client_id text NOT NULL,
    product_id text,
    module_id text,
    installation_id text,
    severity integer NOT NULL,
    severity_to_review boolean NOT NULL,
    priority integer NOT NULL,
    title text NOT NULL,
    title_key text NOT NULL,
    description text NOT NULL,
    reporter text,
    channel text NOT NULL,
    reported_at timestamptz NOT NULL,
    reported_late_reason text,
    opened_at timestamptz NOT NULL,
    opened_by text NOT NULL,
    level integer NOT NULL,
    target text,
    assignee text,
    hold_reason text,
    hold_note text,
    held_at timestamptz,
    first_responded_at timestamptz,
    resolution_code text,
    resolution_text text,
    resolved_at timestamptz,
    closed_at timestamptz
);
CREATE INDEX ticket_by_opening ON tickets.ticket (opened_at, id);
CREATE INDEX ticket_by_client ON tickets.ticket (client_id, opened_at, id);
CREATE INDEX ticket_by_status ON tickets.ticket (status, opened_at, id);
CREATE INDEX ticket_by_assignee ON tickets.ticket (assignee, opened_at, id);
CREATE TABLE tickets.history (
    position bigint GENERATED ALWAYS AS IDENTITY (CACHE 1) PRIMARY KEY,
    ticket_id uuid NOT NULL,
    fact_id uuid NOT NULL UNIQUE,
    type text NOT NULL,
    source text NOT NULL,
    occurred_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL,
    actor text NOT NULL,
    origin text NOT NULL,
    correlation_id text NOT NULL,
    causation_id text,
    corrects uuid,
    data jsonb NOT NULL
);
CREATE INDEX history_by_ticket ON tickets.history (ticket_id, occurred_at, position)
"""

REPLICAS = """
CREATE TABLE tickets.client (
    id text PRIMARY KEY,
    name text NOT NULL,
    name_key text NOT NULL,
    tax_id text,
    tier text NOT NULL,
    city text,
    contact text,
    phone text,
    retired boolean NOT NULL,
    sequence bigint NOT NULL
);
CREATE INDEX client_by_name ON tickets.client (name_key, id);
CREATE TABLE tickets.product (
    id text PRIMARY KEY,
    name text NOT NULL,
    retired boolean NOT NULL,
    sequence bigint NOT NULL
);
CREATE TABLE tickets.module (
    id text PRIMARY KEY,
    name text NOT NULL,
    product_id text NOT NULL,
    nature text NOT NULL,
    client_id text,
    retired boolean NOT NULL,
    sequence bigint NOT NULL
);
CREATE TABLE tickets.installation (
    id text PRIMARY KEY,
    client_id text NOT NULL,
    product_id text NOT NULL,
    product_version text NOT NULL,
    modules jsonb NOT NULL,
    retired boolean NOT NULL,
    sequence bigint NOT NULL
);
CREATE INDEX installation_by_client ON tickets.installation (client_id);
CREATE TABLE tickets.contract (
    id text PRIMARY KEY,
    client_id text NOT NULL,
    contract_type text NOT NULL,
    valid_from timestamptz NOT NULL,
    valid_until timestamptz,
    promised_s1_seconds integer,
    retired boolean NOT NULL,
    sequence bigint NOT NULL
);
CREATE INDEX contract_by_client ON tickets.contract (client_id)
"""

PROJECTIONS = """
CREATE TABLE tickets.environment (
    ticket_id uuid PRIMARY KEY,
    state text NOT NULL,
    data jsonb NOT NULL,
    sequence bigint NOT NULL
);
CREATE TABLE tickets.clock (
    id uuid PRIMARY KEY,
    ticket_id uuid NOT NULL,
    kind text NOT NULL,
    contract_id text,
    contract_version integer,
    target_seconds integer,
    started_at timestamptz,
    start_sequence bigint NOT NULL,
    course text,
    course_at timestamptz,
    remaining_seconds integer,
    pause_reason text,
    course_sequence bigint NOT NULL,
    due_at timestamptz,
    due_sequence bigint NOT NULL,
    warned_percent integer,
    warned_sequence bigint NOT NULL,
    breached_at timestamptz,
    breach_sequence bigint NOT NULL
);
CREATE INDEX clock_by_ticket ON tickets.clock (ticket_id);
CREATE TABLE tickets.task (
    id uuid NOT NULL,
    ticket_id uuid NOT NULL,
    escalation_id uuid NOT NULL,
    tracker text,
    external_id text,
    display_id text,
    url text,
    link_sequence bigint NOT NULL,
    status text,
    status_at timestamptz,
    tracker_status text,
    reason text,
    fix_version text,
    status_sequence bigint NOT NULL,
    PRIMARY KEY (ticket_id, id)
)
"""


def upgrade() -> None:
    for statement in ";".join((TICKETS, REPLICAS, PROJECTIONS)).split(";"):
        op.execute(statement)
    grant("USAGE", "ticket_number")
    grant("SELECT, INSERT, UPDATE", "ticket")
    # The history only grows: whoever serves can neither change nor remove what happened.
    grant("SELECT, INSERT", "history")
    grant("SELECT, INSERT, UPDATE", "client", "product", "module", "installation", "contract")
    grant("SELECT, INSERT, UPDATE", "environment", "clock", "task")


def downgrade() -> None:
    raise NotImplementedError("a database goes forward only: restore a backup instead")
