"""Timers: what time alone brings is decided once, at its instant, by however many workers."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import datetime, timedelta

import pytest

from shared import clock, set_aside
from shared.db.statement import sql
from shared.jobs import Job, JobLoop
from sla.commands import clocks as commands
from sla.jobs import JOBS
from tests.sla.telling import (
    RESOLUTION,
    RESPONSE,
    ZERO,
    Story,
    apply,
    at,
    clocks_of,
    fire_timers,
    frozen,
    names,
    published,
    tell,
    timers,
)
from tests.support.databases import OWNER, Database
from tests.support.eventually import eventually
from tests.support.statements import counted

HALF = {"seconds": RESPONSE // 2, "said_as": "50%"}
FOUR_FIFTHS = {"seconds": RESPONSE * 4 // 5, "said_as": "80%"}


@pytest.fixture
async def sla(day_and_night: Database) -> Database:
    return day_and_night


async def fire(sla: Database, now: datetime) -> int:
    """One portion, as the job's loop calls it."""
    async with sla.begin() as tx:
        return await fire_timers(tx, now)


async def fire_and_fail(sla: Database, now: datetime) -> None:
    async with sla.begin() as tx:
        assert await fire_timers(tx, now) == 1
        raise ZeroDivisionError


async def test_a_timer_does_not_fire_at_its_instant_but_after_it(sla: Database) -> None:
    await tell(sla, Story().opened())
    assert await fire(sla, at(RESPONSE / 2)) == 0
    assert await fire(sla, at(RESPONSE / 2) + timedelta(microseconds=1)) == 1


async def test_each_threshold_warns_once_and_then_the_target_is_missed(sla: Database) -> None:
    story = Story()
    await tell(sla, story.opened())
    for seconds in (RESPONSE * 0.5, RESPONSE * 0.8, RESPONSE):
        assert await fire(sla, at(seconds + 0.02)) == 1
        assert await fire(sla, at(seconds + 0.02)) == 0
    told = (await published(sla, story.ticket_id))[2:]
    assert names(told) == ["response warned", "response warned", "response breached"]
    assert [one.get("threshold") for one in told] == [HALF, FOUR_FIFTHS, None]
    assert [one["occurred_at"] for one in told] == [at(RESPONSE * 0.5), at(RESPONSE * 0.8), at(RESPONSE)]
    assert {one["late_by_seconds"] for one in told} == {0}
    assert [kind for kind, _ in await timers(sla)] == ["resolution"]
    clock = (await clocks_of(sla, story.ticket_id))["response"]
    assert (clock["course"], clock["breached_at"]) == ("running", at(RESPONSE))


async def test_after_a_downtime_everything_overdue_is_told_at_once_in_due_order_with_its_lateness(
    sla: Database,
) -> None:
    first, second = Story(), Story()
    await tell(sla, first.opened(), second.opened(600))
    now = RESPONSE + 3600
    while await fire(sla, at(now)):
        pass
    told = (await published(sla))[4:]
    assert [(one["ticket_id"], one["type"], one.get("threshold")) for one in told] == [
        (str(ticket), kind, threshold)
        for kind, threshold in (
            ("sla-clock.warned", HALF),
            ("sla-clock.warned", FOUR_FIFTHS),
            ("sla-clock.breached", None),
        )
        for ticket in (first.ticket_id, second.ticket_id)
    ]
    assert told[0]["late_by_seconds"] == now - RESPONSE // 2
    assert told[-1]["late_by_seconds"] == 3600 - 600


async def test_a_timer_of_an_older_generation_is_deleted_and_says_nothing(sla: Database) -> None:
    story = Story()
    await tell(sla, story.opened(), story.held(1000), story.released(5000))
    assert await sla.count("SELECT count(*) FROM sla.timers") == 3
    await tell(sla, story.responded(5100))
    before = await published(sla)
    assert await fire(sla, at(RESOLUTION / 2 + 1)) == 2
    assert await published(sla) == before
    assert await timers(sla) == [("resolution", at(RESOLUTION / 2 + 4000))]


