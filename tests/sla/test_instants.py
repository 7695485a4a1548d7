"""The versions of contracts and of their types are dated in their order, whatever the clocks say."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from itertools import pairwise
from typing import Any

import pytest

from shared import clock
from shared.contracts.envelope import Cause
from sla.commands import contracts as commands
from sla.documents import ContractRecord, ContractTypeRecord, TargetFacts, WarningFacts
from tests.sla.telling import at
from tests.support.clocks import unsteady
from tests.support.databases import Database

Make = Callable[[str], Awaitable[Database]]
VERSIONS = 12
TARGETS = (
    TargetFacts(clock="response", seconds=600, calendar_id="comercial"),
    TargetFacts(clock="resolution", seconds=6000, calendar_id="comercial"),
)


def cause() -> Cause:
    now = clock.now()
    return Cause(actor="bruno", occurred_at=now, recorded_at=now, correlation_id="request-1")


async def test_the_versions_of_a_contract_grow_in_their_instants(
    database: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    sla = await database("sla")
    unsteady(monkeypatch)

    async def record(number: int) -> None:
        why = cause()
        given: dict[str, Any] = {"id": "acme-2026", "client_id": "acme", "contract_type": "oro"}
        async with sla.begin() as tx:
            await commands.record_contracts(tx, why, [ContractRecord(**given, valid_from=at(-1e6 - number))])

    await asyncio.gather(*[record(number) for number in range(VERSIONS)])
    async with sla.connect() as connection:
        rows = await connection.fetch("SELECT recorded_at FROM sla.contracts ORDER BY version")
        told = await connection.fetch(
            "SELECT occurred_at, recorded_at FROM runtime.archive WHERE key = 'contract:acme-2026' ORDER BY position"
        )
    instants = [row["recorded_at"] for row in rows]
    assert len(instants) == VERSIONS
    assert [pair for pair in pairwise(instants) if pair[0] >= pair[1]] == []
    assert [tuple(one) for one in told] == [(instant, instant) for instant in instants]


async def test_a_type_of_contract_is_never_dated_before_what_it_was(
    database: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    sla = await database("sla")
    unsteady(monkeypatch)
    instants = []
    for number in range(VERSIONS):
        wanted = ContractTypeRecord(
            id="oro",
            name=f"Oro {number}",
            targets=TARGETS,
            pausing_holds=("third-party",),
            warnings=WarningFacts(response=("50%",), resolution=("50%",)),
        )
        async with sla.begin() as tx:
            assert await commands.record_contract_types(tx, cause(), [wanted]) == 1
        async with sla.connect() as connection:
            instants.append(
                await connection.fetchval("SELECT max(recorded_at) FROM sla.contract_types WHERE id = 'oro'")
            )
    assert [pair for pair in pairwise(instants) if pair[0] >= pair[1]] == []
