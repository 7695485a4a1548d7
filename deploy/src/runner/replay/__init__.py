"""`desk demo --from FILE`: a real incident log, through the same APIs as everybody, as if it happened now."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Iterable, Mapping

from runner.demo.desk import Desk, TokenOf
from runner.replay.catalogue import read_catalogue
from runner.replay.counting import Counting, Counts
from runner.replay.log import Incident
from runner.replay.playing import Player, Tally

STALL_SECONDS = 60.0


class Watcher:
    """Is told how far it is. Says nothing itself."""

    def played(self, tally: Tally) -> None:
        """After every request that was done."""

    def counted(self, finished: int, of: int) -> None:
        """After every look at the tickets that have not reacted yet."""


async def replay(
    api_urls: Mapping[str, str],
    token_of: TokenOf,
    incidents: Iterable[Incident],
    *,
    speed: float | None = None,
    concurrency: int = 8,
    stall_seconds: float = STALL_SECONDS,
    watcher: Watcher | None = None,
    stop: asyncio.Event | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Counts:
    """Plays the incidents, waits until everything has reacted, and counts.

    `api_urls` maps each service to its address, `token_of` gives a token for a persona (agent, analyst, supervisor).
    `speed`: seconds of the log in one second (the incidents are then all read first); None: as fast as it goes.
    `stall_seconds`: how long nothing may move before the count is taken as it is. `stop` ends the playing early; what
    was opened is counted all the same. Raises RunnerError when the system is not up or has no reference data.
    """
    watching = watcher or Watcher()
    async with Desk(api_urls, token_of, connections=concurrency) as desk:
        await desk.require_ready()
        catalogue = await read_catalogue(desk)
        player = Player(
            desk, catalogue, secrets.token_hex(3), concurrency, speed, stop or asyncio.Event(), changed=watching.played
        )
        began = clock()
        await player.play(incidents)
        counts = Counts(player.tally, playing_seconds=clock() - began)
        ended = clock()
        await Counting(desk, counts, concurrency, stall_seconds, watching.counted).count(player.tally.tickets)
        counts.reacting_seconds = clock() - ended
    return counts
