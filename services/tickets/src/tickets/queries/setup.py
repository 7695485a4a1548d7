"""Reads what day one lacks: teams without people, holes in rotas, clients of whom nothing is known."""

# ruff: noqa: S608 - every piece that is put into a statement is written in this service

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field

from shared.contract_choice import Standing, choose_contract
from shared.db.statement import query
from shared.db.transaction import Reader
from tickets.domain import setup
from tickets.domain.setup import Found, Kind, Subject, TeamStanding
from tickets.queries.written import Named
from tickets.repository.contracts import contracts_in, contracts_of
from tickets.repository.rotas import rota_of

_MOST = 100


class LackView(BaseModel):
    """One thing that is missing."""

    kind: Kind
    says: str
    action: str
    count: int = Field(description="how many lack it")
    subjects: list[Named] = Field(description=f"which they are, at most {_MOST}")


class SetupView(BaseModel):
    """What is missing before tickets find people, clocks and environments."""

    complete: bool
    lacks: list[LackView]


_FOUND = query(f"""
    SELECT ARRAY(SELECT json_build_object('id', t.id, 'name', t.name, 'has_queue', t.target IS NOT NULL,
                            'has_lead', t.lead IS NOT NULL,
                            'active', (SELECT count(*) FROM jsonb_array_elements_text(t.members) e (id)
                                         JOIN tickets.people p ON p.id = e.id AND p.state = 'active'))
                   FROM tickets.teams t WHERE NOT t.retired ORDER BY t.name_key, t.id) AS teams,
           ARRAY(SELECT json_build_object('id', r.id, 'team_id', r.team_id, 'zone', r.zone, 'shifts', r.shifts,
                            'overrides', r.overrides)
                   FROM tickets.rotas r WHERE NOT r.retired ORDER BY r.id) AS rotas,
           ARRAY(SELECT json_build_object('id', c.id, 'name', c.name, 'contracts', {contracts_of("c.id")})
                   FROM tickets.clients c WHERE NOT c.retired ORDER BY c.name_key, c.id) AS clients,
           ARRAY(SELECT json_build_object('id', c.id, 'name', c.name) FROM tickets.clients c
                  WHERE NOT c.retired AND NOT EXISTS (
                        SELECT FROM tickets.installations i WHERE i.client_id = c.id AND NOT i.retired)
                  ORDER BY c.name_key, c.id) AS without_installation,
           EXISTS (SELECT FROM tickets.calendars) AS has_calendar
""")


async def tell_setup(connection: Reader, now: datetime) -> SetupView:
    """Everything that is missing at an instant, in the order in which it is best mended."""
    row = await connection.fetch_one(_FOUND)
    found = Found(
        [
            TeamStanding(Subject(one["id"], one["name"]), one["has_queue"], one["has_lead"], one["active"])
            for one in row.teams
        ],
        [
            (Subject(one["id"], one["id"]), rota_of(one["team_id"], one["zone"], one["shifts"], one["overrides"]))
            for one in row.rotas
        ],
        _subjects(one for one in row.clients if _standing(one, now) != "in-force"),
        _subjects(row.without_installation),
        has_calendar=row.has_calendar,
    )
    lacks = [
        LackView(
            kind=one.kind,
            says=one.says,
            action=one.action,
            count=len(one.subjects),
            subjects=[Named(id=each.id, name=each.name) for each in one.subjects[:_MOST]],
        )
        for one in setup.lacks(found, now)
    ]
    return SetupView(complete=not lacks, lacks=lacks)


def _standing(client: Mapping[str, Any], now: datetime) -> Standing:
    return choose_contract(contracts_in(client["contracts"]), None, now).standing


def _subjects(rows: Iterable[Mapping[str, Any]]) -> list[Subject]:
    return [Subject(one["id"], one["name"]) for one in rows]
