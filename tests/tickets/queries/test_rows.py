"""A row says of a ticket what its view says, in short; and what else it is asked to include."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, get_args
from uuid import UUID

from shared.contracts.sla import SlaClockResumed
from tests.support.databases import Database
from tests.tickets import told
from tests.tickets.desk import NOW, cause, deliver, open_one, received
from tests.tickets.queries.reading import everything, view
from tests.tickets.told import later
from tickets.commands import tickets as commands
from tickets.queries.filters import TicketFilter
from tickets.queries.lists import list_tickets
from tickets.queries.rows import Included, TicketRow

# What a row has that is as it is in the view.
SAME = (
    "id", "number", "version", "status", "kind", "severity", "priority", "immediate", "title", "groups", "level",
    "target", "team", "team_name", "owner", "owner_name", "assignee", "assignee_name", "reported_at", "opened_at",
    "attention",
)  # fmt: skip

READ = ("state", "remaining_seconds", "overdue_wall_seconds", "ticking", "ticking_changes_at")


async def lived(desk: Database) -> UUID:
    """A ticket of which everything has been told, in somebody's hands and waiting."""
    ticket_id = (await open_one(desk)).ticket.id
    async with desk.begin() as tx:
        for event in told.whole_story(ticket_id):
            await deliver(tx, [event])
        await commands.escalate_ticket(tx, cause(), ticket_id, target="analysts", reason="x")
        await commands.assign_ticket(tx, cause(), ticket_id, assignee="bruno")
        await commands.join_ticket(tx, cause(), ticket_id, person_id="eva", role="watching")
        await commands.hold_ticket(tx, cause(), ticket_id, reason="agreed-date", note="x", wake_at=later(90_000))
    return ticket_id


async def row_of(desk: Database, number: str, now: datetime, *include: Included) -> dict[str, Any]:
    async with desk.begin() as tx:
        ((*_, written),) = await list_tickets(
            tx, TicketFilter(q=number), sort="due", after=None, limit=2, now=now, include=include
        )
    found: dict[str, Any] = json.loads(written)
    assert set(TicketRow.model_validate_json(written).model_dump()) == set(found)
    return found


async def test_a_row_says_what_the_view_says_in_short(desk: Database) -> None:
    ticket_id, now = await lived(desk), later(1600)
    whole = await view(desk, ticket_id, now)
    row = await row_of(desk, whole["number"], now)
    assert {name: row[name] for name in SAME} == {name: whole[name] for name in SAME}
    assert (row["owner_name"], row["assignee_name"], row["team_name"]) == (None, "Bruno", "Analistas")
    clocks = {clock["kind"]: clock for clock in whole["clocks"]}
    for kind in ("response", "resolution"):
        assert row[kind] == {
            **{name: clocks[kind][name] for name in ("due_at", *READ)},
            "breached": clocks[kind]["breached_at"] is not None,
        }
    assert (row["response"]["breached"], row["resolution"]["breached"]) == (False, True)
    assert row["environment"] == {"state": "resolved", "version": "8.2.1", "customised_modules": 0}
    (task,) = whole["tasks"]
    assert row["task"] == {name: task[name] for name in ("display_id", "status", "status_at", "fix_version")}
    assert (row["hold_reason"], row["wake_at"]) == (whole["hold"]["reason"], whole["hold"]["wake_at"])
    own = [entry["recorded_at"] for entry in whole["history"] if entry["source"] == "tickets"]
    assert row["updated_at"] == max(own)
    assert row["more"] is None


async def test_a_row_includes_whatever_it_is_asked_for_as_the_view_has_it(desk: Database) -> None:
    ticket_id, now = await lived(desk), later(1600)
    whole = await view(desk, ticket_id, now)
    parts: tuple[Included, ...] = get_args(Included)
    everything_of = (await row_of(desk, whole["number"], now, *parts))["more"]
    assert everything_of == {name: whole[name] for name in parts}
    assert everything_of["participants"]
    for part in parts:
        more = (await row_of(desk, whole["number"], now, part))["more"]
        assert {name for name, found in more.items() if found is not None} == {part}


async def test_what_nobody_has_told_yet_is_pending_in_a_row(desk: Database) -> None:
    await open_one(desk)
    (row,) = await everything(desk, TicketFilter(), "due")
    assert (row["clocks"], row["response"], row["resolution"], row["task"]) == ("pending", None, None, None)
    assert row["environment"] == {"state": "pending", "version": None, "customised_modules": None}


async def test_a_row_shows_the_latest_cycle_of_a_clock_and_the_task_that_moved_last(desk: Database) -> None:
    ticket_id = (await open_one(desk)).ticket.id
    again = told.clock(UUID(int=99), cycle=2, hours=2)
    async with desk.begin() as tx:
        for event in (
            told.met(ticket_id, 1, clock_id=told.RESOLUTION),
            told.of_clock(SlaClockResumed, ticket_id, 2, again, NOW, because="reopened"),
            told.linked(ticket_id, 3),
            told.linked(ticket_id, 4, task_id=UUID(int=1), escalation_id=UUID(int=98), display_id="DEV-18"),
            told.moved(ticket_id, 5, "in_progress", "new"),
        ):
            await deliver(tx, [event])
    (row,) = await everything(desk, TicketFilter(), "due")
    assert (row["resolution"]["state"], row["resolution"]["remaining_seconds"]) == ("running", 7199)
    assert (row["task"]["display_id"], row["task"]["status"]) == ("DEV-17", "in_progress")


async def test_a_row_counts_the_modules_that_were_made_for_the_client(desk: Database) -> None:
    ticket_id = (await open_one(desk)).ticket.id
    event = told.resolved(ticket_id, 1)
    (module,) = event.data.modules
    made = [module.model_copy(update={"module_id": f"m-{n}", "nature": "customised"}) for n in range(2)]
    data = event.data.model_copy(update={"modules": (module, *made)})
    async with desk.begin() as tx:
        await deliver(tx, [received(data, sequence=1)])
    (row,) = await everything(desk, TicketFilter())
    assert row["environment"]["customised_modules"] == 2
