"""One part of one service as a process, for a test that asks it something or waits for what it does."""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile

import httpx2

from runner.ports import free_port
from shared.messaging.kafka import Cluster
from tests.support.databases import CHECKOUT, Database

SHOWN_CHARACTERS = 3000


def environment(db: Database, cluster: Cluster, **extra: str) -> dict[str, str]:
    """What a process of a service is told."""
    return {
        **os.environ,
        "DESK_DATABASE_URL": db.url,
        "DESK_KAFKA_BOOTSTRAP": cluster.bootstrap,
        "DESK_TOPIC_PREFIX": cluster.prefix,
        "DESK_ENV": "development",
        **extra,
    }


@asynccontextmanager
async def started(
    service: str, part: str, db: Database, cluster: Cluster, **extra: str
) -> AsyncIterator[tuple[Process, httpx2.AsyncClient]]:
    """One part as a process while the block runs, with a client on its port. A block that fails shows its output."""
    port = free_port()
    with NamedTemporaryFile(prefix=f"{service}-{part}-") as output:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", service, part, env=environment(db, cluster, DESK_PORT=str(port), **extra),
            cwd=CHECKOUT, stdout=output.fileno(), stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        try:
            async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=5) as client:
                yield process, client
        except Exception as error:
            state = "runs" if process.returncode is None else f"ended with {process.returncode}"
            told = Path(output.name).read_text(encoding="utf-8", errors="replace")[-SHOWN_CHARACTERS:]
            error.add_note(f"{service} {part} {state} and printed:\n{told}")
            raise
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()
