"""sla, inventory and devlink lose their databases to an older copy: nothing that they told before is told twice."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections import Counter
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from runner.databases import clone_database, drop_database
from shared.messaging import operator
from shared.settings import ServiceSettings
from tests.journeys.desk import View, targets_of, view
from tests.support.databases import CHECKOUT
from tests.support.eventually import eventually
from tests.support.system import SERVICES, System
from tests.support.urgency import impact_of

pytestmark = [pytest.mark.verify, pytest.mark.timeout(900)]

RESTORED = ("sla", "inventory", "devlink")
# One client's clocks run out while the test watches, the other's do not.
SOON = {"client_id": "repuestos-el-cruce", "product_id": "mostrador"}
LATER = {"client_id": "alimentos-don-evaristo", "product_id": "factela"}
# Of the tickets before the dump, and of each of the two kinds that come after it.
EARLY, LATE = 8, 4
CONTRACT = {
    "client_id": SOON["client_id"], "contract_type": "basico", "valid_from": "2026-01-01T00:00:00-03:00",
    "targets": targets_of(3, 24),
}  # fmt: skip
HOLD = {"reason": "waiting-for-client", "note": "¿desde cuándo?"}
HAND_ON = {"target": "development", "reason": "Error 500"}
# What time tells of both clocks of a ticket that nobody answers and nobody resolves.
WARNED, BREACHED, LINKED = "desk.sla-clock.warned.v1", "desk.sla-clock.breached.v1", "desk.dev-task.linked.v1"
BY_TIME = {WARNED: 5, BREACHED: 2}


async def work(system: System, number: int, whose: dict[str, str] = LATER, *, hold: bool = True) -> str:
    """Opens a ticket, holds and releases it, hands it to Development."""
    ticket = {**whose, "kind": "incident", "impact": impact_of(1), "title": f"No se puede facturar {number}"}
    held: list[tuple[str, dict[str, Any]]] = [("hold", HOLD), ("release", {})] if hold else []
    async with system.client() as agent:
        opened = (await agent.post("/v1/tickets", json=ticket)).raise_for_status().json()
        for action, body in [*held, ("escalate", HAND_ON)]:
            answer = await agent.post(f"/v1/tickets/{opened['id']}/{action}", json=body, headers={"if-match": "*"})
            answer.raise_for_status()
    return str(opened["id"])


async def seen(system: System) -> dict[str, dict[Any, Any]]:
    """What the desk shows of everything that others did, by what each is known by."""
    wanted = {
        "clocks": "SELECT id, ticket_id, kind, contract_id, contract_version, target_seconds, started_at, course, "
        "outcome, elapsed_seconds, since, due_at, warned_as, breached_at FROM tickets.clocks",
        "tasks": "SELECT id, ticket_id, escalation_id, tracker, external_id, display_id, status FROM tickets.tasks",
        "environments": "SELECT ticket_id, state, data::text FROM tickets.environments",
        "facts": "SELECT fact_id, ticket_id, type, occurred_at, data::text FROM tickets.history "
        "WHERE source <> 'tickets'",
    }
    return {name: {row[0]: tuple(row) for row in await system.rows("tickets", each)} for name, each in wanted.items()}


def told(found: dict[str, dict[Any, Any]], *types: str) -> Counter[tuple[str, str]]:
    """How often each ticket's history has each of these types."""
    return Counter((str(fact[1]), fact[2]) for fact in found["facts"].values() if fact[2] in types)


async def has_all(system: System, tickets: int, runs_out: list[str], by_time: dict[str, int]) -> bool:
    """Whether everything is there that is to come: of those tickets also what time tells of them."""
    found = await seen(system)
    counted = told(found, *by_time)
    return (
        (len(found["clocks"]), len(found["tasks"]), len(found["environments"])) == (2 * tickets, tickets, tickets)
        and all(counted[ticket, type_] >= times for ticket in runs_out for type_, times in by_time.items())
    )  # fmt: skip


async def dump(system: System) -> None:
    for service in RESTORED:
        name = system.database(service)
        await clone_database(system.postgres_url, name, f"{name}_dump")


async def restore(system: System, service: str) -> None:
    name, copy = system.database(service), f"{system.database(service)}_dump"
    await drop_database(system.postgres_url, name)
    await clone_database(system.postgres_url, copy, name)
    await drop_database(system.postgres_url, copy)


def advance(system: System, service: str) -> dict[str, Any]:
    said = subprocess.run(
        [sys.executable, "-m", service, "messaging", "advance"],
        env={**os.environ, **system.environment(service)}, cwd=CHECKOUT, capture_output=True, check=True,
    )  # fmt: skip
    answer: dict[str, Any] = json.loads(said.stdout)
    return answer


