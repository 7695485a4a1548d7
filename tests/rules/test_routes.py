"""Every change over HTTP can be repeated without doing it twice, and made only to what its caller has seen.

What a machine delivers and signs is repeated under the id of the delivery, and has seen nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI

from shared.http.app import _flat, doors_of
from shared.http.auth import needs, signed
from shared.http.idempotency import Idempotency, once
from shared.http.preconditions import IfMatch, IfMatchOrNew, change_condition, record_condition
from shared.http.signatures import HmacVerifier, Signer
from tests.rules.source import SERVICES
from tests.shared.http.issuer import LocalIssuer
from tests.shared.http.sample import sample_app
from tests.shared.http.test_permissions import app_of

CHANGES = {"POST", "PUT", "PATCH", "DELETE"}
NOWHERE = "http://127.0.0.1:9"


def asked_by(dependant: Any) -> Iterator[Callable[..., Any]]:
    """Everything that runs before a route, at any depth."""
    for each in dependant.dependencies:
        yield each.call
        yield from asked_by(each)


def changes_of(app: FastAPI) -> dict[str, set[Callable[..., Any]]]:
    """Every method of every route that changes something, with what it asks of a request."""
    return {
        f"{method} {route.path}": set(asked_by(route.dependant))
        for route in _flat(app)
        for method in (route.methods or set()) & CHANGES
    }


def problems_of(app: FastAPI) -> list[str]:
    """What a change lacks. The real dependencies are looked for: a header of that name might be read by nobody."""
    told = []
    delivered = {f"{door.method} {door.path}" for door in doors_of(app) if door.known == "hmac"}
    for route, asked in changes_of(app).items():
        method, path = route.split()
        if method == "POST" and once not in asked:
            told.append(f"{route}: takes no Idempotency-Key")
        # A POST to a collection makes something new, which nobody can have seen; a PUT says itself what is new.
        conditions = {change_condition, record_condition} if method == "PUT" else {change_condition}
        if (method != "POST" or ("{" in path and route not in delivered)) and not asked & conditions:
            told.append(f"{route}: takes no condition (If-Match)")
    return sorted(told)


@pytest.mark.parametrize("service", SERVICES)
def test_every_change_takes_a_key_and_a_condition(service: str) -> None:
    issuer = LocalIssuer()
    issuer.url = NOWHERE
    app = app_of(service, issuer)
    assert changes_of(app), "a service that changes nothing would pass by itself"
    assert problems_of(app) == []


def test_a_change_that_forgot_its_key_or_its_condition_is_seen() -> None:
    careless = APIRouter(prefix="/v1/things", dependencies=[needs("ticket:read")])

    @careless.post("")
    async def make() -> None: ...

    @careless.post("/{id}/close")
    async def close(id: str, once: Idempotency) -> None: ...

    @careless.post("/{id}/open")
    async def open_again(id: str, expected: IfMatch) -> None: ...

    @careless.post("/{id}/move")
    async def move(id: str, once: Idempotency, expected: IfMatchOrNew) -> None: ...

    @careless.put("/{id}")
    async def put(id: str) -> None: ...

    @careless.patch("/{id}")
    async def change(id: str, expected: IfMatchOrNew) -> None: ...

    @careless.delete("/{id}")
    async def delete(id: str) -> None: ...

    assert problems_of(sample_app(NOWHERE, routers=[careless])) == [
        "DELETE /v1/things/{id}: takes no condition (If-Match)",
        "PATCH /v1/things/{id}: takes no condition (If-Match)",
        "POST /v1/things/{id}/close: takes no condition (If-Match)",
        "POST /v1/things/{id}/move: takes no condition (If-Match)",
        "POST /v1/things/{id}/open: takes no Idempotency-Key",
        "POST /v1/things: takes no Idempotency-Key",
        "PUT /v1/things/{id}: takes no condition (If-Match)",
    ]


def test_a_careful_change_passes() -> None:
    careful = APIRouter(prefix="/v1/things", dependencies=[needs("ticket:read")])

    @careful.post("")
    async def make(once: Idempotency) -> None: ...

    @careful.post("/{id}/close")
    async def close(id: str, once: Idempotency, expected: IfMatch) -> None: ...

    @careful.put("/{id}")
    async def put(id: str, expected: IfMatchOrNew) -> None: ...

    @careful.delete("/{id}")
    async def delete(id: str, expected: IfMatch) -> None: ...

    app = sample_app(NOWHERE, routers=[careful])
    assert len(changes_of(app)) == 4
    assert problems_of(app) == []


async def nobody(_engine: object, _parameters: object) -> Signer | None:
    """No signer at all."""
    return None


def test_a_delivery_needs_no_condition_and_is_done_once_all_the_same() -> None:
    deliveries = APIRouter(prefix="/v1/hooks")

    @deliveries.post("/{id}", dependencies=[signed(HmacVerifier(nobody))])
    async def careful(id: str, once: Idempotency) -> None: ...

    @deliveries.post("/{id}/again", dependencies=[signed(HmacVerifier(nobody))])
    async def careless(id: str) -> None: ...

    @deliveries.delete("/{id}", dependencies=[signed(HmacVerifier(nobody))])
    async def delete(id: str) -> None: ...

    assert problems_of(sample_app(NOWHERE, routers=[deliveries])) == [
        "DELETE /v1/hooks/{id}: takes no condition (If-Match)",
        "POST /v1/hooks/{id}/again: takes no Idempotency-Key",
    ]