async def test_a_late_hold_takes_the_breach_back_and_the_next_one_is_told_again(sla: Database) -> None:
    story = Story()
    await tell(sla, story.opened())
    assert await fire(sla, at(RESOLUTION + 10)) == 2
    assert (await clocks_of(sla, story.ticket_id))["resolution"]["breached_at"] == at(RESOLUTION)
    await tell(sla, story.held(1000), noticed=RESOLUTION + 20)
    clock = (await clocks_of(sla, story.ticket_id))["resolution"]
    assert (clock["course"], clock["breached_at"], clock["warned_seconds"]) == ("paused", None, 0)
    await tell(sla, story.released(2000), noticed=RESOLUTION + 30)
    assert (await clocks_of(sla, story.ticket_id))["resolution"]["due_at"] == at(RESOLUTION + 1000)
    assert await fire(sla, at(RESOLUTION + 1001)) > 0
    told = [name for name in names(await published(sla, story.ticket_id)) if name == "resolution breached"]
    assert len(told) == 2


async def test_a_live_clock_equals_its_facts_folded_again(sla: Database) -> None:
    story = Story()
    await tell(sla, story.opened(), story.held(100), story.released(500))
    await fire(sla, at(RESOLUTION * 0.8))
    live = (await clocks_of(sla, story.ticket_id))["resolution"]
    async with sla.begin() as tx:
        await tx.execute(
            sql("UPDATE sla.clocks SET course = 'stopped', warned_seconds = 0, due_at = NULL, since = :z"), {"z": ZERO}
        )
    # A release when nothing is held changes nothing by itself; it makes the clock fold all of its facts again.
    await tell(sla, story.released(600), noticed=RESOLUTION * 0.8)
    again = (await clocks_of(sla, story.ticket_id))["resolution"]
    names_of_state = ("course", "since", "counted_seconds", "due_at", "breached_at", "warned_seconds", "judged_until")
    assert {name: again[name] for name in names_of_state} == {name: live[name] for name in names_of_state}


async def test_workers_at_once_fire_each_timer_exactly_once(sla: Database) -> None:
    stories = [Story() for _ in range(1200)]
    with frozen(0):
        async with sla.begin() as tx:
            await apply(tx, [story.opened() for story in stories])
    now = at(RESPONSE * 0.5 + 0.02)

    async def work() -> list[int]:
        done = []
        while pieces := await fire(sla, now):
            done.append(pieces)
        return done

    async with sla.begin() as tx:
        claimed = await commands.TIMERS.claim(tx, now, commands.TIMERS.portion)
        shares = await asyncio.gather(work(), work())
        assert sum(map(sum, shares)) == len(stories) - len(claimed), "what another has claimed is passed over"
        await commands.TIMERS.do(tx, claimed, now)
    warned = Counter(one["clock"]["clock_id"] for one in await published(sla) if one["type"] == "sla-clock.warned")
    assert len(warned) == len(stories)
    assert set(warned.values()) == {1}


async def test_a_clock_that_a_consumer_holds_is_passed_over_and_fired_after_it(sla: Database) -> None:
    story, other = Story(), Story()
    await tell(sla, story.opened(), other.opened())
    now = at(RESPONSE * 0.5 + 1)
    with frozen(100):
        async with sla.begin() as consumer:
            await apply(consumer, [story.responded(100)])
            assert await fire(sla, now) == 1
            async with sla.begin() as tx:
                assert await commands.next_due_timer(tx, now) == now + commands.LOOK_AGAIN
    assert names(await published(sla, other.ticket_id))[2:] == ["response warned"]
    assert await fire(sla, now) == 1
    assert names(await published(sla, story.ticket_id))[2:] == ["response met"]


async def test_a_firing_that_is_rolled_back_is_done_again(sla: Database) -> None:
    story = Story()
    await tell(sla, story.opened())
    with pytest.raises(ZeroDivisionError):
        await fire_and_fail(sla, at(RESPONSE * 0.6))
    assert len(await published(sla)) == 2
    assert await fire(sla, at(RESPONSE * 0.6)) == 1
    assert names(await published(sla))[2:] == ["response warned"]


