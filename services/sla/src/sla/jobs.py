"""Time in: warnings and breaches, calendars to which clocks are switched, and whether all is still as folded."""

from shared.jobs import Job
from sla.commands import clocks, samples
from sla.repository.clocks import SAMPLES_JOB, SWITCHES_JOB

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
    Job(
        name=SAMPLES_JOB,
        work=samples.SAMPLES,
        every_seconds=samples.EVERY.total_seconds(),
    ),
)
