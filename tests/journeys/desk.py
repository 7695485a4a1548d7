"""What people at the desk do, as short sentences over the public APIs."""

from __future__ import annotations

from typing import Any

import httpx2

from tests.support.eventually import eventually
from tests.support.urgency import impact_of

View = dict[str, Any]


async def open_ticket(client: httpx2.AsyncClient, *, severity: int = 2, **changes: Any) -> View:
    """A representative registers an incident that has this severity."""
    body = {
        "client_id": "alimentos-don-evaristo",
        "product_id": "factela",
        "kind": "incident",
        "impact": impact_of(severity),
        "title": "No se pueden emitir facturas",
        "description": "Al confirmar aparece el error 500.",
        **changes,
    }
    response = await client.post("/v1/tickets", json=body)
    assert response.status_code == 201, response.text
    return dict(response.json())


def targets_of(response: int, resolution: int) -> list[View]:
    """What a contract promises in so many seconds of day and night, whatever the severity."""
    return [
        {"clock": clock, "seconds": seconds, "calendar_id": "24x7", "severities": [1, 2, 3, 4]}
        for clock, seconds in (("response", response), ("resolution", resolution))
    ]


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
    client: httpx2.AsyncClient, ticket_id: str, question: Any, *, within: float = 60, what: str = ""
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
