"""The tickets that sla keeps: each as its latest event left it, in whatever order and however often it is told."""

from __future__ import annotations

import random

import pytest

from shared.contracts.tickets import TicketBrief
from tests.sla.telling import Story, kept_ticket, tell
from tests.support.databases import Database


@pytest.fixture
async def sla(day_and_night: Database) -> Database:
    return day_and_night


async def test_the_ticket_is_kept_as_its_latest_event_left_it_whatever_the_order(sla: Database) -> None:
    chance = random.Random(11)
    for _ in range(8):
        story = Story()
        life = [
            story.opened(),
            story.assigned(60, "bruno"),
            story.held(100),
            story.released(200),
            story.resolved(300),
            story.reopened(400),
            story.assigned(500, "carla"),
        ]
        latest = life[-1]
        chance.shuffle(life)
        # Some of them twice, in one batch with others and in batches of their own.
        await tell(sla, *life[:4])
        for event in life[2:]:
            await tell(sla, event)
        kept = await kept_ticket(sla, story.ticket_id)
        assert kept is not None
        assert TicketBrief.model_validate(kept["brief"]) == latest.data.ticket
        assert (kept["sequence"], kept["brief"]["version"], kept["brief"]["assignee"]) == (latest.sequence, 7, "carla")


async def test_a_ticket_of_which_no_clock_is_told_is_kept_all_the_same(sla: Database) -> None:
    """An assignment means nothing to a clock, and neither does what is told before the opening."""
    story = Story(client=None)
    opened, assigned = story.opened(), story.assigned(60, "bruno")
    await tell(sla, assigned)
    kept = await kept_ticket(sla, story.ticket_id)
    assert kept is not None
    assert (kept["brief"]["assignee"], kept["brief"]["groups"]["client_id"]) == ("bruno", None)
    assert await sla.count("SELECT count(*) FROM sla.clock_facts") == 0
    await tell(sla, opened, noticed=100)
    assert await kept_ticket(sla, story.ticket_id) == kept
