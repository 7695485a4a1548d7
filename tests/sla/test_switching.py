"""A version of a calendar is activated: clocks that run are switched to it, what has ended stays as it is."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import httpx2
import pytest

from shared.contracts.envelope import Cause
from shared.db.statement import sql
from sla.commands import calendars, clocks
from sla.commands.calendars import Begin
from sla.documents import CalendarFacts, WeekFacts
from sla.repository import clocks as clock_rows
from tests.sla.telling import Story, at, clocks_of, fire_all, frozen, names, published, tell
from tests.support.databases import Database
from tests.support.eventually import eventually

HOUR = 3600
# The story begins on Monday at nine in Buenos Aires, when business opens; S3 is promised in 16 and 120 open hours.
NINE_TO_SIX, EIGHT_TO_EIGHT = (("09:00", "18:00"),), (("08:00", "20:00"),)

# An advisory lock behind which a statement waits.
GATE = 20260302


def week(windows: Any, days: str = "mon tue wed thu fri") -> WeekFacts:
    return WeekFacts(**dict.fromkeys(days.split(), windows))


async def activate(
    sla: Database, weekly: WeekFacts, seconds: float, *, begins: float | None = None, calendar: str = "comercial"
) -> int:
    """Another version of the calendar, without holidays, recorded at an instant of the story."""
    facts = CalendarFacts(name="Comercial", timezone="America/Argentina/Buenos_Aires", weekly=weekly)
    cause = Cause(actor="bruno", occurred_at=at(seconds), recorded_at=at(seconds), correlation_id="request-1")
    begin = Begin(None if begins is None else at(begins), "el feriado no era")
    with frozen(seconds):
        return await _activated(sla, calendar, cause, facts, begin)


async def _activated(sla: Database, calendar: str, cause: Cause, facts: CalendarFacts, begin: Begin) -> int:
    async with sla.begin() as tx:
        # What this installation began with was loaded today; the story is older.
        await tx.execute(sql("UPDATE sla.calendars SET changed_at = '2026-01-01' WHERE revision = 1"))
        await calendars.draft_version(tx, cause, calendar, facts)
        version = await tx.fetch_value(
            sql("SELECT version FROM sla.calendar_drafts WHERE calendar_id = :id"), {"id": calendar}
        )
        await calendars.activate_version(tx, cause, calendar, version, begin)
    return int(version)


async def switch_all(sla: Database, seconds: float) -> int:
    """The job, until no clock is behind; how many it switched."""
    switched = 0
    with frozen(seconds):
        while True:
            async with sla.begin() as tx:
                behind = await clocks.SWITCHES.claim(tx, at(seconds), 2)
                if not behind:
                    return switched
                await clocks.SWITCHES.do(tx, behind, at(seconds))
                switched += len(behind)


def dues(rows: dict[str, dict[str, Any]]) -> dict[str, datetime | None]:
    return {kind: row["due_at"] for kind, row in rows.items()}


async def test_running_clocks_are_switched_and_tell_their_old_and_new_due(sla: Database) -> None:
    stories = [Story(severity=3) for _ in range(3)]
    for story in stories:
        await tell(sla, story.opened())
    assert dues(await clocks_of(sla, stories[0].ticket_id))["response"] == at(31 * HOUR)
    version = await activate(sla, week(EIGHT_TO_EIGHT), 5 * HOUR)
    assert await switch_all(sla, 5 * HOUR + 2) == 6
    for story in stories:
        rows = await clocks_of(sla, story.ticket_id)
        # Five hours by the old one; then six until eight in the evening, and five from eight in the morning on.
        assert dues(rows)["response"] == at(28 * HOUR)
        assert {row["calendar_version"] for row in rows.values()} == {version}
        told = [one for one in await published(sla, story.ticket_id) if one["type"] == "sla-clock.retargeted"]
        assert sorted(names(told)) == ["resolution retargeted", "response retargeted"]
        response = next(one for one in told if one["clock"]["kind"] == "response")
        assert (response["because"], response["previous_due_at"]) == ("calendar-switched", "2026-03-03T19:00:00Z")
        assert [one["calendar_version"] for one in response["clock"]["counted_in"]] == [1, version]
    assert await switch_all(sla, 5 * HOUR + 3) == 0
    await fire_all(sla, 28 * HOUR + 1)
    assert (await clocks_of(sla, stories[0].ticket_id))["response"]["breached_at"] == at(28 * HOUR)


async def test_what_has_ended_is_never_touched_and_goes_on_in_the_new_version_when_it_is_reopened(
    sla: Database,
) -> None:
    story = Story(severity=3)
    await tell(sla, story.opened(), story.resolved(2 * HOUR))
    before = await clocks_of(sla, story.ticket_id)
    await activate(sla, week(EIGHT_TO_EIGHT), 4 * HOUR, begins=HOUR)
    assert await switch_all(sla, 4 * HOUR) == 0
    assert await clocks_of(sla, story.ticket_id) == before
    await tell(sla, story.reopened(8 * HOUR))
    after = await clocks_of(sla, story.ticket_id)
    assert after["response"] == before["response"]
    resolution = after["resolution"]
    assert (resolution["course"], resolution["counted_seconds"]) == ("running", 2 * HOUR)
    # 118 hours are left at five in the afternoon: 3, nine whole days of 12 that skip the weekend, and 7.
    assert resolution["due_at"] == at(8 * HOUR) + timedelta(days=14, hours=-2)
    # No part of it lies before it stopped, although the version does.
    counted_in = json.loads(resolution["counted_in"])
    assert [(datetime.fromisoformat(since), version) for since, (_, version) in counted_in] == [
        (at(0), 1), (at(2 * HOUR), 2),
    ]  # fmt: skip


async def test_a_paused_clock_is_switched_and_counts_by_the_new_version_when_it_is_released(sla: Database) -> None:
    story = Story(severity=3)
    await tell(sla, story.opened(), story.held(HOUR))
    await activate(sla, week(EIGHT_TO_EIGHT), 4 * HOUR)
    assert await switch_all(sla, 4 * HOUR) == 2
    await tell(sla, story.released(10 * HOUR))  # seven in the evening: open by the new one only
    resolution = (await clocks_of(sla, story.ticket_id))["resolution"]
    with frozen(10.5 * HOUR):
        assert (resolution["counted_seconds"], resolution["since"]) == (HOUR, at(10 * HOUR))
    assert resolution["due_at"] == at(10 * HOUR) + timedelta(days=13, hours=23)


async def test_a_clock_that_starts_later_counts_in_the_version_of_its_report_and_in_those_after_it(
    sla: Database,
) -> None:
    await activate(sla, week(EIGHT_TO_EIGHT), 0, begins=6 * HOUR)
    story = Story(severity=3)
    await tell(sla, story.opened(7 * HOUR, reported=0))
    rows = await clocks_of(sla, story.ticket_id)
    assert dues(rows)["response"] == at(28 * HOUR)
    assert await switch_all(sla, 7 * HOUR) == 0
    facts = await sla.count("SELECT count(*) FROM sla.clock_facts WHERE type = 'calendar-switched'")
    assert facts == 2


async def test_a_version_that_begins_in_the_past_dates_what_it_makes_late_when_it_was_activated(sla: Database) -> None:
    """A bridge day that was none: the clock stood on it, and should have counted."""
    await activate(sla, week(NINE_TO_SIX, "tue wed thu fri"), -HOUR)
    story = Story(severity=3)
    await tell(sla, story.opened())
    assert dues(await clocks_of(sla, story.ticket_id))["response"] == at(24 * HOUR + 24 * HOUR + 7 * HOUR)
    await activate(sla, week(NINE_TO_SIX), 32 * HOUR, begins=0)
    await switch_all(sla, 32 * HOUR + 5)
    response = (await clocks_of(sla, story.ticket_id))["response"]
    # The draft was recorded in that instant, so it was activated right after it: in the second that had begun.
    learnt = at(32 * HOUR + 1)
    assert (response["breached_at"], response["would_have_been_at"]) == (learnt, at(31 * HOUR))
    told = [one for one in await published(sla, story.ticket_id) if one["type"] == "sla-clock.breached"]
    assert [(one["occurred_at"], one["clock"]["would_have_been_at"]) for one in told] == [
        (learnt, "2026-03-03T19:00:00Z")
    ]


async def test_a_switch_waits_for_nobody_and_is_made_up_for_when_its_ticket_is_free(sla: Database) -> None:
    story = Story(severity=3)
    await tell(sla, story.opened())
    await activate(sla, week(EIGHT_TO_EIGHT), HOUR)
    async with sla.begin() as tx:
        await tx.execute(sql("SELECT id FROM sla.tickets WHERE id = :id FOR UPDATE"), {"id": story.ticket_id})
        assert await switch_all(sla, HOUR) == 0
    assert await switch_all(sla, HOUR) == 2


async def test_a_clock_that_ends_while_the_job_looks_for_it_is_not_switched(
    sla: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The job has seen it running, and locks it only when it has ended: then it is never touched."""
    ended, running = Story(severity=3), Story(severity=3)
    await tell(sla, ended.opened(), running.opened())
    await activate(sla, week(EIGHT_TO_EIGHT), HOUR)
    looks = clock_rows._CLAIM_BEHIND
    waits = looks.text.replace("c.course IN", f"(SELECT pg_advisory_xact_lock({GATE})) IS NOT NULL AND c.course IN")
    assert waits != looks.text
    monkeypatch.setattr(clock_rows, "_CLAIM_BEHIND", replace(looks, text=waits))
    async with sla.connect() as gate:
        await gate.execute(f"SELECT pg_advisory_lock({GATE})")
        looking = asyncio.create_task(switch_all(sla, 3 * HOUR))
        await eventually(lambda: gate.fetchval(f"SELECT count(*) FROM pg_locks WHERE objid = {GATE} AND NOT granted"))
        await tell(sla, ended.resolved(2 * HOUR))
        await gate.execute(f"SELECT pg_advisory_unlock({GATE})")
        assert await looking == 2
    of_ended, of_running = await clocks_of(sla, ended.ticket_id), await clocks_of(sla, running.ticket_id)
    assert {one["calendar_version"] for one in of_ended.values()} == {1}
    assert {one["calendar_version"] for one in of_running.values()} == {2}


