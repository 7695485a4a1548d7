"""Tickets, their history and queue, the replicas of the reference data, and the projections of what the others say.

The history of this schema begins here: nothing was promised before the first production (decision 0015).
"""

from alembic import op

from shared.db.alembic_env import grant

revision = "tickets_0006"
down_revision = None

# A trusted extension: whoever owns the database may create it. It belongs to the schema of the service.
TABLES = """
CREATE EXTENSION IF NOT EXISTS pg_trgm;
CREATE SEQUENCE tickets.ticket_number;
CREATE TABLE tickets.clients (
    id text NOT NULL,
    name text NOT NULL,
    name_key text NOT NULL,
    tax_id text,
    tax_key text,
    tier text NOT NULL,
    city text,
    contact text,
    phone text,
    retired boolean NOT NULL,
    sequence bigint NOT NULL,
    PRIMARY KEY (id)
);
CREATE INDEX clients_by_name ON tickets.clients (name_key, id);
CREATE TABLE tickets.clocks (
    id uuid NOT NULL,
    ticket_id uuid NOT NULL,
    kind text NOT NULL,
    cycle integer NOT NULL,
    course text NOT NULL,
    outcome text NOT NULL,
    contract_id text,
    contract_version integer NOT NULL,
    target_seconds integer NOT NULL,
    elapsed_seconds integer NOT NULL,
    started_at timestamptz NOT NULL,
    since timestamptz NOT NULL,
    due_at timestamptz,
    pause_reason text,
    warned_as text,
    breached_at timestamptz,
    sequence bigint NOT NULL,
    PRIMARY KEY (id)
);
CREATE INDEX clocks_by_ticket ON tickets.clocks (ticket_id);
CREATE TABLE tickets.contracts (
    id text NOT NULL,
    client_id text NOT NULL,
    contract_type text NOT NULL,
    valid_from timestamptz NOT NULL,
    valid_until timestamptz,
    promised_s1_seconds integer,
    retired boolean NOT NULL,
    sequence bigint NOT NULL,
    PRIMARY KEY (id)
);
CREATE INDEX contracts_by_client ON tickets.contracts (client_id);
CREATE TABLE tickets.environments (
    ticket_id uuid NOT NULL,
    state text NOT NULL,
    data jsonb NOT NULL,
    sequence bigint NOT NULL,
    PRIMARY KEY (ticket_id)
);
CREATE TABLE tickets.history (
    position bigint GENERATED ALWAYS AS IDENTITY (CACHE 1),
    ticket_id uuid NOT NULL,
    fact_id uuid NOT NULL,
    type text NOT NULL,
    source text NOT NULL,
    occurred_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL,
    actor text NOT NULL,
    origin text NOT NULL,
    correlation_id text NOT NULL,
    causation_id text,
    corrects uuid,
    changes jsonb,
    data jsonb NOT NULL,
    PRIMARY KEY (position),
    UNIQUE (fact_id)
);
CREATE INDEX history_by_ticket ON tickets.history (ticket_id, position);
CREATE TABLE tickets.installations (
    id text NOT NULL,
    client_id text NOT NULL,
    product_id text NOT NULL,
    product_version text NOT NULL,
    modules jsonb NOT NULL,
    retired boolean NOT NULL,
    sequence bigint NOT NULL,
    PRIMARY KEY (id)
);
CREATE INDEX installations_by_client ON tickets.installations (client_id);
CREATE TABLE tickets.modules (
    id text NOT NULL,
    name text NOT NULL,
    product_id text NOT NULL,
    nature text NOT NULL,
    client_id text,
    retired boolean NOT NULL,
    sequence bigint NOT NULL,
    PRIMARY KEY (id)
);
CREATE TABLE tickets.open_tickets (
    id uuid NOT NULL,
    number text NOT NULL,
    title_key text NOT NULL,
    opened_at timestamptz NOT NULL,
    status text NOT NULL,
    client_id text NOT NULL,
    product_id text,
    module_id text,
    severity integer NOT NULL,
    priority integer NOT NULL,
    level integer NOT NULL,
    target text,
    assignee text,
    clocks text NOT NULL,
    due_kind text,
    due_at timestamptz,
    breached boolean NOT NULL,
    turn integer NOT NULL,
    turn_by bigint NOT NULL,
    PRIMARY KEY (id)
);
CREATE INDEX open_tickets_by_assignee ON tickets.open_tickets (assignee, opened_at, id) WHERE assignee IS NOT NULL;
CREATE INDEX open_tickets_by_client ON tickets.open_tickets (client_id, opened_at, id);
CREATE INDEX open_tickets_by_opening ON tickets.open_tickets (opened_at, id);
CREATE INDEX open_tickets_by_turn ON tickets.open_tickets (turn, turn_by, severity, priority, id);
CREATE TABLE tickets.products (
    id text NOT NULL,
    name text NOT NULL,
    retired boolean NOT NULL,
    sequence bigint NOT NULL,
    PRIMARY KEY (id)
);
CREATE TABLE tickets.tasks (
    id uuid NOT NULL,
    ticket_id uuid NOT NULL,
    escalation_id uuid NOT NULL,
    tracker text NOT NULL,
    external_id text NOT NULL,
    display_id text NOT NULL,
    url text NOT NULL,
    status text NOT NULL,
    status_at timestamptz NOT NULL,
    tracker_status text NOT NULL,
    declined_reason text,
    fix_version text,
    sequence bigint NOT NULL,
    PRIMARY KEY (ticket_id, id)
);
CREATE TABLE tickets.tickets (
    id uuid NOT NULL,
    number text NOT NULL,
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
    last_fact_at timestamptz NOT NULL,
    course_at timestamptz NOT NULL,
    owner text NOT NULL,
    level integer NOT NULL,
    target text,
    team text,
    assignee text,
    hold_reason text,
    hold_note text,
    held_at timestamptz,
    first_responded_at timestamptz,
    resolution_code text,
    resolution_text text,
    resolved_at timestamptz,
    closed_at timestamptz,
    cancelled_at timestamptz,
    PRIMARY KEY (id),
    UNIQUE (number)
);
CREATE INDEX cancelled_by_opening ON tickets.tickets (opened_at, id) WHERE status = 'cancelled';
CREATE INDEX ended_by_assignee ON tickets.tickets (assignee, opened_at, id) WHERE status IN ('closed', 'cancelled');
CREATE INDEX ended_by_client ON tickets.tickets (client_id, opened_at, id) WHERE status IN ('closed', 'cancelled');
CREATE INDEX ended_by_opening ON tickets.tickets (opened_at, id) WHERE status IN ('closed', 'cancelled');
CREATE INDEX ended_by_title
    ON tickets.tickets USING gin (title_key gin_trgm_ops) WITH (fastupdate = off)
    WHERE status IN ('closed', 'cancelled')
"""


def upgrade() -> None:
    for statement in TABLES.split(";\n"):
        op.execute(statement)
    grant("USAGE", "ticket_number")
    grant("SELECT, INSERT, UPDATE", "tickets")
    grant("SELECT, INSERT, UPDATE, DELETE", "open_tickets")
    # The history only grows: whoever serves can neither change nor remove what happened.
    grant("SELECT, INSERT", "history")
    grant("SELECT, INSERT, UPDATE", "clients", "products", "modules", "installations", "contracts")
    grant("SELECT, INSERT, UPDATE", "environments", "clocks", "tasks")


def downgrade() -> None:
    raise NotImplementedError("a database goes forward only: restore a backup instead")
