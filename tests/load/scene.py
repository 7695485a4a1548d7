"""What the benchmarks of the running product share: the system, the floors beside it, the requests, the measuring."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import httpx2
import yaml

from runner.databases import clone_database, drop_database
from runner.ports import free_port
from tests.load import machine
from tests.load.connection import request_of
from tests.load.generator import Open, Seen, call
from tests.support.databases import CHECKOUT, OWNER, ensure_template
from tests.support.servers import Servers
from tests.support.system import READY_SECONDS, Process, System
from tests.support.urgency import impact_of
from tests.support.waiting import wait_until

API_PROCESSES = 2
# What the first requests of a process pay for is not counted.
WARM_UP_SECONDS = 3.0
SETTLED_SECONDS = 300
BACKLOG_SECONDS = 0.5
LAST = "SELECT id FROM tickets.tickets ORDER BY id DESC LIMIT 1"
# Ids grow with time: only what this measure has opened is looked at, however full the tables are.
WAITING = """
    SELECT count(*) AS opened, count(*) FILTER (
        WHERE NOT EXISTS (SELECT FROM tickets.environments e WHERE e.ticket_id = t.id)
           OR 2 <> (SELECT count(*) FROM tickets.clocks k WHERE k.ticket_id = t.id)) AS waiting
    FROM tickets.tickets t WHERE t.id > $1
"""
REACTED = """
    SELECT t.id FROM tickets.tickets t JOIN tickets.environments e ON e.ticket_id = t.id WHERE 2 = (
        SELECT count(*) FROM tickets.clocks k WHERE k.ticket_id = t.id)
