"""What was told of a record since a version, from the archive, whatever else was told between."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from shared.contracts.inventory import ClientRecorded
from shared.messaging.archive import MOST, changes_since
from tests.shared.messaging.story import opened, publish_all
from tests.support.databases import Database

Make = Callable[[str], Awaitable[Database]]


def client_recorded(id: str, name: str) -> ClientRecorded:
    return ClientRecorded(id=id, name=name, tier="oro")


@pytest.mark.parametrize(
    ("seen", "present", "versions"),
    [(1, 3, [2, 3]), (3, 3, []), (7, 3, []), (0, 3, [1, 2, 3]), (0, 2, [1, 2])],
)
async def test_each_version_is_told_once_and_the_last_ones_count(
    database: Make, seen: int, present: int, versions: list[int]
) -> None:
    db = await database("runtime")
    for number in range(present):
        await publish_all(db, [client_recorded("acme", f"Acme {number}"), client_recorded("other", f"Other {number}")])
    await publish_all(db, [opened(number) for number in range(9)])
    async with db.engine.connect() as reader:
        found = await changes_since(reader, "client:acme", seen=seen, present=present)
    assert [one["version"] for one in found] == versions
    assert {one["type"] for one in found} <= {"desk.client.recorded.v1"}
    async with db.connect() as connection:
        ids = await connection.fetch("SELECT id FROM runtime.archive WHERE key = 'client:acme' ORDER BY position")
    assert [one["fact_id"] for one in found] == [row["id"] for row in ids][present - len(versions) :]


async def test_only_the_newest_are_told(database: Make) -> None:
    db = await database("runtime")
    await publish_all(db, [client_recorded("acme", f"Acme {number}") for number in range(30)])
    async with db.engine.connect() as reader:
        found = await changes_since(reader, "client:acme", seen=1, present=30)
    assert [one["version"] for one in found] == list(range(31 - MOST, 31))
