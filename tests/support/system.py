"""The whole product as processes, each part alone, on this session's servers: what the journeys walk through."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import asyncpg
import httpx2

from runner.databases import clone_database, drop_database
from runner.issuer import issue
from runner.ports import free_port
from shared.contracts.topics import ALL_TOPICS
from shared.messaging.kafka import Cluster, admin
from shared.messaging.topics import create_topics
from tests.support.databases import CHECKOUT, OWNER, PASSWORD, SERVING, ensure_template
from tests.support.eventually import eventually

SERVICES = ("tickets", "inventory", "sla", "devlink")
PARTS = ("api", "consumer", "relay", "jobs")
SEEDED = ("tickets", "inventory", "sla")
# How long thirty processes take to start on a busy machine is not what is tested.
READY_SECONDS = 150


@dataclass
class Process:
    """One part of one service, as a process of its own."""

    service: str
    part: str
    port: int
    log: Path
    environment: Mapping[str, str]
    running: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Starts it; does not wait."""
        with self.log.open("ab") as output:
            self.running = subprocess.Popen(
                [sys.executable, "-m", self.service, self.part],
                env={**self.environment, "DESK_PORT": str(self.port)},
                cwd=CHECKOUT,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def kill(self) -> None:
        """kill -9, and waits until it is gone."""
        if self.running is not None:
            self.running.kill()
            self.running.wait()

    def pause(self) -> None:
        """Freezes it where it stands."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Lets it go on."""
        self._signal(signal.SIGCONT)

    def stop(self) -> None:
        """Asks it to end and waits."""
        self._signal(signal.SIGTERM)
        if self.running is not None:
            try:
                self.running.wait(timeout=40)
            except subprocess.TimeoutExpired:
                self.kill()

    def _signal(self, number: int) -> None:
        if self.running is not None and self.running.poll() is None:
            self.running.send_signal(number)

    def is_ready(self) -> bool:
        """Whether it says that it is."""
        with contextlib.suppress(httpx2.HTTPError):
            return httpx2.get(f"{self.url}/readyz", timeout=3).status_code == 200
        return False


@dataclass
class System:
    """Four services on databases and topics of their own. `with System(...) as system` starts and ends all."""

    folder: Path
    postgres_url: str
    kafka_bootstrap: str
    copies: Mapping[str, int] = field(default_factory=dict)
    # ("all",) runs each service in one process: a quarter of the processes, where the parts need not die apart.
    parts: Sequence[str] = PARTS
    extra: Mapping[str, str] = field(default_factory=dict)
    prefix: str = field(default_factory=lambda: f"j{uuid.uuid4().hex[:8]}.")
    processes: dict[tuple[str, str], list[Process]] = field(default_factory=dict)
    issuer: subprocess.Popen[bytes] | None = None
    issuer_port: int = field(default_factory=free_port)
    # The broker, where it is this system's own and a test may kill it.
    kafka: Any = None

    # -- life ---------------------------------------------------------------------------------------------------

    def __enter__(self) -> System:
        try:
            self._start()
        except BaseException:
            self.end()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.end()

    def _start(self) -> None:
        self._start_issuer()
        asyncio.run(self._prepare())
        for service in SERVICES:
            for part in self.parts:
                copies = [self._process(service, part) for _ in range(self.copies.get(part, 1))]
                self.processes[service, part] = copies
                for copy in copies:
                    copy.start()
        self.wait_until_ready()
        asyncio.run(
            eventually(
                self._knows_the_reference, within=READY_SECONDS, what="tickets knows what inventory was seeded with"
            )
        )

    def _start_issuer(self) -> None:
        with (self.folder / "issuer.log").open("ab") as output:
            self.issuer = subprocess.Popen(
                [sys.executable, "-m", "runner.issuer"],
                env={**os.environ, **self._issuer_environment()},
                cwd=CHECKOUT,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def _issuer_environment(self) -> dict[str, str]:
        return {
            "DESK_ENV": "development",
            "DESK_STATE": str(self.folder / "state"),
            "DESK_PORT_BASE": str(self.issuer_port - 90),
        }

    async def _prepare(self) -> None:
        await asyncio.gather(
            create_topics(Cluster(self.kafka_bootstrap, self.prefix), ALL_TOPICS, partitions=3),
            *[self._prepare_database(service) for service in SERVICES],
        )

    async def _prepare_database(self, service: str) -> None:
        template = await ensure_template(self.postgres_url, service)
        await clone_database(self.postgres_url, template, self.database(service))
        if service in SEEDED:
            seed = CHECKOUT / "deploy" / "seed" / f"{service}.yaml"
            loading = await asyncio.create_subprocess_exec(
                sys.executable, "-m", service, "load", str(seed), env=self.environment(service), cwd=CHECKOUT,
                stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
            )  # fmt: skip
            output, _ = await loading.communicate()
            assert loading.returncode == 0, output.decode()

    def end(self) -> None:
        """Ends every process, and deletes databases and topics."""
        everyone = [process for copies in self.processes.values() for process in copies]
        for process in everyone:
            process.resume()
            process.kill()
        if self.issuer is not None:
            self.issuer.kill()
            self.issuer.wait()
        asyncio.run(self._clean())

    async def _clean(self) -> None:
        for service in SERVICES:
            await drop_database(self.postgres_url, self.database(service))
        async with admin(Cluster(self.kafka_bootstrap, self.prefix)) as client:
            mine = [name for name in await client.list_topics() if name.startswith(self.prefix)]
            if mine:
                await client.delete_topics(mine)

    def wait_until_ready(self) -> None:
        """Until every process says so; a failure shows the end of its log."""
        deadline = time.monotonic() + READY_SECONDS
        for process in self.all():
            while not process.is_ready():
                died = process.running is not None and process.running.poll() is not None
                if died or time.monotonic() > deadline:
                    raise AssertionError(
                        f"{process.service} {process.part} is not ready:\n{process.log.read_text()[-3000:]}"
                    )
                time.sleep(0.1)  # asked ten times a second

    async def _knows_the_reference(self) -> bool:
        """A replica is filled, and its service ready, when it has read what there was; the seed may be told later."""
        for table in ("clients", "products", "modules", "installations"):
            theirs, ours = [
                (await self.rows(service, f"SELECT count(*) AS known FROM {service}.{table}"))[0]["known"]
                for service in ("inventory", "tickets")
            ]
            if ours < theirs:
                return False
        return True

    # -- parts --------------------------------------------------------------------------------------------------

    def all(self, service: str | None = None, part: str | None = None) -> Iterator[Process]:
        """The processes of a service, of a part, of both, or all."""
        for (of, kind), copies in self.processes.items():
            if service in (None, of) and part in (None, kind):
                yield from copies

    def one(self, service: str, part: str) -> Process:
        """The first process of this kind, or the one that runs all."""
        return (self.processes.get((service, part)) or self.processes[service, "all"])[0]

    def _process(self, service: str, part: str) -> Process:
        port = free_port()
        return Process(service, part, port, self.folder / f"{service}-{part}-{port}.log", self.environment(service))

    def environment(self, service: str) -> dict[str, str]:
        """What every process of a service is told."""
        return {
            **os.environ,
            "DESK_ENV": "development",
            "DESK_DATABASE_URL": self.database_url(service),
            "DESK_KAFKA_BOOTSTRAP": self.kafka_bootstrap,
            "DESK_TOPIC_PREFIX": self.prefix,
            "DESK_OIDC_ISSUER": f"http://127.0.0.1:{self.issuer_port}",
            # A killed member's partitions move after this long; the default is for networks.
            "DESK_KAFKA_SESSION_TIMEOUT_MS": "1000",
            "DESK_KAFKA_REQUEST_TIMEOUT_SECONDS": "3",
            **self.extra,
        }

    # -- databases ----------------------------------------------------------------------------------------------

    def database(self, service: str) -> str:
        """The name of a service's database."""
        return f"{self.prefix.rstrip('.')}_{service}"

    def database_url(self, service: str, role: str = SERVING) -> str:
        """The address of a service's database for one of its roles."""
        place = self.postgres_url.partition("@")[2].partition("/")[0]
        return f"postgresql://{role}:{PASSWORD}@{place}/{self.database(service)}"

    async def rows(self, service: str, query: str, *arguments: object) -> Sequence[Any]:
        """What a query answers on a service's database; for counting."""
        connection = await asyncpg.connect(self.database_url(service, OWNER))
        try:
            return list(await connection.fetch(query, *arguments))
        finally:
            await connection.close()

    @contextlib.asynccontextmanager
    async def locked(self, service: str, lock: str) -> AsyncIterator[None]:
        """Holds what a LOCK statement locks on a service's database while the block runs."""
        connection = await asyncpg.connect(self.database_url(service, OWNER))
        try:
            async with connection.transaction():
                await connection.execute(lock)
                yield
        finally:
            await connection.close()

    # -- callers ------------------------------------------------------------------------------------------------

    def token(self, persona: str = "agent") -> str:
        """A token of the development issuer."""
        before = {name: os.environ.get(name) for name in self._issuer_environment()}
        os.environ.update(self._issuer_environment())
        try:
            return issue(self.folder / "state", persona)
        finally:
            for name, value in before.items():
                os.environ.pop(name) if value is None else os.environ.__setitem__(name, value)

    def urls(self) -> dict[str, str]:
        """Where each service's API answers."""
        return {service: self.one(service, "api").url for service in SERVICES}

    def client(self, service: str = "tickets", persona: str = "agent") -> httpx2.AsyncClient:
        """An HTTP client of a service, as a persona."""
        return httpx2.AsyncClient(
            base_url=self.one(service, "api").url,
            headers={"authorization": f"Bearer {self.token(persona)}"},
            timeout=10,
        )
