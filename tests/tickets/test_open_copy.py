"""Other company systems keep a table of open tickets from the open copy alone."""

from __future__ import annotations

import json
from typing import Any

from shared.contracts.open_copy import open_value
from shared.contracts.topics import BY_TYPE
from tests.support.databases import Database
from tests.tickets.desk import a_call, cause, rows
from tickets.commands import tickets as commands
from tickets.domain.escalation import EVERYWHERE

GROUPS = ("client_id", "product_id", "module_id")
TABLE = ("number", "version", "status", *GROUPS, "severity", "priority", "level", "target", "owner", "assignee")


def fold(told: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The open tickets by id, as a reader of the guide keeps them: the brief of the latest copy, whatever its type."""
    table: dict[str, dict[str, Any]] = {}
    for value in told:
        ticket = {**value["ticket"], **value["ticket"]["groups"]}
        table[value["ticket_id"]] = {name: ticket[name] for name in TABLE}
        if ticket["status"] in ("closed", "cancelled"):
            del table[value["ticket_id"]]
    return table


async def test_the_open_copy_is_enough_for_a_table_of_open_tickets(desk: Database) -> None:
    async with desk.begin() as tx:
        opened = [
            (await commands.open_ticket(tx, cause(), a_call(title=f"Falla {number}"))).ticket.id for number in range(7)
        ]
    assigned, held, derived, closed, reopened, cancelled, _ = opened
    async with desk.begin() as tx:
        await commands.assign_ticket(tx, cause(), assigned, assignee="martin")
        await commands.respond_ticket(tx, cause(), held, channel="phone", text="lo vemos")
        await commands.hold_ticket(tx, cause(), held, reason="third-party", note="el proveedor")
        await commands.assign_ticket(tx, cause(), derived, assignee="martin")
        await commands.escalate_ticket(tx, cause(), derived, target="development", reason="error 500", reach=EVERYWHERE)
        for one in (closed, reopened):
            await commands.resolve_ticket(tx, cause(), one, code="configuracion", text="era un filtro")
            await commands.close_ticket(tx, cause(), one)
        await commands.reopen_ticket(tx, cause(), reopened, reason="el proveedor dice que no")
        await commands.cancel_ticket(tx, cause(), cancelled, reason="el proveedor llamó dos veces")
    async with desk.begin() as tx:
        archived = await rows(
            tx, "SELECT type, value FROM runtime.archive WHERE topic = 'desk.tickets.v1' ORDER BY position"
        )
        present = await rows(tx, "SELECT * FROM tickets.tickets WHERE status NOT IN ('closed', 'cancelled')")
    copies = [json.loads(open_value(BY_TYPE[row["type"]], row["value"])) for row in archived]
    assert len(present) == 5
    assert fold(copies) == {str(row["id"]): {name: row[name] for name in TABLE} for row in present}
    assert "Falla" not in json.dumps(copies)
    assert "proveedor" not in json.dumps(copies)
