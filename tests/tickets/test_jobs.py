"""What time does to tickets: holds end at their hour and what nobody objects to closes, each once, whoever works."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
import time_machine

from shared.instants import STEP
from shared.jobs import JobLoop
from tests.support.databases import CHECKOUT, OWNER, Database
from tests.support.eventually import eventually
from tests.tickets.desk import NOW, cause, open_one, rows
from tests.tickets.test_queue import blocked
from tickets.commands import tickets as commands
from tickets.commands import waking
from tickets.jobs import JOBS
from tickets.repository.waking import CLOSING_JOB, HOLDS_JOB

MONDAY = NOW + timedelta(days=4)
# A Monday at noon, and six in the evening of that Thursday.
RESOLVED, CLOSES = NOW + timedelta(hours=1), datetime(2026, 11, 5, 21, 0, tzinfo=UTC)
JOB = {job.name: job for job in JOBS}
# What each job is about: from when on it acts, and what it tells.
DUE = {HOLDS_JOB: MONDAY, CLOSING_JOB: CLOSES}
TELLS = {HOLDS_JOB: "desk.ticket.released.v1", CLOSING_JOB: "desk.ticket.closed.v1"}


@contextmanager
def frozen(at: datetime) -> Iterator[None]:
    with time_machine.travel(at, tick=False):
        yield


async def waiting_for(desk: Database, job: str) -> UUID:
    """A ticket that waits for a job: held until MONDAY, or resolved at RESOLVED."""
    ticket_id = (await open_one(desk)).ticket.id
    with frozen(RESOLVED):
        async with desk.begin() as tx:
            if job == HOLDS_JOB:
                await commands.hold_ticket(
                    tx, cause(), ticket_id, reason="agreed-date", note="el lunes", wake_at=MONDAY
                )
            else:
                await commands.resolve_ticket(tx, cause(), ticket_id, code="configuracion", text="x")
    return ticket_id


async def works(desk: Database, job: str, at: datetime) -> int:
    """How many pieces a job did at an instant."""
    with frozen(at):
        return await JobLoop(JOB[job], desk.engine, lambda: None)._portion()


async def facts(desk: Database, type_: str) -> list[dict[str, Any]]:
    """The entries of a type in the history of any ticket, as they were recorded."""
    async with desk.begin() as tx:
        return await rows(tx, "SELECT * FROM tickets.history WHERE type = :type ORDER BY position", type=type_)


async def stored(desk: Database, ticket_id: UUID) -> dict[str, Any]:
    async with desk.begin() as tx:
        (row,) = await rows(tx, "SELECT * FROM tickets.tickets WHERE id = :id", id=ticket_id)
    return row


async def test_a_hold_ends_at_its_hour_and_not_before_and_calls_for_it_as_one_command(desk: Database) -> None:
    ticket_id = await waiting_for(desk, HOLDS_JOB)
    assert await works(desk, HOLDS_JOB, MONDAY - STEP) == 0
    assert await works(desk, HOLDS_JOB, MONDAY) == 1
    assert await works(desk, HOLDS_JOB, MONDAY + timedelta(days=1)) == 0
    row = await stored(desk, ticket_id)
    assert (row["status"], row["version"], row["course_at"]) == ("in_progress", 3, MONDAY)
    assert {row[name] for name in ("hold_reason", "hold_note", "held_at", "wake_at")} == {None}
    assert [(one["reason"], one["addressee"]) for one in row["attention"]] == [("hold-ended", "team")]
    async with desk.begin() as tx:
        told = await rows(tx, "SELECT type, value FROM runtime.archive ORDER BY position DESC LIMIT 2")
    assert [one["type"] for one in told] == ["desk.ticket.attention-raised.v1", "desk.ticket.released.v1"]
    released = json.loads(told[1]["value"])
    assert (released["because"], released["reason"], released["ticket"]["version"]) == ("wake-at", "agreed-date", 3)
    (entry,) = await facts(desk, "desk.ticket.released.v1")
    assert (entry["actor"], entry["occurred_at"]) == ("system:tickets", MONDAY)


async def test_what_was_resolved_closes_three_business_days_later_and_not_before(desk: Database) -> None:
    ticket_id = await waiting_for(desk, CLOSING_JOB)
    assert await works(desk, CLOSING_JOB, CLOSES - STEP) == 0
    assert (await stored(desk, ticket_id))["status"] == "resolved"
    assert await works(desk, CLOSING_JOB, CLOSES) == 1
    assert await works(desk, CLOSING_JOB, CLOSES + timedelta(days=1)) == 0
    row = await stored(desk, ticket_id)
    assert (row["status"], row["version"], row["closed_at"], row["closes_at"]) == ("closed", 3, CLOSES, None)
    (entry,) = await facts(desk, "desk.ticket.closed.v1")
    assert (entry["actor"], entry["data"]["because"]) == ("system:tickets", "no-objection")
    assert await desk.count("SELECT count(*) FROM tickets.open_tickets") == 0


async def test_what_came_back_closes_three_business_days_after_it_was_settled_again(desk: Database) -> None:
    ticket_id = await waiting_for(desk, CLOSING_JOB)
    again = RESOLVED + timedelta(days=2)
    with frozen(again):
        async with desk.begin() as tx:
            await commands.reopen_ticket(tx, cause(), ticket_id, reason="sigue igual")
        async with desk.begin() as tx:
            await commands.resolve_ticket(tx, cause(), ticket_id, code="configuracion", text="x")
    # From Wednesday on: Thursday, Friday, Monday.
    closes = datetime(2026, 11, 9, 21, 0, tzinfo=UTC)
    assert await works(desk, CLOSING_JOB, CLOSES) == 0
    assert await works(desk, CLOSING_JOB, closes - STEP) == 0
    assert await works(desk, CLOSING_JOB, closes) == 1


async def test_a_hold_that_somebody_ended_before_its_hour_is_not_ended_again(desk: Database) -> None:
    for end in ("release", "resolve", "cancel"):
        ticket_id = await waiting_for(desk, HOLDS_JOB)
        with frozen(MONDAY - timedelta(hours=1)):
            async with desk.begin() as tx:
                match end:
                    case "release":
                        await commands.release_ticket(tx, cause(), ticket_id)
                    case "resolve":
                        await commands.resolve_ticket(tx, cause(), ticket_id, code="configuracion", text="x")
                    case "cancel":
                        await commands.cancel_ticket(tx, cause(), ticket_id, reason="x")
        assert await works(desk, HOLDS_JOB, MONDAY + timedelta(days=9)) == 0
        assert (await stored(desk, ticket_id))["attention"] == []


@pytest.mark.parametrize("job", list(JOB))
async def test_two_workers_at_once_do_each_ticket_once(desk: Database, job: str) -> None:
    tickets = [await waiting_for(desk, job) for _ in range(30)]
    with frozen(DUE[job]):

        async def work() -> int:
            loop, did = JobLoop(JOB[job], desk.engine, lambda: None), 0
            while done := await loop._portion():
                did += done
            return did

        assert sum(await asyncio.gather(*[work() for _ in range(4)])) == 30
    told = await facts(desk, TELLS[job])
    assert sorted(one["ticket_id"] for one in told) == sorted(tickets)
    assert {(await stored(desk, one))["version"] for one in tickets} == {3}


@pytest.mark.parametrize("job", list(JOB))
async def test_a_ticket_that_somebody_has_in_hand_is_passed_over_and_done_when_it_is_due_still(
    desk: Database, job: str
) -> None:
    held, free = await waiting_for(desk, job), await waiting_for(desk, job)
    with frozen(DUE[job]):
        async with desk.begin() as tx:
            await commands.comment_ticket(tx, cause(), held, text="lo estoy viendo")
            await tx.flush()
            assert await works(desk, job, DUE[job]) == 1
        assert await works(desk, job, DUE[job]) == 1
    assert [one["ticket_id"] for one in await facts(desk, TELLS[job])] == [free, held]


async def test_a_person_who_comes_while_the_job_works_acts_on_what_it_left(desk: Database) -> None:
    ticket_id = await waiting_for(desk, HOLDS_JOB)

    async def resolve() -> commands.Done:
        async with desk.begin() as tx:
            return await commands.resolve_ticket(tx, cause(), ticket_id, code="configuracion", text="x")

    with frozen(MONDAY):
        async with desk.begin() as tx:
            assert await waking.HOLDS.claim(tx, MONDAY, 10) == [ticket_id]
            await waking.end_holds(tx, [ticket_id], MONDAY)
            await tx.flush()
            coming = asyncio.create_task(resolve())
            await eventually(lambda: blocked(desk))
        done = await coming
    assert (done.ticket.version, done.ticket.status, done.ticket.hold_reason) == (4, "resolved", None)
    assert done.ticket.attention == (), "whoever does something has seen what the team was called for"
    instants = [one["occurred_at"] for one in await facts(desk, "desk.ticket.resolved.v1")]
    assert instants == [MONDAY + STEP]


async def say(db: Database, *words: str) -> tuple[int, str]:
    """`python -m tickets work …`, as an operator says it."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tickets", "work", *words, env={**os.environ, "DESK_DATABASE_URL": db.url}, cwd=CHECKOUT,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode or 0, (out + err).decode()


