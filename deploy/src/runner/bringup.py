"""What an installation consists of, and the order in which it comes up."""

from __future__ import annotations

import asyncio
import hashlib
import json
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path

import asyncpg

from runner import jars, postgres
from runner.databases import create_database, identity_of
from runner.errors import RunnerError, sentence_in, tail_of
from runner.installation import SERVICES, Addresses, Installation, command, database_of, owner_of, server_of
from runner.ports import LOOPBACK
from runner.private_files import write_private
from runner.processes import Program
from runner.status import ProcessStatus
from runner.steps import Plan, Step
from runner.watched import HttpService, KafkaServer, PostgresServer, Watcher

READY_WITHIN_SECONDS = 120.0
COMMAND_WITHIN_SECONDS = 180.0
ATTEMPTS = 3
HOPELESS_AFTER_RESTARTS = 4


class Crew:
    """Everything that this installation runs: the servers, the services, and the commands that prepare them."""

    def __init__(self, installation: Installation, say: Callable[[str], None]) -> None:
        self.installation = installation
        self._say = say
        self._ending = threading.Event()
        self._commands: set[subprocess.Popen[bytes]] = set()
        ports, logs, state = installation.ports, installation.logs, installation.state
        self.postgres: PostgresServer | None = None
        self.kafka: KafkaServer | None = None
        self.watchers: dict[str, Watcher] = {}
        if not installation.postgres_url:
            self.postgres = PostgresServer(state / "postgres", ports["postgres"], log=logs / "postgres.log")
            self._watch("postgres", self.postgres)
        if not installation.kafka_bootstrap:
            self.kafka = KafkaServer(
                state / "kafka",
                installation.cache,
                ports["kafka"],
                train=True,
                controller_port=ports["kafka-controller"],
                log=logs / "kafka.log",
            )
            self._watch("kafka", self.kafka)
        if not installation.given_issuer:
            self._watch_module("issuer", command("runner.issuer"), self._issuer_environment)
        for service in SERVICES:
            self._watch_module(service, command(service, "all"), partial(self._environment, service))

    def plan(self) -> Plan:
        """The steps of coming up; what does not need one another runs at the same time."""
        steps: list[Step] = []
        if self.kafka:
            steps.append(Step("Kafka's jars", partial(self._fetch_jars, self.kafka)))
            steps.append(Step("Apache Kafka", partial(self._start_kafka, self.kafka), ["Kafka's jars"]))
        if self.postgres:
            steps.append(Step("PostgreSQL", self._start_postgres))
        if "issuer" in self.watchers:
            steps.append(Step("issuer", self.watchers["issuer"].start))
        steps.append(Step("topics", self._create_topics, ["Apache Kafka"] if self.kafka else []))
        for service in SERVICES:
            prepared = f"{service}: database"
            steps.append(Step(prepared, partial(self._prepare, service), ["PostgreSQL"] if self.postgres else []))
            steps.append(Step(service, self.watchers[service].start, [prepared, "topics"]))
            if self._seed_of(service).exists():
                steps.append(Step(f"{service}: demo data", partial(self._load_seed, service), [prepared]))
        return Plan([*steps, Step("everything ready", self._wait_until_ready, [step.name for step in steps])])

    def stop(self) -> None:
        """End the services first, then the servers that they need, each kind at the same time."""
        self._ending.set()
        for process in list(self._commands):
            process.kill()
        servers = {"postgres", "kafka"}
        for group in (set(self.watchers) - servers, servers & set(self.watchers)):
            with ThreadPoolExecutor(max(1, len(group))) as together:
                list(together.map(lambda name: self.watchers[name].stop(), group))

    def statuses(self) -> list[ProcessStatus]:
        """One line for each process."""
        return [watcher.status(self._url_of(name)) for name, watcher in self.watchers.items()]

    @property
    def ready(self) -> bool:
        """Whether everything was ready when it was last asked."""
        return all(watcher.ready for watcher in self.watchers.values())

    @property
    def notes(self) -> list[str]:
        """What the user should know of where things are."""
        return list(self.postgres.notes) if self.postgres else []

    def _watch(self, name: str, server: PostgresServer | KafkaServer | HttpService) -> None:
        self.watchers[name] = Watcher(name, server, self._say)

    def _watch_module(self, name: str, words: Sequence[str], environment: Callable[[], Mapping[str, str]]) -> None:
        at = self.installation
        self._watch(name, HttpService(name, at.ports[name], words, environment, at.records, at.logs / f"{name}.log"))

    def _url_of(self, name: str) -> str:
        if name in ("kafka", "postgres"):
            return f"{LOOPBACK}:{self.installation.ports[name]}"
        return self.installation.url_of(name)

    def _addresses(self) -> Addresses:
        database = self.postgres.url if self.postgres else self.installation.postgres_url
        broker = self.kafka.bootstrap if self.kafka else self.installation.kafka_bootstrap
        return Addresses(database or "", broker or "")

    def _environment(self, service: str) -> Mapping[str, str]:
        return self.installation.environment(service, self._addresses())

    def _issuer_environment(self) -> Mapping[str, str]:
        told = self.installation.base_environment()
        # Given in the environment it would be somebody else's issuer, and this one would have no port.
        del told["DESK_OIDC_ISSUER"]
        return told

    def _fetch_jars(self, kafka: KafkaServer) -> str:
        kafka.fetch()
        return f"{len(jars.read_lock())} jars match the lock"

    def _start_kafka(self, kafka: KafkaServer) -> str:
        self.watchers["kafka"].start()
        return f"{jars.kafka_version()}{'' if kafka.has_startup_cache else ', without its start-up cache yet'}"

    def _start_postgres(self) -> str:
        self.watchers["postgres"].start()
        return postgres.version()

    def _create_topics(self) -> None:
        environment = self.installation.base_environment()
        environment["DESK_KAFKA_BOOTSTRAP"] = self._addresses().kafka_bootstrap
        self._run("topics", command("shared.messaging", "topics"), environment)

    def _prepare(self, service: str) -> None:
        at, url = self.installation, self._addresses().postgres_url
        owner, server = owner_of(service), server_of(service)
        owner_password, server_password = at.password_of(owner), at.password_of(server)
        asyncio.run(create_database(url, database_of(service), owner, owner_password, server, server_password))
        environment = at.environment(service, self._addresses(), as_owner=True)
        self._run(f"{service}-migrate", command(service, "migrate"), environment)

    def _seed_of(self, service: str) -> Path:
        return self.installation.seed / f"{service}.yaml"

    def _load_seed(self, service: str) -> str:
        """Load the demonstration data once per database and file, so that what a user changes stays changed."""
        seed = self._seed_of(service)
        database = asyncio.run(identity_of(self._addresses().postgres_url, database_of(service)))
        mark = json.dumps({"seed": hashlib.sha256(seed.read_bytes()).hexdigest(), "database": database})
        record = self.installation.state / "loaded" / f"{service}.json"
        if record.exists() and record.read_text(encoding="utf-8") == mark:
            return "loaded before"
        self._run(f"{service}-load", command(service, "load", str(seed)), self._environment(service))
        write_private(record, mark)
        return ""

    def _run(self, name: str, words: Sequence[str], environment: Mapping[str, str]) -> None:
        """Run a command to its end; again when it failed, since a server may have been killed under it.

        Raises RunnerError with what the command itself said.
        """
        log = self.installation.logs / f"{name}.log"
        code, said = 0, ""
        for attempt in range(ATTEMPTS):
            if self._ending.wait(float(attempt)):
                raise RunnerError("interrupted")
            code, said = self._attempt(log, words, environment)
            if code == 0:
                return
            self._say(f"{name}: exit code {code}")
        sentence = sentence_in(said)
        # What was killed, by us after its time or by somebody else, has refused nothing, whatever it said before.
        how = "was refused" if code > 0 and sentence else "failed"
        raise RunnerError(f"`{' '.join(words[3:])}` {how}: {sentence or tail_of(log)} (log: {log})")

    def _attempt(self, log: Path, words: Sequence[str], environment: Mapping[str, str]) -> tuple[int, str]:
        """Run a command once: its exit code, and what it said in words, which is not only in the log."""
        log.parent.mkdir(parents=True, exist_ok=True)
        # Unbuffered: what a full disk does not take must not come up again when the file is closed.
        with log.open("ab", buffering=0) as output:
            process = subprocess.Popen(
                words, env=dict(environment), cwd="/", stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.PIPE
            )
            self._commands.add(process)
            try:
                _, said = process.communicate(timeout=COMMAND_WITHIN_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                _, said = process.communicate()
                said += f"\nit did not end within {COMMAND_WITHIN_SECONDS:.0f} s".encode()
            finally:
                self._commands.discard(process)
            with suppress(OSError):
                output.write(said)
        return process.returncode, said.decode(errors="replace")

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + READY_WITHIN_SECONDS
        while not (self.ready and self._all_published()):
            self._give_up_on_what_keeps_dying()
            if time.monotonic() > deadline:
                late = [name for name, watcher in self.watchers.items() if not watcher.ready] or ["the outboxes"]
                raise RunnerError(f"Not ready after {READY_WITHIN_SECONDS:.0f} s: {', '.join(late)}. See `desk logs`.")
            if self._ending.wait(0.1):
                raise RunnerError("interrupted")

    def _give_up_on_what_keeps_dying(self) -> None:
        """A service that has never been ready and dies each time will not get better by waiting."""
        for name, watcher in self.watchers.items():
            if watcher.restarts >= HOPELESS_AFTER_RESTARTS and not watcher.was_ever_ready:
                log = self.installation.logs / f"{name}.log"
                raise RunnerError(f"{name} ends each time that it is started. The end of {log}:\n{tail_of(log)}")

    def _all_published(self) -> bool:
        """Whether the demonstration data has left every outbox, so that the first ticket finds its client."""
        return all(asyncio.run(self._outbox_is_empty(service)) for service in SERVICES)

    async def _outbox_is_empty(self, service: str) -> bool:
        address = self._addresses().database(self.installation, service, owner_of(service))
        try:
            connection = await asyncpg.connect(address, timeout=5, command_timeout=5)
        except (OSError, TimeoutError, asyncpg.PostgresError):
            return False
        try:
            return not await connection.fetchval("SELECT EXISTS (SELECT 1 FROM runtime.outbox)")
        except (TimeoutError, asyncpg.PostgresError):
            return False
        finally:
            await connection.close()


def take_down_leftovers(installation: Installation) -> list[str]:
    """End what a killed supervisor left running, each known by pid and start; the names of what there was."""
    state = installation.state
    found = {path.stem: (path, signal.SIGTERM, 10.0) for path in installation.records.glob("*.json")}
    found["kafka"] = (state / "kafka" / "process.json", signal.SIGTERM, 20.0)
    found["postgres"] = (state / "postgres" / "process.json", signal.SIGINT, 20.0)

    def take_down(name: str) -> bool:
        record, first, seconds = found[name]
        return Program(record, installation.logs / f"{name}.log").take_down_leftover(first, seconds)

    services = [name for name in found if name not in ("kafka", "postgres")]
    with ThreadPoolExecutor(len(found)) as together:
        ended = list(zip(services, together.map(take_down, services), strict=True))
        ended += list(zip(["kafka", "postgres"], together.map(take_down, ["kafka", "postgres"]), strict=True))
    return [name for name, was_there in ended if was_there]
