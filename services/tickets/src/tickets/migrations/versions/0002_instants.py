"""The instant of a ticket's latest fact, so that the next one comes after it."""

from alembic import op

revision = "tickets_0002"
down_revision = "tickets_0001"


def upgrade() -> None:
    op.execute("SELECT 1")


def downgrade() -> None:
    raise NotImplementedError("a database goes forward only: restore a backup instead")
