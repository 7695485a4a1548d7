"""`desk demo`: the main job as the personas play it, through the public APIs only, and how fast each reaction was."""

from __future__ import annotations

import asyncio

from rich.console import Console

from runner.demo import show
from runner.demo.desk import Desk
from runner.demo.elsewhere import Elsewhere
from runner.demo.story import ReactionMissing, Trail, play
from runner.installation import SERVICES, Installation
from runner.issuer import issue


def main(installation: Installation, console: Console) -> int:
    """Play it and print the trail; the exit code: 1 when a reaction did not come. Raises RunnerError before that."""
    return asyncio.run(_main(installation, console))


def desk_of(installation: Installation, *, connections: int = 16) -> Desk:
    """The APIs of an installation on this machine, with tokens of its own issuer; or what the environment names."""
    if (given := Elsewhere.from_environment()) is not None:
        return Desk(given.urls(installation), given.token_of, connections=connections)
    urls = {service: installation.url_of(service) for service in SERVICES}
    return Desk(urls, lambda key: issue(installation.state, key), connections=connections)


async def _main(installation: Installation, console: Console) -> int:
    trail = Trail()
    async with desk_of(installation) as desk:
        await desk.require_ready()
        try:
            with console.status("jugando el caso principal …") as status:
                await play(desk, trail, status.update)
        except ReactionMissing as error:
            show.show_trail(console, trail)
            console.print(f"[red]{error.message}[/red]")
            return 1
    show.show_trail(console, trail)
    show.show_history(console, trail.view)
    show.show_end(console, trail)
    return 0
