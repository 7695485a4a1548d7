"""Reference data: stores the records that differ, each at its next version, and gives back what they now are."""

# ruff: noqa: S608 - every name that is put into a statement is written in this package

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from shared.contracts.envelope import Cause
from shared.db.statement import Statement, query, sql
from shared.db.transaction import Row, Transaction
from shared.versions import Expected

# The records that were stored, by id: as they now are, with their versions. The rows stay locked.
Stored = Mapping[str, Row]

_SHIP = sql("""
    INSERT INTO tickets.shipped AS s (noun, id, document)
    SELECT :noun, id, document FROM jsonb_to_recordset(:rows) AS given (id text, document jsonb)
    ON CONFLICT (noun, id) DO UPDATE SET document = excluded.document
    WHERE s.document IS DISTINCT FROM excluded.document
""")
_SHIPPED = query("SELECT document FROM tickets.shipped WHERE noun = :noun AND id = :id")


def storing(table: str, columns: Sequence[str], told: Sequence[str]) -> Statement:
    """The statement that stores records of which some columns are told: the others are for those that are new.

    A row where nothing differs stays as it is. The instants of a row grow strictly, whatever the clocks of several
    hosts say; the row is locked where they are compared.
    """
    compared = [name for name in told if not name.endswith("_key")]
    names = ", ".join(columns)
    return sql(f"""
        INSERT INTO tickets.{table} AS r ({names}, version, changed_at, changed_by)
        SELECT {names}, 1, :at, :actor FROM jsonb_populate_recordset(NULL::tickets.{table}, :rows) ORDER BY id
        ON CONFLICT (id) DO UPDATE SET
            {", ".join(f"{name} = excluded.{name}" for name in told)},
            version = r.version + 1, changed_by = excluded.changed_by,
            changed_at = greatest(excluded.changed_at, r.changed_at + interval '1 microsecond')
        WHERE ({", ".join(f"r.{name}" for name in compared)})
              IS DISTINCT FROM ({", ".join(f"excluded.{name}" for name in compared)})
        RETURNING {names}, version, changed_at
    """)


async def store(tx: Transaction, statement: Statement, cause: Cause, rows: Sequence[Mapping[str, Any]]) -> Stored:
    """Stores records by a statement of `storing`; those that were new or differed."""
    stored = await tx.fetch(statement, {"rows": list(rows), "at": cause.recorded_at, "actor": cause.actor})
    return {row.id: row for row in stored}


async def keep_shipped(tx: Transaction, noun: str, documents: Mapping[str, Mapping[str, Any]]) -> None:
    """Keeps what this release ships of some records, by their ids, so that they can be compared and restored."""
    rows = [{"id": each, "document": document} for each, document in documents.items()]
    await tx.execute(_SHIP, {"noun": noun, "rows": rows})


async def read_shipped(tx: Transaction, noun: str, id: str) -> Mapping[str, Any] | None:
    """What this release ships of a record; None where it does not."""
    found: Mapping[str, Any] | None = await tx.fetch_value(_SHIPPED, {"noun": noun, "id": id})
    return found


async def require_seen(stored: Stored, noun: str, expected: Expected) -> int:
    """Checks what was stored against what its caller had seen, for what nobody else is told; how many there are.

    Raises VersionNotStated, VersionChanged.
    """
    for row in stored.values():
        await expected.require(f"The {noun} {row.id}", row.version - 1, _nothing_told)
    return len(stored)


async def _nothing_told() -> list[dict[str, Any]]:
    return []
