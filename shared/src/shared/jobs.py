"""Work that time causes: what a job is, and the loop that runs it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from shared import clock
from shared.db.engine import Engine
from shared.db.failures import pause_after
from shared.db.transaction import Transaction, begin
from shared.telemetry import metrics, tracing

log = structlog.get_logger(__name__)

# A portion that takes longer hangs: every statement has an end, and a slow database only makes it last.
LONGEST_WORK_SECONDS = 300.0

Work = Callable[[Transaction, datetime], Awaitable[int]]
NextDue = Callable[[Transaction, datetime], Awaitable[datetime | None]]


@dataclass(frozen=True)
class Job:
    """Work done in transactions of its own, again and again, shared between processes by SKIP LOCKED.

    `work(tx, now)` does at most one portion and returns how many pieces it did. While that is positive it is called
    again at once; then the loop sleeps `every_seconds`, or until the instant that `next_due` gives when that comes
    first, or until a NOTIFY on `channel`.
    """

    name: str
    work: Work
    every_seconds: float
    next_due: NextDue | None = None
    channel: str | None = None


class JobLoop:
    """Runs one job for ever. A failure is logged, counted and retried after a growing pause."""

    def __init__(self, job: Job, engine: Engine, hint: Callable[[], None]) -> None:
        self.job = job
        self.engine = engine
        self.hint = hint
        self.woken = asyncio.Event()
        self._at_work_since: float | None = None

    @property
    def last_turn(self) -> float:
        """The monotonic second of its last turn: now while it rests, or while its work takes no longer than it may."""
        now, since = time.monotonic(), self._at_work_since
        return now if since is None or now - since < LONGEST_WORK_SECONDS else since

    async def run(self) -> None:
        failures = 0
        while True:
            self.woken.clear()
            self._at_work_since = time.monotonic()
            try:
                while await self._portion():
                    self._at_work_since = time.monotonic()
                    await asyncio.sleep(0)
                pause = await self._pause()
                failures = 0
            except Exception:
                failures += 1
                metrics.jobs_failed_total.labels(job=self.job.name).inc()
                log.exception("job failed", job=self.job.name, failures=failures)
                pause = pause_after(failures, first=0.5, most=30.0)
            self._at_work_since = None
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.woken.wait(), timeout=pause)

    async def _portion(self) -> int:
        with tracing.work_of_time(self.job.name) as portion:
            async with begin(self.engine, self.hint) as tx:
                portion.done = await self.job.work(tx, clock.now())
        metrics.jobs_run_total.labels(job=self.job.name).inc()
        return portion.done

    async def _pause(self) -> float:
        if self.job.next_due is None:
            return self.job.every_seconds
        async with begin(self.engine, self.hint) as tx:
            due = await self.job.next_due(tx, clock.now())
        if due is None:
            return self.job.every_seconds
        return max(0.0, min(self.job.every_seconds, (due - clock.now()) / timedelta(seconds=1)))
