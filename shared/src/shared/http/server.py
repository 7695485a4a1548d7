"""Serves an application until it is told to stop; who owns the process owns its signals."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import uvicorn
from starlette.types import ASGIApp

from shared.http.connections import ConnectionLimits, cut_late, limited
from shared.telemetry.logs import get_logger

_GRACE_SECONDS = 10
# uvicorn turns ten times a second; who is late is looked for twice a second.
_TURNS_BETWEEN_CUTS = 5

log = get_logger(__name__)


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: one process may run several parts, and one supervisor ends them all."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def on_tick(self, counter: int) -> bool:
        """Whether to end; cuts the connections whose time is over on the way."""
        if counter % _TURNS_BETWEEN_CUTS == 0:
            cut_late(self.server_state.connections)
        return await super().on_tick(counter)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """uvicorn leaves the process when the application does not start; here its owner decides."""
        try:
            await super().startup(sockets=sockets)
        except SystemExit as error:
            raise RuntimeError("the application did not start; the lines before this one say why") from error


async def serve(
    app: ASGIApp,
    *,
    host: str,
    port: int,
    stop: asyncio.Event,
    bound: Callable[[int], None] | None = None,
    limits: ConnectionLimits | None = None,
) -> None:
    """Serves until `stop` is set, then lets requests in flight end for ten seconds.

    Port 0 takes any free one; `bound` is told which. Raises OSError, which names the address, when the port is taken,
    and RuntimeError when the application does not start.
    """
    listener = _listen(host, port)
    address = listener.getsockname()[1]
    server = _Server(_configured(app, limits or ConnectionLimits()))
    log.info("listening", host=host, port=address)
    if bound is not None:
        bound(address)
    running = asyncio.create_task(server.serve(sockets=[listener]))
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        server.should_exit = True
        stopping.cancel()
        with suppress(asyncio.CancelledError):
            await stopping
        await running
        listener.close()


def _configured(app: ASGIApp, limits: ConnectionLimits) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ws="none",
        interface="asgi3",
        http=limited(limits),
        timeout_keep_alive=limits.idle_seconds,
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(2048)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        raise OSError(error.errno, f"{host}:{port} cannot be listened on: {error.strerror}") from error
    return listener
