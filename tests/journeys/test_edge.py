"""Two api processes: fifty at once never take the same ticket, and callers that never give up open one for each call.

Also when one of the processes is killed meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.journeys.desk import has_reacted, open_ticket, until
from tests.support.counting import require_complete
from tests.support.eventually import eventually
from tests.support.system import System
from tests.support.urgency import impact_of

CALL = {
    "client_id": "alimentos-don-evaristo",
    "product_id": "factela",
    "kind": "incident",
    "impact": impact_of(2),
    "title": "No se pueden emitir facturas",
}
CALLERS, WAITING = 50, 30
# How long the table is locked, so that one process is surely in the midst of it when it dies.
LOCK = "LOCK TABLE tickets.tickets IN ACCESS EXCLUSIVE MODE"


@pytest.fixture
def system(tmp_path: Path, postgres_url: str, kafka_bootstrap: str) -> Iterator[System]:
    """Two apis of every service."""
    with System(tmp_path, postgres_url, kafka_bootstrap, copies={"api": 2}) as started:
        yield started


class Caller:
    """Sends the same opening under the same key until it is answered, now to the one process, now to the other."""

    def __init__(self, system: System, token: str, key: str, number: int) -> None:
        self.apis = [process.url for process in system.all("tickets", "api")]
        self.number = number
        self.head = {"authorization": f"Bearer {token}", "idempotency-key": key}
        self.seen: list[int | str] = []

    async def call(self) -> httpx2.Response:
        """The answer that settles it."""
        async with httpx2.AsyncClient(timeout=10) as client:
            while True:
                url = self.apis[(self.number + len(self.seen)) % len(self.apis)]
                try:
                    answer = await client.post(f"{url}/v1/tickets", json=CALL, headers=self.head)
                except httpx2.TransportError as error:
                    self.seen.append(type(error).__name__)
                else:
                    self.seen.append(answer.status_code)
                    if answer.status_code == 201:
                        return answer
                    assert answer.status_code in (409, 503), answer.text
                    assert float(answer.headers["retry-after"]) > 0
                await asyncio.sleep(0.05)  # sooner than asked, to be a nuisance


async def is_in_the_midst(system: System) -> bool:
    """Whether a transaction of tickets has locked an idempotency key and waits for the table."""
    (row,) = await system.rows(
        "tickets",
        "SELECT count(*) FROM pg_locks k JOIN pg_locks w USING (pid) JOIN pg_database d ON d.oid = k.database "
        "WHERE d.datname = current_database() AND k.locktype = 'advisory' AND k.granted AND NOT w.granted",
    )
    return bool(row["count"])


async def test_fifty_at_once_take_each_ticket_of_the_queue_once_from_two_processes(system: System) -> None:
    people = [{"authorization": f"Bearer {system.token(persona)}"} for persona in ("agent", "supervisor")]
    apis = [process.url for process in system.all("tickets", "api")]
    async with system.client() as agent:
        waiting = {str((await open_ticket(agent, severity=1 + number % 4))["id"]) for number in range(WAITING)}
    async with httpx2.AsyncClient(timeout=30) as client:

        async def take(number: int) -> str | None:
            head = people[number // 2 % 2]
            answer = await client.post(f"{apis[number % 2]}/v1/take-next", json={}, headers=head)
            if answer.status_code == 404:
                assert answer.json()["code"] == "nothing-to-take"
                return None
            assert answer.status_code == 200, answer.text
            return str(answer.json()["id"])

        taken = [one for one in await asyncio.gather(*(take(number) for number in range(CALLERS))) if one]
        # Whoever found every ticket locked by somebody else asks again.
        while one := await take(0):
            taken.append(one)
    assert (sorted(taken), len(taken)) == (sorted(waiting), WAITING)
    assigned = await system.rows(
        "tickets", "SELECT ticket_id, count(*) AS often FROM tickets.history "
        "WHERE type = 'desk.ticket.assigned.v1' GROUP BY 1",
    )  # fmt: skip
    assert {str(row["ticket_id"]): row["often"] for row in assigned} == dict.fromkeys(waiting, 1)


async def test_fifty_callers_under_one_key_open_one_ticket_though_a_process_dies(system: System) -> None:
    one, other = system.all("tickets", "api")
    token = system.token("agent")
    callers = [Caller(system, token, "call-17", number) for number in range(CALLERS)]
    # The first caller asks the process that will die; the lock keeps it in the midst of the opening.
    async with system.locked("tickets", LOCK):
        first = asyncio.create_task(callers[0].call())
        await eventually(lambda: is_in_the_midst(system))
        rest = [asyncio.create_task(caller.call()) for caller in callers[1:]]
        await eventually(lambda: any_was_told_to_wait(callers))
        one.kill()
    answers = [await first, *await asyncio.gather(*rest)]
    assert {answer.content for answer in answers} == {answers[0].content}
    assert {(answer.headers["etag"], answer.headers["location"]) for answer in answers} == {
        ('"1"', f"/v1/tickets/{answers[0].json()['id']}")
    }
    seen = {told for caller in callers for told in caller.seen}
    assert 409 in seen
    assert seen - {201, 409, 503}, "nobody noticed that a process died"
    opened = str(answers[0].json()["id"])
    async with httpx2.AsyncClient(base_url=other.url, headers={"authorization": f"Bearer {token}"}) as agent:
        await until(agent, opened, has_reacted)
    await require_complete(system, [opened], [])


async def any_was_told_to_wait(callers: list[Caller]) -> bool:
    return any(409 in caller.seen for caller in callers)
