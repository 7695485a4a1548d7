"""Time in: holds that end by themselves, and tickets that nobody objects to closing."""

from shared.jobs import Job
from tickets.commands import waking
from tickets.repository.waking import CLOSING_JOB, HOLDS_JOB

JOBS: tuple[Job, ...] = (
    Job(name=HOLDS_JOB, work=waking.HOLDS, every_seconds=5.0, next_due=waking.next_hold),
    Job(name=CLOSING_JOB, work=waking.CLOSING, every_seconds=60.0),
)
