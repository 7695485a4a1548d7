"""Clients are found by any spelling, and their pages go on after any name."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from shared.contracts.inventory import ClientRecorded
from tests.support.databases import Database
from tests.tickets.desk import received
from tickets import projections
from tickets.api.clients import _CLIENTS
from tickets.queries import clients
from tickets.queries.clients import ClientView


async def client_ids(database: Database, q: str | None, limit: int = 50) -> Sequence[str]:
    """The ids of the clients found, page after page."""
    found: list[str] = []
    after: tuple[str, str] | None = None
    while True:
        async with database.begin() as tx:
            page = await clients.find_clients(tx, q, after=after, limit=limit)
        found.extend(ClientView.model_validate_json(row).id for _, _, row in page)
        if len(page) < limit:
            return found
        assert len(found) < 100, "the pages do not end"
        after = page[-1][:2]


@pytest.mark.parametrize(
    ("q", "ids"),
    [
        ("aguero", ["aguero"]),
        ("HERMANOS agüero", ["aguero"]),
        ("parana", ["molinos"]),
        ("30-1111", ["molinos"]),
        ("sin-con", ["sin-contrato"]),
        ("cerrado", []),
        ("o", ["aguero", "sin-contrato", "molinos"]),
        ("%", []),
        (None, ["aguero", "sin-contrato", "molinos"]),
    ],
)
async def test_clients_are_found_by_any_spelling_and_sorted_by_name(
    desk: Database, q: str | None, ids: list[str]
) -> None:
    assert await client_ids(desk, q) == ids
    assert await client_ids(desk, q, limit=1) == ids


@pytest.fixture
async def spelled(desk: Database) -> Database:
    """Clients whose names and tax ids nobody spells as they are written."""
    clients = (
        ClientRecorded(id="ohiggins", name="Transportes O'Higgins S.R.L.", tax_id="30-71234567-8", tier="oro"),
        ClientRecorded(id="weiss", name="Weiß & Söhne SRL", tax_id="30712345679", tier="oro"),
        ClientRecorded(id="paraiso", name="Alto-Paraíso S. A.", tax_id="J-12345678-9", tier="oro"),
        ClientRecorded(id="bjorn", name="Bjørn Ñáñez", tax_id="esb12345678", tier="oro"),
        ClientRecorded(id="signos", name="+++", tier="oro"),
    )
    async with desk.begin() as tx:
        await projections.apply(tx, [received(one) for one in clients])
    return desk


@pytest.mark.parametrize(
    ("q", "ids"),
    [
        ("srl", ["ohiggins", "weiss"]),
        ("S.R.L.", ["ohiggins", "weiss"]),
        ("s. r. l. higgins", ["ohiggins"]),
        ("OHiggins", ["ohiggins"]),
        ("o\u2019higgins", ["ohiggins"]),
        ("O Higgins", ["ohiggins"]),
        ("30-71234567-8", ["ohiggins"]),
        ("30712345678", ["ohiggins"]),
        ("30.71234567.8", ["ohiggins"]),
        ("30 71234567 8", ["ohiggins"]),
        ("30-71234567-9", ["weiss"]),
        ("30-7123456", ["ohiggins", "weiss"]),
        ("J-12345678-9", ["paraiso"]),
        ("j123456789", ["paraiso"]),
        ("ESB12345678", ["bjorn"]),
        ("es-b12345678", ["bjorn"]),
        ("WEISS", ["weiss"]),
        ("wei\u00df", ["weiss"]),
        ("weiss & sohne", ["weiss"]),
        ("alto paraiso", ["paraiso"]),
        ("altoparaiso s.a.", ["paraiso"]),
        ("sa alto", ["paraiso"]),
        ("bjorn nanez", ["bjorn"]),
        ("n\u0303a\u0301nez", ["bjorn"]),
        ("SIN CONTRATO", ["sin-contrato"]),
        ("sincontrato", ["sin-contrato"]),
        ("+", ["signos"]),
        ("%", []),
        ("_", []),
    ],
)
async def test_clients_are_found_however_they_are_spelled(spelled: Database, q: str, ids: list[str]) -> None:
    assert sorted(await client_ids(spelled, q)) == ids


@pytest.mark.parametrize("sign", ["ñ", "\U00010400", "\ufdfa", "각"])
async def test_pages_go_on_after_a_name_of_any_length(desk: Database, sign: str) -> None:
    named = [ClientRecorded(id=f"largo-{number}", name=sign * 199 + str(number), tier="oro") for number in range(3)]
    async with desk.begin() as tx:
        await projections.apply(tx, [received(one) for one in named])
        page = await clients.find_clients(tx, None, after=None, limit=50)
    assert [_CLIENTS.start(_CLIENTS.cursor(*row[:-1])) for row in page] == [row[:-1] for row in page]
    assert await client_ids(desk, None, limit=1) == await client_ids(desk, None)
