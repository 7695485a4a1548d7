"""What inventory does when a ticket opens."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

from inventory import commands, queries, subscribers
from inventory.documents import InstallationRecord
from inventory.subscribers import attach_environment
from shared.contracts.inventory import EnvironmentResolved, EnvironmentUnknown, InstalledModule
from shared.contracts.tickets import TicketBrief, TicketOpened
from shared.messaging.reactions import collect
from tests.inventory.scene import AT, DOCUMENT, cause, completed, furnish, opened, published
from tests.support.databases import Database
from tests.support.statements import counted

Databases = Callable[[str], Awaitable[Database]]


async def test_a_ticket_gets_the_snapshot_of_its_clients_only_installation(database: Databases) -> None:
    inventory = await database("inventory")
    await furnish(inventory)
    event = opened("arenales")
    async with inventory.begin() as tx:
        await attach_environment(tx, [event])

    [told] = await published(inventory, EnvironmentResolved.type)
    assert told["topic"] == "desk.environments.v1"
    assert told["key"] == told["subject"] == str(event.data.ticket_id)
    assert (told["actor"], told["correlation_id"], told["causation_id"]) == (
        "system:inventory",
        "call-1",
        str(event.id),
    )
    assert EnvironmentResolved.model_validate(told["data"]) == EnvironmentResolved(
        ticket_id=event.data.ticket_id,
        client_id="arenales",
        installation_id="arenales-kontar",
        product_id="kontar",
        product_name="Kontar ERP",
        product_version="7.4.2",
        modules=(
            InstalledModule(module_id="kontar-corte", name="Órdenes de corte", version="1.3.0", nature="customised"),
            InstalledModule(module_id="kontar-stock", name="Stock", version="7.4.2", nature="standard"),
        ),
        changed_at=AT,
    )


async def test_a_frozen_environment_stays_when_the_installation_changes(database: Databases) -> None:
    inventory = await database("inventory")
    await furnish(inventory)
    event = opened("arenales")
    async with inventory.begin() as tx:
        await attach_environment(tx, [event])
        changed = InstallationRecord.model_validate({**DOCUMENT["installations"][0], "product_version": "8.0.0"})
        await commands.record_installation(tx, cause(), changed)
        frozen = await queries.get_ticket_environment(tx, event.data.ticket_id)
        present = await queries.get_client_environment(tx, "arenales")
    assert frozen is not None
    assert frozen.known
    assert frozen.product_version == "7.4.2"
    assert present is not None
    assert [one.product_version for one in present.installations] == ["8.0.0"]


async def test_what_nobody_knows_is_told_with_its_reason_and_the_candidates(database: Databases) -> None:
    inventory = await database("inventory")
    await furnish(inventory)
    events = [
        opened("nadie"),
        opened("runa"),
        opened("quimsa", product="kontar"),
        opened("la-yapa"),
        opened("arenales", installation="quimsa-pilar"),
        opened(None, product="kontar", installation="arenales-kontar"),
    ]
    async with inventory.begin() as tx:
        await attach_environment(tx, events)
    told = [
        EnvironmentUnknown.model_validate(one["data"]) for one in await published(inventory, EnvironmentUnknown.type)
    ]
    assert [(one.client_id, one.reason, one.candidates) for one in told] == [
        ("nadie", "client-unknown", ()),
        ("runa", "no-installation", ()),
        ("quimsa", "several-installations", ("quimsa-garin", "quimsa-pilar")),
        ("la-yapa", "several-installations", ("la-yapa-kontar", "la-yapa-nominar")),
        ("arenales", "installation-of-another-client", ("arenales-kontar",)),
        (None, "client-not-identified", ()),
    ]
    assert [one.ticket_id for one in told] == [event.data.ticket_id for event in events]
    async with inventory.begin() as tx:
        frozen = await queries.get_ticket_environment(tx, events[2].data.ticket_id)
    assert frozen is not None
    assert (frozen.known, frozen.reason) == (False, "several-installations")
    assert frozen.candidates == ["quimsa-garin", "quimsa-pilar"]


async def test_hundreds_of_tickets_cost_three_statements_and_keep_their_order(database: Databases) -> None:
    inventory = await database("inventory")
    await furnish(inventory)
    before = len(await published(inventory))
    clients = ("arenales", "la-yapa", "quimsa", "runa", "nadie", None)
    events = [opened(clients[n % 6], product=("kontar", None)[n % 2]) for n in range(400)]
    with counted(inventory.engine) as sent:
        async with inventory.begin() as tx:
            await attach_environment(tx, events)
    assert len(sent) == 3
    told = (await published(inventory))[before:]
    assert [one["key"] for one in told] == [str(event.data.ticket_id) for event in events]
    assert await inventory.count("SELECT count(*) FROM inventory.environments") == 400


async def test_a_ticket_that_opens_has_its_environment_and_is_how_it_stands(database: Databases) -> None:
    """Also where nobody could say whose it is, and where it is told for an import."""
    inventory = await database("inventory")
    await furnish(inventory)
    events = [opened("arenales"), opened(None), opened("runa", origin="import")]
    both = collect(subscribers).by_type[TicketOpened.type].function
    async with inventory.begin() as tx:
        await both(tx, events)
    async with inventory.connect() as connection:
        rows = await connection.fetch("SELECT id, brief, sequence FROM inventory.tickets")
    kept = {row["id"]: TicketBrief.model_validate(json.loads(row["brief"])) for row in rows}
    assert kept == {event.data.ticket_id: event.data.ticket for event in events}
    assert await inventory.count("SELECT count(*) FROM inventory.environments") == len(events)


async def test_a_ticket_that_is_told_again_keeps_its_first_environment(database: Databases) -> None:
    inventory = await database("inventory")
    await furnish(inventory)
    event = opened("arenales")
    again = opened("quimsa", ticket=event.data.ticket_id)
    async with inventory.begin() as tx:
        await attach_environment(tx, [event, again])
    async with inventory.begin() as tx:
        await attach_environment(tx, [again])
    told = [one for one in await published(inventory) if one["topic"] == "desk.environments.v1"]
    assert [one["type"] for one in told] == [EnvironmentResolved.type]


async def frozen(inventory: Database, ticket: UUID) -> list[tuple[int, str | None, str | None]]:
    """Every environment of a ticket by its API's reading: for which version, the installation, why not."""
    async with inventory.begin() as tx:
        found = await queries.get_ticket_environment(tx, ticket)
    assert found is not None
    return [(one.classification, one.installation_id, one.reason) for one in (*found.earlier, found)]


