"""What the supervisor tells the commands: one file, replaced in one step, read by whoever asks."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from runner.private_files import write_private
from runner.processes import Identity
from shared import clock

State = Literal["starting", "ready", "degraded", "stopping", "stopped", "failed"]
StepState = Literal["waiting", "running", "done", "failed"]


@dataclass
class StepStatus:
    """One step of coming up. `seconds` is how long it took, or has taken so far."""

    name: str
    state: StepState = "waiting"
    seconds: float = 0.0
    detail: str = ""


@dataclass
class ProcessStatus:
    """One process. `started` belongs to the pid: without it a pid means nothing."""

    name: str
    port: int
    url: str
    pid: int = 0
    started: str = ""
    since: str = ""
    restarts: int = 0
    ready: bool = False
    said: str = ""

    @property
    def identity(self) -> Identity | None:
        """Which process this is, to be asked whether it still lives."""
        return Identity(self.pid, self.started) if self.pid else None


@dataclass
class Status:
    """The whole installation at one instant, in the words of the supervisor that `supervisor` identifies."""

    state: State
    supervisor: Identity | None = None
    since: str = ""
    seconds: float = 0.0
    error: str = ""
    notes: list[str] = field(default_factory=list)
    steps: list[StepStatus] = field(default_factory=list)
    processes: list[ProcessStatus] = field(default_factory=list)

    def current(self) -> bool:
        """Whether the supervisor that wrote this still runs."""
        return self.supervisor is not None and self.supervisor.alive()


def write_status(path: Path, status: Status) -> None:
    """Replace the file; a reader sees the old or the new one, never half."""
    write_private(path, json.dumps(asdict(status), indent=1, ensure_ascii=False) + "\n")
    confirm_status(path)


def confirm_status(path: Path) -> None:
    """Say that what was written is still so; this needs no room on the disk."""
    now = clock.now().timestamp()
    os.utime(path, (now, now))


def age_of_status(path: Path) -> float:
    """Seconds since the status was written or confirmed; 0 where there is none."""
    try:
        return max(0.0, clock.now().timestamp() - path.stat().st_mtime)
    except OSError:
        return 0.0


def read_status(path: Path) -> Status | None:
    """The last status that was written; None where there is none (or one of another version of this program)."""
    try:
        return _parse(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _parse(stored: dict[str, Any]) -> Status:
    supervisor = stored.pop("supervisor")
    steps = [StepStatus(**each) for each in stored.pop("steps")]
    processes = [ProcessStatus(**each) for each in stored.pop("processes")]
    return Status(supervisor=Identity(**supervisor) if supervisor else None, steps=steps, processes=processes, **stored)
