"""`python -m <service> messaging …`: an operator's commands on the command line, answers as JSON."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine
from types import ModuleType
from typing import Annotated, Any, Protocol

import typer
from sqlalchemy.exc import SQLAlchemyError

from shared.db.failures import problem_of
from shared.errors import Unavailable
from shared.settings import ServiceSettings


class Operated(Protocol):
    """What the commands need to know of a service."""

    @property
    def settings(self) -> type[ServiceSettings]:
        """The class of its settings."""

    def module(self, role: str) -> ModuleType | None:
        """The module of a role."""


def messaging_commands(service: Operated) -> typer.Typer:
    """All commands; the Kafka client is imported only when one is run."""
    app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)
    _add_questions(app, service)
    _add_actions(app, service)
    return app


def _answer(work: Coroutine[Any, Any, Any]) -> None:
    from aiokafka.errors import KafkaError

    try:
        answer = asyncio.run(work)
    except KafkaError as error:
        raise Unavailable(f"Kafka does not answer: {error}") from error
    except (OSError, SQLAlchemyError) as error:
        raise Unavailable(f"the database does not answer: {problem_of(error)}") from error
    typer.echo(json.dumps(answer, default=str, indent=2, ensure_ascii=False))


def _add_questions(app: typer.Typer, service: Operated) -> None:
    @app.command(help="how far behind the log this service is, per topic")
    def lag() -> None:
        from shared.messaging import operator

        _answer(operator.lag(service.settings(), service.module("subscribers")))

    @app.command(help="what is committed and not yet sent, and which keys cannot be sent")
    def backlog() -> None:
        from shared.messaging import operator

        _answer(operator.backlog(service.settings()))

    @app.command(help="which process leads the relays of this database")
    def leader() -> None:
        from shared.messaging import operator

        _answer(operator.leader(service.settings()))

    @app.command(help="the parked messages of a state (waiting, applied, discarded), without their values")
    def parked(state: str = "waiting", limit: int = 100) -> None:
        from shared.messaging import operator

        _answer(operator.parked(service.settings(), state, limit))

    @app.command(help="one parked message whole; its value may be personal")
    def show(number: int) -> None:
        from shared.messaging import operator

        _answer(operator.show(service.settings(), number))


def _add_actions(app: typer.Typer, service: Operated) -> None:
    @app.command(help="try blocked keys again now: all of them, or one")
    def retry(key: Annotated[str | None, typer.Option()] = None) -> None:
        from shared.messaging import operator

        _answer(operator.retry(service.settings(), key))

    @app.command(help="give one parked message up; the row stays, with the reason")
    def discard(number: int, reason: Annotated[str, typer.Option()]) -> None:
        from shared.messaging import operator

        _answer(operator.discard(service.settings(), number, reason))

    @app.command(help="let a key that could not be sent try again, after its cause was mended")
    def release(topic: str, key: str) -> None:
        from shared.messaging import operator

        _answer(operator.release(service.settings(), topic, key))

    @app.command("adopt-cluster", help="take the present Kafka cluster for this database's own")
    def adopt_cluster() -> None:
        from shared.messaging import operator

        _answer(operator.adopt(service.settings(), service.module("subscribers")))
