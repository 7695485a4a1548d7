"""Names in the one form in which they are compared, as the code writes it from now on."""

from shared.db.alembic_env import fill
from shared.spelling import sort_key

revision = "inventory_0002"
down_revision = "inventory_0001"


def upgrade() -> None:
    for table in ("clients", "products", "modules"):
        fill(table, "name_key", "name", sort_key)


def downgrade() -> None:
    raise NotImplementedError("a database goes forward only: restore a backup instead")
