"""A ticket has an environment for each of its classifications; those that there are, are of the opening."""

from alembic import op

revision = "inventory_0004"
down_revision = "inventory_0003"

STATEMENTS = (
    "ALTER TABLE inventory.environments ADD COLUMN classification integer NOT NULL DEFAULT 1",
    "ALTER TABLE inventory.environments ALTER COLUMN classification DROP DEFAULT",
    "ALTER TABLE inventory.environments DROP CONSTRAINT environments_pkey",
    "ALTER TABLE inventory.environments ADD PRIMARY KEY (ticket_id, classification)",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("a database goes forward only: restore a backup instead")
