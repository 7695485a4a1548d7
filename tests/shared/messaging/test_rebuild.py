"""A rebuild changes a projection only by what it was told whole and could read."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from shared.contracts.inventory import ClientRecorded, ProductRecorded
from shared.db.engine import direct_connection
from shared.errors import Invalid
from shared.messaging import republish as republishing
from shared.messaging.kafka import Cluster
from shared.messaging.replays import RUN
from shared.messaging.republish import replay_topic, republish
from tests.shared.messaging.story import (
    clients,
    consumer_of,
    outbox_empty,
    prepare_effects,
    projecting,
    publish_all,
    read_topic,
    rebuilding,
    relay_of,
    running,
)
from tests.support.databases import OWNER, Database
from tests.support.eventually import eventually
from tests.support.statements import Explained

Make = Callable[[str], Awaitable[Database]]

OWNS = "inventory"
CLIENT, PRODUCT = ClientRecorded.type, ProductRecorded.type


@dataclass
class Desk:
    """An owner with clients, and a service that projects them."""

    owner: Database
    keeper: Database
    cluster: Cluster

    async def tell(self, *events: Any) -> None:
        """The owner commits events and its relay sends them."""
        await publish_all(self.owner, events)
        async with running(relay_of(self.owner, self.cluster, service=OWNS)):
            await eventually(lambda: outbox_empty(self.owner))

    @asynccontextmanager
    async def keeping(self) -> AsyncIterator[None]:
        """The service's consumer runs."""
        async with running(consumer_of(self.keeper, self.cluster, projecting())):
            yield

    async def keep(self, count: int) -> None:
        """The service applies what was told until it keeps so many clients."""
        async with self.keeping():
            await eventually(lambda: self._keeps(count))

    async def _keeps(self, count: int) -> bool:
        return await self.rows() == count

    async def rows(self) -> int:
        """How many clients the service keeps."""
        return await self.keeper.count("SELECT count(*) FROM public.clients")

    async def republish(self, **options: Any) -> dict[str, Any]:
        """The owner tells again."""
        return await republish(self.owner.url, OWNS, self.cluster, **options)


@pytest.fixture
async def desk(database: Make, cluster: Cluster) -> Desk:
    """Six clients that were told and are kept."""
    made = Desk(await database("runtime"), await database("runtime"), cluster)
    await prepare_effects(made.keeper)
    await made.tell(*clients(6))
    await made.keep(6)
    return made


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"after": 3}, "only positions after 3"),
        ({"until": 4}, "only positions until 4"),
        ({"types": [PRODUCT]}, f"nothing of {CLIENT}"),
    ],
)
async def test_a_part_that_is_told_again_is_not_taken_for_the_whole(
    desk: Desk, options: dict[str, Any], told: str
) -> None:
    async with rebuilding(desk.keeper, desk.cluster) as rebuild:
        part = await desk.republish(**options)
        line = await rebuild.hear(part["run"])
        assert told in line
        assert "`python -m inventory messaging republish`" in line
        await desk.republish()
        assert (await rebuild.found()).is_equal
    assert await desk.rows() == 6


async def test_all_of_the_types_that_are_needed_is_whole(desk: Desk) -> None:
    async with rebuilding(desk.keeper, desk.cluster) as rebuild:
        await desk.republish(types=[CLIENT])
        found = await rebuild.found()
    assert (found.is_equal, found.rows) == (True, 6)


async def test_a_planted_difference_is_found_and_put_right(desk: Desk) -> None:
    async with desk.keeper.connect() as connection:
        await connection.execute("DELETE FROM public.clients WHERE id = 'c-0'")
        await connection.execute("UPDATE public.clients SET name = 'other' WHERE id = 'c-1'")
        await connection.execute("INSERT INTO public.clients VALUES ('stranger', 'stranger', 1)")
    async with rebuilding(desk.keeper, desk.cluster, change=False) as rebuild:
        await desk.republish()
        checked = await rebuild.found()
    assert (checked.rows, checked.missing, checked.surplus, checked.different) == (6, 1, 1, 1)
    async with rebuilding(desk.keeper, desk.cluster) as rebuild:
        await desk.republish()
        assert await rebuild.found() == checked, "a check changes nothing"
    async with rebuilding(desk.keeper, desk.cluster) as rebuild:
        await desk.republish()
        assert (await rebuild.found()).is_equal


@pytest.mark.parametrize(
    ("options", "sequences"),
    [
        ({}, [1, 2, 3, 4, 5, 6, 7]),
        ({"after": 2}, [3, 4, 5, 6, 7]),
        ({"until": 3}, [1, 2, 3]),
        ({"after": 2, "until": 6}, [3, 4, 5, 6]),
        ({"types": [PRODUCT]}, [7]),
        ({"types": [PRODUCT, CLIENT], "after": 5}, [6, 7]),
        ({"types": [CLIENT], "after": 5}, [6]),
        ({"after": 7}, []),
    ],
)
async def test_the_options_say_exactly_what_is_told_again(
    desk: Desk, options: dict[str, Any], sequences: list[int]
) -> None:
    await desk.tell(ProductRecorded(id="erp", name="ERP"))
    answer = await desk.republish(**options)
    # A mark at the beginning and one at the end of each of the three partitions.
    records = await read_topic(desk.cluster, replay_topic(OWNS).name, len(sequences) + 6)
    told = [dict(record.headers) for record in records]
    assert {headers[RUN].decode() for headers in told} == {answer["run"]}
    assert sorted(int(headers["ce_sequence"]) for headers in told if "ce_sequence" in headers) == sequences
    assert answer["events"] == len(sequences)


