"""What processes used of this machine: CPU seconds, memory, and how busy it was meanwhile."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psutil

MEBI = 1024 * 1024


@dataclass
class Used:
    """CPU seconds that a group of processes used while something was measured."""

    seconds: float = 0.0


def cpu_seconds(pids: Iterable[int]) -> float:
    """User and system time of these processes until now, without their children."""
    total = 0.0
    for pid in pids:
        try:
            times = psutil.Process(pid).cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system
    return total


@contextmanager
def cpu_of(pids: Iterable[int]) -> Iterator[Used]:
    """What these processes use inside."""
    watched, used = list(pids), Used()
    before = cpu_seconds(watched)
    yield used
    used.seconds = cpu_seconds(watched) - before


def server_pids(backend: int) -> list[int]:
    """All processes of the PostgreSQL that a backend belongs to; none when it does not run on this machine."""
    try:
        process = psutil.Process(backend)
        parent = process.parent()
        if "postgres" not in process.name() or parent is None:
            return []
        return [parent.pid, *[child.pid for child in parent.children(recursive=True)]]
    except psutil.Error:
        return []


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
