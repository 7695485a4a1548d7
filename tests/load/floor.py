"""The floors: what FastAPI and asyncpg give by hand, in one file, without any layer of the product.

The plain route writes the rows that opening a ticket writes (ticket, history, archive, outbox), one statement each, in
one transaction; it validates nothing against the reference data and formats nothing but these rows. The empty route
only checks the token. Two such processes stand beside the two api processes of tickets.
"""

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

import asyncpg
import uvicorn
from fastapi import Depends, FastAPI, Request, Response
from pydantic import BaseModel

from shared.contracts.tickets import TicketOpened
from shared.contracts.topics import TICKETS
from shared.http.tokens import Authenticator
from shared.ids import new_id
from tickets.queries import tickets

TYPE = TicketOpened.type
OWN_URL, TICKETS_URL = "DESK_DATABASE_URL", "DESK_TICKETS_DATABASE_URL"

_TICKET = """
    INSERT INTO tickets.tickets (id, number, version, status, kind, client_id, product_id, severity, severity_to_review,
        priority, title, title_key, description, channel, reported_at, opened_at, opened_by, last_fact_at, course_at,
        owner, level)
    VALUES ($1, 'T-' || lpad(nextval('tickets.ticket_number')::text, 6, '0'), 1, 'new', $2, $3, $4, $5, false, 3, $6,
        $7, $8, 'phone', $9, $9, $10, $9, $9, $10, 1)
    RETURNING number
"""
_HISTORY = """
    INSERT INTO tickets.history (ticket_id, fact_id, type, source, occurred_at, recorded_at, actor, origin,
        correlation_id, data)
    VALUES ($1, $2, $3, 'tickets', $4, $4, $5, 'live', $6, $7)
"""
_ARCHIVE = """
    INSERT INTO runtime.archive (id, topic, key, type, subject, occurred_at, recorded_at, origin, actor,
        correlation_id, value)
    VALUES ($1, $2, $3, $4, $3, $5, $5, 'live', $6, $7, $8)
    RETURNING position
"""
_OUTBOX = "INSERT INTO runtime.outbox (position) VALUES ($1)"


class Opening(BaseModel):
    """What the callers send."""

    client_id: str
    product_id: str
    kind: str
    impact: dict[str, int]
    title: str
    description: str


async def _authenticate(request: Request) -> str:
    header = request.headers.get("authorization")
    return (await request.app.state.authenticator.authenticate(header.encode() if header else None)).id  # type: ignore[no-any-return]


Actor = Annotated[str, Depends(_authenticate)]


@asynccontextmanager
async def _connected(app: FastAPI) -> AsyncIterator[None]:
    async with (
        asyncpg.create_pool(os.environ[OWN_URL], min_size=10, max_size=10) as own,
        asyncpg.create_pool(os.environ[TICKETS_URL], min_size=10, max_size=10) as tickets,
    ):
        app.state.own, app.state.tickets = own, tickets
        yield


app = FastAPI(
    lifespan=_connected,
    docs_url=None,
    redoc_url=None,
    openapi_url=None,
    telemetry={"tracing": False, "metrics": False, "logs": False},
)
app.state.authenticator = Authenticator(os.environ.get("DESK_OIDC_ISSUER", "http://127.0.0.1:8490"))
# The product's own statement, as asyncpg takes it.
_VIEW = tickets.VIEW


@app.post("/plain/tickets", status_code=201)
async def open_plainly(request: Request, actor: Actor, body: Opening) -> dict[str, Any]:
    """The rows of one ticket, row by row."""
    ticket, fact, now = new_id(), new_id(), datetime.now(UTC)
    severity = body.impact["operational"]
    async with request.app.state.own.acquire() as connection, connection.transaction():
        number = await connection.fetchval(
            _TICKET, ticket, body.kind, body.client_id, body.product_id, severity, body.title,
            body.title.casefold(), body.description, now, actor,
        )  # fmt: skip
        brief = {
            "number": number, "version": 1, "status": "new", "level": 1, "target": None, "team": None, "owner": actor,
            "assignee": None, "groups": {"client_id": body.client_id, "product_id": body.product_id, "module_id": None},
            "installation_id": None, "kind": body.kind, "severity": severity, "priority": 3, "immediate": False,
            "reported_at": now.isoformat(), "hold": None,
        }  # fmt: skip
        judged = {
            "impact": body.impact, "severity_derived": severity, "priority_derived": 3, "priority_rule": "basico",
            "urgency_scheme": "de-fabrica",
        }  # fmt: skip
        data = {"title": body.title, "description": body.description, "ticket": brief, **judged}
        await connection.execute(_HISTORY, ticket, fact, TYPE, now, actor, str(fact), json.dumps(data))
        value = json.dumps({**data, "ticket_id": str(ticket)}).encode()
        position = await connection.fetchval(
            _ARCHIVE, fact, TICKETS.name, str(ticket), TYPE, now, actor, str(fact), value
        )  # fmt: skip
        await connection.execute(_OUTBOX, position)
    return {"id": ticket, "number": number, "version": 1}


@app.get("/plain/tickets/{ticket_id}")
async def view_plainly(request: Request, actor: Actor, ticket_id: UUID) -> Response:
    """The whole ticket, by the same statement."""
    now = datetime.now(UTC)
    row = await request.app.state.tickets.fetchrow(_VIEW.text, *_VIEW.arguments({"id": ticket_id, "now": now}))
    return Response(row["view"], media_type="application/json")


@app.post("/empty", status_code=201)
async def accept_nothing(actor: Actor, body: Opening) -> dict[str, Any]:
    """The token and the body, and nothing else."""
    return {"id": actor, "number": body.client_id, "version": 1}


@app.get("/empty")
async def show_nothing(actor: Actor) -> dict[str, str]:
    """The token, and nothing else."""
    return {"actor": actor}


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(os.environ["DESK_PORT"]), log_level="warning", access_log=False)
