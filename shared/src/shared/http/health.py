"""Whether a process lives and is ready, and its metrics: on the application's port, or alone on one of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic_core import to_json
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from shared.db.engine import Engine
from shared.db.guards import require_guards
from shared.db.server_clock import require_same_time
from shared.db.statement import sql
from shared.http.server import serve
from shared.telemetry import metrics
from shared.telemetry.redaction import describe_error

CHECK_SECONDS = 2.0
PATHS = ("/livez", "/readyz", "/metrics")

Status = Callable[[], Awaitable[dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that must be there for this process to be ready: `test` raises when it is not."""

    name: str
    test: Callable[[], Awaitable[object]]


def database_check(engine: Engine) -> Check:
    """Passes when the database answers a statement."""

    async def ask() -> None:
        async with engine.connect() as connection:
            await connection.fetch(sql("SELECT 1"))

    return Check("database", ask)


def clock_check(engine: Engine) -> Check:
    """Passes when this process's clock and its database's agree well enough to date what happens."""

    async def compare() -> None:
        async with engine.connect() as connection:
            await require_same_time(connection)

    return Check("clock", compare)


def guards_check(engine: Engine) -> Check:
    """Passes when the serving role has its guards: a database that somebody else prepared may come without."""

    async def ask() -> None:
        async with engine.connect() as connection:
            await require_guards(connection)

    return Check("guards", ask)


class Health:
    """Answers the three addresses of a process."""

    def __init__(
        self,
        service: str,
        readiness: Sequence[Check] = (),
        status: Status | None = None,
        alive: Callable[[], bool] | None = None,
    ) -> None:
        """`status` is shown and never decides; `alive` is False when only a restart helps."""
        self._service = service
        self._readiness = tuple(readiness)
        self._status = status
        self._alive = alive

    async def livez(self, _request: Request | None = None) -> Response:
        """200 while the event loop turns and, where there is more to ask, that is well too."""
        alive = self._alive is None or self._alive()
        return _json({"service": self._service, "alive": alive}, 200 if alive else 503)

    async def readyz(self, _request: Request | None = None) -> Response:
        """200 when every check passes, else 503 with those that do not; each has two seconds."""
        *results, status = await asyncio.gather(*(_run(check) for check in self._readiness), self._told_status())
        failed = {name: why for name, why in results if why is not None}
        checks = {name: why or "ok" for name, why in results}
        answer = {"service": self._service, "ready": not failed, "checks": checks, "status": status}
        return _json(answer, 503 if failed else 200)

    async def metrics(self, _request: Request | None = None) -> Response:
        """The metrics of this process in Prometheus' text format."""
        return Response(metrics.exposition(), headers={"content-type": metrics.CONTENT_TYPE})

    def routes(self) -> list[Route]:
        """The three addresses as routes of a larger application."""
        answers = (self.livez, self.readyz, self.metrics)
        return [
            Route(path, answer, methods=["GET"], include_in_schema=False)
            for path, answer in zip(PATHS, answers, strict=True)
        ]

    async def _told_status(self) -> dict[str, Any]:
        if self._status is None:
            return {}
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                return await self._status()
        except Exception as error:  # What is only shown must never make a process unready.
            return {"error": _reason(error)}


def health_app(health: Health) -> ASGIApp:
    """An application with nothing but the three addresses, for consumer, relay and jobs."""
    answers = dict(zip(PATHS, (health.livez, health.readyz, health.metrics), strict=True))

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        answer = answers.get(scope["path"])
        if answer is None:
            response = _json({"addresses": PATHS}, 404)
        elif scope["method"] not in {"GET", "HEAD"}:
            response = _json({"methods": ["GET", "HEAD"]}, 405)
            response.headers["allow"] = "GET, HEAD"
        else:
            response = await answer()
        await response(scope, receive, send)

    return app


async def serve_health(health: Health, *, host: str, port: int, stop: asyncio.Event) -> None:
    """Serves the three addresses until `stop` is set. Raises OSError when the port is taken."""
    await serve(health_app(health), host=host, port=port, stop=stop)


async def _run(check: Check) -> tuple[str, str | None]:
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            await check.test()
    except Exception as error:  # Any failure of a check is its answer.
        return check.name, _reason(error)
    return check.name, None


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {CHECK_SECONDS:g} s"
    return describe_error(error)[:300]


def _json(answer: dict[str, Any], status: int) -> Response:
    body = to_json(answer, fallback=str, inf_nan_mode="null")
    return Response(body, status, {"cache-control": "no-store"}, "application/json")
