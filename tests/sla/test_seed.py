"""The demo contracts: they belong to the demo clients, agree with their tier, and load."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import yaml

from shared.contracts.envelope import Cause
from shared.load import read_document
from sla.commands import documents as commands
from sla.documents import Document
from tests.sla.telling import ZERO, published
from tests.support.databases import CHECKOUT, Database

SEED = CHECKOUT / "deploy" / "seed"
CAUSE = Cause(actor="system:sla", occurred_at=ZERO, recorded_at=ZERO, correlation_id="load:test")


@pytest.fixture(scope="module")
def seed() -> Document:
    document = read_document(SEED / "sla.yaml", Document)
    assert isinstance(document, Document)
    return document


@pytest.fixture(scope="module")
def tiers() -> dict[str, str]:
    clients: list[dict[str, Any]] = yaml.safe_load((SEED / "inventory.yaml").read_text(encoding="utf-8"))["clients"]
    return {client["id"]: client["tier"] for client in clients}


def test_each_contract_belongs_to_a_demo_client_of_its_tier(seed: Document, tiers: dict[str, str]) -> None:
    latest: dict[str, Any] = {}
    for one in seed.contracts:
        if one.client_id not in latest or one.valid_from > latest[one.client_id].valid_from:
            latest[one.client_id] = one
    assert {client: one.contract_type for client, one in latest.items()} == {
        client: tier for client, tier in tiers.items() if client in latest
    }
    assert len(tiers.keys() - latest.keys()) == 3
    assert len([one for one in latest.values() if one.valid_until is not None]) == 1


def test_terms_differ_beyond_the_type(seed: Document) -> None:
    assert len([one for one in seed.contracts if one.targets]) >= 4
    assert len({one.pausing_holds for one in seed.contracts}) >= 5


async def test_the_seed_loads_once_and_the_second_time_changes_nothing(
    database: Callable[[str], Awaitable[Database]], seed: Document
) -> None:
    sla = await database("sla")
    async with sla.begin() as tx:
        assert await commands.load_document(tx, CAUSE, seed) == len(seed.contracts)
    async with sla.begin() as tx:
        assert await commands.load_document(tx, CAUSE, seed) == 0
    assert len([one for one in await published(sla) if one["type"] == "contract.recorded"]) == len(seed.contracts)


def test_public_holidays_are_at_hand_before_a_transaction_asks_for_them() -> None:
    """They take long to import, on a busy machine longer than a transaction may idle; consumer and jobs need none."""
    loaded = "import sys, {}; print('holidays.countries.argentina' in sys.modules)"
    for module, found in (
        ("sla.commands.documents", "True"),
        ("sla.api.calendars", "True"),
        ("sla.subscribers", "False"),
    ):
        done = subprocess.run(
            [sys.executable, "-c", loaded.format(module)], capture_output=True, text=True, check=True, timeout=60
        )
        assert (module, done.stdout.strip()) == (module, found)
