"""Lists of tickets: the queue in its order, whatever narrows it, pages without holes or repetitions, the search."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from shared.db.statement import sql
from tests.support.databases import OWNER, Database
from tests.tickets import told
from tests.tickets.desk import NOW, cause, open_one, received
from tests.tickets.queries.reading import everything
from tests.tickets.told import RESPONSE, tell
from tickets import commands
from tickets.queries import lists
from tickets.queries.lists import ClosedTicketsHaveNoDue, QuestionTooShort, Sort, StatusWord, TicketFilter


@pytest.mark.parametrize("limit", [1, 4, 7, 50])
async def test_pages_by_opening_are_complete_without_repetition_even_for_equal_instants(
    desk: Database, limit: int
) -> None:
    opened = [await open_one(desk, NOW + timedelta(minutes=number // 5)) for number in range(18)]
    found = await everything(desk, TicketFilter(), "opened", limit)
    expected = sorted(opened, key=lambda one: (one.ticket.opened_at, one.ticket.id), reverse=True)
    assert [row["number"] for row in found] == [one.ticket.number for one in expected]


async def in_the_queue(desk: Database) -> list[str]:
    """The numbers of nine open tickets in the order in which they must stand in the queue."""
    urgent = {"severity": 1, "client_id": "aguero", "module_id": None}
    tickets: dict[str, dict[str, Any]] = {
        "runs, five hours": {}, "runs, two hours": {}, "runs, two hours, more severe": {"severity": 1},
        "has no clocks": {}, "P1/S1, nine hours": urgent, "paused, an hour left": {}, "paused, a minute left": {},
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
                await tell(tx, told.started(ticket.id, 1, clock_id=clock, hours=minutes / 60))
        for name, seconds in {"paused, an hour left": 3600, "paused, a minute left": 60}.items():
            ticket, (clock, _) = clocks[name]
            event = told.paused(ticket.id, 2, remaining=seconds).data.model_copy(update={"clock_id": clock})
            await tell(tx, received(event, sequence=2))
        await tell(tx, told.met(clocks["all met"][0].id, 2))
        await commands.resolve_ticket(
            tx, cause(), clocks["resolved before its clocks came"][0].id, code="configuracion", text="x"
        )
    return [
        clocks[name][0].number
        for name in (
            "has no clocks", "P1/S1, nine hours", "runs, two hours, more severe", "runs, two hours", "runs, five hours",
            "paused, a minute left", "paused, an hour left", "all met", "resolved before its clocks came",
        )
    ]  # fmt: skip


@pytest.mark.parametrize("limit", [1, 3, 4, 50])
async def test_pages_by_due_are_in_the_order_of_the_queue(desk: Database, limit: int) -> None:
    numbers = await in_the_queue(desk)
    found = await everything(desk, TicketFilter(), "due", limit)
    assert [row["number"] for row in found] == numbers
    assert [row["clocks"] for row in found] == [
        "pending", "running", "running", "running", "running", "paused", "paused", "ended", "pending",
    ]  # fmt: skip
    assert found[2]["next_due"] == {
        "kind": "resolution", "at": "2026-11-02T16:03:00.25+00:00", "remaining_seconds": 7200, "breached": False,
    }  # fmt: skip
    assert [row["number"] for row in found if row["next_due"] is None] == [numbers[0], *numbers[5:]]


async def test_a_breached_clock_that_runs_is_the_next_due_and_says_so(desk: Database) -> None:
    ticket_id = (await open_one(desk)).ticket.id
    async with desk.begin() as tx:
        for event in (told.started(ticket_id, 1), told.resumed(ticket_id, 2), told.breached(ticket_id, 3)):
            await tell(tx, event)
    (row,) = await everything(desk, TicketFilter(), "due")
    assert (row["next_due"]["breached"], row["clocks"]) == (True, "running")


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


async def closed(desk: Database, at: datetime = NOW, **changes: Any) -> str:
    """The number of a ticket that has ended."""
    ticket = (await open_one(desk, at, **changes)).ticket
    async with desk.begin() as tx:
        await commands.resolve_ticket(tx, cause(at), ticket.id, code="configuracion", text="x")
        await commands.close_ticket(tx, cause(at), ticket.id)
    return ticket.number


async def numbers(desk: Database, wanted: TicketFilter, sort: Sort = "opened", limit: int = 50) -> list[str]:
    """The numbers of all tickets of a list."""
    return [row["number"] for row in await everything(desk, wanted, sort, limit)]


async def test_a_list_is_of_open_tickets_unless_it_is_asked_for_others(desk: Database) -> None:
    new = (await open_one(desk)).ticket.number
    gone = await closed(desk, NOW + timedelta(minutes=1))
    for sort in ("opened", "due"):
        assert await numbers(desk, TicketFilter(), sort) == [new]
        assert await numbers(desk, TicketFilter(status=["open"]), sort) == [new]
        assert await numbers(desk, TicketFilter(status=["new", "resolved"]), sort) == [new]
    assert await numbers(desk, TicketFilter(status=["closed"])) == [gone]
    assert await numbers(desk, TicketFilter(status=["closed"], client="aguero")) == []
    mixed: list[list[StatusWord]] = [["all"], ["open", "closed"], ["new", "closed"]]
    for words in mixed:
        assert await numbers(desk, TicketFilter(status=words)) == [gone, new]
    (row,) = await everything(desk, TicketFilter(status=["closed"]))
    assert (row["next_due"], row["clocks"]) == (None, "ended")


async def test_closed_tickets_are_not_sorted_by_what_runs_out(desk: Database) -> None:
    mixed: list[list[StatusWord]] = [["closed"], ["all"], ["new", "closed"]]
    for words in mixed:
        with pytest.raises(ClosedTicketsHaveNoDue, match="sort by `opened`"):
            await numbers(desk, TicketFilter(status=words), "due")


@pytest.mark.parametrize("window", [1, 3, 100])
@pytest.mark.parametrize("limit", [1, 2, 5, 50])
async def test_a_search_among_closed_tickets_finds_the_rare_and_the_frequent_in_order(
    desk: Database, monkeypatch: pytest.MonkeyPatch, window: int, limit: int
) -> None:
    monkeypatch.setattr(lists, "_WINDOW", window)
    titles = ["La factura", "Impresora", "Factura A", "El CAE", "Prefacturación", "Impresora", "No factura"]
    found = [await closed(desk, NOW + timedelta(minutes=at), title=title) for at, title in enumerate(titles)]
    other = await closed(desk, NOW, title="Factura", client_id="aguero", module_id=None)
    new = (await open_one(desk, NOW + timedelta(minutes=3), title="Facturas")).ticket.number

    async def search(q: str, *words: Any, **filters: Any) -> list[str]:
        return await numbers(desk, TicketFilter(q=q, status=words, **filters), "opened", limit)

    assert await search("factura", "closed", client="molinos") == [found[6], found[4], found[2], found[0]]
    assert await search("FACTURA", "all") == [found[6], found[4], new, found[2], other, found[0]]
    assert await search("impresora", "all") == [found[5], found[1]]
    assert await search("el-cae", "all") == [found[3]]
    assert await search("factura", "all", severity=4) == []
    assert await search("factura", "new", "closed", module="facturacion") == [
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


@pytest.mark.parametrize(
    ("sort", "after", "statuses", "index"),
    [
        ("due", (2, 10**16, 2, 2, UUID(int=7)), ["open"], "open_tickets_by_turn"),
        ("opened", (NOW, UUID(int=7)), ["open"], "open_tickets_by_opening"),
        ("opened", (NOW, UUID(int=7)), ["closed"], "closed_by_opening"),
    ],
)
async def test_a_page_begins_where_its_index_says_and_sorts_nothing(
    desk: Database, sort: Sort, after: tuple[Any, ...], statuses: list[StatusWord], index: str
) -> None:
    page, values = lists._page(TicketFilter(status=statuses), sort, after, 51)
    statement = sql(page)
    async with desk.connect() as connection:
        # With so few rows anything is quick; what is asked here is whether the index can do all of it.
        await connection.execute("SET enable_seqscan = off; SET enable_bitmapscan = off; SET enable_sort = off")
        rows = await connection.fetch(f"EXPLAIN {statement.text}", *statement.arguments(values))
    plan = "\n".join(row[0] for row in rows)
    assert f"using {index} on" in plan, plan
    assert "Index Cond: (ROW(" in plan, plan
    assert "Sort" not in plan, plan


_MANY_CLOSED = """
    INSERT INTO tickets.tickets (id, number, version, status, kind, client_id, severity, severity_to_review, priority,
        title, title_key, description, channel, reported_at, opened_at, opened_by, level)
    SELECT gen_random_uuid(), 'C-' || n, 1, 'closed', 'incident', 'molinos', 2, false, 2, md5(n::text), md5(n::text),
           '', 'phone', $1, $1, 'ana', 1 FROM generate_series(1, 5000) n
