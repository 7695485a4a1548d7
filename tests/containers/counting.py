"""What the databases of an installation in containers hold, and the count after a load."""

from __future__ import annotations

import asyncio

from tests.containers.engine import Installation, docker
from tests.support.eventually import eventually

SETTLED_SECONDS = 240


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
