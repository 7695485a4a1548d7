"""Lists of tickets: the queue in its order, whatever narrows it, pages without holes or repetitions, the search."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from tests.support.databases import Database
from tests.tickets import told
from tests.tickets.desk import NOW, cause, open_one
from tests.tickets.queries.reading import everything
from tickets import commands, subscribers
from tickets.queries import lists
from tickets.queries.lists import ClosedTicketsHaveNoDue, QuestionTooShort, Sort, TicketFilter


@pytest.mark.parametrize("limit", [1, 4, 7, 50])
async def test_pages_by_opening_are_complete_without_repetition_even_for_equal_instants(
    desk: Database, limit: int
) -> None:
    opened = [await open_one(desk, NOW + timedelta(minutes=number // 5)) for number in range(18)]
    found = await everything(desk, TicketFilter(), "opened", limit)
    expected = sorted(opened, key=lambda one: (one.ticket.opened_at, one.ticket.id), reverse=True)
    assert [row["number"] for row in found] == [one.ticket.number for one in expected]


@pytest.mark.parametrize("limit", [1, 3, 5, 50])
async def test_pages_by_due_put_the_next_first_and_resting_clocks_last(desk: Database, limit: int) -> None:
    tickets = [(await open_one(desk)).ticket for _ in range(9)]
    hours = [5, 2, 2, 9, None, None, 1, 2, None]
    async with desk.begin() as tx:
        for number, (ticket, due) in enumerate(zip(tickets, hours, strict=True)):
            clock = UUID(int=500 + number)
            if due is not None:
                await subscribers.show_and_record(tx, [told.started(ticket.id, 1, clock_id=clock, hours=due)])
    rank = sorted(range(9), key=lambda number: (hours[number] or 10**6, tickets[number].id))
    found = await everything(desk, TicketFilter(), "due", limit)
    assert [row["number"] for row in found] == [tickets[number].number for number in rank]
    assert found[0]["next_due"] == {
        "kind": "resolution", "at": "2026-11-02T15:03:00.25+00:00", "remaining_seconds": 3600, "breached": False,
    }  # fmt: skip
    assert [row["next_due"] for row in found[-3:]] == [None, None, None]


@pytest.mark.parametrize(
    ("wanted", "numbers"),
    [
        (TicketFilter(), [1, 2, 3, 4]),
        (TicketFilter(status=["new"]), [1, 2]),
        (TicketFilter(status=["new", "resolved"]), [1, 2, 4]),
        (TicketFilter(client="aguero"), [2]),
        (TicketFilter(product="gestion"), [1, 3, 4]),
        (TicketFilter(module="balanza"), [4]),
        (TicketFilter(level=2), [3]),
        (TicketFilter(target="analysts"), [3]),
        (TicketFilter(assignee="bruno"), [3]),
        (TicketFilter(severity=1), [2]),
        (TicketFilter(q="t-3"), [3]),
        (TicketFilter(q="4"), [4]),
        (TicketFilter(q="FACTURACION"), [2]),
        (TicketFilter(q="100%"), [4]),
        (TicketFilter(q="_"), []),
        (TicketFilter(client="molinos", severity=2, status=["in_progress"]), [3]),
    ],
)
async def test_a_list_is_narrowed_by_every_filter(desk: Database, wanted: TicketFilter, numbers: list[int]) -> None:
    await open_one(desk)
    await open_one(desk, client_id="aguero", module_id=None, severity=1, title="La facturación no imprime")
    third = await open_one(desk)
    fourth = await open_one(desk, module_id="balanza", severity=3, title="Disco al 100% en el servidor")
    async with desk.begin() as tx:
        await commands.escalate_ticket(tx, cause(), third.ticket.id, target="analysts", reason="x")
        await commands.assign_ticket(tx, cause(), third.ticket.id, assignee="bruno")
        await commands.resolve_ticket(tx, cause(), fourth.ticket.id, code="configuracion", text="x")
    found = await everything(desk, wanted, "opened", 50)
    assert sorted(int(row["number"].removeprefix("T-")) for row in found) == numbers


@pytest.mark.parametrize(
    "q",
    ["AFIP", "a.f.i.p.", "Cae de la afip", "FACTURACION ELECTRONICA", "facturacion-electronica", "o'higgins", "grosse"],
)
async def test_titles_are_found_however_they_are_spelled(desk: Database, q: str) -> None:
    await open_one(desk, title="Otra cosa")
    title = "No llega el CAE de la A.F.I.P. (facturación  electrónica), cliente OHiggins Größe"
    wanted = await open_one(desk, title=title)
    found = await everything(desk, TicketFilter(q=q), "opened", 50)
    assert [row["number"] for row in found] == [wanted.ticket.number]
