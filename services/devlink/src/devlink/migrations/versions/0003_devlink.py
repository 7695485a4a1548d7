"""The built-in board: tasks, the tickets that wait for them, the trace of every change, and every ticket as it is now.

The history of this schema begins here: nothing was promised before the first production (decision 0015).
"""

from alembic import op

from shared.db.alembic_env import grant

revision = "devlink_0003"
down_revision = None

TABLES = """
CREATE TABLE devlink.tasks (
    id uuid NOT NULL,
    number bigint GENERATED ALWAYS AS IDENTITY (CACHE 1),
    escalation_id uuid NOT NULL,
    title text NOT NULL,
    support_block text NOT NULL,
    client_id text,
    product_id text,
    module_id text,
    severity integer NOT NULL,
    priority integer NOT NULL,
    due_at timestamptz,
    status text NOT NULL,
    status_at timestamptz NOT NULL,
    assignee text,
    fix_version text,
    declined_reason text,
    version integer NOT NULL,
    created_at timestamptz NOT NULL,
    changed_at timestamptz NOT NULL,
    PRIMARY KEY (id),
    CONSTRAINT tasks_declined_with_reason CHECK (status <> 'declined' OR declined_reason IS NOT NULL),
    CONSTRAINT tasks_released_in_version CHECK (status <> 'released' OR fix_version IS NOT NULL),
    UNIQUE (number),
    UNIQUE (escalation_id)
);
CREATE INDEX tasks_by_status ON devlink.tasks (status, severity, priority, number);
CREATE INDEX tasks_of_client ON devlink.tasks (client_id, number);
CREATE TABLE devlink.tickets (
    id uuid NOT NULL,
    brief jsonb NOT NULL,
    sequence bigint NOT NULL,
    PRIMARY KEY (id)
);
CREATE TABLE devlink.links (
    escalation_id uuid NOT NULL,
    task_id uuid NOT NULL,
    ticket_id uuid NOT NULL,
    ticket_number text NOT NULL,
    client_id text,
    linked_at timestamptz NOT NULL,
    PRIMARY KEY (escalation_id),
    CONSTRAINT links_task FOREIGN KEY(task_id) REFERENCES devlink.tasks (id)
);
CREATE INDEX links_of_task ON devlink.links (task_id);
CREATE INDEX links_of_ticket ON devlink.links (ticket_id);
CREATE TABLE devlink.trace (
    position bigint GENERATED ALWAYS AS IDENTITY (CACHE 1),
    task_id uuid NOT NULL,
    ticket_id uuid,
    field text NOT NULL,
    "old" text,
    "new" text,
    actor text NOT NULL,
    source text NOT NULL,
    correlation_id text NOT NULL,
    causation_id text,
    occurred_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL,
    version integer,
    PRIMARY KEY (position),
    CONSTRAINT trace_task FOREIGN KEY(task_id) REFERENCES devlink.tasks (id)
);
CREATE INDEX trace_of_task ON devlink.trace (task_id, position)
"""


def upgrade() -> None:
    for statement in TABLES.split(";\n"):
        op.execute(statement)
    grant("SELECT, INSERT, UPDATE", "tasks", "tickets")
    # Who asked and what changed stays as it was written.
    grant("SELECT, INSERT", "links", "trace")


def downgrade() -> None:
    raise NotImplementedError("a database goes forward only: restore a backup instead")
