"""What is kept of a clock is what its facts add up to: a job looks at samples, and an operator has one folded anew."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest
import time_machine

from shared import set_aside
from shared.db.statement import sql
from shared.jobs import JobLoop
from sla.commands import samples
from sla.jobs import JOBS
from sla.repository import clocks
from sla.repository.clocks import SAMPLES_JOB
from tests.sla.telling import Story, at, clocks_of, fire_all, names, published, tell
from tests.sla.test_switching import EIGHT_TO_EIGHT, activate, switch_all, week
from tests.support.databases import Database

HOUR = 3600


async def lived(sla: Database) -> Story:
    """A clock to which everything has happened: a hold, alarms, another calendar, an end and a new beginning."""
    # Ids of clocks follow from that of the ticket, and where a sample begins from the instant: none of it is chance.
    story = Story(severity=3, ticket_id=UUID("0197f000-0000-7000-8000-000000000001"))
    await tell(sla, story.opened(), story.held(HOUR), story.released(2 * HOUR))
    await fire_all(sla, 5 * HOUR)
    await activate(sla, week(EIGHT_TO_EIGHT), 6 * HOUR)
    await switch_all(sla, 6 * HOUR)
    await tell(sla, story.resolved(7 * HOUR), story.reopened(8 * HOUR))
    await fire_all(sla, 100 * HOUR)
    return story


async def check_all(sla: Database) -> int:
    """Every clock, whatever the sample would be."""
    async with sla.begin() as tx:
        rows = await tx.fetch(sql("SELECT id FROM sla.clocks"))
        whole = [await clocks.lock_clock(tx, row.id) for row in rows]
        await samples.check_folds(tx, [row for row in whole if row is not None], at(0))
    return len(rows)


async def test_whatever_happened_to_a_clock_it_is_kept_as_it_is_folded(sla: Database) -> None:
    await lived(sla)
    await tell(sla, Story(severity=1, origin="import").opened())
    assert await check_all(sla) == 4


async def test_a_sample_is_the_same_for_the_same_instant_and_does_not_come_again_at_once(sla: Database) -> None:
    await lived(sla)
    sampling = samples._Sampling()
    async with sla.begin() as tx:
        instants = [at(number / 10) for number in range(200)]
        found = [{row.id for row in await clocks.sample(tx, now, 50)} for now in instants]
        assert {len(ids) for ids in found} == {0, 1, 2}
        now = next(now for now, ids in zip(instants, found, strict=True) if ids)
        first = await sampling.claim(tx, now, 50)
        assert [row.id for row in await sampling.claim(tx, now, 50)] == [row.id for row in first] != []
        assert await sampling.claim(tx, now + samples.EVERY / 2, 50) == []


async def test_a_clock_that_is_not_as_folded_is_set_aside_told_and_mended_on_demand(sla: Database) -> None:
    story = await lived(sla)
    wrong = (await clocks_of(sla, story.ticket_id))["resolution"]
    await _spoil(sla, wrong["id"])
    with pytest.raises(samples.NotAsFolded, match=str(wrong["id"])):
        await check_all(sla)
    await _run_until_set_aside(sla, wrong["id"])
    async with sla.begin() as tx:
        (aside,) = await set_aside.all_of(tx)
        assert (aside.job, aside.key) == (SAMPLES_JOB, str(wrong["id"]))
        counted = wrong["counted_seconds"]
        assert f"counted_seconds is {counted + 1} and not {counted}" in aside.problem
        assert await samples.SAMPLES.bring_back(tx, aside.key, at(101 * HOUR))
        assert not await samples.SAMPLES.bring_back(tx, str(UUID(int=1)), at(101 * HOUR))
    assert (await clocks_of(sla, story.ticket_id))["resolution"]["counted_seconds"] == wrong["counted_seconds"]
    assert await check_all(sla) == 2
    assert names(await published(sla, story.ticket_id))[-1] == "resolution resumed"


async def _spoil(sla: Database, clock_id: UUID) -> None:
    """As a fault of a release would leave it."""
    async with sla.begin() as tx:
        wrong = sql("UPDATE sla.clocks SET counted_seconds = counted_seconds + 1 WHERE id = :id")
        await tx.execute(wrong, {"id": clock_id})


async def _run_until_set_aside(sla: Database, clock_id: UUID) -> None:
    """The job itself, from a place in front of the clock."""
    job = next(one for one in JOBS if one.name == SAMPLES_JOB)
    loop = JobLoop(job, sla.engine, lambda: None)
    now = at(0)
    async with sla.begin() as tx:
        while clock_id not in {row.id for row in await clocks.sample(tx, now, 50)}:
            now += timedelta(milliseconds=100)
    with time_machine.travel(now, tick=False):
        await loop._portion()
