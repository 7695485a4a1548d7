"""What the history says that each fact changed: old and new of each part of the ticket, so that folding gives it."""

from __future__ import annotations

import json
import random
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx2
import time_machine

from shared.contracts.topics import TICKETS
from shared.db.transaction import Transaction
from shared.errors import Conflict
from shared.instants import STEP
from tests.support.databases import Database
from tests.tickets import told
from tests.tickets.desk import NOW, cause, deliver, open_one, rows
from tests.tickets.door import Desk, at, id_in, opened
from tickets.commands import tickets as commands
from tickets.commands.completing import complete_ticket
from tickets.commands.links import link_tickets, unlink_tickets
from tickets.commands.tickets import Done
from tickets.domain.completing import Naming
from tickets.domain.escalation import EVERYWHERE
from tickets.queries import history
from tickets.queries.history import HistoryEntry

# The ticket that was opened before the others.
FIRST = "T-000001"
Do = Callable[[Transaction, UUID], Awaitable[Done]]
DO: dict[str, Do] = {
    "assign": lambda tx, id: commands.assign_ticket(tx, cause(), id, assignee="bruno"),
    "assign to carla": lambda tx, id: commands.assign_ticket(tx, cause(), id, assignee="carla"),
    "escalate": lambda tx, id: commands.escalate_ticket(tx, cause(), id, target="analysts", reason="excede"),
    "derive": lambda tx, id: commands.escalate_ticket(
        tx, cause(), id, target="development", reason="es un error", reach=EVERYWHERE
    ),
    "de-escalate": lambda tx, id: commands.deescalate_ticket(tx, cause(), id, reason="falta probarlo"),
    "hand over": lambda tx, id: commands.hand_over_ticket(tx, cause(), id, owner="sofia"),
    "join": lambda tx, id: commands.join_ticket(tx, cause(), id, person_id="ines", role="working"),
    "leave": lambda tx, id: commands.leave_ticket(tx, cause(), id, person_id="ines", role="working"),
    "complete": lambda tx, id: complete_ticket(tx, cause(), id, naming=Naming(installation_id="molinos-gestion")),
    "link": lambda tx, id: link_tickets(tx, cause(), id, relation="related", other=FIRST),
    "unlink": lambda tx, id: unlink_tickets(tx, cause(), id, relation="related", other=FIRST),
    "note": lambda tx, id: commands.comment_ticket(tx, cause(), id, text="probado en planta"),
    "hold": lambda tx, id: commands.hold_ticket(tx, cause(), id, reason="waiting-for-client", note="¿versión?"),
    "release": lambda tx, id: commands.release_ticket(tx, cause(), id),
    "respond": lambda tx, id: commands.respond_ticket(tx, cause(), id, channel="phone", text="lo vemos"),
    "resolve": lambda tx, id: commands.resolve_ticket(tx, cause(), id, code="configuracion", text="listo"),
    "close": lambda tx, id: commands.close_ticket(tx, cause(), id),
    "reopen": lambda tx, id: commands.reopen_ticket(tx, cause(), id, reason="sigue igual"),
    "cancel": lambda tx, id: commands.cancel_ticket(tx, cause(), id, reason="duplicado"),
}
BESIDE = {"desk.ticket.attention-raised.v1", "desk.ticket.attention-cleared.v1"}
HOLD = {"reason": "third-party", "note": "el banco"}
AT = NOW + timedelta(minutes=5)


def held(steps: int) -> dict[str, Any]:
    """A hold that began so many steps after AT."""
    since = (AT + steps * STEP).isoformat().replace("+00:00", "Z")
    return {"reason": "waiting-for-client", "since": since, "wake_at": None}


# One life with each action in it, and what each changed: nothing else is in the history of it.
LIFE: list[tuple[str, dict[str, list[Any]]]] = [
    ("assign", {"status": ["new", "in_progress"], "assignee": [None, "bruno"]}),
    ("respond", {}),
    ("hold", {"status": ["in_progress", "on_hold"], "hold": [None, held(2)]}),
    ("assign to carla", {"assignee": ["bruno", "carla"]}),
    ("release", {"status": ["on_hold", "in_progress"], "hold": [held(2), None]}),
    (
        "escalate",
        {
            "level": [1, 2],
            "target": [None, "analysts"],
            "team": ["mesa-de-ayuda", "analistas"],
            "assignee": ["carla", None],
        },
    ),
    ("derive", {"level": [2, 3], "target": ["analysts", "development"], "team": ["analistas", "desarrollo"]}),
    ("derive", {}),
    ("hold", {"status": ["in_progress", "on_hold"], "hold": [None, held(8)]}),
    ("resolve", {"status": ["on_hold", "resolved"], "hold": [held(8), None]}),
    ("note", {}),
    ("close", {"status": ["resolved", "closed"]}),
    ("reopen", {"status": ["closed", "in_progress"]}),
    ("join", {}),
    ("hand over", {"owner": ["ana", "sofia"]}),
    ("de-escalate", {"level": [3, 2], "target": ["development", "analysts"], "team": ["desarrollo", "analistas"]}),
    (
        "de-escalate",
        {
            "level": [2, 1],
            "target": ["analysts", None],
            "team": ["analistas", "mesa-de-ayuda"],
            "assignee": [None, "carla"],
        },
    ),
    ("leave", {}),
    ("complete", {"installation_id": [None, "molinos-gestion"]}),
    ("hold", {"status": ["in_progress", "on_hold"], "hold": [None, held(19)]}),
    ("cancel", {"status": ["on_hold", "cancelled"], "hold": [held(19), None]}),
    ("link", {}),
    ("unlink", {}),
]


