"""A warning is a threshold: a second of the clock and how the contract says it. A timer only says when to look.

A release before this one reads and writes percentages, which are gone then. So the older release is stopped first.
"""

from alembic import op

revision = "sla_0003"
down_revision = "sla_0002"

# Rounded up, as the clocks always did: the first whole second at which at least so much of the target is used up.
FILL = """
UPDATE sla.clocks c
   SET warned_seconds = (c.target_seconds::bigint * c.warned_percent + 99) / 100,
       terms = (c.terms - 'warn_percents') || jsonb_build_object('thresholds', COALESCE((
           SELECT jsonb_agg(jsonb_build_object('seconds', (c.target_seconds::bigint * percent::integer + 99) / 100,
                                               'said_as', percent || '%') ORDER BY place)
             FROM jsonb_array_elements_text(c.terms -> 'warn_percents') WITH ORDINALITY AS said (percent, place)
       ), '[]'))
"""


def upgrade() -> None:
    op.execute("ALTER TABLE sla.clocks ADD COLUMN warned_seconds integer")
    op.execute(FILL)
    op.execute("ALTER TABLE sla.clocks ALTER COLUMN warned_seconds SET NOT NULL, DROP COLUMN warned_percent")
    op.execute("ALTER TABLE sla.timers DROP COLUMN percent")


def downgrade() -> None:
    raise NotImplementedError("a database goes forward only: restore a backup instead")
