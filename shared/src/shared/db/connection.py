"""A connection of the driver that waits for nothing without an end, whatever becomes of the path to the server."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import asyncpg

CONNECT_SECONDS = 5.0
STATEMENT_SECONDS = 30.0
# How much longer than the server itself the client waits: the server's own answer says what happened, so it is first.
PATIENCE_SECONDS = 2.0
# A statement whose caller is gone holds its locks no longer than this. What holds for every session of a role stands in
# `guards`.
_CALLER_CHECKED = {"client_connection_check_interval": "1s"}

# Where packets vanish, the kernel finds out: an idle path is asked after ten seconds, and what was sent and not
# acknowledged for twenty ends the connection.
_KEEPALIVE = {"TCP_KEEPIDLE": 10, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": 20_000}


class Connection(asyncpg.Connection):  # type: ignore[misc]
    """asyncpg's connection, except for what it does about a statement that was given up."""

    def __init__(self, protocol: Any, transport: Any, *rest: Any) -> None:
        super().__init__(protocol, transport, *rest)
        _ask_whether_it_lives(transport)

    def _cancel_current_command(self, *waiters: asyncio.Future[None]) -> None:
        """Ends this connection, at the next turn of the loop: here the driver is in the middle of noting the failure.

        The driver itself would ask the server by another connection to stop, and wait for both, which over a silent
        path is another wait of the same length. The server notices by itself that its client is gone.
        """
        asyncio.get_running_loop().call_soon(self._give_up, waiters)

    def _give_up(self, waiters: tuple[asyncio.Future[None], ...]) -> None:
        self.terminate()
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)


def limits(statement_seconds: float, application: str) -> dict[str, Any]:
    """What `asyncpg.connect` and its pool are told, so that a statement ends after so many seconds: by the server's
    word, and where none comes, PATIENCE_SECONDS later without it. The server's half is the role's, or `settle`."""
    return {
        "connection_class": Connection,
        "timeout": CONNECT_SECONDS,
        "command_timeout": statement_seconds + PATIENCE_SECONDS,
        "server_settings": {"timezone": "UTC", "application_name": application},
    }


async def settle(connection: Any, statement_seconds: float, **settings: str) -> None:
    """Sets what this one session needs beside or otherwise than its role: an end of its statements that is another than
    everybody's, that it notices when its caller is gone, and `settings`. In one round trip, once per session."""
    wanted = {**_CALLER_CHECKED, **settings}
    if statement_seconds != STATEMENT_SECONDS:
        wanted["statement_timeout"] = f"{statement_seconds * 1000:.0f}"
    await connection.execute("; ".join(f"SET {name} = '{value}'" for name, value in wanted.items()))


def _ask_whether_it_lives(transport: Any) -> None:
    link = transport.get_extra_info("socket")
    if link is None or link.family not in (socket.AF_INET, socket.AF_INET6):
        return
    link.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEPALIVE.items():
        # Not every operating system has them all.
        if hasattr(socket, name):
            link.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
