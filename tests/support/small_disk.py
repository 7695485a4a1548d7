"""A file system of a test's own that can be filled: a tmpfs, where this user may mount one."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

MIB = 2**20
_AT_ONCE = 256 * 1024


@dataclass
class SmallDisk:
    """A folder with a file system of its own. `fill` leaves so many bytes free, `free` gives the room back."""

    folder: Path

    @property
    def ballast(self) -> Path:
        """The file that takes the room."""
        return self.folder / "ballast"

    def fill(self, left_bytes: int = 0) -> None:
        """Take the room that there is, down to what is to be left."""
        with self.ballast.open("ab", buffering=0) as file:
            while (room := self.left() - left_bytes) > 0:
                try:
                    file.write(bytes(min(room, _AT_ONCE)))
                except OSError:
                    return

    def free(self) -> None:
        """Give it back."""
        self.ballast.unlink(missing_ok=True)

    def grow(self, size_bytes: int) -> None:
        """Make the disk larger."""
        subprocess.run(["mount", "-o", f"remount,size={size_bytes}", str(self.folder)], check=True, timeout=10)

    def left(self) -> int:
        """Bytes that are free."""
        found = os.statvfs(self.folder)
        return found.f_bavail * found.f_frsize


@cache
def may_mount() -> bool:
    """Whether this user may mount a tmpfs, tried once."""
    with tempfile.TemporaryDirectory() as folder:
        if _mount(Path(folder), MIB) != 0:
            return False
        _unmount(Path(folder))
    return True


@contextmanager
def mounted(size_bytes: int) -> Iterator[SmallDisk]:
    """A small disk that every user can enter. Raises RuntimeError where this user may not mount one."""
    folder = Path(tempfile.mkdtemp(prefix="psa-desk-disk-"))
    # An unprivileged server must be able to enter it.
    folder.chmod(0o755)
    try:
        if _mount(folder, size_bytes) != 0:
            raise RuntimeError("this user may not mount a tmpfs")
        try:
            yield SmallDisk(folder)
        finally:
            _unmount(folder)
    finally:
        folder.rmdir()


def _mount(folder: Path, size_bytes: int) -> int:
    command = ["mount", "-t", "tmpfs", "-o", f"size={size_bytes},mode=0755", "tmpfs", str(folder)]
    try:
        return subprocess.run(command, capture_output=True, check=False, timeout=10).returncode
    except OSError:
        return 1


def _unmount(folder: Path) -> None:
    """Lazily, so that a process that still has a file open there does not keep the test from ending."""
    subprocess.run(["umount", "--lazy", str(folder)], capture_output=True, check=False, timeout=10)
