"""`desk demo --from FILE`: a real incident log, through the same APIs as everybody, as if it happened now."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Iterable, Mapping

from runner.demo.desk import Desk, TokenOf
from runner.replay.catalogue import read_catalogue
from runner.replay.counting import Counting, Counts
from runner.replay.house import house_of
from runner.replay.log import Incident
from runner.replay.playing import Player, Tally
from runner.replay.staffing import staff

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

    `api_urls` maps each service to its address, `token_of` gives a token for a persona.
    The incidents are all read first: their people and teams are made known to the desk before the first one is opened.
    `speed`: seconds of the log in one second; None: as fast as it goes.
    `stall_seconds`: how long nothing may move before the count is taken as it is. `stop` ends the playing early; what
    was opened is counted all the same. Raises RunnerError when the system is not up or has no reference data.
    """
    watching = watcher or Watcher()
    async with Desk(api_urls, token_of, connections=concurrency) as desk:
        await desk.require_ready()
        catalogue = await read_catalogue(desk)
        log = list(incidents)
        routing = await staff(desk, house_of(log, catalogue), concurrency)
        run = secrets.token_hex(3)
        player = Player(
            desk, catalogue, routing, run, concurrency, speed, stop or asyncio.Event(), changed=watching.played
        )
        began = clock()
        await player.play(log)
        counts = Counts(player.tally, playing_seconds=clock() - began)
        ended = clock()
        await Counting(desk, counts, concurrency, stall_seconds, watching.counted).count(player.tally.tickets)
        counts.reacting_seconds = clock() - ended
    return counts
