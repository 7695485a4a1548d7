"""Callers who open tickets at a steady pace, whatever happens to the system, and the count afterwards."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Callable

import httpx2

from tests.containers.engine import Installation, docker
from tests.support.eventually import eventually

CLIENTS = ("alimentos-don-evaristo", "distribuidora-nanduay", "farmacias-del-puente")
SETTLED_SECONDS = 240


class Callers:
    """`per_second` tickets; `accepted` are those that were answered with 201, `failed` the others."""

    def __init__(self, urls: Callable[[], list[str]], token: str, per_second: float) -> None:
        self.urls = urls
        self.headers = {"authorization": f"Bearer {token}"}
        self.pause = 1 / per_second
        self.accepted: list[str] = []
        self.failed = 0
        self._numbers = itertools.count()

    @contextlib.asynccontextmanager
    async def calling(self) -> AsyncIterator[None]:
        """They call inside."""
        task = asyncio.create_task(self._call())
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _call(self) -> None:
        urls = await asyncio.to_thread(self.urls)
        async with httpx2.AsyncClient(timeout=20, trust_env=False) as client, asyncio.TaskGroup() as calls:
            for number in self._numbers:
                calls.create_task(self._open(client, urls[number % len(urls)], number))
                await asyncio.sleep(self.pause)  # the pace of the callers

    async def _open(self, client: httpx2.AsyncClient, url: str, number: int) -> None:
        body = {
            "client_id": CLIENTS[number % len(CLIENTS)],
            "product_id": "factela",
            "kind": "incident",
            "severity": 1,
            "title": f"carga {number}",
        }
        try:
            answer = await client.post(f"{url}/v1/tickets", json=body, headers=self.headers)
            answer.raise_for_status()
            self.accepted.append(str(answer.json()["id"]))
        except httpx2.HTTPError:
            self.failed += 1


def rows(installation: Installation, service: str, query: str) -> list[list[str]]:
    """What a query answers on a service's database, asked inside the server's container."""
    words = ["psql", "-h", "127.0.0.1", "-U", "postgres", "-d", f"desk_{service}", "-AtX", "-F", "\t", "-c", query]
    login = 'PGPASSWORD=$(cat /run/secrets/postgres_password) exec "$@"'
    answer = docker("exec", installation.one("postgres"), "sh", "-c", login, "sh", *words)
    return [line.split("\t") for line in answer.splitlines()]


async def settle(installation: Installation, accepted: list[str]) -> int:
    """Waits until every ticket has its environment and both clocks, exactly once each; how many tickets there are.

    Fails when a ticket that was answered with 201 is not there.
    """
    opened = {row[0] for row in rows(installation, "tickets", "SELECT id FROM tickets.tickets")}
    assert set(accepted) <= opened, "a ticket that was answered with 201 must exist"
    query = """SELECT count(*) FILTER (WHERE type LIKE 'desk.environment.%'),
                      count(*) FILTER (WHERE type = 'desk.sla-clock.started.v1') FROM tickets.history"""

    async def all_reacted() -> bool:
        ((environments, clocks),) = await asyncio.to_thread(rows, installation, "tickets", query)
        return (int(environments), int(clocks)) == (len(opened), 2 * len(opened))

    await eventually(all_reacted, within=SETTLED_SECONDS, what="environment and clocks of all tickets")
    return len(opened)
