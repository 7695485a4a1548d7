"""The demo data: as large and as varied as promised, and loadable."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable

import pytest

from inventory import commands
from inventory.documents import Document
from inventory.subscribers import attach_environment
from shared.contracts.inventory import EnvironmentResolved, EnvironmentUnknown
from shared.load import read_document
from tests.inventory.scene import cause, completed, opened, published
from tests.support.databases import CHECKOUT, Database


@pytest.fixture(scope="module")
def seed() -> Document:
    document = read_document(CHECKOUT / "deploy" / "seed" / "inventory.yaml", Document)
    assert isinstance(document, Document)
    return document


def cuit_is_right(tax_id: str) -> bool:
    """The check digit of an Argentine CUIT: weights 5432765432, modulo 11."""
    digits = [int(sign) for sign in tax_id if sign.isdigit()]
    rest = 11 - sum(a * b for a, b in zip(digits, (5, 4, 3, 2, 7, 6, 5, 4, 3, 2), strict=False)) % 11
    return len(digits) == 11 and digits[10] == {11: 0}.get(rest, rest)


def test_the_demo_vendor_has_the_promised_size(seed: Document) -> None:
    natures = Counter(module.nature for module in seed.modules)
    assert (len(seed.clients), len(seed.products), len(seed.modules)) == (40, 6, 60)
    assert natures == {"standard": 35, "customised": 25}
    assert 65 <= len(seed.installations) <= 80
    assert {client.tier for client in seed.clients} == {"platino", "oro", "plata", "basico"}


def test_every_tax_id_is_unique_and_passes_its_check_digit(seed: Document) -> None:
    tax_ids = [client.tax_id or "" for client in seed.clients]
    assert len(set(tax_ids)) == 40
    assert [tax_id for tax_id in tax_ids if not cuit_is_right(tax_id)] == []


def test_one_client_has_nothing_and_two_have_the_same_product_several_times(seed: Document) -> None:
    placed = Counter((one.client_id, one.product_id) for one in seed.installations)
    assert len({client.id for client in seed.clients} - {client for client, _ in placed}) == 1
    assert len({client for (client, _), times in placed.items() if times > 1}) == 2


def test_every_customised_module_runs_at_the_client_that_it_was_made_for(seed: Document) -> None:
    running = {(one.client_id, module) for one in seed.installations for module in one.modules}
    customised = {(one.client_id, one.id) for one in seed.modules if one.nature == "customised"}
    assert customised <= running


async def test_the_seed_loads_once_and_the_second_time_changes_nothing(
    database: Callable[[str], Awaitable[Database]], seed: Document
) -> None:
    inventory = await database("inventory")
    rows = 40 + 6 + 60 + len(seed.installations)
    async with inventory.begin() as tx:
        assert await commands.load_document(tx, cause(), seed) == rows
    async with inventory.begin() as tx:
        assert await commands.load_document(tx, cause(), seed) == 0
    assert len(await published(inventory)) == rows
    await _name_every_installation(inventory, seed)


async def _name_every_installation(inventory: Database, seed: Document) -> None:
    """Where a client runs several, a call without one leaves it open which; naming one settles it, whichever it is."""
    run = {client.id: [one.id for one in seed.installations if one.client_id == client.id] for client in seed.clients}
    several = {client: ids for client, ids in run.items() if len(ids) > 1}
    assert len(several) == 26
    calls = [(opened(client), named) for client, ids in several.items() for named in ids]
    completions = [completed(call, 2, installation=named) for call, named in calls]
    async with inventory.begin() as tx:
        await attach_environment(tx, [call for call, _ in calls])
        await attach_environment(tx, completions)
    unknown = await published(inventory, EnvironmentUnknown.type)
    assert Counter(one["data"]["reason"] for one in unknown) == {"several-installations": len(calls)}
    found = {one["key"]: one["data"] for one in await published(inventory, EnvironmentResolved.type)}
    assert {(key, data["installation_id"], data["classification"]) for key, data in found.items()} == {
        (call.key, named, 2) for call, named in calls
    }
