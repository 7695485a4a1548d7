"""Tickets that have to do with each other: both are told, both show it, and links made at once never contradict."""

from __future__ import annotations

import asyncio
from collections import Counter
from itertools import pairwise
from typing import Any
from uuid import UUID

import httpx2
import pytest

from shared.contracts.tickets import Relation
from tests.support.databases import Database
from tests.tickets import told
from tests.tickets.desk import cause, deliver, open_one, rows
from tests.tickets.door import Desk, at, opened
from tests.tickets.queries.reading import view
from tests.tickets.test_commands import history
from tickets.commands import tickets as commands
from tickets.commands.links import link_tickets, unlink_tickets
from tickets.domain.link import AlreadyADuplicate, AlreadyLinked, DuplicatesInACircle
from tickets.domain.ticket import Ticket
from tickets.repository import tickets as repository


async def some(desk: Database, many: int) -> list[Ticket]:
    return [(await open_one(desk, title=f"T{number}")).ticket for number in range(many)]


async def link(desk: Database, one: Ticket, relation: Relation, other: Ticket, **more: Any) -> Ticket:
    async with desk.begin() as tx:
        done = await link_tickets(tx, cause(), one.id, relation=relation, other=str(other.id), **more)
    return done.ticket


async def linked(desk: Database) -> list[dict[str, Any]]:
    async with desk.begin() as tx:
        return await rows(tx, "SELECT * FROM tickets.links ORDER BY id")


async def test_both_are_told_and_show_it_and_an_ended_link_stays_in_the_history_of_both(desk: Database) -> None:
    one, other = await some(desk, 2)
    async with desk.begin() as tx:
        await commands.cancel_ticket(tx, cause(), other.id, reason="x")
    await link(desk, one, "duplicate_of", other, reason="mismo llamado")
    seen = {each.number: (await view(desk, each.id))["related"] for each in (one, other)}
    ((mine,), (theirs,)) = seen[one.number], seen[other.number]
    assert (mine["relation"], mine["number"], mine["title"], mine["status"]) == (
        "duplicate_of", other.number, "T1", "cancelled",
    )  # fmt: skip
    assert (theirs["relation"], theirs["number"], theirs["title"], theirs["status"]) == (
        "has_duplicate", one.number, "T0", "new",
    )  # fmt: skip
    shared = ("link_id", "linked_at", "linked_by", "reason")
    assert [mine[name] for name in shared] == [theirs[name] for name in shared]
    assert (mine["linked_by"], mine["reason"]) == ("ana", "mismo llamado")
    # From the other end, by number.
    async with desk.begin() as tx:
        await unlink_tickets(
            tx, cause(actor="bruno"), other.id, relation="has_duplicate", other=one.number[2:], reason="era otro"
        )
    for ticket, relation, versions in ((one, "duplicate_of", (2, 3)), (other, "has_duplicate", (3, 4))):
        shown = await view(desk, ticket.id)
        assert (shown["related"], shown["version"]) == ([], versions[1])
        told_ = [entry for entry in await history(desk, ticket.id) if "linked" in entry["type"]]
        assert [entry["type"] for entry in told_] == ["desk.ticket.linked.v1", "desk.ticket.unlinked.v1"]
        assert {entry["data"]["relation"] for entry in told_} == {relation}
        assert tuple(entry["data"]["ticket"]["version"] for entry in told_) == versions
        assert [entry["data"]["reason"] for entry in told_] == ["mismo llamado", "era otro"]
    (row,) = await linked(desk)
    assert (str(row["id"]), row["linked_by"], row["unlinked_by"]) == (mine["link_id"], "ana", "bruno")
    async with desk.begin() as tx:
        keys = await rows(tx, "SELECT key FROM runtime.archive WHERE type LIKE '%linked.v1' ORDER BY position")
    assert Counter(row["key"] for row in keys) == {str(one.id): 2, str(other.id): 2}


