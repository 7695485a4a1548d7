"""An sla that was restored from a dump in mid-life tells every warning and breach under the id that it had."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from tests.sla.telling import RESOLUTION, Story, fire_all, tell
from tests.support.databases import Database, dumped


@pytest.fixture
async def sla(day_and_night: Database) -> Database:
    return day_and_night


async def look(sla: Database, share: float) -> None:
    """The timers are looked at when this share of the resolution's target has gone by since the story began."""
    await fire_all(sla, share * RESOLUTION + 1)


async def by_time(sla: Database) -> dict[tuple[Any, ...], UUID]:
    """What time did, and the id under which it was told; twice the same, and the test ends here."""
    async with sla.connect() as connection:
        rows = await connection.fetch(
            "SELECT id, type, subject, convert_from(value, 'UTF8')::json #>> '{threshold,said_as}' AS said_as, "
            "occurred_at "
            "FROM runtime.archive WHERE type ~ 'warned|breached'"
        )
    told = {(row["type"], row["subject"], row["said_as"], row["occurred_at"]): row["id"] for row in rows}
    assert len(told) == len(rows), "the same thing was told twice"
    return told


async def test_timers_that_look_before_the_missed_facts_are_heard_change_no_id(sla: Database) -> None:
    """So it is after every restore: the worker is there at once, the consumer has hours to read."""
    story = Story()
    await tell(sla, story.opened())
    await look(sla, 0.5)
    held, released = story.held(0.6 * RESOLUTION), story.released(0.7 * RESOLUTION)
    async with dumped(sla) as restored:
        assert len(await by_time(restored)) == 4, "two warnings and the breach of the response, one of the resolution"
        await tell(sla, held)
        await tell(sla, released)
        for share in (0.85, 1.0, 1.1):
            await look(sla, share)
        await look(restored, 2)
        await tell(restored, held, noticed=2 * RESOLUTION + 2)
        await tell(restored, released, noticed=2 * RESOLUTION + 3)
        await look(restored, 3)
        assert len(await by_time(sla)) == 7
        assert (await by_time(sla)).items() <= (await by_time(restored)).items()


async def test_a_fact_that_tells_what_no_timer_saw_tells_it_under_the_timer_s_id(sla: Database) -> None:
    story = Story()
    await tell(sla, story.opened(), story.responded(60))
    async with dumped(sla) as restored:
        for share in (0.5, 0.75, 0.9, 1.0):
            await look(sla, share)
        await tell(restored, story.held(1.1 * RESOLUTION))
        timers, facts = await by_time(sla), await by_time(restored)
    assert len(timers) == 4, "three warnings and the breach"
    assert facts == timers
