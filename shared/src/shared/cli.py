"""What `python -m <service>` is made of: the parts, the migrations, loading, and an operator's commands."""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, TextIO, cast

import asyncpg
import typer
from pydantic import ValidationError
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from shared import clock
from shared.config_check import config_commands, require_fit
from shared.contracts.envelope import Cause
from shared.db.engine import make_engine
from shared.db.failures import is_transient, problem_of
from shared.db.transaction import CommitUnanswered, begin
from shared.errors import DeskError
from shared.ids import new_id
from shared.load import Loader, read_document
from shared.messaging.commands import messaging_commands
from shared.settings import ServiceSettings
from shared.steady_output import SteadyOutput
from shared.system_errors import explain, wants_traceback
from shared.telemetry import logs
from shared.work_commands import work_commands

Role = Literal["api", "subscribers", "jobs", "documents"]


@dataclass(frozen=True)
class Service:
    """A service as its `__main__` names it.

    `roles` are those of its modules that a process may run; each is imported only by the process that needs it, so that
    a relay does not carry an HTTP framework and `migrate` starts in a second. What a module offers is fixed: the
    routers of `api`, the reactions of `subscribers`, `jobs.JOBS`, `documents.Document` with `load_document` of
    `commands`, or of `commands.documents` where that is a package; `load_defaults` beside it where what a customer
    changed of the defaults stays changed. `filters` are commands that make lines of output from lines of input and need
    nothing else, each by the `module:function` that does it.
    """

    name: str
    title: str
    settings: type[ServiceSettings]
    roles: tuple[Role, ...]
    filters: Mapping[str, str] = field(default_factory=dict)

    def module(self, role: str) -> ModuleType | None:
        """The module of a role, imported now; None when the service has nothing to do there."""
        return importlib.import_module(f"{self.name}.{role}") if role in self.roles else None

    def projections(self) -> ModuleType | None:
        """The projections of the service; None where it keeps nothing of others."""
        name = f"{self.name}.projections"
        return importlib.import_module(name) if importlib.util.find_spec(name) else None

    def main(self) -> None:
        """Runs the command line. A wrong setting, a refused command, a server that does not answer and a full disk are
        one clear line and exit code 1; with DESK_DEBUG=1 also the traceback."""
        try:
            _application(self)()
        except _TOLD as error:
            if wants_traceback():
                raise
            raise SystemExit(f"{self.name}: {_sentence(error)}") from None
        except ValidationError as error:
            problems = [f"DESK_{str(one['loc'][0]).upper()}: {one['msg']}" for one in error.errors(include_input=False)]
            raise SystemExit(f"{self.name}: wrong settings: {'; '.join(problems)}") from None

    def read_settings(self) -> ServiceSettings:
        """The settings from the environment."""
        return self.settings()

    async def load_file(self, path: Path, *, defaults: bool = False) -> int:
        """Loads a document through the service's own command, in one transaction. Returns how many rows changed."""
        documents = self.module("documents")
        if documents is None:
            raise DeskError(f"{self.name} has nothing to load")
        document = read_document(path, documents.Document)
        commands = importlib.import_module(f"{self.name}.commands")
        if hasattr(commands, "__path__"):
            commands = importlib.import_module(f"{commands.__name__}.documents")
        load: Loader = commands.load_document
        if defaults:
            load = getattr(commands, "load_defaults", load)
        settings = self.read_settings()
        engine = make_engine(
            settings.database_url.get_secret_value(), application=f"desk {self.name} load", pool_size=2
        )
        now = clock.now()
        cause = Cause(actor=f"system:{self.name}", occurred_at=now, recorded_at=now, correlation_id=f"load:{new_id()}")
        try:
            async with begin(engine, lambda: None) as tx:
                return await load(tx, cause, document)
        finally:
            await engine.dispose()

    async def migrate(self) -> int:
        """Brings the database to this release and loads the defaults that a day-one installation ships."""
        settings = self.read_settings()
        if settings.owner_database_url is None:
            raise DeskError("migrate needs DESK_OWNER_DATABASE_URL, the role that owns the tables")
        from shared.db.migrate import migrate  # Alembic takes half a second to import, and only this needs it

        serving_role = make_url(settings.database_url.get_secret_value()).username
        await migrate(
            settings.owner_database_url.get_secret_value(),
            serving_role=serving_role or "",
            histories={self.name: f"{self.name}.migrations"},
        )
        defaults = Path(str(resources.files(self.name))) / "defaults.yaml"
        return await self.load_file(defaults, defaults=True) if defaults.exists() else 0


# asyncpg's own errors come through unchanged while a connection is made.
_TOLD = (DeskError, OSError, SQLAlchemyError, asyncpg.PostgresError, asyncpg.InterfaceError)


def _sentence(error: BaseException) -> str:
    """What went wrong, and what to do."""
    if isinstance(error, DeskError):
        return error.message
    if isinstance(error, CommitUnanswered):
        return "the database did not say whether it stored the change. Say it again: what is equal changes nothing."
    if isinstance(error, OSError):
        return explain(error)
    if is_transient(error):
        return f"the database does not do it now ({problem_of(error)}). Does it run, has its disk room? Say it again."
    return f"the database refused it ({problem_of(error)}). Is the address right, was `migrate` run?"


def _application(service: Service) -> typer.Typer:
    app = typer.Typer(add_completion=False, no_args_is_help=True, help=service.title, pretty_exceptions_enable=False)
    for part, help_text in _PARTS.items():
        app.command(part, help=help_text)(_runner(service, part))

    @app.command("migrate", help="bring the database to this release and load its defaults (owner role)")
    def migrate_command() -> None:
        _configure(service, "migrate")
        changed = asyncio.run(service.migrate())
        typer.echo(f"{service.name}: migrated, {changed} default rows loaded")

    @app.command("load", help="load reference data from a YAML file; equal rows change nothing")
    def load_command(file: Path) -> None:
        _configure(service, "load")
        typer.echo(f"{service.name}: {asyncio.run(service.load_file(file))} rows changed")

    for name, place in service.filters.items():
        app.command(name, help=f"lines in, lines out: {place.partition(':')[2].replace('_', ' ')}")(_filter(place))
    app.add_typer(messaging_commands(service), name="messaging", help="lag, backlog, leader, and parked messages")
    app.add_typer(work_commands(service), name="work", help="work that was set aside so that the rest could go on")
    app.add_typer(config_commands(service), name="config", help="the settings, and whether production may have them")
    return app


_PARTS = {
    "api": "serve the HTTP API",
    "consumer": "react to events",
    "relay": "publish the outbox in order; several stand by for one leader",
    "jobs": "do what time causes",
    "all": "all four in one process",
}


def _runner(service: Service, part: str) -> Any:
    def run() -> None:
        import uvloop

        from shared.parts import Parts

        _configure(service, part)
        settings = service.read_settings()
        require_fit(service.name, settings, os.environ)
        parts = Parts(name=service.name, title=service.title, settings=settings, module=service.module)
        uvloop.run(parts.run(part))

    return run


def _filter(place: str) -> Any:
    def run() -> None:
        module, _, function = place.partition(":")
        for line in getattr(importlib.import_module(module), function)(sys.stdin):
            typer.echo(line)

    return run


def _configure(service: Service, part: str) -> None:
    # Settings first, so that a wrong one is told before anything is replaced.
    level, output = service.read_settings().log_level, SteadyOutput(sys.stdout.fileno())
    logs.configure(service.name, part, level, cast("TextIO", output))
