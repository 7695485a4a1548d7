"""Child processes known by pid and start time, so that a pid used again is never mistaken for ours."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from runner.private_files import write_private

KILLED_WITHIN_SECONDS = 10.0


def _start_of(pid: int) -> str | None:
    """What no other process with this pid can share: on Linux the boot and the kernel's tick at the start.

    Wall-clock start times move when the clock is set, and a pid returns after a reboot; neither is true of these two.
    """
    try:
        if sys.platform == "linux":
            stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
            boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
            return f"{boot}:{stat.rpartition(')')[2].split()[19]}"
        return f"{psutil.Process(pid).create_time():.2f}"
    except (OSError, psutil.Error):
        return None


@dataclass(frozen=True)
class Identity:
    """One process, for ever: its pid and its start."""

    pid: int
    started: str

    @classmethod
    def of(cls, pid: int) -> Identity | None:
        """The identity of the process that has this pid now; None where there is none."""
        started = _start_of(pid)
        return None if started is None else cls(pid, started)

    def process(self) -> psutil.Process | None:
        """The process if it still lives; a zombie does not."""
        if _start_of(self.pid) != self.started:
            return None
        try:
            process = psutil.Process(self.pid)
            return None if process.status() == psutil.STATUS_ZOMBIE else process
        except psutil.Error:
            return None

    def alive(self) -> bool:
        """Whether that very process still runs."""
        return self.process() is not None


def read_identity(path: Path) -> Identity | None:
    """The identity that a file records; None where the file is missing or was cut short by a crash."""
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        return Identity(int(stored["pid"]), str(stored["started"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def family_of(identity: Identity) -> list[psutil.Process]:
    """The process and all that it started, itself first; empty when it is gone."""
    process = identity.process()
    if process is None:
        return []
    try:
        return [process, *process.children(recursive=True)]
    except psutil.Error:
        return [process]


def signal_family(identity: Identity, number: signal.Signals) -> None:
    """Send a signal to the process and to all that it started."""
    for process in family_of(identity):
        try:
            process.send_signal(number)
        except psutil.Error:
            continue


def wait_for_end(identity: Identity, seconds: float) -> bool:
    """Wait until the process is gone; False when it still runs after that many seconds."""
    deadline = time.monotonic() + seconds
    while identity.alive():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def kill_family(identity: Identity) -> None:
    """SIGKILL to the process and to all that it started, and wait until they are gone."""
    members = [each for process in family_of(identity) if (each := Identity.of(process.pid))]
    for member in members:
        try:
            os.kill(member.pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    deadline = time.monotonic() + KILLED_WITHIN_SECONDS
    for member in members:
        wait_for_end(member, deadline - time.monotonic())


def end_family(identity: Identity, first: signal.Signals, seconds: float) -> bool:
    """Ask the process to end; kill it with its family when it has not after `seconds`. True when it went by itself."""
    process = identity.process()
    if process is None:
        return True
    try:
        process.send_signal(first)
        process.send_signal(signal.SIGCONT)
    except psutil.Error:
        return True
    if wait_for_end(identity, seconds):
        return True
    kill_family(identity)
    return False


@dataclass(frozen=True)
class Account:
    """The user as whom a program runs when the runner itself is root."""

    uid: int
    gid: int


class Program:
    """One program as a child in its own session: started, recorded, signalled, ended.

    `record` holds the pid and start of the running child, so that a runner which was killed can find it again; `log`
    receives everything that the child writes.
    """

    def __init__(self, record: Path, log: Path) -> None:
        self.record = record
        self.log = log
        self.identity: Identity | None = None
        self._child: subprocess.Popen[bytes] | None = None
        self._recorded = False

    @property
    def pid(self) -> int:
        """The pid of the running child; 0 when none was started."""
        return self.identity.pid if self.identity else 0

    @property
    def alive(self) -> bool:
        """Whether the child still runs; a child that ended is waited for, so that it leaves no zombie."""
        if self._child is not None and self._child.poll() is not None:
            return False
        return self.identity is not None and self.identity.alive()

    @property
    def exit_code(self) -> int | None:
        """The exit code of a child that ended; None while it runs or when it was somebody else's child."""
        return self._child.poll() if self._child else None

    def spawn(
        self, command: Sequence[str], environment: Mapping[str, str], folder: str, account: Account | None = None
    ) -> None:
        """Start the command; its output is appended to the log (so that the log can be cut while it runs)."""
        self._recorded = False
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self.record.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._child = subprocess.Popen(
                list(command),
                env=dict(environment),
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                user=account.uid if account else None,
                group=account.gid if account else None,
                extra_groups=[] if account else None,
            )
        self.identity = Identity.of(self._child.pid)
        self.keep_record()

    def keep_record(self) -> None:
        """Record the running child unless that was done. To be said again: a full disk may not have taken it.

        Only a later runner needs the record: a disk that does not take it must not cost the child.
        """
        if self._recorded or self.identity is None:
            return
        with suppress(OSError):
            write_private(self.record, json.dumps(asdict(self.identity)))
            self._recorded = True

    def end(self, first: signal.Signals, seconds: float) -> bool:
        """Ask the child to end with a signal; kill it after `seconds`. True when it went by itself."""
        if self.identity is None:
            return True
        orderly = end_family(self.identity, first, seconds) if self.alive else True
        self._forget()
        return orderly

    def kill(self) -> None:
        """SIGKILL to the child and to all that it started."""
        if self.identity is not None:
            kill_family(self.identity)
            self._forget()

    def send(self, number: signal.Signals) -> None:
        """A signal for the child and all that it started (SIGSTOP and SIGCONT freeze and wake the whole family)."""
        if self.identity is not None:
            signal_family(self.identity, number)

    def take_down_leftover(self, first: signal.Signals, seconds: float) -> bool:
        """End the child of an earlier runner that was killed itself; True when there was one."""
        leftover = read_identity(self.record)
        if leftover is None or not leftover.alive():
            return False
        end_family(leftover, first, seconds)
        self.record.unlink(missing_ok=True)
        return True

    def _forget(self) -> None:
        if self._child is not None:
            self._child.wait(timeout=KILLED_WITHIN_SECONDS)
        self.identity = None
        self.record.unlink(missing_ok=True)
