"""Other company systems keep a table of open tickets from the open copy alone."""

from __future__ import annotations

import json
from typing import Any

from shared.contracts.open_copy import open_value
from shared.contracts.topics import BY_TYPE
from tests.support.databases import Database
from tests.tickets.desk import a_call, cause, rows
from tickets import commands
from tickets.domain.escalation import EVERYWHERE

# What a reader of the guide would write: each type, and what it makes of the ticket.
STATUS_AFTER = {"held": "on_hold", "released": "in_progress", "resolved": "resolved"}
TABLE = (
    "number",
    "version",
    "status",
    "client_id",
    "product_id",
    "module_id",
    "severity",
    "priority",
    "level",
    "assignee",
)


def fold(told: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The open tickets by id, from the copies in their order."""
    table: dict[str, dict[str, Any]] = {}
    for one in told:
        value, fact = one["value"], one["type"].split(".")[2]
        if fact == "opened":
            urgency = {name: value[name] for name in ("severity", "priority")}
            table[value["ticket_id"]] = {**value["groups"], **urgency, "level": 1, "assignee": None, "status": "new"}
        ticket = table[value["ticket_id"]]
        ticket |= {name: value[name] for name in ("number", "version")}
        if fact in ("assigned", "escalated", "responded") and ticket["status"] == "new":
            ticket["status"] = "in_progress"
        if fact == "assigned":
            ticket["assignee"] = value["assignee"]
        if fact == "escalated":
            ticket |= {"level": value["to_level"], "assignee": None}
        ticket["status"] = STATUS_AFTER.get(fact, ticket["status"])
        if fact == "closed":
            del table[value["ticket_id"]]
    return table


async def test_the_open_copy_is_enough_for_a_table_of_open_tickets(desk: Database) -> None:
    async with desk.begin() as tx:
        opened = [
            (await commands.open_ticket(tx, cause(), a_call(title=f"Falla {number}"))).ticket.id for number in range(5)
        ]
    assigned, held, derived, closed, _ = opened
    async with desk.begin() as tx:
        await commands.assign_ticket(tx, cause(), assigned, assignee="martin")
        await commands.respond_ticket(tx, cause(), held, channel="phone", text="lo vemos")
        await commands.hold_ticket(tx, cause(), held, reason="third-party", note="el proveedor")
        await commands.assign_ticket(tx, cause(), derived, assignee="martin")
        await commands.escalate_ticket(tx, cause(), derived, target="development", reason="error 500", reach=EVERYWHERE)
        await commands.resolve_ticket(tx, cause(), closed, code="configuracion", text="era un filtro")
        await commands.close_ticket(tx, cause(), closed)
    async with desk.begin() as tx:
        archived = await rows(
            tx, "SELECT type, value FROM runtime.archive WHERE topic = 'desk.tickets.v1' ORDER BY position"
        )
        present = await rows(tx, "SELECT * FROM tickets.tickets WHERE status <> 'closed'")
    copies = [
        {"type": row["type"], "value": json.loads(open_value(BY_TYPE[row["type"]], row["value"]))} for row in archived
    ]
    assert fold(copies) == {str(row["id"]): {name: row[name] for name in TABLE} for row in present}
    assert "Falla" not in json.dumps(copies)
    assert "proveedor" not in json.dumps(copies)
