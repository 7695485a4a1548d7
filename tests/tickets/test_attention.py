"""Whom a ticket calls because of what others did about it, in which state, once, and who has answered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
import time_machine

from shared.contracts.envelope import Received
from shared.contracts.tickets import Status
from shared.errors import Conflict
from tests.support.databases import Database
from tests.support.eventually import eventually
from tests.support.statements import round_trips
from tests.tickets import told
from tests.tickets.desk import NOW, cause, deliver, open_one, rows
from tests.tickets.test_queue import blocked
from tests.tickets.told import later
from tickets.commands import tickets as commands
from tickets.commands.tickets import Done

HELD_AT = NOW + timedelta(hours=1)
MONDAY = NOW + timedelta(days=4)
AFTER = NOW + timedelta(days=2)
Told = Callable[[UUID], Received[Any]]

# What comes from others, each two hours after the ticket came into its state.
EVENTS: dict[str, Told] = {
    "breached": lambda id: told.breached(id, 1),
    "warned": lambda id: told.warned(id, 1),
    "released": lambda id: told.moved(id, 700, "released", "fixed", "8.2.2"),
    "declined": lambda id: told.moved(id, 700, "declined", "new"),
    "fixed": lambda id: told.moved(id, 700, "fixed", "new"),
    "paused": lambda id: told.paused(id, 1),
}
# In which state which of them calls whom, in the order of STATES; "-" calls nobody and changes nothing.
STATES: tuple[str, ...] = ("new", "in_progress", "on_hold", "waking", "resolved", "closed", "cancelled")
EXPECTED: dict[str, tuple[str, ...]] = {
    #            new         in_progress  on_hold      waking        resolved       closed         cancelled
    "breached": ("breached", "breached",  "breached",  "breached",   "-",           "-",           "-"),
    "warned":   ("-",        "-",         "-",         "hold-ended", "-",           "-",           "-"),
    "released": ("released", "released",  "released",  "released",   "tell-client", "tell-client", "-"),
    "declined": ("declined", "declined",  "declined",  "declined",   "-",           "-",           "-"),
    "fixed":    ("-",        "-",         "-",         "-",          "-",           "-",           "-"),
    "paused":   ("-",        "-",         "-",         "-",          "-",           "-",           "-"),
}  # fmt: skip
# Whom each calls, on a ticket in Bruno's hands and on one in nobody's.
WHOM = {
    "breached": ("assignee", "team"), "hold-ended": ("assignee", "team"), "released": ("owner", "owner"),
    "declined": ("owner", "owner"), "tell-client": ("owner", "owner"),
}  # fmt: skip
CASES = [(kind, state, calls) for kind, row in EXPECTED.items() for state, calls in zip(STATES, row, strict=True)]


async def ticket_in(desk: Database, state: str) -> UUID:
    """A ticket of Ana's that came into a state at HELD_AT; "waking" is a hold that ends by itself on MONDAY."""
    ticket_id = (await open_one(desk)).ticket.id
    with time_machine.travel(HELD_AT, tick=False):
        async with desk.begin() as tx:
            match state:
                case "in_progress":
                    await commands.assign_ticket(tx, cause(), ticket_id, assignee="bruno")
                case "on_hold" | "waking":
                    wake_at = MONDAY if state == "waking" else None
                    await commands.hold_ticket(tx, cause(), ticket_id, reason="third-party", note="x", wake_at=wake_at)
                case "resolved" | "closed":
                    await commands.resolve_ticket(tx, cause(), ticket_id, code="configuracion", text="x")
                    if state == "closed":
                        await commands.close_ticket(tx, cause(), ticket_id)
                case "cancelled":
                    await commands.cancel_ticket(tx, cause(), ticket_id, reason="x")
    return ticket_id


async def hear(desk: Database, event: Received[Any], **changed: Any) -> None:
    with time_machine.travel(AFTER, tick=False):
        async with desk.begin() as tx:
            await deliver(tx, [replace(event, **changed)])


async def stored(desk: Database, ticket_id: UUID) -> dict[str, Any]:
    async with desk.begin() as tx:
        (row,) = await rows(tx, "SELECT * FROM tickets.tickets WHERE id = :id", id=ticket_id)
    return row


async def own_facts(desk: Database, ticket_id: UUID) -> list[dict[str, Any]]:
    async with desk.begin() as tx:
        return await rows(
            tx, "SELECT * FROM tickets.history WHERE ticket_id = :id AND source = 'tickets' ORDER BY position",
            id=ticket_id,
        )  # fmt: skip


