"""The same two servers as containers, where a Docker engine answers and already has their images."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Callable, Mapping
from io import BytesIO
from tarfile import TarFile, TarInfo
from typing import TYPE_CHECKING

from runner.databases import drop_database
from runner.errors import RunnerError
from runner.kafka import cluster_id
from runner.postgres import SETTINGS, VOLATILE
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from testcontainers.core.container import DockerContainer

POSTGRES = "postgres:18"
KAFKA = "apache/kafka:4.3.1"
STARTED_WITHIN_SECONDS = 60
# Their addresses inside the container: only the embedded server knows the ones of this machine.
_OF_THE_EMBEDDED = ("listen_addresses", "unix_socket_directories")
_START = "/tmp/start.sh"
_CONTROLLER_PORT, _BROKER_PORT = 9093, 9092

Started = tuple[str, str, Callable[[], None]]


def have(image: str) -> bool:
    """Whether an engine answers and has the image; nothing is ever pulled for a test."""
    try:
        done = subprocess.run(["docker", "image", "inspect", image], capture_output=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def start_postgres() -> Started:
    """A PostgreSQL with the settings of the embedded one: the administrator's address, what it is, how to end it."""
    settings = {name: value for name, value in {**SETTINGS, **VOLATILE}.items() if name not in _OF_THE_EMBEDDED}
    container = _container(POSTGRES, 5432).with_env("POSTGRES_PASSWORD", "test-only")
    container.with_command(" ".join(["postgres", *(f"-c {name}='{value}'" for name, value in settings.items())]))
    container.start()
    where = f"{container.get_container_host_ip()}:{container.get_exposed_port(5432)}"
    url = f"postgresql://postgres:test-only@{where}/postgres"

    def lets_us_in() -> bool:
        try:
            asyncio.run(drop_database(url, "never_there"))
        except RunnerError:
            return False
        return True

    wait_until(lets_us_in, STARTED_WITHIN_SECONDS)
    return url, f"PostgreSQL in a container ({POSTGRES})", container.stop


def start_kafka(settings: Mapping[str, str]) -> Started:
    """A broker with the settings of the embedded one: its address, what it is, how to end it.

    The broker must advertise the port that the engine gives it, which is known only once the container runs: so the
    container waits for a script, and the script starts the broker.
    """
    container = _container(KAFKA, _BROKER_PORT)
    container.with_command(f'sh -c "while [ ! -f {_START} ]; do sleep 0.1; done; exec sh {_START}"')
    container.start()
    address = f"{container.get_container_host_ip()}:{container.get_exposed_port(_BROKER_PORT)}"
    _put(container, _script(address, settings))

    def answers() -> bool:
        try:
            return cluster_id(address) is not None
        except OSError:
            return False

    wait_until(answers, STARTED_WITHIN_SECONDS)
    return address, f"Apache Kafka in a container ({KAFKA})", container.stop


def _container(image: str, port: int) -> DockerContainer:
    # Nothing is pulled for a test, so neither is the image that removes containers after a crash.
    os.environ.setdefault("TESTCONTAINERS_RYUK_DISABLED", "true")
    # Imported late: it takes half a second, and most machines have no engine.
    from testcontainers.core.container import DockerContainer

    return DockerContainer(image).with_exposed_ports(port)


def _script(address: str, settings: Mapping[str, str]) -> str:
    """The image turns KAFKA_SOME_NAME into some.name and starts the broker with `run`."""
    told = {
        **settings,
        "listeners": f"PLAINTEXT://0.0.0.0:{_BROKER_PORT},CONTROLLER://localhost:{_CONTROLLER_PORT}",
        "advertised.listeners": f"PLAINTEXT://{address}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "controller.quorum.voters": f"1@localhost:{_CONTROLLER_PORT}",
    }
    exports = [f"export KAFKA_{name.replace('.', '_').upper()}='{value}'" for name, value in told.items()]
    return "\n".join([*exports, "exec /etc/kafka/docker/run"]) + "\n"


def _put(container: DockerContainer, script: str) -> None:
    """Place the script in the running container, in one step, so that a half of it is never run."""
    packed = BytesIO()
    with TarFile(fileobj=packed, mode="w") as archive:
        entry = TarInfo(_START.rpartition("/")[2])
        entry.size = len(script.encode())
        entry.mode = 0o644
        archive.addfile(entry, BytesIO(script.encode()))
    container.get_wrapped_container().put_archive(_START.rpartition("/")[0], packed.getvalue())
