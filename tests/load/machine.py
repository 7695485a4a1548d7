"""What processes used of this machine: CPU seconds, memory, and how busy it was meanwhile."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import psutil

MEBI = 1024 * 1024


@dataclass
class Used:
    """CPU seconds that a group of processes used while something was measured."""

    seconds: float = 0.0
    by_pid: dict[int, float] = field(default_factory=dict)


@contextmanager
def cpu_of(pids: Callable[[], Iterable[int]]) -> Iterator[Used]:
    """What these processes use inside. They are asked for before and after: a server starts some meanwhile."""
    used, before = Used(), _cpu_seconds(pids())
    yield used
    used.by_pid = {pid: seconds - before.get(pid, 0.0) for pid, seconds in _cpu_seconds(pids()).items()}
    used.seconds = sum(used.by_pid.values())


def _cpu_seconds(pids: Iterable[int]) -> dict[int, float]:
    """User and system time of each process until now, without its children."""
    found = {}
    for pid in pids:
        with suppress(psutil.NoSuchProcess):
            times = psutil.Process(pid).cpu_times()
            found[pid] = times.user + times.system
    return found


def server_of(backend: int) -> int | None:
    """The process that all of PostgreSQL's descend from; None when it does not run on this machine."""
    with suppress(psutil.Error):
        process = psutil.Process(backend)
        parent = process.parent()
        if "postgres" in process.name() and parent is not None:
            return int(parent.pid)
    return None


def family(pid: int | None) -> list[int]:
    """A process and all that descend from it now."""
    if pid is None:
        return []
    return [pid, *[child.pid for child in psutil.Process(pid).children(recursive=True)]]


def memory(pid: int) -> tuple[float, float]:
    """MiB resident, and MiB that no other process shares."""
    held = psutil.Process(pid).memory_full_info()
    return held.rss / MEBI, held.uss / MEBI


def describe() -> dict[str, Any]:
    """What the figures were measured on, and how busy it was: load average over 1, 5 and 15 minutes."""
    return {
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "load_average": [round(each, 2) for each in os.getloadavg()],
        "memory_available_mib": round(psutil.virtual_memory().available / MEBI),
    }
