"""Ended tickets in lists: found when they are asked for, in no queue; one that is reopened is where its clock says."""

from __future__ import annotations

from datetime import timedelta

import pytest

from shared.contracts.sla import SlaClockResumed
from shared.db.transaction import Transaction
from tests.support.databases import Database
from tests.tickets import told
from tests.tickets.desk import NOW, cause, deliver, open_one
from tests.tickets.queries.reading import everything, numbers, view
from tests.tickets.told import RESOLUTION, later
from tickets.commands import tickets as commands
from tickets.domain.ticket import Ticket
from tickets.queries.filters import EndedTicketsHaveNoDue, StatusWord, TicketFilter


async def close(tx: Transaction, ticket: Ticket) -> None:
    await commands.resolve_ticket(tx, cause(), ticket.id, code="configuracion", text="x")
    await commands.close_ticket(tx, cause(), ticket.id)


async def cancel(tx: Transaction, ticket: Ticket) -> None:
    await commands.cancel_ticket(tx, cause(), ticket.id, reason="duplicado")


ENDS = {"closed": close, "cancelled": cancel}


@pytest.mark.parametrize("status", ENDS)
async def test_a_list_is_of_open_tickets_unless_it_is_asked_for_others(desk: Database, status: StatusWord) -> None:
    new = (await open_one(desk)).ticket.number
    ended = (await open_one(desk, NOW + timedelta(minutes=1))).ticket
    async with desk.begin() as tx:
        await ENDS[status](tx, ended)
    for sort in ("opened", "due"):
        assert await numbers(desk, TicketFilter(), sort) == [new]
        assert await numbers(desk, TicketFilter(status=["open"]), sort) == [new]
        assert await numbers(desk, TicketFilter(status=["new", "resolved"]), sort) == [new]
    assert await numbers(desk, TicketFilter(status=[status])) == [ended.number]
    assert await numbers(desk, TicketFilter(status=[status], client=["aguero"])) == []
    other: StatusWord = "cancelled" if status == "closed" else "closed"
    assert await numbers(desk, TicketFilter(status=[other])) == []
    mixed: list[list[StatusWord]] = [["all"], ["open", status], ["new", status], ["new", "closed", "cancelled"]]
    for words in mixed:
        assert await numbers(desk, TicketFilter(status=words)) == [ended.number, new]
    (row,) = await everything(desk, TicketFilter(status=[status]))
    assert (row["status"], row["next_due"], row["clocks"]) == (status, None, "ended")


async def test_ended_tickets_are_not_sorted_by_what_runs_out(desk: Database) -> None:
    mixed: list[list[StatusWord]] = [["closed"], ["cancelled"], ["all"], ["new", "closed"], ["open", "cancelled"]]
    for words in mixed:
        with pytest.raises(EndedTicketsHaveNoDue, match="leave `closed` and `cancelled` out.* sort by `opened`"):
            await numbers(desk, TicketFilter(status=words), "due")


@pytest.mark.parametrize("status", ENDS)
async def test_an_ended_ticket_is_found_by_its_number_and_its_words(desk: Database, status: StatusWord) -> None:
    ticket = (await open_one(desk, title="La impresora fiscal no imprime")).ticket
    async with desk.begin() as tx:
        await ENDS[status](tx, ticket)
    either: list[StatusWord] = [status, "all"]
    for q in (ticket.number, "1", "impresora FISCAL"):
        assert [await numbers(desk, TicketFilter(q=q, status=[one])) for one in either] == [[ticket.number]] * 2
        assert await numbers(desk, TicketFilter(q=q)) == []


async def test_a_cancelled_ticket_whose_clocks_still_run_is_in_no_queue_whatever_they_say(desk: Database) -> None:
    ticket = (await open_one(desk)).ticket
    async with desk.begin() as tx:
        await deliver(tx, [told.started(ticket.id, 1)])
        await cancel(tx, ticket)
    assert await numbers(desk, TicketFilter(), "due") == []
    # What sla had told before it heard of that comes later, and then what it does about it.
    for event, word in ((told.breached(ticket.id, 2), "breached"), (told.cancelled(ticket.id, 3), "cancelled")):
        async with desk.begin() as tx:
            await deliver(tx, [event])
        assert await numbers(desk, TicketFilter(), "due") == []
        (clock,) = (await view(desk, ticket.id))["clocks"]
        assert clock["state"] == word


async def test_a_reopened_ticket_stands_in_the_queue_again_where_its_clock_puts_it(desk: Database) -> None:
    """Between the others as soon as it is reopened, and later when its clock runs on towards a later due."""
    first, middle, last = [(await open_one(desk)).ticket for _ in range(3)]
    async with desk.begin() as tx:
        for ticket, hours in ((first, 5), (middle, 6), (last, 7)):
            await deliver(tx, [told.started(ticket.id, 1, clock_id=ticket.id, hours=hours)])
    in_order = [one.number for one in (first, middle, last)]
    assert await numbers(desk, TicketFilter(), "due") == in_order
    async with desk.begin() as tx:
        await close(tx, middle)
    assert await numbers(desk, TicketFilter(), "due") == [first.number, last.number]
    async with desk.begin() as tx:
        await commands.reopen_ticket(tx, cause(), middle.id, reason="sigue igual")
    assert await numbers(desk, TicketFilter(), "due") == in_order
    assert await numbers(desk, TicketFilter(status=["closed"])) == []
    # It had stood while the ticket was settled, so it runs out that much later.
    state = told.clock(middle.id, hours=6, since=later(120), elapsed_seconds=60, due_at=later(8 * 60))
    async with desk.begin() as tx:
        await deliver(tx, [told.of_clock(SlaClockResumed, middle.id, 2, state, later(120), because="reopened")])
    assert await numbers(desk, TicketFilter(), "due") == [first.number, last.number, middle.number]


async def test_a_reopened_ticket_is_last_in_the_queue_until_its_clock_runs_again(desk: Database) -> None:
    """Nothing runs out while sla has not heard of it; it is in the queue all the same."""
    reopened, other = [(await open_one(desk)).ticket for _ in range(2)]
    async with desk.begin() as tx:
        await deliver(tx, [told.started(reopened.id, 1), told.met(reopened.id, 2, clock_id=RESOLUTION)])
        await deliver(tx, [told.started(other.id, 1, clock_id=other.id)])
        await close(tx, reopened)
        await commands.reopen_ticket(tx, cause(), reopened.id, reason="sigue igual")
    assert await numbers(desk, TicketFilter(), "due") == [other.number, reopened.number]
    async with desk.begin() as tx:
        await deliver(tx, [told.resumed(reopened.id, 3, because="reopened", due_at=later(30))])
    assert await numbers(desk, TicketFilter(), "due") == [reopened.number, other.number]