async def is_quiet(system: System) -> bool:
    """Every timer that is due has fired, every relay has sent what it has, every consumer has applied it."""
    if (await system.rows("sla", "SELECT count(*) AS due FROM sla.timers WHERE due_at < now()"))[0]["due"]:
        return False
    for service in SERVICES:
        (row,) = await system.rows(service, "SELECT count(*) AS waiting FROM runtime.outbox")
        settings = ServiceSettings(
            database_url=SecretStr(system.database_url(service)), kafka_bootstrap=system.kafka_bootstrap,
            topic_prefix=system.prefix,
        )  # fmt: skip
        behind = await operator.lag(settings, import_module(f"{service}.subscribers"))
        if row["waiting"] or any(topic["lag"] for topic in behind):
            return False
    return True


async def agree(system: System) -> None:
    """The desk shows each task under the name, and each clock with the due, that its owner has for it."""
    pairs = (
        ("devlink", "SELECT id, 'DEV-' || number FROM devlink.tasks", "SELECT id, display_id FROM tickets.tasks"),
        ("sla", "SELECT id, due_at FROM sla.clocks", "SELECT id, due_at FROM tickets.clocks"),
    )
    for service, owner, shown in pairs:
        expected = {row[0]: row[1] for row in await system.rows(service, owner)}
        assert {row[0]: row[1] for row in await system.rows("tickets", shown)} == expected, service


async def before_the_dump(system: System) -> list[str]:
    """Tickets in mid-life: the response was missed, the resolution was warned of once, the rest is to come."""
    async with system.client("sla", "admin") as admin:
        (await admin.put("/v1/contracts/el-cruce-2026", json=CONTRACT)).raise_for_status()
    early = await asyncio.gather(*[work(system, number, SOON) for number in range(EARLY)])
    await eventually(lambda: has_all(system, EARLY, early, {WARNED: 3, BREACHED: 1}), within=60)
    return early


async def after_the_dump(system: System, early: list[str]) -> None:
    """More tickets, some that run out and some that are held; and the early ones run out too.

    None is held that runs out: a restored worker looks at its timers before the hold is read again, and tells what it
    knows then.
    """
    short = await asyncio.gather(*[work(system, number, SOON, hold=False) for number in range(LATE)])
    await asyncio.gather(*[work(system, number) for number in range(LATE)])
    await eventually(lambda: has_all(system, EARLY + 2 * LATE, [*early, *short], BY_TIME), within=90)
    await eventually(lambda: is_quiet(system), within=60)


def compare(before: dict[str, dict[Any, Any]], after: dict[str, dict[Any, Any]], dumped: dict[Any, Any]) -> None:
    """The same clocks, tasks, environments and facts as before; a task that came after the dump may have a new name."""
    assert after["clocks"] == before["clocks"]
    assert after["environments"] == before["environments"]
    assert after["tasks"].keys() == before["tasks"].keys()
    assert {id_: after["tasks"][id_] for id_ in dumped} == dumped
    assert told(after, WARNED, BREACHED) == told(before, WARNED, BREACHED)
    renamed = sum(after["tasks"][id_] != task for id_, task in before["tasks"].items())
    more = {id_: fact for id_, fact in after["facts"].items() if id_ not in before["facts"]}
    assert before["facts"].items() <= after["facts"].items()
    assert [fact[2] for fact in more.values()] == renamed * [LINKED]


def test_owners_that_are_restored_tell_nothing_twice(tmp_path: Path, postgres_url: str, kafka_bootstrap: str) -> None:
    with System(tmp_path, postgres_url, kafka_bootstrap, parts=("all",)) as system:
        early = asyncio.run(before_the_dump(system))
        for service in RESTORED:
            system.one(service, "all").stop()
        dumped = asyncio.run(seen(system))["tasks"]
        asyncio.run(dump(system))
        for service in RESTORED:
            system.one(service, "all").start()
        asyncio.run(after_the_dump(system, early))
        before = asyncio.run(seen(system))
        for service in RESTORED:
            system.one(service, "all").kill()
            asyncio.run(restore(system, service))
            lost = advance(system, service)
            assert lost["unknown_events"] >= 2 * LATE, service
            system.one(service, "all").start()
        asyncio.run(settle(system))
        compare(before, asyncio.run(seen(system)), dumped)
        asyncio.run(agree(system))
        asyncio.run(go_on(system))


async def settle(system: System) -> None:
    async def reacted_again() -> bool:
        (row,) = await system.rows("sla", "SELECT count(*) AS clocks FROM sla.clocks")
        return bool(row["clocks"] == 2 * (EARLY + 2 * LATE))

    await eventually(reacted_again, within=60)
    await eventually(lambda: is_quiet(system), within=60)
    parked = await system.rows("tickets", "SELECT count(*) AS parked FROM runtime.parked")
    assert parked[0]["parked"] == 0


async def go_on(system: System) -> None:
    """A ticket after the restore gets everything."""
    ticket_id = await work(system, 0)

    async def whole() -> bool:
        async with system.client() as agent:
            found: View = await view(agent, ticket_id)
        return len(found["clocks"]) == 2 and len(found["tasks"]) == 1 and found["environment"]["state"] != "pending"

    await eventually(whole, within=30)
