"""The trace says which version of the task each change made, for whoever has to be told what happened since."""

from alembic import op

revision = "devlink_0002"
down_revision = "devlink_0001"


def upgrade() -> None:
    # What was traced before has none, and stays as it was written.
    op.execute("ALTER TABLE devlink.trace ADD COLUMN version integer")


def downgrade() -> None:
    raise NotImplementedError("a database goes forward only: restore a backup instead")
