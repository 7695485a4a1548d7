"""Completing a ticket: what is stored and told, whose queue it goes to, and which environment is shown of which."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from itertools import permutations
from typing import Any
from uuid import UUID

import httpx2

from shared.contracts.envelope import Received
from shared.contracts.inventory import EnvironmentResolved, InstallationRecorded, ProductRecorded
from shared.contracts.tickets import TicketBrief
from tests.support.databases import Database
from tests.tickets import told
from tests.tickets.desk import cause, deliver, open_one, received, rows
from tests.tickets.door import Desk, at, opened
from tests.tickets.queries.reading import view
from tests.tickets.test_commands import published
from tickets import projections
from tickets.commands import tickets as commands
from tickets.commands.completing import complete_ticket
from tickets.commands.teams import record_teams
from tickets.documents import PatternFacts, TeamRecord
from tickets.domain.completing import AlreadyNamed, Naming


async def staff_gestion(desk: Database) -> None:
    """A team of the call centre for one product."""
    covers = (PatternFacts(product_id="gestion"),)
    team = TeamRecord(id="mesa-gestion", name="Mesa Gestión", target="call-centre", members=("eva",), covers=covers)
    async with desk.begin() as tx:
        await record_teams(tx, cause(), [team])


async def name(desk: Database, ticket_id: UUID, **said: Any) -> Any:
    async with desk.begin() as tx:
        return (await complete_ticket(tx, cause(), ticket_id, naming=Naming(**said))).ticket


async def test_what_is_named_is_stored_told_queued_and_in_the_history_with_what_it_was(desk: Database) -> None:
    await staff_gestion(desk)
    ticket_id = (await open_one(desk, module_id=None)).ticket.id
    after = await name(desk, ticket_id, installation_id="molinos-gestion")
    (_, event) = await published(desk)
    assert (event["type"], event["key"]) == ("desk.ticket.classified.v1", str(ticket_id))
    assert event["value"]["ticket"]["groups"] == {"client_id": "molinos", "product_id": "gestion", "module_id": None}
    async with desk.begin() as tx:
        (queued,) = await rows(tx, "SELECT product_id, module_id, installation_id, team FROM tickets.open_tickets")
    assert queued == {
        "product_id": "gestion", "module_id": None, "installation_id": "molinos-gestion", "team": "mesa-gestion",
    }  # fmt: skip
    shown = await view(desk, ticket_id)
    entry = shown["history"][-1]
    before = {"client_id": "molinos", "product_id": None, "module_id": None}
    assert entry["changes"] == {
        "groups": [before, before | {"product_id": "gestion"}], "installation_id": [None, "molinos-gestion"],
        "team": ["mesa-de-ayuda", "mesa-gestion"],
    }  # fmt: skip
    rerouted = {"from_team": "mesa-de-ayuda", "client_id": None, "product_id": "gestion", "module_id": None}
    assert entry["data"]["rerouted"] == rerouted
    assert (shown["version"], shown["status"], shown["team"]) == (2, "new", "mesa-gestion")
    assert (after.version, after.classification, after.brief()) == (2, 2, TicketBrief(**event["value"]["ticket"]))


async def test_what_is_all_named_is_not_offered_for_completing(desk: Database) -> None:
    ticket_id = (await open_one(desk, module_id=None)).ticket.id
    offered = []
    for said in ({}, {"installation_id": "molinos-gestion"}, {"module_id": "balanza"}):
        if said:
            await name(desk, ticket_id, **said)
        (action,) = [one for one in (await view(desk, ticket_id))["actions"] if one["action"] == "complete"]
        offered.append((action["allowed"], action["code"]))
    assert offered == [(True, None), (True, None), (False, "nothing-to-complete")]


async def test_an_escalated_ticket_goes_to_the_team_of_its_target_and_what_somebody_has_stays(desk: Database) -> None:
    await staff_gestion(desk)
    waiting, taken = [(await open_one(desk, module_id=None)).ticket.id for _ in range(2)]
    async with desk.begin() as tx:
        await commands.escalate_ticket(tx, cause(), waiting, target="analysts", reason="x")
        await commands.assign_ticket(tx, cause(), taken, assignee="bruno")
    assert (await name(desk, waiting, product_id="gestion")).team == "analistas"
    assert (await name(desk, taken, product_id="gestion")).team == "mesa-de-ayuda"


async def test_of_two_who_name_the_same_at_once_one_does(desk: Database) -> None:
    ticket_id = (await open_one(desk, module_id=None)).ticket.id
    done = await asyncio.gather(
        *(name(desk, ticket_id, module_id=each) for each in ("facturacion", "balanza")), return_exceptions=True
    )
    assert sorted(type(one) is AlreadyNamed for one in done) == [False, True]


# What is named, and the refusal that it meets.
NONSENSE: list[tuple[dict[str, Any], str]] = [
    ({}, "nothing-named"), ({"product_id": None}, "nothing-named"), ({"module_id": "nada"}, "unknown-reference"),
    ({"product_id": "viejo"}, "unknown-reference"), ({"installation_id": "aguero-gestion"}, "groups-do-not-fit"),
    ({"product_id": "sueldos", "module_id": "facturacion"}, "groups-do-not-fit"), ({"reason": "x"}, "invalid-request"),
]  # fmt: skip


async def test_what_makes_no_sense_is_refused_as_at_opening(http: Desk, ana: httpx2.AsyncClient) -> None:
    installed = InstallationRecorded(
        id="aguero-gestion", client_id="aguero", product_id="gestion", product_version="8", modules=()
    )
    async with http.database.begin() as tx:
        retired = ProductRecorded(id="viejo", name="Viejo", retired=True)
        await projections.apply(tx, [received(one) for one in (installed, retired)])
    place = await opened(ana)
    for body, code in NONSENSE:
        answer = await ana.post(f"{place}/complete", json=body, headers=at(1))
        assert (answer.status_code, answer.json()["code"]) == (422, code), answer.text
    assert (await ana.get(place)).headers["etag"] == '"1"'


def snapshot(ticket_id: UUID, sequence: int, classification: int, **changes: Any) -> Received[Any]:
    """What inventory tells of a ticket as it was classified at a version."""
    event = told.resolved(ticket_id, sequence)
    update = {"classification": classification, **changes}
    return replace(event, data=event.data.model_copy(update=update))


async def test_in_any_order_the_newest_classification_has_the_environment_and_the_others_are_the_earlier_ones(
    desk: Database,
) -> None:
    for order in permutations(range(3)):
        ticket_id = (await open_one(desk, module_id=None)).ticket.id
        await name(desk, ticket_id, product_id="gestion")
        await name(desk, ticket_id, module_id="facturacion")
        # inventory may have come to a completion before it came to the opening.
        events = [
            told.unknown(ticket_id, 100 + order[0]),
            *(snapshot(ticket_id, 100 + order[n], n + 1) for n in (1, 2)),
        ]
        for place in order:
            async with desk.begin() as tx:
                await deliver(tx, [events[place], events[place]])
        shown = await view(desk, ticket_id)
        assert (shown["environment"]["state"], shown["environment"]["data"]["classification"]) == ("resolved", 3)
        earlier = [(one["state"], one["data"]["classification"]) for one in shown["earlier_environments"]]
        assert earlier == [("unknown", 1), ("resolved", 2)]


async def test_until_inventory_has_answered_the_environment_is_pending_and_handed_over_is_only_what_is_of_now(
    desk: Database,
) -> None:
    ticket_id = (await open_one(desk, module_id=None)).ticket.id
    async with desk.begin() as tx:
        await deliver(tx, [snapshot(ticket_id, 100, 1, installation_id="otra")])
    await name(desk, ticket_id, installation_id="molinos-gestion")
    shown = await view(desk, ticket_id)
    assert (shown["environment"], len(shown["earlier_environments"])) == ({"state": "pending", "data": None}, 1)
    async with desk.begin() as tx:
        await commands.escalate_ticket(tx, cause(), ticket_id, target="analysts", reason="x")
        await deliver(tx, [snapshot(ticket_id, 101, 2)])
        await commands.deescalate_ticket(tx, cause(), ticket_id, reason="x")
        await commands.escalate_ticket(tx, cause(), ticket_id, target="analysts", reason="x")
    told_up = [one["value"]["environment"] for one in await published(desk) if one["type"].endswith(".escalated.v1")]
    assert [one and one["installation_id"] for one in told_up] == [None, "molinos-gestion"]
    assert EnvironmentResolved.type in {one["type"] for one in (await view(desk, ticket_id))["history"]}
