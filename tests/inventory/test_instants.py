"""The versions of a record are dated in their order, whatever the clocks of the hosts say that recorded them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from inventory import commands
from inventory.documents import Document
from shared.instants import STEP
from tests.inventory.scene import AT, DOCUMENT, LATER, cause, furnish
from tests.support.databases import Database

Databases = Callable[[str], Awaitable[Database]]
CHANGES: dict[str, dict[str, Any]] = {
    "clients": {"name": "Otra"},
    "products": {"name": "Otro"},
    "modules": {"name": "Otro"},
    "installations": {"product_version": "9.9.9"},
}


async def record(inventory: Database, kind: str, at: Any, **changes: Any) -> None:
    async with inventory.begin() as tx:
        document = Document.model_validate({kind: [{**DOCUMENT[kind][0], **changes}]})
        await commands.load_document(tx, cause(occurred_at=at, recorded_at=at), document)


@pytest.mark.parametrize("kind", CHANGES)
async def test_a_host_whose_clock_is_behind_records_after_the_version_before(database: Databases, kind: str) -> None:
    inventory = await database("inventory")
    await furnish(inventory)
    id_ = DOCUMENT[kind][0]["id"]
    (name,) = CHANGES[kind]
    given = CHANGES[kind][name]
    await record(inventory, kind, LATER, **{name: given})
    await record(inventory, kind, AT, **{name: f"{given}-2"})
    await record(inventory, kind, AT, **{name: f"{given}-3"})
    async with inventory.connect() as connection:
        row = await connection.fetchrow(
            f"SELECT version, changed_at FROM inventory.{kind} WHERE id = $1",
            id_,
        )
        told = await connection.fetch(
            "SELECT occurred_at, recorded_at FROM runtime.archive WHERE subject LIKE '%:' || $1 ORDER BY position", id_
        )
    assert tuple(row) == (4, LATER + 2 * STEP)
    expected = [AT, LATER, LATER + STEP, LATER + 2 * STEP]
    assert [tuple(one) for one in told] == [(at, at) for at in expected]


async def test_what_is_equal_keeps_its_instant(database: Databases) -> None:
    inventory = await database("inventory")
    await furnish(inventory)
    await record(inventory, "clients", LATER)
    assert await inventory.count("SELECT count(*) FROM inventory.clients WHERE changed_at > $1", AT) == 0
