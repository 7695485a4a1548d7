"""What people at the desk do, as short sentences over the public APIs."""

from __future__ import annotations

from typing import Any

import httpx2

from shared.contracts.topics import DEVLINK, ENVIRONMENTS, SLA
from tests.support.eventually import eventually
from tests.support.system import System

View = dict[str, Any]

# The topics of which tickets keeps every event in a ticket's history.
TICKET_TOPICS = [topic.name for topic in (ENVIRONMENTS, SLA, DEVLINK)]


async def open_ticket(client: httpx2.AsyncClient, **changes: Any) -> View:
    """A representative registers an incident."""
    body = {
        "client_id": "alimentos-don-evaristo",
        "product_id": "factela",
        "kind": "incident",
        "severity": 2,
        "title": "No se pueden emitir facturas",
        "description": "Al confirmar aparece el error 500.",
        **changes,
    }
    response = await client.post("/v1/tickets", json=body)
    assert response.status_code == 201, response.text
    return dict(response.json())


async def act(client: httpx2.AsyncClient, ticket_id: str, action: str, **body: Any) -> View:
    """One action on a ticket as it is now."""
    seen = await client.get(f"/v1/tickets/{ticket_id}")
    head = {"if-match": seen.headers["etag"]}
    response = await client.post(f"/v1/tickets/{ticket_id}/{action}", json=body or None, headers=head)
    assert response.status_code == 200, response.text
    return dict(response.json())


async def view(client: httpx2.AsyncClient, ticket_id: str) -> View:
    """The ticket with everything that is known of it."""
    response = await client.get(f"/v1/tickets/{ticket_id}")
    assert response.status_code == 200, response.text
    return dict(response.json())


async def until(
    client: httpx2.AsyncClient, ticket_id: str, question: Any, *, within: float = 20, what: str = ""
) -> View:
    """Looks at the ticket until the answer is true, and returns what was seen."""
    seen: list[View] = []

    async def look() -> bool:
        seen[:] = [await view(client, ticket_id)]
        return bool(question(seen[0]))

    await eventually(look, within=within, what=what)
    return seen[0]


def clock_of(ticket: View, kind: str) -> View:
    """The clock of a kind."""
    (found,) = [clock for clock in ticket["clocks"] if clock["kind"] == kind]
    return dict(found)


def has_reacted(ticket: View) -> bool:
    """Whether environment and both clocks are there."""
    return ticket["environment"]["state"] != "pending" and len(ticket["clocks"]) == 2


def facts(ticket: View, type_: str) -> list[View]:
    """The entries of a type in the history."""
    return [entry for entry in ticket["history"] if entry["type"] == type_]


async def require_complete(system: System, tickets: list[str], escalated: list[str]) -> None:
    """Counts in the databases: every ticket has one environment, one set of clocks, one task per escalation."""
    (opened,) = await system.rows("tickets", "SELECT count(*) FROM tickets.tickets")
    assert opened["count"] == len(tickets) == len(set(tickets))
    environments = await system.rows(
        "inventory", "SELECT count(*) AS rows, count(DISTINCT ticket_id) AS tickets FROM inventory.environments"
    )
    assert (environments[0]["rows"], environments[0]["tickets"]) == (len(tickets), len(tickets))
    clocks = await system.rows(
        "sla", "SELECT count(*) AS rows, count(DISTINCT (ticket_id, kind)) AS clocks FROM sla.clocks"
    )
    assert (clocks[0]["rows"], clocks[0]["clocks"]) == (2 * len(tickets), 2 * len(tickets))
    tasks = await system.rows(
        "devlink", "SELECT count(*) AS rows, count(DISTINCT escalation_id) AS refs FROM devlink.links"
    )
    assert (tasks[0]["rows"], tasks[0]["refs"]) == (len(escalated), len(escalated))


async def require_order(system: System) -> None:
    """Nothing is doubled or parked, and of every ticket tickets applied each service's events in the order told."""
    doubled = await system.rows("tickets", "SELECT fact_id FROM tickets.history GROUP BY 1 HAVING count(*) > 1")
    assert doubled == []
    for service in ("inventory", "sla", "devlink", "tickets"):
        (parked,) = await system.rows(service, "SELECT count(*) FROM runtime.parked")
        assert parked["count"] == 0, f"{service} parked messages"
    applied = {
        row["fact_id"]: row["position"]
        for row in await system.rows("tickets", "SELECT fact_id, position FROM tickets.history")
    }
    for service in ("inventory", "sla", "devlink"):
        last: dict[str, int] = {}
        for told in await system.rows(
            service, "SELECT id, key FROM runtime.archive WHERE topic = ANY($1) ORDER BY position", TICKET_TOPICS
        ):
            position = applied[told["id"]]
            assert position > last.get(told["key"], -1), f"{service} told {told['id']} earlier than tickets applied it"
            last[told["key"]] = position
