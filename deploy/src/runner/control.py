"""What the commands do to an installation: start its supervisor, wait for it, end it, delete its data."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from runner import disk
from runner.bringup import take_down_leftovers
from runner.errors import RunnerError, tail_of
from runner.installation import SERVICES, Addresses, Installation, command, server_of
from runner.kafka import EmbeddedKafka
from runner.ports import LOOPBACK
from runner.postgres import ADMINISTRATOR, EmbeddedPostgres
from runner.processes import Identity, end_family, wait_for_end
from runner.status import Status, age_of_status, read_status

UP_WITHIN_SECONDS = 900.0
# The broker alone may take twenty seconds, when it writes its start-up cache.
DOWN_WITHIN_SECONDS = 60.0
POLLED_EVERY_SECONDS = 0.1
# The supervisor confirms its status each second.
STALE_AFTER_SECONDS = 5.0
KEPT_BY_RESET = {"cache", "test", "supervisor.lock"}


def look(installation: Installation) -> Status | None:
    """The status as it is now: one whose supervisor was killed, or cannot write it, says so.

    None when there never was any.
    """
    status = read_status(installation.state / "status.json")
    if status is None or status.state in ("stopped", "failed"):
        return status
    if not status.current():
        status.state = "stopped"
        status.error = "The supervisor is gone; what it started may still run. `desk up` puts everything right."
    elif stale := _stale(installation, status):
        status.state, status.error = "degraded", stale
    return status


def _stale(installation: Installation, status: Status) -> str:
    """Since when the supervisor, which lives, has not written how it stands, and why; empty while it does."""
    age = age_of_status(installation.state / "status.json")
    # What stops is written once and confirmed no more: each server may take long to end.
    if status.state in ("stopping", "stopped", "failed") or age <= STALE_AFTER_SECONDS:
        return ""
    return f"This is how it was {age:.0f} s ago: {_why_stale(installation)}"


def _why_stale(installation: Installation) -> str:
    """Why a supervisor that lives does not write how it stands, as far as one can see from outside."""
    if disk.is_full(installation.state):
        return (
            f"the disk is full under {installation.state}, so the supervisor cannot write its status. It still watches "
            "and restarts everything. Free some space: nothing else need be done."
        )
    return (
        f"the supervisor lives and has not written its status in {installation.state} since. Can it write there? If "
        "it was frozen, wake it; `desk down` and `desk up` put everything right."
    )


def bring_up(installation: Installation, show: Callable[[Status], None]) -> Status:
    """Start the supervisor unless it runs, and follow it until everything is ready.

    `show` is called with each new status. Raises RunnerError with the reason when it cannot come up; on a disk without
    room nothing is even begun.
    """
    _wait_while_stopping(installation)
    _require_room(installation)
    following = _Following(installation, _start_supervisor(installation))
    deadline = time.monotonic() + UP_WITHIN_SECONDS
    while time.monotonic() < deadline:
        status = following.look()
        if status is not None:
            show(status)
            if status.state == "ready":
                return status
        time.sleep(POLLED_EVERY_SECONDS)
    raise RunnerError(f"Not ready after {UP_WITHIN_SECONDS:.0f} s. See `desk status` and `desk logs`.")


def take_down(installation: Installation) -> list[str]:
    """End the supervisor and all that it runs, in order; also what a killed supervisor left. The names of what ran."""
    status = look(installation)
    ended: list[str] = []
    if status is not None and status.supervisor is not None and status.supervisor.alive():
        ended = [process.name for process in status.processes if process.pid]
        end_family(status.supervisor, signal.SIGTERM, DOWN_WITHIN_SECONDS)
    return [*ended, *take_down_leftovers(installation)]


def delete_data(installation: Installation) -> None:
    """Delete everything that this installation wrote, except what can only be downloaded again."""
    EmbeddedPostgres(installation.state / "postgres").remove()
    EmbeddedKafka(installation.state / "kafka", installation.cache).remove()
    for path in installation.state.glob("*"):
        if path.name in KEPT_BY_RESET:
            continue
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def run_service_command(installation: Installation, service: str, words: Sequence[str]) -> int:
    """`python -m <service>` with these words, told where this installation's servers are; its exit code.

    Raises RunnerError for an unknown service, and where this installation has no database yet.
    """
    if service not in SERVICES:
        raise RunnerError(f"There is no service {service!r}. There are: {', '.join(SERVICES)}.")
    if not (installation.state / "passwords" / server_of(service)).exists():
        raise RunnerError(f"{service} has no database here yet. Say `desk up` first.")
    environment = installation.environment(service, addresses_of(installation), as_owner=needs_owner(words))
    return subprocess.run(command(service, *words), env=environment, check=False).returncode


def needs_owner(words: Sequence[str]) -> bool:
    """Whether a service's command works as the role that owns the tables: `migrate`, and `messaging rebuild`."""
    return list(words[:1]) == ["migrate"] or list(words[:2]) == ["messaging", "rebuild"]


