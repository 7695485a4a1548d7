"""A TCP path that a test can freeze, as a switch or a firewall does that drops packets and tells nobody."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.engine import make_url

from runner.ports import LOOPBACK
from runner.ports import free_port as _free_port

_CHUNK = 64 * 1024


class Proxy:
    """Carries every connection to one server. Frozen it still takes connections, and carries nothing in either way."""

    def __init__(self, host: str, port: int) -> None:
        self.server = (host, port)
        self.port = _free_port()
        self._asking, self._answering = asyncio.Event(), asyncio.Event()
        self._paths: set[asyncio.Task[None]] = set()
        self.thaw()

    def freeze(self) -> None:
        """Nothing comes through any more, and nobody is told."""
        self._asking.clear()
        self._answering.clear()

    def hold_answers(self) -> None:
        """What is asked still arrives; what is answered does not."""
        self._answering.clear()

    def thaw(self) -> None:
        """Everything goes on, also what was under way."""
        self._asking.set()
        self._answering.set()

    def cut(self) -> None:
        """Ends every connection."""
        for path in self._paths:
            path.cancel()

    def url(self, url: str) -> str:
        """The same address, by this way."""
        return make_url(url).set(host=LOOPBACK, port=self.port).render_as_string(hide_password=False)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Proxy]:
        """Listens while the block runs."""
        listening = await asyncio.start_server(self._carry, LOOPBACK, self.port)
        try:
            yield self
        finally:
            listening.close()
            self.cut()
            await asyncio.gather(*self._paths, return_exceptions=True)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path = asyncio.current_task()
        assert path is not None
        self._paths.add(path)
        there: asyncio.StreamWriter | None = None
        try:
            await self._asking.wait()
            answers, there = await asyncio.open_connection(*self.server)
            ways = (
                asyncio.ensure_future(_pump(reader, there, self._asking)),
                asyncio.ensure_future(_pump(answers, writer, self._answering)),
            )
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            self._paths.discard(path)
            for end in (writer, there):
                if end is not None:
                    end.transport.abort()


async def _pump(source: asyncio.StreamReader, target: asyncio.StreamWriter, open_: asyncio.Event) -> None:
    with contextlib.suppress(OSError):
        while True:
            await open_.wait()
            piece = await source.read(_CHUNK)
            if not piece:
                return
            # It may have been frozen while this waited for something to carry.
            await open_.wait()
            target.write(piece)
            await target.drain()


@asynccontextmanager
async def path_to(url: str) -> AsyncIterator[Proxy]:
    """A path to the server of this address, while the block runs."""
    place = make_url(url)
    assert place.host is not None
    async with Proxy(place.host, place.port or 5432).running() as proxy:
        yield proxy
