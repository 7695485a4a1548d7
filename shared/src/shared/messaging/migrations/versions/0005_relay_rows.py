"""What waits for a topic or behind a row that cannot be sent leaves the relay's way."""

from alembic import op

revision = "runtime_0005"
down_revision = "runtime_0004"


def upgrade() -> None:
    op.execute("SELECT 1")


def downgrade() -> None:
    raise NotImplementedError("a database goes forward only: restore a backup instead")
