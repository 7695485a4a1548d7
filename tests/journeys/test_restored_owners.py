"""sla, inventory and devlink lose their databases to an older copy: nothing that they told before is told twice."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from runner.databases import clone_database, drop_database
from tests.support.databases import CHECKOUT
from tests.support.eventually import eventually
from tests.support.system import System

RESTORED = ("sla", "inventory", "devlink")
TICKETS = 12


async def work(system: System, number: int) -> str:
    """Opens a ticket, holds and releases it, hands it to Development."""
    ticket = {
        "client_id": "alimentos-don-evaristo", "product_id": "factela", "kind": "incident", "severity": 1,
        "title": f"No se puede facturar {number}",
    }  # fmt: skip
    async with system.client() as agent:
        opened = (await agent.post("/v1/tickets", json=ticket)).raise_for_status().json()
        steps: Sequence[tuple[str, dict[str, Any]]] = (
            ("hold", {"reason": "waiting-for-client", "note": "¿desde cuándo?"}),
            ("release", {}),
            ("escalate", {"target": "development", "reason": "Error 500"}),
        )
        for action, body in steps:
            answer = await agent.post(f"/v1/tickets/{opened['id']}/{action}", json=body, headers={"if-match": "*"})
            answer.raise_for_status()
    return str(opened["id"])


async def seen(system: System) -> dict[str, list[Any]]:
    """What the desk shows of everything that others did: ids only, in a fixed order."""
    wanted = {
        "clocks": "SELECT id, ticket_id, kind FROM tickets.clocks",
        "tasks": "SELECT id, ticket_id FROM tickets.tasks",
        "environments": "SELECT ticket_id, state FROM tickets.environments",
        "facts": "SELECT fact_id, ticket_id, type FROM tickets.history WHERE source <> 'tickets'",
    }
    return {name: sorted(map(tuple, await system.rows("tickets", query))) for name, query in wanted.items()}


async def all_reacted(system: System) -> bool:
    found = await seen(system)
    return (
        len(found["clocks"]) == 2 * TICKETS
        and len(found["tasks"]) == TICKETS
        and len(found["environments"]) == TICKETS
        and sum(fact[2] == "desk.sla-clock.resumed.v1" for fact in found["facts"]) == TICKETS
    )


async def restore(system: System, service: str) -> None:
    name, dump = system.database(service), f"{system.database(service)}_dump"
    await drop_database(system.postgres_url, name)
    await clone_database(system.postgres_url, dump, name)
    await drop_database(system.postgres_url, dump)


def advance(system: System, service: str) -> dict[str, Any]:
    said = subprocess.run(
        [sys.executable, "-m", service, "messaging", "advance"],
        env={**os.environ, **system.environment(service)}, cwd=CHECKOUT, capture_output=True, check=True,
    )  # fmt: skip
    answer: dict[str, Any] = json.loads(said.stdout)
    return answer


async def caught_up(system: System) -> bool:
    """Every relay has sent what it has, and every consumer of tickets has applied it."""
    for service in RESTORED:
        (row,) = await system.rows(service, "SELECT count(*) AS waiting FROM runtime.outbox")
        if row["waiting"]:
            return False
    applied = await system.rows("sla", "SELECT count(*) AS clocks FROM sla.clocks")
    return bool(applied[0]["clocks"] == 2 * TICKETS)


def test_owners_that_are_restored_tell_nothing_twice(tmp_path: Path, postgres_url: str, kafka_bootstrap: str) -> None:
    with System(tmp_path, postgres_url, kafka_bootstrap, parts=("all",)) as system:
        for service in RESTORED:
            system.one(service, "all").stop()
        asyncio.run(_dump(system))
        for service in RESTORED:
            system.one(service, "all").start()
        asyncio.run(_play(system))
        before = asyncio.run(seen(system))
        for service in RESTORED:
            system.one(service, "all").kill()
            asyncio.run(restore(system, service))
            lost = advance(system, service)
            assert lost["unknown_events"] >= TICKETS, service
            system.one(service, "all").start()
        asyncio.run(_settle(system))
        assert asyncio.run(seen(system)) == before, "the same clocks, tasks, environments and facts as before"
        asyncio.run(_go_on(system))


async def _dump(system: System) -> None:
    for service in RESTORED:
        name = system.database(service)
        await clone_database(system.postgres_url, name, f"{name}_dump")


async def _play(system: System) -> None:
    for number in range(TICKETS):
        await work(system, number)
    await eventually(lambda: all_reacted(system), within=60)


async def _settle(system: System) -> None:
    await eventually(lambda: caught_up(system), within=60)
    parked = await system.rows("tickets", "SELECT count(*) AS parked FROM runtime.parked")
    assert parked[0]["parked"] == 0


async def _go_on(system: System) -> None:
    """A ticket after the restore gets everything, and one from before it can still be handed on."""
    ticket_id = await work(system, TICKETS)

    async def whole() -> bool:
        async with system.client() as agent:
            view = (await agent.get(f"/v1/tickets/{ticket_id}")).raise_for_status().json()
        return len(view["clocks"]) == 2 and len(view["tasks"]) == 1 and view["environment"]["state"] != "pending"

    await eventually(whole, within=30)
