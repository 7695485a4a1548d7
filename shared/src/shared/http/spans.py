"""The span of a request, as OpenTelemetry's conventions for HTTP servers name its attributes.

One that they ask for is left out, `url.path`: whoever calls can write anything there, a name as well as a token. The
route's template and the id of the ticket tell as much.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from uuid import UUID

from shared.telemetry import tracing
from shared.telemetry.trace import TraceParent
from shared.telemetry.tracing import Span


def open_span(scope: Mapping[str, Any], above: TraceParent | None, correlation_id: str) -> Span | None:
    """The span of a request from its head, without query string and headers; None while tracing is off."""
    if not tracing.is_on():
        return None
    return tracing.start(
        "server", "HTTP", above, {"url.scheme": scope.get("scheme", "http"), "desk.correlation_id": correlation_id}
    )


def close_span(
    span: Span,
    scope: Mapping[str, Any],
    method: str,
    route: str,
    status: int,
    *,
    problem: str | None,
    failure: str | None,
) -> None:
    """Ends it with what was answered. `failure` is why there is no proper answer; a 4xx is not ours."""
    span.tell("http.request.method", method if method != "OTHER" else "_OTHER")
    if route != "-":
        span.rename(f"{method} {route}")
        span.tell("http.route", route)
        _tell_ticket(span, scope)
    else:
        span.rename(method if method != "OTHER" else "HTTP")
    if problem is not None:
        span.tell("desk.problem", problem)
    span.tell("http.response.status_code", status)
    if status >= 500:
        span.fail(failure or str(status))
    elif failure is not None:
        span.tell("error.type", failure)
    span.end()


def _tell_ticket(span: Span, scope: Mapping[str, Any]) -> None:
    ticket_id = (scope.get("path_params") or {}).get("ticket_id")
    if ticket_id is not None:
        # Not yet validated: a request that is refused for it has a span too.
        with suppress(ValueError):
            span.tell("desk.ticket_id", str(UUID(str(ticket_id))))
