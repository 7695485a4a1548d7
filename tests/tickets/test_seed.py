"""The demo data: people whom the development issuer knows, teams and a week of rota, loadable before anything else."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from inventory.documents import Document as Inventory
from runner.personas import PERSONAS
from shared.load import read_document
from tests.support.databases import CHECKOUT, Database
from tests.tickets.desk import NOW, cause
from tests.tickets.house import told
from tickets.commands.documents import load_document
from tickets.commands.people import meet_person
from tickets.documents import Document
from tickets.domain.rota import holes
from tickets.repository.rotas import rota_of


@pytest.fixture(scope="module")
def seed() -> Document:
    document = read_document(CHECKOUT / "deploy" / "seed" / "tickets.yaml", Document)
    assert isinstance(document, Document)
    return document


def test_the_demo_house_has_the_promised_size_and_every_persona_is_in_it(seed: Document) -> None:
    assert len(seed.people) == 12
    named = {one.id: (one.name, list(one.roles)) for one in seed.people}
    assert {one.user: (one.name, one.roles) for one in PERSONAS}.items() <= named.items()
    assert all(one.mail and one.mail.endswith(".example") and one.telephone for one in seed.people)
    assert {one.id for one in seed.people} == {member for team in seed.teams for member in team.members}


def test_what_its_teams_cover_is_what_the_demo_inventory_has(seed: Document) -> None:
    inventory = read_document(CHECKOUT / "deploy" / "seed" / "inventory.yaml", Inventory)
    assert isinstance(inventory, Inventory)
    products, clients = ({one.id for one in of} for of in (inventory.products, inventory.clients))
    covers = [one for team in seed.teams for one in team.covers]
    assert {one.product_id for one in covers} - {None} <= products
    assert {one.client_id for one in covers} - {None} <= clients
    assert len({one.product_id for one in covers} - {None}) >= 4


def test_its_rota_has_two_places_and_no_hole(seed: Document) -> None:
    (rota,) = seed.rotas
    written = rota.model_dump()
    found = rota_of(rota.team_id, rota.zone, written["shifts"], written["overrides"])
    assert found.places == (1, 2)
    assert holes(found, NOW, NOW + timedelta(days=14)) == ()


async def test_the_seed_loads_once_before_its_replicas_and_the_second_time_tells_nothing(
    database: Callable[[str], Awaitable[Database]], seed: Document
) -> None:
    desk = await database("tickets")
    for _ in range(2):
        async with desk.begin() as tx:
            await load_document(tx, cause(), seed)
        # The five teams of the defaults were told before, and those with people in them once more.
        assert len(await told(desk)) == 5 + len(seed.people) + len(seed.teams) + len(seed.rotas)
    # Whoever signs in as a persona is somebody who is known already, and nothing changes.
    for one in PERSONAS:
        async with desk.begin() as tx:
            assert not await meet_person(tx, cause(), one.user, name=one.name, roles=one.roles)
