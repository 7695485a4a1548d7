"""Whoever changes a record that was changed meanwhile is told by whom: that is looked up in the archive.

Nobody can publish while the index is built, so the older release is stopped first.
"""

from alembic import op

revision = "runtime_0003"
down_revision = "runtime_0002"


def upgrade() -> None:
    op.execute("CREATE INDEX archive_of_record ON runtime.archive (key, position) WHERE key LIKE '%:%'")


def downgrade() -> None:
    raise NotImplementedError("a database goes forward only: restore a backup instead")