async def test_a_ticket_that_is_completed_gets_the_next_environment_and_keeps_the_earlier_ones(
    database: Databases,
) -> None:
    inventory = await database("inventory")
    await furnish(inventory)
    event = opened("quimsa")
    after = completed(event, 4, product="kontar", installation="quimsa-garin")
    stood = [(1, None, "several-installations"), (3, None, "several-installations"), (4, "quimsa-garin", None)]
    async with inventory.begin() as tx:
        await attach_environment(tx, [event, completed(event, 3, product="kontar")])
    # What the client runs changes meanwhile: each says what was known when it was frozen.
    changed = {**DOCUMENT["installations"][4], "product_version": "8.0.0"}
    async with inventory.begin() as tx:
        await commands.record_installation(tx, cause(), InstallationRecord.model_validate(changed))
        await attach_environment(tx, [after])
    assert await frozen(inventory, event.data.ticket_id) == stood
    [told] = await published(inventory, EnvironmentResolved.type)
    assert (told["causation_id"], told["data"]["classification"]) == (str(after.id), 4)
    assert (told["data"]["installation_id"], told["data"]["product_version"]) == ("quimsa-garin", "8.0.0")


async def test_in_any_order_any_batches_and_again_each_classification_is_frozen_once_under_the_same_id(
    database: Databases,
) -> None:
    """Also when a completion comes before its opening, and when consumers get the same at once."""
    inventory = await database("inventory")
    await furnish(inventory)
    dice = random.Random(11)
    for _ in range(6):
        event = opened("la-yapa")
        story = [event, completed(event, 2, product="kontar"), completed(event, 5, installation="la-yapa-kontar")]
        arriving = story + dice.choices(story, k=3)
        dice.shuffle(arriving)
        cut = dice.randint(1, 4)

        async def react(batch: list[Any]) -> None:
            async with inventory.begin() as tx:
                await attach_environment(tx, batch)

        await asyncio.gather(react(arriving[:cut]), react(arriving[:cut]))
        for batch in (arriving[cut:], arriving):
            await react(batch)
        assert await frozen(inventory, event.data.ticket_id) == [
            (1, None, "several-installations"), (2, "la-yapa-kontar", None), (5, "la-yapa-kontar", None),
        ]  # fmt: skip
        told = [one for one in await published(inventory) if one["key"] == str(event.data.ticket_id)]
        assert {one["causation_id"] for one in told} == {str(one.id) for one in story}
        assert len(told) == len(story)


async def test_consumers_that_get_the_same_ticket_at_once_freeze_it_once(database: Databases) -> None:
    inventory = await database("inventory")
    await furnish(inventory)
    first = opened("arenales")
    events = [first, *(opened("arenales", ticket=first.data.ticket_id) for _ in range(5))]

    async def react(place: int) -> None:
        async with inventory.begin() as tx:
            await attach_environment(tx, [events[place]])

    await asyncio.gather(*(react(place) for place in range(6)))
    assert len(await published(inventory, EnvironmentResolved.type)) == 1


async def test_the_environment_of_an_imported_ticket_says_that_it_comes_from_an_import(database: Databases) -> None:
    inventory = await database("inventory")
    await furnish(inventory)
    async with inventory.begin() as tx:
        await attach_environment(tx, [opened("arenales", origin="import")])
    assert [one["origin"] for one in await published(inventory, EnvironmentResolved.type)] == ["import"]
