"""Whole installations of a test's own, brought up by `desk` itself and reset afterwards."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncpg

from runner.doctor.patient import Patient
from runner.installation import Installation, command
from runner.ports import free_port, is_free
from tests.support.servers import CACHE

SAID_WITHIN_SECONDS = 150


def free_base() -> int:
    """A base above which every port of an installation is free."""
    while True:
        base = free_port()
        if all(is_free(port) for port in Installation(Path(), base).ports.values()):
            return base


def say(installation: Installation, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """`desk` with these words, for this installation."""
    given = {name: value for name, value in os.environ.items() if not name.startswith("DESK_")}
    place = {"DESK_STATE": str(installation.state), "DESK_PORT_BASE": str(installation.port_base)}
    return subprocess.run(
        command("runner.cli", *words), env={**given, **place, **environment}, capture_output=True, text=True,
        timeout=SAID_WITHIN_SECONDS, check=False,
    )  # fmt: skip


async def rows(installation: Installation, service: str | None, query: str, *arguments: Any) -> list[Any]:
    """What a statement of the administrator answers, on a service's database or on the server's first one."""
    admin = Patient(installation).admin_url
    assert admin is not None
    connection = await asyncpg.connect(admin, database=f"desk_{service}" if service else None)
    try:
        return list(await connection.fetch(query, *arguments))
    finally:
        await connection.close()


@contextmanager
def brought_up(folder: Path, **environment: str) -> Iterator[Installation]:
    """An installation with its state in this folder, which runs inside and is deleted afterwards."""
    installation = Installation(folder / "state", free_base())
    installation.state.mkdir()
    # What is fetched once is shared by all tests.
    (installation.state / "cache").symlink_to(CACHE)
    try:
        done = say(installation, "up", **environment)
        assert done.returncode == 0, done.stdout + done.stderr
        yield installation
    finally:
        say(installation, "reset", "--yes")
