"""The PostgreSQL and the Kafka of one test session: given by address, in containers, or embedded.

Only pytest's own process calls `start`; its workers find the addresses in the environment.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from runner import jars, postgres
from runner.kafka import SETTINGS, EmbeddedKafka
from runner.postgres import VOLATILE, EmbeddedPostgres
from runner.processes import Identity, read_identity
from tests.support import containers

POSTGRES_URL = "DESK_POSTGRES_URL"
KAFKA_BOOTSTRAP = "DESK_KAFKA_BOOTSTRAP"

CHECKOUT = Path(__file__).resolve().parents[2]
STATE = CHECKOUT / ".desk" / "test"
CACHE = CHECKOUT / ".desk" / "cache"
OWNER = "owner.json"
PORTS_OF_AN_INSTALLATION = 100


@dataclass
class Server:
    """One server that the tests may use: where it is, what it is, and how to end it."""

    address: str
    origin: str
    stop: Callable[[], None]


@dataclass
class Servers:
    """The servers of this session. `origin` is for the summary."""

    postgres: Server
    kafka: Server
    folder: Path | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def postgres_url(self) -> str:
        """The administrator's address of PostgreSQL."""
        return self.postgres.address

    @property
    def kafka_bootstrap(self) -> str:
        """The address of the broker, host:port."""
        return self.kafka.address

    @property
    def origin(self) -> str:
        """What the tests ran on, for the summary."""
        return f"{self.postgres.origin}, {self.kafka.origin}"

    def stop(self) -> None:
        """End what was started for this session and delete its data; what was given by address is left alone."""
        for server in (self.kafka, self.postgres):
            server.stop()
        if self.folder:
            shutil.rmtree(self.folder, ignore_errors=True)


def start() -> Servers:
    """Find or start both servers and put their addresses into the environment, for workers and services."""
    _remove_abandoned_sessions()
    folder = _claim(STATE / f"session-{os.getpid()}")
    notes: list[str] = []
    with ThreadPoolExecutor(2) as together:
        database = together.submit(_find_postgres, folder, notes)
        broker = together.submit(_find_kafka, folder)
        servers = Servers(database.result(), broker.result(), folder, notes)
    os.environ[POSTGRES_URL] = servers.postgres_url
    os.environ[KAFKA_BOOTSTRAP] = servers.kafka_bootstrap
    return servers


def private_postgres(folder: Path) -> EmbeddedPostgres:
    """A PostgreSQL of one test's own, to be killed, frozen or wiped; not started yet."""
    return EmbeddedPostgres(folder, settings=VOLATILE)


def private_kafka(folder: Path, settings: Mapping[str, str] | None = None) -> EmbeddedKafka:
    """A broker of one test's own, to be killed, frozen or wiped; not started yet. It shares the session's jars."""
    return EmbeddedKafka(folder, CACHE, settings=settings or {})


def ports_of_worker(free: range, worker: Mapping[str, Any] | None) -> range:
    """From which free ports one worker picks; None is pytest's own process, which may pick any.

    Whoever picks a port binds it a moment later, an installation all of its ports half a minute later. What another
    worker picks meanwhile must be none of these.
    """
    if worker is None:
        return free
    share = len(free) // worker["workercount"]
    first = share * int(worker["workerid"].removeprefix("gw"))
    return free[first : first + share - PORTS_OF_AN_INSTALLATION]


def _find_postgres(folder: Path, notes: list[str]) -> Server:
    if given := os.environ.get(POSTGRES_URL):
        return Server(given, "PostgreSQL given by address", _leave_alone)
    if containers.have(containers.POSTGRES):
        return Server(*containers.start_postgres())
    server = private_postgres(folder / "postgres")
    server.start()
    notes.extend(server.notes)
    return Server(server.url, f"embedded PostgreSQL {postgres.version()}", server.remove)


def _find_kafka(folder: Path) -> Server:
    if given := os.environ.get(KAFKA_BOOTSTRAP):
        return Server(given, "Apache Kafka given by address", _leave_alone)
    if containers.have(containers.KAFKA):
        return Server(*containers.start_kafka(SETTINGS))
    broker = EmbeddedKafka(folder / "kafka", CACHE, train=True)
    broker.start()
    if not broker.has_startup_cache:
        # Eight seconds once per checkout; every private broker of this session then starts in one second, not three.
        broker.restart()
    return Server(broker.bootstrap, f"embedded Apache Kafka {jars.kafka_version()}", broker.remove)


def _leave_alone() -> None:
    """A server that was given by address belongs to somebody else."""


def _claim(folder: Path) -> Path:
    """Write down whose session this is, so that a later one can tell a running session from an abandoned one."""
    shutil.rmtree(folder, ignore_errors=True)
    unclaimed = STATE / f"unclaimed-{os.getpid()}"
    unclaimed.mkdir(parents=True, exist_ok=True)
    if identity := Identity.of(os.getpid()):
        (unclaimed / OWNER).write_text(json.dumps(asdict(identity)), encoding="utf-8")
    # In one step, or another session that starts now would take the folder for an abandoned one.
    return unclaimed.rename(folder)


def _remove_abandoned_sessions() -> None:
    """Servers of a session whose pytest was killed would run for ever."""
    for folder in STATE.glob("session-*"):
        owner = read_identity(folder / OWNER)
        if owner is not None and owner.alive():
            continue
        EmbeddedKafka(folder / "kafka", CACHE).remove()
        EmbeddedPostgres(folder / "postgres").remove()
        shutil.rmtree(folder, ignore_errors=True)
