"""Time in: the warnings and breaches that no event announces."""

from shared.jobs import Job
from sla.commands import clocks as commands

JOBS: tuple[Job, ...] = (
    Job(
        name="sla-timers",
        work=commands.TIMERS,
        every_seconds=commands.SLEEP_SECONDS,
        next_due=commands.next_due_timer,
        channel=commands.TIMERS_CHANNEL,
    ),
)