"""


@dataclass(frozen=True)
class Options:
    """How long and how much. The defaults are those of `make bench`."""

    rates: tuple[float, ...] = (5, 20, 50)
    arrival_seconds: float = 60
    concurrency: tuple[int, ...] = (1, 8, 32)
    loop_seconds: float = 3
    rounds: int = 3
    rows: int = 20_000
    sizes: tuple[int, ...] = (10_000, 100_000, 1_000_000)
    clocks: int = 1_000_000
    due: int = 2_000
    switched: int = 20_000


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
    # The backends of PostgreSQL that only look on: what they cost is not the product's.
    watching: set[int] = field(default_factory=set)

    @cached_property
    def system(self) -> System:
        """All four services as processes; the api of tickets twice."""
        system = System(
            self.folder, self.servers.postgres_url, self.servers.kafka_bootstrap, copies={"api": API_PROCESSES}
        )
        self.stack.enter_context(system)
        for (service, _), copies in system.processes.items():
            while service != "tickets" and len(copies) > 1:
                copies.pop().kill()
        return system

    @cached_property
    def token(self) -> str:
        """What every caller shows."""
        return self.system.token()

    @cached_property
    def database_server(self) -> int | None:
        """The first process of PostgreSQL, where it runs on this machine."""
        return asyncio.run(_server_of(self.system.database_url("tickets")))

    def database_processes(self) -> list[int]:
        """The processes of PostgreSQL as they are now, without those that only look on."""
        return [pid for pid in machine.family(self.database_server) if pid not in self.watching]

    @cached_property
    def floors(self) -> list[Process]:
        """Two processes of the floor application, on a database of their own."""
        name = f"{self.system.prefix.rstrip('.')}_floor"
        admin = self.servers.postgres_url
        asyncio.run(_make_database(admin, name))
        self.stack.callback(lambda: asyncio.run(drop_database(admin, name)))
        own = self.system.database_url("tickets").replace(self.system.database("tickets"), name)
        floors = [_Floor(self.system, self.folder, own, self.token) for _ in range(API_PROCESSES)]
        for floor in floors:
            self.stack.callback(floor.kill)
            floor.start()
        for floor in floors:
            require_ready(floor)
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

    def openings(self, path: str = "/v1/tickets", *, keyed: bool = True) -> list[str]:
        """Requests that open a ticket, each with an Idempotency-Key as every caller of the product should send."""
        return [request_of("POST", path, self.token, body, keyed=keyed) for body in self.bodies]

    def views(self, path: str = "/v1/tickets/{id}") -> list[str]:
        """Requests for whole tickets on which every service has reacted."""
        return [request_of("GET", path.format(id=one), self.token) for one in self._reacted_tickets()]

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
        return asyncio.run(self.system.rows("tickets", REACTED))

    def settle(self) -> None:
        """Waits until every ticket that was opened has everything."""
        asyncio.run(_settle(self.system.database_url("tickets", OWNER), self.watching))

    @contextmanager
    def backlog(self) -> Iterator[list[int]]:
        """How many tickets are opened and not yet finished, sampled while the block runs: flat, or growing.

        The samples begin with the first new ticket. What goes wrong with the sampling is raised at the end.
        """
        samples: list[int] = []
        over = threading.Event()
        url = self.system.database_url("tickets", OWNER)
        with ThreadPoolExecutor(1) as beside:
            sampling = beside.submit(lambda: asyncio.run(_sample(url, samples, over, self.watching)))
            try:
                yield samples
            finally:
                over.set()
            sampling.result()

    # -- who answers --------------------------------------------------------------------------------------------

    def product(self, requests: list[str], expected: int, name: str = "PSA Desk") -> Subject:
        """The api processes of tickets."""
        pids = [process.running.pid for process in self.system.all("tickets", "api") if process.running]
        return Subject(name, self.targets, requests, expected, pids)

    def floor(self, name: str, requests: list[str], expected: int) -> Subject:
        """One route of the floor application."""
        targets = [f"127.0.0.1:{process.port}" for process in self.floors]
        return Subject(name, targets, requests, expected, [one.running.pid for one in self.floors if one.running])


def require_ready(process: Process) -> None:
    """Waits until it says that it is ready; otherwise shows the end of its log."""
    try:
        wait_until(process.is_ready, within=READY_SECONDS)
    except AssertionError as error:
        raise RuntimeError(
            f"{process.service} {process.part} is not ready:\n{process.log.read_text()[-3000:]}"
        ) from error


class _Floor(Process):
    """One process of the floor application."""

    def __init__(self, system: System, folder: Path, own_url: str, token: str) -> None:
        port = free_port()
        self.headers = {"authorization": f"Bearer {token}"}
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
            return httpx2.get(f"{self.url}/empty", headers=self.headers, timeout=3).status_code == 200
        except httpx2.HTTPError:
            return False


async def _settle(url: str, watching: set[int]) -> None:
    async with _looking_on(url, watching) as connection:
        opened = await connection.fetchval("SELECT count(*) FROM tickets.tickets")
        async with asyncio.timeout(SETTLED_SECONDS):
            while await connection.fetchval(f"SELECT count(*) FROM ({REACTED}) done") < opened:
                await asyncio.sleep(0.1)  # the resolution of a measure that takes many seconds


async def _sample(url: str, samples: list[int], over: threading.Event, watching: set[int]) -> None:
    async with _looking_on(url, watching) as connection:
        last = await connection.fetchval(LAST) or UUID(int=0)
        while not over.is_set():
            row = await connection.fetchrow(WAITING, last)
            # Until the callers' process has started there is nothing to wait for.
            if row["opened"]:
                samples.append(row["waiting"])
            await asyncio.sleep(BACKLOG_SECONDS)  # the distance of the samples


@asynccontextmanager
async def _looking_on(url: str, watching: set[int]) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(url)
    watching.add(connection.get_server_pid())
    try:
        yield connection
    finally:
        await connection.close()


async def _server_of(url: str) -> int | None:
    connection = await asyncpg.connect(url)
    try:
        return machine.server_of(await connection.fetchval("SELECT pg_backend_pid()"))
    finally:
        await connection.close()


async def _make_database(admin_url: str, name: str) -> None:
    await clone_database(admin_url, await ensure_template(admin_url, "tickets"), name)


def _installations() -> Sequence[Any]:
    seed = (CHECKOUT / "deploy" / "seed" / "inventory.yaml").read_text(encoding="utf-8")
    return list(yaml.safe_load(seed)["installations"])


def _body(client_id: str, product_id: str) -> str:
    incident = {
        "client_id": client_id,
        "product_id": product_id,
        "kind": "incident",
        "impact": impact_of(2),
        "title": "No se pueden emitir facturas desde la sucursal",
        "description": "Al confirmar el comprobante aparece el error 500 y la pantalla queda en blanco. " * 3,
    }
    return json.dumps(incident, ensure_ascii=False)
