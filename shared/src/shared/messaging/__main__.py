"""python -m shared.messaging topics: makes all topics of the registry."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from shared.contracts.topics import TOPICS
from shared.errors import DeskError
from shared.messaging.kafka import Cluster
from shared.messaging.topics import create_topics

app = typer.Typer(add_completion=False, help="The topics of the whole installation.")


@app.callback()
def root() -> None:
    """Keeps `topics` a subcommand of its own."""


@app.command()
def topics(
    bootstrap: Annotated[str, typer.Option(envvar="DESK_KAFKA_BOOTSTRAP")] = "127.0.0.1:8496",
    prefix: Annotated[str, typer.Option(envvar="DESK_TOPIC_PREFIX")] = "",
    replication: Annotated[int, typer.Option(envvar="DESK_KAFKA_REPLICATION")] = 1,
) -> None:
    """Create what is missing and check what exists; safe to run again."""
    try:
        created = asyncio.run(create_topics(Cluster(bootstrap, prefix), TOPICS, replication=replication))
    except DeskError as error:
        typer.echo(error.message, err=True)
        raise typer.Exit(1) from error
    typer.echo(f"{len(created)} topics created, {len(TOPICS) - len(created)} were there already")


if __name__ == "__main__":
    app()
