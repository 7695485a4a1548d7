"""What happens to a ticket moves its clocks, on a real database."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from shared.contracts.envelope import Received
from sla.commands import clocks as commands
from tests.sla.telling import (
    RESOLUTION,
    RESPONSE,
    Story,
    apply,
    at,
    clocks_of,
    fire_timers,
    frozen,
    kept_ticket,
    names,
    published,
    tell,
    timers,
)
from tests.support.databases import Database
from tests.support.statements import counted


@pytest.fixture
async def sla(day_and_night: Database) -> Database:
    return day_and_night


async def test_opening_a_ticket_starts_both_clocks_at_reported_at(sla: Database) -> None:
    story = Story()
    await tell(sla, story.opened(600, reported=0))
    clocks = await clocks_of(sla, story.ticket_id)
    assert {kind: clock["due_at"] for kind, clock in clocks.items()} == {
        "response": at(RESPONSE),
        "resolution": at(RESOLUTION),
    }
    told = await published(sla, story.ticket_id)
    assert names(told) == ["response started", "resolution started"]
    assert [
        (one["clock"]["target_seconds"], one["clock"]["contract_id"], one["clock"]["contract_version"]) for one in told
    ] == [
        (RESPONSE, None, 0),
        (RESOLUTION, None, 0),
    ]
    assert {one["correlation_id"] for one in told} == {"corr-1"}
    assert await timers(sla) == [("response", at(RESPONSE / 2)), ("resolution", at(RESOLUTION / 2))]


async def test_a_question_has_the_targets_of_s4(sla: Database) -> None:
    story = Story(kind="question", severity=1)
    await tell(sla, story.opened())
    clocks = await clocks_of(sla, story.ticket_id)
    assert (clocks["response"]["target_seconds"], clocks["resolution"]["target_seconds"]) == (86_400, 720_000)


async def test_a_response_stops_the_response_clock_and_nothing_else(sla: Database) -> None:
    story = Story()
    await tell(sla, story.opened(), story.responded(300))
    clocks = await clocks_of(sla, story.ticket_id)
    assert (clocks["response"]["course"], clocks["response"]["counted_seconds"]) == ("stopped", 300)
    assert clocks["resolution"]["course"] == "running"
    met = (await published(sla, story.ticket_id))[-1]
    assert (met["type"], met["clock"]["elapsed_seconds"], met["clock"]["outcome"]) == ("sla-clock.met", 300, "met")
    assert met["occurred_at"] == at(300)


async def test_what_a_fact_does_is_dated_at_the_fact_although_clocks_count_whole_seconds(sla: Database) -> None:
    story = Story()
    await tell(sla, story.opened(), story.responded(300.25))
    met = (await published(sla, story.ticket_id))[-1]
    assert (met["type"], met["clock"]["elapsed_seconds"]) == ("sla-clock.met", 301)
    assert met["occurred_at"] == at(300.25)


async def test_a_second_response_changes_and_publishes_nothing(sla: Database) -> None:
    story = Story()
    await tell(sla, story.opened(), story.responded(300))
    before = await published(sla)
    await tell(sla, story.responded(900))
    assert await published(sla) == before


async def test_a_hold_for_the_client_pauses_the_resolution_and_never_the_response(sla: Database) -> None:
    story = Story()
    await tell(sla, story.opened(), story.held(1000))
    clocks = await clocks_of(sla, story.ticket_id)
    assert (clocks["resolution"]["course"], clocks["resolution"]["due_at"]) == ("paused", None)
    assert clocks["response"]["course"] == "running"
    assert [one[0] for one in await timers(sla)] == ["response"]
    await tell(sla, story.released(5000))
    clocks = await clocks_of(sla, story.ticket_id)
    assert (clocks["resolution"]["course"], clocks["resolution"]["due_at"]) == ("running", at(RESOLUTION + 4000))
    told = await published(sla, story.ticket_id)
    assert names(told)[2:] == ["resolution paused", "resolution resumed"]
    assert told[2]["clock"]["elapsed_seconds"] == 1000
    assert ("resolution", at(RESOLUTION / 2 + 4000)) in await timers(sla)


async def test_a_hold_and_a_release_that_are_told_late_count_from_when_they_happened(sla: Database) -> None:
    story = Story()
    await tell(sla, story.opened())
    await tell(sla, story.responded(900))
    await tell(sla, story.held(600), noticed=1500)
    paused = (await clocks_of(sla, story.ticket_id))["resolution"]
    assert (paused["course"], paused["since"], paused["counted_seconds"]) == ("paused", at(600), 600)
    await tell(sla, story.released(1200), noticed=1800)
    running = (await clocks_of(sla, story.ticket_id))["resolution"]
    assert (running["course"], running["since"], running["due_at"]) == ("running", at(1200), at(RESOLUTION + 600))


async def test_a_hold_for_development_does_not_pause(sla: Database) -> None:
    story = Story()
    await tell(sla, story.opened(), story.held(1000, "development"), story.released(5000, "development"))
    clocks = await clocks_of(sla, story.ticket_id)
    assert clocks["resolution"]["due_at"] == at(RESOLUTION)
    assert names(await published(sla)) == ["response started", "resolution started"]


async def test_a_resolution_without_any_response_stops_both_clocks(sla: Database) -> None:
    story = Story()
    await tell(sla, story.opened(), story.resolved(7000))
    assert sorted(names(await published(sla))[2:]) == ["resolution met", "response met"]
    assert await timers(sla) == []


async def test_a_breach_that_no_timer_saw_is_told_with_the_stop_and_dated_at_the_due(sla: Database) -> None:
    story = Story()
    await tell(sla, story.opened())
    await tell(sla, story.responded(RESPONSE + 60))
    told = (await published(sla, story.ticket_id))[2:]
    assert names(told) == ["response breached", "response stopped"]
    assert (told[0]["occurred_at"], told[0]["late_by_seconds"]) == (at(RESPONSE), 60)
    assert (told[1]["clock"]["elapsed_seconds"], told[1]["clock"]["outcome"]) == (RESPONSE + 60, "breached")


async def test_facts_before_the_opening_wait_for_it(sla: Database) -> None:
    story = Story()
    opened = story.opened()
    await tell(sla, story.held(1000))
    assert await clocks_of(sla, story.ticket_id) == {}
    assert await published(sla) == []
    await tell(sla, opened, noticed=1500)
    clocks = await clocks_of(sla, story.ticket_id)
    assert (clocks["resolution"]["course"], clocks["resolution"]["counted_seconds"]) == ("paused", 1000)
    assert names(await published(sla)) == ["response started", "resolution started", "resolution paused"]


def resolved_twice(story: Story) -> list[Received[Any]]:
    return [
        story.opened(0, reported=-60),
        story.held(100),
        story.released(2000),
        story.responded(2500),
        story.held(3000, "third-party"),
        story.released(4000, "third-party"),
        story.resolved(RESOLUTION - 10_000),
        story.reopened(RESOLUTION + 10_000),
        story.resolved(RESOLUTION + 30_000),
    ]


def cancelled_at_last(story: Story) -> list[Received[Any]]:
    return [
        story.opened(0, reported=-60),
        story.held(100),
        story.released(2000),
        story.resolved(5000),
        story.reopened(9000),
        story.held(10_000),
        story.cancelled(20_000),
    ]


STORED = ("course", "started_at", "since", "counted_seconds", "due_at", "hold", "breached_at", "warned_seconds")


@pytest.mark.parametrize(
    ("life_of", "course", "breached_at"),
    [(resolved_twice, "stopped", RESOLUTION + 21_840), (cancelled_at_last, "cancelled", None)],
)
async def test_every_order_of_arrival_ends_in_the_same_clocks_and_the_same_ticket(
    sla: Database, life_of: Callable[[Story], list[Received[Any]]], course: str, breached_at: float | None
) -> None:
    """And the last that is told of a clock tells it as it is kept."""
    chosen, ends = random.Random(20260302), []
    for number in range(12):
        story = Story()
        life = life_of(story)
        if number:
            chosen.shuffle(life)
        for event in life:
            await tell(sla, event, noticed=RESOLUTION + 40_000)
        clocks, ticket = await clocks_of(sla, story.ticket_id), await kept_ticket(sla, story.ticket_id)
        assert ticket is not None
        ends.append(({kind: {name: clock[name] for name in STORED} for kind, clock in clocks.items()}, ticket["brief"]))
        told = {one["clock"]["kind"]: one["clock"] for one in await published(sla, story.ticket_id)}
        for kind, clock in clocks.items():
            assert (told[kind]["course"], told[kind]["elapsed_seconds"]) == (clock["course"], clock["counted_seconds"])
            assert (told[kind]["outcome"] == "breached") == (clock["breached_at"] is not None)
    assert all(end == ends[0] for end in ends)
    resolution = ends[0][0]["resolution"]
    assert resolution["course"] == course
    assert resolution["breached_at"] == (None if breached_at is None else at(breached_at))
    assert await timers(sla) == []


async def test_the_same_event_twice_changes_nothing(sla: Database) -> None:
    story = Story()
    opened, held = story.opened(), story.held(1000)
    await tell(sla, opened, held)
    before, clocks, armed = await published(sla), await clocks_of(sla, story.ticket_id), await timers(sla)
    await tell(sla, opened, held, noticed=2000)
    assert (await published(sla), await clocks_of(sla, story.ticket_id), await timers(sla)) == (before, clocks, armed)


async def test_an_imported_ticket_sets_no_timer_and_warns_nobody(sla: Database) -> None:
    story = Story(origin="import")
    await tell(sla, story.opened(), story.held(RESOLUTION * 0.95), story.released(RESOLUTION), noticed=10 * RESOLUTION)
    assert await sla.count("SELECT count(*) FROM sla.timers") == 0
    with frozen(20 * RESOLUTION):
        async with sla.begin() as tx:
            assert await fire_timers(tx, at(20 * RESOLUTION)) == 0
    await tell(sla, story.resolved(2 * RESOLUTION), noticed=20 * RESOLUTION)
    told = await published(sla, story.ticket_id)
    assert {one["origin"] for one in told} == {"import"}
    assert not [name for name in names(told) if "warned" in name]
    assert "resolution stopped" in names(told)


async def test_live_work_on_an_imported_ticket_stays_an_import(sla: Database) -> None:
    story = Story(origin="import")
    await tell(sla, story.opened())
    story.origin = "live"
    await tell(sla, story.held(100), story.released(200))
    assert {one["origin"] for one in await published(sla, story.ticket_id)} == {"import"}
    assert await sla.count("SELECT count(*) FROM sla.timers") == 0


@pytest.mark.parametrize("tickets", [1, 40])
async def test_the_number_of_statements_does_not_depend_on_the_number_of_tickets(sla: Database, tickets: int) -> None:
    stories = [Story() for _ in range(tickets)]
    with frozen(0), counted(sla.engine) as opening:
        async with sla.begin() as tx:
            await apply(tx, [story.opened() for story in stories])
    with frozen(2000):
        with counted(sla.engine) as holding:
            async with sla.begin() as tx:
                await apply(tx, [story.held(1000) for story in stories])
        with counted(sla.engine) as nothing:
            async with sla.begin() as tx:
                await apply(tx, [story.held(1500) for story in stories])
    # One of each keeps the tickets themselves.
    assert (len(opening), len(holding), len(nothing)) == (1 + 4, 1 + 2, 1 + 1)


async def test_a_worker_is_woken_only_for_an_alarm_within_its_sleep(sla: Database) -> None:
    heard: list[str] = []
    async with sla.connect() as connection:
        await connection.add_listener(commands.TIMERS_CHANNEL, lambda *_: heard.append("woken"))
        far = Story()
        await tell(sla, far.opened())
        await connection.fetchval("SELECT 1")
        assert heard == []
        near = Story()
        await tell(sla, near.opened(), noticed=RESPONSE / 2 - 3)
        await connection.fetchval("SELECT 1")
        assert heard == ["woken"]


async def test_the_serving_role_cannot_change_what_happened(sla: Database) -> None:
    async with sla.connect() as connection:
        for table in ("clock_facts", "contracts"):
            for verb in ("UPDATE", "DELETE"):
                assert not await connection.fetchval(f"SELECT has_table_privilege('sla.{table}', '{verb}')")
        assert not await connection.fetchval("SELECT has_table_privilege('sla.clocks', 'DELETE')")
