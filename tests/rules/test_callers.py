"""At every door of tickets whoever calls becomes known: its routers are made by `router_of`."""

from __future__ import annotations

import ast
from typing import TypeGuard

from shared.http.app import _flat
from tests.rules.source import Module, Violations, broken, called, must_hold, product, snippet
from tests.rules.test_routes import NOWHERE, asked_by
from tests.shared.http.issuer import LocalIssuer
from tests.shared.http.test_permissions import app_of
from tickets.api.callers import meet_caller

MAKER = "tickets.api.callers"


def only_router_of_makes_routers(module: Module) -> Violations:
    """A router of tickets is made by `router_of`, so that whoever calls is known before their request goes on."""
    if not module.is_in("tickets.api") or module.name == MAKER:
        return
    for node in module.nodes():
        if isinstance(node, ast.Call) and called(node).rpartition(".")[2] == "APIRouter":
            yield node.lineno, "an APIRouter of its own: write router = router_of(…)"
        elif _names_router(node) and called(node.value).rpartition(".")[2] not in ("router_of", "APIRouter"):
            yield node.lineno, "a router that is not made here: write router = router_of(…)"


def _names_router(node: ast.AST) -> TypeGuard[ast.Assign]:
    return isinstance(node, ast.Assign) and any(isinstance(to, ast.Name) and to.id == "router" for to in node.targets)


def test_every_router_of_tickets_knows_who_calls() -> None:
    must_hold(only_router_of_makes_routers, product())
    making = [module for module in product() if module.is_in("tickets.api") and "router_of(" in module.text]
    assert len(making) > 5, "a package without routers would pass by itself"


def test_every_door_of_tickets_meets_the_caller() -> None:
    issuer = LocalIssuer()
    issuer.url = NOWHERE
    routes = [route for route in _flat(app_of("tickets", issuer)) if route.path.startswith("/v1/")]
    served = {route.path: set(asked_by(route.dependant)) for route in routes}
    assert len(served) > 20
    assert [path for path, asked in served.items() if meet_caller not in asked] == []


def test_a_router_that_forgot_who_calls_is_seen() -> None:
    careless = [
        snippet("tickets.api.things", "router = APIRouter(prefix='/v1')"),
        snippet("tickets.api.more", "import fastapi\nrouter = fastapi.APIRouter()"),
        snippet("tickets.api.others", "router = copied(lists.router)"),
    ]
    assert len(broken(only_router_of_makes_routers, careless)) == 3
    careful = [
        snippet("tickets.api.things", "router = router_of('things')"),
        snippet(MAKER, "return APIRouter(prefix='/v1')"),
        snippet("sla.api", "router = APIRouter(prefix='/v1')"),
    ]
    assert broken(only_router_of_makes_routers, careful) == []
