"""`python -m <service> messaging …`: an operator's commands on the command line, answers as JSON."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Coroutine
from types import ModuleType
from typing import Annotated, Any, Literal, Protocol

import typer

from shared.db.failures import problem_of
from shared.errors import Unavailable
from shared.settings import ServiceSettings

ParkedState = Literal["waiting", "applied", "discarded"]
DryRun = Annotated[bool, typer.Option("--dry-run", help="only tell where it stood and from where it would read")]
TypeName = Annotated[str, typer.Argument(metavar="TYPE", help="as in desk.ticket.opened.v1")]


class Operated(Protocol):
    """What the commands need to know of a service."""

    @property
    def name(self) -> str:
        """Its name, which its topics' owner goes by."""

    @property
    def settings(self) -> type[ServiceSettings]:
        """The class of its settings."""

    def projections(self) -> ModuleType | None:
        """The module of its projections; None where it has none."""

    def module(self, role: str) -> ModuleType | None:
        """The module of a role."""


def messaging_commands(service: Operated) -> typer.Typer:
    """All commands; the Kafka client is imported only when one is run."""
    app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)
    _add_questions(app, service)
    _add_actions(app, service)
    _add_recovery(app, service)
    _add_decisions(app, service)
    return app


def _answer(service: Operated, work: Coroutine[Any, Any, Any]) -> None:
    """Prints the answer as JSON. Raises Unavailable in a sentence when a server does not answer."""
    from aiokafka.errors import KafkaError

    from shared.messaging.kafka import Cluster, silence

    # What the client says of each attempt is in the one line that counts.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    try:
        answer = asyncio.run(work)
    except KafkaError as error:
        raise silence(Cluster(service.settings().kafka_bootstrap), error) from error
    except OSError as error:
        raise Unavailable(
            f"the database does not answer: {problem_of(error)}. Is DESK_DATABASE_URL right, does the server run?"
        ) from error
    typer.echo(json.dumps(answer, default=str, indent=2, ensure_ascii=False))


def _add_questions(app: typer.Typer, service: Operated) -> None:
    @app.command(help="how far behind the log this service is, per topic")
    def lag() -> None:
        from shared.messaging import operator

        _answer(service, operator.lag(service.settings(), service.module("subscribers")))

    @app.command(help="what is committed and not yet sent, and which keys cannot be sent")
    def backlog() -> None:
        from shared.messaging import operator

        _answer(service, operator.backlog(service.settings()))

    @app.command(help="which process leads the relays of this database")
    def leader() -> None:
        from shared.messaging import operator

        _answer(service, operator.leader(service.settings()))

    @app.command(help="the parked messages of a state, oldest first, without their values")
    def parked(
        state: Annotated[ParkedState, typer.Option(help="which of them")] = "waiting",
        limit: Annotated[int, typer.Option(min=1, help="how many at most")] = 100,
    ) -> None:
        from shared.messaging import operator

        _answer(service, operator.parked(service.settings(), state, limit))

    @app.command(help="one parked message whole; its value may be personal")
    def show(number: int) -> None:
        from shared.messaging import operator

        _answer(service, operator.show(service.settings(), number))


def _add_actions(app: typer.Typer, service: Operated) -> None:
    @app.command(help="let the service's jobs try blocked keys again at once: all of them, or one")
    def retry(key: Annotated[str | None, typer.Option()] = None) -> None:
        from shared.messaging import operator

        _answer(service, operator.retry(service.settings(), key))

    @app.command(help="give one parked message up; the row stays, with the reason")
    def discard(number: int, reason: Annotated[str, typer.Option()]) -> None:
        from shared.messaging import operator

        _answer(service, operator.discard(service.settings(), number, reason))

    @app.command(help="let a key that could not be sent try again, after its cause was mended")
    def release(topic: str, key: str) -> None:
        from shared.messaging import operator

        _answer(service, operator.release(service.settings(), topic, key))


def _add_recovery(app: typer.Typer, service: Operated) -> None:
    """What puts right what a database lost, or a projection has wrong."""

    @app.command(help="go on behind what was published before the database was restored; says what it lacks")
    def advance() -> None:
        from shared.messaging import operator

        _answer(service, operator.advance(service.settings(), service.name))

    @app.command(help="tell again what this service has told, for whoever rebuilds a projection of it")
    def republish(
        type_names: Annotated[list[str] | None, typer.Option("--type", help="only these types")] = None,
        after: Annotated[int, typer.Option(min=0, help="begin after this position")] = 0,
        until: Annotated[int | None, typer.Option(min=0, help="end with this position")] = None,
    ) -> None:
        from shared.messaging import operator

        _answer(service, operator.republish(service.settings(), service.name, type_names, after, until))

    @app.command(help="do projections again from what their owners tell (`republish` of each): all of them, or some")
    def rebuild(
        projections: Annotated[list[str] | None, typer.Argument()] = None,
        check: Annotated[bool, typer.Option("--check", help="only say what differs")] = False,
    ) -> None:
        from shared.messaging import operator

        _answer(service, operator.rebuild(service, projections or [], change=not check))


def _add_decisions(app: typer.Typer, service: Operated) -> None:
    """What only an operator can decide: each ends a state in which the consumer does not go on by itself."""

    @app.command("adopt-cluster", help="take the present Kafka cluster for this database's own")
    def adopt_cluster(dry_run: DryRun = False) -> None:
        from shared.messaging import operator

        _answer(service, operator.adopt_cluster(service.settings(), service.module("subscribers"), dry_run=dry_run))

    @app.command("adopt-log", help="read a topic that was made anew, or cut, from its beginning")
    def adopt_log(topic: str, dry_run: DryRun = False) -> None:
        from shared.messaging import operator

        _answer(service, operator.adopt_log(service.settings(), service.module("subscribers"), topic, dry_run=dry_run))

    @app.command(help="apply late what was passed over of a type")
    def replay(type_name: TypeName, dry_run: DryRun = False) -> None:
        from shared.messaging import operator

        _answer(service, operator.replay(service.settings(), service.module("subscribers"), type_name, dry_run=dry_run))

    @app.command("accept-skipped", help="leave out for good what was passed over of a type; the reason is kept")
    def accept_skipped(type_name: TypeName, reason: Annotated[str, typer.Option()]) -> None:
        from shared.messaging import operator

        subscribers = service.module("subscribers")
        _answer(service, operator.accept_skipped(service.settings(), subscribers, type_name, reason))

    @app.command(help="let a stopped consumer park that many keys of a topic; the reason is kept")
    def accept(
        topic: str, keys: Annotated[int, typer.Option(min=1, max=100_000)], reason: Annotated[str, typer.Option()]
    ) -> None:
        from shared.messaging import operator

        _answer(service, operator.accept(service.settings(), service.module("subscribers"), topic, keys, reason))
