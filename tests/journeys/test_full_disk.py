"""A whole installation on a disk that fills up under load, and is freed again: nothing lost, doubled, or half done."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import httpx2
import pytest

from runner.installation import SERVICES, Installation
from runner.ports import is_free
from runner.status import read_status
from tests.support.eventually import eventually
from tests.support.installations import brought_up, rows, say
from tests.support.small_disk import MIB, SmallDisk
from tests.support.urgency import impact_of

pytestmark = [pytest.mark.verify, pytest.mark.timeout(600)]

Mount = Callable[[int], AbstractContextManager[SmallDisk]]
OPENED_AT_ONCE = 20


@dataclass
class Desk:
    """One installation on a small disk, and what was answered to those who opened tickets there."""

    installation: Installation
    disk: SmallDisk
    accepted: list[str] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)

    async def open_tickets(self, client: httpx2.AsyncClient, count: int = OPENED_AT_ONCE) -> list[int]:
        """So many at the same time, each with a key of its own; the statuses of the answers."""
        body = {
            "client_id": "alimentos-don-evaristo",
            "product_id": "factela",
            "kind": "incident",
            "impact": impact_of(1),
        }

        async def one() -> int:
            key = {"idempotency-key": uuid.uuid4().hex}
            answer = await client.post("/v1/tickets", json={**body, "title": "disco lleno"}, headers=key)
            if answer.status_code == 201:
                self.accepted.append(answer.json()["id"])
            else:
                assert "Try again" in answer.json()["detail"]
            return answer.status_code

        found = await asyncio.gather(*(one() for _ in range(count)))
        self.statuses += found
        return found

    async def rows(self, service: str, query: str, *arguments: Any) -> list[Any]:
        """What a query answers on a service's database, as the administrator."""
        return await rows(self.installation, service, query, *arguments)

    def restarts(self, name: str) -> int:
        status = read_status(self.installation.state / "status.json")
        assert status is not None
        return next(each.restarts for each in status.processes if each.name == name)

    async def ready(self) -> bool:
        return (await asyncio.to_thread(say, self.installation, "status")).returncode == 0


@pytest.fixture
def desk(small_disk: Mount) -> Iterator[Desk]:
    with small_disk(900 * MIB) as disk, brought_up(disk.folder) as installation:
        try:
            yield Desk(installation, disk)
        finally:
            disk.free()


async def burst_the_write_ahead_log(desk: Desk) -> None:
    """Write so much that PostgreSQL needs another piece of its log, for which there is no room: it ends."""
    try:
        for _ in range(40):
            await desk.rows("tickets", "SELECT pg_logical_emit_message(true, 'test', repeat('x', 4000000))")
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
        return
    raise AssertionError("PostgreSQL found room for 160 MB of its log")


async def settled(desk: Desk) -> bool:
    """Whether all four services have sent and applied everything."""
    for service in SERVICES:
        (waits,) = await desk.rows(
            service, "SELECT (SELECT count(*) FROM runtime.outbox) + (SELECT count(*) FROM runtime.parked) AS rows"
        )
        if waits["rows"]:
            return False
    (clocks,) = await desk.rows("sla", "SELECT count(DISTINCT ticket_id) AS tickets FROM sla.clocks")
    (seen,) = await desk.rows(
        "tickets", "SELECT count(*) AS clocks FROM tickets.history WHERE type = 'desk.sla-clock.started.v1'"
    )
    return bool(clocks["tickets"] == len(desk.accepted) and seen["clocks"] == 2 * len(desk.accepted))


async def require_nothing_half_done(desk: Desk) -> None:
    """Of every ticket that was answered with 201 there is all, of every other there is nothing, and all of it once."""
    tickets = {str(row["id"]) for row in await desk.rows("tickets", "SELECT id FROM tickets.tickets")}
    assert tickets == set(desk.accepted)
    for query in (
        "SELECT ticket_id AS id FROM tickets.history WHERE type = 'desk.ticket.opened.v1'",
        "SELECT subject AS id FROM runtime.archive WHERE type = 'desk.ticket.opened.v1'",
    ):
        assert sorted(str(row["id"]).rpartition("/")[2] for row in await desk.rows("tickets", query)) == sorted(tickets)
    doubled = await desk.rows("tickets", "SELECT fact_id FROM tickets.history GROUP BY 1 HAVING count(*) > 1")
    assert doubled == []
    clocks = await desk.rows("sla", "SELECT ticket_id, kind, count(*) AS rows FROM sla.clocks GROUP BY 1, 2")
    assert {(str(row["ticket_id"]), row["rows"]) for row in clocks} == {(ticket, 1) for ticket in tickets}
    assert len(clocks) == 2 * len(tickets)
    environments = await desk.rows("inventory", "SELECT ticket_id FROM inventory.environments")
    assert sorted(str(row["ticket_id"]) for row in environments) == sorted(tickets)


async def until(question: Callable[[], Awaitable[bool]], what: str) -> None:
    """Asks until it is so; a server that starts meanwhile is no answer yet."""

    async def ask() -> bool:
        try:
            return await question()
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, httpx2.HTTPError):
            return False

    await eventually(ask, within=90, what=what)


async def test_a_full_disk_costs_time_and_nothing_else(desk: Desk) -> None:
    token = say(desk.installation, "token", "--as", "agent").stdout.strip()
    url = desk.installation.url_of("tickets")
    async with httpx2.AsyncClient(base_url=url, headers={"authorization": f"Bearer {token}"}, timeout=30) as client:
        assert set(await desk.open_tickets(client)) == {201}
        supervisor = (read_status(desk.installation.state / "status.json") or pytest.fail("no status")).supervisor

        # The disk is full: some are still taken in the room that the tables have, then all are refused, and Kafka ends.
        desk.disk.fill()

        async def all_refused() -> bool:
            return set(await desk.open_tickets(client)) == {503}

        await until(all_refused, "every ticket is refused with 503")
        await until(lambda: asyncio.to_thread(kafka_is_silent, desk), "Kafka ended")
        # And PostgreSQL itself ends, because it cannot write on its log.
        await burst_the_write_ahead_log(desk)
        assert set(await desk.open_tickets(client)) == {503}

        desk.disk.free()
        await until(desk.ready, "everything came back by itself")
        assert (
            read_status(desk.installation.state / "status.json") or pytest.fail("no status")
        ).supervisor == supervisor
        assert desk.restarts("postgres") >= 1
        assert desk.restarts("kafka") >= 1
        assert {desk.restarts(service) for service in SERVICES} == {0}, "no service died of it"
        assert set(await desk.open_tickets(client)) == {201}
        await until(lambda: settled(desk), "everything was sent and applied")
    await require_nothing_half_done(desk)
    assert set(desk.statuses) == {201, 503}


def kafka_is_silent(desk: Desk) -> bool:
    """Whether nobody listens on the broker's port."""
    return is_free(desk.installation.ports["kafka"])
