"""What the databases must hold after a load, wherever the services run: nothing lost, nothing doubled, all in order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from shared.contracts.topics import DEVLINK, ENVIRONMENTS, SLA
from tests.support.eventually import eventually

SETTLED_SECONDS = 180
# The topics of which tickets keeps every event in a ticket's history.
TICKET_TOPICS = {topic.name for topic in (ENVIRONMENTS, SLA, DEVLINK)}


class Databases(Protocol):
    """Whoever can be asked what a service's database holds; a row answers to the names of its columns."""

    async def rows(self, service: str, query: str) -> Sequence[Any]:
        """What a query answers."""


async def settle_and_count(databases: Databases, accepted: Sequence[str], *, within: float = SETTLED_SECONDS) -> int:
    """Waits until all reacted, then counts: nothing lost, nothing doubled, every accepted ticket there.

    Returns how many tickets there are.
    """
    opened = [str(row["id"]) for row in await databases.rows("tickets", "SELECT id FROM tickets.tickets")]
    assert set(accepted) <= set(opened), "a ticket that was answered with 201 must exist"
    escalated = await escalations(databases)
    query = "SELECT count(*) AS tasks FROM tickets.history WHERE type = 'desk.dev-task.linked.v1'"

    async def all_reacted() -> bool:
        (row,) = await databases.rows("tickets", query)
        return row["tasks"] == len(escalated) and not await without_reactions(databases)

    await eventually(all_reacted, within=within, what="all reactions of all tickets")
    await require_complete(databases, opened, escalated)
    await require_order(databases)
    return len(opened)


async def escalations(databases: Databases) -> list[str]:
    """The ids of all escalations to Development: each must get a task."""
    query = """SELECT fact_id FROM tickets.history
               WHERE type = 'desk.ticket.escalated.v1' AND data->>'target' = 'development'"""
    return [str(row["fact_id"]) for row in await databases.rows("tickets", query)]


async def without_reactions(databases: Databases) -> set[str]:
    """The ids of the tickets without two clocks in their history, or an environment for opening and each completion."""
    query = """SELECT t.id FROM tickets.tickets t LEFT JOIN tickets.history h ON h.ticket_id = t.id GROUP BY t.id
               HAVING count(*) FILTER (WHERE h.type LIKE 'desk.environment.%')
                      <> 1 + count(*) FILTER (WHERE h.type = 'desk.ticket.classified.v1')
                   OR count(*) FILTER (WHERE h.type = 'desk.sla-clock.started.v1') <> 2"""
    return {str(row["id"]) for row in await databases.rows("tickets", query)}


async def require_complete(databases: Databases, tickets: list[str], escalated: list[str]) -> None:
    """Counts in the databases: every ticket has its environment, one more for each completion, one set of clocks, and
    one task per escalation."""
    (opened,) = await databases.rows("tickets", "SELECT count(*) FROM tickets.tickets")
    assert opened["count"] == len(tickets) == len(set(tickets))
    environments = await databases.rows(
        "inventory", "SELECT count(*) AS rows, count(DISTINCT ticket_id) AS tickets FROM inventory.environments"
    )
    completed = "SELECT count(*) AS times FROM tickets.history WHERE type = 'desk.ticket.classified.v1'"
    (named,) = await databases.rows("tickets", completed)
    assert (environments[0]["rows"] - named["times"], environments[0]["tickets"]) == (len(tickets), len(tickets))
    clocks = await databases.rows(
        "sla", "SELECT count(*) AS rows, count(DISTINCT (ticket_id, kind)) AS clocks FROM sla.clocks"
    )
    assert (clocks[0]["rows"], clocks[0]["clocks"]) == (2 * len(tickets), 2 * len(tickets))
    tasks = await databases.rows(
        "devlink", "SELECT count(*) AS rows, count(DISTINCT escalation_id) AS refs FROM devlink.links"
    )
    assert (tasks[0]["rows"], tasks[0]["refs"]) == (len(escalated), len(escalated))


async def require_order(databases: Databases) -> None:
    """Nothing is doubled or parked, and of every ticket tickets applied each service's events in the order told."""
    doubled = await databases.rows("tickets", "SELECT fact_id FROM tickets.history GROUP BY 1 HAVING count(*) > 1")
    assert doubled == []
    for service in ("inventory", "sla", "devlink", "tickets"):
        (parked,) = await databases.rows(service, "SELECT count(*) FROM runtime.parked")
        assert parked["count"] == 0, f"{service} parked messages"
    told = {service: await _told(databases, service) for service in ("inventory", "sla", "devlink")}
    applied = await _applied(databases, [each["id"] for rows in told.values() for each in rows])
    for service, rows in told.items():
        last: dict[str, int] = {}
        for each in rows:
            position = applied[str(each["id"])]
            assert position > last.get(each["key"], -1), f"{service} told {each['id']} earlier than tickets applied it"
            last[each["key"]] = position


async def _told(databases: Databases, service: str) -> list[Any]:
    """What a service told of tickets, in its order."""
    rows = await databases.rows(service, "SELECT id, key, topic FROM runtime.archive ORDER BY position")
    return [row for row in rows if row["topic"] in TICKET_TOPICS]


async def _applied(databases: Databases, told: Sequence[object]) -> dict[str, int]:
    """Where in the history each fact stands, once all that was told is there: time goes on causing events."""
    applied: dict[str, int] = {}

    async def all_there() -> bool:
        rows = await databases.rows("tickets", "SELECT fact_id, position FROM tickets.history")
        applied.update((str(row["fact_id"]), row["position"]) for row in rows)
        return all(str(each) in applied for each in told)

    await eventually(all_there, what="everything that was told of tickets in their history")
    return applied
