"""Hands: who takes part, who had a ticket last, whom it calls, when a hold ends by itself; owners in the queue."""

from alembic import op

revision = "tickets_0008"
down_revision = "tickets_0007"

STATEMENTS = (
    """
    ALTER TABLE tickets.tickets
        ADD COLUMN participants jsonb NOT NULL DEFAULT '[]',
        ADD COLUMN last_hands jsonb NOT NULL DEFAULT '{}',
        ADD COLUMN attention jsonb NOT NULL DEFAULT '[]',
        ADD COLUMN wake_at timestamptz
    """,
    "CREATE INDEX tickets_to_wake ON tickets.tickets (wake_at, id) WHERE wake_at IS NOT NULL",
    "CREATE INDEX tickets_to_close ON tickets.tickets (resolved_at, id) WHERE status = 'resolved'",
    """
    ALTER TABLE tickets.open_tickets
        ADD COLUMN owner text,
        ADD COLUMN working text[] NOT NULL DEFAULT '{}',
        ADD COLUMN calls text[] NOT NULL DEFAULT '{}'
    """,
    "UPDATE tickets.open_tickets o SET owner = t.owner FROM tickets.tickets t WHERE t.id = o.id",
    "ALTER TABLE tickets.open_tickets ALTER COLUMN owner SET NOT NULL",
    "CREATE INDEX open_tickets_by_owner ON tickets.open_tickets (owner)",
    "CREATE INDEX open_tickets_by_working ON tickets.open_tickets USING gin (working)",
    "CREATE INDEX tickets_that_call ON tickets.tickets (owner) WHERE status = 'closed' AND attention <> '[]'",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("a database goes forward only: restore a backup instead")