RARE = """
    INSERT INTO runtime.archive (id, topic, key, type, subject, occurred_at, recorded_at, origin, actor, correlation_id,
                                 value)
    SELECT gen_random_uuid(), 'desk.clients.v1', 'client:c' || n, 'desk.client.recorded.v1', 'client:c' || n,
           '2026-11-24T13:00Z', '2026-11-24T13:00Z', 'live', 'ana', 'call-1', convert_to('{}', 'UTF8')
    FROM generate_series(1, 5000) n
"""


async def test_a_rare_type_in_a_large_archive_is_looked_for_page_by_page(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A statement that looks through all of it would be longer than statements may be."""
    async with desk.owner.connect(OWNER) as connection:
        await connection.execute(RARE)
        await connection.execute("ANALYZE runtime.archive")  # as a server does by itself after a while
    await publish_all(desk.owner, [ProductRecorded(id="erp", name="ERP")])
    lent: list[Explained] = []

    @asynccontextmanager
    async def explained(*arguments: Any, **options: Any) -> AsyncIterator[Explained]:
        async with direct_connection(*arguments, **options) as connection:
            lent.append(Explained(connection))
            yield lent[-1]

    monkeypatch.setattr(republishing, "direct_connection", explained)
    assert (await desk.republish(types=[PRODUCT]))["events"] == 1
    (one,) = lent
    assert max(one.looked_at) == republishing.AT_ONCE
    assert (await desk.republish(types=[CLIENT], after=10, until=4_000))["events"] == 3_990


async def test_a_run_tells_all_that_was_committed_before_its_beginning_was_seen(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is committed, sent and applied before a rebuild began, and is in no run, would be deleted by it."""
    mark = republishing._mark
    begun = False

    async def mark_late(*arguments: Any, **options: Any) -> None:
        nonlocal begun
        if not begun:
            begun = True
            await publish_all(desk.owner, clients(1, start=6))
        await mark(*arguments, **options)

    monkeypatch.setattr(republishing, "_mark", mark_late)
    assert (await desk.republish())["events"] == 7


async def test_what_the_archives_tell_and_nobody_can_read_keeps_the_rows_that_it_made(desk: Desk) -> None:
    """A release that reads less than an earlier one wrote must not delete what that one kept."""
    async with desk.owner.connect(OWNER) as connection:
        await connection.execute("""UPDATE runtime.archive SET value = '{"id": "c-2"}' WHERE subject = 'client:c-2'""")
    async with desk.keeper.connect() as connection:
        await connection.execute("UPDATE public.clients SET name = 'other' WHERE id = 'c-1'")
    async with rebuilding(desk.keeper, desk.cluster) as rebuild:
        await desk.republish()
        with pytest.raises(Invalid) as refused:
            await rebuild.found()
    assert "1 record cannot be read" in str(refused.value)
    assert f"{replay_topic(OWNS).name}/" in str(refused.value)
    assert "data.name: Field required" in str(refused.value)
    assert await desk.rows() == 6
    assert await desk.keeper.count("SELECT count(*) FROM public.clients WHERE name = 'other'") == 1


async def test_what_came_meanwhile_counts_exactly_as_far_as_the_consumer_stands(desk: Desk) -> None:
    await desk.tell(*clients(6, name="renamed"), *clients(4, start=6))
    async with rebuilding(desk.keeper, desk.cluster) as rebuild:
        # Told until where the consumer stands; the rest lies on the ordinary topic and it has not come so far.
        await desk.republish()
        found = await rebuild.found()
    assert (found.missing, found.surplus, found.different) == (4, 0, 6), "the archive is ahead of the consumer"
    await desk.keep(10)
    async with rebuilding(desk.keeper, desk.cluster) as rebuild, desk.keeping():
        await desk.tell(*clients(6, name="again"), *clients(5, start=10))
        await eventually(lambda: desk._keeps(15))
        await desk.republish()
        assert (await rebuild.found()).is_equal


async def test_a_consumer_that_reads_its_first_record_while_a_rebuild_runs_is_met_all_the_same(
    database: Make, cluster: Cluster
) -> None:
    """A partition has a place in the database only once something was read of it."""
    desk = Desk(await database("runtime"), await database("runtime"), cluster)
    await prepare_effects(desk.keeper)
    await desk.tell(*clients(6))
    async with rebuilding(desk.keeper, desk.cluster) as rebuild:
        await desk.keep(6)
        await desk.republish()
        assert (await rebuild.found()).is_equal
    assert await desk.rows() == 6
