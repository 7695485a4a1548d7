"""Every role at every door of every service, as the page of the docs says it; and a door without a permission."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import pytest
from fastapi import APIRouter, FastAPI

from shared.http import permissions
from shared.http.app import UndeclaredDoor, create_app, doors_of
from shared.http.auth import Authenticator, needs
from shared.http.context import Actor
from shared.http.permissions import PERMISSIONS, PERMISSIONS_OF, ROLES, permissions_of
from shared.http.routers import routers_of
from shared.ids import new_id
from tests.rules.source import SERVICES
from tests.shared.http.conftest import client_of
from tests.shared.http.issuer import LocalIssuer
from tests.shared.http.sample import sample_app, unreachable_engine

PAGE = Path(permissions.__file__).with_name("PERMISSIONS.md").read_text(encoding="utf-8")
# method and path → the permission, and the roles that have it
Expected = dict[tuple[str, str], tuple[str, set[str]]]


def table_under(heading: str) -> list[list[str]]:
    """The cells of the table under a heading of the page, its head first."""
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return [[cell.strip(" `") for cell in line.split("|")[1:-1]] for line in section.split("\n") if "|" in line]


def expected_of(service: str) -> Expected:
    """The table of a service on the page, which is written by hand."""
    head, _, *rows = table_under(service)
    assert head[2:] == list(ROLES)
    found: Expected = {}
    for route, permission, *marks in rows:
        method, path = route.split()
        assert set(marks) <= {"✓", "·"}
        found[method, path] = permission, {role for role, mark in zip(ROLES, marks, strict=True) if mark == "✓"}
    return found


def app_of(service: str, issuer: LocalIssuer) -> FastAPI:
    """The service's own routes, with a database that is nowhere: whoever is let in learns that, or what is missing."""
    return create_app(
        service=service,
        description="-",
        routers=routers_of(import_module(f"{service}.api")),
        engine=unreachable_engine(),
        hint=lambda: None,
        authenticator=Authenticator(issuer.url),
    )


def concrete(path: str) -> str:
    """The path with an id in every place that wants one; a UUID is a code, too."""
    return re.sub(r"\{\w+\}", str(new_id()), path)


@pytest.mark.parametrize("service", SERVICES)
async def test_the_page_names_every_route_and_its_permission(service: str, issuer: LocalIssuer) -> None:
    doors = {
        (door.method, door.path): door.permission or door.known
        for door in doors_of(app_of(service, issuer))
        if not door.is_open
    }
    assert len(doors) >= 5
    assert doors == {route: permission for route, (permission, _) in expected_of(service).items()}


@pytest.mark.parametrize("role", [*ROLES, "somebody", ""])
@pytest.mark.parametrize("service", SERVICES)
async def test_every_role_passes_the_doors_that_the_page_says_and_no_other(
    service: str, role: str, issuer: LocalIssuer
) -> None:
    async with client_of(app_of(service, issuer), issuer.token(roles=[role] if role else [])) as client:
        for (method, path), (permission, roles) in expected_of(service).items():
            answer = await client.request(method, concrete(path))
            if permission == "hmac":
                assert answer.status_code == 401, f"{method} {path}: no token opens a door of signatures"
            elif role in roles:
                assert answer.status_code in (422, 428, 503), f"{method} {path}: {answer.text}"
            else:
                assert answer.status_code == 403, f"{method} {path}: {answer.text}"
                problem = answer.json()
                assert (problem["code"], problem["permission"]) == ("permission-missing", permission)
                assert permission in problem["detail"]


def test_the_page_says_who_has_what_no_route_decides_alone() -> None:
    _, _, *rows = table_under("What no route decides alone")
    told = {permission: set(roles.split(", ")) for permission, _, roles in rows}
    assert told == {permission: {role for role in ROLES if permission in PERMISSIONS_OF[role]} for permission in told}
    on_routes = {permission for service in SERVICES for permission, _ in expected_of(service).values()}
    assert (on_routes - {"hmac"}) | set(told) == set(PERMISSIONS)
    assert not on_routes & set(told)


def test_roles_add_up_and_an_unknown_one_gives_nothing() -> None:
    assert permissions_of(["agent", "developer"]) == PERMISSIONS_OF["agent"] | PERMISSIONS_OF["developer"]
    assert permissions_of(["Agent", "root", "ticket:open", "*"]) == frozenset()
    assert not Actor("x", "x", frozenset({"root"})).may("ticket:read")


def test_the_auditor_and_the_machine_change_nothing() -> None:
    for role in ("auditor", "machine"):
        assert {permission.partition(":")[2] for permission in permissions_of([role])} == {"read"}


def test_an_application_with_a_route_that_does_not_say_who_may_call_does_not_start(issuer: LocalIssuer) -> None:
    forgotten = APIRouter(prefix="/v1")

    @forgotten.get("/declared", dependencies=[needs("ticket:read")])
    async def declared() -> None: ...

    @forgotten.delete("/forgotten")
    async def forget() -> None: ...

    with pytest.raises(UndeclaredDoor, match=r"PSA Desk: sample: DELETE /v1/forgotten: say dependencies"):
        sample_app(issuer.url, routers=[forgotten])


async def test_the_permission_is_asked_before_the_request_is_looked_at(issuer: LocalIssuer) -> None:
    app = app_of("tickets", issuer)
    async with client_of(app, issuer.token(roles=["auditor"])) as client:
        answer = await client.post("/v1/tickets", json={"nonsense": 1}, headers={"idempotency-key": "x" * 300})
    assert answer.status_code == 403


@pytest.mark.parametrize("service", SERVICES)
async def test_the_description_names_the_permission_of_every_operation(service: str, issuer: LocalIssuer) -> None:
    document = app_of(service, issuer).openapi()
    for (method, path), (permission, _) in expected_of(service).items():
        operation = document["paths"][path][method.lower()]
        if permission == "hmac":
            assert operation["security"] == [{"hmac": []}]
            continue
        assert operation["x-permission"] == permission
        assert permission in operation["responses"]["403"]["description"]
