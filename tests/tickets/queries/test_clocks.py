"""Clocks in view and list: their state in one word, what is left, breaches that are taken back, codes of tomorrow."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from shared.contracts.envelope import Received
from shared.contracts.sla import SlaClockResumed
from tests.support.databases import Database
from tests.tickets import told
from tests.tickets.desk import HOUR, NOW, deliver, open_one
from tests.tickets.queries.reading import everything, view
from tests.tickets.told import RESOLUTION, RESPONSE, clock, later
from tickets.queries.filters import TicketFilter


async def with_clocks(desk: Database, *events: Any) -> UUID:
    """A ticket to which these events were told, each `(ticket_id, sequence) -> event`, in their order."""
    ticket_id = (await open_one(desk)).ticket.id
    await tell(desk, *[event(ticket_id, sequence) for sequence, event in enumerate(events, start=1)])
    return ticket_id


async def tell(desk: Database, *events: Received[Any]) -> None:
    """As the consumer hands them over, one after the other."""
    async with desk.begin() as tx:
        for event in events:
            await deliver(tx, [event])


async def only_clock(desk: Database, ticket_id: UUID, now: datetime = NOW) -> dict[str, Any]:
    """The one clock of a view."""
    (found,) = (await view(desk, ticket_id, now))["clocks"]
    return dict(found)


async def in_the_queue(desk: Database) -> dict[str, Any]:
    """The one row of the queue."""
    (row,) = await everything(desk, TicketFilter(), "due")
    return row


async def test_a_clock_is_shown_as_its_owner_told_it(desk: Database) -> None:
    ticket_id = await with_clocks(desk, told.breached)
    assert await only_clock(desk, ticket_id, later(1470)) == {
        "id": str(RESOLUTION), "kind": "resolution", "cycle": 1, "state": "breached", "course": "running",
        "outcome": "breached", "due_at": "2026-11-03T14:23:00.25+00:00", "remaining_seconds": -601,
        "overdue_wall_seconds": 601, "ticking": True, "ticking_changes_at": None, "would_have_been_at": None,
        "counted_in": [
            {"from_at": "2026-11-02T14:03:00.250000Z", "calendar_id": "24x7", "calendar_version": 1},
        ],
        "since": "2026-11-02T14:33:00.25+00:00", "pause_reason": None, "target_seconds": 86_400, "elapsed_seconds": 600,
        "started_at": "2026-11-02T14:03:00.25+00:00", "contract_id": "c-molinos", "contract_version": 3,
        "warned_as": "75%", "breached_at": "2026-11-03T14:23:00.25+00:00",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("event", "now", "due", "remaining"),
    [
        # A second that has begun counts; it began in the first quarter of one.
        (told.started, later(60), later(1440), 23 * HOUR - 1),
        (told.started, later(60) - timedelta(milliseconds=250), later(1440), 23 * HOUR),
        (told.started, later(60) - timedelta(milliseconds=249), later(1440), 23 * HOUR - 1),
        (told.paused, later(600), None, 85_800),
        (told.resumed, later(60), later(1460), 1400 * 60 - 1),
        (told.breached, later(1470), later(1460), -601),
        (told.stopped, later(9999), later(1460), -2400),
        (told.cancelled, later(9999), later(1440), 85_200),
    ],
)
async def test_what_is_left_runs_down_while_the_clock_runs_and_stands_while_it_stands(
    desk: Database, event: Any, now: datetime, due: datetime | None, remaining: int
) -> None:
    found = await only_clock(desk, await with_clocks(desk, event), now)
    assert found["remaining_seconds"] == remaining
    assert (datetime.fromisoformat(found["due_at"]) if found["due_at"] else None) == due


# What a clock is in one word: what it ended as for good, then how it came out, then what it does.
WORDS = {
    ("running", "pending"): "running", ("running", "breached"): "breached",
    ("paused", "pending"): "paused", ("paused", "breached"): "breached",
    ("stopped", "met"): "met", ("stopped", "breached"): "breached",
    ("cancelled", "pending"): "cancelled", ("cancelled", "breached"): "cancelled",
    ("void", "pending"): "void", ("void", "met"): "void", ("void", "breached"): "void",
    # Codes of a later release.
    ("suspended", "pending"): "suspended", ("suspended", "breached"): "breached", ("stopped", "excused"): "excused",
}  # fmt: skip


async def test_the_state_of_a_clock_is_one_word_in_which_the_weightier_wins(desk: Database) -> None:
    ticket_id = (await open_one(desk)).ticket.id
    found = {}
    for sequence, (course, outcome) in enumerate(WORDS, start=1):
        state = clock(course=course, outcome=outcome)
        await tell(desk, told.of_clock(SlaClockResumed, ticket_id, sequence, state, NOW, because="corrected"))
        shown = await only_clock(desk, ticket_id)
        assert (shown["course"], shown["outcome"]) == (course, outcome)
        found[course, outcome] = shown["state"]
    assert found == WORDS


# What takes a breach back, and the word that is left: it was held in time, was told too late, or had stopped before.
WITHOUT_BREACH: dict[str, tuple[Callable[[UUID, int], Received[Any]], str, bool | None]] = {
    "a hold that was told late": (told.paused, "paused", None),
    "a later due": (lambda ticket_id, n: told.resumed(ticket_id, n, because="corrected"), "running", False),
    "an end that was told late": (lambda ticket_id, n: told.met(ticket_id, n, clock_id=RESOLUTION), "met", None),
}


@pytest.mark.parametrize("case", WITHOUT_BREACH)
@pytest.mark.parametrize("in_order", [True, False])
async def test_a_breach_that_is_taken_back_disappears_from_view_and_queue_and_stays_in_the_history(
    desk: Database, case: str, in_order: bool
) -> None:
    later_event, word, listed = WITHOUT_BREACH[case]
    ticket_id = (await open_one(desk)).ticket.id
    events = [told.started(ticket_id, 1), told.breached(ticket_id, 2), later_event(ticket_id, 3)]
    await tell(desk, *events[:2])
    assert (await only_clock(desk, ticket_id))["state"] == "breached"
    assert (await in_the_queue(desk))["next_due"]["breached"] is True
    # Told again after what takes it back, as a doubled or delayed message is, it stays away.
    await tell(desk, *(events[2:] if in_order else [*events[2:], *events[:2]]))
    shown = await only_clock(desk, ticket_id)
    assert (shown["state"], shown["breached_at"], shown["warned_as"]) == (word, None, None)
    next_due = (await in_the_queue(desk))["next_due"]
    assert (next_due["breached"] if next_due else None) is listed
    told_of = [entry["type"] for entry in (await view(desk, ticket_id))["history"]]
    assert told_of.count("desk.sla-clock.breached.v1") == 1


async def test_a_breach_lies_where_the_latest_event_says(desk: Database) -> None:
    ticket_id = await with_clocks(desk, told.breached)
    earlier = told.of_clock(
        SlaClockResumed, ticket_id, 2, clock(outcome="breached", due_at=later(20), breached_at=later(20)), later(30),
        because="corrected",
    )  # fmt: skip
    await tell(desk, earlier)
    shown = await only_clock(desk, ticket_id, later(30))
    assert datetime.fromisoformat(shown["breached_at"]) == datetime.fromisoformat(shown["due_at"]) == later(20)
    next_due = (await in_the_queue(desk))["next_due"]
    assert (datetime.fromisoformat(next_due["at"]), next_due["breached"]) == (later(20), True)


async def test_a_kind_of_clock_that_this_release_does_not_know_is_shown_and_runs_out_like_any_other(
    desk: Database,
) -> None:
    ticket_id = (await open_one(desk)).ticket.id
    new_kind = clock(UUID(int=77), hours=1, kind="workaround", warned_as="90%")
    await tell(
        desk, told.started(ticket_id, 1),
        told.of_clock(SlaClockResumed, ticket_id, 2, new_kind, NOW, because="weather"),
    )  # fmt: skip
    assert [(one["kind"], one["state"]) for one in (await view(desk, ticket_id))["clocks"]] == [
        ("workaround", "running"), ("resolution", "running"),
    ]  # fmt: skip
    next_due = (await in_the_queue(desk))["next_due"]
    assert (next_due["kind"], next_due["remaining_seconds"]) == ("workaround", HOUR - 1)


@pytest.mark.parametrize("due", [None, later(90)])
async def test_a_course_that_this_release_does_not_know_is_shown_and_does_not_run_here(
    desk: Database, due: datetime | None
) -> None:
    ticket_id = (await open_one(desk)).ticket.id
    state = clock(course="suspended", pause_reason="strike", elapsed_seconds=1000, due_at=due)
    await tell(desk, told.of_clock(SlaClockResumed, ticket_id, 1, state, NOW, because="strike"))
    shown = await only_clock(desk, ticket_id, later(600))
    assert (shown["state"], shown["course"], shown["pause_reason"]) == ("suspended", "suspended", "strike")
    assert shown["remaining_seconds"] == 24 * HOUR - 1000
    row = await in_the_queue(desk)
    assert (row["clocks"], row["next_due"]) == ("ended", None)


async def test_a_clock_that_runs_without_a_due_breaks_nothing(desk: Database) -> None:
    """The language allows it, though nobody tells it today: a calendar may have an end."""
    ticket_id = (await open_one(desk)).ticket.id
    state = clock(elapsed_seconds=1000, due_at=None)
    await tell(desk, told.of_clock(SlaClockResumed, ticket_id, 1, state, NOW, because="corrected"))
    assert (await only_clock(desk, ticket_id))["remaining_seconds"] == 24 * HOUR - 1001
    assert (await in_the_queue(desk))["next_due"] is None


async def test_a_hold_reason_that_this_release_does_not_know_pauses_the_clock_as_it_is_told(desk: Database) -> None:
    ticket_id = (await open_one(desk)).ticket.id
    event = told.paused(ticket_id, 1)
    state = event.data.clock.model_copy(update={"pause_reason": "blocked-by-customs"})
    await tell(desk, told.of_clock(type(event.data), ticket_id, 1, state, NOW))
    shown = await only_clock(desk, ticket_id)
    assert (shown["state"], shown["pause_reason"]) == ("paused", "blocked-by-customs")
    assert (await in_the_queue(desk))["clocks"] == "paused"


async def test_a_task_status_that_this_release_does_not_know_is_shown_as_it_is(desk: Database) -> None:
    ticket_id = await with_clocks(desk, told.linked)
    await tell(desk, told.moved(ticket_id, 2, "in_quarantine", "on_the_moon"))
    (task,) = (await view(desk, ticket_id))["tasks"]
    assert (task["status"], task["tracker_status"], task["display_id"]) == (
        "in_quarantine", "Estado in_quarantine", "DEV-17",
    )  # fmt: skip


async def test_a_second_cycle_of_a_clock_is_one_more_clock(desk: Database) -> None:
    """After a reopening an owner may begin a clock anew instead of running the old one on."""
    ticket_id = (await open_one(desk)).ticket.id
    again = clock(UUID(int=99), cycle=2, hours=2)
    await tell(
        desk, told.met(ticket_id, 1), told.met(ticket_id, 2, clock_id=RESOLUTION),
        told.of_clock(SlaClockResumed, ticket_id, 3, again, NOW, because="reopened"),
    )  # fmt: skip
    assert [(one["id"], one["cycle"], one["state"]) for one in (await view(desk, ticket_id))["clocks"]] == [
        (str(RESPONSE), 1, "met"), (str(RESOLUTION), 1, "met"), (str(UUID(int=99)), 2, "running"),
    ]  # fmt: skip
    assert (await in_the_queue(desk))["next_due"]["remaining_seconds"] == 2 * HOUR - 1
