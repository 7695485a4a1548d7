"""What a ticket can be is a condition of its row: state, level, target, hold and end fit together."""

from alembic import op

revision = "tickets_0012"
down_revision = "tickets_0011"

STATES = """
ALTER TABLE tickets.tickets
    ADD CONSTRAINT tickets_status CHECK (
        status IN ('new', 'in_progress', 'on_hold', 'resolved', 'closed', 'cancelled')),
    ADD CONSTRAINT tickets_level CHECK (
        CASE level WHEN 1 THEN target IS NULL
                   WHEN 2 THEN target IS NOT NULL AND target IN ('analysts')
                   WHEN 3 THEN target IS NOT NULL AND target IN ('functional-analysis', 'development')
                   ELSE false END),
    ADD CONSTRAINT tickets_untouched CHECK (
        status <> 'new' OR (level = 1 AND assignee IS NULL AND first_responded_at IS NULL)),
    ADD CONSTRAINT tickets_hold CHECK (
        num_nonnulls(hold_reason, hold_note, held_at) = CASE WHEN status = 'on_hold' THEN 3 ELSE 0 END
        AND (wake_at IS NULL OR status = 'on_hold')
        AND (hold_reason IS DISTINCT FROM 'agreed-date' OR wake_at IS NOT NULL)),
    ADD CONSTRAINT tickets_resolution CHECK (
        num_nonnulls(resolution_code, resolution_text, resolved_at) =
        CASE WHEN status IN ('resolved', 'closed') THEN 3 ELSE 0 END),
    ADD CONSTRAINT tickets_end CHECK (
        (closed_at IS NOT NULL) = (status = 'closed') AND (cancelled_at IS NOT NULL) = (status = 'cancelled'))
"""


def upgrade() -> None:
    op.execute(STATES)


def downgrade() -> None:
    raise NotImplementedError("a database goes forward only: restore a backup instead")
