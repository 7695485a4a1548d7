"""Time in: the warnings and breaches that no event announces, and the calendars to which clocks are switched."""

from shared.jobs import Job
from sla.commands import clocks
from sla.repository.clocks import SWITCHES_JOB

JOBS: tuple[Job, ...] = (
    Job(
        name="sla-timers",
        work=clocks.TIMERS,
        every_seconds=clocks.SLEEP_SECONDS,
        next_due=clocks.next_due_timer,
        channel=clocks.TIMERS_CHANNEL,
    ),
    Job(
        name=SWITCHES_JOB,
        work=clocks.SWITCHES,
        every_seconds=clocks.SLEEP_SECONDS,
    ),
)