@pytest.mark.parametrize(("kind", "state", "calls"), CASES)
async def test_each_thing_that_others_do_calls_whom_it_should_in_each_state_and_twice_told_once(
    desk: Database, kind: str, state: str, calls: str
) -> None:
    ticket_id = await ticket_in(desk, state)
    before = await stored(desk, ticket_id)
    event = EVENTS[kind](ticket_id)
    await hear(desk, event)
    await hear(desk, event)
    after, facts = await stored(desk, ticket_id), await own_facts(desk, ticket_id)
    assert await desk.count("SELECT count(*) FROM tickets.history WHERE fact_id = $1", event.id) == 1
    if calls == "-":
        assert (after, len(facts)) == (before, before["version"])
        return
    whom = WHOM[calls][before["assignee"] is None]
    assert [(one["reason"], one["addressee"]) for one in after["attention"]] == [(calls, whom)]
    assert after["version"] == before["version"] + 1
    raised = facts[-1]
    assert (raised["type"], raised["actor"], raised["causation_id"], raised["occurred_at"]) == (
        "desk.ticket.attention-raised.v1", "system:tickets", str(event.id), event.occurred_at,
    )  # fmt: skip
    assert (raised["data"]["reason"], raised["data"]["ticket"]["version"]) == (calls, after["version"])
    told_to_others = await desk.count("SELECT count(*) FROM runtime.archive WHERE id = $1", raised["fact_id"])
    assert (told_to_others, after["last_fact_at"]) == (1, raised["recorded_at"])
    assert after["status"] == ("in_progress" if calls == "hold-ended" else before["status"])


@pytest.mark.parametrize("kind", ["breached", "warned", "released", "declined"])
@pytest.mark.parametrize("state", ["in_progress", "waking", "closed"])
async def test_what_an_import_tells_wakes_nobody(desk: Database, kind: str, state: str) -> None:
    ticket_id = await ticket_in(desk, state)
    before = await stored(desk, ticket_id)
    await hear(desk, EVENTS[kind](ticket_id), origin="import")
    assert await stored(desk, ticket_id) == before


async def test_what_is_told_of_a_ticket_that_is_not_here_stops_nothing(desk: Database) -> None:
    here = await ticket_in(desk, "in_progress")
    with time_machine.travel(AFTER, tick=False):
        async with desk.begin() as tx:
            await deliver(tx, [told.breached(UUID(int=404), 1), told.breached(here, 2, clock_id=UUID(int=77))])
    assert [one["reason"] for one in (await stored(desk, here))["attention"]] == ["breached"]


async def test_the_first_warning_since_a_hold_began_ends_it_as_one_command(desk: Database) -> None:
    ticket_id = await ticket_in(desk, "waking")
    event = told.warned(ticket_id, 1)
    await hear(desk, event)
    row, (released, raised) = await stored(desk, ticket_id), (await own_facts(desk, ticket_id))[-2:]
    assert (row["status"], row["version"], row["wake_at"], row["course_at"]) == ("in_progress", 3, None, later(740))
    assert (released["type"], released["data"]["because"]) == ("desk.ticket.released.v1", "warned")
    assert [one["data"]["ticket"]["version"] for one in (released, raised)] == [3, 3]
    assert released["changes"] == {"status": ["on_hold", "in_progress"], "hold": [released["changes"]["hold"][0], None]}


async def test_a_warning_from_before_the_hold_that_comes_late_ends_nothing_and_stops_nothing(desk: Database) -> None:
    ticket_id = await ticket_in(desk, "waking")
    before = await stored(desk, ticket_id)
    await hear(desk, told.warned(ticket_id, 1), occurred_at=HELD_AT - timedelta(seconds=1))
    assert await stored(desk, ticket_id) == before


async def test_two_different_reasons_call_both_and_the_same_again_after_an_answer_calls_again(desk: Database) -> None:
    ticket_id = await ticket_in(desk, "in_progress")
    await hear(desk, told.breached(ticket_id, 1))
    await hear(desk, told.moved(ticket_id, 700, "released", "fixed"))
    assert [one["reason"] for one in (await stored(desk, ticket_id))["attention"]] == ["breached", "released"]
    with time_machine.travel(AFTER, tick=False):
        async with desk.begin() as tx:
            await commands.comment_ticket(tx, cause(actor="bruno"), ticket_id, text="lo veo")
    assert [one["reason"] for one in (await stored(desk, ticket_id))["attention"]] == ["released"]
    await hear(desk, told.breached(ticket_id, 2, clock_id=told.RESPONSE))
    assert [one["reason"] for one in (await stored(desk, ticket_id))["attention"]] == ["released", "breached"]


async def test_what_a_person_does_at_once_with_a_call_comes_before_or_after_it_and_both_are_kept(
    desk: Database,
) -> None:
    ticket_id = await ticket_in(desk, "in_progress")

    async def act() -> Done:
        async with desk.begin() as tx:
            return await commands.comment_ticket(tx, cause(actor="bruno"), ticket_id, text="lo veo")

    with time_machine.travel(AFTER, tick=False):
        async with desk.begin() as tx:
            await deliver(tx, [told.breached(ticket_id, 1)])
            await tx.flush()
            acting = asyncio.create_task(act())
            await eventually(lambda: blocked(desk))
        done = await acting
    assert (done.ticket.version, done.ticket.attention, len(done.facts)) == (4, (), 2)
    kinds = [one["type"].split(".")[2] for one in await own_facts(desk, ticket_id)]
    assert kinds == ["opened", "assigned", "attention-raised", "commented", "attention-cleared"]


