"""What the benchmarks of the running product share: the system, the floors beside it, the requests, the measuring."""

from __future__ import annotations

import asyncio
import itertools
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx2
import yaml

from runner.databases import clone_database, drop_database
from runner.ports import free_port
from tests.load import machine
from tests.load.connection import request_of
from tests.load.generator import Open, Seen, call
from tests.support.databases import CHECKOUT, OWNER, PASSWORD, SERVING, ensure_template
from tests.support.servers import Servers
from tests.support.system import Process, System
from tests.support.waiting import wait_until

API_PROCESSES = 2
SETTLED_SECONDS = 300
REACTED = """
    SELECT t.id FROM tickets.tickets t JOIN tickets.environments e ON e.ticket_id = t.id WHERE 2 = (
        SELECT count(*) FROM tickets.clocks k WHERE k.ticket_id = t.id AND k.course IS NOT NULL)
"""


@dataclass(frozen=True)
class Options:
    """How long and how much. The defaults are those of `make bench`."""

    rates: tuple[float, ...] = (5, 20, 50)
    arrival_seconds: float = 20
    concurrency: tuple[int, ...] = (1, 8, 32)
    loop_seconds: float = 3
    rounds: int = 3
    rows: int = 20_000


@dataclass
class Subject:
    """One thing that is measured beside others: where it answers, what it is asked, and the processes that work."""

    name: str
    targets: list[str]
    requests: list[str]
    expected: int
    pids: list[int]


@dataclass
class Scene:
    """The product on this session's servers, started when the first benchmark needs it."""

    servers: Servers
    folder: Path
    stack: ExitStack = field(default_factory=ExitStack)

    @cached_property
    def system(self) -> System:
        """All four services as processes, tickets' and everybody's api twice."""
        system = System(
            self.folder, self.servers.postgres_url, self.servers.kafka_bootstrap, copies={"api": API_PROCESSES}
        )
        return self.stack.enter_context(system)

    @cached_property
    def token(self) -> str:
        """What every caller shows."""
        return self.system.token()

    @cached_property
    def backends(self) -> list[int]:
        """The processes of PostgreSQL, where they run on this machine."""
        (row,) = asyncio.run(self._rows("SELECT pg_backend_pid()"))
        return machine.server_pids(row[0])

    @cached_property
    def floors(self) -> list[Process]:
        """Two processes of the floor application, on a database of their own."""
        # Once the tickets are asked for, the template is there.
        name = f"{self.system.prefix.rstrip('.')}_floor"
        admin = self.servers.postgres_url
        asyncio.run(_make_database(admin, name))
        self.stack.callback(lambda: asyncio.run(drop_database(admin, name)))
        own = self.system.database_url("tickets").replace(self.system.database("tickets"), name)
        floors = [_Floor(self.system, self.folder, own) for _ in range(API_PROCESSES)]
        for floor in floors:
            self.stack.callback(floor.kill)
            floor.start()
        for floor in floors:
            wait_until(floor.is_ready, within=60)
        return list(floors)

    def close(self) -> None:
        """Ends everything that was started."""
        self.stack.close()

    # -- what runs ----------------------------------------------------------------------------------------------

    def run_everything(self) -> None:
        """All processes of all services run and are ready."""
        for process in self.system.all():
            if process.running is None or process.running.poll() is not None:
                process.start()
        self.system.wait_until_ready()

    def run_api_alone(self) -> None:
        """Only the api of tickets runs: nothing reacts, so that nothing competes with it for the cores."""
        for process in self.system.all():
            if (process.service, process.part) != ("tickets", "api"):
                process.kill()

    @property
    def targets(self) -> list[str]:
        """Where the api processes of tickets answer."""
        return [f"127.0.0.1:{process.port}" for process in self.system.all("tickets", "api")]

    # -- what is asked ------------------------------------------------------------------------------------------

    @cached_property
    def bodies(self) -> list[str]:
        """What representatives register: one incident for each installation of the demo data."""
        return [_body(one["client_id"], one["product_id"]) for one in _installations()]

    def openings(self, path: str = "/v1/tickets") -> list[str]:
        """Requests that open a ticket."""
        return [request_of("POST", path, self.token, body) for body in self.bodies]

    def views(self, path: str = "/v1/tickets/{id}") -> list[str]:
        """Requests for whole tickets on which every service has reacted."""
        return [request_of("GET", path.format(id=id), self.token) for id in self._reacted_tickets()]

    def _reacted_tickets(self) -> list[str]:
        found = self.reacted()
        if len(found) < 100:
            self.run_everything()
            self.arrive(rate=40, seconds=5)
            found = self.reacted()
        return [str(row["id"]) for row in found[:500]]

    def arrive(self, rate: float, seconds: float) -> Seen:
        """Tickets arrive by chance and are watched until every service has reacted."""
        url = self.system.database_url("tickets", OWNER)
        return call(Open(self.targets, self.openings(), self.token, url, rate, seconds))

    def reacted(self) -> Sequence[Any]:
        """The tickets that have their environment and both clocks."""
        return asyncio.run(self._rows(REACTED))

    def settle(self) -> None:
        """Waits until every ticket that was opened has everything."""
        (opened,) = asyncio.run(self._rows("SELECT count(*) FROM tickets.tickets"))
        wait_until(lambda: len(self.reacted()) == opened["count"], within=SETTLED_SECONDS)

    async def _rows(self, query: str) -> Sequence[Any]:
        return await self.system.rows("tickets", query)

    # -- who answers --------------------------------------------------------------------------------------------

    def product(self, requests: list[str], expected: int) -> Subject:
        """The api processes of tickets."""
        pids = [process.running.pid for process in self.system.all("tickets", "api") if process.running]
        return Subject("PSA Desk", self.targets, requests, expected, pids)

    def floor(self, name: str, requests: list[str], expected: int) -> Subject:
        """One route of the floor application."""
        targets = [f"127.0.0.1:{process.port}" for process in self.floors]
        return Subject(name, targets, requests, expected, [one.running.pid for one in self.floors if one.running])


class _Floor(Process):
    """One process of the floor application."""

    def __init__(self, system: System, folder: Path, own_url: str) -> None:
        port = free_port()
        environment = {
            **system.environment("tickets"),
            "DESK_TICKETS_DATABASE_URL": system.database_url("tickets"),
            "DESK_DATABASE_URL": own_url,
        }
        super().__init__("floor", "api", port, folder / f"floor-{port}.log", environment)

    def start(self) -> None:
        with self.log.open("ab") as output:
            self.running = subprocess.Popen(
                [sys.executable, "-m", "tests.load.floor"],
                env={**self.environment, "DESK_PORT": str(self.port)},
                cwd=CHECKOUT,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def is_ready(self) -> bool:
        try:
            return httpx2.get(f"{self.url}/empty", timeout=3).status_code == 401
        except httpx2.HTTPError:
            return False
