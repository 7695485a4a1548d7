"""Callers who open tickets at a steady pace, whatever happens to the system."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Sequence

import httpx2

from tests.support.urgency import impact_of

CLIENTS = ("alimentos-don-evaristo", "distribuidora-nanduay", "farmacias-del-puente")
CONNECTED = 4
ANSWERED_WITHIN_SECONDS = 20


class Load:
    """`per_second` tickets; `accepted` are those that were answered with 201, `failed` counts what else came back.

    Every so many of them (`escalating`, 0: none) are escalated to Development at once. A request that failed
    ambiguously is not repeated: what was opened is asked of the database at the end.
    """

    def __init__(self, urls: Sequence[str], token: str, per_second: float, *, escalating: int = 0) -> None:
        self.urls = urls
        self.headers = {"authorization": f"Bearer {token}"}
        self.pause = 1 / per_second
        self.escalating = escalating
        self.accepted: list[str] = []
        self.failed = 0
        self._numbers = itertools.count()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """The callers call inside."""
        task = asyncio.create_task(self._call())
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _call(self) -> None:
        async with contextlib.AsyncExitStack() as open_clients:
            clients = [
                await open_clients.enter_async_context(
                    # The environment's proxy is for what is elsewhere.
                    httpx2.AsyncClient(timeout=ANSWERED_WITHIN_SECONDS, headers=self.headers, trust_env=False)
                )
                for _ in range(CONNECTED)
            ]
            # Calls end before their clients close: a connection that is taken from a call would count as its failure.
            async with asyncio.TaskGroup() as calls:
                for number in self._numbers:
                    calls.create_task(self._one(clients[number % CONNECTED], number))
                    await asyncio.sleep(self.pause)  # the pace of the callers

    async def _one(self, client: httpx2.AsyncClient, number: int) -> None:
        tickets = f"{self.urls[number % len(self.urls)]}/v1/tickets"
        body = {
            "client_id": CLIENTS[number % len(CLIENTS)],
            "product_id": "factela",
            "kind": "incident",
            "impact": impact_of(1),
            "title": f"carga {number}",
        }
        try:
            opened = await client.post(tickets, json=body)
            opened.raise_for_status()
            ticket = str(opened.json()["id"])
            self.accepted.append(ticket)
            if self.escalating and number % self.escalating == 0:
                escalate = {"target": "development", "reason": "bajo carga"}
                seen = {"if-match": opened.headers["etag"]}
                (await client.post(f"{tickets}/{ticket}/escalate", json=escalate, headers=seen)).raise_for_status()
        except httpx2.HTTPError:
            self.failed += 1