async def test_of_many_calls_and_actions_at_once_every_version_is_told_once(desk: Database) -> None:
    ticket_id = await ticket_in(desk, "in_progress")

    async def call(number: int) -> None:
        async with desk.begin() as tx:
            await deliver(tx, [told.breached(ticket_id, number, clock_id=UUID(int=900 + number))])

    async def act(actor: str) -> None:
        async with desk.begin() as tx:
            await commands.comment_ticket(tx, cause(actor=actor), ticket_id, text="x")

    with time_machine.travel(AFTER, tick=False):
        await asyncio.gather(*[call(n) for n in range(1, 6)], *[act("bruno") for _ in range(5)])
        await act("bruno")
    row, facts = await stored(desk, ticket_id), await own_facts(desk, ticket_id)
    assert row["attention"] == []
    kinds = [one["type"].split(".")[2] for one in facts]
    assert kinds.count("attention-raised") == kinds.count("attention-cleared") >= 1
    assert kinds.count("commented") == 6
    versions = [one["data"]["ticket"]["version"] for one in facts if not one["type"].endswith("cleared.v1")]
    assert versions == list(range(1, row["version"] + 1))


@pytest.mark.parametrize("status", ["resolved", "closed"])
async def test_the_client_of_a_settled_ticket_is_still_to_be_told_until_the_owner_has_done_it(
    desk: Database, status: Status
) -> None:
    ticket_id = await ticket_in(desk, status)
    await hear(desk, told.moved(ticket_id, 700, "released", "fixed"))
    with time_machine.travel(AFTER + timedelta(hours=1), tick=False):
        async with desk.begin() as tx:
            if status == "closed":
                with pytest.raises(Conflict):
                    await commands.respond_ticket(tx, cause(), ticket_id, channel="phone", text="x")
                done = await commands.answer_ticket(tx, cause(), ticket_id, reason="tell-client")
            else:
                done = await commands.respond_ticket(tx, cause(), ticket_id, channel="phone", text="ya está la 8.2.2")
    assert (done.ticket.status, done.ticket.attention) == (status, ())
    assert (await own_facts(desk, ticket_id))[-1]["type"] == "desk.ticket.attention-cleared.v1"


# What is left of three calls (the assignee's, and the owner's of a fix and of a refusal) after each way to an end,
# whoever takes it.
LEFT = {"resolve": ["released"], "close": ["released"], "cancel": []}


@pytest.mark.parametrize("way", LEFT)
@pytest.mark.parametrize("actor", ["carla", "system:tickets"])
async def test_a_settled_ticket_calls_only_for_what_the_client_has_to_hear(
    desk: Database, way: str, actor: str
) -> None:
    ticket_id = await ticket_in(desk, "in_progress")
    for number, event in enumerate((told.breached(ticket_id, 1), told.moved(ticket_id, 700, "released", "fixed")), 1):
        await hear(desk, event)
        assert len((await stored(desk, ticket_id))["attention"]) == number
    await hear(desk, told.moved(ticket_id, 701, "declined", "released"))
    with time_machine.travel(AFTER, tick=False):
        async with desk.begin() as tx:
            if way == "cancel":
                await commands.cancel_ticket(tx, cause(actor=actor), ticket_id, reason="x")
            else:
                await commands.resolve_ticket(tx, cause(actor=actor), ticket_id, code="configuracion", text="x")
            if way == "close":
                await commands.close_ticket(tx, cause(actor=actor), ticket_id)
    row, facts = await stored(desk, ticket_id), await own_facts(desk, ticket_id)
    assert [one["reason"] for one in row["attention"]] == LEFT[way]
    cleared = [one["data"]["reason"] for one in facts if one["type"] == "desk.ticket.attention-cleared.v1"]
    assert cleared == [reason for reason in ("breached", "released", "declined") if reason not in LEFT[way]]


async def test_of_many_warnings_at_once_only_those_that_end_a_hold_cost_anything(desk: Database) -> None:
    running = [await ticket_in(desk, "in_progress") for _ in range(5)]
    waking = await ticket_in(desk, "waking")
    with time_machine.travel(AFTER, tick=False), round_trips(desk.engine) as alone:
        async with desk.begin() as tx:
            await deliver(tx, [told.warned(waking, 1, clock_id=UUID(int=1))])
    again = await ticket_in(desk, "waking")
    many = [told.warned(one, 1, clock_id=UUID(int=10 + number)) for number, one in enumerate([*running, again])]
    with time_machine.travel(AFTER, tick=False), round_trips(desk.engine) as together:
        async with desk.begin() as tx:
            await deliver(tx, many)
    assert (await stored(desk, again))["status"] == "in_progress"
    assert len(together) == len(alone) > 0
