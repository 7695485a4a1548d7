"""Lists of tickets: the queue in its order, whatever narrows it, pages without holes or repetitions, the search."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from tests.support.databases import OWNER, Database
from tests.tickets import told
from tests.tickets.desk import NOW, cause, deliver, open_one
from tests.tickets.queries.reading import everything, numbers
from tests.tickets.told import RESPONSE
from tickets.commands import tickets as commands
from tickets.queries import search as searching
from tickets.queries.filters import StatusWord, TicketFilter
from tickets.queries.search import QuestionTooShort


@pytest.mark.parametrize("limit", [1, 4, 7, 50])
async def test_pages_by_opening_are_complete_without_repetition_even_for_equal_instants(
    desk: Database, limit: int
) -> None:
    opened = [await open_one(desk, NOW + timedelta(minutes=number // 5)) for number in range(18)]
    found = await everything(desk, TicketFilter(), "opened", limit)
    expected = sorted(opened, key=lambda one: (one.ticket.opened_at, one.ticket.id), reverse=True)
    assert [row["number"] for row in found] == [one.ticket.number for one in expected]


async def in_the_queue(desk: Database) -> list[str]:
    """The numbers of ten open tickets in the order in which they must stand in the queue."""
    urgent = {"severity": 1, "client_id": "aguero", "module_id": None}
    tickets: dict[str, dict[str, Any]] = {
        "runs, five hours": {}, "runs, two hours": {}, "runs, two hours, more severe": {"severity": 1},
        "has no clocks": {}, "P1/S1, has no clocks": urgent, "P1/S1, nine hours": urgent,
        "paused, an hour left": {}, "paused, a minute left": {},
        "all met": {}, "resolved before its clocks came": {},
    }  # fmt: skip
    clocks: dict[str, list[Any]] = {name: [(await open_one(desk, **each)).ticket] for name, each in tickets.items()}
    for number, (name, minutes) in enumerate(
        {"runs, five hours": 300, "runs, two hours": 120, "runs, two hours, more severe": 120, "P1/S1, nine hours": 540,
         "paused, an hour left": 1, "paused, a minute left": 2, "all met": 3}.items()
    ):  # fmt: skip
        clock = RESPONSE if name == "all met" else UUID(int=500 + number)
        clocks[name].append((clock, minutes))
    async with desk.connect(OWNER) as owner:
        await owner.execute("UPDATE tickets.tickets SET priority = 1 WHERE client_id = 'aguero'")
    async with desk.begin() as tx:
        for ticket, *started in clocks.values():
            for clock, minutes in started:
                await deliver(tx, [told.started(ticket.id, 1, clock_id=clock, hours=minutes / 60)])
        for name, seconds in {"paused, an hour left": 3600, "paused, a minute left": 60}.items():
            ticket, (clock, _) = clocks[name]
            await deliver(tx, [told.paused(ticket.id, 2, clock_id=clock, left=seconds)])
        await deliver(tx, [told.met(clocks["all met"][0].id, 2)])
        await commands.resolve_ticket(
            tx, cause(), clocks["resolved before its clocks came"][0].id, code="configuracion", text="x"
        )
    return [
        clocks[name][0].number
        for name in (
            "P1/S1, has no clocks", "has no clocks", "P1/S1, nine hours", "runs, two hours, more severe",
            "runs, two hours", "runs, five hours",
            "paused, a minute left", "paused, an hour left", "all met", "resolved before its clocks came",
        )
    ]  # fmt: skip


@pytest.mark.parametrize("limit", [1, 3, 4, 50])
async def test_pages_by_due_are_in_the_order_of_the_queue(desk: Database, limit: int) -> None:
    numbers = await in_the_queue(desk)
    found = await everything(desk, TicketFilter(), "due", limit)
    assert [row["number"] for row in found] == numbers
    assert [row["clocks"] for row in found] == [
        "pending", "pending", "running", "running", "running", "running", "paused", "paused", "ended", "pending",
    ]  # fmt: skip
    assert found[3]["next_due"] == {
        "kind": "resolution", "at": "2026-11-02T16:03:00.25+00:00", "breached": False, "state": "running",
        "remaining_seconds": 7199, "overdue_wall_seconds": None, "ticking": True, "ticking_changes_at": None,
    }  # fmt: skip
    assert [row["number"] for row in found if row["next_due"] is None] == [*numbers[:2], *numbers[6:]]


async def test_a_breached_clock_that_runs_is_the_next_due_and_says_so(desk: Database) -> None:
    ticket_id = (await open_one(desk)).ticket.id
    async with desk.begin() as tx:
        for event in (told.started(ticket_id, 1), told.resumed(ticket_id, 2), told.breached(ticket_id, 3)):
            await deliver(tx, [event])
    (row,) = await everything(desk, TicketFilter(), "due")
    assert (row["next_due"]["breached"], row["clocks"]) == (True, "running")


@pytest.mark.parametrize(
    ("wanted", "numbers"),
    [
        (TicketFilter(), [1, 2, 3, 4]),
        (TicketFilter(status=["new"]), [1, 2]),
        (TicketFilter(status=["new", "resolved"]), [1, 2, 4]),
        (TicketFilter(client=["aguero"]), [2]),
        (TicketFilter(product=["gestion"]), [1, 3, 4]),
        (TicketFilter(module=["balanza"]), [4]),
        (TicketFilter(level=[2]), [3]),
        (TicketFilter(target=["analysts"]), [3]),
        (TicketFilter(assignee=["bruno"]), [3]),
        (TicketFilter(severity=[1]), [2]),
        (TicketFilter(q="t-3"), [3]),
        (TicketFilter(q="4"), [4]),
        (TicketFilter(q="FACTURACION"), [2]),
        (TicketFilter(q="100%"), [4]),
        (TicketFilter(q="_"), []),
        (TicketFilter(client=["molinos"], severity=[2], status=["in_progress"]), [3]),
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


async def closed(desk: Database, at: datetime = NOW, **changes: Any) -> str:
    """The number of a ticket that has ended."""
    ticket = (await open_one(desk, at, **changes)).ticket
    async with desk.begin() as tx:
        await commands.resolve_ticket(tx, cause(at), ticket.id, code="configuracion", text="x")
        await commands.close_ticket(tx, cause(at), ticket.id)
    return ticket.number


@pytest.mark.parametrize("window", [1, 3, 100])
@pytest.mark.parametrize("limit", [1, 2, 5, 50])
async def test_a_search_among_closed_tickets_finds_the_rare_and_the_frequent_in_order(
    desk: Database, monkeypatch: pytest.MonkeyPatch, window: int, limit: int
) -> None:
    monkeypatch.setattr(searching, "_WINDOW", window)
    titles = ["La factura", "Impresora", "Factura A", "El CAE", "Prefacturación", "Impresora", "No factura"]
    found = [await closed(desk, NOW + timedelta(minutes=at), title=title) for at, title in enumerate(titles)]
    other = await closed(desk, NOW, title="Factura", client_id="aguero", module_id=None)
    new = (await open_one(desk, NOW + timedelta(minutes=3), title="Facturas")).ticket.number

    async def search(q: str, *words: Any, **filters: Any) -> list[str]:
        return await numbers(desk, TicketFilter(q=q, status=words, **filters), "opened", limit)

    assert await search("factura", "closed", client=["molinos"]) == [found[6], found[4], found[2], found[0]]
    assert await search("FACTURA", "all") == [found[6], found[4], new, found[2], other, found[0]]
    assert await search("impresora", "all") == [found[5], found[1]]
    assert await search("el-cae", "all") == [found[3]]
    assert await search("factura", "all", severity=[4]) == []
    assert await search("factura", "new", "closed", module=["facturacion"]) == [
        found[6], found[4], new, found[2], found[0]
    ]  # fmt: skip
    assert await search(found[1].removeprefix("T-"), "all") == [found[1]]


async def test_one_or_two_letters_are_enough_where_every_title_is_looked_at_and_nowhere_else(desk: Database) -> None:
    new = (await open_one(desk, title="El CAE")).ticket.number
    gone = await closed(desk, title="El 2")
    assert await numbers(desk, TicketFilter(q="el")) == [new]
    ended: list[list[StatusWord]] = [["closed"], ["all"]]
    for words in ended:
        for q in ("e", "l-E", "%", "+++++"):
            with pytest.raises(QuestionTooShort, match="at least three letters or digits, or with a number"):
                await numbers(desk, TicketFilter(q=q, status=words))
        assert await numbers(desk, TicketFilter(q="2", status=words)) == [gone]
    assert await numbers(desk, TicketFilter(q="e-l 2", status=["all"])) == [gone]
