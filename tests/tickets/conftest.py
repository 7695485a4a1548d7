"""Fixtures of the service tests of tickets."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from tests.support.databases import Database
from tests.tickets.desk import fill_replicas


@pytest.fixture
async def desk(database: Callable[[str], Awaitable[Database]]) -> Database:
    """The tickets database with its replicas filled."""
    made = await database("tickets")
    await fill_replicas(made)
    return made
