"""Fixtures of the service tests of sla."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import httpx2
import pytest

from shared.http.app import create_app
from shared.http.auth import Authenticator
from shared.http.routers import routers_of
from sla import api
from sla.repository import known_calendars
from tests.shared.http.issuer import LocalIssuer
from tests.sla.telling import ZERO
from tests.support.databases import Database


@pytest.fixture
async def sla(database: Callable[[str], Awaitable[Database]]) -> Database:
    """The database as a day-one installation has it; what the process knew of another one's calendars is forgotten."""
    known_calendars.forget()
    return await database("sla")


@pytest.fixture
async def http(sla: Database) -> AsyncIterator[httpx2.AsyncClient]:
    """An admin at the doors of sla."""
    async with LocalIssuer().serving() as issuer:
        app = create_app(
            service="sla", description="test", routers=routers_of(api), engine=sla.engine, hint=lambda: None,
            authenticator=Authenticator(issuer.url),
        )  # fmt: skip
        # Good at the instants of the stories as well as now.
        token = issuer.token(sub="bruno", roles=["admin"], iat=int(ZERO.timestamp()) - 60, exp=4102444800)
        async with httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app=app),
            base_url="http://sla",
            headers={"authorization": f"Bearer {token}"},
        ) as client:
            yield client
