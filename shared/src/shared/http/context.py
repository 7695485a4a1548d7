"""What is known about the request that is being answered, from its head."""

from __future__ import annotations

import re
from collections.abc import MutableMapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from shared.http.permissions import Permission, permissions_of
from shared.http.spans import open_span
from shared.ids import new_id
from shared.telemetry import trace
from shared.telemetry.tracing import Span

_KEY = "desk"
_ONE_ONLY = (b"authorization", b"content-type")
_SANE_CORRELATION_ID = re.compile(rb"[\x21-\x7e]{1,128}")


@dataclass(frozen=True)
class Actor:
    """Who calls: `id` is written into everything that the call causes, `roles` decide what is permitted."""

    id: str
    name: str
    roles: frozenset[str] = field(default_factory=frozenset)

    @cached_property
    def permissions(self) -> frozenset[Permission]:
        """Everything that the actor's roles permit; worked out once, as long as its token is remembered."""
        return permissions_of(self.roles)

    def may(self, permission: Permission) -> bool:
        """Whether one of the actor's roles permits it."""
        return permission in self.permissions


@dataclass(frozen=True, slots=True)
class Delivery:
    """A request that its sender signed: the id that it signed along, and the verifier that knew it."""

    id: str
    verifier: object


@dataclass(slots=True)
class RequestContext:
    """One request, from its head to its access line."""

    correlation_id: str
    traceparent: str
    authorization: bytes | None = None
    content_length: int | None = None
    has_body: bool = False
    content_type: bytes = b""
    actor: Actor | None = None
    delivery: Delivery | None = None
    problem: str | None = None
    span: Span | None = None
    failure: str | None = None


def open_context(scope: MutableMapping[str, Any], *, traced: bool = True) -> RequestContext:
    """Reads the head of a request once and leaves what it says in the scope; what is not traced has no span."""
    found: dict[bytes, bytes] = {}
    for name, value in scope["headers"]:
        # Two Authorization headers are two callers, two content types two readings: neither is believed.
        found[name] = b"" if name in _ONE_ONLY and name in found else value
    length = found.get(b"content-length", b"")
    declared = int(length) if length.isdigit() and len(length) < 19 else None
    correlation_id = _correlation_id(found.get(b"x-correlation-id"))
    stated = found.get(b"traceparent")
    above = trace.parse(stated.decode("latin-1")) if stated is not None else None
    span = open_span(scope, above, correlation_id) if traced else None
    context = RequestContext(
        correlation_id=correlation_id,
        traceparent=span.traceparent if span is not None else str(above or trace.new_trace()),
        authorization=found.get(b"authorization"),
        content_length=declared,
        has_body=b"transfer-encoding" in found or (b"content-length" in found and declared != 0),
        content_type=found.get(b"content-type", b""),
        span=span,
    )
    scope[_KEY] = context
    return context


def context_of(scope: Any) -> RequestContext | None:
    """The context of a request by its ASGI scope; None outside the application's edge."""
    found = scope.get(_KEY)
    return found if isinstance(found, RequestContext) else None


def _correlation_id(header: bytes | None) -> str:
    if header is not None and _SANE_CORRELATION_ID.fullmatch(header):
        return header.decode("ascii")
    return str(new_id())
