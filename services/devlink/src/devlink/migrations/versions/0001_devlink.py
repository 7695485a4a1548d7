"""The built-in board: tasks, the tickets that wait for them, and the trace of every change."""

from alembic import op

from shared.db.alembic_env import grant

revision = "devlink_0001"
down_revision = None

TABLES = (
    """
    CREATE TABLE devlink.tasks (
        id uuid PRIMARY KEY,
        number bigint GENERATED ALWAYS AS IDENTITY (CACHE 1) NOT NULL UNIQUE,
        escalation_id uuid NOT NULL UNIQUE,
        title text NOT NULL,
        support_block text NOT NULL,
        client_id text NOT NULL,
        product_id text,
        module_id text,
        severity integer NOT NULL,
        priority integer NOT NULL,
        due_at timestamptz,
        status text NOT NULL,
        assignee text,
        fix_version text,
        declined_reason text,
        version integer NOT NULL,
        created_at timestamptz NOT NULL,
        changed_at timestamptz NOT NULL,
        CONSTRAINT tasks_declined_with_reason CHECK (status <> 'declined' OR declined_reason IS NOT NULL),
        CONSTRAINT tasks_released_in_version CHECK (status <> 'released' OR fix_version IS NOT NULL)
    )
    """,
    "CREATE INDEX tasks_by_status ON devlink.tasks (status, severity, priority, number)",
    "CREATE INDEX tasks_of_client ON devlink.tasks (client_id, number)",
    """
    CREATE TABLE devlink.links (
        escalation_id uuid PRIMARY KEY,
        task_id uuid NOT NULL CONSTRAINT links_task REFERENCES devlink.tasks,
        ticket_id uuid NOT NULL,
        ticket_number text NOT NULL,
        client_id text NOT NULL,
        linked_at timestamptz NOT NULL
    )
    """,
    "CREATE INDEX links_of_task ON devlink.links (task_id)",
    "CREATE INDEX links_of_ticket ON devlink.links (ticket_id)",
    """
    CREATE TABLE devlink.trace (
        position bigint GENERATED ALWAYS AS IDENTITY (CACHE 1) PRIMARY KEY,
        task_id uuid NOT NULL CONSTRAINT trace_task REFERENCES devlink.tasks,
        ticket_id uuid,
        field text NOT NULL,
        old text,
        new text,
        actor text NOT NULL,
        source text NOT NULL,
        correlation_id text NOT NULL,
        causation_id text,
        occurred_at timestamptz NOT NULL,
        recorded_at timestamptz NOT NULL
    )
    """,
    "CREATE INDEX trace_of_task ON devlink.trace (task_id, position)",
)


def upgrade() -> None:
    for statement in TABLES:
        op.execute(statement)
    grant("SELECT, INSERT, UPDATE", "tasks")
    # Who asked and what changed stays as it was written.
    grant("SELECT, INSERT", "links", "trace")


def downgrade() -> None:
    raise NotImplementedError("a database goes forward only: restore a backup instead")
