"""Contracts and their types: every version, and the latest of each."""

# ruff: noqa: S608 - every piece that is put into a statement is written in this file

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from shared.contracts.sla import PromisedTarget
from shared.db.statement import sql
from shared.db.transaction import Row, Transaction
from sla.domain.contract import Contract, ContractTemplate, Promises, Warnings

_CONTRACT = "id, version, client_id, contract_type, valid_from, valid_until, product_ids, promises"
_CURRENT_CONTRACTS = sql(f"""
    SELECT DISTINCT ON (id) {_CONTRACT}, recorded_at FROM sla.contracts WHERE id = ANY(CAST(:ids AS text[]))
    ORDER BY id, version DESC
""")
# The default type comes along as a row without a client, so that one statement answers for every ticket of a batch.
_CONTRACTS_OF_CLIENTS = sql(f"""
    (SELECT DISTINCT ON (client_id, id) {_CONTRACT} FROM sla.contracts WHERE client_id = ANY(CAST(:clients AS text[]))
     ORDER BY client_id, id, version DESC)
    UNION ALL
    SELECT id, version, NULL, id, NULL, NULL, NULL, promises FROM sla.contract_types WHERE id = :default_type
""")
_CONTRACT_TYPES = sql("SELECT id, name, promises, recorded_at FROM sla.contract_types ORDER BY id FOR UPDATE")
_UPSERT_TYPES = sql("""
    INSERT INTO sla.contract_types (id, name, promises, version, recorded_at, recorded_by)
    SELECT g.id, g.name, CAST(g.promises AS jsonb), 1, :now, :actor
    FROM unnest(CAST(:ids AS text[]), CAST(:names AS text[]), CAST(:promises AS text[])) AS g(id, name, promises)
    ON CONFLICT (id) DO UPDATE
    SET name = excluded.name, promises = excluded.promises, version = sla.contract_types.version + 1,
        recorded_at = excluded.recorded_at, recorded_by = excluded.recorded_by
""")
_INSERT_CONTRACTS = sql("""
    INSERT INTO sla.contracts (id, version, client_id, contract_type, valid_from, valid_until, product_ids, promises,
                               recorded_at, recorded_by)
    SELECT g.id, g.version, g.client_id, g.contract_type, g.valid_from, g.valid_until,
           ARRAY(SELECT jsonb_array_elements_text(CAST(g.products AS jsonb))), CAST(g.promises AS jsonb), :now, :actor
    FROM unnest(CAST(:ids AS text[]), CAST(:versions AS int[]), CAST(:clients AS text[]), CAST(:types AS text[]),
                CAST(:froms AS timestamptz[]), CAST(:untils AS timestamptz[]), CAST(:products AS text[]),
                CAST(:promises AS text[]))
         AS g(id, version, client_id, contract_type, valid_from, valid_until, products, promises)
    ON CONFLICT DO NOTHING RETURNING id
""")


async def current_contracts(tx: Transaction, ids: Iterable[str]) -> tuple[dict[str, Contract], datetime | None]:
    """The latest version of each of these contracts that exists, and when the last of them was recorded."""
    rows = await tx.fetch(_CURRENT_CONTRACTS, {"ids": list(ids)})
    return {row.id: contract_of(row) for row in rows}, _latest(rows)


async def contracts_of_clients(
    tx: Transaction, clients: Iterable[str], default_type: str
) -> tuple[dict[str, list[Contract]], Promises | None]:
    """The latest versions by client, and what the default type promises (None when it was never recorded)."""
    found: dict[str, list[Contract]] = {}
    default = None
    rows = await tx.fetch(_CONTRACTS_OF_CLIENTS, {"clients": list(clients), "default_type": default_type})
    for row in rows:
        if row.client_id is None:
            default = promises_of(row.promises)
        else:
            found.setdefault(row.client_id, []).append(contract_of(row))
    return found, default


async def lock_contract_types(tx: Transaction) -> tuple[dict[str, ContractTemplate], datetime | None]:
    """All contract types, locked, and when the last of them was recorded. Contracts are recorded under these locks."""
    rows = await tx.fetch(_CONTRACT_TYPES)
    return {row.id: ContractTemplate(row.id, row.name, promises_of(row.promises)) for row in rows}, _latest(rows)


async def store_contract_types(tx: Transaction, types: Sequence[ContractTemplate], now: datetime, actor: str) -> None:
    """Records these types in place of what they were."""
    columns = {
        "ids": [one.id for one in types],
        "names": [one.name for one in types],
        "promises": [_promises_document(one.promises) for one in types],
    }
    await tx.execute(_UPSERT_TYPES, {**columns, "now": now, "actor": actor})


async def insert_contracts(tx: Transaction, contracts: Sequence[Contract], now: datetime, actor: str) -> set[str]:
    """Adds new versions. Returns the ids of those that nobody else added first."""
    columns = {
        "ids": [one.id for one in contracts],
        "versions": [one.version for one in contracts],
        "clients": [one.client_id for one in contracts],
        "types": [one.contract_type for one in contracts],
        "froms": [one.valid_from for one in contracts],
        "untils": [one.valid_until for one in contracts],
        "products": [json.dumps(one.product_ids) for one in contracts],
        "promises": [_promises_document(one.promises) for one in contracts],
    }
    rows = await tx.fetch(_INSERT_CONTRACTS, {**columns, "now": now, "actor": actor})
    return {row.id for row in rows}


def contract_of(row: Row) -> Contract:
    """A contract from a row with its columns."""
    return Contract(
        id=row.id,
        version=row.version,
        client_id=row.client_id,
        contract_type=row.contract_type,
        valid_from=row.valid_from,
        valid_until=row.valid_until,
        promises=promises_of(row.promises),
        product_ids=tuple(row.product_ids),
    )


def promises_of(document: dict[str, Any]) -> Promises:
    """What a contract or a type promises, from its JSON."""
    return Promises(
        targets=tuple(PromisedTarget(**target) for target in document["targets"]),
        pausing_holds=tuple(document["pausing_holds"]),
        warnings=Warnings(tuple(document["warnings"]["response"]), tuple(document["warnings"]["resolution"])),
    )


def _latest(rows: Iterable[Row]) -> datetime | None:
    return max((row.recorded_at for row in rows), default=None)


def _promises_document(promises: Promises) -> str:
    return json.dumps(
        {
            "targets": [target.model_dump() for target in promises.targets],
            "pausing_holds": promises.pausing_holds,
            "warnings": {"response": promises.warnings.response, "resolution": promises.warnings.resolution},
        }
    )