async def test_whoever_is_called_by_the_other_ticket_has_not_answered_and_its_instants_grow(desk: Database) -> None:
    one, other = await some(desk, 2)
    async with desk.begin() as tx:
        await deliver(tx, [told.moved(other.id, 1, "released", "fixed")])
    await link(desk, one, "caused_by", other)
    assert [call["reason"] for call in (await view(desk, other.id))["attention"]] == ["released"]
    await link(desk, other, "related", one)
    assert (await view(desk, other.id))["attention"] == []
    for ticket in (one, other):
        own = [entry for entry in await history(desk, ticket.id) if entry["source"] == "tickets"]
        instants = {entry["data"]["ticket"]["version"]: entry["recorded_at"] for entry in own}
        assert all(before < after for before, after in pairwise(instants.values()))


async def test_commands_that_cross_wait_for_each_other_and_each_is_done_or_refused(desk: Database) -> None:
    """Ten on each of two tickets at once, each naming the other: locks in the order of asking would end in a victim."""
    one, other = await some(desk, 2)

    async def ask(number: int) -> Ticket | Exception:
        relation: Relation = ("related", "caused_by")[number // 2 % 2]
        this, that = (one, other) if number % 2 else (other, one)
        try:
            return await link(desk, this, relation, that)
        except AlreadyLinked as problem:
            return problem

    done = await asyncio.gather(*(ask(number) for number in range(20)))
    assert sum(isinstance(each, Ticket) for each in done) == 2
    assert {row["kind"] for row in await linked(desk)} == {"related", "caused_by"}
    for ticket in (one, other):
        async with desk.begin() as tx:
            assert (await repository.load_ticket(tx, ticket.id)).version == 3


async def test_of_two_that_would_close_a_circle_of_four_at_once_one_is_done(desk: Database) -> None:
    """Neither command knows a ticket of the other's, so that locks of tickets alone would let both through."""
    for _ in range(3):
        a, b, c, d = await some(desk, 4)
        await link(desk, b, "duplicate_of", c)
        await link(desk, d, "duplicate_of", a)
        done = await asyncio.gather(
            link(desk, a, "duplicate_of", b), link(desk, c, "duplicate_of", d), return_exceptions=True
        )
        assert sorted(type(each).__name__ for each in done) == ["DuplicatesInACircle", "Ticket"]


async def test_a_duplicate_has_one_original_and_no_circle_however_long(desk: Database) -> None:
    first, second, third, fourth = await some(desk, 4)
    await link(desk, first, "has_duplicate", second)
    await link(desk, third, "duplicate_of", second)
    await link(desk, fourth, "duplicate_of", third)
    with pytest.raises(DuplicatesInACircle):
        await link(desk, first, "duplicate_of", fourth)
    with pytest.raises(AlreadyADuplicate):
        await link(desk, fourth, "duplicate_of", first)
    async with desk.begin() as tx:
        await unlink_tickets(tx, cause(), second.id, relation="has_duplicate", other=third.number)
    await link(desk, first, "duplicate_of", fourth)
    assert len(await linked(desk)) == 4


async def test_a_ticket_is_named_by_any_of_its_names_and_what_is_none_is_refused(
    http: Desk, ana: httpx2.AsyncClient
) -> None:
    place, others = await opened(ana), [await opened(ana) for _ in range(4)]
    names = ["2", "t-3", "T-000004", others[3].rsplit("/", 1)[-1].upper()]
    for name in names:
        answer = await ana.post(f"{place}/link", json={"relation": "related", "other": name}, headers=at("*"))
        assert answer.status_code == 200, answer.text
    shown = (await ana.get(place)).json()
    assert [one["number"] for one in shown["related"]] == ["T-000002", "T-000003", "T-000004", "T-000005"]
    for relation, other, status, code in (
        ("related", "1", 422, "linked-to-itself"), ("related", "99", 422, "unknown-reference"),
        ("cause_of", str(UUID(int=1)), 422, "unknown-reference"), ("related", "2", 409, "already-linked"),
    ):  # fmt: skip
        answer = await ana.post(f"{place}/link", json={"relation": relation, "other": other}, headers=at(5))
        assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    answer = await ana.post(f"{place}/unlink", json={"relation": "caused_by", "other": "2"}, headers=at(5))
    assert (answer.status_code, answer.json()["code"]) == (409, "not-linked")
    nowhere = f"/tickets/{UUID(int=1)}/link"
    answer = await ana.post(nowhere, json={"relation": "related", "other": "2"}, headers=at("*"))
    assert (answer.status_code, answer.json()["code"]) == (404, "ticket-not-found")
    assert (await ana.get(place)).headers["etag"] == '"5"'
