"""Makes the HTTP application of a service: everything that all of them share, around the routes that are its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Lifespan

from shared.contracts import asyncapi
from shared.db.engine import Engine
from shared.errors import DeskError
from shared.http.auth import Known, Signature, declared_by
from shared.http.edge import Edge
from shared.http.health import PATHS, Check, Health, Status
from shared.http.idempotency import AnsweredBefore, answer_again
from shared.http.limits import BODY_LIMIT, BODY_SECONDS
from shared.http.openapi import OF_EVERY_ADDRESS, PROBLEM_RESPONSES, complete
from shared.http.permissions import Permission
from shared.http.problems import answer_problem
from shared.http.signatures import HmacVerifier, SignedDoor
from shared.http.tokens import Authenticator

OPENAPI_PATH = "/openapi.json"
ASYNCAPI_PATH = "/asyncapi.json"
# Whoever asks for these is asked for nothing. Everything else has a door, whether it exists or not.
OPEN_PATHS = (*PATHS, OPENAPI_PATH, ASYNCAPI_PATH)


_AS_EVERY_SERVICE: dict[str, Any] = {
    "version": "1",
    "openapi_url": OPENAPI_PATH,
    # The pages of /docs load their scripts from elsewhere.
    "docs_url": None,
    "redoc_url": None,
    "redirect_slashes": False,
    # Spans and their metrics are configured by this product alone, not by whatever is installed beside it.
    "telemetry": {"tracing": False, "metrics": False, "logs": False},
}


class UndeclaredDoor(RuntimeError):
    """A route does not say how its caller is known, says it twice, or shares it: nobody may be let in by it."""


class DeskApi(FastAPI):
    """FastAPI with the description of what the edge does: tokens, permissions, conditions and problems."""

    def openapi(self) -> dict[str, Any]:
        closed = {(door.path, door.method.lower()): door.permission for door in doors_of(self) if not door.is_open}
        return complete(super().openapi(), closed)


def create_app(
    *,
    service: str,
    description: str,
    routers: Sequence[APIRouter],
    engine: Engine,
    hint: Callable[[], None],
    authenticator: Authenticator,
    readiness: Sequence[Check] = (),
    status: Status | None = None,
    alive: Callable[[], bool] | None = None,
    lifespan: Lifespan[FastAPI] | None = None,
    body_limit: int = BODY_LIMIT,
    body_seconds: float = BODY_SECONDS,
) -> FastAPI:
    """The application of a service. Its routers say their whole paths (`prefix="/v1/tickets"`).

    Raises UndeclaredDoor for a route that does not declare once how its caller is known (`needs(...)`, `signed(...)`),
    or shares a verifier of signatures with another.
    """
    described = f"{description}\n\n{OF_EVERY_ADDRESS}"
    app = DeskApi(title=f"PSA Desk: {service}", description=described, lifespan=lifespan, **_AS_EVERY_SERVICE)
    app.state.engine, app.state.hint, app.state.authenticator = engine, hint, authenticator
    _answer_problems(app)
    app.router.routes.extend([*Health(service, readiness, status, alive).routes(), _events_route(service)])
    for router in routers:
        app.include_router(router, responses=PROBLEM_RESPONSES)
    _require_declarations(app)
    app.add_middleware(
        Edge,
        authenticator=authenticator,
        open_paths=OPEN_PATHS,
        signed_doors=list(_signed_doors(app)),
        body_limit=body_limit,
        body_seconds=body_seconds,
    )
    return app


def _events_route(service: str) -> Route:
    """What the service sends and receives, for other systems: the events say themselves what is personal in them."""

    async def tell_events(_request: Request) -> Response:
        return Response(asyncapi.text(service), media_type=asyncapi.MEDIA_TYPE)

    return Route(ASYNCAPI_PATH, tell_events, include_in_schema=False)


def _require_declarations(app: FastAPI) -> None:
    for verifier, doors in _doors_of_verifiers(app).items():
        if len(doors) > 1:
            raise UndeclaredDoor(
                f"{app.title}: {', '.join(sorted(doors))}: one {type(verifier).__name__} each; neither method nor "
                "path is signed, so what was signed for one would be good at the other"
            )
    if undeclared := [f"{door.method} {door.path}" for door in doors_of(app) if door.known is None]:
        raise UndeclaredDoor(
            f"{app.title}: {', '.join(undeclared)}: say dependencies=[needs(...)] or [signed(...)], and one of them"
        )


def _signatures(app: FastAPI) -> Iterator[tuple[str, Any, HmacVerifier]]:
    """Every method of every route that is known by a signature: the methods that it declares, and no other."""
    for route in _flat(app):
        for declared in declared_by(getattr(route, "dependencies", ())):
            if isinstance(declared, Signature):
                for method in sorted(route.methods or ()):
                    yield method, route, declared.verifier


def _signed_doors(app: FastAPI) -> Iterator[SignedDoor]:
    for method, route, verifier in _signatures(app):
        yield SignedDoor(method, route.path_regex, verifier)


def _doors_of_verifiers(app: FastAPI) -> dict[HmacVerifier, set[str]]:
    found: dict[HmacVerifier, set[str]] = {}
    for method, route, verifier in _signatures(app):
        found.setdefault(verifier, set()).add(f"{method} {route.path}")
    return found


def _answer_problems(app: FastAPI) -> None:
    for kind in (DeskError, HTTPException, RequestValidationError):
        app.add_exception_handler(kind, answer_problem)
    app.add_exception_handler(405, _answer_other_methods)
    app.add_exception_handler(AnsweredBefore, answer_again)


@dataclass(frozen=True, slots=True)
class Door:
    """One method of one path, how it knows its caller (None: nobody said), and which permission a token must give."""

    method: str
    path: str
    known: Known | None
    permission: Permission | None = None

    @property
    def is_open(self) -> bool:
        """Whether it may be called by anybody."""
        return self.known == "open"


def doors_of(app: FastAPI) -> list[Door]:
    """Every route of an application, so that a test can knock at each."""
    found = [
        Door(method, route.path, *_declaration_of(route))
        for route in _flat(app)
        for method in sorted((route.methods or {"GET"}) - {"HEAD"})
    ]
    return sorted(found, key=lambda door: (door.path, door.method))


def _declaration_of(route: Any) -> tuple[Known | None, Permission | None]:
    if route.path in OPEN_PATHS:
        return "open", None
    declared = declared_by(getattr(route, "dependencies", ()))
    if len(declared) != 1:
        return None, None
    return declared[0].known, getattr(declared[0], "permission", None)


async def _answer_other_methods(request: Request, _error: Exception) -> Response:
    """405 with every method of the address: the framework's own Allow header knows those of the first route only."""
    routes = [route for route in _flat(request.app) if getattr(route, "path_regex", None) is not None]
    known = {
        method
        for route in routes
        if route.path_regex.match(request.scope["path"])
        for method in getattr(route, "methods", None) or ()
    }
    if "GET" in known:
        known.add("HEAD")
    return await answer_problem(request, HTTPException(405, headers={"allow": ", ".join(sorted(known))}))


def _flat(app: FastAPI) -> Iterator[Any]:
    for route in app.router.routes:
        inner = getattr(route, "effective_route_contexts", None)
        if inner is not None:
            yield from inner()
        else:
            yield route