def addresses_of(installation: Installation) -> Addresses:
    """Where the two servers are, as far as the installation decides it."""
    embedded = f"postgresql://{ADMINISTRATOR}@{LOOPBACK}:{installation.ports.get('postgres', 0)}/"
    broker = f"{LOOPBACK}:{installation.ports.get('kafka', 0)}"
    return Addresses(installation.postgres_url or embedded, installation.kafka_bootstrap or broker)


def given_servers(installation: Installation) -> list[str]:
    """The servers that are not of this installation."""
    given = {"PostgreSQL": installation.postgres_url, "Kafka": installation.kafka_bootstrap}
    return [name for name, address in given.items() if address]


@dataclass
class _Following:
    """Follows one supervisor: the one that was just started, or the one that was there."""

    installation: Installation
    child: subprocess.Popen[bytes] | None
    followed: Identity | None = None

    def look(self) -> Status | None:
        """The status of the supervisor that is followed; None before it has written one. Raises RunnerError."""
        status = read_status(self.installation.state / "status.json")
        if status is not None and self._is_followed(status):
            self.followed = status.supervisor
            if status.state == "failed":
                raise RunnerError(status.error)
            if not status.current():
                # On a full disk it may have failed, and not have been able to write that.
                advice = disk.fullness(self.installation) or "Say `desk up` again."
                raise RunnerError(f"The supervisor was ended while it was waited for. {advice}")
            return status
        if self.child is not None and self.child.poll() not in (None, 0):
            log = self.installation.logs / "supervisor.log"
            said = disk.fullness(self.installation) or f"The end of its log:\n{tail_of(log)}"
            raise RunnerError(f"The supervisor did not start. {said}")
        return None

    def _is_followed(self, status: Status) -> bool:
        if status.supervisor is None:
            return False
        mine = self.child is not None and status.supervisor.pid == self.child.pid
        return mine or status.supervisor == self.followed or status.current()


def _require_room(installation: Installation) -> None:
    """What runs already goes on as it can, and says so; nothing new is begun on a disk that is too full for it."""
    status = read_status(installation.state / "status.json")
    if status is not None and status.current():
        if stale := _stale(installation, status):
            raise RunnerError(stale)
    elif lack := disk.shortage(installation):
        raise RunnerError(f"{lack} Nothing was started.")


def _wait_while_stopping(installation: Installation) -> None:
    status = look(installation)
    if status is None or status.state != "stopping" or status.supervisor is None:
        return
    if not wait_for_end(status.supervisor, DOWN_WITHIN_SECONDS):
        raise RunnerError(
            f"The supervisor (pid {status.supervisor.pid}) is still stopping after {DOWN_WITHIN_SECONDS:.0f} s. "
            "`desk down` ends it and what it runs; then say `desk up` again."
        )


def _start_supervisor(installation: Installation) -> subprocess.Popen[bytes] | None:
    """A process in its own session, so that it outlives the terminal; None when there is one already."""
    status = look(installation)
    if status is not None and status.current():
        return None
    installation.logs.mkdir(parents=True, exist_ok=True)
    with (installation.logs / "supervisor.log").open("ab") as log:
        return subprocess.Popen(
            command("runner.supervisor"),
            cwd="/",
            env={**os.environ, "DESK_STATE": str(installation.state)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
