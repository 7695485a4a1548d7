"""The view of a ticket: everything in one statement, whatever there is to show."""

from __future__ import annotations

from uuid import UUID

import pytest
import time_machine

from shared.ids import new_id
from tests.support.databases import Database
from tests.support.statements import round_trips
from tests.tickets import told
from tests.tickets.desk import NOW, cause, deliver, open_one
from tests.tickets.queries.reading import view
from tests.tickets.told import RESOLUTION, RESPONSE, TASK, later
from tickets.commands import tickets as commands
from tickets.domain.ticket import TicketNotFound
from tickets.queries import history, tickets


async def test_a_fresh_ticket_shows_what_was_registered_and_what_is_pending(desk: Database) -> None:
    done = await open_one(desk, installation_id="molinos-gestion")
    found = await view(desk, done.ticket.id)
    (entry,) = found.pop("history")
    assert {one["action"] for one in found.pop("actions") if one["allowed"]} == {
        "assign", "hand-over", "join", "leave", "escalate", "hold", "respond", "note", "link", "unlink",
        "resolve", "cancel",
    }  # fmt: skip
    assert (entry["type"], entry["actor"], entry["fact_id"]) == ("desk.ticket.opened.v1", "ana", str(done.facts[0]))
    at = "2026-11-02T14:03:00.25+00:00"
    assert found == {
        "id": str(done.ticket.id), "number": "T-000001", "version": 1, "status": "new", "kind": "incident",
        "severity": 2, "severity_to_review": False, "priority": 2, "immediate": False, "reopenings": 0,
        "impact": {"operational": 2, "economic": 2}, "severity_derived": 2, "severity_reason": None,
        "priority_derived": 2, "priority_reason": None, "priority_rule": "contrato-oro",
        "urgency_scheme": "de-fabrica", "category": None, "answers": [],
        "title": "No se pueden emitir facturas", "description": "Error al pedir el CAE", "reporter": "Marta Giménez",
        "channel": "phone",
        "groups": {
            "client": {"id": "molinos", "name": "Molinos del Paraná"},
            "product": {"id": "gestion", "name": "PSA Gestión"},
            "module": {"id": "facturacion", "name": "Facturación"},
        },
        "installation_id": "molinos-gestion", "level": 1, "target": None, "team": "mesa-de-ayuda",
        "team_name": "Mesa de ayuda", "owner": "ana", "owner_name": None, "assignee": None, "assignee_name": None,
        "reported_at": at, "reported_late_reason": None, "opened_at": at, "opened_by": "ana",
        "first_responded_at": None, "participants": [], "attention": [], "hold": None, "resolution": None,
        "reopenable_until": None, "closes_at": None, "closed_at": None, "cancelled_at": None,
        "environment": {"state": "pending", "data": None}, "earlier_environments": [], "clocks": [], "tasks": [],
        "related": [], "history_goes_on": False, "server_time": at,
    }  # fmt: skip


async def test_what_the_caller_could_not_say_is_null(desk: Database) -> None:
    done = await open_one(desk, module_id=None)
    groups = (await view(desk, done.ticket.id))["groups"]
    assert groups == {"client": {"id": "molinos", "name": "Molinos del Paraná"}, "product": None, "module": None}


async def test_the_view_is_one_statement_however_much_there_is_to_show_once_its_calendars_are_known(
    desk: Database,
) -> None:
    done = await open_one(desk)
    async with desk.begin() as tx:
        for event in told.whole_story(done.ticket.id):
            await deliver(tx, [event])
    await view(desk, done.ticket.id)
    with round_trips(desk.engine) as sent:
        await view(desk, done.ticket.id)
    assert [one.split(" ")[0] for one in sent] == ["BEGIN", "SELECT", "COMMIT"]


async def test_environment_clocks_tasks_and_history_are_all_in_the_view(desk: Database) -> None:
    done = await open_one(desk)
    story = told.whole_story(done.ticket.id)
    async with desk.begin() as tx:
        for event in story:
            await deliver(tx, [event])
    found = await view(desk, done.ticket.id, later(1600))
    assert found["environment"]["state"] == "resolved"
    assert found["environment"]["data"]["modules"] == [
        {"module_id": "facturacion", "name": "Facturación", "version": "8.2.1", "nature": "standard"}
    ]
    assert [(one["id"], one["kind"], one["state"], one["remaining_seconds"]) for one in found["clocks"]] == [
        (str(RESPONSE), "response", "met", 3300),
        (str(RESOLUTION), "resolution", "breached", -2400),
    ]
    (task,) = found["tasks"]
    assert (task["id"], task["display_id"], task["status"], task["fix_version"]) == (
        str(TASK), "DEV-17", "fixed", "8.2.2",
    )  # fmt: skip
    happened = sorted(story, key=lambda event: event.occurred_at)
    others = [entry["fact_id"] for entry in found["history"] if entry["source"] != "tickets"]
    assert others == [str(event.id) for event in happened]
    assert [one["reason"] for one in found["attention"]] == ["breached"]
    assert {entry["source"] for entry in found["history"]} == {"tickets", "inventory", "sla", "devlink"}


async def test_an_unknown_environment_says_why(desk: Database) -> None:
    done = await open_one(desk)
    async with desk.begin() as tx:
        await deliver(tx, [told.unknown(done.ticket.id, 1)])
    environment = (await view(desk, done.ticket.id))["environment"]
    assert environment == {
        "state": "unknown",
        "data": {
            "classification": 1,
            "client_id": "molinos",
            "reason": "several-installations",
            "candidates": ["a1", "a2"],
        },
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
    assert held["hold"] == {"reason": "waiting-for-client", "note": "¿desde cuándo?", "since": since, "wake_at": None}
    assert (solved["hold"], solved["status"]) == (None, "resolved")
    assert solved["resolution"] == {"code": "configuracion", "text": "era el certificado", "at": at}
    # Six in the evening of the third and the fifth business day after that Monday.
    assert (held["closes_at"], held["reopenable_until"]) == (None, None)
    assert (solved["closes_at"], solved["reopenable_until"]) == (
        "2026-11-05T21:00:00+00:00", "2026-11-09T21:00:00+00:00",
    )  # fmt: skip


async def test_a_ticket_that_does_not_exist_is_not_found(desk: Database) -> None:
    async with desk.begin() as tx:
        with pytest.raises(TicketNotFound):
            await tickets.view_ticket(tx, new_id(), NOW, ())
        with pytest.raises(TicketNotFound):
            await history.page_history(tx, new_id(), after=None, limit=10)


async def test_two_tasks_of_one_ticket_are_both_shown(desk: Database) -> None:
    done = await open_one(desk)
    second = told.linked(done.ticket.id, 2, task_id=UUID(int=99), escalation_id=UUID(int=98), display_id="DEV-18")
    async with desk.begin() as tx:
        await deliver(tx, [told.linked(done.ticket.id, 1), second])
    assert [one["display_id"] for one in (await view(desk, done.ticket.id))["tasks"]] == ["DEV-17", "DEV-18"]
