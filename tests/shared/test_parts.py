"""The processes of a service: what each says of its health when something that it needs is away."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import asyncpg
import httpx2
import pytest

from shared.contracts import asyncapi
from shared.messaging.kafka import Cluster
from tests.support.collector import collecting
from tests.support.databases import CHECKOUT, SERVING, Database
from tests.support.eventually import eventually
from tests.support.parts import started
from tests.support.system import SERVICES

Make = Callable[[str], Awaitable[Database]]
# Nobody listens there.
NOBODY = "127.0.0.1:9"
NO_BROKER = Cluster(NOBODY)


async def readiness(client: httpx2.AsyncClient) -> dict[str, Any]:
    """What /readyz says, with its status; empty while nobody listens yet."""
    try:
        answer = await client.get("/readyz")
    except httpx2.TransportError:
        return {}
    return {"status_code": answer.status_code, **answer.json()}


async def test_an_api_is_ready_without_a_broker_and_goes_on_accepting(database: Make) -> None:
    db = await database("devlink")
    async with started("devlink", "api", db, NO_BROKER) as (_, client):
        told = await eventually(lambda: readiness(client))
        assert (told["status_code"], told["ready"]) == (200, True)
        assert told["status"]["outbox_rows"] == 0


async def test_an_api_waits_for_its_replicas(database: Make, cluster: Cluster) -> None:
    db = await database("tickets")
    async with started("tickets", "api", db, cluster) as (_, client):
        told = await eventually(lambda: readiness(client))
        assert told["status_code"] == 503
        assert "desk.clients.v1" in told["checks"]["replicas"]

        async def ready() -> bool:
            return (await readiness(client)).get("status_code") == 200

        async with started("tickets", "consumer", db, cluster):
            await eventually(ready)
        assert await ready(), "filled once is filled: the api does not need the consumer to stay"


@pytest.mark.parametrize("part", ["consumer", "relay"])
async def test_a_consumer_and_a_relay_are_alive_and_not_ready_without_a_broker(database: Make, part: str) -> None:
    db = await database("devlink")
    async with started("devlink", part, db, NO_BROKER) as (_, client):
        told = await eventually(lambda: readiness(client))
        assert told["status_code"] == 503
        assert told["checks"]["kafka"] != "ok"
        assert (await client.get("/livez")).status_code == 200


async def test_one_broker_that_answers_is_enough(database: Make, cluster: Cluster) -> None:
    db = await database("devlink")
    several = Cluster(f"{NOBODY},{cluster.bootstrap}", cluster.prefix)
    async with started("devlink", "relay", db, several) as (_, client):
        told = await eventually(lambda: readiness(client))
        assert told["checks"]["kafka"] == "ok"


@pytest.mark.parametrize("service", SERVICES)
async def test_every_service_tells_its_events_to_whoever_asks(database: Make, service: str) -> None:
    db = await database(service)
    async with started(service, "api", db, NO_BROKER) as (_, client):
        await eventually(lambda: readiness(client))
        answer = await client.get("/asyncapi.json")
    assert answer.status_code == 200
    assert answer.json() == asyncapi.document(service)


async def test_jobs_need_only_the_database(database: Make) -> None:
    db = await database("sla")
    async with started("sla", "jobs", db, NO_BROKER) as (_, client):
        told = await eventually(lambda: readiness(client))
        assert told["status_code"] == 200
        assert b"desk_jobs_run_total" in (await client.get("/metrics")).content


@pytest.mark.parametrize(("seconds", "how"), [("2.6", "ahead of"), ("-1.5", "ok")])
async def test_a_process_whose_clock_is_not_its_databases_is_not_ready(
    database: Make, cluster: Cluster, seconds: str, how: str
) -> None:
    db = await database("devlink")
    async with contextlib.AsyncExitStack() as stack:
        for part in ("api", "consumer", "relay", "jobs", "all"):
            skewed = started("devlink", part, db, cluster, DESK_CLOCK_SKEW_SECONDS=seconds)
            _, client = await stack.enter_async_context(skewed)
            told = await eventually(partial(readiness, client))
            assert how in told["checks"]["clock"], part
            assert (await client.get("/livez")).status_code == 200


async def test_in_production_a_process_without_the_guards_of_its_role_is_not_ready_and_says_so(database: Make) -> None:
    db = await database("devlink")
    lacking = f'ALTER ROLE {SERVING} IN DATABASE "{db.name}" RESET lock_timeout'
    production = {"DESK_ENV": "production", "DESK_OIDC_ISSUER": "https://login.example"}
    async with contextlib.AsyncExitStack() as stack:
        guarded = await stack.enter_async_context(started("devlink", "jobs", db, NO_BROKER, **production))
        told = await eventually(partial(readiness, guarded[1]))
        assert (told["status_code"], told["checks"]["guards"]) == (200, "ok")
        administrator = await asyncpg.connect(db.admin_url)
        await administrator.execute(lacking)
        await administrator.close()
        for part in ("api", "consumer", "relay", "jobs"):
            _, client = await stack.enter_async_context(started("devlink", part, db, NO_BROKER, **production))
            told = await eventually(partial(readiness, client))
            assert told["status_code"] == 503, part
            assert "lock_timeout is off instead of 20 s: let whoever makes the databases" in told["checks"]["guards"]
            assert (await client.get("/livez")).status_code == 200
        _, client = await stack.enter_async_context(started("devlink", "jobs", db, NO_BROKER))
        told = await eventually(partial(readiness, client))
        assert (told["status_code"], "guards" in told["checks"]) == (200, False), "development"


@pytest.mark.parametrize("part", ["api", "consumer", "relay", "jobs", "all"])
async def test_every_part_ends_well_when_it_is_asked_to(database: Make, cluster: Cluster, part: str) -> None:
    db = await database("sla")
    async with started("sla", part, db, cluster) as (process, client):
        await eventually(lambda: readiness(client))
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 30) == 0


async def test_a_process_without_its_settings_says_which(database: Make) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "sla", "api", env={"PATH": os.environ["PATH"]}, cwd=CHECKOUT,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    _, told = await process.communicate()
    assert process.returncode == 1
    assert told.decode().strip() == "sla: wrong settings: DESK_DATABASE_URL: Field required"


async def test_a_process_that_ends_sends_the_spans_that_are_left(database: Make) -> None:
    # By itself it would send them only after an hour.
    late = {"OTEL_BSP_SCHEDULE_DELAY": "3600000"}
    with collecting() as collector:
        extra = {**collector.environment(), **late}
        async with started("devlink", "api", await database("devlink"), NO_BROKER, **extra) as (process, client):
            await eventually(lambda: readiness(client))
            assert (await client.get("/v1/board")).status_code == 401
            assert collector.spans == []
            process.terminate()
            assert await process.wait() == 0
    (span,) = collector.spans
    assert (span.service, span.name, span.attributes["http.response.status_code"]) == ("devlink", "GET", 401)
