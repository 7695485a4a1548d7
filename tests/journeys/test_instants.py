"""A clock agrees with its ticket, whichever hosts took part and however their clocks jumped meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import datetime
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.journeys.desk import View, has_reacted, open_ticket, targets_of, until, view
from tests.support.eventually import eventually
from tests.support.system import Process, System

TICKETS = 10
ROUNDS = 8
SKEW = "DESK_CLOCK_SKEW_SECONDS"
# By how much each host's clock is wrong in turn; of different lengths, so that all of it meets.
HERE, THERE, SLA = "1.5,-1.5,0.3", "-1.5,1.5", "1.5,-1.4,0,-1.5,0.7"
CLIENT = {"client_id": "repuestos-el-cruce", "product_id": "mostrador"}
# Both clocks run out while people work, so that what the timers told is taken back by a hold that came before.
CONTRACT = {
    "client_id": CLIENT["client_id"], "contract_type": "basico", "valid_from": "2026-01-01T00:00:00-03:00",
    "targets": targets_of(2, 4),
}  # fmt: skip
HOLD = {"reason": "waiting-for-client", "note": "¿qué versión?"}
ANY = {"if-match": "*"}


def dated(process: Process, seconds: str) -> Process:
    """The same process on a host whose clock is wrong by so much."""
    process.environment = {**process.environment, SKEW: seconds}
    return process


@pytest.fixture
def jumping(tmp_path: Path, postgres_url: str, kafka_bootstrap: str) -> Iterator[System]:
    """Each service in one process, and tickets on two hosts: their clocks and that of sla jump twice a second."""
    with System(tmp_path, postgres_url, kafka_bootstrap, parts=("all",)) as system:
        for service, seconds in (("tickets", HERE), ("sla", SLA)):
            host = system.one(service, "all")
            host.stop()
            dated(host, seconds).start()
        other = dated(system._process("tickets", "api"), THERE)
        system.processes["tickets", "api"] = [other]
        other.start()
        system.wait_until_ready()
        yield system


async def at_once(ticket_id: str, here: httpx2.AsyncClient, there: httpx2.AsyncClient, first: int) -> int:
    """Two people hold and release a ticket at the same moment, again and again; how often that was accepted."""
    accepted = 0
    for number in range(first, first + ROUNDS):
        one, other = (here, there) if number % 2 else (there, here)
        answers = await asyncio.gather(
            one.post(f"/v1/tickets/{ticket_id}/hold", json=HOLD, headers=ANY),
            other.post(f"/v1/tickets/{ticket_id}/release", headers=ANY),
        )
        assert {answer.status_code for answer in answers} <= {200, 409}, [answer.text for answer in answers]
        accepted += sum(answer.status_code == 200 for answer in answers)
    return accepted


@pytest.mark.verify
async def test_clocks_agree_with_tickets_that_two_hosts_hold_and_release_at_once(jumping: System) -> None:
    async with jumping.client("sla", "admin") as admin:
        (await admin.put("/v1/contracts/el-cruce-2026", json=CONTRACT)).raise_for_status()
    async with jumping.client() as there, jumping.client() as here:
        here.base_url = httpx2.URL(jumping.one("tickets", "all").url)
        # Every other one runs out.
        kinds: list[dict[str, Any]] = [CLIENT if number % 2 else {} for number in range(TICKETS)]
        opened = [(await open_ticket(here if number % 3 else there, **each))["id"] for number, each in enumerate(kinds)]
        for ticket_id in opened:
            await until(there, ticket_id, has_reacted)
        callers = [at_once(ticket_id, here, there, number) for number, ticket_id in enumerate(opened)]
        accepted = sum(await asyncio.gather(*callers))
        assert accepted > TICKETS * ROUNDS

        async def all_heard() -> bool:
            (found,) = await jumping.rows("sla", "SELECT count(*) AS facts FROM sla.clock_facts")
            return int(found["facts"]) == TICKETS + accepted

        await eventually(all_heard, within=60, what="sla has heard everything that was accepted")
        states = await jumping.rows("sla", "SELECT ticket_id, course FROM sla.clocks WHERE kind = 'resolution'")
        statuses = await jumping.rows("tickets", "SELECT id, status FROM tickets.tickets")
        expected = {row["id"]: {"on_hold": "paused", "in_progress": "running"}[row["status"]] for row in statuses}
        found = {row["ticket_id"]: row["course"] for row in states}
        assert [(found[ticket], state) for ticket, state in expected.items() if found[ticket] != state] == []
        await instants_grow(jumping)
        await views_agree(jumping, there, opened)


async def views_agree(system: System, tickets: httpx2.AsyncClient, opened: list[str]) -> None:
    """What tickets shows of each clock is what sla folds from its facts, now that no timer is due any more."""
    async with system.client("sla") as sla:

        async def agree(ticket_id: str) -> bool:
            answer = await sla.get(f"/v1/tickets/{ticket_id}/clocks")
            folded = {one["kind"]: seen(one) for one in answer.raise_for_status().json()["clocks"]}
            return {one["kind"]: seen(one) for one in (await view(tickets, ticket_id))["clocks"]} == folded

        for ticket_id in opened:
            await eventually(partial(agree, ticket_id), within=30, what="both show the same clocks")


def seen(clock: View) -> tuple[object, ...]:
    instants = [clock[name] and datetime.fromisoformat(clock[name]) for name in ("due_at", "breached_at")]
    return (clock["course"], clock["outcome"], *instants)


async def instants_grow(system: System) -> None:
    """Each ticket's own facts are dated in the order of its versions, and so are the events that tell them.

    A call is dated by what it calls for, which another service told.
    """
    facts = await system.rows(
        "tickets",
        "SELECT ticket_id, h.occurred_at, CAST(h.data -> 'ticket' ->> 'version' AS integer) AS version, "
        "a.occurred_at AS told_at "
        "FROM tickets.history h JOIN runtime.archive a ON a.id = h.fact_id WHERE source = 'tickets' "
        "AND h.type NOT LIKE 'desk.ticket.attention-%' ORDER BY 1, 3",
    )
    assert all(row["occurred_at"] == row["told_at"] for row in facts)
    wrong = [
        (earlier["version"], str(later["occurred_at"] - earlier["occurred_at"]))
        for earlier, later in pairwise(facts)
        if earlier["ticket_id"] == later["ticket_id"] and earlier["occurred_at"] >= later["occurred_at"]
    ]
    assert wrong == []
