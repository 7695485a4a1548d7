"""Keeps one server or service alive: starts it, asks whether it answers, kills what does not, restarts what died."""

from __future__ import annotations

import http.client
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from runner import ports
from runner.errors import RunnerError
from runner.kafka import EmbeddedKafka
from runner.postgres import EmbeddedPostgres
from runner.processes import Identity, Program
from runner.status import ProcessStatus
from shared import clock
from shared.errors import DeskError

PROBED_EVERY_SECONDS = 0.5
# What is ready is asked more rarely: its answer costs a query. That it ended is seen at once all the same.
PROBED_WHEN_READY_EVERY_SECONDS = 2.0
PROBE_TIMEOUT_SECONDS = 2.0
SILENT_AT_MOST_SECONDS = 10.0
FIRST_ANSWER_WITHIN_SECONDS = 60.0
SHORTEST_BACKOFF_SECONDS = 0.2
LONGEST_BACKOFF_SECONDS = 15.0
# A process that has run for so long is healthy: its next death is not one more of the same series.
HEALTHY_AFTER_SECONDS = 30.0


class Server(Protocol):
    """What the watcher needs of anything that it keeps alive."""

    @property
    def port(self) -> int: ...

    @property
    def pid(self) -> int: ...

    @property
    def alive(self) -> bool: ...

    def keep_record(self) -> None: ...

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def kill(self) -> None: ...

    def answers(self) -> bool: ...

    def ready(self) -> bool: ...


class PostgresServer(EmbeddedPostgres):
    """The embedded PostgreSQL as the watcher sees it."""

    def keep_record(self) -> None:
        """Record its process unless that was done."""
        self._program.keep_record()

    def answers(self) -> bool:
        """Whether it accepts connections."""
        return self.accepts()

    def ready(self) -> bool:
        """A PostgreSQL that accepts connections is ready."""
        return True


class KafkaServer(EmbeddedKafka):
    """The embedded broker as the watcher sees it."""

    def keep_record(self) -> None:
        """Record its process unless that was done."""
        self._program.keep_record()

    def ready(self) -> bool:
        """A broker that answers is in its cluster, so it is ready."""
        return True


class HttpService:
    """A process with `/livez` and `/readyz` on the loopback. `environment` is asked anew at each start."""

    def __init__(
        self,
        name: str,
        port: int,
        command: Sequence[str],
        environment: Callable[[], Mapping[str, str]],
        records: Path,
        log: Path,
    ) -> None:
        self.name = name
        self._port = port
        self._command = command
        self._environment = environment
        self._program = Program(records / f"{name}.json", log)

    @property
    def port(self) -> int:
        """Where it answers."""
        return self._port

    @property
    def pid(self) -> int:
        """Its pid; 0 when it does not run."""
        return self._program.pid

    @property
    def alive(self) -> bool:
        """Whether its process runs."""
        return self._program.alive

    def keep_record(self) -> None:
        """Record its process unless that was done."""
        self._program.keep_record()

    def start(self) -> None:
        """Start the process, after ending what an earlier runner left; does not wait. Raises PortBusy."""
        self._program.take_down_leftover(signal.SIGTERM, 5.0)
        ports.require_free({self.name: self._port})
        self._program.spawn(self._command, self._environment(), "/")

    def stop(self) -> None:
        """Ask it to end; ten seconds are enough for a batch and its connections."""
        self._program.end(signal.SIGTERM, 10.0)

    def kill(self) -> None:
        """SIGKILL."""
        self._program.kill()

    def answers(self) -> bool:
        """Whether `/livez` says that its loop turns."""
        return self._get("/livez") == 200

    def ready(self) -> bool:
        """Whether `/readyz` says that it can do its work."""
        return self._get("/readyz") == 200

    def _get(self, path: str) -> int:
        connection = http.client.HTTPConnection(ports.LOOPBACK, self._port, timeout=PROBE_TIMEOUT_SECONDS)
        try:
            connection.request("GET", path)
            return connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return 0
        finally:
            connection.close()


