"""`python -m <service> work …`: what was set aside or given up, for whoever looks after it; answers as JSON."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine
from types import ModuleType
from typing import Annotated, Any, Protocol

import typer

from shared import clock, errands, set_aside
from shared.db.engine import make_engine
from shared.db.transaction import Transaction, begin
from shared.errands import ErrandJob
from shared.errors import Invalid, NotFound
from shared.jobs import Job, Pieces
from shared.settings import ServiceSettings

_KEY = typer.Argument(metavar="KEY", help="as `work set-aside` shows it")
JobName = Annotated[str, typer.Argument(metavar="JOB", help="as `work set-aside` shows it")]
All = Annotated[bool, typer.Option("--all", help="all of the job; without it, how many they are is told")]


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
    def retry(job: JobName, key: Annotated[str | None, _KEY] = None, every: All = False) -> None:
        _answer(_run(service, lambda tx: _retry(tx, _job_of(service.module("jobs"), job), key, every=every)))

    @app.command(help="forget what was set aside or given up, for good")
    def discard(job: JobName, key: Annotated[str, _KEY]) -> None:
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


def _job_of(jobs: ModuleType | None, name: str) -> Job | ErrandJob:
    """The job of this release that may have set something aside under a name. Raises NotFound."""
    found = {
        job.kind if isinstance(job, ErrandJob) else job.name: job
        for job in (jobs.JOBS if jobs is not None else ())
        if isinstance(job, ErrandJob) or isinstance(job.work, Pieces)
    }
    if name not in found:
        raise NotFound(
            f"this release has no job {name} that sets work aside, only {', '.join(sorted(found)) or 'none at all'}; "
            f"what an earlier one set aside, `work discard {name} KEY` forgets"
        )
    job: Job | ErrandJob = found[name]
    return job


async def _retry(tx: Transaction, job: Job | ErrandJob, key: str | None, *, every: bool) -> dict[str, Any]:
    """Brings one back, or all of a job. Raises NotFound, and Invalid for a request that does not say which."""
    name = job.kind if isinstance(job, ErrandJob) else job.name
    if key is not None:
        if every:
            raise Invalid("name one, or say --all: not both")
        if await _take_up(tx, job, key):
            return {"job": name, "taken_up": [key], "gone": []}
        raise NotFound(f"{key} is no work of {name} any more: `work discard {name} {key}` forgets it")
    keys = [row["key"] for row in await _show(tx) if row["job"] == name]
    if not every:
        raise Invalid(
            f"{name} has {len(keys)} of them: name one (`work set-aside` lists them), or say `work retry {name} --all`"
        )
    taken_up = [each for each in keys if await _take_up(tx, job, each)]
    return {"job": name, "taken_up": taken_up, "gone": [each for each in keys if each not in set(taken_up)]}


async def _take_up(tx: Transaction, job: Job | ErrandJob, key: str) -> bool:
    """Brings a piece back to its job, or an errand to its worker; False where the piece is no more. Raises NotFound."""
    if isinstance(job, ErrandJob):
        if not await errands.try_again(tx, job.kind, key, clock.now()):
            raise _nothing(job.kind, key)
        return True
    if not await set_aside.forget(tx, job.name, key):
        raise _nothing(job.name, key)
    return isinstance(job.work, Pieces) and await job.work.bring_back(tx, key, clock.now())


async def _discard(tx: Transaction, name: str, key: str) -> dict[str, str]:
    if not (await set_aside.forget(tx, name, key) or await errands.discard(tx, name, key, clock.now())):
        raise _nothing(name, key)
    return {"job": name, "discarded": key}


def _nothing(name: str, key: str) -> NotFound:
    return NotFound(f"{name} has set aside no {key}: `work set-aside` lists what is")
