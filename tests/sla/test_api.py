"""Clocks over HTTP."""

from __future__ import annotations

import httpx2
import pytest

from tests.sla.telling import RESOLUTION, Story, at, frozen, tell
from tests.support.databases import Database


@pytest.fixture
async def sla(day_and_night: Database) -> Database:
    return day_and_night


def shown(seconds: float) -> str:
    """An instant of a story as an answer has it."""
    return at(seconds).isoformat().replace("+00:00", "Z")


async def test_a_ticket_s_clocks_explain_every_second(http: httpx2.AsyncClient, sla: Database) -> None:
    story = Story()
    await tell(sla, story.opened(), story.held(1000), story.released(4000), story.responded(4500))
    with frozen(5000):
        answer = await http.get(f"/v1/tickets/{story.ticket_id}/clocks")
    assert answer.status_code == 200, answer.text
    response, resolution = answer.json()["clocks"]
    assert (response["kind"], response["course"], response["outcome"]) == ("response", "stopped", "met")
    assert (response["counted_seconds"], response["ended_at"]) == (4500, shown(4500))
    assert (resolution["course"], resolution["outcome"], resolution["ended_at"]) == ("running", "pending", None)
    assert (resolution["counted_seconds"], resolution["remaining_seconds"]) == (2000, RESOLUTION - 2000)
    assert [(one["seconds"], one["counted"], one["why"], one["reason"]) for one in resolution["intervals"]] == [
        (1000, True, "open", None),
        (3000, False, "held", "waiting-for-client"),
        (1000, True, "open", None),
    ]


async def test_a_clock_is_shown_as_breached_even_before_its_timer_fired(
    http: httpx2.AsyncClient, sla: Database
) -> None:
    story = Story()
    await tell(sla, story.opened())
    with frozen(RESOLUTION + 90):
        clocks = (await http.get(f"/v1/tickets/{story.ticket_id}/clocks")).json()["clocks"]
    assert [(one["kind"], one["course"], one["outcome"]) for one in clocks] == [
        ("response", "running", "breached"),
        ("resolution", "running", "breached"),
    ]
    assert clocks[1]["remaining_seconds"] == -90


async def test_a_clock_shows_each_threshold_and_when_it_was_reached(http: httpx2.AsyncClient, sla: Database) -> None:
    story = Story()
    await tell(sla, story.opened(), story.held(600), story.released(1600))
    with frozen(RESOLUTION * 0.8):
        clock = (await http.get(f"/v1/tickets/{story.ticket_id}/clocks")).json()["clocks"][1]
    half, most, nearly = RESOLUTION // 2, RESOLUTION * 3 // 4, RESOLUTION * 9 // 10
    assert clock["thresholds"] == [
        {"seconds": half, "said_as": "50%", "reached_at": shown(half + 1000)},
        {"seconds": most, "said_as": "75%", "reached_at": shown(most + 1000)},
        {"seconds": nearly, "said_as": "90%", "reached_at": None},
    ]


async def test_a_paused_clock_shows_what_is_left_and_no_due(http: httpx2.AsyncClient, sla: Database) -> None:
    story = Story()
    await tell(sla, story.opened(), story.held(600))
    with frozen(90_000):
        clock = (await http.get(f"/v1/tickets/{story.ticket_id}/clocks")).json()["clocks"][1]
    assert (clock["course"], clock["due_at"], clock["remaining_seconds"]) == ("paused", None, RESOLUTION - 600)


async def test_a_clock_that_was_cancelled_says_when_and_what_its_seconds_were(
    http: httpx2.AsyncClient, sla: Database
) -> None:
    story = Story()
    await tell(sla, story.opened(), story.responded(300), story.cancelled(600))
    with frozen(90_000):
        response, resolution = (await http.get(f"/v1/tickets/{story.ticket_id}/clocks")).json()["clocks"]
    assert (response["course"], response["outcome"]) == ("stopped", "met")
    assert (resolution["course"], resolution["outcome"]) == ("cancelled", "pending")
    assert (resolution["ended_at"], resolution["counted_seconds"]) == (shown(600), 600)
    assert [(one["counted"], one["why"], one["until"]) for one in resolution["intervals"]] == [
        (True, "open", shown(600)),
        (False, "cancelled", None),
    ]


async def test_a_ticket_without_clocks_is_not_found(http: httpx2.AsyncClient, sla: Database) -> None:
    story = Story()
    await tell(sla, story.held(600))
    answer = await http.get(f"/v1/tickets/{story.ticket_id}/clocks")
    assert (answer.status_code, answer.json()["code"]) == (404, "no-clocks")
