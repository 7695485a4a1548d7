"""Kafka in: reference data fills replicas; what the others do about a ticket is shown on it and kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from shared.contracts.envelope import Event, Received, StateRecord
from shared.db.transaction import Transaction
from shared.messaging.reactions import projects, reacts_to
from tickets import projections
from tickets.commands import tickets as commands
from tickets.commands import waking

# What other services do about a ticket: everything that is shown of them but their reference data.
DONE_ABOUT_TICKETS: tuple[type[Event], ...] = tuple(
    event for event in projections.PROJECTIONS.rows if not issubclass(event, StateRecord)
)


@projects(*projections.PROJECTIONS.rows)
async def keep_what_others_told(tx: Transaction, events: Sequence[Received[Any]]) -> None:
    """Replicas of what the others own, so that a ticket can be opened while all of them are down; and what they did
    about each ticket, shown on it."""
    await projections.apply(tx, events)


@reacts_to(*DONE_ABOUT_TICKETS, many=True)
async def record_what_others_did(tx: Transaction, events: Sequence[Received[Any]]) -> None:
    """What another service did about tickets is a part of their history, and may call somebody."""
    await commands.record_reactions(tx, events)
    await waking.heed_events(tx, events)
