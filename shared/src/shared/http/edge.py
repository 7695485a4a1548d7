"""The outermost layer of an application: identity, limits, problems, an access line and a measure per request."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextvars import Token
from time import perf_counter
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bind_contextvars, reset_contextvars

from shared.http.context import Delivery, RequestContext, open_context
from shared.http.limits import (
    BODY_LIMIT,
    BODY_SECONDS,
    receive_whole,
    refuse_strange_body,
    refuse_strange_head,
    replaying,
)
from shared.http.problems import problem_of
from shared.http.signatures import SignedDoor
from shared.http.spans import close_span
from shared.http.tokens import Authenticator
from shared.telemetry.logs import get_logger
from shared.telemetry.metrics import http_requests_in_progress, observe_request

_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
_CLIENT_GONE = 499

log = get_logger(__name__)


class _Answer:
    """Sends the answer on with the correlation id, and remembers its status."""

    __slots__ = ("_bodiless", "_context", "_send", "early", "status")

    def __init__(self, send: Send, context: RequestContext, *, bodiless: bool) -> None:
        self._send = send
        self._context = context
        self._bodiless = bodiless
        self.status = 0
        # True while the body is unread: an answer then closes the connection, or the rest would be read for ever.
        self.early = context.has_body

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = [*message.get("headers", ()), (b"x-correlation-id", self._context.correlation_id.encode("ascii"))]
            if self.early:
                headers.append((b"connection", b"close"))
            message["headers"] = headers
        elif self._bodiless and message["type"] == "http.response.body":
            message = {**message, "body": b""}
        await self._send(message)


class Edge:
    """Knows the caller as the door declares, before any route runs.

    Closed by default: what is neither in `open_paths` nor one of the `signed_doors` needs a verified token, whether a
    route exists or not.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        authenticator: Authenticator,
        open_paths: Collection[str],
        signed_doors: Sequence[SignedDoor] = (),
        body_limit: int = BODY_LIMIT,
        body_seconds: float = BODY_SECONDS,
    ) -> None:
        self.app = app
        self.authenticator = authenticator
        self.open_paths = frozenset(open_paths)
        self.signed_doors = tuple(signed_doors)
        self.body_limit = body_limit
        self.body_seconds = body_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            # Nothing here speaks WebSocket, and no door stays open by accident.
            await send({"type": "websocket.close", "code": 1008})
        elif scope["type"] == "http":
            await self._answer_http(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def _answer_http(self, scope: Scope, receive: Receive, send: Send) -> None:
        # An elapsed time, not an instant; the loop's own clock counts in milliseconds, too coarse for a fast route.
        started = perf_counter()
        context = open_context(scope, traced=scope["path"] not in self.open_paths)
        method = scope["method"]
        answer = _Answer(send, context, bodiless=method == "HEAD")
        if method == "HEAD":
            # The same as GET, but for the body (RFC 9110, section 9.3.2): no route need know it. The server's own scope
            # stays as it is, for it sends no body either.
            scope = {**scope, "method": "GET"}
        tokens = _bind(context)
        http_requests_in_progress.inc()
        try:
            await self._guarded(scope, receive, answer, context)
        finally:
            http_requests_in_progress.dec()
            self._tell(scope, context, method, answer.status or _CLIENT_GONE, perf_counter() - started)
            reset_contextvars(**tokens)

    async def _guarded(self, scope: Scope, receive: Receive, answer: _Answer, context: RequestContext) -> None:
        """Runs the application and answers for every error that it did not answer itself."""
        try:
            refuse_strange_head(scope)
            receive = await self._admit(scope, receive, answer, context)
            await self.app(scope, receive, answer)
        except Exception as error:
            problem = problem_of(error)
            if problem.status == 500:
                context.failure = type(error).__qualname__
                log.error("unexpected error", exc_info=error)
            if answer.status:
                # The status is out; a broken connection is the only way left to say that the rest is missing.
                raise
            await problem.response(scope)(scope, receive, answer)

    async def _admit(self, scope: Scope, receive: Receive, answer: _Answer, context: RequestContext) -> Receive:
        """Finds out who calls and reads the body, in the order that the door allows: a token stands in the head, a
        signature covers the body. What is not known is answered before anybody looks into its body.
        """
        door = next((each for each in self.signed_doors if each.matches(scope)), None) if self.signed_doors else None
        head = door.verifier.read_head(scope["headers"]) if door is not None else None
        if door is None and scope["path"] not in self.open_paths:
            context.actor = await self.authenticator.authenticate(context.authorization)
        body = b""
        if context.has_body:
            message = await receive_whole(receive, context, self.body_limit, self.body_seconds)
            answer.early = False
            body, receive = message.get("body", b""), replaying(message, receive)
        if door is not None and head is not None:
            context.actor = await door.verify(head, body, scope)
            context.delivery = Delivery(head.id.decode("ascii"), door.verifier)
        refuse_strange_body(body, context)
        return receive

    def _tell(self, scope: Scope, context: RequestContext, method: str, status: int, seconds: float) -> None:
        method = method if method in _METHODS else "OTHER"
        # The template, never the path: an id would make a new series of every ticket.
        route = getattr(scope.get("route"), "path", None) or (
            scope["path"] if scope["path"] in self.open_paths else "-"
        )
        observe_request(method, route, status, seconds)
        if context.span is not None:
            failure = context.failure or ("client-gone" if status == _CLIENT_GONE else None)
            close_span(context.span, scope, method, route, status, problem=context.problem, failure=failure)
        if scope["path"] in self.open_paths and status < 500:
            return
        told = {"method": method, "route": route, "status": status, "milliseconds": round(seconds * 1000, 2)}
        if context.actor is not None:
            told["actor"] = context.actor.id
        if context.problem is not None:
            told["problem"] = context.problem
        (log.warning if status >= 500 else log.info)("request", **told)


def _bind(context: RequestContext) -> Mapping[str, Token[Any]]:
    """Every line of the request carries what joins it to others; a span id only where there is a span to find."""
    told = {"correlation_id": context.correlation_id, "trace_id": context.traceparent[3:35]}
    if context.span is not None:
        told["span_id"] = context.traceparent[36:52]
    return bind_contextvars(**told)
