"""Who works in the tests: people, teams and rotas, as their commands record them."""

from __future__ import annotations

import json
from typing import Any

from tests.support.databases import Database
from tests.tickets.desk import cause, rows
from tickets.commands import documents
from tickets.documents import Document

PEOPLE = [
    {"id": "ana", "name": "Ana Ñáñez", "roles": ["agent"], "mail": "ana@soporte.example"},
    {"id": "bruno", "name": "Bruno Díaz", "roles": ["analyst"], "telephone": "+54 11 5555-0002"},
    {"id": "carla", "name": "Carla O'Higgins", "roles": ["analyst", "liaison"]},
]  # fmt: skip
GESTION = {
    "id": "analistas-gestion", "name": "Analistas de Gestión", "target": "analysts", "lead": "bruno",
    "members": ["carla", "bruno"], "covers": [{"product_id": "gestion"}],
}  # fmt: skip
NIGHTS = {
    "id": "guardia", "team_id": "analistas-gestion", "zone": "America/Argentina/Buenos_Aires",
    "shifts": [
        {"place": place, "day": day, "begins": "18:00", "ends": "09:00", "person_id": who}
        for place, who in ((1, "bruno"), (2, "carla"))
        for day in ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
    ],
}  # fmt: skip


async def load(database: Database, **document: Any) -> int:
    """What a file with these records changes."""
    async with database.begin() as tx:
        return await documents.load_document(tx, cause(), Document.model_validate(document))


async def fill_house(database: Database) -> None:
    """People, a team and its rota."""
    await load(database, people=PEOPLE, teams=[GESTION], rotas=[NIGHTS])


async def told(database: Database, key: str | None = None) -> list[Any]:
    """The records that were told on desk.teams.v1, of one key or of all, in order."""
    async with database.begin() as tx:
        found = await rows(
            tx,
            "SELECT value FROM runtime.archive WHERE topic = 'desk.teams.v1' AND key = COALESCE(:key, key) "
            "ORDER BY position",
            key=key,
        )
    return [json.loads(row["value"]) for row in found]
