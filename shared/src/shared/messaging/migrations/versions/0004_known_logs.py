"""What a consumer knows of the logs that it reads, refuses and passes over."""

from alembic import op

revision = "runtime_0004"
down_revision = "runtime_0003"


def upgrade() -> None:
    op.execute("SELECT 1")


def downgrade() -> None:
    raise NotImplementedError("a database goes forward only: restore a backup instead")
