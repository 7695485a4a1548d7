"""A clock agrees with its ticket, whichever host took which request and whatever that host's clock said."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import httpx2
import pytest

from tests.journeys.desk import clock_of, has_reacted, open_ticket, until
from tests.support.eventually import eventually
from tests.support.system import Process, System

TICKETS = 10
ROUNDS = 8
SKEW = "DESK_CLOCK_SKEW_SECONDS"
HOLD = {"reason": "waiting-for-client", "note": "¿qué versión?"}
ANY = {"if-match": "*"}


def dated(process: Process, seconds: str) -> Process:
    """The same process on a host whose clock is wrong by so much."""
    process.environment = {**process.environment, SKEW: seconds}
    return process


@pytest.fixture
def skewed(tmp_path: Path, postgres_url: str, kafka_bootstrap: str) -> Iterator[System]:
    """Each service in one process, and tickets on two hosts: one clock ahead, one behind, three seconds apart."""
    with System(tmp_path, postgres_url, kafka_bootstrap, parts=("all",)) as system:
        ahead = system.one("tickets", "all")
        ahead.stop()
        dated(ahead, "1.5").start()
        behind = dated(system._process("tickets", "api"), "-1.5")
        system.processes["tickets", "api"] = [behind]
        behind.start()
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


async def test_clocks_agree_with_tickets_that_two_hosts_hold_and_release_at_once(skewed: System) -> None:
    async with skewed.client() as behind, skewed.client() as ahead:
        ahead.base_url = httpx2.URL(skewed.one("tickets", "all").url)
        opened = [(await open_ticket(ahead if number % 2 else behind))["id"] for number in range(TICKETS)]
        for ticket_id in opened:
            await until(behind, ticket_id, has_reacted)
        callers = [at_once(ticket_id, ahead, behind, number) for number, ticket_id in enumerate(opened)]
        accepted = sum(await asyncio.gather(*callers))
        assert accepted > TICKETS * ROUNDS

        async def all_heard() -> bool:
            (found,) = await skewed.rows("sla", "SELECT count(*) AS facts FROM sla.clock_facts")
            return int(found["facts"]) == TICKETS + accepted

        await eventually(all_heard, within=60, what="sla has heard everything that was accepted")
        states = await skewed.rows("sla", "SELECT ticket_id, state FROM sla.clocks WHERE kind = 'resolution'")
        statuses = await skewed.rows("tickets", "SELECT id, status FROM tickets.tickets")
        expected = {row["id"]: {"on_hold": "paused", "in_progress": "running"}[row["status"]] for row in statuses}
        found = {row["ticket_id"]: row["state"] for row in states}
        assert [(found[ticket], state) for ticket, state in expected.items() if found[ticket] != state] == []
        await instants_grow(skewed)
        for row in statuses:
            state = expected[row["id"]]
            await until(
                behind, str(row["id"]), lambda seen, state=state: clock_of(seen, "resolution")["state"] == state
            )


async def instants_grow(system: System) -> None:
    """Each ticket's own facts are dated in the order of its versions, and so are the events that tell them."""
    facts = await system.rows(
        "tickets",
        "SELECT ticket_id, h.occurred_at, CAST(h.data ->> 'version' AS integer) AS version, a.occurred_at AS told_at "
        "FROM tickets.history h JOIN runtime.archive a ON a.id = h.fact_id WHERE source = 'tickets' ORDER BY 1, 3",
    )
    assert all(row["occurred_at"] == row["told_at"] for row in facts)
    wrong = [
        (earlier["version"], str(later["occurred_at"] - earlier["occurred_at"]))
        for earlier, later in pairwise(facts)
        if earlier["ticket_id"] == later["ticket_id"] and earlier["occurred_at"] >= later["occurred_at"]
    ]
    assert wrong == []
