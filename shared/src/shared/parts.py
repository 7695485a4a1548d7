"""The parts of a service as processes: api, consumer, relay, jobs, and all of them in one."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import ModuleType
from typing import TYPE_CHECKING, Any

import structlog

from shared.db.engine import Engine, direct_connection, make_engine
from shared.db.transaction import Transaction
from shared.errands import ErrandJob, ErrandLoop, measure, prune
from shared.http.health import Health, serve_health
from shared.jobs import Job, JobLoop
from shared.messaging.hint import Hinter
from shared.messaging.reactions import Reactions, collect
from shared.readiness import Readiness
from shared.settings import ServiceSettings
from shared.telemetry import collector, tracing

if TYPE_CHECKING:
    pass

log = structlog.get_logger(__name__)

# Whoever watches /livez ends a process that is not alive. An event loop that has not turned for this long is stuck, and
# a part's loop that has not for so much longer than a server may take to answer will not turn again.
STALLED_SECONDS = 10.0
HUNG_SECONDS = 60.0
INBOX_KEPT = timedelta(days=150)
IDEMPOTENCY_KEPT = timedelta(hours=24)
# What was parked and is applied or given up: long enough to look at it, since it may be personal no longer.
PAYLOADS_KEPT = timedelta(days=30)
# An errand that is done: for as long as the same cause may want it again.
ERRANDS_KEPT = timedelta(days=150)


@dataclass
class Parts:
    """One process of one service: its settings, its connections, and the parts that it runs."""

    name: str
    title: str
    settings: ServiceSettings
    module: Callable[[str], ModuleType | None]
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    turns: dict[str, Callable[[], float]] = field(default_factory=dict)
    beaten: float = field(default_factory=time.monotonic)
    # Whether this process runs one part only, or the API beside all the others.
    alone: bool = True

    @functools.cached_property
    def engine(self) -> Engine:
        """The pool of this process."""
        return make_engine(self.url, application=f"desk {self.name}", pool_size=self.settings.database_pool_size)

    @functools.cached_property
    def hinter(self) -> Hinter:
        """What wakes the relay after a commit."""
        return Hinter(self.url, f"desk {self.name}")

    @functools.cached_property
    def reactions(self) -> Reactions:
        """What this service reacts to."""
        subscribers = self.module("subscribers")
        return collect(subscribers) if subscribers is not None else Reactions([])

    @functools.cached_property
    def readiness(self) -> Readiness:
        """What decides whether this process is ready."""
        return Readiness(self.name, self.settings, self.engine, self.reactions)

    @property
    def url(self) -> str:
        """The serving role's address; a secret, so it is asked for only where a connection is made."""
        return self.settings.database_url.get_secret_value()

    # -- parts --------------------------------------------------------------------------------------------------

    async def api(self) -> None:
        """The HTTP API, with the health of every part that runs in this process."""
        from shared.http.app import create_app
        from shared.http.auth import Authenticator
        from shared.http.routers import routers_of
        from shared.http.server import serve

        app = create_app(
            service=self.name,
            description=self.title,
            routers=routers_of(self._require("api")),
            engine=self.engine,
            hint=self.hinter,
            authenticator=Authenticator(self.settings.oidc_issuer, env=self.settings.env),
            readiness=self.readiness.checks_of("api" if self.alone else "all"),
            status=self.readiness.status,
            alive=self.is_alive,
        )
        await serve(app, host=self.settings.host, port=self.settings.port, stop=self.stop)

    async def consumer(self) -> None:
        """Kafka in. A service that reacts to nothing has nothing to run."""
        from shared.messaging.consumer import Consumer

        if not self.reactions.topics:
            await self.stop.wait()
            return
        consumer = Consumer(
            service=self.name,
            engine=self.engine,
            cluster=self._cluster(),
            reactions=self.reactions,
            hint=self.hinter,
            session_timeout_ms=self.settings.kafka_session_timeout_ms,
        )
        self.turns["consumer"] = lambda: consumer.last_turn
        self.readiness.consumer = consumer
        await self._until_stopped(consumer.run())

    async def relay(self) -> None:
        """Kafka out: leads, or stands by."""
        from shared.messaging.relay import Relay

        relay = Relay(
            service=self.name,
            database_url=self.url,
            cluster=self._cluster(),
            request_timeout_seconds=self.settings.kafka_request_timeout_seconds,
        )
        self.turns["relay"] = lambda: relay.last_turn
        self.readiness.relay = relay
        running = asyncio.create_task(relay.run())
        stopping = asyncio.create_task(self.stop.wait())
        await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
        relay.stop()
        stopping.cancel()
        await running

    async def run_jobs(self) -> None:
        """Time in: the service's own jobs and the runtime's."""
        own = self._own_jobs()
        errands = [ErrandLoop(job, self.engine, self.hinter) for job in own if isinstance(job, ErrandJob)]
        timed = [job for job in own if isinstance(job, Job)]
        loops = [JobLoop(job, self.engine, self.hinter) for job in (*timed, *self._runtime_jobs())]
        for loop in loops:
            self.turns[f"job {loop.job.name}"] = functools.partial(getattr, loop, "last_turn")
        for errand in errands:
            self.turns[f"errands {errand.job.kind}"] = functools.partial(getattr, errand, "last_turn")
        async with self._background(*self._listening(loops)):
            await self._until_stopped(*[loop.run() for loop in loops], *[errand.run() for errand in errands])

    # -- processes ----------------------------------------------------------------------------------------------

    async def run(self, part: str) -> None:
        """Runs one part, or `all`, until a signal; answers health on this process's own port."""
        collector.configure(self.name, part, os.environ)
        self.alone = part != "all"
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop.set)
        parts: dict[str, list[Callable[[], Coroutine[Any, Any, None]]]] = {
            "api": [self.api],
            "consumer": [self.consumer, self._health("consumer")],
            "relay": [self.relay, self._health("relay")],
            "jobs": [self.run_jobs, self._health("jobs")],
            "all": [self.api, self.consumer, self.relay, self.run_jobs],
        }
        try:
            # One hinter for the process, whichever of its parts publish.
            async with self._background(self.hinter.run(), self._beat()), asyncio.TaskGroup() as group:
                for run_part in parts[part]:
                    group.create_task(self._whole(run_part))
        finally:
            await self.engine.dispose()
            await asyncio.to_thread(tracing.close)

    async def _whole(self, run_part: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """A part that ends takes the process with it, so that whoever watches starts it again."""
        try:
            await run_part()
        finally:
            self.stop.set()

    async def _beat(self) -> None:
        """The turn of the event loop itself, whichever parts run on it."""
        while True:
            self.beaten = time.monotonic()
            await asyncio.sleep(1)

    def is_alive(self) -> bool:
        """Whether the event loop and every part's loop have turned lately. A server that is away is no reason."""
        now = time.monotonic()
        parts_turn = all(now - turned() < HUNG_SECONDS for turned in self.turns.values())
        return parts_turn and now - self.beaten < STALLED_SECONDS

    def _health(self, part: str) -> Callable[[], Coroutine[Any, Any, None]]:
        async def serve() -> None:
            checks = self.readiness.checks_of(part)
            health = Health(f"{self.name} {part}", checks, self.readiness.status, self.is_alive)
            await serve_health(health, host=self.settings.host, port=self.settings.port, stop=self.stop)

        return serve

    @contextlib.asynccontextmanager
    async def _background(self, *work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(one) for one in work]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _until_stopped(self, *work: Coroutine[Any, Any, None]) -> None:
        stopping = asyncio.create_task(self.stop.wait())
        tasks = [asyncio.create_task(one) for one in work]
        done, _ = await asyncio.wait({stopping, *tasks}, return_when=asyncio.FIRST_COMPLETED)
        for task in (stopping, *tasks):
            task.cancel()
        await asyncio.gather(stopping, *tasks, return_exceptions=True)
        for task in done - {stopping}:
            task.result()

    def _require(self, role: str) -> Any:
        module = self.module(role)
        if module is None:
            raise RuntimeError(f"{self.name} has no {role}")
        return module

    # -- jobs ------------------------------------------------------------------------------------

    def _own_jobs(self) -> tuple[Job | ErrandJob, ...]:
        jobs = self.module("jobs")
        return tuple(jobs.JOBS) if jobs is not None else ()

    def _runtime_jobs(self) -> list[Job]:
        from shared.messaging import parking, pruning

        kinds = [job.kind for job in self._own_jobs() if isinstance(job, ErrandJob)]

        async def retry(tx: Transaction, now: datetime) -> int:
            await measure(tx, kinds)
            return await parking.retry_parked(tx, now, self.reactions)

        return [
            Job("retry-parked", retry, every_seconds=2),
            Job("prune-inbox", functools.partial(pruning.prune_inbox, keep=INBOX_KEPT), every_seconds=3600),
            Job("prune-answers", functools.partial(pruning.prune_answers, keep=IDEMPOTENCY_KEPT), every_seconds=600),
            Job("prune-errands", functools.partial(prune, keep=ERRANDS_KEPT), every_seconds=3600),
            Job("erase-payloads", functools.partial(pruning.erase_payloads, keep=PAYLOADS_KEPT), every_seconds=3600),
        ]

    def _listening(self, loops: Sequence[JobLoop]) -> list[Coroutine[Any, Any, None]]:
        heard = {loop.job.channel: loop.woken for loop in loops if loop.job.channel is not None}
        return [self._listen(heard)] if heard else []

    async def _listen(self, heard: dict[str, asyncio.Event]) -> None:
        """Wakes the jobs that a NOTIFY calls; while the connection is lost they look by themselves."""
        while True:
            try:
                async with direct_connection(self.url, application=f"desk {self.name} jobs") as connection:
                    for channel, woken in heard.items():
                        await connection.add_listener(channel, lambda *_, woken=woken: woken.set())
                    while not connection.is_closed():
                        await asyncio.sleep(1)
                        await connection.execute("SELECT 1")
            except Exception as error:
                log.warning("listening begins anew", problem=repr(error))
                await asyncio.sleep(1)

    def _cluster(self) -> Any:
        from shared.messaging.kafka import Cluster

        return Cluster.of(self.settings)
