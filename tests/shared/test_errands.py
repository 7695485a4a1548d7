"""Work that calls out: nothing is lost, an answer counts once, and whoever cannot be helped is set aside."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from shared import clock, errands
from shared.db.transaction import Transaction
from shared.errands import Errand, ErrandLoop, Later, Refused
from tests.support.databases import CHECKOUT, OWNER, Database
from tests.support.errands import JOB, KIND, answers, state, want, with_answers, working
from tests.support.eventually import eventually
from tests.support.tracker import Tracker

Make = Callable[[str], Awaitable[Database]]


@pytest.fixture
async def db(database: Make) -> Database:
    return await with_answers(await database("runtime"))


async def test_an_errand_is_done_once_and_its_answer_is_kept(db: Database) -> None:
    called: list[Errand] = []

    async def call(errand: Errand) -> str:
        called.append(errand)
        return f"task of {errand.payload['title']}"

    await want(db, "a", "b", "a")
    async with working(db, replace(JOB, call=call), replace(JOB, call=call)):
        await eventually(lambda: _answered(db, 2))
    assert await answers(db) == [("a", "task of Falla a", 1), ("b", "task of Falla b", 1)]
    assert sorted(errand.key for errand in called) == ["a", "b"]
    assert not any(errand.is_again for errand in called)


async def _answered(db: Database, count: int) -> bool:
    return len(await answers(db)) >= count


async def test_what_is_wanted_in_a_transaction_that_fails_is_not_wanted(db: Database) -> None:
    async def want_and_fail() -> None:
        async with db.begin() as tx:
            await errands.want(tx, KIND, "a", {}, clock.now())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await want_and_fail()
    assert await state(db, "a") is None


async def test_a_failure_is_tried_again_and_says_that_it_is_again(db: Database) -> None:
    attempts: list[Errand] = []

    async def call(errand: Errand) -> str:
        attempts.append(errand)
        if errand.attempt < 4:
            raise OSError("nobody there")
        return "done"

    await want(db, "a")
    async with working(db, replace(JOB, call=call)):
        await eventually(lambda: _answered(db, 1))
    assert [errand.attempt for errand in attempts] == [1, 2, 3, 4]
    assert [errand.is_again for errand in attempts] == [False, True, True, True]
    assert await answers(db) == [("a", "done", 4)]


async def test_the_other_side_may_say_when(db: Database) -> None:
    async def call(errand: Errand) -> str:
        raise Later("429", after=timedelta(hours=1))

    await want(db, "a")
    async with working(db, replace(JOB, call=call)):
        await eventually(lambda: _postponed(db))
    row = await state(db, "a")
    assert (row["state"], row["attempt"], row["problem"]) == ("waiting", 1, "429")
    assert row["due_at"] > clock.now() + timedelta(minutes=59)


async def _postponed(db: Database) -> bool:
    row = await state(db, "a")
    return bool(row["problem"])


async def test_a_refusal_is_given_up_at_once_told_and_may_be_taken_up_again(db: Database) -> None:
    refuses = True

    async def call(errand: Errand) -> str:
        if refuses:
            raise Refused("no such project")
        return "done"

    await want(db, "a", "b")
    async with working(db, replace(JOB, call=call)):
        await eventually(lambda: _answered(db, 2))
        assert await answers(db) == [("a", "given up: no such project", 1), ("b", "given up: no such project", 1)]
        async with db.begin() as tx:
            assert {(row.kind, row.key, row.problem) for row in await errands.given_up(tx)} == {
                (KIND, "a", "no such project"), (KIND, "b", "no such project"),
            }  # fmt: skip
            refuses = False
            assert await errands.try_again(tx, KIND, "a", clock.now())
            assert not await errands.try_again(tx, KIND, "nobody", clock.now())
        await eventually(lambda: _answered(db, 3))
    assert ("a", "done", 2) in await answers(db)


async def test_after_many_attempts_it_is_given_up(db: Database) -> None:
    async def call(errand: Errand) -> str:
        raise OSError("nobody there")

    await want(db, "a")
    async with working(db, replace(JOB, call=call, attempts=3)):
        await eventually(lambda: _answered(db, 1))
    ((_, answer, attempt),) = await answers(db)
    assert (answer, attempt) == ("given up: OSError: nobody there", 3)


async def test_one_that_never_answers_keeps_nobody_else_waiting(db: Database) -> None:
    async def call(errand: Errand) -> str:
        if errand.key == "hangs":
            await asyncio.Event().wait()
        return "done"

    await want(db, "hangs", *[f"k{number}" for number in range(20)])
    async with working(db, replace(JOB, call=call, at_once=2)):
        await eventually(lambda: _answered(db, 20))


async def test_an_answer_that_comes_after_its_lease_changes_nothing(db: Database) -> None:
    """The first worker is frozen in its call; the second finds the lease at its end, calls again and is the one."""
    release = asyncio.Event()
    first_called = asyncio.Event()

    async def slow(errand: Errand) -> str:
        first_called.set()
        await release.wait()
        return "late"

    await want(db, "a")
    late = ErrandLoop(replace(JOB, call=slow, lease_seconds=60), db.engine, lambda: None)
    (claimed,) = await late._claim(1)
    answering = asyncio.create_task(late._do(claimed))
    await first_called.wait()
    async with db.connect(OWNER) as owner:
        await owner.execute("UPDATE runtime.errands SET due_at = now() - interval '1 second'")
    async with working(db, JOB):
        await eventually(lambda: _answered(db, 1))
    release.set()
    await answering
    assert await answers(db) == [("a", "done", 2)]
    assert (await state(db, "a"))["attempt"] == 2


async def test_an_answer_that_cannot_be_kept_is_not_asked_for_again(db: Database) -> None:
    called: list[int] = []

    async def call(errand: Errand) -> str:
        called.append(errand.attempt)
        return "done"

    async def fail(tx: Transaction, errand: Errand, answer: Any, now: datetime) -> None:
        raise KeyError("a mistake of this release")

    await want(db, "a")
    async with working(db, replace(JOB, call=call, record=fail)):
        await eventually(lambda: _is(db, "a", "given-up"))
    assert called == [1]
    assert (await state(db, "a"))["problem"].startswith("its answer, which could not be kept: KeyError")


async def _is(db: Database, key: str, wanted: str) -> bool:
    return bool((await state(db, key))["state"] == wanted)


async def ended(process: asyncio.subprocess.Process) -> None:
    """A worker that did not kill itself is killed: it would go on after the test."""
    if process.returncode is None:
        process.kill()
        await process.wait()


@pytest.mark.parametrize("step", ["before-claim", "after-claim", "after-call", "before-commit", "after-commit"])
async def test_a_worker_killed_between_any_two_steps_leaves_one_task(db: Database, step: str) -> None:
    """Judged by the other side's own count: whoever is at a later attempt looks first."""
    async with Tracker().running() as tracker:
        await want(db, "a", "b", "c")
        for _ in range(2):
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "tests.support.tracker", db.url, tracker.url, step, cwd=CHECKOUT,
                env=os.environ,
            )  # fmt: skip
            try:
                assert await asyncio.wait_for(process.wait(), 120) == -signal.SIGKILL
            finally:
                await ended(process)
            async with db.connect(OWNER) as owner:
                # The lease of the dead would end by itself.
                await owner.execute("UPDATE runtime.errands SET due_at = now() WHERE state = 'running'")
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.support.tracker", db.url, tracker.url, "never", cwd=CHECKOUT, env=os.environ
        )
        try:
            await eventually(lambda: _answered(db, 3), within=60)
        finally:
            await ended(process)
        assert tracker.created == {"a": 1, "b": 1, "c": 1}
    assert [key for key, _, _ in await answers(db)] == ["a", "b", "c"]


async def test_what_is_done_is_forgotten_after_its_time_and_nothing_else(db: Database) -> None:
    await want(db, "a", "b")
    async with working(db, JOB):
        await eventually(lambda: _answered(db, 2))
    await want(db, "c")
    async with db.begin() as tx:
        assert await errands.prune(tx, clock.now(), keep=timedelta(days=1)) == 0
        assert await errands.prune(tx, clock.now() + timedelta(days=2), keep=timedelta(days=1)) == 2
    assert await state(db, "c") is not None
