"""`python -m <service> work …`: what was set aside or given up, as whoever looks after it sees it and ends it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from shared import clock, errands, set_aside
from shared.errands import Errand, ErrandLoop, Refused
from shared.jobs import JobLoop
from shared.messaging.kafka import Cluster
from tests.support.caller.jobs import BILLS, billed
from tests.support.databases import CHECKOUT, OWNER, Database
from tests.support.errands import JOB, KIND, answers, state, want, with_answers
from tests.support.eventually import eventually
from tests.support.parts import started

Make = Callable[[str], Awaitable[Database]]
NO_BROKER = Cluster("127.0.0.1:9")
CALLER = "tests.support.caller"


@pytest.fixture
async def db(database: Make) -> Database:
    """Three bills and two tasks that a person must look at."""
    made = await with_answers(await database("runtime"))

    async def refuse(errand: Errand) -> str:
        raise Refused("no such project")

    await billed(made, 9, [2, 4, 6])
    assert await JobLoop(BILLS, made.engine, lambda: None)._portion() == 9
    await want(made, "a", "b")
    loop = ErrandLoop(replace(JOB, call=refuse), made.engine, lambda: None)
    for errand in await loop._claim(2):
        await loop._do(errand)
    return made


async def say(db: Database, *words: str) -> tuple[int, Any]:
    """The real command: its exit code, and its answer or its complaint."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", CALLER, "work", *words, env={**os.environ, "DESK_DATABASE_URL": db.url}, cwd=CHECKOUT,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await asyncio.wait_for(process.communicate(), 60)
    assert b"Traceback" not in out + err
    return (0, json.loads(out)) if process.returncode == 0 else (process.returncode or 0, err.decode())


async def left(db: Database) -> list[str]:
    async with db.begin() as tx:
        given_up = [f"{row.kind} {row.key}" for row in await errands.given_up(tx)]
        return [*[f"{row.job} {row.key}" for row in await set_aside.all_of(tx)], *given_up]


ALL = ["send-bills 2", "send-bills 4", "send-bills 6", "create-task a", "create-task b"]


async def test_what_was_set_aside_and_given_up_is_listed_with_its_reason(db: Database) -> None:
    code, told = await say(db, "set-aside")
    assert (code, [f"{row['job']} {row['key']}" for row in told]) == (0, ALL)
    assert told[0] == {
        "job": "send-bills", "key": "2", "problem": "ValueError: bill 2 has no address", "times": 1,
        "set_aside_at": told[0]["set_aside_at"],
    }  # fmt: skip
    assert (told[3]["problem"], told[3]["times"]) == ("no such project", 1)


async def test_one_is_taken_up_again_and_done(db: Database) -> None:
    async with db.connect(OWNER) as owner:
        await owner.execute("UPDATE public.bills SET guilty = false WHERE id = 4")
    assert await say(db, "retry", "send-bills", "4") == (0, {"job": "send-bills", "taken_up": ["4"], "gone": []})
    assert await say(db, "retry", KIND, "a") == (0, {"job": KIND, "taken_up": ["a"], "gone": []})
    assert await left(db) == ["send-bills 2", "send-bills 6", "create-task b"]
    assert await JobLoop(BILLS, db.engine, lambda: None)._portion() == 1
    assert (await state(db, "a"))["state"] == "waiting"


async def test_all_of_a_job_are_taken_up_only_by_who_says_so_after_hearing_how_many(db: Database) -> None:
    code, told = await say(db, "retry", "send-bills")
    assert (code, await left(db)) == (1, ALL), told
    assert "send-bills has 3 of them" in told
    assert "`work retry send-bills --all`" in told
    async with db.connect(OWNER) as owner:
        await owner.execute("DELETE FROM public.bills WHERE id = 6")
    assert await say(db, "retry", "send-bills", "--all") == (
        0, {"job": "send-bills", "taken_up": ["2", "4"], "gone": ["6"]},
    )  # fmt: skip
    assert await say(db, "retry", KIND, "--all") == (0, {"job": KIND, "taken_up": ["a", "b"], "gone": []})
    assert await left(db) == []


async def test_what_is_discarded_is_not_listed_and_not_done_any_more(db: Database) -> None:
    assert await say(db, "discard", "send-bills", "4") == (0, {"job": "send-bills", "discarded": "4"})
    assert await say(db, "discard", KIND, "a") == (0, {"job": KIND, "discarded": "a"})
    assert await left(db) == ["send-bills 2", "send-bills 6", "create-task b"]
    assert (await state(db, "a"))["state"] == "discarded"
    assert await JobLoop(BILLS, db.engine, lambda: None)._portion() == 0
    assert (await say(db, "discard", KIND, "a"))[0] == 1, "once"


REFUSED: dict[tuple[str, ...], tuple[int, str]] = {
    ("retry", "send-bills", "5"): (1, "send-bills has set aside no 5: `work set-aside` lists what is"),
    ("retry", KIND, "c"): (1, "create-task has set aside no c: `work set-aside` lists what is"),
    ("discard", KIND, "c"): (1, "create-task has set aside no c: `work set-aside` lists what is"),
    ("retry", "send-mail", "2"): (
        1,
        "has no job send-mail that sets work aside, only create-task, send-bills; what an",
    ),
    ("retry", "send-bills", "2", "--all"): (1, "name one, or say --all: not both"),
    ("discard", "send-bills"): (2, "Missing argument 'KEY'"),
    ("forget", "send-bills", "2"): (2, "No such command 'forget'"),
}


async def test_what_cannot_be_done_says_what_to_do_and_changes_nothing(db: Database) -> None:
    said = await asyncio.gather(*[say(db, *words) for words in REFUSED])
    for (ended, complaint), (words, (code, told)) in zip(said, REFUSED.items(), strict=True):
        assert (ended, told in " ".join(complaint.split())) == (code, True), (words, complaint)
    assert await left(db) == ALL


async def test_a_piece_that_is_no_more_is_told_with_the_command_that_forgets_it(db: Database) -> None:
    async with db.connect(OWNER) as owner:
        await owner.execute("DELETE FROM public.bills WHERE id = 6")
    code, told = await say(db, "retry", "send-bills", "6")
    assert (code, "`work discard send-bills 6` forgets it" in told, await left(db)) == (1, True, ALL)
    assert (await say(db, "discard", "send-bills", "6"))[0] == 0


async def test_the_process_of_the_jobs_does_errands_counts_them_and_gives_its_leases_back(db: Database) -> None:
    async with started(CALLER, "jobs", db, NO_BROKER) as (process, client):
        async with db.begin() as tx:
            assert await errands.try_again(tx, KIND, "a", clock.now())
        await want(db, "c", "hangs")

        async def done() -> bool:
            kept = {(key, answer) for key, answer, _ in await answers(db)}
            return {("a", "done"), ("c", "done")} <= kept and (await state(db, "hangs"))["state"] == "running"

        async def measured() -> bool:
            told = (await client.get("/metrics")).text
            lines = {
                f'desk_errands_total{{kind="{KIND}",outcome="done"}} 2.0',
                f'desk_errands_open{{kind="{KIND}"}} 1.0',
            }
            return {*lines, f'desk_errands_given_up{{kind="{KIND}"}} 1.0'} <= set(told.splitlines())

        await eventually(done)
        await eventually(measured)
        assert (await client.get("/livez")).status_code == 200
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 30) == 0
    row = await state(db, "hangs")
    assert (row["state"], row["attempt"], row["uncounted"]) == ("waiting", 1, 1)
