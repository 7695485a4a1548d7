"""What `python -m <service>` is made of: the parts, the migrations, loading, and an operator's commands."""

from __future__ import annotations

import asyncio
import importlib
import json
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from pydantic import BaseModel, ValidationError
from sqlalchemy.engine import make_url

from shared import clock
from shared.contracts.envelope import Cause
from shared.db.engine import make_engine
from shared.db.migrate import migrate
from shared.db.transaction import begin
from shared.errors import DeskError
from shared.ids import new_id
from shared.jobs import Job
from shared.load import Loader, read_document
from shared.settings import ServiceSettings
from shared.telemetry import logs

if TYPE_CHECKING:
    from fastapi import APIRouter

T = TypeVar("T")


@dataclass(frozen=True)
class Service:
    """A service as its `__main__` names it; what it does not have is left out."""

    name: str
    title: str
    settings: type[ServiceSettings]
    routers: Sequence[APIRouter] = ()
    subscribers: ModuleType | None = None
    jobs: Sequence[Job] = ()
    document: type[BaseModel] | None = None
    load: Loader | None = None

    def main(self) -> None:
        """Runs the command line. A wrong setting or a refused command is one clear line and exit code 1."""
        try:
            _application(self)()
        except ValidationError as error:
            problems = [f"DESK_{str(one['loc'][0]).upper()}: {one['msg']}" for one in error.errors(include_input=False)]
            raise SystemExit(f"{self.name}: wrong settings: {'; '.join(problems)}") from None
        except DeskError as error:
            raise SystemExit(f"{self.name}: {error.message}") from None

    def read_settings(self) -> ServiceSettings:
        """The settings from the environment."""
        return self.settings()

    async def load_file(self, path: Path) -> int:
        """Loads a document through the service's own command, in one transaction. Returns how many rows changed."""
        if self.document is None or self.load is None:
            raise DeskError(f"{self.name} has nothing to load")
        document = read_document(path, self.document)
        settings = self.read_settings()
        engine = make_engine(settings.database_url.get_secret_value(), application=f"desk {self.name} load", pool_size=2)
        now = clock.now()
        cause = Cause(
            actor=f"system:{self.name}", occurred_at=now, recorded_at=now, correlation_id=f"load:{new_id()}"
        )
        try:
            async with begin(engine, lambda: None) as tx:
                return await self.load(tx, cause, document)
        finally:
            await engine.dispose()

    async def migrate(self) -> int:
        """Brings the database to this release and loads the defaults that a day-one installation ships."""
        settings = self.read_settings()
        if settings.owner_database_url is None:
            raise DeskError("migrate needs DESK_OWNER_DATABASE_URL, the role that owns the tables")
        serving_role = make_url(settings.database_url.get_secret_value()).username
        await migrate(
            settings.owner_database_url.get_secret_value(),
            serving_role=serving_role or "",
            histories={self.name: f"{self.name}.migrations"},
        )
        defaults = Path(str(resources.files(self.name))) / "defaults.yaml"
        return await self.load_file(defaults) if defaults.exists() else 0


def _application(service: Service) -> typer.Typer:
    app = typer.Typer(
        add_completion=False, no_args_is_help=True, help=service.title, pretty_exceptions_enable=False
    )
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

    app.add_typer(_messaging(service), name="messaging", help="lag, backlog, leader, and parked messages")
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
        parts = Parts(
            name=service.name,
            title=service.title,
            settings=settings,
            routers=service.routers,
            subscribers=service.subscribers,
            jobs=service.jobs,
        )
        uvloop.run(parts.run(part))

    return run


def _configure(service: Service, part: str) -> None:
    logs.configure(service.name, part, service.read_settings().log_level)


def _messaging(service: Service) -> typer.Typer:
    app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)
    operator = importlib.import_module("shared.messaging.operator")

    def run(work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run(work)

    def show(rows: object) -> None:
        typer.echo(json.dumps(rows, default=str, indent=2, ensure_ascii=False))

    @app.command(help="how far behind the log this service is, per topic")
    def lag() -> None:
        show(run(operator.lag(service.read_settings(), service.subscribers)))

    @app.command(help="what is committed and not yet sent, and which keys cannot be sent")
    def backlog() -> None:
        show(run(operator.backlog(service.read_settings())))

    @app.command(help="which process leads the relays of this database")
    def leader() -> None:
        show(run(operator.leader(service.read_settings())))

    @app.command(help="the parked messages, without their values")
    def parked(state: str = "waiting", limit: int = 100) -> None:
        show(run(operator.parked(service.read_settings(), state, limit)))

    @app.command("show", help="one parked message whole; its value may be personal")
    def show_command(number: int) -> None:
        show(run(operator.show(service.read_settings(), number)))

    @app.command(help="try blocked keys again now: all of them, or one")
    def retry(key: Annotated[str | None, typer.Option()] = None) -> None:
        show(run(operator.retry(service.read_settings(), key)))

    @app.command(help="give one parked message up; the row stays with the reason")
    def discard(number: int, reason: Annotated[str, typer.Option()]) -> None:
        show(run(operator.discard(service.read_settings(), number, reason)))

    @app.command("release", help="let a key that could not be sent try again, after its cause was mended")
    def release(topic: str, key: str) -> None:
        show(run(operator.release(service.read_settings(), topic, key)))

    @app.command("adopt-cluster", help="take the present Kafka cluster for this database's own")
    def adopt_cluster() -> None:
        show(run(operator.adopt(service.read_settings())))

    return app
