"""What the desk reads: the view in one statement, lists without holes or repetitions, clients by any spelling."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
import time_machine

from shared.contracts.devlink import DevTaskLinked
from shared.contracts.inventory import ClientRecorded
from shared.ids import new_id
from tests.support.databases import Database
from tests.support.statements import round_trips
from tests.tickets import told
from tests.tickets.desk import NOW, cause, deliver, open_one, received
from tests.tickets.told import RESOLUTION, RESPONSE, TASK, later, tell
from tickets import api, commands, projections, queries
from tickets.domain.ticket import TicketNotFound
from tickets.queries import ClientView, HistoryEntry, Sort, TicketFilter, TicketRow, TicketView


async def view(database: Database, ticket_id: UUID, now: datetime = NOW) -> dict[str, Any]:
    """The whole view; it must be what the documented model says, field by field."""
    async with database.begin() as tx:
        version, written = await queries.view_ticket(tx, ticket_id, now)
    found: dict[str, Any] = json.loads(written)
    described = TicketView.model_validate_json(written)
    assert set(described.model_dump()) == set(found)
    assert described.version == version
    return found


async def test_a_fresh_ticket_shows_what_was_registered_and_what_is_pending(desk: Database) -> None:
    done = await open_one(desk, installation_id="molinos-gestion")
    found = await view(desk, done.ticket.id)
    (entry,) = found.pop("history")
    assert (entry["type"], entry["actor"], entry["fact_id"]) == ("desk.ticket.opened.v1", "ana", str(done.facts[0]))
    at = "2026-11-02T14:03:00.25+00:00"
    assert found == {
        "id": str(done.ticket.id), "number": "T-000001", "version": 1, "status": "new", "kind": "incident",
        "severity": 2, "severity_to_review": False, "priority": 2, "immediate": False,
        "title": "No se pueden emitir facturas", "description": "Error al pedir el CAE", "reporter": "Marta Giménez",
        "channel": "phone",
        "groups": {
            "client": {"id": "molinos", "name": "Molinos del Paraná"},
            "product": {"id": "gestion", "name": "PSA Gestión"},
            "module": {"id": "facturacion", "name": "Facturación"},
        },
        "installation_id": "molinos-gestion", "level": 1, "target": None, "assignee": None, "reported_at": at,
        "reported_late_reason": None, "opened_at": at, "opened_by": "ana", "first_responded_at": None, "hold": None,
        "resolution": None, "closed_at": None, "environment": {"state": "pending", "data": None}, "clocks": [],
        "tasks": [], "server_time": at,
    }  # fmt: skip


async def test_what_the_caller_could_not_say_is_null(desk: Database) -> None:
    done = await open_one(desk, module_id=None)
    groups = (await view(desk, done.ticket.id))["groups"]
    assert groups == {"client": {"id": "molinos", "name": "Molinos del Paraná"}, "product": None, "module": None}


async def test_the_view_is_one_statement_however_much_there_is_to_show(desk: Database) -> None:
    done = await open_one(desk)
    async with desk.begin() as tx:
        for event in told.whole_story(done.ticket.id):
            await tell(tx, event)
    with round_trips(desk.engine) as sent:
        await view(desk, done.ticket.id)
    assert [one.split(" ")[0] for one in sent] == ["BEGIN", "SELECT", "COMMIT"]


async def test_environment_clocks_tasks_and_history_are_all_in_the_view(desk: Database) -> None:
    done = await open_one(desk)
    story = told.whole_story(done.ticket.id)
    async with desk.begin() as tx:
        for event in story:
            await tell(tx, event)
    found = await view(desk, done.ticket.id, later(1600))
    assert found["environment"]["state"] == "resolved"
    assert found["environment"]["data"]["modules"] == [
        {"module_id": "facturacion", "name": "Facturación", "version": "8.2.1", "nature": "standard"}
    ]
    assert [(one["id"], one["kind"], one["state"], one["remaining_seconds"]) for one in found["clocks"]] == [
        (str(RESPONSE), "response", "met", 3300),
        (str(RESOLUTION), "resolution", "stopped", -2400),
    ]
    (task,) = found["tasks"]
    assert (task["id"], task["display_id"], task["status"], task["fix_version"]) == (
        str(TASK), "DEV-17", "fixed", "8.2.2",
    )  # fmt: skip
    happened = sorted(story, key=lambda event: event.occurred_at)
    assert [entry["fact_id"] for entry in found["history"]][1:] == [str(event.id) for event in happened]
    assert {entry["source"] for entry in found["history"]} == {"tickets", "inventory", "sla", "devlink"}


@pytest.mark.parametrize(
    ("told_so_far", "now", "state", "due", "remaining"),
    [
        (["started"], later(60), "running", later(1440), 23 * 3600),
        (["started"], later(60) + timedelta(milliseconds=1), "running", later(1440), 23 * 3600 - 1),
        (["started", "paused"], later(600), "paused", None, 5000),
        (["started", "paused", "resumed"], later(60), "running", later(1460), 1400 * 60),
        (["started", "resumed", "breached"], later(1470), "breached", later(1460), -600),
        (["started", "resumed", "breached", "paused"], later(1470), "paused", None, 5000),
        (["started", "resumed", "breached", "stopped"], later(9999), "stopped", later(1460), -2400),
    ],
)
async def test_a_clock_shows_its_state_and_what_is_left_at_that_instant(
    desk: Database, told_so_far: list[str], now: datetime, state: str, due: datetime | None, remaining: int
) -> None:
    done = await open_one(desk)
    async with desk.begin() as tx:
        for sequence, name in enumerate(told_so_far, start=1):
            await tell(tx, getattr(told, name)(done.ticket.id, sequence))
    (clock,) = (await view(desk, done.ticket.id, now))["clocks"]
    assert (clock["state"], clock["remaining_seconds"]) == (state, remaining)
    assert (datetime.fromisoformat(clock["due_at"]) if clock["due_at"] else None) == due


async def test_an_unknown_environment_says_why(desk: Database) -> None:
    done = await open_one(desk)
    async with desk.begin() as tx:
        await deliver(tx, [told.unknown(done.ticket.id, 1)])
    environment = (await view(desk, done.ticket.id))["environment"]
    assert environment == {
        "state": "unknown",
        "data": {"client_id": "molinos", "reason": "several-installations", "candidates": ["a1", "a2"]},
    }


async def test_hold_and_resolution_are_shown_with_their_words(desk: Database) -> None:
    done = await open_one(desk)
    with time_machine.travel(NOW, tick=False):
        async with desk.begin() as tx:
            await commands.hold_ticket(tx, cause(), done.ticket.id, reason="waiting-for-client", note="¿desde cuándo?")
        held = await view(desk, done.ticket.id)
        async with desk.begin() as tx:
            await commands.resolve_ticket(tx, cause(), done.ticket.id, code="configuracion", text="era el certificado")
        solved = await view(desk, done.ticket.id)
    # The opening was at the same instant, so each fact comes a microsecond after the one before.
    since, at = "2026-11-02T14:03:00.250001+00:00", "2026-11-02T14:03:00.250002+00:00"
    assert held["hold"] == {"reason": "waiting-for-client", "note": "¿desde cuándo?", "since": since}
    assert (solved["hold"], solved["status"]) == (None, "resolved")
    assert solved["resolution"] == {"code": "configuracion", "text": "era el certificado", "at": at}


async def test_a_ticket_that_does_not_exist_is_not_found(desk: Database) -> None:
    async with desk.begin() as tx:
        with pytest.raises(TicketNotFound):
            await queries.view_ticket(tx, new_id(), NOW)
        with pytest.raises(TicketNotFound):
            await queries.page_history(tx, new_id(), after=None, limit=10)


async def everything(database: Database, wanted: TicketFilter, sort: Sort, limit: int) -> list[dict[str, Any]]:
    """All pages of a list, one after the other."""
    found: list[dict[str, Any]] = []
    after: tuple[datetime | None, UUID] | None = None
    while True:
        async with database.begin() as tx:
            page = await queries.list_tickets(tx, wanted, sort=sort, after=after, limit=limit, now=NOW)
        found.extend(json.loads(row) for _, _, row in page)
        for _, _, row in page:
            assert set(TicketRow.model_validate_json(row).model_dump()) == set(json.loads(row))
        if len(page) < limit:
            return found
        assert len(found) < 100, "the pages do not end"
        after = page[-1][:2]


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
                await deliver(tx, [told.started(ticket.id, 1, clock_id=clock, hours=due)])
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


async def test_pages_of_a_history_are_in_recorded_order_and_the_view_is_in_the_order_of_what_happened(
    desk: Database,
) -> None:
    done = await open_one(desk)
    story = told.whole_story(done.ticket.id)
    async with desk.begin() as tx:
        # Told late: it happened before things that are in the history already.
        for event in reversed(story):
            await tell(tx, event)
    found: list[HistoryEntry] = []
    after: tuple[int] | None = None
    while True:
        async with desk.begin() as tx:
            page = await queries.page_history(tx, done.ticket.id, after=after, limit=4)
        found.extend(HistoryEntry.model_validate_json(entry) for *_, entry in page)
        if len(page) < 4:
            break
        assert len(found) < 100, "the pages do not end"
        after = page[-1][:-1]
    assert [str(entry.fact_id) for entry in found] == [str(done.facts[0]), *(str(one.id) for one in reversed(story))]
    happened = sorted(found, key=lambda entry: (entry.occurred_at, entry.position))
    assert [str(entry.fact_id) for entry in happened] == [
        entry["fact_id"] for entry in (await view(desk, done.ticket.id))["history"]
    ]
    assert happened != found


async def client_ids(database: Database, q: str | None, limit: int = 50) -> Sequence[str]:
    """The ids of the clients found, page after page."""
    found: list[str] = []
    after: tuple[str, str] | None = None
    while True:
        async with database.begin() as tx:
            page = await queries.find_clients(tx, q, after=after, limit=limit)
        found.extend(ClientView.model_validate_json(row).id for _, _, row in page)
        if len(page) < limit:
            return found
        assert len(found) < 100, "the pages do not end"
        after = page[-1][:2]


@pytest.mark.parametrize(
    ("q", "ids"),
    [
        ("aguero", ["aguero"]),
        ("HERMANOS agüero", ["aguero"]),
        ("parana", ["molinos"]),
        ("30-1111", ["molinos"]),
        ("sin-con", ["sin-contrato"]),
        ("cerrado", []),
        ("o", ["aguero", "sin-contrato", "molinos"]),
        ("%", []),
        (None, ["aguero", "sin-contrato", "molinos"]),
    ],
)
async def test_clients_are_found_by_any_spelling_and_sorted_by_name(
    desk: Database, q: str | None, ids: list[str]
) -> None:
    assert await client_ids(desk, q) == ids
    assert await client_ids(desk, q, limit=1) == ids


@pytest.fixture
async def spelled(desk: Database) -> Database:
    """Clients whose names and tax ids nobody spells as they are written."""
    clients = (
        ClientRecorded(id="ohiggins", name="Transportes O'Higgins S.R.L.", tax_id="30-71234567-8", tier="oro"),
        ClientRecorded(id="weiss", name="Weiß & Söhne SRL", tax_id="30712345679", tier="oro"),
        ClientRecorded(id="paraiso", name="Alto-Paraíso S. A.", tax_id="J-12345678-9", tier="oro"),
        ClientRecorded(id="bjorn", name="Bjørn Ñáñez", tax_id="esb12345678", tier="oro"),
        ClientRecorded(id="signos", name="+++", tier="oro"),
    )
    async with desk.begin() as tx:
        await projections.apply(tx, [received(one) for one in clients])
    return desk


@pytest.mark.parametrize(
    ("q", "ids"),
    [
        ("srl", ["ohiggins", "weiss"]),
        ("S.R.L.", ["ohiggins", "weiss"]),
        ("s. r. l. higgins", ["ohiggins"]),
        ("OHiggins", ["ohiggins"]),
        ("o\u2019higgins", ["ohiggins"]),
        ("O Higgins", ["ohiggins"]),
        ("30-71234567-8", ["ohiggins"]),
        ("30712345678", ["ohiggins"]),
        ("30.71234567.8", ["ohiggins"]),
        ("30 71234567 8", ["ohiggins"]),
        ("30-71234567-9", ["weiss"]),
        ("30-7123456", ["ohiggins", "weiss"]),
        ("J-12345678-9", ["paraiso"]),
        ("j123456789", ["paraiso"]),
        ("ESB12345678", ["bjorn"]),
        ("es-b12345678", ["bjorn"]),
        ("WEISS", ["weiss"]),
        ("wei\u00df", ["weiss"]),
        ("weiss & sohne", ["weiss"]),
        ("alto paraiso", ["paraiso"]),
        ("altoparaiso s.a.", ["paraiso"]),
        ("sa alto", ["paraiso"]),
        ("bjorn nanez", ["bjorn"]),
        ("n\u0303a\u0301nez", ["bjorn"]),
        ("SIN CONTRATO", ["sin-contrato"]),
        ("sincontrato", ["sin-contrato"]),
        ("+", ["signos"]),
        ("%", []),
        ("_", []),
    ],
)
async def test_clients_are_found_however_they_are_spelled(spelled: Database, q: str, ids: list[str]) -> None:
    assert sorted(await client_ids(spelled, q)) == ids


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


@pytest.mark.parametrize("sign", ["ñ", "\U00010400", "\ufdfa", "각"])
async def test_pages_go_on_after_a_name_of_any_length(desk: Database, sign: str) -> None:
    clients = [ClientRecorded(id=f"largo-{number}", name=sign * 199 + str(number), tier="oro") for number in range(3)]
    async with desk.begin() as tx:
        await projections.apply(tx, [received(one) for one in clients])
        page = await queries.find_clients(tx, None, after=None, limit=50)
    assert [api._CLIENTS.start(api._CLIENTS.cursor(*row[:-1])) for row in page] == [row[:-1] for row in page]
    assert await client_ids(desk, None, limit=1) == await client_ids(desk, None)


async def test_two_tasks_of_one_ticket_are_both_shown(desk: Database) -> None:
    done = await open_one(desk)
    second = DevTaskLinked(
        ticket_id=done.ticket.id, task_id=UUID(int=99), escalation_id=UUID(int=98), tracker="board", external_id="18",
        display_id="DEV-18", url="http://board.example/DEV-18", status="new",
    )  # fmt: skip
    async with desk.begin() as tx:
        await deliver(tx, [told.linked(done.ticket.id, 1), received(second)])
    assert [one["display_id"] for one in (await view(desk, done.ticket.id))["tasks"]] == ["DEV-17", "DEV-18"]
