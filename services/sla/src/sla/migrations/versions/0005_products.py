"""The products that a contract is for."""

from alembic import op

revision = "sla_0005"
down_revision = "sla_0004"


def upgrade() -> None:
    # What was agreed before named no product, so it is for whatever the client has.
    op.execute("ALTER TABLE sla.contracts ADD COLUMN product_ids text[] NOT NULL DEFAULT '{}'")


def downgrade() -> None:
    raise NotImplementedError("a database goes forward only: restore a backup instead")
