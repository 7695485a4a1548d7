"""Replicas and read models end in the same rows whatever the order, the batches and the repetitions."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from shared.contracts.envelope import Received
from shared.contracts.inventory import ClientRecorded
from shared.contracts.sla import CountedIn
from shared.db.transaction import Transaction
from shared.messaging.reactions import collect
from tests.support.databases import Database
from tests.support.statements import round_trips
from tests.tickets import told
from tests.tickets.desk import NOW, deliver, received, rows
from tests.tickets.told import RESOLUTION, RESPONSE, TASK, later, whole_story
from tickets import projections, subscribers

TICKET = UUID(int=1)


async def state(tx: Transaction) -> dict[str, list[dict[str, Any]]]:
    """All rows of the read models."""
    return {
        name: await rows(tx, f"SELECT * FROM tickets.{name} ORDER BY 1, 2")
        for name in ("environments", "clocks", "tasks")
    }


def in_batches(dice: random.Random, events: list[Received[Any]]) -> list[list[Received[Any]]]:
    """The events cut into batches of one to four."""
    batches: list[list[Received[Any]]] = []
    while events:
        size = dice.randint(1, 4)
        batches.append(events[:size])
        events = events[size:]
    return batches


async def test_the_whole_story_in_order_gives_the_rows_written_by_hand(desk: Database) -> None:
    async with desk.begin() as tx:
        for event in whole_story(TICKET):
            await projections.apply(tx, [event])
        found = await state(tx)
    (environment,) = found["environments"]
    assert (environment["state"], environment["sequence"]) == ("resolved", 101)
    assert environment["data"]["product_version"] == "8.2.1"
    pinned = {
        "ticket_id": TICKET, "cycle": 1, "contract_id": "c-molinos", "contract_version": 3, "started_at": NOW,
        "would_have_been_at": None,
        "counted_in": [{"from_at": "2026-11-02T14:03:00.250000Z", "calendar_id": "24x7", "calendar_version": 1}],
    }  # fmt: skip
    assert found["clocks"] == [
        {
            **pinned, "id": RESPONSE, "kind": "response", "course": "stopped", "outcome": "met", "target_seconds": 3600,
            "elapsed_seconds": 300, "since": later(5), "due_at": later(60), "pause_reason": None, "warned_as": None,
            "breached_at": None, "sequence": 202,
        },
        {
            **pinned, "id": RESOLUTION, "kind": "resolution", "course": "stopped", "outcome": "breached",
            "target_seconds": 86_400, "elapsed_seconds": 88_800, "since": later(1500), "due_at": later(1460),
            "pause_reason": None, "warned_as": "75%", "breached_at": later(1460), "sequence": 208,
        },
    ]  # fmt: skip
    assert found["tasks"] == [
        {
            "id": TASK, "ticket_id": TICKET, "escalation_id": told.ESCALATION, "tracker": "board", "external_id": "17",
            "display_id": "DEV-17", "url": "http://board.example/DEV-17", "status": "fixed", "status_at": later(302),
            "tracker_status": "Estado fixed", "declined_reason": None, "fix_version": "8.2.2", "sequence": 302,
        }
    ]  # fmt: skip


async def test_any_order_any_batches_and_repetitions_end_in_the_same_rows(desk: Database) -> None:
    story = whole_story(TICKET)
    async with desk.begin() as tx:
        for event in story:
            await projections.apply(tx, [event])
        expected = await state(tx)
    dice = random.Random(20261102)
    async with desk.connect("test_owner") as admin:
        for _ in range(60):
            await admin.execute("TRUNCATE tickets.environments, tickets.clocks, tickets.tasks")
            shuffled = story + dice.choices(story, k=5)
            dice.shuffle(shuffled)
            async with desk.begin() as tx:
                for batch in in_batches(dice, shuffled):
                    await projections.apply(tx, batch)
                found = await state(tx)
            assert found == expected, [type(event.data).__name__ for event in shuffled]


CLOCK_EVENTS: list[Callable[[UUID, int], Received[Any]]] = [
    told.started, told.paused, told.resumed, told.warned, told.breached, told.stopped, told.cancelled,
]  # fmt: skip


@pytest.mark.parametrize("latest", CLOCK_EVENTS)
async def test_the_latest_event_of_a_clock_leaves_all_of_its_state_and_nothing_of_earlier_ones(
    desk: Database, latest: Callable[[UUID, int], Received[Any]]
) -> None:
    """In both orders, and even where everything before it was lost: no event says a part of a clock only."""
    before = [event(TICKET, sequence) for sequence, event in enumerate(CLOCK_EVENTS, start=1)]
    event = latest(TICKET, 99)
    expected = event.data.clock.model_dump()
    async with desk.connect("test_owner") as admin:
        for events in ([event], [*before, event], [event, *before]):
            await admin.execute("TRUNCATE tickets.clocks")
            async with desk.begin() as tx:
                for one in events:
                    await projections.apply(tx, [one])
                (row,) = await rows(tx, "SELECT * FROM tickets.clocks")
            row["counted_in"] = tuple(CountedIn(**one).model_dump() for one in row["counted_in"])
            assert {name: row[name] for name in expected if name != "clock_id"} | {"clock_id": row["id"]} == expected
            assert (row["ticket_id"], row["sequence"]) == (TICKET, 99)


async def test_each_prefix_of_the_story_is_the_same_when_shuffled(desk: Database) -> None:
    story = whole_story(TICKET)
    dice = random.Random(7)
    async with desk.connect("test_owner") as admin:
        for length in range(1, len(story) + 1):
            found = []
            for events in (story[:length], dice.sample(story[:length], length)):
                await admin.execute("TRUNCATE tickets.environments, tickets.clocks, tickets.tasks")
                async with desk.begin() as tx:
                    for event in events:
                        await projections.apply(tx, [event])
                    found.append(await state(tx))
            assert found[0] == found[1]


async def test_a_replica_takes_a_higher_sequence_and_refuses_a_lower_one(desk: Database) -> None:
    def recorded(name: str, sequence: int, *, retired: bool = False) -> Received[ClientRecorded]:
        return received(ClientRecorded(id="nuevo", name=name, tier="oro", retired=retired), sequence=sequence)

    async def name_after(*events: Received[ClientRecorded]) -> Any:
        async with desk.begin() as tx:
            await deliver(tx, events)
            (row,) = await rows(tx, "SELECT name, name_key, retired, sequence FROM tickets.clients WHERE id = 'nuevo'")
        return tuple(row.values())

    assert await name_after(recorded("Ñandú", 5)) == ("Ñandú", "nandu", False, 5)
    assert await name_after(recorded("Viejo", 4)) == ("Ñandú", "nandu", False, 5)
    assert await name_after(recorded("Igual", 5)) == ("Ñandú", "nandu", False, 5)
    assert await name_after(recorded("Uno", 7), recorded("Dos", 9, retired=True), recorded("Tres", 8)) == (
        "Dos", "dos", True, 9,
    )  # fmt: skip


async def test_reference_data_never_enters_a_history(desk: Database) -> None:
    assert await desk.count("SELECT count(*) FROM tickets.clients") == 4
    assert await desk.count("SELECT count(*) FROM tickets.history") == 0


async def test_what_arrives_before_its_ticket_is_kept(desk: Database) -> None:
    async with desk.begin() as tx:
        await deliver(tx, [told.resolved(TICKET, 1)])
        await deliver(tx, [told.moved(TICKET, 2, "triaged", "new")])
        found = await state(tx)
    assert found["environments"][0]["state"] == "resolved"
    assert (found["tasks"][0]["status"], found["tasks"][0]["display_id"]) == ("triaged", "DEV-17")
    assert await desk.count("SELECT count(*) FROM tickets.history") == 2


async def test_a_batch_of_a_hundred_clocks_is_one_statement_per_table(desk: Database) -> None:
    events = [told.started(UUID(int=n), n, clock_id=UUID(int=1000 + n)) for n in range(1, 101)]
    with round_trips(desk.engine) as sent:
        async with desk.begin() as tx:
            await projections.apply(tx, events)
    # There is no ticket yet, so nothing moves in the queue.
    assert [one.split(" ")[0] for one in sent] == ["BEGIN", "SELECT", "INSERT", "COMMIT"]
    assert await desk.count("SELECT count(*) FROM tickets.clocks") == 100


@pytest.mark.parametrize("event", list(projections.PROJECTIONS.rows))
def test_every_projected_event_has_a_reaction(event: type[Any]) -> None:
    assert event.type in collect(subscribers).known


def test_every_reaction_is_projected() -> None:
    assert set(collect(subscribers).known.values()) == set(projections.PROJECTIONS.rows)
