"""What a reaction logs says for which event, ticket, person and request it was written."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from structlog.contextvars import get_contextvars

from shared.contracts.envelope import Received
from shared.db.transaction import Transaction
from shared.messaging.batch import BatchApplier
from shared.messaging.records import Record
from tests.shared.messaging.story import message, opened, reactions, ticket
from tests.support.databases import Database


async def test_a_reaction_logs_with_its_event_ticket_actor_and_request(
    database: Callable[[str], Awaitable[Database]],
) -> None:
    db = await database("runtime")
    async with db.connect() as connection:
        await connection.execute("INSERT INTO runtime.offsets VALUES ('desk.tickets.v1', 0, 0)")
    seen: list[dict[str, Any]] = []

    async def look(tx: Transaction, event: Received[Any]) -> None:
        seen.append({**get_contextvars(), "expected": str(event.id)})

    topic, key, value, headers = message(opened(1, of=7), 1)
    await BatchApplier(db.engine, reactions(look), lambda: None).apply(
        [Record(topic, 0, 0, key, tuple(headers), value)]
    )
    (context,) = seen
    assert context["event_id"] == context["expected"]
    assert context["ticket_id"] == str(ticket(7))
    assert (context["actor"], context["correlation_id"]) == ("lucia.gomez", "call-1")
    assert "event_id" not in get_contextvars()
