"""Rotas: stored, and read as the rules know them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, time
from typing import Any

from shared.contracts.envelope import Cause, instant
from shared.contracts.teams import RotaRecorded
from shared.db.statement import query
from shared.db.transaction import Row, Transaction
from tickets.domain.rota import Override, Rota, Shift
from tickets.repository.records import Stored, store, storing

_COLUMNS = ("id", "team_id", "zone", "shifts", "overrides", "retired")
_STORE = storing("rotas", _COLUMNS, _COLUMNS[1:])
_AROUND = query("""
    SELECT COALESCE((SELECT json_object_agg(t.id, t.name) FROM tickets.teams t WHERE NOT t.retired), '{}') AS teams,
           COALESCE((SELECT json_object_agg(r.id, r.team_id) FROM tickets.rotas r WHERE NOT r.retired), '{}') AS rotas
""")


@dataclass(frozen=True, slots=True)
class Around:
    """The names of the teams in use, and which rotas in use they have."""

    teams: Mapping[str, str]
    rotas: Mapping[str, str]


async def read_around_rotas(tx: Transaction) -> Around:
    """What is known beside a rota. Nobody else may record teams or rotas meanwhile."""
    found = await tx.fetch_one(_AROUND)
    return Around(found.teams, found.rotas)


async def store_rotas(tx: Transaction, cause: Cause, rotas: Iterable[tuple[str, Rota, bool]]) -> Stored:
    """Stores the rotas (id, rota, whether it is retired) that are new or differ."""
    return await store(tx, _STORE, cause, [_row(*each) for each in rotas])


def rota_of(
    team_id: str, zone: str, shifts: Sequence[Mapping[str, Any]], overrides: Sequence[Mapping[str, Any]]
) -> Rota:
    """A rota from what is stored, or written, of it."""
    return Rota(
        team_id,
        zone,
        tuple(
            Shift(**{**one, "begins": time.fromisoformat(one["begins"]), "ends": time.fromisoformat(one["ends"])})
            for one in shifts
        ),
        tuple(Override(**{**one, **{name: _at(one[name]) for name in ("from_at", "until_at")}}) for one in overrides),
    )


def recorded(row: Row) -> RotaRecorded:
    """The record that is told of a stored rota."""
    return RotaRecorded(**{name: row[name] for name in _COLUMNS})


def _row(id: str, rota: Rota, retired: bool) -> dict[str, Any]:
    shifts = [asdict(one) | {"begins": f"{one.begins:%H:%M}", "ends": f"{one.ends:%H:%M}"} for one in rota.shifts]
    overrides = [
        asdict(one) | {"from_at": instant(one.from_at), "until_at": instant(one.until_at)} for one in rota.overrides
    ]
    return {
        "id": id, "team_id": rota.team_id, "zone": rota.zone, "shifts": shifts, "overrides": overrides,
        "retired": retired,
    }  # fmt: skip


def _at(value: str | datetime) -> datetime:
    return value if isinstance(value, datetime) else datetime.fromisoformat(value)
