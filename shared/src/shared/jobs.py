"""Work that time causes: what a job is, and the loop that runs it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar

import structlog

from shared import clock, set_aside
from shared.db.engine import Engine
from shared.db.failures import is_transient, pause_after, problem_of
from shared.db.transaction import Transaction, begin
from shared.telemetry import metrics, tracing

log = structlog.get_logger(__name__)

# A portion that takes longer hangs: every statement has an end, and a slow database only makes it last.
LONGEST_WORK_SECONDS = 300.0
# Pieces of one portion that are set aside. Bad data is a few rows, as many as a person looks at one by one; where more
# raise, a release or a table is wrong, and setting aside would empty the job, portion by portion.
MOST_SET_ASIDE = 25

P = TypeVar("P")

Work = Callable[[Transaction, datetime], Awaitable[int]]
NextDue = Callable[[Transaction, datetime], Awaitable[datetime | None]]


@dataclass(frozen=True)
class Pieces(Generic[P]):
    """Work that consists of pieces, so that one that raises need not stop the others.

    `claim(tx, now, most)` locks at most so many and passes over what others hold; nothing in it may fail for one piece.
    `do(tx, pieces, now)` does them. When it raises, they are done one by one, each under a savepoint, and the guilty
    one is kept in `runtime.set_aside` with the key that `key` gives it, after `put_aside(tx, piece)` took it out of
    what `claim` finds. With more than MOST_SET_ASIDE of them the job fails and none is set aside.
    `bring_back(tx, key, now)` undoes that when an operator has mended the cause; False where the piece is no more.
    """

    claim: Callable[[Transaction, datetime, int], Awaitable[Sequence[P]]]
    do: Callable[[Transaction, Sequence[P], datetime], Awaitable[None]]
    key: Callable[[P], str]
    put_aside: Callable[[Transaction, P], Awaitable[None]]
    bring_back: Callable[[Transaction, str, datetime], Awaitable[bool]]
    portion: int = 500


@dataclass(frozen=True)
class Job:
    """Work done in transactions of its own, again and again, shared between processes by SKIP LOCKED.

    `work(tx, now)` does at most one portion and returns how many pieces it did; or it is of Pieces. While that is
    positive it is called again at once; then the loop sleeps `every_seconds`, or until the instant that `next_due`
    gives when that comes first, or until a NOTIFY on `channel`.
    """

    name: str
    work: Work | Pieces[Any]
    every_seconds: float
    next_due: NextDue | None = None
    channel: str | None = None


class JobAtFault(RuntimeError):
    """So many pieces of one portion raise that it is not they."""


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
        work = self.job.work
        with tracing.work_of_time(self.job.name) as portion:
            portion.done = await (self._pieces(work) if isinstance(work, Pieces) else self._once(work))
        metrics.jobs_run_total.labels(job=self.job.name).inc()
        return portion.done

    async def _once(self, work: Work) -> int:
        async with begin(self.engine, self.hint) as tx:
            return await work(tx, clock.now())

    async def _pieces(self, work: Pieces[Any]) -> int:
        now = clock.now()
        try:
            async with begin(self.engine, self.hint) as tx:
                pieces = await work.claim(tx, now, work.portion)
                if pieces:
                    await work.do(tx, pieces, now)
            return len(pieces)
        except Exception as error:
            if is_transient(error):
                raise
            log.warning("portion failed, doing it piece by piece", job=self.job.name, problem=problem_of(error))
        async with begin(self.engine, self.hint) as tx:
            pieces = await work.claim(tx, now, work.portion)
            guilty = await self._guilty(tx, work, pieces, now)
            for piece, problem in guilty:
                await work.put_aside(tx, piece)
                await set_aside.keep(tx, self.job.name, work.key(piece), problem, now)
        metrics.jobs_set_aside_total.labels(job=self.job.name).inc(len(guilty))
        return len(pieces)

    async def _guilty(
        self, tx: Transaction, work: Pieces[Any], pieces: Sequence[Any], now: datetime
    ) -> list[tuple[Any, str]]:
        """Does them one by one; those that raise, each with its problem. Raises JobAtFault where they are too many."""
        guilty = []
        for piece in pieces:
            try:
                async with tx.savepoint():
                    await work.do(tx, [piece], now)
            except Exception as error:
                if is_transient(error):
                    raise
                guilty.append((piece, problem_of(error)))
                if len(guilty) > MOST_SET_ASIDE:
                    raise JobAtFault(
                        f"more than {MOST_SET_ASIDE} pieces of one portion raise, so none is set aside: {guilty[-1][1]}"
                    ) from error
                log.exception("a piece of work raises", job=self.job.name, key=work.key(piece))
        return guilty

    async def _pause(self) -> float:
        if self.job.next_due is None:
            return self.job.every_seconds
        async with begin(self.engine, self.hint) as tx:
            due = await self.job.next_due(tx, clock.now())
        if due is None:
            return self.job.every_seconds
        return max(0.0, min(self.job.every_seconds, (due - clock.now()) / timedelta(seconds=1)))