"""

_ANOTHERS = "UPDATE tickets.tickets SET client_id = 'aguero', assignee = 'eva' WHERE number = 'C-9'"


async def plan_of(desk: Database, wanted: TicketFilter) -> str:
    """How PostgreSQL finds a page among five thousand closed tickets of one client, one of them of another."""
    page, values = lists._page(wanted, "opened", None, 51)
    statement = sql(page)
    async with desk.connect(OWNER) as connection:
        await connection.execute(_MANY_CLOSED, NOW)
        await connection.execute(_ANOTHERS)
        await connection.execute("ANALYZE tickets.tickets")
        rows = await connection.fetch(f"EXPLAIN ANALYZE {statement.text}", *statement.arguments(values))
    return "\n".join(row[0] for row in rows)


def line(plan: str, words: str) -> str:
    """The line of a plan that says so."""
    (found,) = [one for one in plan.splitlines() if words in one]
    return found


async def test_what_the_newest_do_not_have_is_found_by_its_trigrams(
    desk: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lists, "_WINDOW", 100)
    plan = await plan_of(desk, TicketFilter(status=["closed"], q="balanza"))
    assert "never" not in line(plan, "Bitmap Index Scan on closed_by_title"), plan
    assert "One-Time Filter" in plan, plan


@pytest.mark.parametrize(
    ("narrow", "index"), [({"client": "aguero"}, "closed_by_client"), ({"assignee": "eva"}, "closed_by_assignee")]
)
async def test_where_nothing_is_left_to_look_through_the_trigrams_are_not_asked(
    desk: Database, narrow: dict[str, str], index: str
) -> None:
    plan = await plan_of(desk, TicketFilter(status=["closed"], q="balanza", **narrow))  # type: ignore[arg-type]
    assert index in plan, plan
    assert "never executed" in line(plan, "closed_by_title"), plan


async def test_a_number_is_looked_up_by_its_own_index(desk: Database) -> None:
    plan = await plan_of(desk, TicketFilter(status=["closed"], q="17"))
    assert "Index Scan using tickets_number_key" in plan, plan
    assert "closed_by" not in plan, plan
