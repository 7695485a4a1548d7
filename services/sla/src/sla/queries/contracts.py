"""Reads contracts and their types: as they are now, and every version that there was."""

# ruff: noqa: S608 - every piece that is put into a statement is written in this package

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field

from shared.contracts.sla import ContractType, TargetRule
from shared.contracts.tickets import HoldReason
from shared.db.statement import query
from shared.db.transaction import Reader, Row
from sla.domain.contract import Differences, Promises, Warnings
from sla.repository.contracts import CONTRACT, OF_ITS_TYPE, TYPE, contract_of, promises_of


class WarningsView(BaseModel):
    """Where each clock warns on the way to its target, as it was said."""

    response: tuple[str, ...]
    resolution: tuple[str, ...]


class PromisesView(BaseModel):
    """What is promised, whole."""

    targets: tuple[TargetRule, ...] = Field(
        description="of those that are for a ticket the most specific one holds, then the first"
    )
    pausing_holds: tuple[HoldReason, ...] = Field(description="holds that pause the resolution clock")
    warnings: WarningsView
    reporting_calendar: str
    reopen_days: int
    objection_days: int
    currency: str


class DifferencesView(BaseModel):
    """What a contract says itself; null and no targets are what its type says."""

    targets: tuple[TargetRule, ...]
    pausing_holds: tuple[HoldReason, ...] | None
    warnings: WarningsView | None
    reporting_calendar: str | None
    reopen_days: int | None
    objection_days: int | None
    currency: str | None


class ContractTypeView(PromisesView):
    """A version of a type of contract."""

    id: ContractType
    name: str
    version: int
    recorded_at: datetime
    recorded_by: str


class ContractView(PromisesView):
    """A version of a contract."""

    id: str
    version: int
    effective_from: datetime = Field(description="since when this was agreed, until a later version is")
    client_id: str
    contract_type: ContractType
    type_version: int
    valid_from: datetime
    valid_until: datetime | None
    product_ids: tuple[str, ...] = Field(description="the products that it is for; empty: whatever the client has")
    differences: DifferencesView
    recorded_at: datetime
    recorded_by: str


_LIST_CONTRACTS = query(f"""
    SELECT DISTINCT ON (c.id) {CONTRACT} FROM {OF_ITS_TYPE}
    WHERE (CAST(:client AS text) IS NULL OR c.client_id = :client) AND (CAST(:after AS text) IS NULL OR c.id > :after)
    ORDER BY c.id, c.version DESC LIMIT :rows
""")
_VERSIONS = query(f"SELECT {CONTRACT} FROM {OF_ITS_TYPE} WHERE c.id = :id ORDER BY c.version DESC")
_TYPES = query(f"SELECT DISTINCT ON (t.id) {TYPE} FROM sla.contract_types t ORDER BY t.id, t.version DESC")
_TYPE_VERSIONS = query(f"SELECT {TYPE} FROM sla.contract_types t WHERE t.id = :id ORDER BY t.version DESC")


async def list_contracts(
    tx: Reader, *, client_id: str | None, after: tuple[Any, ...] | None, limit: int
) -> list[ContractView]:
    """The latest version of each contract by id, one row more than `limit` where there are more."""
    parameters = {"client": client_id, "after": after[0] if after else None, "rows": limit + 1}
    return [_contract_view(row) for row in await tx.fetch(_LIST_CONTRACTS, parameters)]


async def contract_versions(tx: Reader, id: str) -> list[ContractView]:
    """Every version of a contract, the latest first; none where there is no such contract."""
    return [_contract_view(row) for row in await tx.fetch(_VERSIONS, {"id": id})]


async def list_contract_types(tx: Reader) -> list[ContractTypeView]:
    """The latest version of each type of contract."""
    return [_type_view(row) for row in await tx.fetch(_TYPES)]


async def type_versions(tx: Reader, id: str) -> list[ContractTypeView]:
    """Every version of a type, the latest first; none where there is no such type."""
    return [_type_view(row) for row in await tx.fetch(_TYPE_VERSIONS, {"id": id})]


def _type_view(row: Row) -> ContractTypeView:
    return ContractTypeView(
        id=row.id,
        name=row.name,
        version=row.version,
        recorded_at=row.recorded_at,
        recorded_by=row.recorded_by,
        **_said(promises_of(row.promises)),
    )


def _contract_view(row: Row) -> ContractView:
    contract = contract_of(row)
    return ContractView(
        id=contract.id,
        version=contract.version,
        effective_from=contract.effective_from,
        client_id=contract.client_id,
        contract_type=contract.contract_type,
        type_version=contract.type_version,
        valid_from=contract.valid_from,
        valid_until=contract.valid_until,
        product_ids=contract.product_ids,
        differences=DifferencesView(**_said(contract.differences)),
        recorded_at=row.recorded_at,
        recorded_by=row.recorded_by,
        **_said(contract.promises),
    )


def _said(of: Promises | Differences) -> dict[str, Any]:
    return {
        "targets": of.targets,
        "pausing_holds": of.pausing_holds,
        "warnings": _warnings(of.warnings),
        "reporting_calendar": of.reporting_calendar,
        "reopen_days": of.reopen_days,
        "objection_days": of.objection_days,
        "currency": of.currency,
    }


def _warnings(said: Warnings | None) -> WarningsView | None:
    return None if said is None else WarningsView(response=said.response, resolution=said.resolution)
