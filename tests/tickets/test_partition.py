"""A ticket's life is divided by its status, level, team and assignee, each without a gap or an overlap."""

from __future__ import annotations

import random
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID

import httpx2
import time_machine

from shared.contracts.tickets import TicketBrief
from shared.errors import Conflict, Invalid
from shared.instants import STEP
from tests.support.databases import Database
from tests.tickets import told
from tests.tickets.desk import NOW, cause, deliver, open_one
from tickets.commands import tickets as commands
from tickets.commands import waking
from tickets.domain.escalation import EVERYWHERE
from tickets.domain.workflow import RULES
from tickets.queries.history import HistoryEntry
from tickets.repository import tickets as repository

DIMENSIONS = ("status", "level", "team", "assignee", "target", "owner")
PEOPLE = ("ana", "bruno", "carla")


@dataclass(frozen=True)
class Span:
    """How long a dimension had one value: from an instant until just before another."""

    value: Any
    since: datetime
    until: datetime


def spans_of(entries: Sequence[HistoryEntry], name: str, end: datetime) -> list[Span]:
    """What the history alone says: each change ends what was and begins what is, when it was recorded."""
    opening, *later = [one for one in entries if one.source == "tickets"]
    value, since, found = opening.data["ticket"][name], opening.recorded_at, []
    for entry in later:
        assert entry.changes is not None
        if name in entry.changes:
            old, new = entry.changes[name]
            assert old == value, f"{name} was {value!r} when {entry.type} said that it was {old!r}"
            found.append(Span(value, since, entry.recorded_at))
            value, since = new, entry.recorded_at
    return [*found, Span(value, since, end)]


async def live(desk: Database, ticket_id: UUID, chance: random.Random) -> list[tuple[datetime, TicketBrief]]:
    """Forty things that people, time and others do; what the ticket was after each that was done, and since when."""
    seen: list[tuple[datetime, TicketBrief]] = []
    now = NOW
    for number in range(40):
        now += timedelta(seconds=chance.choice([0, 1, 90, 4000, 90_000]))
        with time_machine.travel(now, tick=False):
            try:
                async with desk.begin() as tx:
                    ticket = await step(tx, ticket_id, chance, now, number)
            except (Conflict, Invalid):
                continue
        if ticket is not None:
            seen.append((ticket.last_fact_at, ticket.brief()))
    return seen


async def step(tx: Any, ticket_id: UUID, chance: random.Random, now: datetime, number: int) -> Any:
    """One of them; the ticket that a command left."""
    why = cause(now, actor=chance.choice(PEOPLE))
    match chance.choice(DO if number > 25 else [one for one in DO if one != "cancel"]):
        case "assign":
            done = await commands.assign_ticket(tx, why, ticket_id, assignee=chance.choice(PEOPLE))
        case "hand-over":
            done = await commands.hand_over_ticket(tx, why, ticket_id, owner=chance.choice(PEOPLE))
        case "escalate":
            to: Any = chance.choice(["analysts", "functional-analysis", "development"])
            done = await commands.escalate_ticket(tx, why, ticket_id, target=to, reason="x", reach=EVERYWHERE)
        case "de-escalate":
            done = await commands.deescalate_ticket(tx, why, ticket_id, reason="x")
        case "hold":
            wake_at = now + timedelta(hours=5)
            done = await commands.hold_ticket(tx, why, ticket_id, reason="agreed-date", note="x", wake_at=wake_at)
        case "release":
            done = await commands.release_ticket(tx, why, ticket_id)
        case "respond":
            done = await commands.respond_ticket(tx, why, ticket_id, channel="phone", text="x")
        case "resolve":
            done = await commands.resolve_ticket(tx, why, ticket_id, code="configuracion", text="x")
        case "reopen":
            done = await commands.reopen_ticket(tx, why, ticket_id, reason="x")
        case "close":
            done = await commands.close_ticket(tx, why, ticket_id)
        case "cancel":
            done = await commands.cancel_ticket(tx, why, ticket_id, reason="x")
        case "time":
            await waking.end_holds(tx, await waking.HOLDS.claim(tx, now, 9), now)
            await waking.close_unopposed(tx, await waking.CLOSING.claim(tx, now, 9), now)
            return await repository.load_ticket(tx, ticket_id)
        case _:
            await deliver(tx, [told.breached(ticket_id, number + 1)])
            return await repository.load_ticket(tx, ticket_id)
    return done.ticket


DO = [
    "assign", "hand-over", "escalate", "de-escalate", "hold", "release", "respond", "resolve", "reopen", "close",
    "cancel", "time", "breach",
]  # fmt: skip


async def served(client: httpx2.AsyncClient, ticket_id: UUID) -> list[HistoryEntry]:
    """The history of a ticket as the API serves it, page after page."""
    entries: list[HistoryEntry] = []
    after: dict[str, str] = {}
    while True:
        answer = (await client.get(f"/tickets/{ticket_id}/history", params={"limit": "20"} | after)).json()
        entries += [HistoryEntry.model_validate(one) for one in answer["items"]]
        if answer["next"] is None:
            return entries
        after = {"after": answer["next"]}


async def test_each_dimension_divides_the_life_exactly_whatever_happens(
    desk: Database, ana: httpx2.AsyncClient
) -> None:
    chance = random.Random(20)
    changes: dict[str, int] = dict.fromkeys(DIMENSIONS, 0)
    told_of: set[str] = set()
    for _ in range(15):
        opened = (await open_one(desk)).ticket
        seen = [(opened.opened_at, opened.brief()), *await live(desk, opened.id, chance)]
        end = seen[-1][0] + timedelta(days=1)
        entries = await served(ana, opened.id)
        told_of |= {one.type for one in entries}
        for name in DIMENSIONS:
            spans = spans_of(entries, name, end)
            changes[name] += len(spans) - 1
            assert all(one.until == next_one.since for one, next_one in pairwise(spans))
            assert all(one.since < one.until for one in spans)
            lengths = sum(((one.until - one.since) for one in spans), timedelta())
            assert (spans[0].since, lengths) == (opened.opened_at, end - opened.opened_at)
            begins = [one.since for one in spans]
            # And at each instant it says what the ticket was: just as an action was done, and just before the next.
            for (at, brief), (until, _) in pairwise([*seen, (end, opened.brief())]):
                for instant in {at, until - STEP} if until > at else {at}:
                    found = spans[bisect_right(begins, instant) - 1].value
                    assert found == getattr(brief, name), (name, instant)
    assert min(changes.values()) >= 10, changes
    assert {rule.tells.type for action, rule in RULES.items() if action in DO} <= told_of
