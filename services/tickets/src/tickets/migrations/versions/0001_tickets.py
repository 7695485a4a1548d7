"""Tickets, their history, the replicas of the reference data, and the projections of what the others say."""

from alembic import op

from shared.db.alembic_env import grant

revision = "tickets_0001"
down_revision = None

TICKETS = """
CREATE SEQUENCE tickets.ticket_number;
CREATE TABLE tickets.tickets (
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
CREATE INDEX tickets_by_opening ON tickets.tickets (opened_at, id);
CREATE INDEX tickets_by_client ON tickets.tickets (client_id, opened_at, id);
CREATE INDEX tickets_by_status ON tickets.tickets (status, opened_at, id);
CREATE INDEX tickets_by_assignee ON tickets.tickets (assignee, opened_at, id);
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
CREATE TABLE tickets.clients (
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
CREATE INDEX clients_by_name ON tickets.clients (name_key, id);
CREATE TABLE tickets.products (
    id text PRIMARY KEY,
    name text NOT NULL,
    retired boolean NOT NULL,
    sequence bigint NOT NULL
);
CREATE TABLE tickets.modules (
    id text PRIMARY KEY,
    name text NOT NULL,
    product_id text NOT NULL,
    nature text NOT NULL,
    client_id text,
    retired boolean NOT NULL,
    sequence bigint NOT NULL
);
CREATE TABLE tickets.installations (
    id text PRIMARY KEY,
    client_id text NOT NULL,
    product_id text NOT NULL,
    product_version text NOT NULL,
    modules jsonb NOT NULL,
    retired boolean NOT NULL,
    sequence bigint NOT NULL
);
CREATE INDEX installations_by_client ON tickets.installations (client_id);
CREATE TABLE tickets.contracts (
    id text PRIMARY KEY,
    client_id text NOT NULL,
    contract_type text NOT NULL,
    valid_from timestamptz NOT NULL,
    valid_until timestamptz,
    promised_s1_seconds integer,
    retired boolean NOT NULL,
    sequence bigint NOT NULL
);
CREATE INDEX contracts_by_client ON tickets.contracts (client_id)
"""

PROJECTIONS = """
CREATE TABLE tickets.environments (
    ticket_id uuid PRIMARY KEY,
    state text NOT NULL,
    data jsonb NOT NULL,
    sequence bigint NOT NULL
);
CREATE TABLE tickets.clocks (
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
CREATE INDEX clocks_by_ticket ON tickets.clocks (ticket_id);
CREATE TABLE tickets.tasks (
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
    grant("SELECT, INSERT, UPDATE", "tickets")
    # The history only grows: whoever serves can neither change nor remove what happened.
    grant("SELECT, INSERT", "history")
    grant("SELECT, INSERT, UPDATE", "clients", "products", "modules", "installations", "contracts")
    grant("SELECT, INSERT, UPDATE", "environments", "clocks", "tasks")


def downgrade() -> None:
    raise NotImplementedError("a database goes forward only: restore a backup instead")
