"""Contracts and their types: every version of each, with what it promises whole."""

# ruff: noqa: S608 - every piece that is put into a statement is written in this file

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import lru_cache

from pydantic import TypeAdapter

from shared.db.statement import sql
from shared.db.transaction import Reader, Row, Transaction
from sla.domain.contract import (
    DEFAULT_TYPE,
    Contract,
    ContractTemplate,
    Differences,
    NoDefaultTargets,
    Promises,
)

# Documents are read as text: what was read once is known, and the same few are read again and again.
CONTRACT = (
    "c.id, c.version, c.client_id, c.contract_type, c.type_version, c.effective_from, c.valid_from, c.valid_until, "
    "c.product_ids, CAST(c.differences AS text) AS differences, c.recorded_at, c.recorded_by, "
    "CAST(t.promises AS text) AS promises"
)
OF_ITS_TYPE = "sla.contracts c JOIN sla.contract_types t ON t.id = c.contract_type AND t.version = c.type_version"
TYPE = "t.id, t.version, t.name, CAST(t.promises AS text) AS promises, t.recorded_at, t.recorded_by"
_VERSIONS = sql(f"SELECT {CONTRACT} FROM {OF_ITS_TYPE} WHERE c.id = ANY(CAST(:ids AS text[])) ORDER BY c.id, c.version")
# The default type comes along as a row without a client, so that one statement answers for every ticket of a batch.
_CONTRACTS_OF_CLIENTS = sql(f"""
    (SELECT {CONTRACT} FROM {OF_ITS_TYPE} WHERE c.client_id = ANY(CAST(:clients AS text[]))
     ORDER BY c.client_id, c.id, c.version)
    UNION ALL
    (SELECT t.id, t.version, NULL, t.id, t.version, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
            CAST(t.promises AS text)
     FROM sla.contract_types t WHERE t.id = :default_type ORDER BY t.version DESC LIMIT 1)
""")
_TYPES = sql(f"SELECT {TYPE} FROM sla.contract_types t ORDER BY t.id, t.version")
_INSERT_TYPES = sql("""
    INSERT INTO sla.contract_types (id, version, name, promises, recorded_at, recorded_by)
    SELECT g.id, g.version, g.name, CAST(g.promises AS jsonb), :now, :actor
    FROM unnest(CAST(:ids AS text[]), CAST(:versions AS int[]), CAST(:names AS text[]), CAST(:promises AS text[]))
         AS g(id, version, name, promises)
""")
_INSERT_CONTRACTS = sql("""
    INSERT INTO sla.contracts (id, version, client_id, contract_type, type_version, effective_from, valid_from,
                               valid_until, product_ids, differences, recorded_at, recorded_by)
    SELECT g.id, g.version, g.client_id, g.contract_type, g.type_version, g.effective_from, g.valid_from, g.valid_until,
           ARRAY(SELECT jsonb_array_elements_text(CAST(g.products AS jsonb))), CAST(g.differences AS jsonb),
           :now, :actor
    FROM unnest(CAST(:ids AS text[]), CAST(:versions AS int[]), CAST(:clients AS text[]), CAST(:types AS text[]),
                CAST(:type_versions AS int[]), CAST(:effective AS timestamptz[]), CAST(:froms AS timestamptz[]),
                CAST(:untils AS timestamptz[]), CAST(:products AS text[]), CAST(:differences AS text[]))
         AS g(id, version, client_id, contract_type, type_version, effective_from, valid_from, valid_until, products,
              differences)
""")

_PROMISES = TypeAdapter(Promises)
_DIFFERENCES = TypeAdapter(Differences)


async def contract_versions(tx: Transaction, ids: Iterable[str]) -> tuple[dict[str, list[Contract]], datetime | None]:
    """Every version of each of these contracts that exists, by number, and when the last of them was recorded."""
    rows = await tx.fetch(_VERSIONS, {"ids": list(ids)})
    found: dict[str, list[Contract]] = {}
    for row in rows:
        found.setdefault(row.id, []).append(contract_of(row))
    return found, _latest(rows)


async def contracts_of_clients(tx: Reader, clients: Iterable[str]) -> tuple[dict[str, list[Contract]], Promises]:
    """Every version by client, and what the default type promises now. Raises NoDefaultTargets."""
    found: dict[str, list[Contract]] = {}
    default = None
    rows = await tx.fetch(_CONTRACTS_OF_CLIENTS, {"clients": list(clients), "default_type": DEFAULT_TYPE})
    for row in rows:
        if row.client_id is None:
            default = promises_of(row.promises)
        else:
            found.setdefault(row.client_id, []).append(contract_of(row))
    if default is None:
        raise NoDefaultTargets(f"The contract type {DEFAULT_TYPE} is not recorded: run `migrate`, which loads it.")
    return found, default


async def type_versions(tx: Transaction) -> tuple[dict[str, list[ContractTemplate]], datetime | None]:
    """Every version of each type by number, and when the last of them was recorded."""
    rows = await tx.fetch(_TYPES)
    found: dict[str, list[ContractTemplate]] = {}
    for row in rows:
        found.setdefault(row.id, []).append(template_of(row))
    return found, _latest(rows)


async def insert_contract_types(tx: Transaction, types: Sequence[ContractTemplate], now: datetime, actor: str) -> None:
    """Adds new versions of types."""
    columns = {
        "ids": [one.id for one in types],
        "versions": [one.version for one in types],
        "names": [one.name for one in types],
        "promises": [_PROMISES.dump_json(one.promises).decode() for one in types],
    }
    await tx.execute(_INSERT_TYPES, {**columns, "now": now, "actor": actor})


async def insert_contracts(tx: Transaction, contracts: Sequence[Contract], now: datetime, actor: str) -> None:
    """Adds new versions of contracts."""
    columns = {
        "ids": [one.id for one in contracts],
        "versions": [one.version for one in contracts],
        "clients": [one.client_id for one in contracts],
        "types": [one.contract_type for one in contracts],
        "type_versions": [one.type_version for one in contracts],
        "effective": [one.effective_from for one in contracts],
        "froms": [one.valid_from for one in contracts],
        "untils": [one.valid_until for one in contracts],
        "products": [json.dumps(one.product_ids) for one in contracts],
        "differences": [_DIFFERENCES.dump_json(one.differences).decode() for one in contracts],
    }
    await tx.execute(_INSERT_CONTRACTS, {**columns, "now": now, "actor": actor})


def contract_of(row: Row) -> Contract:
    """A contract from a row with its columns and what its type promises."""
    differences, promises = _resolved(row.promises, row.differences)
    return Contract(
        id=row.id,
        version=row.version,
        client_id=row.client_id,
        contract_type=row.contract_type,
        type_version=row.type_version,
        effective_from=row.effective_from,
        valid_from=row.valid_from,
        valid_until=row.valid_until,
        product_ids=tuple(row.product_ids),
        differences=differences,
        promises=promises,
    )


def template_of(row: Row) -> ContractTemplate:
    """A version of a type from its row."""
    return ContractTemplate(row.id, row.version, row.name, promises_of(row.promises))


@lru_cache(maxsize=128)
def promises_of(document: str) -> Promises:
    """What a type promises, from its JSON."""
    return _PROMISES.validate_json(document)


@lru_cache(maxsize=4096)
def _resolved(of_type: str, differences: str) -> tuple[Differences, Promises]:
    own = _DIFFERENCES.validate_json(differences)
    return own, own.applied_to(promises_of(of_type))


def _latest(rows: Iterable[Row]) -> datetime | None:
    return max((row.recorded_at for row in rows), default=None)
