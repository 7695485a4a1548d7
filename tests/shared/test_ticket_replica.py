"""Every ticket as it is now, as services that do not own it keep it: the brief of its latest event, in any order."""

from __future__ import annotations

import importlib
import json
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from shared.contracts.envelope import Received
from shared.contracts.tickets import TicketBrief, TicketEvent
from shared.contracts.topics import TICKETS
from shared.ids import new_id
from shared.messaging.reactions import collect
from tests.contracts.messages import example, record_of
from tests.support.databases import Database
from tests.support.statements import counted

Databases = Callable[[str], Awaitable[Database]]
KEEPERS = ("sla", "inventory", "devlink")
TICKET = UUID("01a20da9-0c9c-7140-a942-9150abcbf244")


def told(type_name: str, *, of: UUID = TICKET, sequence: int = 1) -> Received[TicketEvent]:
    """The committed example of a type, of any ticket and at any place in the order of its owner."""
    event: Received[Any] = record_of(example(type_name)).read()
    return replace(event, data=event.data.model_copy(update={"ticket_id": of}), sequence=sequence)


def story() -> list[Received[TicketEvent]]:
    """A ticket's life: an event of each type, and its versions are its order."""
    events = sorted((told(event.type) for event in TICKETS.events), key=lambda event: event.data.ticket.version)
    return [replace(event, sequence=number) for number, event in enumerate(events, start=1)]


async def keep(database: Database, service: str, *batches: Sequence[Received[TicketEvent]]) -> None:
    """What the service's projection does with these batches."""
    project = collect(importlib.import_module(f"{service}.subscribers")).projected
    for batch in batches:
        async with database.begin() as tx:
            await project[type(batch[0].data)](tx, batch)


async def kept(database: Database, service: str) -> dict[UUID, TicketBrief]:
    """Every ticket that the service keeps."""
    async with database.connect() as connection:
        rows = await connection.fetch(f"SELECT id, brief FROM {service}.tickets")
    return {row["id"]: TicketBrief.model_validate(json.loads(row["brief"])) for row in rows}


@pytest.mark.parametrize("service", KEEPERS)
async def test_whatever_is_told_of_a_ticket_is_how_it_stands(database: Databases, service: str) -> None:
    keeping = await database(service)
    events = [told(event.type, of=new_id()) for event in TICKETS.events]
    await keep(keeping, service, events)
    assert await kept(keeping, service) == {event.data.ticket_id: event.data.ticket for event in events}


@pytest.mark.parametrize("service", KEEPERS)
async def test_in_any_order_any_batches_and_again_and_again_the_latest_brief_stands(
    database: Databases, service: str
) -> None:
    keeping = await database(service)
    dice = random.Random(service)
    for _ in range(8):
        ticket = new_id()
        events = [replace(one, data=one.data.model_copy(update={"ticket_id": ticket})) for one in story()]
        arriving = events + dice.choices(events, k=4)
        dice.shuffle(arriving)
        cuts = sorted(dice.sample(range(1, len(arriving)), k=4))
        batches = [arriving[start:end] for start, end in zip([0, *cuts], [*cuts, len(arriving)], strict=True)]
        await keep(keeping, service, *batches)
        assert (await kept(keeping, service))[ticket] == events[-1].data.ticket, [one.sequence for one in arriving]


@pytest.mark.parametrize("service", KEEPERS)
async def test_hundreds_of_events_cost_one_statement(database: Databases, service: str) -> None:
    keeping = await database(service)
    tickets = [new_id() for _ in range(200)]
    events = [
        told(type_name, of=ticket, sequence=2 * number + place)
        for number, ticket in enumerate(tickets, start=1)
        for place, type_name in enumerate(("desk.ticket.opened.v1", "desk.ticket.closed.v1"))
    ]
    with counted(keeping.engine) as sent:
        await keep(keeping, service, events)
    assert len(sent) == 1
    assert {brief.status for brief in (await kept(keeping, service)).values()} == {"closed"}
    assert len(await kept(keeping, service)) == 200
