"""The one process that runs an installation: brings it up, watches it, writes its status, takes it down."""

from __future__ import annotations

import fcntl
import os
import signal
import sys
import threading
import time
from contextlib import suppress
from types import FrameType

from runner import disk, ports
from runner.bringup import Crew, take_down_leftovers
from runner.installation import Installation
from runner.logs import rotate
from runner.processes import Identity
from runner.status import State, Status, confirm_status, write_status
from runner.steps import Plan, StepFailed
from shared import clock
from shared.errors import DeskError
from shared.system_errors import explain, is_full

STATUS_EVERY_SECONDS = 0.2
CONFIRMED_EVERY_SECONDS = 1.0
ROTATED_EVERY_SECONDS = 5.0


class Supervisor:
    """Runs one installation until a signal comes, or until it turns out that it cannot come up."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        self._crew: Crew | None = None
        self._plan: Plan | None = None
        self._ending = threading.Event()
        self._written: Status | None = None
        self._confirmed_at = 0.0
        # By file, the number of the error with which the system refuses it; 0 where all is well.
        self._refused: dict[str, int] = {}
        self._me = Identity.of(os.getpid())
        self._began = time.monotonic()
        self._since = clock.now().isoformat(timespec="seconds")
        self._came_up_after: float | None = None
        self._failure = ""

    def run(self) -> int:
        """Come up, watch, and end in order; the exit code."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._end)
        self._write("starting")
        thread = threading.Thread(target=self._bring_up, name="bring up", daemon=True)
        thread.start()
        self._watch(thread)
        self._write("stopping")
        if self._crew:
            self._crew.stop()
        self._write("failed" if self._failure else "stopped")
        return 1 if self._failure else 0

    def _end(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self._ending.set()

    def _bring_up(self) -> None:
        try:
            for name in take_down_leftovers(self._installation):
                _say(f"ended {name}, which an earlier supervisor had left running")
            ports.require_free(self._installation.ports)
            self._crew = Crew(self._installation, _say)
            self._plan = self._crew.plan()
            self._plan.run()
            self._came_up_after = time.monotonic() - self._began
        except OSError as error:
            self._fail(explain(error), error)
        except (DeskError, StepFailed) as error:
            self._fail(str(error), error)
        except Exception as error:
            self._fail(f"{type(error).__name__}: {error}", error)
            raise

    def _fail(self, why: str, error: BaseException) -> None:
        if not self._ending.is_set():
            room = (disk.shortage if _was_full(error) else disk.fullness)(self._installation)
            self._failure = "\n".join(filter(None, (why, room)))
            _say(f"cannot come up: {self._failure}")
        self._ending.set()

    def _watch(self, thread: threading.Thread) -> None:
        rotated_at = 0.0
        while not self._ending.wait(STATUS_EVERY_SECONDS):
            if thread.is_alive():
                self._write("starting")
            else:
                self._write("ready" if self._crew and self._crew.ready else "degraded")
            if time.monotonic() - rotated_at > ROTATED_EVERY_SECONDS:
                rotated_at = time.monotonic()
                self._rotate_logs()

    def _rotate_logs(self) -> None:
        for log in self._installation.logs.glob("*.log"):
            try:
                rotate(log)
            except OSError as error:
                self._say_once(log.name, f"{log.name} is not put aside: {explain(error)}", error)
            else:
                self._say_once(log.name, f"{log.name} can be put aside again")

    def _write(self, state: State) -> None:
        """Tell the commands how it stands. A disk that does not take it must not end what watches the services."""
        status = self._status(state)
        path = self._installation.state / "status.json"
        try:
            if status != self._written:
                write_status(path, status)
                self._written, self._confirmed_at = status, time.monotonic()
            elif time.monotonic() - self._confirmed_at > CONFIRMED_EVERY_SECONDS:
                confirm_status(path)
                self._confirmed_at = time.monotonic()
            else:
                return
        except OSError as error:
            said = f"the status cannot be written, the services are watched all the same: {error}"
            self._say_once(path.name, said, error)
        else:
            self._say_once(path.name, "the status can be written again")

    def _say_once(self, file: str, said: str, error: OSError | None = None) -> None:
        """Say it when the system begins to refuse a file, when its reason changes, and when all is well again.

        The reason is the number of the error: a text may name something else each time.
        """
        reason = 0 if error is None else error.errno or -1
        if reason != self._refused.get(file, 0):
            self._refused[file] = reason
            _say(said)

    def _status(self, state: State) -> Status:
        return Status(
            state=state,
            supervisor=self._me,
            since=self._since,
            seconds=self._came_up_after or time.monotonic() - self._began,
            error=self._failure,
            notes=self._crew.notes if self._crew else [],
            steps=self._plan.statuses() if self._plan else [],
            processes=self._crew.statuses() if self._crew and self._plan else [],
        )


def _was_full(error: BaseException | None) -> bool:
    """Whether it was a full disk that began it: a step tells of what failed in its own words."""
    return error is not None and (is_full(error) or _was_full(error.__cause__))


def _say(text: str) -> None:
    """A line for the log, past all buffers: where the disk has no room for it, it is lost and nothing else happens."""
    with suppress(OSError):
        os.write(sys.stdout.fileno(), f"{clock.now().isoformat(timespec='milliseconds')} {text}\n".encode())


def main() -> int:
    """Run the installation that the environment describes; at once 0 when another supervisor already does."""
    installation = Installation.from_environment()
    installation.state.mkdir(parents=True, exist_ok=True)
    # The kernel gives the lock back when its holder dies, however it dies.
    with (installation.state / "supervisor.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _say("another supervisor runs this installation")
            return 0
        return Supervisor(installation).run()


if __name__ == "__main__":
    sys.exit(main())
