"""take-next: the most urgent ticket of one's queues, and nobody gets another's."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from tests.support.databases import Database
from tests.tickets.desk import PEOPLE, cause, open_one, rows
from tickets.commands import tickets as commands
from tickets.commands.teams import record_teams
from tickets.documents import PatternFacts, TeamRecord
from tickets.domain.hands import NobodyToAsk, NothingToTake, NotOfTheTeam
from tickets.repository import queue

AT_ONCE, WAITING = 50, 30


async def staff(desk: Database, *members: str, team: str = "mesa-de-ayuda", target: str = "call-centre") -> None:
    """These people are the team that covers everything for its target."""
    record = TeamRecord(id=team, name=team, target=target, members=members, covers=(PatternFacts(),))  # type: ignore[arg-type]
    async with desk.begin() as tx:
        await record_teams(tx, cause(), [record])


async def take(desk: Database, who: str, team: str | None = None) -> str:
    async with desk.begin() as tx:
        done = await commands.take_next(tx, cause(actor=who), team=team)
    assert (done.ticket.assignee, done.ticket.status) == (who, "in_progress")
    return done.ticket.number


async def test_the_most_urgent_comes_first_and_what_has_hands_or_rests_does_not(desk: Database) -> None:
    await staff(desk, "bruno")
    opened = [(await open_one(desk, severity=severity, title=f"S{severity}")).ticket for severity in (3, 1, 2, 4)]
    async with desk.begin() as tx:
        await commands.assign_ticket(tx, cause(actor="carla"), opened[1].id, assignee="carla")
        await commands.hold_ticket(tx, cause(), opened[2].id, reason="third-party", note="x")
    assert [await take(desk, "bruno") for _ in range(2)] == [opened[0].number, opened[3].number]
    with pytest.raises(NothingToTake, match="your teams"):
        await take(desk, "bruno")


async def test_one_takes_from_one_s_own_teams_only(desk: Database) -> None:
    await staff(desk, "bruno")
    await staff(desk, "carla", team="analistas", target="analysts")
    ticket = (await open_one(desk)).ticket
    for nobody in ("carla", "dario"):
        with pytest.raises(NothingToTake):
            await take(desk, nobody)
    with pytest.raises(NothingToTake, match="analistas"):
        await take(desk, "bruno", team="analistas")
    assert await take(desk, "bruno", team="mesa-de-ayuda") == ticket.number


async def test_fifty_at_once_never_get_the_same_ticket_and_leave_none(desk: Database) -> None:
    await staff(desk, *PEOPLE)
    for number in range(WAITING):
        await open_one(desk, severity=1 + number % 4)

    async def one(number: int) -> str | None:
        try:
            return await take(desk, PEOPLE[number % len(PEOPLE)])
        except NothingToTake:
            return None

    taken = await asyncio.gather(*(one(number) for number in range(AT_ONCE)))
    counted = Counter(number for number in taken if number is not None)
    assert set(counted.values()) == {1}
    assert len(counted) == WAITING, "whoever found every ticket locked waits, and is told nothing is left when it is so"
    async with desk.begin() as tx:
        assert await rows(tx, "SELECT count(*) AS left FROM tickets.tickets WHERE assignee IS NULL") == [{"left": 0}]
        assigned = await rows(tx, "SELECT count(*) AS n FROM tickets.history WHERE type = 'desk.ticket.assigned.v1'")
    assert assigned == [{"n": WAITING}]


async def test_a_ticket_of_which_something_is_told_just_now_is_waited_for(desk: Database) -> None:
    """The only one that waits is locked by what applies an event about it: that is no reason to say that none does."""
    await staff(desk, "bruno")
    ticket = (await open_one(desk)).ticket
    async with desk.begin() as telling:
        await queue.lock_tickets(telling, [ticket.id])
        taking = asyncio.create_task(take(desk, "bruno"))
        await asyncio.sleep(0.3)  # in which it would have been answered
        assert not taking.done()
    assert await taking == ticket.number


async def test_work_is_given_to_the_team_that_has_the_ticket_and_anybody_may_take_it(desk: Database) -> None:
    ticket = (await open_one(desk)).ticket

    async def give(assignee: str, actor: str = "ana") -> str | None:
        async with desk.begin() as tx:
            return (await commands.assign_ticket(tx, cause(actor=actor), ticket.id, assignee=assignee)).ticket.assignee

    assert await give("dario") == "dario", "on day one a team has nobody yet"
    await staff(desk, "bruno", "carla")
    with pytest.raises(NotOfTheTeam, match=r"mesa-de-ayuda.*bruno \(Bruno\), carla \(Carla\) are") as refused:
        await give("eva")
    assert refused.value.extra == {"fitting": ["bruno", "carla"]}
    with pytest.raises(NobodyToAsk):
        await give("nobody.known")
    assert await give("carla") == "carla"
    assert await give("eva", actor="eva") == "eva"
    await staff(desk, "dario", team="analistas", target="analysts")
    async with desk.begin() as tx:
        await commands.escalate_ticket(tx, cause(), ticket.id, target="analysts", reason="excede")
    with pytest.raises(NotOfTheTeam, match="analistas"):
        await give("carla")
    assert await give("dario") == "dario"
