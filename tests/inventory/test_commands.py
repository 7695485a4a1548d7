"""Recording reference data: what is published, what is not, and what is refused."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from inventory import commands, queries
from inventory.documents import ClientRecord, Document, InstallationRecord, ModuleRecord, ProductRecord
from inventory.domain.installation import IdentityIsFixed, ModuleDoesNotFit, UnknownReference, WrongNature
from shared.db.statement import sql
from shared.load import BadDocument, read_document
from tests.inventory.scene import AT, DOCUMENT, LATER, cause, furnish, published
from tests.support.databases import Database
from tests.support.statements import counted

Databases = Callable[[str], Awaitable[Database]]


def client(**changes: Any) -> ClientRecord:
    return ClientRecord.model_validate({**DOCUMENT["clients"][0], **changes})


def installation(**changes: Any) -> InstallationRecord:
    return InstallationRecord.model_validate({**DOCUMENT["installations"][0], **changes})


async def test_a_document_is_published_in_the_order_of_its_references(database: Databases) -> None:
    inventory = await database("inventory")
    async with inventory.begin() as tx:
        changed = await commands.load_document(tx, cause(), Document.model_validate(DOCUMENT))
    told = await published(inventory)
    assert changed == len(told) == 2 + 4 + 4 + 6
    assert [one["subject"].partition(":")[0] for one in told] == (
        ["product"] * 2 + ["client"] * 4 + ["module"] * 4 + ["installation"] * 6
    )
    assert {one["topic"] for one in told} == {"desk.clients.v1"}
    assert all(one["key"] == one["subject"] and one["actor"] == "irma" for one in told)


async def test_an_equal_document_publishes_nothing_and_keeps_versions_and_ages(database: Databases) -> None:
    inventory = await database("inventory")
    await furnish(inventory)
    before = await published(inventory)
    with counted(inventory.engine) as sent:
        async with inventory.begin() as tx:
            later = cause(recorded_at=LATER, actor="other")
            assert await commands.load_document(tx, later, Document.model_validate(DOCUMENT)) == 0
    assert len(sent) == 8  # clients, products: 1 each; modules, installations: lock, read, store
    assert await published(inventory) == before
    async with inventory.begin() as tx:
        found = await queries.get_installation(tx, "arenales-kontar")
    assert found is not None
    assert (found.version, found.changed_at, found.changed_by) == (1, AT, "irma")


async def test_one_changed_client_is_published_alone_and_goes_up_one_version(database: Databases) -> None:
    inventory = await database("inventory")
    await furnish(inventory)
    before = len(await published(inventory))
    with counted(inventory.engine) as sent:
        async with inventory.begin() as tx:
            assert await commands.record_client(tx, cause(recorded_at=LATER), client(phone=None, retired=True))
    assert len(sent) == 2
    told = (await published(inventory))[before:]
    assert [one["data"] for one in told] == [
        {
            "id": "arenales",
            "retired": True,
            "name": "Metalúrgica Arenales",
            "tax_id": None,
            "tier": "oro",
            "city": "Avellaneda",
            "contact": None,
            "phone": None,
        }
    ]
    async with inventory.begin() as tx:
        found = await queries.get_client(tx, "arenales")
    assert found is not None
    assert (found.version, found.changed_at, found.retired) == (2, LATER, True)


@pytest.mark.parametrize(
    "change",
    [
        {"product_version": "7.4.3"},
        {"site": "Planta 2"},
        {"retired": True},
        {"modules": {"kontar-stock": "7.4.3", "kontar-corte": "1.3.0"}},
        {"modules": {"kontar-stock": "7.4.2"}},
        {"modules": {"kontar-stock": "7.4.2", "kontar-corte": "1.3.0", "kontar-ventas": "7.4.2"}},
        {"modules": {}},
    ],
)
async def test_any_difference_of_an_installation_is_stored_whole_and_published(
    database: Databases, change: dict[str, Any]
) -> None:
    inventory = await database("inventory")
    await furnish(inventory)
    before = len(await published(inventory))
    wanted = installation(**change)
    with counted(inventory.engine) as sent:
        async with inventory.begin() as tx:
            assert await commands.record_installation(tx, cause(recorded_at=LATER), wanted)
            assert not await commands.record_installation(tx, cause(recorded_at=LATER), wanted)
    assert len(sent) == 4 + 3
    told = (await published(inventory))[before:]
    assert [one["subject"] for one in told] == ["installation:arenales-kontar"]
    assert told[0]["data"]["modules"] == sorted(wanted.modules)
    async with inventory.begin() as tx:
        found = await queries.get_installation(tx, "arenales-kontar")
    assert found is not None
    assert {one.module_id: one.version for one in found.modules} == wanted.modules
    assert (found.product_version, found.site, found.retired, found.version, found.changed_at) == (
        wanted.product_version,
        wanted.site,
        wanted.retired,
        2,
        LATER,
    )


async def test_a_module_may_be_renamed_but_never_become_another_one(database: Databases) -> None:
    inventory = await database("inventory")
    await furnish(inventory)
    renamed = ModuleRecord(id="kontar-stock", name="Stock y depósitos", product_id="kontar", nature="standard")
    async with inventory.begin() as tx:
        assert await commands.record_module(tx, cause(), renamed)
        assert not await commands.record_module(tx, cause(), renamed)
    moved = renamed.model_copy(update={"product_id": "nominar"})
    with pytest.raises(IdentityIsFixed, match="kontar-stock is a standard module of kontar"):
        async with inventory.begin() as tx:
            await commands.record_module(tx, cause(), moved)


@pytest.mark.parametrize(
    ("record", "error", "told"),
    [
        (installation(client_id="nadie"), UnknownReference, "there is no client nadie"),
        (installation(product_id="nada"), UnknownReference, "there is no product nada"),
        (installation(modules={"kontar-x": "1"}), UnknownReference, "there is no module kontar-x"),
        (installation(modules={"nominar-legajos": "1"}), ModuleDoesNotFit, "belongs to nominar"),
        (installation(client_id="la-yapa"), IdentityIsFixed, "arenales-kontar is kontar at arenales"),
        (installation(id="otra", client_id="la-yapa"), ModuleDoesNotFit, "was made for arenales"),
        (
            ModuleRecord(id="otro", name="Otro", product_id="nada", nature="standard"),
            UnknownReference,
            "there is no product nada",
        ),
        (
            ModuleRecord(id="otro", name="Otro", product_id="kontar", nature="customised", client_id="nadie"),
            UnknownReference,
            "there is no client nadie",
        ),
        (ModuleRecord(id="otro", name="Otro", product_id="kontar", nature="customised"), WrongNature, "say in client"),
    ],
)
async def test_a_record_that_makes_no_sense_is_refused_with_its_reason_and_changes_nothing(
    database: Databases, record: InstallationRecord | ModuleRecord, error: type[Exception], told: str
) -> None:
    inventory = await database("inventory")
    await furnish(inventory)
    before = await published(inventory)
    kind = "modules" if isinstance(record, ModuleRecord) else "installations"
    with pytest.raises(error, match=told):
        async with inventory.begin() as tx:
            await commands.load_document(tx, cause(), Document.model_validate({kind: [record]}))
    assert await published(inventory) == before


async def test_writers_of_one_installation_at_once_leave_the_modules_of_one_of_them(database: Databases) -> None:
    inventory = await database("inventory")
    await furnish(inventory)
    wanted = [
        installation(id="arenales-nueva", product_version=f"8.0.{n}", modules={f"kontar-{name}": f"8.0.{n}"})
        for n, name in enumerate(("stock", "ventas", "corte"))
    ]

    async def record(one: InstallationRecord) -> None:
        async with inventory.begin() as tx:
            await commands.record_installation(tx, cause(), one)

    await asyncio.gather(*(record(one) for one in wanted))
    async with inventory.begin() as tx:
        found = await queries.get_installation(tx, "arenales-nueva")
    told = [one["data"] for one in await published(inventory) if one["subject"] == "installation:arenales-nueva"]
    assert found is not None
    assert found.version == len(told) == 3
    # The last one that was published is what is stored.
    assert found.product_version == told[-1]["product_version"]
    assert {one.module_id: one.version for one in found.modules} == wanted[int(found.product_version[-1])].modules


async def test_equal_writers_at_once_publish_one_record(database: Databases) -> None:
    inventory = await database("inventory")

    async def record() -> bool:
        async with inventory.begin() as tx:
            return await commands.record_product(tx, cause(), ProductRecord(id="vincula", name="Vincula CRM"))

    assert sorted(await asyncio.gather(*(record() for _ in range(6)))) == [False] * 5 + [True]
    assert len(await published(inventory)) == 1


async def test_the_serving_role_may_not_touch_what_was_frozen(database: Databases) -> None:
    inventory = await database("inventory")
    for statement in ("UPDATE inventory.environments SET client_id = 'x'", "DELETE FROM inventory.environments"):
        with pytest.raises(Exception, match="permission denied"):
            async with inventory.begin() as tx:
                await tx.execute(sql(statement))


def test_a_document_that_says_one_id_twice_is_refused_with_the_place(tmp_path: Path) -> None:
    file = tmp_path / "twice.yaml"
    file.write_text("products:\n  - {id: kontar, name: Uno}\n  - {id: kontar, name: Dos}\n", encoding="utf-8")
    with pytest.raises(BadDocument, match="products: kontar is there twice"):
        read_document(file, Document)
