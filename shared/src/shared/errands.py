"""Work that calls out: trackers, mail, webhooks. No network call ever happens inside a transaction.

An errand is wanted in the transaction of whatever causes it. A worker claims it with a lease and commits, calls, and
records the answer in another transaction, by compare-and-set on the number of the attempt: an answer that comes after
the lease was lost, when somebody else may have called again, changes nothing. Whether an earlier attempt reached the
other side is never known, so whoever is at a later one looks first (`Errand.is_again`).

The attempt only ever grows, because it also fences. How many were made in vain is counted apart (`Errand.counted`):
those before an operator's retry, and those that ended because their process was asked to, do not count.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import structlog

from shared import clock
from shared.db.engine import Engine
from shared.db.failures import is_transient, pause_after, problem_of
from shared.db.statement import query, sql
from shared.db.transaction import Reader, Transaction, begin
from shared.telemetry import metrics, tracing

log = structlog.get_logger(__name__)

# A call is cut this long before its lease ends, so that its answer can still be recorded in time.
MARGIN_SECONDS = 5.0
# Whoever ends a process waits ten seconds or more; a lease that cannot be given back in these ends by itself.
RELEASE_SECONDS = 2.0
_NEVER_ENDED = "no attempt came to an end: does the process die of the call?"

_Keep = Callable[[Transaction, datetime], Awaitable[str]]


@dataclass(frozen=True, slots=True)
class Errand:
    """One claimed piece of work. `attempt` counts from 1; `key` is its identity within its kind."""

    kind: str
    key: str
    attempt: int
    payload: Mapping[str, Any]
    wanted_at: datetime
    uncounted: int = 0

    @property
    def is_again(self) -> bool:
        """Whether an earlier attempt may have reached the other side already."""
        return self.attempt > 1

    @property
    def counted(self) -> int:
        """How many attempts count towards the most that are made, this one included."""
        return self.attempt - self.uncounted


class Later(Exception):
    """The other side cannot do it now; try again after a pause of the caller's, or of the other side's choice."""

    def __init__(self, why: str, after: timedelta | None = None) -> None:
        super().__init__(why)
        self.after = after


class Refused(Exception):
    """The other side will not do it, however often it is asked; the message says why."""


@dataclass(frozen=True)
class ErrandJob:
    """One kind of errand.

    `call(errand)` uses the network and no database, and returns the answer; it raises Later or Refused, and anything
    else counts as Later. `record(tx, errand, answer, now)` keeps the answer in the transaction that ends the errand;
    `give_up(tx, errand, why, now)` keeps that there will be none.
    """

    kind: str
    call: Callable[[Errand], Awaitable[Any]]
    record: Callable[[Transaction, Errand, Any, datetime], Awaitable[None]]
    give_up: Callable[[Transaction, Errand, str, datetime], Awaitable[None]]
    at_once: int = 8
    lease_seconds: float = 60.0
    first_pause_seconds: float = 2.0
    longest_pause_seconds: float = 3600.0
    attempts: int = 20
    every_seconds: float = 1.0


_WANT = sql("""
    INSERT INTO runtime.errands (kind, key, payload, due_at, wanted_at)
    VALUES (:kind, :key, CAST(:payload AS jsonb), :due, :now) ON CONFLICT DO NOTHING
""")
_CLAIM = sql("""
    WITH due AS (
        SELECT kind, key FROM runtime.errands
        WHERE kind = :kind AND state IN ('waiting', 'running') AND due_at <= :now
        ORDER BY due_at, key LIMIT :most FOR UPDATE SKIP LOCKED
    )
    UPDATE runtime.errands e SET state = 'running', attempt = attempt + 1, due_at = :until
    FROM due WHERE (e.kind, e.key) = (due.kind, due.key)
    RETURNING e.kind, e.key, e.attempt, e.payload, e.wanted_at, e.uncounted
""")
_END = sql("""
    UPDATE runtime.errands SET state = :state, ended_at = :now, problem = :problem
    WHERE kind = :kind AND key = :key AND attempt = :attempt AND state = 'running'
""")
_POSTPONE = sql("""
    UPDATE runtime.errands SET state = 'waiting', due_at = :due, problem = :problem
    WHERE kind = :kind AND key = :key AND attempt = :attempt AND state = 'running'
""")
_RELEASE = sql("""
    UPDATE runtime.errands SET state = 'waiting', due_at = :now, uncounted = uncounted + 1
    WHERE kind = :kind AND key = :key AND attempt = :attempt AND state = 'running'
""")
# In the words of the index: asked every two seconds, of a table that keeps what is done for months.
_STANDING = query("""
    SELECT kind, count(*) FILTER (WHERE state IN ('waiting', 'running')) AS open,
           count(*) FILTER (WHERE state = 'given-up') AS given_up
    FROM runtime.errands WHERE state IN ('waiting', 'running', 'given-up') GROUP BY kind
