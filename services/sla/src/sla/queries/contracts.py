"""Reads contracts and their types as they are now."""

# ruff: noqa: S608 - every piece that is put into a statement is written in this file
from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field

from shared.contracts.sla import ContractType, PromisedTarget
from shared.contracts.tickets import HoldReason
from shared.db.statement import sql
from shared.db.transaction import Reader, Row
from sla.documents import WarningFacts
from sla.domain.contract import Promises
from sla.repository.contracts import contract_of, promises_of


class PromisesView(BaseModel):
    """What is promised: all four severities, S1 first."""

    targets: tuple[PromisedTarget, ...]
    pausing_holds: tuple[HoldReason, ...] = Field(description="holds that pause the resolution clock")
    warnings: WarningFacts


class ContractTypeView(PromisesView):
    """A type of contract."""

    id: ContractType
    name: str
    version: int


class ContractView(PromisesView):
    """A contract in its latest version."""

    id: str
    version: int
    client_id: str
    contract_type: ContractType
    valid_from: datetime
    valid_until: datetime | None
    product_ids: tuple[str, ...] = Field(description="the products that it is for; empty: whatever the client has")
    recorded_at: datetime
    recorded_by: str


_CONTRACT = (
    "id, version, client_id, contract_type, valid_from, valid_until, product_ids, promises, recorded_at, recorded_by"
)
_LIST_CONTRACTS = sql(f"""
    SELECT DISTINCT ON (id) {_CONTRACT} FROM sla.contracts
    WHERE (CAST(:client AS text) IS NULL OR client_id = :client) AND (CAST(:after AS text) IS NULL OR id > :after)
    ORDER BY id, version DESC LIMIT :rows
""")
_GET_CONTRACT = sql(f"SELECT {_CONTRACT} FROM sla.contracts WHERE id = :id ORDER BY version DESC LIMIT 1")
_LIST_TYPES = sql("SELECT id, name, version, promises FROM sla.contract_types ORDER BY id")


async def list_contracts(
    tx: Reader, *, client_id: str | None, after: tuple[Any, ...] | None, limit: int
) -> list[ContractView]:
    """The latest version of each contract by id, one row more than `limit` where there are more."""
    parameters = {"client": client_id, "after": after[0] if after else None, "rows": limit + 1}
    return [_contract_view(row) for row in await tx.fetch(_LIST_CONTRACTS, parameters)]


async def get_contract(tx: Reader, id: str) -> ContractView | None:
    """The latest version of a contract."""
    row = await tx.fetch_first(_GET_CONTRACT, {"id": id})
    return None if row is None else _contract_view(row)


async def list_contract_types(tx: Reader) -> list[ContractTypeView]:
    """All types of contract."""
    rows = await tx.fetch(_LIST_TYPES)
    return [
        ContractTypeView(id=row.id, name=row.name, version=row.version, **_promises(promises_of(row.promises)))
        for row in rows
    ]


def _contract_view(row: Row) -> ContractView:
    contract = contract_of(row)
    return ContractView(
        id=contract.id,
        version=contract.version,
        client_id=contract.client_id,
        contract_type=contract.contract_type,
        valid_from=contract.valid_from,
        valid_until=contract.valid_until,
        product_ids=contract.product_ids,
        recorded_at=row.recorded_at,
        recorded_by=row.recorded_by,
        **_promises(contract.promises),
    )


def _promises(promises: Promises) -> dict[str, Any]:
    warnings = WarningFacts(response=promises.warnings.response, resolution=promises.warnings.resolution)
    return {"targets": promises.targets, "pausing_holds": promises.pausing_holds, "warnings": warnings}