async def told_of(desk: Database, ticket_id: UUID) -> list[HistoryEntry]:
    """The whole history of a ticket, as it is answered."""
    async with desk.begin() as tx:
        page = await history.page_history(tx, ticket_id, after=None, limit=500)
    return [HistoryEntry.model_validate_json(entry) for _, entry in page]


def folded(entries: list[HistoryEntry]) -> dict[str, Any]:
    """The brief of the opening with every change since; each must begin where the one before it ended."""
    opening, *later = [one for one in entries if one.source == "tickets"]
    assert opening.changes is None
    brief: dict[str, Any] = dict(opening.data["ticket"])
    for entry in later:
        assert entry.changes is not None, entry.type
        for name, (old, new) in entry.changes.items():
            assert brief[name] == old != new, (entry.type, name)
            brief[name] = new
        # What a command says beside (whom it calls no more) has its version; every command has its own.
        beside = entry.data["ticket"]["version"] == brief["version"]
        assert not beside or entry.type in BESIDE, entry.type
        brief["version"] += not beside
        # Whatever is not among the changes is what it was.
        assert brief == entry.data["ticket"], entry.type
    return brief


async def latest_brief(desk: Database, ticket_id: UUID) -> Any:
    """The brief that the latest event of a ticket carries, as it is told to everybody."""
    async with desk.begin() as tx:
        found = await rows(
            tx, "SELECT value FROM runtime.archive WHERE subject = :id ORDER BY position DESC LIMIT 1",
            id=str(ticket_id),
        )  # fmt: skip
    return json.loads(found[0]["value"])["ticket"]


async def test_each_action_keeps_what_it_changed_and_nothing_else(desk: Database) -> None:
    await open_one(desk)
    ticket_id = (await open_one(desk)).ticket.id
    with time_machine.travel(AT, tick=False):
        for action, _ in LIFE:
            async with desk.begin() as tx:
                await DO[action](tx, ticket_id)
    opening, *later = await told_of(desk, ticket_id)
    assert opening.changes is None
    assert [(action, entry.changes) for (action, _), entry in zip(LIFE, later, strict=True)] == LIFE
    assert {action for action, _ in LIFE} == set(DO)
    assert folded([opening, *later]) == await latest_brief(desk, ticket_id)


async def test_the_first_answer_takes_a_new_ticket_into_work(desk: Database) -> None:
    ticket_id = (await open_one(desk)).ticket.id
    async with desk.begin() as tx:
        await DO["respond"](tx, ticket_id)
    assert [one.changes for one in await told_of(desk, ticket_id)] == [None, {"status": ["new", "in_progress"]}]


async def test_what_changed_in_any_life_adds_up_to_the_brief_of_its_latest_event(desk: Database) -> None:
    chance = random.Random(11)
    seen: set[str] = set()
    await open_one(desk)
    for number in range(20):
        ticket_id = (await open_one(desk, severity=chance.randint(1, 4))).ticket.id
        for step in range(25):
            try:
                async with desk.begin() as tx:
                    # Cancelling ends all: it comes late, or there would be few lives.
                    await DO[chance.choice([one for one in DO if one != "cancel" or step > 15])](tx, ticket_id)
            except Conflict:
                pass
            if chance.random() < 0.2:
                clock_id = UUID(int=500 + number)
                event_of = chance.choice([told.started, told.breached])
                async with desk.begin() as tx:
                    await deliver(tx, [event_of(ticket_id, 1 + step, clock_id=clock_id)])
        entries = await told_of(desk, ticket_id)
        assert folded(entries) == await latest_brief(desk, ticket_id)
        assert {one.changes is None for one in entries if one.source != "tickets"} <= {True}
        seen |= {one.type for one in entries if one.source == "tickets"}
    assert seen == {event.type for event in TICKETS.events}


async def test_what_others_did_changes_no_part_of_the_ticket(desk: Database) -> None:
    ticket_id = (await open_one(desk)).ticket.id
    async with desk.begin() as tx:
        await deliver(tx, told.whole_story(ticket_id))
    entries = [one for one in await told_of(desk, ticket_id) if one.source != "tickets"]
    assert len(entries) == len(told.whole_story(ticket_id))
    assert {json.dumps(one.changes) for one in entries} == {"null"}


async def test_what_changed_is_answered_wherever_the_history_is(http: Desk, ana: httpx2.AsyncClient) -> None:
    place = await opened(ana)
    assert (await ana.post(f"{place}/hold", json=HOLD, headers=at(1))).status_code == 200
    shown, paged = (await ana.get(place)).json()["history"], (await ana.get(f"{place}/history")).json()["items"]
    since = (await latest_brief(http.database, id_in(place)))["hold"]["since"]
    hold = {"reason": "third-party", "since": since, "wake_at": None}
    assert [one["changes"] for one in shown] == [one["changes"] for one in paged] == [
        None, {"status": ["new", "on_hold"], "hold": [None, hold]},
    ]  # fmt: skip
