"""An HTTP/1.1 connection that costs next to nothing, so that who asks does not slow down who answers."""

from __future__ import annotations

import asyncio
from typing import cast

# Replaced by a new key each time that the request is sent.
KEY = "<a new key>"
_END_OF_HEAD = b"\r\n\r\n"


class Connection(asyncio.Protocol):
    """One kept-alive connection, one request at a time. Reads answers with a Content-Length and no others."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._body_at = 0
        self._whole = 0
        self._answer: asyncio.Future[tuple[int, bytes]] | None = None

    @classmethod
    async def open(cls, target: str) -> Connection:
        """A connection to host:port."""
        host, _, port = target.rpartition(":")
        _, connection = await asyncio.get_running_loop().create_connection(cls, host, int(port))
        return connection

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        """Sends a whole request; the status and the body of the answer. Raises ConnectionError when it is cut off."""
        if self._transport is None or not self.is_open:
            raise ConnectionError("the server closed the connection")
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answer

    @property
    def is_open(self) -> bool:
        """Whether the server has kept it; it ends what rests for long."""
        return self._transport is not None and not self._transport.is_closing()

    def close(self) -> None:
        """Ends the connection."""
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._whole and not self._read_head():
            return
        if len(self._buffer) >= self._whole:
            status, body = int(self._buffer[9:12]), bytes(self._buffer[self._body_at : self._whole])
            self._buffer.clear()
            self._whole = 0
            answer, self._answer = self._answer, None
            if answer is not None and not answer.done():
                answer.set_result((status, body))

    def _read_head(self) -> bool:
        end = self._buffer.find(_END_OF_HEAD)
        if end < 0:
            return False
        for line in bytes(self._buffer[:end]).split(b"\r\n"):
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                self._body_at = end + len(_END_OF_HEAD)
                self._whole = self._body_at + int(value)
                return True
        self._fail(ConnectionError("the answer has no Content-Length"))
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(exc or ConnectionError("the server closed the connection"))

    def _fail(self, error: Exception) -> None:
        answer, self._answer = self._answer, None
        if answer is not None and not answer.done():
            answer.set_exception(error)


def request_of(method: str, path: str, token: str, body: str | None = None, *, keyed: bool = False) -> str:
    """A whole request as text; a keyed one has the place for an Idempotency-Key of its own."""
    head = [f"{method} {path} HTTP/1.1", "host: desk", f"authorization: Bearer {token}"]
    if keyed:
        head.append(f"idempotency-key: {KEY}")
    if body is not None:
        head += ["content-type: application/json", f"content-length: {len(body.encode())}"]
    return "\r\n".join([*head, "", body or ""])