async def test_a_portion_takes_two_statements_whatever_its_size(sla: Database) -> None:
    stories = [Story() for _ in range(30)]
    with frozen(0):
        async with sla.begin() as tx:
            await apply(tx, [story.opened() for story in stories])
    with counted(sla.engine) as firing:
        async with sla.begin() as tx:
            assert await fire_timers(tx, at(RESPONSE * 0.6)) == 30
    with counted(sla.engine) as idle:
        async with sla.begin() as tx:
            assert await fire_timers(tx, at(RESPONSE * 0.6)) == 0
    assert (len(firing), len(idle)) == (2, 1)


async def test_the_worker_sleeps_until_the_earliest_timer(sla: Database) -> None:
    async with sla.begin() as tx:
        assert await commands.next_due_timer(tx, at(0)) is None
    await tell(sla, Story().opened())
    async with sla.begin() as tx:
        assert await commands.next_due_timer(tx, at(0)) == at(RESPONSE / 2) + timedelta(microseconds=1)


async def test_the_job_s_loop_fires_by_itself_when_the_instant_comes(sla: Database) -> None:
    story = Story()
    # The process's own clock: a ticket reported so long ago that its first warning is due in a moment.
    offset = (clock.now() - ZERO).total_seconds()
    started = story.opened(offset, reported=offset - RESPONSE / 2 + 0.3)
    async with sla.begin() as tx:
        await apply(tx, [started])
    loop = asyncio.create_task(JobLoop(JOBS[0], sla.engine, lambda: None).run())

    async def warned() -> bool:
        return "response warned" in names(await published(sla, story.ticket_id))

    try:
        await eventually(warned, within=20)
    finally:
        loop.cancel()
    event = [one for one in await published(sla, story.ticket_id) if one["type"] == "sla-clock.warned"]
    assert len(event) == 1


async def test_a_clock_that_cannot_be_judged_is_set_aside_and_the_others_go_on(sla: Database) -> None:
    """Before, one such clock rolled its portion back for ever, and nobody was warned of anything any more."""
    stories = [Story() for _ in range(20)]
    await tell(sla, *[story.opened() for story in stories])
    guilty = (await clocks_of(sla, stories[7].ticket_id))["response"]["id"]
    async with sla.connect(OWNER) as owner:
        terms = await owner.fetchval("SELECT terms::text FROM sla.clocks WHERE id = $1", guilty)
        await owner.execute("UPDATE sla.clocks SET terms = '{}' WHERE id = $1", guilty)
    (job,) = JOBS
    assert isinstance(job, Job)
    loop = JobLoop(job, sla.engine, lambda: None)
    with frozen(RESPONSE / 2 + 1):
        assert await loop._portion() == 20
        assert await loop._portion() == 0
    warned = {one["clock"]["clock_id"] for one in await published(sla) if one["type"] == "sla-clock.warned"}
    assert len(warned) == 19
    async with sla.begin() as tx:
        (aside,) = await set_aside.all_of(tx)
    assert (aside.job, aside.key, aside.times) == ("sla-timers", str(guilty), 1)
    assert "thresholds" in aside.problem
    # The cause is mended, and an operator says so.
    async with sla.connect(OWNER) as owner:
        await owner.execute("UPDATE sla.clocks SET terms = $2::jsonb WHERE id = $1", guilty, terms)
    with frozen(RESPONSE / 2 + 5):
        async with sla.begin() as tx:
            assert await set_aside.forget(tx, "sla-timers", str(guilty))
            assert await commands.TIMERS.bring_back(tx, str(guilty), at(RESPONSE / 2 + 4))
        assert await loop._portion() == 1
    warned = {one["clock"]["clock_id"] for one in await published(sla) if one["type"] == "sla-clock.warned"}
    assert len(warned) == 20