@pytest.mark.parametrize("job", list(JOB))
async def test_a_ticket_with_which_it_cannot_be_done_is_set_aside_the_others_go_on_and_an_operator_brings_it_back(
    desk: Database, job: str
) -> None:
    tickets = [await waiting_for(desk, job) for _ in range(5)]
    bad = tickets[2]
    async with desk.connect(OWNER) as owner:
        await owner.execute("UPDATE tickets.tickets SET participants = '[{\"odd\": 1}]' WHERE id = $1", bad)
    assert await works(desk, job, DUE[job]) == 5
    assert await works(desk, job, DUE[job] + timedelta(hours=1)) == 0
    told = {one["ticket_id"] for one in await facts(desk, TELLS[job])}
    assert told == set(tickets) - {bad}
    with frozen(DUE[job]):
        async with desk.begin() as tx:
            assert await waking.next_hold(tx, DUE[job]) is None, "what is set aside keeps nobody awake"
    code, said = await say(desk, "set-aside")
    assert (code, [(one["job"], one["key"]) for one in json.loads(said)]) == (0, [(job, str(bad))])
    async with desk.connect(OWNER) as owner:
        await owner.execute("UPDATE tickets.tickets SET participants = '[]' WHERE id = $1", bad)
    assert await works(desk, job, DUE[job] + timedelta(hours=2)) == 0, "mended, but nobody has said so"
    code, said = await say(desk, "retry", job, str(bad))
    assert (code, json.loads(said)["taken_up"]) == (0, [str(bad)])
    assert await works(desk, job, DUE[job] + timedelta(hours=3)) == 1
    assert [one["ticket_id"] for one in await facts(desk, TELLS[job])][-1] == bad


async def test_the_worker_sleeps_until_the_next_hold_ends_and_looks_again_soon_where_one_is_overdue(
    desk: Database,
) -> None:
    async with desk.begin() as tx:
        assert await waking.next_hold(tx, NOW) is None
    await waiting_for(desk, HOLDS_JOB)
    async with desk.begin() as tx:
        assert await waking.next_hold(tx, NOW) == MONDAY
        assert await waking.next_hold(tx, MONDAY + timedelta(hours=1)) == (
            MONDAY + timedelta(hours=1) + waking.LOOK_AGAIN
        )
