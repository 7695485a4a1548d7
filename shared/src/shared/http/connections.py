"""One HTTP/1.1 connection of the server: cut when its caller sends too much of a head, too slowly, or does not read."""

# uvicorn closes an idle connection and nothing else: a head may grow for ever, arrive one byte a minute, and an answer
# may wait for ever in the buffer of somebody who does not read it.
from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from http import HTTPStatus
from time import monotonic
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from shared.http.problems import Problem


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """What one connection may take, in seconds and bytes.

    `head_seconds` is for request line and headers, from the connection (or the first byte of a further request) on: who
    connects ahead of time is let go after that. `head_bytes` holds for what stands between the pieces of a body too.
    `idle_seconds` may pass between two requests, `read_seconds` until the caller has read what was answered.
    """

    head_seconds: float = 10
    head_bytes: int = 32 * 1024
    idle_seconds: int = 30
    read_seconds: float = 30


_MALFORMED = Problem(
    400, "malformed-request", "This is not HTTP/1.1", "Send a request as RFC 9112 says, with one way of its length."
)
_HEAD_TOO_SLOW = Problem(
    408, "head-too-slow", "The head did not arrive in time", "Send request line and headers at once."
)

# How long a caller that was refused may go on sending to nobody, until the connection ends.
_LINGER_SECONDS = 2.0
_AT_ONCE = struct.pack("ii", 1, 0)
_BYTES_BETWEEN = len(b": \r\n")


def _head_too_large(limit: int) -> Problem:
    return Problem(
        431,
        "head-too-large",
        "Address and headers are too large",
        f"Send at most {limit} bytes of them; what is long belongs into the body.",
        {"limit_bytes": limit},
    )


class Connection(HttpToolsProtocol):
    """uvicorn's connection with limits; `cut_when_late` is asked regularly by the server that owns it."""

    limits = ConnectionLimits()

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        # Since when a head is waited for or read; None while a request is answered and between two requests.
        self._head_since: float | None = None
        self._in_head = False
        self._head_size = 0
        self._beside_body = 0
        self._unread_since: float | None = None
        self._refused_since: float | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """The time for the first head begins with the connection."""
        super().connection_made(transport)
        self._head_since = monotonic()

    def data_received(self, data: bytes) -> None:
        """Feeds the parser, which calls the methods below. After a refusal nobody listens any more."""
        if self._refused_since is not None:
            return
        if self._in_head:
            # The parser tells a name or an address when it ends; one that has no end must be counted here.
            self._head_size += len(data)
        elif not self._is_idle():
            # What is no body is what frames its pieces, and trailers, which may have no end either.
            self._beside_body += len(data)
        elif self._head_since is None:
            # Empty lines may stand before a request; no number of them buys time.
            self._head_since = monotonic()
        super().data_received(data)
        if max(self._head_size, self._beside_body) > self.limits.head_bytes:
            self._refuse(_head_too_large(self.limits.head_bytes))

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        super().on_message_begin()
        if self._refused_since is not None:
            return
        self._in_head, self._head_size, self._beside_body = True, 0, 0
        if self._head_since is None:
            self._head_since = monotonic()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Of trailers nothing is kept: whoever checked the head (a proxy, this process) has not seen them."""
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Begins to answer, unless the head that is whole now was too large, or an earlier one was refused."""
        if self._refused_since is not None:
            return
        size = len(self.url) + sum(len(name) + len(value) + _BYTES_BETWEEN for name, value in self.headers)
        if size > self.limits.head_bytes:
            self._refuse(_head_too_large(self.limits.head_bytes))
            return
        self._in_head, self._head_since, self._head_size = False, None, 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Passes a piece of the body on; of a refused request there is nobody to pass it to."""
        if self._refused_since is None:
            # Of the framing only the excess over the body counts: a sixteenth of it is generous for small pieces.
            self._beside_body = max(0, self._beside_body - len(body) - len(body) // 16)
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Tells that the body is whole."""
        if self._refused_since is None:
            super().on_message_complete()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's words are not told
        """What the parser does not understand is answered as everything else is."""
        self._refuse(_MALFORMED)

    def cut_when_late(self, now: float) -> None:
        """Ends the connection when its time is over; `now` is of the monotonic clock."""
        if self._is_unread_too_long(now) or _is_over(self._refused_since, _LINGER_SECONDS, now):
            # close() would wait for the reader, who may be the one that does not read; so would the kernel.
            self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
            self.transport.abort()
        elif not self._is_idle() or self.flow.read_paused:
            # The head of a further request that came early waits for the answer of this one, and so does its time.
            self._head_since = now if self._head_since is not None else None
        elif _is_over(self._head_since, self.limits.head_seconds, now):
            if self._in_head:
                self._refuse(_HEAD_TOO_SLOW)
            else:
                self.transport.close()

    def _is_unread_too_long(self, now: float) -> bool:
        if self.transport.get_write_buffer_size() == 0:
            self._unread_since = None
        elif self._unread_since is None:
            self._unread_since = now
        return _is_over(self._unread_since, self.limits.read_seconds, now)

    def _is_idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete  # type: ignore[redundant-expr]

    def _refuse(self, problem: Problem) -> None:
        """Answers and closes, once; while another request of this connection is being answered it only closes."""
        if self._refused_since is not None:
            return
        self._refused_since, self._head_since, self._in_head = monotonic(), None, False
        if not self._is_idle() or self.transport.is_closing() or not self.transport.can_write_eof():
            self.transport.close()
            return
        # A close at once would throw away the answer together with what the caller is still sending.
        self.transport.write(_written(problem))
        self.transport.write_eof()


def _is_over(since: float | None, seconds: float, now: float) -> bool:
    return since is not None and now - since > seconds


def limited(limits: ConnectionLimits) -> type[Connection]:
    """The kind of connection that has these limits."""
    return type("LimitedConnection", (Connection,), {"limits": limits})


def cut_late(connections: Iterable[Any]) -> None:
    """Ends those connections of a server whose time is over. They leave its set of connections by themselves."""
    now = monotonic()
    for connection in list(connections):
        connection.cut_when_late(now)


def _written(problem: Problem) -> bytes:
    answer = problem.response({})
    head = [f"HTTP/1.1 {problem.status} {HTTPStatus(problem.status).phrase}", "connection: close"]
    head += [f"{name}: {value}" for name, value in answer.headers.items()]
    return "\r\n".join(head).encode("latin-1") + b"\r\n\r\n" + bytes(answer.body)
