"""What the commands store and publish, on a real PostgreSQL."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
import time_machine

from shared.contracts.inventory import EnvironmentResolved, InstalledModule
from shared.contracts.tickets import ImpactAnswers
from shared.ids import new_id
from shared.instants import STEP
from tests.support.databases import Database
from tests.support.statements import round_trips
from tests.tickets import told
from tests.tickets.desk import NOW, PEOPLE, a_call, cause, contract, deliver, open_one, received, rows
from tickets import projections
from tickets.commands import tickets as commands
from tickets.commands.tickets import Done
from tickets.domain.escalation import EVERYWHERE
from tickets.domain.grouping import GroupsDoNotFit, UnknownReference
from tickets.domain.reporting import ReportedTooLongAgo
from tickets.domain.ticket import TicketNotFound
from tickets.domain.urgency import Stated
from tickets.domain.workflow import ActionNotAllowed

Do = Callable[[Any, Any], Awaitable[Done]]


async def published(database: Database) -> list[dict[str, Any]]:
    """What the outbox has about tickets, in the order in which it will be sent."""
    async with database.begin() as tx:
        found = await rows(
            tx,
            "SELECT a.* FROM runtime.outbox o JOIN runtime.archive a USING (position) "
            "WHERE a.topic = 'desk.tickets.v1' ORDER BY position",
        )
    return [{**row, "value": json.loads(row["value"])} for row in found]


async def history(database: Database, id: UUID) -> list[dict[str, Any]]:
    """The history of a ticket in the order of recording."""
    async with database.begin() as tx:
        return await rows(tx, "SELECT * FROM tickets.history WHERE ticket_id = :id ORDER BY position", id=id)


async def ticket_row(database: Database, id: UUID) -> dict[str, Any]:
    """The stored ticket."""
    async with database.begin() as tx:
        (row,) = await rows(tx, "SELECT * FROM tickets.tickets WHERE id = :id", id=id)
    return row


async def test_opening_stores_the_ticket_its_history_and_one_event(desk: Database) -> None:
    done = await open_one(desk, installation_id="molinos-gestion")
    row = await ticket_row(desk, done.ticket.id)
    assert {name: row[name] for name in ("number", "version", "status", "client_id", "product_id", "module_id")} == {
        "number": "T-000001", "version": 1, "status": "new", "client_id": "molinos", "product_id": "gestion",
        "module_id": "facturacion",
    }  # fmt: skip
    assert (row["installation_id"], row["priority"], row["opened_at"], row["reported_at"], row["owner"]) == (
        "molinos-gestion", 2, NOW, NOW, "ana",
    )  # fmt: skip
    (event,) = await published(desk)
    assert (event["type"], event["topic"], event["key"]) == (
        "desk.ticket.opened.v1", "desk.tickets.v1", str(done.ticket.id),
    )  # fmt: skip
    brief = event["value"]["ticket"]
    assert brief["groups"] == {"client_id": "molinos", "product_id": "gestion", "module_id": "facturacion"}
    assert (brief["number"], brief["status"], brief["owner"], brief["version"]) == ("T-000001", "new", "ana", 1)
    (entry,) = await history(desk, done.ticket.id)
    assert (entry["fact_id"], entry["type"], entry["source"], entry["actor"], entry["corrects"]) == (
        event["id"], "desk.ticket.opened.v1", "tickets", "ana", None,
    )  # fmt: skip
    assert (entry["occurred_at"], entry["recorded_at"], entry["correlation_id"]) == (NOW, NOW, "req-1")
    assert entry["data"] == {name: value for name, value in event["value"].items() if name != "ticket_id"}
    assert entry["changes"] is None
    assert done.facts == (event["id"],)


async def test_opening_makes_two_round_trips_of_which_one_reads_the_replicas(desk: Database) -> None:
    with round_trips(desk.engine) as sent:
        await open_one(desk, product_id="gestion", module_id="balanza", installation_id="molinos-gestion")
    assert [one.split(" ")[0] for one in sent] == ["SELECT", "WITH"]
    replicas = ("clients", "contracts", "products", "modules", "installations")
    assert all(f"tickets.{name} " in sent[0] for name in replicas)


async def test_an_action_makes_four_round_trips_and_locks_before_it_decides(desk: Database) -> None:
    done = await open_one(desk)
    with round_trips(desk.engine) as sent:
        async with desk.begin() as tx:
            await commands.escalate_ticket(tx, cause(), done.ticket.id, target="analysts", reason="excede")
    assert [one.split(" ")[0] for one in sent] == ["BEGIN", "SELECT", "WITH", "COMMIT"]
    assert sent[1].endswith("FOR UPDATE OF t")


@pytest.mark.parametrize(("client", "priority"), [("molinos", 2), ("aguero", 3), ("sin-contrato", 4)])
async def test_priority_comes_from_the_contract_in_force(desk: Database, client: str, priority: int) -> None:
    done = await open_one(desk, client_id=client)
    assert done.ticket.opening.priority == priority


async def test_a_retired_contract_gives_no_priority(desk: Database) -> None:
    retired = contract("c-molinos", "molinos", "oro", 8, retired=True)
    async with desk.begin() as tx:
        await deliver(tx, [received(retired)])
    assert (await open_one(desk)).ticket.opening.priority == 4


async def test_priority_is_that_of_the_instant_of_the_report(desk: Database) -> None:
    async with desk.begin() as tx:
        request = a_call(client_id="aguero", reported_at=NOW - timedelta(days=2), reported_late_reason="fin de semana")
        done = await commands.open_ticket(tx, cause(), request, may_be_late=True)
    assert done.ticket.opening.priority == 1


async def test_an_impact_gives_the_severity_and_marks_what_was_not_known(desk: Database) -> None:
    done = await open_one(desk, urgency=Stated(ImpactAnswers(operational=1, economic=None)))
    row = await ticket_row(desk, done.ticket.id)
    assert (row["severity"], row["severity_to_review"]) == (2, True)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"client_id": "nadie"}, UnknownReference),
        ({"client_id": "cerrado"}, UnknownReference),
        ({"module_id": "nada"}, UnknownReference),
        ({"product_id": "sueldos"}, GroupsDoNotFit),
        ({"client_id": "aguero", "module_id": "balanza"}, GroupsDoNotFit),
        ({"client_id": "aguero", "installation_id": "molinos-gestion"}, GroupsDoNotFit),
        ({"reported_at": NOW - timedelta(days=2), "reported_late_reason": "x"}, ReportedTooLongAgo),
    ],
)
async def test_a_refused_opening_leaves_nothing_behind(
    desk: Database, changes: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        await open_one(desk, **changes)
    assert await published(desk) == []
    assert await desk.count("SELECT count(*) FROM tickets.tickets") == 0
    assert await desk.count("SELECT count(*) FROM tickets.history") == 0


async def test_twenty_openings_at_once_get_twenty_numbers(desk: Database) -> None:
    done = await asyncio.gather(*(open_one(desk) for _ in range(20)))
    assert len({one.ticket.number for one in done}) == 20
    assert await desk.count("SELECT count(*) FROM tickets.history") == 20


async def test_a_whole_life_is_stored_and_told_in_order(desk: Database) -> None:
    ticket_id = (await open_one(desk)).ticket.id
    at = NOW + timedelta(minutes=5)
    steps: list[Do] = [
        lambda tx, why: commands.assign_ticket(tx, why, ticket_id, assignee="bruno"),
        lambda tx, why: commands.respond_ticket(tx, why, ticket_id, channel="phone", text="lo vemos"),
        lambda tx, why: commands.hold_ticket(tx, why, ticket_id, reason="waiting-for-client", note="¿qué versión?"),
        lambda tx, why: commands.release_ticket(tx, why, ticket_id),
        lambda tx, why: commands.escalate_ticket(tx, why, ticket_id, target="analysts", reason="excede"),
        lambda tx, why: commands.escalate_ticket(
            tx, why, ticket_id, target="development", reason="es un error", reach=EVERYWHERE
        ),
        lambda tx, why: commands.resolve_ticket(tx, why, ticket_id, code="error-corregido", text="versión 8.2.2"),
        lambda tx, why: commands.close_ticket(tx, why, ticket_id),
    ]
    with time_machine.travel(at, tick=False):
        for number, step in enumerate(steps, start=2):
            async with desk.begin() as tx:
                done = await step(tx, cause())
            assert done.ticket.version == number
    names = ["opened", "assigned", "responded", "held", "released", "escalated", "escalated", "resolved", "closed"]
    events = await published(desk)
    assert [event["type"] for event in events] == [f"desk.ticket.{name}.v1" for name in names]
    assert [event["value"]["ticket"]["version"] for event in events] == list(range(1, 10))
    entries = await history(desk, ticket_id)
    assert [entry["fact_id"] for entry in entries] == [event["id"] for event in events]
    row = await ticket_row(desk, ticket_id)
    assert {
        name: row[name]
        for name in ("status", "version", "level", "target", "assignee", "hold_reason", "resolution_code", "closed_at")
    } == {
        "status": "closed", "version": 9, "level": 3, "target": "development", "assignee": None, "hold_reason": None,
        "resolution_code": "error-corregido", "closed_at": at + 7 * STEP,
    }  # fmt: skip
    assert (row["first_responded_at"], row["resolution_text"]) == (at + STEP, "versión 8.2.2")


async def test_a_hold_is_stored_with_its_question(desk: Database) -> None:
    ticket_id = (await open_one(desk)).ticket.id
    later = NOW + timedelta(minutes=5)
    with time_machine.travel(later, tick=False):
        async with desk.begin() as tx:
            await commands.hold_ticket(
                tx, cause(), ticket_id, reason="agreed-date", note="el lunes a las 9", wake_at=later + STEP
            )
    row = await ticket_row(desk, ticket_id)
    assert (row["status"], row["hold_reason"], row["hold_note"], row["held_at"], row["wake_at"]) == (
        "on_hold", "agreed-date", "el lunes a las 9", later, later + STEP,
    )  # fmt: skip


async def test_escalating_carries_the_environment_and_the_due_that_are_known(desk: Database) -> None:
    ticket_id = (await open_one(desk)).ticket.id
    environment = EnvironmentResolved(
        ticket_id=ticket_id, client_id="molinos", installation_id="molinos-gestion", product_id="gestion",
        product_name="PSA Gestión", product_version="8.2.1", changed_at=NOW,
        modules=(
            InstalledModule(module_id="facturacion", name="Facturación", version="8.2.1", nature="standard"),
            InstalledModule(module_id="balanza", name="Balanza", version="1.4", nature="customised"),
        ),
    )  # fmt: skip
    async with desk.begin() as tx:
        await projections.apply(tx, [received(environment), told.started(ticket_id, 1)])
    async with desk.begin() as tx:
        await commands.escalate_ticket(tx, cause(), ticket_id, target="analysts", reason="excede")
    first = (await published(desk))[-1]["value"]
    assert first["environment"] == {
        "installation_id": "molinos-gestion", "product_version": "8.2.1", "customised_modules": ["balanza"],
    }  # fmt: skip
    assert first["resolution_due_at"] == "2026-11-03T14:03:00.250000Z"
    async with desk.begin() as tx:
        await projections.apply(tx, [told.paused(ticket_id, 2)])
        await commands.escalate_ticket(
            tx, cause(), ticket_id, target="development", reason="es un error", reach=EVERYWHERE
        )
    second = (await published(desk))[-1]["value"]
    assert second["resolution_due_at"] is None
    assert second["escalation_id"] != first["escalation_id"]


async def test_a_refused_action_changes_nothing(desk: Database) -> None:
    ticket_id = (await open_one(desk)).ticket.id
    with pytest.raises(ActionNotAllowed):
        async with desk.begin() as tx:
            await commands.close_ticket(tx, cause(), ticket_id)
    assert (await ticket_row(desk, ticket_id))["version"] == 1
    assert len(await history(desk, ticket_id)) == len(await published(desk)) == 1


async def test_an_unknown_ticket_is_not_found(desk: Database) -> None:
    async with desk.begin() as tx:
        with pytest.raises(TicketNotFound):
            await commands.escalate_ticket(tx, cause(), new_id(), target="analysts", reason="x")
        with pytest.raises(TicketNotFound):
            await commands.release_ticket(tx, cause(), new_id())


async def test_two_people_at_once_act_one_after_the_other(desk: Database) -> None:
    ticket_id = (await open_one(desk)).ticket.id

    async def assign(who: str) -> None:
        async with desk.begin() as tx:
            await commands.assign_ticket(tx, cause(actor=who), ticket_id, assignee=who)

    people = PEOPLE[:6]
    await asyncio.gather(*(assign(who) for who in people))
    assert (await ticket_row(desk, ticket_id))["version"] == 7
    events = [event["value"] for event in await published(desk)][1:]
    assert [event["ticket"]["version"] for event in events] == [2, 3, 4, 5, 6, 7]
    assert [event["previous_assignee"] for event in events] == [None, *(event["assignee"] for event in events[:-1])]


async def test_reactions_of_other_services_are_in_the_history_and_leave_the_version_alone(desk: Database) -> None:
    ticket_id = (await open_one(desk)).ticket.id
    events = [told.started(ticket_id, 1, clock_id=told.RESPONSE, hours=1), told.started(ticket_id, 2)]
    with round_trips(desk.engine) as sent:
        async with desk.begin() as tx:
            await deliver(tx, events)
    # The tickets are locked before their clocks change, and the queue is computed after.
    assert [one.split(" ")[0] for one in sent] == ["BEGIN", "SELECT", "INSERT", "WITH", "COMMIT"]
    assert sent[1].endswith("ORDER BY id FOR NO KEY UPDATE")
    entries = (await history(desk, ticket_id))[1:]
    assert [(entry["fact_id"], entry["source"], entry["actor"]) for entry in entries] == [
        (event.id, "sla", "system:sla") for event in events
    ]
    assert [(entry["data"]["clock"]["kind"], entry["changes"]) for entry in entries] == [
        ("response", None), ("resolution", None),
    ]  # fmt: skip
    assert entries[0]["recorded_at"] == NOW + timedelta(milliseconds=40)
    assert (await ticket_row(desk, ticket_id))["version"] == 1


async def test_a_reaction_that_is_told_twice_is_one_entry(desk: Database) -> None:
    ticket_id = (await open_one(desk)).ticket.id
    event = told.paused(ticket_id, 1)
    for _ in range(2):
        async with desk.begin() as tx:
            await deliver(tx, [event])
    assert len(await history(desk, ticket_id)) == 2