class Watcher:
    """The thread that keeps one server alive, from its first start until `stop`."""

    def __init__(
        self,
        name: str,
        server: Server,
        say: Callable[[str], None],
        *,
        silent_at_most_seconds: float = SILENT_AT_MOST_SECONDS,
        first_answer_within_seconds: float = FIRST_ANSWER_WITHIN_SECONDS,
    ) -> None:
        self.name = name
        self.server = server
        self._say = say
        self._silent_at_most = silent_at_most_seconds
        self._first_answer_within = first_answer_within_seconds
        self._ending = threading.Event()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._restarts = 0
        self._failures = 0
        self._ready = False
        self._was_ever_ready = False
        self._answered = False
        self._last_answer = 0.0
        self._born = 0.0
        self._since = ""
        self._said = ""

    def start(self) -> None:
        """Start the server in the caller's thread, so that the caller sees what goes wrong, and then watch it."""
        with self._starting:
            if self._ending.is_set():
                raise RunnerError("interrupted")
            self._start_server()
            self._thread = threading.Thread(target=self._watch, name=f"watch {self.name}", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Stop watching, then the server in order."""
        self._ending.set()
        # A first start that is under way ends before its server can be stopped.
        with self._starting:
            if self._thread is not None:
                self._thread.join()
            self.server.stop()
        self._ready = False

    @property
    def ready(self) -> bool:
        """Whether it was ready when it was last asked."""
        return self._ready

    @property
    def restarts(self) -> int:
        """How often it was started again."""
        return self._restarts

    @property
    def was_ever_ready(self) -> bool:
        """Whether it has been ready since this watcher began."""
        return self._was_ever_ready

    def status(self, url: str) -> ProcessStatus:
        """What there is to say about it now."""
        identity = Identity.of(self.server.pid) if self.server.pid else None
        return ProcessStatus(
            name=self.name,
            port=self.server.port,
            url=url,
            pid=identity.pid if identity else 0,
            started=identity.started if identity else "",
            since=self._since,
            restarts=self._restarts,
            ready=self._ready,
            said=self._said,
        )

    def _start_server(self) -> None:
        self.server.start()
        self._born = self._last_answer = time.monotonic()
        self._answered = False
        self._since = clock.now().isoformat(timespec="seconds")

    def _watch(self) -> None:
        while not self._ending.wait(PROBED_EVERY_SECONDS):
            try:
                self._look()
            except (DeskError, OSError) as error:
                self._remark(f"did not start: {error}")
            except Exception as error:
                # Whatever it was: a server that nobody watches any more is worse than a line that nobody expected.
                self._remark(f"could not be looked at: {type(error).__name__}: {error}")

    def _look(self) -> None:
        if not self.server.alive:
            self._restart()
            return
        self.server.keep_record()
        if self._ready and time.monotonic() - self._last_answer < PROBED_WHEN_READY_EVERY_SECONDS:
            return
        if self.server.answers():
            self._last_answer = time.monotonic()
            self._answered = True
            self._ready = self.server.ready()
            self._was_ever_ready = self._was_ever_ready or self._ready
            if self._last_answer - self._born > HEALTHY_AFTER_SECONDS:
                self._failures = 0
        else:
            self._ready = False
            self._kill_when_silent()

    def _restart(self) -> None:
        """Restart what died, later each time while it keeps dying."""
        self._ready = False
        # The power is capped as well: two to the 1024th is no float, and a night of failures gets that far.
        wait = min(LONGEST_BACKOFF_SECONDS, SHORTEST_BACKOFF_SECONDS * (2 ** min(self._failures, 30) - 1))
        self._remark(f"ended; starts again {f'in {wait:.1f} s' if wait else 'at once'}")
        if self._ending.wait(wait):
            return
        self._failures += 1
        self._restarts += 1
        self._start_server()

    def _kill_when_silent(self) -> None:
        silent = time.monotonic() - self._last_answer
        if silent > (self._silent_at_most if self._answered else self._first_answer_within):
            self._remark(f"pid {self.server.pid} has not answered for {silent:.0f} s and is killed")
            self.server.kill()

    def _remark(self, text: str) -> None:
        self._said = f"{clock.now().isoformat(timespec='seconds')} {text}"
        self._say(f"{self.name}: {text}")
