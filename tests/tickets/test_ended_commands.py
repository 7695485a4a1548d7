"""Reopening and cancelling on a real PostgreSQL: what is stored and told, and who wins when several come at once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
import time_machine

from shared.errors import Conflict
from shared.instants import STEP
from tests.support.databases import Database
from tests.support.statements import round_trips
from tests.tickets import told
from tests.tickets.desk import NOW, cause, deliver, open_one, rows
from tickets.commands import tickets as commands
from tickets.commands.tickets import Done
from tickets.domain.closing import ReopenWindowPassed
from tickets.domain.workflow import ActionNotAllowed, TicketAlreadyCancelled

# A Monday at noon, and six in the evening of the next Monday.
RESOLVED, REOPENABLE_UNTIL = NOW + timedelta(hours=1), datetime(2026, 11, 9, 21, 0, tzinfo=UTC)


NOT_SETTLED = (
    "resolution_code", "resolution_text", "resolved_at", "reopenable_until", "closes_at", "closed_at",
)  # fmt: skip


async def settled(desk: Database, *, close: bool = True) -> UUID:
    """A ticket that was resolved at RESOLVED, and closed a moment later."""
    ticket_id = (await open_one(desk)).ticket.id
    with time_machine.travel(RESOLVED, tick=False):
        async with desk.begin() as tx:
            await commands.resolve_ticket(tx, cause(), ticket_id, code="configuracion", text="era el certificado")
            if close:
                await commands.close_ticket(tx, cause(), ticket_id)
    return ticket_id


async def reopen(desk: Database, ticket_id: UUID) -> Done:
    async with desk.begin() as tx:
        return await commands.reopen_ticket(tx, cause(actor="bruno"), ticket_id, reason="sigue fallando")


async def cancel(desk: Database, ticket_id: UUID) -> Done:
    async with desk.begin() as tx:
        return await commands.cancel_ticket(tx, cause(actor="bruno"), ticket_id, reason="duplicado")


async def row_of(desk: Database, ticket_id: UUID) -> dict[str, Any]:
    """The stored ticket."""
    async with desk.begin() as tx:
        (row,) = await rows(tx, "SELECT * FROM tickets.tickets WHERE id = :id", id=ticket_id)
    return row


async def last_told(desk: Database) -> tuple[dict[str, Any], dict[str, Any]]:
    """The event that was told last, and the entry of the history that was made last."""
    async with desk.begin() as tx:
        (event,) = await rows(tx, "SELECT * FROM runtime.archive ORDER BY position DESC LIMIT 1")
        (entry,) = await rows(tx, "SELECT * FROM tickets.history ORDER BY position DESC LIMIT 1")
    return event, entry


async def counts(desk: Database) -> tuple[int, int]:
    """How many events were told and how many facts are kept."""
    return (
        await desk.count("SELECT count(*) FROM runtime.archive"),
        await desk.count("SELECT count(*) FROM tickets.history"),
    )


@pytest.mark.parametrize(("status", "version"), [("closed", 4), ("resolved", 3)])
async def test_a_reopening_is_stored_told_and_kept(desk: Database, status: str, version: int) -> None:
    ticket_id, then = await settled(desk, close=status == "closed"), RESOLVED + timedelta(days=1)
    with time_machine.travel(then, tick=False):
        done = await reopen(desk, ticket_id)
    row = await row_of(desk, ticket_id)
    assert (done.ticket.version, row["version"], row["status"], row["course_at"], row["last_fact_at"]) == (
        version, version, "in_progress", then, then,
    )  # fmt: skip
    assert {row[name] for name in NOT_SETTLED} == {None}
    event, entry = await last_told(desk)
    assert (event["type"], event["topic"], event["id"]) == ("desk.ticket.reopened.v1", "desk.tickets.v1", done.facts[0])
    value = json.loads(event["value"])
    assert (value["reason"], value["previous_status"]) == ("sigue fallando", status)
    assert (value["ticket"]["status"], value["ticket"]["version"]) == ("in_progress", version)
    assert (entry["fact_id"], entry["actor"], entry["changes"]) == (
        done.facts[0], "bruno", {"status": [status, "in_progress"]},
    )  # fmt: skip


@pytest.mark.parametrize("close", [True, False])
async def test_five_business_days_after_it_is_still_reopened_and_a_microsecond_later_nothing_happens(
    desk: Database, close: bool
) -> None:
    late, in_time = await settled(desk, close=close), await settled(desk, close=close)
    before = await row_of(desk, late), await counts(desk)
    assert (before[0]["reopenable_until"], before[0]["closes_at"] is None) == (REOPENABLE_UNTIL, close)
    with time_machine.travel(REOPENABLE_UNTIL + STEP, tick=False), pytest.raises(ReopenWindowPassed):
        await reopen(desk, late)
    assert (await row_of(desk, late), await counts(desk)) == before
    with time_machine.travel(REOPENABLE_UNTIL, tick=False):
        assert (await reopen(desk, in_time)).ticket.status == "in_progress"


async def test_the_window_of_a_resolution_that_was_told_late_counts_from_when_it_happened(desk: Database) -> None:
    ticket_id = (await open_one(desk)).ticket.id
    told_at = RESOLVED + timedelta(days=2)
    with time_machine.travel(told_at, tick=False):
        async with desk.begin() as tx:
            dated = replace(cause(told_at), occurred_at=RESOLVED)
            await commands.resolve_ticket(tx, dated, ticket_id, code="configuracion", text="x", late_reason="sin línea")
    with time_machine.travel(REOPENABLE_UNTIL + STEP, tick=False), pytest.raises(ReopenWindowPassed):
        await reopen(desk, ticket_id)
    with time_machine.travel(REOPENABLE_UNTIL, tick=False):
        assert (await reopen(desk, ticket_id)).ticket.version == 3


@pytest.mark.parametrize("on_hold", [True, False])
async def test_a_cancelling_is_stored_told_and_kept_and_ends_a_hold(desk: Database, on_hold: bool) -> None:
    ticket_id, then = (await open_one(desk)).ticket.id, NOW + timedelta(hours=1)
    with time_machine.travel(then, tick=False):
        async with desk.begin() as tx:
            await commands.assign_ticket(tx, cause(), ticket_id, assignee="carla")
            if on_hold:
                await commands.hold_ticket(tx, cause(), ticket_id, reason="third-party", note="el banco")
    with time_machine.travel(then + timedelta(hours=1), tick=False):
        done = await cancel(desk, ticket_id)
    row, at = await row_of(desk, ticket_id), then + timedelta(hours=1)
    assert (row["status"], row["cancelled_at"], row["course_at"], row["assignee"]) == ("cancelled", at, at, "carla")
    ended = ("hold_reason", "hold_note", "held_at", "resolved_at", "resolution_code", "closed_at")
    assert {row[name] for name in ended} == {None}
    assert await desk.count("SELECT count(*) FROM tickets.open_tickets") == 0
    event, entry = await last_told(desk)
    value = json.loads(event["value"])
    assert (event["type"], value["reason"], value["ticket"]["status"], value["ticket"]["hold"]) == (
        "desk.ticket.cancelled.v1", "duplicado", "cancelled", None,
    )  # fmt: skip
    assert entry["fact_id"] == event["id"] == done.facts[0]
    assert set(entry["changes"]) == ({"status", "hold"} if on_hold else {"status"})


@pytest.mark.parametrize(("act", "reads"), [(reopen, ["SELECT", "SELECT"]), (cancel, ["SELECT"])])
async def test_each_locks_before_it_decides_and_reopening_reads_by_what_it_was_judged(
    desk: Database, act: Callable[[Database, UUID], Awaitable[Done]], reads: list[str]
) -> None:
    with time_machine.travel(RESOLVED, tick=False):
        ticket_id = await settled(desk) if act is reopen else (await open_one(desk)).ticket.id
        with round_trips(desk.engine) as sent:
            await act(desk, ticket_id)
    assert [one.split(" ")[0] for one in sent] == ["BEGIN", *reads, "WITH", "COMMIT"]
    assert sent[1].endswith("FOR UPDATE")


async def outcomes(*acts: Awaitable[Done]) -> tuple[int, list[type[Exception]]]:
    """How many went through of those that came at once, and how the others were refused."""
    found = await asyncio.gather(*acts, return_exceptions=True)
    refused = [type(one) for one in found if isinstance(one, Conflict)]
    assert len([one for one in found if isinstance(one, Done)]) + len(refused) == len(found), found
    return len(found) - len(refused), refused  # type: ignore[return-value]


async def test_of_several_who_reopen_a_ticket_at_once_one_does(desk: Database) -> None:
    ticket_id = await settled(desk)
    with time_machine.travel(RESOLVED + timedelta(days=1), tick=False):
        assert await outcomes(*[reopen(desk, ticket_id) for _ in range(5)]) == (1, [ActionNotAllowed] * 4)
    assert (await row_of(desk, ticket_id))["version"] == 4
    assert await desk.count("SELECT count(*) FROM tickets.open_tickets") == 1


async def test_of_cancelling_and_resolving_at_once_one_is_done(desk: Database) -> None:
    async def resolve(ticket_id: UUID) -> Done:
        async with desk.begin() as tx:
            return await commands.resolve_ticket(tx, cause(), ticket_id, code="configuracion", text="x")

    for _ in range(5):
        ticket_id = (await open_one(desk)).ticket.id
        done, (refused,) = await outcomes(cancel(desk, ticket_id), resolve(ticket_id))
        row = await row_of(desk, ticket_id)
        assert (done, row["version"]) == (1, 2)
        assert refused is (TicketAlreadyCancelled if row["status"] == "cancelled" else ActionNotAllowed)
        assert (row["resolved_at"] is None) == (row["cancelled_at"] is not None)


async def test_a_reopened_ticket_whose_clocks_moved_while_it_was_closed_is_queued_by_what_they_are(
    desk: Database,
) -> None:
    ticket_id = await settled(desk)
    async with desk.begin() as tx:
        await deliver(tx, [told.started(ticket_id, 1), told.paused(ticket_id, 2, left=77)])
    assert await desk.count("SELECT count(*) FROM tickets.open_tickets") == 0
    with time_machine.travel(RESOLVED + timedelta(days=1), tick=False):
        await reopen(desk, ticket_id)
    async with desk.begin() as tx:
        (row,) = await rows(tx, "SELECT * FROM tickets.open_tickets")
    assert (row["id"], row["status"], row["clocks"], row["turn_by"]) == (ticket_id, "in_progress", "paused", 77)
