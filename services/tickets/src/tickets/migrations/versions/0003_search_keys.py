"""Names and tax ids in the one form in which they are looked for; a history is paged as it was recorded.

Every ticket is written and stays locked until all are, so the older release is stopped first.
"""

from alembic import op

from shared.db.alembic_env import fill
from shared.spelling import search_key, sort_key

revision = "tickets_0003"
down_revision = "tickets_0002"


def upgrade() -> None:
    fill("tickets", "title_key", "title", search_key)
    fill("clients", "name_key", "name", sort_key)
    op.execute("ALTER TABLE tickets.clients ADD COLUMN tax_key text")
    fill("clients", "tax_key", "tax_id", search_key)
    # The history of one ticket is short: by the time of its facts it is sorted when it is shown.
    op.execute("DROP INDEX tickets.history_by_ticket")
    op.execute("CREATE INDEX history_by_ticket ON tickets.history (ticket_id, position)")


def downgrade() -> None:
    raise NotImplementedError("a database goes forward only: restore a backup instead")
