"""The transaction of an edge: begun and committed here, so that nothing inside has to."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

# What a command leaves on its connection when it published something; the edge gives the relay's hint after commit.
PUBLISHED = "desk_published"


@asynccontextmanager
async def begin(engine: AsyncEngine, hint: Callable[[], None]) -> AsyncIterator[AsyncConnection]:
    """One transaction; committed when the block ends well, and the relay is told when there is something to send."""
    async with engine.connect() as connection:
        connection.info.pop(PUBLISHED, None)
        async with connection.begin():
            yield connection
        published = connection.info.pop(PUBLISHED, False)
    if published:
        hint()
