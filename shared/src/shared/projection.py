"""Projections: tables that keep what others own, the same whatever the order and however often events come.

A row consists of groups of columns; each group keeps the sequence of the event that wrote it, and only a higher one may
write it again. So doubled, delayed and shuffled events end in equal rows, and a rebuild from the owners' archives too.
"""

# ruff: noqa: S608 - every name that is put into a statement is written in the source of a service

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from shared.contracts.envelope import Event, Received
from shared.db.statement import Statement, sql
from shared.db.transaction import Transaction

Row = dict[str, Any]
# Where a rebuild writes: tables of its own session, of the same names.
SHADOW = "pg_temp"


@dataclass(frozen=True)
class Projection:
    """One table. `groups` maps a sequence column to the columns that are written together with it."""

    table: str
    key: tuple[str, ...]
    groups: Mapping[str, tuple[str, ...]]
    fixed: tuple[str, ...] = ()

    def upsert(self, schema: str) -> str:
        """The statement that applies a JSON array of rows: a group is written only by a higher sequence."""
        columns = [*self.key, *self.fixed, *(one for name, group in self.groups.items() for one in (*group, name))]
        listed = ", ".join(columns)
        newer = {name: f"excluded.{name} > kept.{name}" for name in self.groups}
        written = ", ".join(
            f"{column} = CASE WHEN {newer[name]} THEN excluded.{column} ELSE kept.{column} END"
            for name, group in self.groups.items()
            for column in (*group, name)
        )
        return (
            f"INSERT INTO {schema}.{self.table} AS kept ({listed}) "
            f"SELECT {listed} FROM jsonb_populate_recordset(NULL::{schema}.{self.table}, CAST(:rows AS jsonb)) "
            f"ON CONFLICT ({', '.join(self.key)}) DO UPDATE SET {written} WHERE {' OR '.join(newer.values())}"
        )

    def fold(self, rows: Iterable[Row]) -> list[Row]:
        """One row per key by the same rule, as a statement may not write a row twice; ordered by key."""
        folded: dict[tuple[str, ...], Row] = {}
        for row in rows:
            kept = folded.setdefault(
                tuple(str(row[name]) for name in self.key),
                {**{name: row[name] for name in (*self.key, *self.fixed)}, **dict.fromkeys(self.groups, 0)},
            )
            for name, group in self.groups.items():
                if row.get(name, 0) > kept[name]:
                    kept.update({column: row[column] for column in (*group, name)})
        return [folded[key] for key in sorted(folded)]


# Which table each event type writes, and what into it.
RowsOf = Mapping[type[Event], tuple[Projection, Callable[[Received[Any]], Row]]]


@asynccontextmanager
async def _nothing_else(_tx: Transaction, _tables: Collection[str]) -> AsyncIterator[None]:
    """For a service in which nothing follows from its projections."""
    yield


@dataclass(frozen=True)
class Projections:
    """All projections of a service.

    A rebuild puts tables right inside `async with putting_right(tx, tables)`. It is where a service locks before what
    its own writers lock before, so that neither waits for the other, and after does anew what follows from the tables.
    """

    schema: str
    rows: RowsOf
    putting_right: Callable[[Transaction, Collection[str]], AbstractAsyncContextManager[None]] = _nothing_else

    @cached_property
    def tables(self) -> dict[str, Projection]:
        """The tables by name, in the one order in which they are written."""
        return {projection.table: projection for projection, _ in self.rows.values()}

    def events_of(self, table: str) -> frozenset[type[Event]]:
        """The types that write a table."""
        return frozenset(event for event, (projection, _) in self.rows.items() if projection.table == table)

    def rows_of(self, events: Sequence[Received[Any]]) -> dict[str, list[Row]]:
        """What these events write, by table, one row per key."""
        found: dict[str, list[Row]] = {}
        for event in events:
            projection, row_of = self.rows[type(event.data)]
            found.setdefault(projection.table, []).append(row_of(event))
        return {table: self.tables[table].fold(rows) for table, rows in found.items()}

    async def apply(self, tx: Transaction, events: Sequence[Received[Any]]) -> None:
        """Applies events of the known types, in any order and any number of times; one statement per table."""
        await self.write(tx, self.rows_of(events), replayed=events[0].replayed)

    async def write(self, tx: Transaction, rows: Mapping[str, list[Row]], *, replayed: bool = False) -> None:
        """Writes rows by table, one statement for each; where events are replayed, into the tables of the rebuild."""
        # In one order, whatever the order of the events: few combinations to prepare, and locks taken the same way.
        for table, upsert in (self._shadow_upserts if replayed else self._upserts).items():
            if table in rows:
                await tx.write(upsert, {"rows": json.dumps(rows[table], default=str)})

    @cached_property
    def _upserts(self) -> dict[str, Statement]:
        return {name: sql(one.upsert(self.schema)) for name, one in self.tables.items()}

    @cached_property
    def _shadow_upserts(self) -> dict[str, Statement]:
        return {name: sql(one.upsert(SHADOW)) for name, one in self.tables.items()}
