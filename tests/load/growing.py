"""What a reader waits for when there are ten times and a hundred times as many tickets, each beside the fewest."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import get_args

import httpx2

from tests.load.connection import request_of
from tests.load.figures import Cell, Table, percentile, ratio, spread
from tests.load.filling import CLIENTS, FREQUENT, PEOPLE, RARE, SMALL_CLIENT, Filled, fill
from tests.load.generator import Closed, Seen, call
from tests.load.machine import cpu_of
from tests.load.scene import API_PROCESSES, Options, Scene
from tests.support.databases import OWNER
from tests.support.system import READY_SECONDS, Process, System
from tests.support.waiting import wait_until
from tickets.api.lists import BY_DUE
from tickets.queries.rows import Included

CALLERS = 8
FLOOR = "empty route"
COLUMNS = (
    "asked", "tickets", "per second", "p50 ms", "p95 ms", "p99 ms", "p99 of the fewest", "PostgreSQL ms/op", "failed",
)  # fmt: skip


class ApiAlone(System):
    """The api of tickets and the issuer of tokens: who reads needs nothing else, and nothing else takes the cores."""

    def _start(self) -> None:
        self._start_issuer()
        asyncio.run(self._prepare_database("tickets"))
        self.processes["tickets", "api"] = [self._process("tickets", "api") for _ in range(self.copies["api"])]
        for process in self.all():
            process.start()
            # Ready it never is: nobody fills the replicas of an installation that has no other part.
            wait_until(partial(_lives, process), within=READY_SECONDS)


def _lives(process: Process) -> bool:
    with suppress(httpx2.HTTPError):
        return httpx2.get(f"{process.url}/livez", timeout=3).status_code == 200
    return False


def measure_growth(scene: Scene, options: Options) -> list[Table]:
    """Queue, lists, views and searches at 8 callers, at each number of tickets."""
    alone = ApiAlone(
        scene.folder, scene.servers.postgres_url, scene.servers.kafka_bootstrap, copies={"api": API_PROCESSES}
    )
    scene.system = scene.stack.enter_context(alone)
    floor = [request_of("GET", "/empty", scene.token)]
    floors = scene.floor(FLOOR, floor, 200).targets
    table = Table("growth: what a reader waits for, two processes, 8 callers", COLUMNS)
    fewest: dict[str, float | None] = {}
    rows: dict[str, list[tuple[Cell, ...]]] = {}
    notes = []
    for size in options.sizes:
        begun = time.perf_counter()
        filled = asyncio.run(fill(scene.system.database_url("tickets", OWNER), size))
        notes.append(f"{size:,} tickets, {filled.open:,} open, filled in {time.perf_counter() - begun:.0f} s")
        asked = {**_reads(filled, scene.token), FLOOR: floor}
        for name, requests in asked.items():
            seen, worked = _measure(scene, floors if name == FLOOR else scene.targets, requests, options)
            p99 = percentile(seen.answered, 99)
            row = (
                name, size, seen.count / seen.seconds, *spread(seen.answered), ratio(p99, fewest.setdefault(name, p99)),
                worked, seen.failed,
            )  # fmt: skip
            rows.setdefault(name, []).append(row)
    table.rows = [row for name in rows for row in rows[name]]
    table.notes = [
        "closed loop; the callers are one separate process on the same cores; the empty route only checks the token",
        *notes,
    ]
    return [table]


def _reads(filled: Filled, token: str) -> dict[str, list[str]]:
    """The requests of each kind; what is looked for is another one each time where there are many."""
    chance = random.Random(5)
    clients, people = chance.choices(CLIENTS, k=200), chance.choices(PEOPLE, k=200)
    numbers = [chance.randint(1, filled.tickets) for _ in range(200)]
    paths: dict[str, Sequence[str]] = {
        "queue by due": ["?sort=due"],
        "last page of the queue by due": [f"?sort=due&after={BY_DUE.cursor(*filled.last_page)}"],
        "queue by opening": ["?sort=opened"],
        "queue of a target by due": ["?sort=due&target=analysts", "?sort=due&target=development"],
        "in somebody's hands by due": [f"?sort=due&assignee={one}" for one in people],
        "of a client": [f"?client={one}" for one in clients],
        "of a client by due": [f"?client={one}&sort=due" for one in clients],
        "of a client, ended too": [f"?client={one}&status=all" for one in clients],
        "of two clients, ended too": [f"?client={one}&client={clients[0]}&status=all" for one in clients],
        "in nobody's hands, or one's own, by due": [f"?sort=due&assignee=none&assignee={one}" for one in people],
        "somebody takes part, ended too": [f"?participant={one}&status=all" for one in people],
        "breached, ended too": ["?breached=yes&status=all"],
        "everything included": ["?sort=due&" + "&".join(f"include={one}" for one in get_args(Included))],
        "cancelled": ["?status=cancelled"],
        "open with a frequent word": [f"?q={word}" for word in FREQUENT],
        "open with a rare word": [f"?q={RARE}"],
        "open with two letters": ["?q=xz", "?q=ue"],
        **{f"all with a word of {share:.1%}": [f"?q={word}&status=all"] for word, share in FREQUENT.items()},
        "all of a client by its name": [f"?q=cliente+{one}&status=all" for one in CLIENTS],
        "open ones of a client by its name": [f"?q=cliente+{one}" for one in CLIENTS],
        "all with a rare word": [f"?q={RARE}&status=all"],
        "all with no such word": ["?q=kwyjibo&status=all", "?q=jirafa+verde&status=all"],
        "small client, all with a frequent word": [f"?q=factura&client={SMALL_CLIENT}&status=all"],
        "small client, all with a rare word": [f"?q={RARE}&client={SMALL_CLIENT}&status=all"],
        "in somebody's hands, all with a frequent word": [f"?q=factura&assignee={one}&status=all" for one in people],
        "in somebody's hands, all with a rare word": [f"?q={RARE}&assignee={one}&status=all" for one in people],
        "all with a number": [f"?q={number}&status=all" for number in numbers],
        "all with a number as it is written": [f"?q=T-{number:06d}&status=all" for number in numbers],
        "open with a number as it is written": [f"?q=T-{number:06d}" for number in numbers],
        "view": [f"/{one}" for one in filled.ids],
        "view of a long history": [f"/{filled.long}"],
        "page of a long history": [f"/{filled.long}/history?limit=50"],
    }
    return {name: [request_of("GET", f"/v1/tickets{one}", token) for one in each] for name, each in paths.items()}


def _measure(scene: Scene, targets: list[str], requests: list[str], options: Options) -> tuple[Seen, float | None]:
    """What the callers saw, and the milliseconds that PostgreSQL worked for each request."""
    # Each connection prepares its statements once; what comes after is what everybody waits for.
    call(Closed(targets, requests, CALLERS, 0.5))
    with cpu_of(scene.database_processes) as database:
        seen = call(Closed(targets, requests, CALLERS, options.loop_seconds * options.rounds))
    known = scene.database_server is not None
    return seen, database.seconds * 1000 / max(1, seen.count) if known else None
