"""Facts are kept whole: what was told, and not what it meant to a clock by the release that heard it."""

from alembic import op

revision = "sla_0007"
down_revision = "sla_0006"

# What each was told by follows from what it meant; of what it carried there is only what clocks needed.
WHOLE = """
ALTER TABLE sla.clock_facts ADD COLUMN type text, ADD COLUMN carried jsonb;
UPDATE sla.clock_facts SET
    type = CASE
        WHEN kind = 'start' THEN 'desk.ticket.opened.v1'
        WHEN kind = 'stop' AND concerns = 'response' THEN 'desk.ticket.responded.v1'
        WHEN kind = 'stop' THEN 'desk.ticket.resolved.v1'
        WHEN kind = 'pause' THEN 'desk.ticket.held.v1'
        WHEN kind = 'resume' THEN 'desk.ticket.released.v1'
        WHEN kind = 'reopen' THEN 'desk.ticket.reopened.v1'
        WHEN kind = 'cancel' THEN 'desk.ticket.cancelled.v1'
        ELSE 'calendar-switched'
    END,
    carried = jsonb_strip_nulls(jsonb_build_object(
        'reason', reason, 'calendar_version', calendar_version, 'told_at', told_at,
        'clock', CASE WHEN kind = 'switch' THEN concerns END));
ALTER TABLE sla.clock_facts
    ALTER COLUMN type SET NOT NULL, ALTER COLUMN carried SET NOT NULL,
    DROP COLUMN kind, DROP COLUMN concerns, DROP COLUMN reason, DROP COLUMN calendar_version, DROP COLUMN told_at
"""


def upgrade() -> None:
    for statement in WHOLE.split(";\n"):
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("a database goes forward only: restore a backup instead")
