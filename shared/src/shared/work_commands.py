"""`python -m <service> work …`: what was set aside or given up, for whoever looks after it; answers as JSON."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine
from types import ModuleType
from typing import Any, Protocol

import typer

from shared import clock, errands, set_aside
from shared.db.engine import make_engine
from shared.db.transaction import Transaction, begin
from shared.errands import ErrandJob
from shared.errors import NotFound
from shared.jobs import Job, Pieces
from shared.settings import ServiceSettings


class Worked(Protocol):
    """What the commands need to know of a service."""

    @property
    def settings(self) -> type[ServiceSettings]:
        """The class of its settings."""

    def module(self, role: str) -> ModuleType | None:
        """The module of a role."""


def work_commands(service: Worked) -> typer.Typer:
    """All commands."""
    app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)

    @app.command("set-aside", help="pieces of work that raised, and errands that nobody tries any more")
    def show() -> None:
        _answer(_run(service, _show))

    @app.command(help="take up again what was set aside or given up, after its cause was mended")
    def retry(job: str, key: str) -> None:
        _answer(_run(service, lambda tx: _retry(tx, service.module("jobs"), job, key)))

    @app.command(help="forget a piece of work that was set aside, for good")
    def discard(job: str, key: str) -> None:
        _answer(_run(service, lambda tx: _discard(tx, job, key)))

    return app


def _answer(work: Coroutine[Any, Any, Any]) -> None:
    typer.echo(json.dumps(asyncio.run(work), default=str, indent=2, ensure_ascii=False))


async def _run(service: Worked, ask: Any) -> Any:
    settings = service.settings()
    engine = make_engine(settings.database_url.get_secret_value(), application="desk operator", pool_size=2)
    try:
        async with begin(engine, lambda: None) as tx:
            return await ask(tx)
    finally:
        await engine.dispose()


async def _show(tx: Transaction) -> list[dict[str, Any]]:
    pieces = [dict(row) for row in await set_aside.all_of(tx)]
    given_up = [
        {
            "job": row.kind, "key": row.key, "problem": row.problem, "times": row.attempt,
            "set_aside_at": row.ended_at,
        }
        for row in await errands.given_up(tx)
    ]  # fmt: skip
    return [*pieces, *given_up]


async def _retry(tx: Transaction, jobs: ModuleType | None, name: str, key: str) -> dict[str, str]:
    """Brings a piece back to its job, or an errand to its worker. Raises NotFound."""
    for job in jobs.JOBS if jobs is not None else ():
        if isinstance(job, ErrandJob) and job.kind == name and await errands.try_again(tx, name, key, clock.now()):
            return {"job": name, "key": key}
        if isinstance(job, Job) and job.name == name and isinstance(job.work, Pieces):
            if not await set_aside.forget(tx, name, key):
                break
            if not await job.work.bring_back(tx, key, clock.now()):
                raise NotFound(f"{key} is no work of {name} any more: `work discard {name} {key}` forgets it")
            return {"job": name, "key": key}
    raise _nothing(name, key)


async def _discard(tx: Transaction, name: str, key: str) -> dict[str, str]:
    if not await set_aside.forget(tx, name, key):
        raise _nothing(name, key)
    return {"discarded": key, "job": name}


def _nothing(name: str, key: str) -> NotFound:
    return NotFound(f"{name} has set aside no {key}: `work set-aside` lists what is")
