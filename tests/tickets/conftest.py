"""Fixtures of the service tests of tickets."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import httpx2
import pytest

from tests.shared.http.issuer import LocalIssuer
from tests.support.databases import Database
from tests.tickets.desk import PEOPLE, fill_replicas
from tests.tickets.door import Desk


@pytest.fixture
async def desk(database: Callable[[str], Awaitable[Database]]) -> Database:
    """The tickets database with its replicas filled, and people who work there."""
    made = await database("tickets")
    await fill_replicas(made, PEOPLE)
    return made


@pytest.fixture
async def http(desk: Database) -> AsyncIterator[Desk]:
    async with LocalIssuer().serving() as issuer:
        yield Desk(desk, issuer)


@pytest.fixture
async def ana(http: Desk) -> AsyncIterator[httpx2.AsyncClient]:
    async with http.person() as client:
        yield client
