"""What somebody looks at: each view against a plain reading of who owns, has, works on and is called by what."""

from __future__ import annotations

import json
from dataclasses import dataclass
from random import Random
from typing import Any
from uuid import UUID

import pytest

from shared.contracts.inventory import InstallationRecorded
from shared.contracts.tickets import AttentionReason
from tests.support.databases import Database
from tests.tickets.desk import NOW, cause, open_one, received
from tests.tickets.test_take_next import staff
from tickets import projections
from tickets.commands import tickets as commands
from tickets.commands.tickets import store_done
from tickets.domain.ticket import Ticket
from tickets.queries.lists import Sort, TicketFilter, ViewOfOpenTickets, list_tickets
from tickets.queries.views import VIEWS, ViewName, count_views
from tickets.repository import tickets as repository

NAMED = {"client_id": "aguero", "installation_id": "aguero-1"}
INSTALLED = [
    InstallationRecorded(
        id=f"aguero-{number}", client_id="aguero", product_id=product, product_version="8", modules=(), retired=retired
    )
    for number, (product, retired) in enumerate(
        [("gestion", True), ("gestion", False), ("gestion", False), ("sueldos", False)]
    )
]
PEOPLE = ("bruno", "carla", "dario")
TEAMS = {"mesa-de-ayuda": ("bruno", "carla"), "analistas": ("carla",)}


@dataclass
class Seen:
    """A ticket as its commands left it."""

    ticket: Ticket

    def is_in(self, view: ViewName, me: str) -> bool:
        """Whether somebody's view has it, by its own fields."""
        ticket, teams = self.ticket, {team for team, members in TEAMS.items() if me in members}
        if ticket.status in ("closed", "cancelled"):
            return False
        working = {one.person_id for one in ticket.participants if one.role == "working"}
        called = {"owner": ticket.owner == me, "assignee": ticket.assignee == me, "team": ticket.team in teams}
        groups, several = ticket.opening.groups, ticket.opening.groups.client_id == "aguero"
        lacks = None in (groups.product_id, groups.module_id) or (several and ticket.opening.installation_id is None)
        return {
            "to-complete": (ticket.owner == me or ticket.team in teams) and lacks,
            "mine": me in {ticket.owner, ticket.assignee, *working},
            "team": ticket.team in teams,
            "unassigned": ticket.team in teams and ticket.assignee is None and ticket.status != "resolved",
            "attention": any(called[one.addressee] for one in ticket.attention),
        }[view]


async def call(desk: Database, ticket_id: UUID, reason: AttentionReason) -> Ticket:
    async with desk.begin() as tx:
        ticket = await repository.load_ticket(tx, ticket_id)
        called, calls = ticket.call(reason, at=NOW)
        return (await store_done(tx, cause(actor="system:tickets"), ticket, called, calls)).ticket


async def furnish(desk: Database) -> list[Seen]:
    """Thirty tickets in any hands, some of which call somebody, of a client with one installation and one with two."""
    async with desk.begin() as tx:
        await projections.apply(tx, [received(one) for one in INSTALLED])
    await staff(desk, *TEAMS["mesa-de-ayuda"])
    await staff(desk, *TEAMS["analistas"], team="analistas", target="analysts")
    chance, found = Random(7), []
    for number in range(30):
        said: dict[str, Any] = chance.choice([{"module_id": None}, {}, {"client_id": "aguero"}, NAMED])
        ticket = (await open_one(desk, title=f"T{number}", **said)).ticket
        async with desk.begin() as tx:
            if chance.random() < 0.5:
                await commands.escalate_ticket(tx, cause(), ticket.id, target="analysts", reason="x")
            if chance.random() < 0.5:
                await commands.assign_ticket(tx, cause(), ticket.id, assignee=chance.choice(PEOPLE))
            if chance.random() < 0.4:
                await commands.join_ticket(
                    tx, cause(), ticket.id, person_id=chance.choice(PEOPLE), role=chance.choice(["working", "watching"])
                )
            done = await commands.hand_over_ticket(tx, cause(), ticket.id, owner=chance.choice(PEOPLE))
            if chance.random() < 0.3:
                done = await commands.resolve_ticket(tx, cause(), ticket.id, code="configuracion", text="x")
        ticket = done.ticket
        if chance.random() < 0.5:
            ticket = await call(desk, ticket.id, chance.choice(["breached", "released"]))
        if ticket.status == "resolved" and chance.random() < 0.5:
            async with desk.begin() as tx:
                ticket = (await commands.close_ticket(tx, cause(actor="system:tickets"), ticket.id)).ticket
        found.append(Seen(ticket))
    return found


async def listed(desk: Database, view: ViewName, me: str, *, sort: Sort = "due", **more: Any) -> list[str]:
    async with desk.begin() as tx:
        found = await list_tickets(
            tx, TicketFilter(view=view, me=me, **more), sort=sort, after=None, limit=100, now=NOW
        )
    return [json.loads(row[-1])["number"] for row in found]


async def test_each_view_has_what_the_tickets_say_and_its_count(desk: Database) -> None:
    found = await furnish(desk)
    for me in PEOPLE:
        async with desk.begin() as tx:
            counts = await count_views(tx, me)
        for view in VIEWS:
            expected = sorted(one.ticket.number for one in found if one.is_in(view, me))
            assert sorted(await listed(desk, view, me)) == expected, (view, me)
            closed = [one for one in found if one.ticket.status == "closed" and one.ticket.attention]
            more = sum(one.ticket.owner == me for one in closed) if view == "attention" else 0
            assert getattr(counts, view.replace("-", "_")) == len(expected) + more, (view, me)
        hands = [
            one for one in found if one.ticket.assignee == me and one.ticket.status in ("new", "in_progress", "on_hold")
        ]
        assert counts.in_hand == len(hands)
    assert {view for view in VIEWS if any(one.is_in(view, me) for one in found for me in PEOPLE)} == set(VIEWS)


async def test_a_closed_ticket_whose_fix_came_out_calls_its_owner(desk: Database) -> None:
    ticket = (await open_one(desk)).ticket
    async with desk.begin() as tx:
        await commands.resolve_ticket(tx, cause(), ticket.id, code="configuracion", text="x")
        await commands.close_ticket(tx, cause(), ticket.id)
    await call(desk, ticket.id, "tell-client")
    async with desk.begin() as tx:
        found = await list_tickets(
            tx, TicketFilter(view="attention", me="ana"), sort="opened", after=None, limit=10, now=NOW
        )
    assert [json.loads(row[-1])["number"] for row in found] == [ticket.number]
    async with desk.begin() as tx:
        await commands.answer_ticket(tx, cause(), ticket.id, reason="tell-client")
        assert (await count_views(tx, "ana")).attention == 0


async def test_a_view_is_of_open_tickets(desk: Database) -> None:
    with pytest.raises(ViewOfOpenTickets):
        await listed(desk, "mine", "bruno", sort="opened", status=["closed"])
