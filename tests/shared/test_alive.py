"""A process is alive as long as its loops turn, whatever becomes of the servers that it needs."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import pytest
from pydantic import SecretStr

from runner.postgres import EmbeddedPostgres
from shared.db.connection import STATEMENT_SECONDS
from shared.messaging.kafka import Cluster
from shared.parts import HUNG_SECONDS, STALLED_SECONDS, Parts
from shared.settings import ServiceSettings
from tests.shared.http.issuer import LocalIssuer
from tests.support.databases import Database, fresh_database
from tests.support.eventually import eventually
from tests.support.parts import started
from tests.support.proxy import path_to
from tests.support.servers import private_postgres
from tests.support.system import SERVICES

# Longer than the event loop's own beat may be late, so that whoever still confuses the two is found.
SHORT_OUTAGE = 14.0
# Longer than a loop may wait for the answers of a server.
LONG_OUTAGE = 80.0
READY_WITHIN = 60.0
CALLERS = 15
PARTS = ("api", "consumer", "relay", "jobs", "all")


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[EmbeddedPostgres]:
    made = private_postgres(tmp_path / "postgres")
    await asyncio.to_thread(made.start)
    yield made
    await asyncio.to_thread(made.remove)


@pytest.fixture
async def db(server: EmbeddedPostgres) -> AsyncIterator[Database]:
    async with fresh_database(server.url, "devlink") as made:
        yield made


async def health(client: httpx2.AsyncClient) -> dict[str, Any]:
    """What /readyz says; empty while nobody listens yet."""
    with contextlib.suppress(httpx2.TransportError):
        return dict((await client.get("/readyz")).json())
    return {}


async def is_well(client: httpx2.AsyncClient) -> bool:
    told = await health(client)
    return told.get("ready", False) and not told["status"].get("problems")


async def watch(clients: dict[str, httpx2.AsyncClient], seconds: float) -> list[str]:
    """Asks every process again and again whether it lives; what was not 200."""
    wrong: list[str] = []
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        for name, client in clients.items():
            answer = await client.get("/livez", timeout=10)
            if answer.status_code != 200:
                wrong.append(f"{name}: {answer.status_code} after {time.monotonic() - began:.0f} s")
        await asyncio.sleep(0.5)  # the pace of whoever watches
    return wrong


async def outage(
    processes: list[tuple[str, str, Database]],
    cluster: Cluster,
    seconds: float,
    go: Callable[[], None],
    back: Callable[[], None],
) -> None:
    """Every process (service, part, its database) is watched from the moment that its database goes, and is well some
    time after it is back."""
    async with contextlib.AsyncExitStack() as stack:
        clients = {}
        for service, part, db in processes:
            _, client = await stack.enter_async_context(started(service, part, db, cluster))
            clients[f"{service} {part}"] = client
        for name, client in clients.items():
            await eventually(partial(is_well, client), within=READY_WITHIN, what=name)
        await asyncio.to_thread(go)
        try:
            wrong = await watch(clients, seconds)
        finally:
            await asyncio.to_thread(back)
        assert wrong == []
        for name, client in clients.items():
            await eventually(partial(is_well, client), within=READY_WITHIN, what=name)


# One outage for all the others: one for each would be minutes.
OTHERS = tuple(service for service in SERVICES if service != "devlink")


@pytest.mark.parametrize("services", [("devlink",), pytest.param(OTHERS, marks=pytest.mark.verify)], ids="-".join)
async def test_a_process_is_alive_while_its_database_is_away(
    server: EmbeddedPostgres, cluster: Cluster, services: tuple[str, ...]
) -> None:
    async with contextlib.AsyncExitStack() as stack:
        processes = [
            (service, "all", await stack.enter_async_context(fresh_database(server.url, service)))
            for service in services
        ]
        await outage(processes, cluster, SHORT_OUTAGE, server.kill, server.start)


@pytest.mark.verify
@pytest.mark.timeout(400)
@pytest.mark.parametrize("how", ["stopped", "frozen"])
async def test_every_part_is_alive_through_a_long_outage_of_its_database(
    server: EmbeddedPostgres, db: Database, cluster: Cluster, how: str
) -> None:
    go, back = (server.stop, server.start) if how == "stopped" else (server.pause, server.resume)
    await outage([("devlink", part, db) for part in PARTS], cluster, LONG_OUTAGE, go, back)


@pytest.mark.verify
async def test_an_api_answers_in_time_over_a_path_that_fell_silent_and_then_goes_on(
    db: Database, cluster: Cluster
) -> None:
    """With the time that production gives a statement, and more callers than the pool has connections."""
    async with LocalIssuer().serving() as issuer, path_to(db.url) as path, contextlib.AsyncExitStack() as stack:
        extra = {"DESK_DATABASE_URL": path.url(db.url), "DESK_OIDC_ISSUER": issuer.url}
        _, client = await stack.enter_async_context(started("devlink", "api", db, cluster, **extra))
        await eventually(partial(is_well, client), within=READY_WITHIN)
        client.headers["authorization"] = f"Bearer {issuer.token(roles=['developer'])}"
        assert (await client.get("/v1/board")).status_code == 200
        # Warm, so that every connection of the pool is one that falls silent.
        await asyncio.gather(*[client.get("/v1/board") for _ in range(CALLERS)])
        path.freeze()
        began = time.monotonic()
        asked = asyncio.gather(*[client.get("/v1/board", timeout=90) for _ in range(CALLERS)])
        assert await watch({"api": client}, STATEMENT_SECONDS) == []
        answers = await asked
        assert {answer.status_code for answer in answers} == {503}
        assert time.monotonic() - began < STATEMENT_SECONDS + 12
        path.thaw()
        assert [(await client.get("/v1/board", timeout=20)).status_code for _ in range(CALLERS)] == [200] * CALLERS


def test_a_process_is_dead_when_its_event_loop_or_a_part_no_longer_turns() -> None:
    settings = ServiceSettings(database_url=SecretStr("postgresql://nobody@127.0.0.1:1/none"))
    parts = Parts(name="devlink", title="", settings=settings, module=lambda _role: None)
    now = time.monotonic()
    parts.turns["relay"] = lambda: now - HUNG_SECONDS + 5
    parts.beaten = now - STALLED_SECONDS + 5
    assert parts.is_alive()
    parts.beaten = now - STALLED_SECONDS
    assert not parts.is_alive()
    parts.beaten = now
    parts.turns["relay"] = lambda: now - HUNG_SECONDS
    assert not parts.is_alive()
