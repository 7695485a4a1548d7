"""Completing: which classification a ticket and each of its environments are of; installations in the queue."""

from alembic import op

revision = "tickets_0009"
down_revision = "tickets_0008"

STATEMENTS = (
    "ALTER TABLE tickets.tickets ADD COLUMN classification integer NOT NULL DEFAULT 1",
    # What was frozen before is of the opening.
    "ALTER TABLE tickets.environments ADD COLUMN classification integer NOT NULL DEFAULT 1",
    "ALTER TABLE tickets.environments ALTER COLUMN classification DROP DEFAULT",
    "ALTER TABLE tickets.environments DROP CONSTRAINT environments_pkey",
    "ALTER TABLE tickets.environments ADD PRIMARY KEY (ticket_id, classification)",
    "ALTER TABLE tickets.open_tickets ADD COLUMN installation_id text",
    """
    UPDATE tickets.open_tickets o SET installation_id = t.installation_id
      FROM tickets.tickets t WHERE t.id = o.id AND t.installation_id IS NOT NULL
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("a database goes forward only: restore a backup instead")
