"""Completing: which classification a ticket and each of its environments are of; installations in the queue. Links."""

from alembic import op

from shared.db.alembic_env import grant

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
    """
    CREATE TABLE tickets.links (
        id uuid NOT NULL,
        kind text NOT NULL,
        from_id uuid NOT NULL,
        to_id uuid NOT NULL,
        linked_at timestamptz NOT NULL,
        linked_by text NOT NULL,
        reason text,
        unlinked_at timestamptz,
        unlinked_by text,
        PRIMARY KEY (id)
    )
    """,
    "CREATE UNIQUE INDEX links_once ON tickets.links (from_id, to_id, kind) WHERE unlinked_at IS NULL",
    """
    CREATE UNIQUE INDEX links_of_duplicates ON tickets.links (from_id)
     WHERE kind = 'duplicate_of' AND unlinked_at IS NULL
    """,
    "CREATE INDEX links_by_target ON tickets.links (to_id) WHERE unlinked_at IS NULL",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
    # A link ends; what it was stays.
    grant("SELECT, INSERT, UPDATE (unlinked_at, unlinked_by)", "links")


def downgrade() -> None:
    raise NotImplementedError("a database goes forward only: restore a backup instead")
