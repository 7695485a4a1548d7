"""The instants of a ticket's latest fact, so that the next one comes after it, and of what it did last to its work.

Every ticket is written while the table is locked, so the older release is stopped first.
"""

from alembic import op

revision = "tickets_0002"
down_revision = "tickets_0001"


# The default is for the release before this one, which may still open tickets beside it. Of a ticket's history only its
# own facts count: what other services did about it is dated by them.
STATEMENTS = (
    "ALTER TABLE tickets.tickets ADD COLUMN last_fact_at timestamptz NOT NULL DEFAULT 'epoch'",
    """
    UPDATE tickets.tickets t
       SET last_fact_at = greatest(t.opened_at, (
            SELECT max(greatest(h.occurred_at, h.recorded_at)) FROM tickets.history h
             WHERE h.ticket_id = t.id AND h.source = 'tickets'))
    """,
    "ALTER TABLE tickets.tickets ADD COLUMN course_at timestamptz NOT NULL DEFAULT 'epoch'",
    """
    UPDATE tickets.tickets t
       SET course_at = greatest(t.reported_at, (
            SELECT max(h.occurred_at) FROM tickets.history h
             WHERE h.ticket_id = t.id AND h.type IN ('desk.ticket.held.v1', 'desk.ticket.released.v1',
                   'desk.ticket.resolved.v1', 'desk.ticket.closed.v1')))
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("a database goes forward only: restore a backup instead")
