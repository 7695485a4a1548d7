"""Another system behind HTTP that makes a task for each request, and a worker that dies at a step of its errand.

`python -m tests.support.tracker DATABASE TRACKER STEP` runs the worker until it has killed itself.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import httpx2

from runner.ports import LOOPBACK, free_port
from shared.db.engine import make_engine
from shared.db.statement import sql
from shared.db.transaction import Transaction
from shared.errands import Errand, ErrandJob, ErrandLoop

_KEEP = sql("INSERT INTO public.answers (key, answer, attempt) VALUES (:key, :answer, :attempt)")


@dataclass
class Tracker:
    """Counts the tasks that it made, by reference; it makes another one for each POST, as most trackers do."""

    port: int = field(default_factory=free_port)
    created: Counter[str] = field(default_factory=Counter)

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://{LOOPBACK}:{self.port}"

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Tracker]:
        """Answers while the block runs."""
        server = await asyncio.start_server(self._answer, LOOPBACK, self.port)
        try:
            yield self
        finally:
            server.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        method, path, _ = head.split("\r\n", 1)[0].split(" ")
        reference = path.rpartition("/")[2]
        if method == "POST":
            self.created[reference] += 1
        status = "200 OK" if self.created[reference] else "404 Not Found"
        writer.write(f"HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".encode())
        await writer.drain()
        writer.close()


def die_at(step: str) -> None:
    """Kills this process where it is meant to die."""
    if sys.argv[3] == step:
        os.kill(os.getpid(), signal.SIGKILL)


async def create_task(errand: Errand) -> str:
    """As an adapter must: look first where an earlier attempt may have come through."""
    die_at("after-claim")
    async with httpx2.AsyncClient(base_url=sys.argv[2]) as http:
        found = errand.is_again and (await http.get(f"/tasks/{errand.key}")).status_code == 200
        if not found:
            (await http.post(f"/tasks/{errand.key}")).raise_for_status()
    die_at("after-call")
    return f"task {errand.key}"


async def record(tx: Transaction, errand: Errand, answer: Any, now: datetime) -> None:
    """Keeps the answer."""
    await tx.execute(_KEEP, {"key": errand.key, "answer": str(answer), "attempt": errand.attempt})
    die_at("before-commit")


class Dying(ErrandLoop):
    """Dies also before it claims and after its commit."""

    async def _claim(self, most: int) -> list[Errand]:
        die_at("before-claim")
        return await super()._claim(most)

    async def _record(self, errand: Errand, keep: Any, what: str) -> str:
        outcome = await super()._record(errand, keep, what)
        die_at("after-commit")
        return outcome


async def main() -> None:
    """Runs the worker."""
    engine = make_engine(sys.argv[1], application="test")

    async def never(tx: Transaction, errand: Errand, why: str, now: datetime) -> None:
        raise AssertionError(why)

    job = ErrandJob("create-task", create_task, record, never, at_once=1, lease_seconds=30, every_seconds=0.05)
    await Dying(job, engine, lambda: None).run()


if __name__ == "__main__":
    asyncio.run(main())
