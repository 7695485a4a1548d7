"""The service over HTTP: people with signed tokens, and what they send."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import httpx2

from shared.http.app import create_app
from shared.http.auth import Authenticator
from shared.http.routers import routers_of
from tests.shared.http.issuer import LocalIssuer
from tests.support.databases import Database
from tests.support.urgency import impact_of
from tickets import api

CALL = {
    "client_id": "molinos",
    "kind": "incident",
    "impact": impact_of(2),
    "title": "No se pueden emitir facturas",
}


class Desk:
    """The service over HTTP, with people who have signed tokens."""

    def __init__(self, database: Database, issuer: LocalIssuer) -> None:
        self.database = database
        self.issuer = issuer
        self.hints = 0
        self.app = create_app(
            service="tickets",
            description="under test",
            routers=routers_of(api),
            engine=database.engine,
            hint=self._hint,
            authenticator=Authenticator(issuer.url),
        )

    def _hint(self) -> None:
        self.hints += 1

    def person(self, id: str = "ana", role: str = "agent", *, name: str | None = None) -> httpx2.AsyncClient:
        """A client that carries this person's token, which says a name or none."""
        head = {"authorization": f"Bearer {self.issuer.token(sub=id, roles=[role], name=name)}"}
        return httpx2.AsyncClient(transport=httpx2.ASGITransport(app=self.app), base_url="http://desk/v1", headers=head)


def at(version: int | str) -> dict[str, str]:
    """The header of a change of this version, or of any."""
    return {"if-match": "*" if version == "*" else f'"{version}"'}


async def opened(client: httpx2.AsyncClient, **changes: Any) -> str:
    """The address of a new ticket."""
    answer = await client.post("/tickets", json=CALL | changes)
    assert answer.status_code == 201, answer.text
    return answer.headers["location"].removeprefix("/v1")


def id_in(place: str) -> Any:
    """The ticket id in an address."""
    return UUID(place.rsplit("/", 1)[-1])
