"""What the counts after a load would see: reactions are counted ticket by ticket, not in all."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from shared.ids import new_id
from tests.support.counting import without_reactions
from tests.support.databases import Database
from tests.tickets.desk import deliver, open_one, rows
from tests.tickets.told import resolved, started


class Asked:
    """The database of tickets alone."""

    def __init__(self, desk: Database) -> None:
        self.desk = desk

    async def rows(self, service: str, query: str) -> list[dict[str, Any]]:
        """What a query answers."""
        assert service == "tickets"
        async with self.desk.begin() as tx:
            return await rows(tx, query)


async def react(desk: Database, ticket: UUID, *, environments: int, clocks: int) -> None:
    """What inventory and sla would tell of a ticket, so many times."""
    async with desk.begin() as tx:
        for number in range(environments):
            await deliver(tx, [resolved(ticket, 100 + number)])
        for number in range(clocks):
            await deliver(tx, [started(ticket, 200 + number, clock_id=new_id())])


async def test_a_ticket_with_two_environments_does_not_hide_one_with_none(desk: Database) -> None:
    whole, doubled, lacking = [(await open_one(desk)).ticket.id for _ in range(3)]
    await react(desk, whole, environments=1, clocks=2)
    await react(desk, doubled, environments=2, clocks=2)
    await react(desk, lacking, environments=0, clocks=2)
    assert await without_reactions(Asked(desk)) == {str(doubled), str(lacking)}


async def test_a_ticket_with_three_clocks_does_not_hide_one_with_one(desk: Database) -> None:
    doubled, lacking = [(await open_one(desk)).ticket.id for _ in range(2)]
    await react(desk, doubled, environments=1, clocks=3)
    await react(desk, lacking, environments=1, clocks=1)
    assert await without_reactions(Asked(desk)) == {str(doubled), str(lacking)}
