"""Room on the disks where an installation writes: how much there is, whether it is enough, and what may go."""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from runner.errors import tail_of
from runner.installation import Installation

# The databases, the topics and the caches of a new installation, and room to write.
LEAST_FREE_BYTES = 512 * 2**20
LEAST_FREE_FILES = 1000
# Where all of these are there already only room to go on is needed: PostgreSQL takes its log in pieces of 16 MiB, and
# needs a second one before it may give back the first; the topics and the logs of the processes get as much again.
LEAST_FREE_BYTES_AGAIN = 64 * 2**20
LEAST_FREE_FILES_AGAIN = 100
# Below this nothing that is written can be counted on: PostgreSQL alone takes so much at once for its log.
FULL_BYTES = 16 * 2**20
ADVICE = "free some space, or move the installation with DESK_STATE; `make reset` deletes its data"


@dataclass(frozen=True)
class Room:
    """What is left on the disk of a folder. `files` is None where the file system does not count them."""

    folder: Path
    free_bytes: int
    files: int | None

    @property
    def says(self) -> str:
        """How much is left, in words."""
        return f"{size(self.free_bytes)} free under {self.folder}"

    @property
    def full(self) -> bool:
        """Whether nothing more can be counted on to be written there."""
        return self.free_bytes < FULL_BYTES or self.files == 0

    def lack(self, least_bytes: int = LEAST_FREE_BYTES, least_files: int = LEAST_FREE_FILES) -> str:
        """What is missing, in words; empty where there is enough."""
        if self.free_bytes < least_bytes:
            return f"{self.says}, {size(least_bytes)} are needed"
        if self.files is not None and self.files < least_files:
            return f"only {self.files} more files fit under {self.folder}"
        return ""


def rooms(installation: Installation) -> list[Room]:
    """One for each disk on which the installation writes; of several folders on one disk the state folder counts."""
    wanted = (Path(tempfile.gettempdir()), installation.cache, installation.state)
    return [_room(folder) for folder in {nearest(each).stat().st_dev: each for each in wanted}.values()]


def shortage(installation: Installation) -> str:
    """Which disk has too little room for a start, and what may go there, in one sentence; empty where all is well."""
    least = least_room(installation)
    lacks = [lack for room in rooms(installation) if (lack := room.lack(*least))]
    if not lacks:
        return ""
    old = sum(path.stat().st_size for path in old_logs(installation))
    may_go = f" (old logs in {installation.logs}, *.log.*, take {size(old)} and may go)" if old > 2**20 else ""
    return f"The disk is too full: {'; '.join(lacks)}: {ADVICE}{may_go}."


def least_room(installation: Installation) -> tuple[int, int]:
    """How many bytes and files must be free for a start: fewer where the data and the broker's jars are there."""
    # PostgreSQL's own folder would not tell of the data: for root it may be elsewhere.
    has_data = any((installation.state / "loaded").glob("*.json"))
    has_jars = bool(installation.kafka_bootstrap) or (installation.cache / "kafka").is_dir()
    if has_data and has_jars:
        return LEAST_FREE_BYTES_AGAIN, LEAST_FREE_FILES_AGAIN
    return LEAST_FREE_BYTES, LEAST_FREE_FILES


def fullness(installation: Installation) -> str:
    """The `shortage` where a disk is so full that this may be why something failed; empty where none is."""
    return shortage(installation) if any(room.full for room in rooms(installation)) else ""


def is_full(folder: Path) -> bool:
    """Whether nothing more can be counted on to be written there."""
    return _room(folder).full


def why_ended(name: str, log: Path, folder: Path) -> str:
    """Why a server ended that was to start: the full disk where that is it, else the end of its log."""
    if is_full(folder):
        return f"{name} did not start: the disk is full under {folder}. Free some space."
    return f"{name} did not start. The end of its log:\n{tail_of(log)}"


def old_logs(installation: Installation) -> list[Path]:
    """What rotation put aside, and nobody writes to."""
    return [path for path in installation.logs.glob("*.log.*") if path.is_file()]


def nearest(folder: Path) -> Path:
    """The folder, or the first above it that exists."""
    return next(each for each in [folder, *folder.parents] if each.exists())


def size(amount: int) -> str:
    """Bytes for a person."""
    return f"{amount / 2**30:.1f} GiB" if amount >= 2**30 else f"{amount / 2**20:.0f} MiB"


def _room(folder: Path) -> Room:
    place = nearest(folder)
    counted = os.statvfs(place)
    return Room(folder, shutil.disk_usage(place).free, counted.f_favail if counted.f_files else None)
