"""Cancelled and reopened tickets: what becomes of their clocks, their alarms, and of what was told of them."""

from __future__ import annotations

import pytest

from tests.sla.telling import (
    RESOLUTION,
    RESPONSE,
    Story,
    at,
    clocks_of,
    fire_all,
    names,
    published,
    tell,
    timers,
)
from tests.support.databases import Database


@pytest.fixture
async def sla(day_and_night: Database) -> Database:
    return day_and_night


async def test_both_clocks_of_a_cancelled_ticket_are_cancelled_and_nobody_is_warned_of_it_any_more(
    sla: Database,
) -> None:
    story = Story()
    await tell(sla, story.opened(), story.held(1000), story.cancelled(2000))
    clocks = await clocks_of(sla, story.ticket_id)
    ends = {kind: (one["course"], one["since"], one["counted_seconds"]) for kind, one in clocks.items()}
    assert ends == {"response": ("cancelled", at(2000), 2000), "resolution": ("cancelled", at(2000), 1000)}
    told = await published(sla, story.ticket_id)
    assert sorted(names(told)[3:]) == ["resolution cancelled", "response cancelled"]
    assert {(one["clock"]["outcome"], one["occurred_at"]) for one in told[3:]} == {("pending", at(2000))}
    assert await timers(sla) == []
    await fire_all(sla, 10 * RESOLUTION)
    assert await published(sla, story.ticket_id) == told
    assert await sla.count("SELECT count(*) FROM sla.timers") == 0


async def test_what_was_answered_stays_met_and_what_was_missed_stays_breached_when_a_ticket_is_cancelled(
    sla: Database,
) -> None:
    answered, missed = Story(), Story()
    await tell(sla, answered.opened(), missed.opened(), answered.responded(600))
    await fire_all(sla, RESPONSE + 1)
    await tell(sla, answered.cancelled(RESPONSE + 60), missed.cancelled(RESPONSE + 60))
    stopped = (await clocks_of(sla, answered.ticket_id))["response"]
    assert (stopped["course"], stopped["breached_at"], stopped["since"]) == ("stopped", None, at(600))
    assert "response cancelled" not in names(await published(sla, answered.ticket_id))
    late = (await clocks_of(sla, missed.ticket_id))["response"]
    assert (late["course"], late["breached_at"]) == ("cancelled", at(RESPONSE))
    told = [one["clock"] for one in await published(sla, missed.ticket_id) if one["type"] == "sla-clock.cancelled"]
    assert {one["kind"]: one["outcome"] for one in told} == {"response": "breached", "resolution": "pending"}


async def test_a_cancellation_that_is_heard_before_its_ticket_waits_for_it(sla: Database) -> None:
    story = Story()
    opened, cancelled = story.opened(), story.cancelled(600)
    await tell(sla, cancelled)
    assert await clocks_of(sla, story.ticket_id) == {}
    await tell(sla, opened, noticed=700)
    assert {one["course"] for one in (await clocks_of(sla, story.ticket_id)).values()} == {"cancelled"}
    assert await sla.count("SELECT count(*) FROM sla.timers") == 0


async def test_reopening_counts_on_with_the_resolution_and_leaves_the_response_alone(sla: Database) -> None:
    story = Story()
    await tell(sla, story.opened(), story.resolved(5000))
    response = (await clocks_of(sla, story.ticket_id))["response"]
    await tell(sla, story.reopened(105_000))
    clocks = await clocks_of(sla, story.ticket_id)
    assert clocks["response"] == response
    resolution = clocks["resolution"]
    assert (resolution["course"], resolution["counted_seconds"]) == ("running", 5000)
    assert resolution["due_at"] == at(RESOLUTION + 100_000)
    told = (await published(sla, story.ticket_id))[-1]
    assert (names([told]), told["because"], told["occurred_at"]) == (["resolution resumed"], "reopened", at(105_000))
    assert told["clock"]["outcome"] == "pending"
    assert await timers(sla) == [("resolution", at(RESOLUTION / 2 + 100_000))]


async def test_a_ticket_that_is_resolved_again_is_met_or_missed_by_the_sum_of_both_stretches(sla: Database) -> None:
    in_time, late = Story(), Story()
    for story, again in ((in_time, 0), (late, 1)):
        await tell(sla, story.opened(), story.resolved(5000), story.reopened(105_000))
        await tell(sla, story.resolved(RESOLUTION + 100_000 + again))
    kept = [(await clocks_of(sla, story.ticket_id))["resolution"] for story in (in_time, late)]
    assert [one["breached_at"] for one in kept] == [None, at(RESOLUTION + 100_000)]
    assert [one["counted_seconds"] for one in kept] == [RESOLUTION, RESOLUTION + 1]
    ends = [(await published(sla, story.ticket_id))[-1] for story in (in_time, late)]
    assert names(ends) == ["resolution met", "resolution stopped"]
    assert [one["clock"]["outcome"] for one in ends] == ["met", "breached"]
    assert await timers(sla) == []


async def test_a_reopening_that_is_heard_before_its_resolution_ends_the_same(sla: Database) -> None:
    story, told_as_it_was = Story(), Story()
    await tell(sla, told_as_it_was.opened(), told_as_it_was.resolved(5000), told_as_it_was.reopened(9000))
    opened, resolved, reopened = story.opened(), story.resolved(5000), story.reopened(9000)
    await tell(sla, opened, reopened)
    await tell(sla, resolved, noticed=9100)
    ends = []
    for one in (story, told_as_it_was):
        last = [event for event in await published(sla, one.ticket_id) if event["clock"]["kind"] == "resolution"][-1]
        ends.append({name: value for name, value in last["clock"].items() if name != "clock_id"})
    assert ends[0] == ends[1]
    assert (await clocks_of(sla, story.ticket_id))["resolution"]["due_at"] == at(RESOLUTION + 4000)


@pytest.mark.parametrize("course", ["running", "paused", "stopped"])
async def test_a_breach_that_a_late_hold_takes_back_is_told_as_a_clock_without_one(sla: Database, course: str) -> None:
    story = Story()
    await tell(sla, story.opened(), story.responded(60))
    held = story.held(1000)
    if course == "running":
        await tell(sla, story.released(6000))
    await fire_all(sla, RESOLUTION + 10)
    if course == "stopped":
        await tell(sla, story.resolved(RESOLUTION + 20))
    before = await published(sla, story.ticket_id)
    assert before[-1]["clock"]["breached_at"] is not None
    await tell(sla, held, noticed=RESOLUTION + 30)
    (told,) = (await published(sla, story.ticket_id))[len(before) :]
    assert (told["clock"]["course"], told["clock"]["breached_at"]) == (course, None)
    assert told["clock"]["outcome"] == ("met" if course == "stopped" else "pending")
