"""Up to which offset events were left out for good, so that reading them again does not apply them."""

from alembic import op

from shared.db.alembic_env import grant

revision = "runtime_0007"
down_revision = "runtime_0006"


def upgrade() -> None:
    # 0 leaves nothing out: of what was accepted before, nobody knows where it ended.
    op.execute("ALTER TABLE runtime.accepted_skips ADD COLUMN until_offset BIGINT DEFAULT 0 NOT NULL")
    grant("UPDATE (until_offset)", "accepted_skips")


def downgrade() -> None:
    raise NotImplementedError("a database goes forward only: restore a backup instead")
