"""How often an errand is tried: pauses that grow, an end to all of it, a new beginning when somebody asks for it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared import errands
from shared.db.transaction import Transaction
from shared.errands import Errand, ErrandJob, ErrandLoop, Later, Refused
from shared.telemetry import metrics
from tests.support.databases import OWNER, Database
from tests.support.errands import JOB, KIND, answers, state, want, with_answers, working

Make = Callable[[str], Awaitable[Database]]
NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)


class Watch:
    """The present instant, as the test sets it."""

    def __init__(self) -> None:
        self.now = NOON

    def later(self, seconds: float) -> None:
        """So many seconds pass."""
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Watch:
    made = Watch()
    monkeypatch.setattr("shared.clock.now", lambda: made.now)
    return made


@pytest.fixture
async def db(database: Make) -> Database:
    return await with_answers(await database("runtime"))


async def nobody_there(errand: Errand) -> str:
    raise OSError("nobody there")


async def turn(db: Database, job: ErrandJob) -> list[int]:
    """What is due now, done by a worker; which attempts it were."""
    loop = ErrandLoop(job, db.engine, lambda: None)
    claimed = await loop._claim(job.at_once)
    await asyncio.gather(*[loop._do(errand) for errand in claimed])
    return [errand.attempt for errand in claimed]


async def due_in(db: Database, watch: Watch) -> float:
    return float((((await state(db, "a"))["due_at"]) - watch.now).total_seconds())


async def test_the_pause_doubles_up_to_the_longest_and_nothing_is_tried_before(db: Database, watch: Watch) -> None:
    job = replace(JOB, call=nobody_there, first_pause_seconds=2, longest_pause_seconds=25)
    await want(db, "a")
    for attempt, pause in enumerate((2, 4, 8, 16, 25, 25), start=1):
        assert await turn(db, job) == [attempt]
        assert await due_in(db, watch) == pause
        watch.later(pause - 0.001)
        assert await turn(db, job) == []
        watch.later(0.001)


async def test_what_is_taken_up_again_has_as_many_attempts_as_a_new_one(db: Database, watch: Watch) -> None:
    job = replace(JOB, call=nobody_there, attempts=2)
    await want(db, "a")
    assert await turn(db, job) == [1]
    watch.later(1)
    assert await turn(db, job) == [2]
    assert (await state(db, "a"))["state"] == "given-up"
    async with db.begin() as tx:
        assert await errands.try_again(tx, KIND, "a", watch.now)
    assert await turn(db, job) == [3], "the attempt fences, so it only grows"
    assert (await state(db, "a"))["state"] == "waiting"
    assert await due_in(db, watch) == job.first_pause_seconds
    watch.later(1)
    assert await turn(db, job) == [4]
    assert (await state(db, "a"))["state"] == "given-up"


async def test_an_errand_whose_process_dies_each_time_is_given_up_and_not_called_again(
    db: Database, watch: Watch
) -> None:
    called: list[int] = []

    async def call(errand: Errand) -> str:
        called.append(errand.attempt)
        return "done"

    job = replace(JOB, call=call, attempts=3)
    dying = ErrandLoop(job, db.engine, lambda: None)
    await want(db, "a")
    for _ in range(3):
        # It dies between its claim and whatever would be told of it.
        assert len(await dying._claim(1)) == 1
        watch.later(job.lease_seconds)
    assert await turn(db, job) == [4]
    assert called == []
    ((_, answer, attempt),) = await answers(db)
    assert (answer, attempt) == ("given up: no attempt came to an end: does the process die of the call?", 4)
    assert (await state(db, "a"))["state"] == "given-up"


async def test_a_worker_that_is_stopped_gives_its_lease_back_and_the_attempt_does_not_count(
    db: Database, watch: Watch
) -> None:
    begun = asyncio.Event()

    async def call(errand: Errand) -> str:
        begun.set()
        return str(await asyncio.Event().wait())

    await want(db, "a")
    for attempt in (1, 2, 3):
        begun.clear()
        async with working(db, replace(JOB, call=call, attempts=2)):
            await begun.wait()
        row = await state(db, "a")
        assert (row["state"], row["attempt"], row["due_at"]) == ("waiting", attempt, watch.now)
    assert await turn(db, JOB) == [4]
    assert await answers(db) == [("a", "done", 4)]


async def test_a_worker_that_is_stopped_leaves_what_another_took_over(db: Database, watch: Watch) -> None:
    begun = asyncio.Event()

    async def call(errand: Errand) -> str:
        begun.set()
        return str(await asyncio.Event().wait())

    await want(db, "a")
    async with working(db, replace(JOB, call=call, every_seconds=3600)):
        await begun.wait()
        watch.later(JOB.lease_seconds)
        other = ErrandLoop(JOB, db.engine, lambda: None)
        (claimed,) = await other._claim(1)
    row = await state(db, "a")
    assert (row["state"], row["attempt"], claimed.attempt) == ("running", 2, 2)


async def test_what_the_other_side_said_is_kept_where_it_cannot_be_recorded(db: Database, watch: Watch) -> None:
    async def refuse(errand: Errand) -> str:
        raise Refused("no such project")

    async def fail(tx: Transaction, errand: Errand, what: Any, now: datetime) -> None:
        raise KeyError("a mistake of this release")

    await want(db, "a")
    assert await turn(db, replace(JOB, call=refuse, give_up=fail)) == [1]
    row = await state(db, "a")
    assert row["state"] == "given-up"
    assert row["problem"].startswith("no such project, which could not be kept: KeyError")


async def test_what_is_discarded_stays_ended_and_is_forgotten_in_time(db: Database, watch: Watch) -> None:
    async def refuse(errand: Errand) -> str:
        raise Refused("no such project")

    await want(db, "a", "b")
    await turn(db, replace(JOB, call=refuse))
    async with db.begin() as tx:
        assert await errands.discard(tx, KIND, "a", watch.now)
        assert not await errands.discard(tx, KIND, "a", watch.now), "once"
        assert not await errands.try_again(tx, KIND, "a", watch.now)
        assert [row.key for row in await errands.given_up(tx)] == ["b"]
    await want(db, "a")
    watch.later(10)
    assert await turn(db, JOB) == []
    async with db.begin() as tx:
        assert await errands.prune(tx, watch.now, keep=timedelta(seconds=5)) == 1
    assert await state(db, "a") is None
    assert (await state(db, "b"))["state"] == "given-up"


def outcome(name: str) -> float:
    return float(metrics.errands_total.labels(kind=KIND, outcome=name)._value.get())


async def test_attempts_are_counted_by_what_came_of_them_and_timed(db: Database, watch: Watch) -> None:
    async def call(errand: Errand) -> str:
        if errand.key == "later":
            raise Later("429")
        if errand.key == "refused":
            raise Refused("no such project")
        return "done"

    names = ("done", "later", "refused", "given-up")
    before = [outcome(name) for name in names]
    timed = metrics.errand_seconds.labels(kind=KIND)._sum.get()
    await want(db, "a", "b", "later", "refused")
    await turn(db, replace(JOB, call=call))
    watch.later(1)
    await turn(db, replace(JOB, call=call, attempts=2))
    assert [outcome(name) - was for name, was in zip(names, before, strict=True)] == [2, 1, 1, 1]
    assert metrics.errand_seconds.labels(kind=KIND)._sum.get() > timed


async def test_what_waits_and_what_was_given_up_is_measured(db: Database, watch: Watch) -> None:
    await want(db, "a")
    await turn(db, JOB)
    await want(db, "b", "c", "d")
    await turn(db, replace(JOB, call=nobody_there, attempts=1, at_once=1))
    async with db.begin() as tx:
        await errands.measure(tx, [KIND, "send-mail"])
    told = [
        (metrics.errands_open.labels(kind=kind)._value.get(), metrics.errands_given_up.labels(kind=kind)._value.get())
        for kind in (KIND, "send-mail")
    ]
    assert told == [(2, 1), (0, 0)]


async def test_what_is_asked_every_two_seconds_reads_no_errand_that_is_done(db: Database) -> None:
    filled = (
        "INSERT INTO runtime.errands (kind, key, payload, state, due_at, wanted_at, ended_at) "
        "SELECT 'k', n::text, '{}', CASE WHEN n % 1000 = 0 THEN 'waiting' ELSE 'done' END, now(), now(), now() "
        "FROM generate_series(1, 20000) n"
    )
    asked = {
        "errands_standing": errands._STANDING.text,
        "errands_ended": errands._PRUNE.text.replace("$1", "'2026-01-01Z'").replace("$2", "10"),
    }
    async with db.connect(OWNER) as owner:
        await owner.execute(filled)
        await owner.execute("ANALYZE runtime.errands")
        plans = {
            index: "\n".join(row[0] for row in await owner.fetch(f"EXPLAIN {text}")) for index, text in asked.items()
        }
    assert [index for index, plan in plans.items() if index not in plan] == [], plans
