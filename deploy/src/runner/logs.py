"""One log per process: kept small while it is written, and read or followed by the commands."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

LARGEST_BYTES = 10 * 1024 * 1024
KEPT = 3


def rotate(log: Path, largest_bytes: int = LARGEST_BYTES, kept: int = KEPT) -> bool:
    """Move the content of a log that has grown too large to `<log>.1`, the older ones one further; True if it did.

    The file itself is emptied, not replaced, because the process that writes holds it open, in append mode. Lines that
    are written between the copy and the cut are lost: a price for processes that outlive their supervisor. Raises
    OSError when there is no room for the copy; then nothing has changed.
    """
    try:
        if log.stat().st_size < largest_bytes:
            return False
    except FileNotFoundError:
        return False
    # The copy first: where a full disk has no room for it, the older ones must stay as they are.
    copied = log.with_name(f".{log.name}.new")
    try:
        shutil.copyfile(log, copied)
    except OSError:
        copied.unlink(missing_ok=True)
        raise
    for number in range(kept - 1, 0, -1):
        older = log.with_name(f"{log.name}.{number}")
        if older.exists():
            older.replace(log.with_name(f"{log.name}.{number + 1}"))
    copied.replace(log.with_name(f"{log.name}.1"))
    with log.open("r+b") as file:
        file.truncate(0)
    return True


def last_lines(log: Path, count: int) -> list[str]:
    """The last lines of a log; none where there is no log."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 400 * count))
            return file.read().decode("utf-8", errors="replace").splitlines()[-count:]
    except FileNotFoundError:
        return []


def follow(logs: list[Path], poll_seconds: float = 0.3) -> Iterator[tuple[str, str]]:
    """What is written to the logs from the call on: pairs of the log's name and a line, for ever."""
    return _follow_from({log: log.stat().st_size if log.exists() else 0 for log in logs}, poll_seconds)


def _follow_from(positions: dict[Path, int], poll_seconds: float) -> Iterator[tuple[str, str]]:
    while True:
        for log in positions:
            for line in _new_lines(log, positions):
                yield log.stem, line
        time.sleep(poll_seconds)


def _new_lines(log: Path, positions: dict[Path, int]) -> list[str]:
    size = log.stat().st_size if log.exists() else 0
    if size < positions[log]:
        positions[log] = 0
    if size == positions[log]:
        return []
    with log.open("rb") as file:
        file.seek(positions[log])
        piece = file.read()
    whole, newline, _ = piece.rpartition(b"\n")
    positions[log] += len(whole) + len(newline)
    return whole.decode("utf-8", errors="replace").splitlines()
