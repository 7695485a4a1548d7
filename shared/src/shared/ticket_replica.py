"""The present state of every ticket, as the other services keep it: the brief that came with its latest event.

One table and one projection, the same wherever a service wants to know of a ticket what no single event says.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Column, MetaData, Table

from shared.contracts.envelope import Received
from shared.contracts.topics import TICKETS
from shared.db.columns import document, uuid
from shared.projection import Projection, Row, RowsOf

_TICKET = Projection("tickets", key=("id",), groups={"sequence": ("brief",)})


def ticket_replica(metadata: MetaData) -> Table:
    """The table of a service. `brief` is a TicketBrief as JSON."""
    return Table(
        "tickets",
        metadata,
        uuid("id", primary_key=True),
        document("brief"),
        Column("sequence", BigInteger, nullable=False),
    )


def _row(event: Received[Any]) -> Row:
    brief = event.data.ticket.model_dump(mode="json")
    return {"id": event.data.ticket_id, "brief": brief, "sequence": event.sequence}


# What each event of a ticket writes into it.
OF_TICKETS: RowsOf = dict.fromkeys(TICKETS.events, (_TICKET, _row))