""")
_GIVEN_UP = query("""
    SELECT kind, key, attempt, problem, wanted_at, ended_at FROM runtime.errands WHERE state = 'given-up'
    ORDER BY ended_at, kind, key
""")
_AGAIN = sql("""
    UPDATE runtime.errands SET state = 'waiting', due_at = :now, ended_at = NULL, uncounted = attempt
    WHERE kind = :kind AND key = :key AND state = 'given-up'
""")
_DISCARD = sql("""
    UPDATE runtime.errands SET state = 'discarded', ended_at = :now
    WHERE kind = :kind AND key = :key AND state = 'given-up'
""")
_PRUNE = sql("""
    DELETE FROM runtime.errands WHERE (kind, key) IN (
        SELECT kind, key FROM runtime.errands
        WHERE state IN ('done', 'discarded') AND ended_at < :before LIMIT :portion)
""")


async def want(
    tx: Transaction, kind: str, key: str, payload: Mapping[str, Any], now: datetime, *, due_at: datetime | None = None
) -> None:
    """Asks for an errand in the transaction of its cause. The same kind and key again is the same errand."""
    values = {"kind": kind, "key": key, "payload": json.dumps(payload, default=str)}
    await tx.execute(_WANT, {**values, "due": due_at or now, "now": now})


async def given_up(tx: Reader) -> Sequence[Any]:
    """The errands that nobody tries any more, the oldest first."""
    return await tx.fetch(_GIVEN_UP)


async def try_again(tx: Transaction, kind: str, key: str, now: datetime) -> bool:
    """Takes up an errand that was given up, with as many attempts as a new one; False where there is none."""
    return bool(await tx.execute(_AGAIN, {"kind": kind, "key": key, "now": now}))


async def discard(tx: Transaction, kind: str, key: str, now: datetime) -> bool:
    """Ends an errand that was given up, for good; False where there is none. Wanted again, it is still ended."""
    return bool(await tx.execute(_DISCARD, {"kind": kind, "key": key, "now": now}))


async def prune(tx: Transaction, now: datetime, *, keep: timedelta, portion: int = 5000) -> int:
    """Forgets errands that are done or discarded; how many. Whoever wants one again after that gets it done again."""
    return await tx.execute(_PRUNE, {"before": now - keep, "portion": portion})


class ErrandLoop:
    """Runs the errands of one kind for ever, several at once."""

    def __init__(self, job: ErrandJob, engine: Engine, hint: Callable[[], None]) -> None:
        self.job = job
        self.engine = engine
        self.hint = hint
        self.last_turn = time.monotonic()

    async def run(self) -> None:
        """Claims what is due, until cancelled; a database that is away is waited for."""
        failures = 0
        under_way: dict[asyncio.Task[None], Errand] = {}
        try:
            while True:
                self.last_turn = time.monotonic()
                try:
                    claimed = await self._claim(self.job.at_once - len(under_way))
                    failures = 0
                except Exception as error:
                    failures += 1
                    metrics.jobs_failed_total.labels(job=self.job.kind).inc()
                    log.warning("errands cannot be claimed", kind=self.job.kind, problem=problem_of(error))
                    claimed = []
                under_way |= {asyncio.create_task(self._do(errand)): errand for errand in claimed}
                await self._rest(under_way, failures)
        finally:
            for task in under_way:
                task.cancel()
            await asyncio.gather(*under_way, return_exceptions=True)
            await self._release(under_way.values())

    async def _rest(self, under_way: dict[asyncio.Task[None], Errand], failures: int) -> None:
        """Until it is time to look again, or one of those under way has ended; it is taken out."""
        pause = pause_after(failures, first=0.5, most=30.0) if failures else self.job.every_seconds
        if not under_way:
            await asyncio.sleep(pause)
            return
        ended, _ = await asyncio.wait(under_way, timeout=pause, return_when=asyncio.FIRST_COMPLETED)
        for task in ended:
            del under_way[task]

    async def _release(self, errands: Collection[Errand]) -> None:
        """Gives back the leases of what was cut short, so that the next process need not wait for their end."""
        if not errands:
            return
        try:
            async with asyncio.timeout(RELEASE_SECONDS), begin(self.engine, self.hint) as tx:
                for errand in errands:
                    await tx.execute(_RELEASE, {"now": clock.now(), **_identity(errand)})
        except Exception as error:
            log.warning("leases of errands end by themselves", kind=self.job.kind, problem=problem_of(error))

    async def _claim(self, most: int) -> list[Errand]:
        if most <= 0:
            return []
        now = clock.now()
        until = now + timedelta(seconds=self.job.lease_seconds)
        async with begin(self.engine, self.hint) as tx:
            rows = await tx.fetch(_CLAIM, {"kind": self.job.kind, "now": now, "until": until, "most": most})
        return [Errand(row.kind, row.key, row.attempt, row.payload, row.wanted_at, row.uncounted) for row in rows]

    async def _do(self, errand: Errand) -> None:
        began = time.monotonic()
        with tracing.work_of_time(f"errand {errand.kind}") as portion:
            portion.done = 1
            try:
                answer = await self._call(errand)
            except Exception as error:
                why = str(error) if isinstance(error, (Later, Refused)) else problem_of(error)
                outcome = await self._record(errand, partial(self._failed, errand, error, why), why)
            else:
                outcome = await self._record(errand, partial(self._answered, errand, answer), "its answer")
        metrics.errands_total.labels(kind=errand.kind, outcome=outcome).inc()
        metrics.errand_seconds.labels(kind=errand.kind).observe(time.monotonic() - began)

    async def _call(self, errand: Errand) -> Any:
        """Asks the other side, unless that was begun too often: whoever dies of it is not heard of otherwise."""
        if errand.counted > self.job.attempts:
            raise Later(_NEVER_ENDED)
        async with asyncio.timeout(max(1.0, self.job.lease_seconds - MARGIN_SECONDS)):
            return await self.job.call(errand)

    async def _record(self, errand: Errand, keep: _Keep, what: str) -> str:
        """Keeps what came of it; the outcome in a word. Tried as long as the lease lasts, then it is done again."""
        deadline = time.monotonic() + MARGIN_SECONDS
        failures = 0
        while True:
            try:
                async with begin(self.engine, self.hint) as tx:
                    return await keep(tx, clock.now())
            except Exception as error:
                failures += 1
                log.warning(
                    "what came of an errand cannot be kept", kind=errand.kind, key=errand.key, problem=problem_of(error)
                )
                if not is_transient(error):
                    return await self._unkept(errand, what, error)
                if time.monotonic() > deadline:
                    return "unkept"
            await asyncio.sleep(pause_after(failures, first=0.1, most=1.0))

    async def _unkept(self, errand: Errand, what: str, error: Exception) -> str:
        """What came cannot be kept by this release: that is for a person, not for another call."""
        problem = f"{what}, which could not be kept: {problem_of(error)}"
        try:
            async with begin(self.engine, self.hint) as tx:
                await tx.execute(
                    _END, {"state": "given-up", "now": clock.now(), "problem": problem, **_identity(errand)}
                )
        except Exception as failure:
            log.warning("an errand is done again at the end of its lease", key=errand.key, problem=problem_of(failure))
        return "unkept"

    async def _answered(self, errand: Errand, answer: Any, tx: Transaction, now: datetime) -> str:
        if not await tx.execute(_END, {"state": "done", "now": now, "problem": None, **_identity(errand)}):
            log.warning("an answer came after its lease", kind=errand.kind, key=errand.key, attempt=errand.attempt)
            return "late"
        await self.job.record(tx, errand, answer, now)
        return "done"

    async def _failed(self, errand: Errand, error: Exception, why: str, tx: Transaction, now: datetime) -> str:
        if isinstance(error, Refused) or errand.counted >= self.job.attempts:
            if not await tx.execute(_END, {"state": "given-up", "now": now, "problem": why, **_identity(errand)}):
                return "late"
            log.error("an errand is given up", kind=errand.kind, key=errand.key, attempt=errand.attempt, problem=why)
            await self.job.give_up(tx, errand, why, now)
            return "refused" if isinstance(error, Refused) else "given-up"
        seconds = pause_after(
            errand.counted - 1, first=self.job.first_pause_seconds, most=self.job.longest_pause_seconds
        )
        after = error.after if isinstance(error, Later) and error.after is not None else timedelta(seconds=seconds)
        postponed = await tx.execute(_POSTPONE, {"due": now + after, "problem": why, **_identity(errand)})
        log.warning(
            "an errand is tried again later",
            kind=errand.kind,
            key=errand.key,
            attempt=errand.attempt,
            problem=why,
            after_seconds=after.total_seconds(),
        )
        return "later" if postponed else "late"


async def measure(tx: Reader, kinds: Collection[str]) -> None:
    """Tells how many errands of these kinds wait, and how many were given up, as metrics."""
    standing = {row.kind: row for row in await tx.fetch(_STANDING)}
    for kind in kinds:
        row = standing.get(kind)
        metrics.errands_open.labels(kind=kind).set(row.open if row else 0)
        metrics.errands_given_up.labels(kind=kind).set(row.given_up if row else 0)


def _identity(errand: Errand) -> dict[str, Any]:
    return {"kind": errand.kind, "key": errand.key, "attempt": errand.attempt}
