"""The relay's wake-up: a NOTIFY from a connection of its own, after the commit.

Inside the business transaction a NOTIFY would take a lock on the whole database at commit; so it is said afterwards, by
another connection, at most once in a few milliseconds. It is only a hint: the relay also looks by itself every second.
"""

from __future__ import annotations

import asyncio

import structlog

from shared.db.engine import direct_connection

log = structlog.get_logger(__name__)

CHANNEL = "desk_outbox"
PAUSE_SECONDS = 0.005


class Hinter:
    """Call it after a commit that published something; it returns at once."""

    def __init__(self, database_url: str, application: str) -> None:
        self.database_url = database_url
        self.application = application
        self._wanted = asyncio.Event()

    def __call__(self) -> None:
        self._wanted.set()

    async def run(self) -> None:
        """Says the hints until cancelled; a lost connection is made anew."""
        while True:
            try:
                async with direct_connection(self.database_url, application=f"{self.application} hint") as connection:
                    while True:
                        await self._wanted.wait()
                        self._wanted.clear()
                        await connection.execute(f"NOTIFY {CHANNEL}")
                        await asyncio.sleep(PAUSE_SECONDS)
            except Exception as error:
                # asyncpg raises errors of no common family when its backend is killed.
                log.warning("hint connection lost", problem=repr(error))
                await asyncio.sleep(1)
