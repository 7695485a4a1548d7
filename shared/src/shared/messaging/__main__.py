"""python -m shared.messaging topics | acls: the topics of the registry, and who may do what with them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Annotated, Any, TypeVar

import typer
from aiokafka.errors import KafkaError

from shared.contracts.topics import ALL_TOPICS
from shared.errors import DeskError
from shared.messaging.access import registry, script
from shared.messaging.kafka import Cluster, silence
from shared.messaging.topics import create_topics
from shared.settings import KafkaSettings
from shared.system_errors import explain, wants_traceback

T = TypeVar("T")
Outsiders = Annotated[
    str, typer.Option(envvar="DESK_KAFKA_OUTSIDERS", help="other systems that read, separated by spaces")
]

app = typer.Typer(
    add_completion=False, help="Topics and rights of the whole installation.", pretty_exceptions_enable=False
)


@app.command()
def topics(
    replication: Annotated[int, typer.Option(envvar="DESK_KAFKA_REPLICATION", min=1)] = 1,
) -> None:
    """Create what is missing and check what exists; safe to run again."""
    cluster = Cluster.of(KafkaSettings())
    created = _answered(cluster, create_topics(cluster, ALL_TOPICS, replication=replication))
    typer.echo(f"{len(created)} topics created, {len(ALL_TOPICS) - len(created)} were there already")


@app.command()
def acls(outsiders: Outsiders = "") -> None:
    """Print the rights of the registry as a script of `kafka-acls.sh`; nothing is asked or changed."""
    typer.echo(script(registry(Cluster.of(KafkaSettings()), outsiders.split())))


def _answered(cluster: Cluster, work: Coroutine[Any, Any, T]) -> T:
    try:
        return asyncio.run(work)
    except KafkaError as error:
        raise silence(cluster, error) from error


def main() -> None:
    """Run the command line; what goes wrong is one clear line and exit code 1."""
    # What the client says of each attempt is in the one line that counts.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    try:
        app()
    except (DeskError, OSError) as error:
        if wants_traceback():
            raise
        raise SystemExit(
            f"shared.messaging: {error.message if isinstance(error, DeskError) else explain(error)}"
        ) from None


if __name__ == "__main__":
    main()
