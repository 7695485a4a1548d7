"""The callers, as a process of their own: `python -m tests.load.generator` reads a plan and writes what it saw.

A closed loop asks again as soon as it has its answer, and says how much fits. An open loop asks when its schedule says
so, whatever happened to the earlier requests, and says how long people wait, counted from the intended start.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import asyncpg
import uvloop

from tests.load.connection import KEY, Connection, request_of
from tests.support.databases import CHECKOUT

WATCH_SECONDS = 0.005
SETTLED_SECONDS = 60
REACTED = """
    SELECT e.ticket_id FROM tickets.environments e WHERE e.ticket_id = ANY($1::uuid[]) AND 2 = (
        SELECT count(*) FROM tickets.clocks k WHERE k.ticket_id = e.ticket_id)
"""


@dataclass
class Closed:
    """So many callers at once for so many seconds."""

    targets: list[str]
    requests: list[str]
    concurrency: int
    seconds: float
    expected: int = 200
    kind: str = "closed"


@dataclass
class Open:
    """Tickets that arrive by chance, so many a second on average, and are watched until every service has reacted."""

    targets: list[str]
    requests: list[str]
    token: str
    database_url: str
    rate: float
    seconds: float
    seed: int = 2026
    kind: str = "open"


@dataclass
class Seen:
    """What the callers saw. Times are milliseconds; those of an open loop count from the intended start."""

    count: int = 0
    failed: int = 0
    statuses: dict[str, int] = field(default_factory=dict)
    unfinished: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    bytes: int = 0
    answered: list[float] = field(default_factory=list)
    visible: list[float] = field(default_factory=list)
    environment: list[float] = field(default_factory=list)
    clocks: list[float] = field(default_factory=list)

    def refuse(self, status: int) -> None:
        """Counts an answer that was not the expected one."""
        self.failed += 1
        self.statuses[str(status)] = self.statuses.get(str(status), 0) + 1


def call(plan: Closed | Open) -> Seen:
    """Runs a plan in a process of its own."""
    with TemporaryDirectory(prefix="desk-load-") as folder:
        given, told = Path(folder) / "plan.json", Path(folder) / "seen.json"
        given.write_text(json.dumps(asdict(plan)), encoding="utf-8")
        done = subprocess.run(
            [sys.executable, "-m", "tests.load.generator", str(given), str(told)],
            capture_output=True,
            text=True,
            cwd=CHECKOUT,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"the load generator failed:\n{done.stderr[-3000:]}")
        return Seen(**json.loads(told.read_text(encoding="utf-8")))


async def close_loop(plan: Closed) -> Seen:
    """Every caller asks, waits for the answer, and asks again."""
    seen, requests = Seen(), _endless(plan.requests)
    connections = [await Connection.open(plan.targets[n % len(plan.targets)]) for n in range(plan.concurrency)]
    # The first answer of a connection pays for what later ones find ready; it is not counted.
    await asyncio.gather(*[one.ask(next(requests)) for one in connections])
    begun, cpu = time.perf_counter(), time.process_time()
    until = begun + plan.seconds
    await asyncio.gather(*[_ask_until(until, one, requests, plan.expected, seen) for one in connections])
    seen.seconds, seen.cpu_seconds = time.perf_counter() - begun, time.process_time() - cpu
    for one in connections:
        one.close()
    return seen


def _endless(requests: list[str]) -> Iterator[bytes]:
    """The requests over and over, each with a key of its own where it has a place for one."""
    place, run = KEY.encode(), uuid.uuid4().hex
    for number, request in enumerate(itertools.cycle([each.encode() for each in requests])):
        yield request.replace(place, f"{run}-{number}".encode(), 1)


async def _ask_until(
    until: float, connection: Connection, requests: Iterator[bytes], expected: int, seen: Seen
) -> None:
    while (asked := time.perf_counter()) < until:
        status, body = await connection.ask(next(requests))
        if status != expected:
            seen.refuse(status)
            continue
        seen.count += 1
        seen.bytes += len(body)
        seen.answered.append((time.perf_counter() - asked) * 1000)


class Watch:
    """Opens tickets on a schedule and sees when each has everything.

    One query for all waiting tickets, every five milliseconds, says which of them look complete; only those are then
    asked for by GET, and the end of the GET that shows everything is the instant. So the resolution is five
    milliseconds and one GET, at a cost that does not grow with the rate.
    """

    def __init__(self, plan: Open) -> None:
        self.plan = plan
        self.seen = Seen()
        self._idle: list[Connection] = []
        self._targets = itertools.cycle(plan.targets)
        self._waiting: dict[str, float] = {}
        self._looking = 0
        self._arriving = True

    async def run(self) -> Seen:
        """The whole schedule, and what follows it until the last reaction."""
        begun, cpu = time.perf_counter(), time.process_time()
        watching = asyncio.create_task(self._watch())
        async with asyncio.TaskGroup() as calls:
            requests = _endless(self.plan.requests)
            for at in self._schedule():
                await asyncio.sleep(begun + at - time.perf_counter())  # until the next caller calls
                calls.create_task(self._open(begun + at, next(requests)))
        self._arriving = False
        with suppress(TimeoutError):
            await asyncio.wait_for(watching, SETTLED_SECONDS)
        self.seen.unfinished = len(self._waiting)
        self.seen.seconds, self.seen.cpu_seconds = time.perf_counter() - begun, time.process_time() - cpu
        return self.seen

    def _schedule(self) -> Iterator[float]:
        chance = random.Random(self.plan.seed)
        at = chance.expovariate(self.plan.rate)
        while at < self.plan.seconds:
            yield at
            at += chance.expovariate(self.plan.rate)

    async def _open(self, intended: float, request: bytes) -> None:
        status, body = await self._ask(request)
        if status != 201:
            self.seen.refuse(status)
            return
        self.seen.count += 1
        self.seen.answered.append((time.perf_counter() - intended) * 1000)
        self._waiting[json.loads(body)["id"]] = intended

    async def _ask(self, request: bytes) -> tuple[int, bytes]:
        while self._idle and not self._idle[-1].is_open:
            self._idle.pop()
        connection = self._idle.pop() if self._idle else await Connection.open(next(self._targets))
        answer = await connection.ask(request)
        self._idle.append(connection)
        return answer

    async def _watch(self) -> None:
        database = await asyncpg.connect(self.plan.database_url)
        try:
            async with asyncio.TaskGroup() as looks:
                while self._arriving or self._waiting or self._looking:
                    rows = await database.fetch(REACTED, list(self._waiting)) if self._waiting else []
                    found = {ticket_id: self._waiting.pop(ticket_id) for ticket_id in (str(row[0]) for row in rows)}
                    for ticket_id, intended in found.items():
                        looks.create_task(self._confirm(ticket_id, intended))
                        self._looking += 1
                    await asyncio.sleep(WATCH_SECONDS)  # the resolution of what is measured
        finally:
            await database.close()

    async def _confirm(self, ticket_id: str, intended: float) -> None:
        status, body = await self._ask(request_of("GET", f"/v1/tickets/{ticket_id}", self.plan.token).encode())
        now, view = time.perf_counter(), json.loads(body)
        self._looking -= 1
        if status != 200 or view["environment"]["state"] == "pending" or len(view["clocks"]) < 2:
            # Not shown yet: the next turn of the watch looks again.
            self._waiting[ticket_id] = intended
            return
        self.seen.visible.append((now - intended) * 1000)
        told = {entry["type"]: datetime.fromisoformat(entry["recorded_at"]) for entry in view["history"]}
        opened = told["desk.ticket.opened.v1"]
        for type_, at in told.items():
            if type_.startswith("desk.environment."):
                self.seen.environment.append((at - opened).total_seconds() * 1000)
            elif type_ == "desk.sla-clock.started.v1":
                self.seen.clocks.append((at - opened).total_seconds() * 1000)


async def _run(plan: dict[str, Any]) -> Seen:
    return await (close_loop(Closed(**plan)) if plan["kind"] == "closed" else Watch(Open(**plan)).run())


if __name__ == "__main__":
    seen = uvloop.run(_run(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))))
    Path(sys.argv[2]).write_text(json.dumps(asdict(seen)), encoding="utf-8")