async def test_the_state_after_any_switch_is_that_of_folding_everything_anew(
    sla: Database, http: httpx2.AsyncClient
) -> None:
    story = Story(severity=3)
    await tell(sla, story.opened(), story.held(2 * HOUR))
    await activate(sla, week(EIGHT_TO_EIGHT), 4 * HOUR)
    await switch_all(sla, 4 * HOUR)
    await tell(sla, story.released(5 * HOUR))
    await activate(sla, week((("10:00", "12:00"),)), 6 * HOUR, begins=24 * HOUR)
    await switch_all(sla, 6 * HOUR)
    stored = (await clocks_of(sla, story.ticket_id))["resolution"]
    with frozen(26 * HOUR + 0.5):
        answer = await http.get(f"/v1/tickets/{story.ticket_id}/clocks")
        resolution = answer.json()["clocks"][1]
        explained = await http.get(f"/v1/tickets/{story.ticket_id}/clocks/{resolution['id']}/explanation")
    assert resolution["due_at"] == stored["due_at"].isoformat().replace("+00:00", "Z")
    assert (resolution["state"], resolution["ticking"]) == ("running", True)
    account = explained.json()
    assert sum(line["seconds"] for line in account["lines"] if line["counted"]) == resolution["counted_seconds"]
    assert account["clock"]["remaining_seconds"] == resolution["remaining_seconds"]
    assert any("fuera de horario" in line for line in account["sentences"]["es"])
    assert len(account["sentences"]["es"]) == len(account["sentences"]["en"])


async def test_nobody_explains_a_clock_that_the_ticket_does_not_have(http: httpx2.AsyncClient) -> None:
    story = Story()
    answer = await http.get(f"/v1/tickets/{story.ticket_id}/clocks/{story.ticket_id}/explanation")
    assert (answer.status_code, answer.json()["code"]) == (404, "no-clocks")


@pytest.mark.parametrize("severity", [1, 3])
async def test_over_the_weekend_a_clock_says_closed_and_until_when(
    sla: Database, http: httpx2.AsyncClient, severity: int
) -> None:
    story = Story(severity=severity)
    friday_half_past_five = 4 * 24 * HOUR + 8.5 * HOUR
    await tell(sla, story.opened(friday_half_past_five))
    with frozen(friday_half_past_five + 12 * HOUR):
        shown = (await http.get(f"/v1/tickets/{story.ticket_id}/clocks")).json()["clocks"][1]
    assert (shown["state"], shown["ticking"], shown["ticking_changes_at"]) == ("closed", False, "2026-03-09T12:00:00Z")
    assert shown["counted_seconds"] == HOUR // 2
