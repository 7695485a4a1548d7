"""Teams: stored with what they cover, and which of them could take a ticket."""

# ruff: noqa: S608 - every piece that is put into a statement is written in this package

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shared.contracts.envelope import Cause
from shared.contracts.teams import TeamRecorded
from shared.contracts.tickets import Groups
from shared.db.statement import query, sql
from shared.db.transaction import Row, Transaction
from tickets.domain.routing import Coverage, Pattern
from tickets.domain.team import ModuleFacts
from tickets.repository.records import Stored, store, storing

_COLUMNS = ("id", "name", "name_key", "level", "target", "lead", "members", "covers", "retired")
_STORE = storing("teams", _COLUMNS, _COLUMNS[1:])
_UNCOVER = sql("DELETE FROM tickets.coverages WHERE team_id = ANY(:teams)")
_COVER = sql("""
    INSERT INTO tickets.coverages (team_id, target, client_id, product_id, module_id)
    SELECT team_id, target, client_id, product_id, module_id
      FROM jsonb_populate_recordset(NULL::tickets.coverages, :rows)
""")
_PATTERN = ("client_id", "product_id", "module_id")
_PAIRS = ", ".join(f"'{name}', v.{name}" for name in ("team_id", "target", *_PATTERN))
_COVERAGE = f"json_build_object({_PAIRS})"
_AROUND = query(f"""
    SELECT COALESCE((SELECT json_agg({_COVERAGE}) FROM tickets.coverages v), '[]') AS coverages,
           COALESCE((SELECT json_object_agg(m.id, json_build_object('product_id', m.product_id,
                                                                    'client_id', m.client_id))
                       FROM tickets.modules m WHERE m.id = ANY(:modules)), '{{}}') AS modules,
           ARRAY(SELECT c.id FROM tickets.clients c WHERE c.id = ANY(:clients)) AS clients,
           ARRAY(SELECT p.id FROM tickets.products p WHERE p.id = ANY(:products)) AS products
""")
_PRESENT = query("SELECT id FROM tickets.teams")
_NAMES = {
    noun: query(f"SELECT id, name FROM tickets.{noun}s WHERE NOT retired ORDER BY id")
    for noun in ("client", "product", "module")
}


@dataclass(frozen=True, slots=True)
class Around:
    """What is known of the things that new teams name, and what all teams in use cover."""

    coverages: tuple[Coverage, ...]
    clients: frozenset[str]
    products: frozenset[str]
    modules: Mapping[str, ModuleFacts]


def covering(target: str, client: str, module: str) -> str:
    """The SQL of a JSON array of what could take a ticket, by an index. Its product may follow from its module, so the
    patterns of every product are among them; which one takes it is for `routing.route` to say.
    """
    return f"""COALESCE((SELECT json_agg({_COVERAGE}) FROM tickets.coverages v WHERE v.target = {target}
        AND (v.client_id IS NULL OR v.client_id = {client})
        AND (v.module_id IS NULL OR v.module_id = {module})), '[]')"""


async def read_around_teams(tx: Transaction, patterns: Iterable[Pattern]) -> Around:
    """What is known beside teams that cover these. Nobody else may record teams meanwhile."""
    named = {name: sorted({value for one in patterns if (value := getattr(one, name))}) for name in _PATTERN}
    found = await tx.fetch_one(
        _AROUND, {"clients": named["client_id"], "products": named["product_id"], "modules": named["module_id"]}
    )
    return Around(
        coverages_of(found.coverages),
        frozenset(found.clients),
        frozenset(found.products),
        {of: ModuleFacts(**module) for of, module in found.modules.items()},
    )


async def store_teams(tx: Transaction, cause: Cause, teams: Sequence[Mapping[str, Any]]) -> Stored:
    """Stores the teams that are new or differ."""
    return await store(tx, _STORE, cause, teams)


async def replace_coverages(tx: Transaction, teams: Iterable[str], coverages: Iterable[Coverage]) -> None:
    """Stores what teams in use cover, for these teams."""
    changed = set(teams)
    rows = [
        {"team_id": one.team_id, "target": one.target, **{name: getattr(one.pattern, name) for name in _PATTERN}}
        for one in coverages
        if one.team_id in changed
    ]
    await tx.execute(_UNCOVER, {"teams": sorted(changed)})
    await tx.execute(_COVER, {"rows": rows})


async def present_teams(tx: Transaction) -> frozenset[str]:
    """The ids of all teams, retired ones too."""
    return frozenset(row.id for row in await tx.fetch(_PRESENT))


async def read_names(tx: Transaction, noun: str) -> dict[str, str | None]:
    """The names of all clients, products or modules, by id."""
    return {row.id: row.name for row in await tx.fetch(_NAMES[noun])}


_COVERING = query(f"SELECT {covering(':target', ':client_id', ':module_id')} AS coverages")


async def coverages_for(tx: Transaction, target: str, groups: Groups) -> tuple[Coverage, ...]:
    """The patterns for a target that may fit a ticket of these groups."""
    wanted = {"target": target, "client_id": groups.client_id, "module_id": groups.module_id}
    found = await tx.fetch_value(_COVERING, wanted)
    return coverages_of(found)


def coverages_of(document: Iterable[Mapping[str, Any]]) -> tuple[Coverage, ...]:
    """What is covered, from the JSON of `covering`."""
    return tuple(
        Coverage(one["team_id"], one["target"], Pattern(**{name: one[name] for name in _PATTERN})) for one in document
    )


def recorded(row: Row) -> TeamRecorded:
    """The record that is told of a stored team."""
    return TeamRecorded(**{name: row[name] for name in _COLUMNS if name != "name_key"})
