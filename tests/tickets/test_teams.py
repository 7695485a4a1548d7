"""Teams: what saving one refuses and says, who may, and into whose queue tickets go."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx2
import pytest

from shared.load import read_document
from tests.support.databases import CHECKOUT, Database
from tests.tickets.desk import a_call, cause, open_one
from tests.tickets.door import Desk, at, opened
from tests.tickets.house import GESTION, PEOPLE, fill_house, load, told
from tickets.commands import documents
from tickets.commands import tickets as commands
from tickets.documents import Document
from tickets.domain.routing import TargetWithoutDefault

DEFAULTS = CHECKOUT / "services" / "tickets" / "src" / "tickets" / "defaults.yaml"
TEAM = {
    "name": "Analistas de Sueldos",
    "target": "analysts",
    "members": ["bruno"],
    "covers": [{"product_id": "sueldos"}],
}


@pytest.fixture
async def admin(http: Desk) -> Any:
    await fill_house(http.database)
    async with http.person("natalia", "admin") as client:
        yield client


async def test_a_new_installation_has_a_team_for_each_target_and_nobody_in_it(desk: Database) -> None:
    records = await told(desk)
    assert [(one["id"], one["target"], one["level"], one["lead"], one["members"]) for one in records] == [
        ("analisis-funcional", "functional-analysis", 3, None, []),
        ("analistas", "analysts", 2, None, []),
        ("desarrollo", "development", 3, None, []),
        ("implementaciones", None, None, None, []),
        ("mesa-de-ayuda", "call-centre", 1, None, []),
    ]


async def test_defaults_that_are_loaded_again_leave_alone_what_an_admin_made_of_them(
    http: Desk, admin: httpx2.AsyncClient
) -> None:
    mine = {"name": "Mesa", "target": "call-centre", "members": ["ana"], "covers": [{}]}
    assert (await admin.put("/teams/mesa-de-ayuda", json=mine, headers=at(1))).status_code == 200
    shipped = read_document(DEFAULTS, Document)
    async with http.database.begin() as tx:
        assert await documents.load_defaults(tx, cause(), shipped) == 0  # type: ignore[arg-type]
    assert (await admin.get("/teams/mesa-de-ayuda")).json()["name"] == "Mesa"


async def test_a_team_is_recorded_shown_told_and_equal_ones_change_nothing(
    http: Desk, admin: httpx2.AsyncClient
) -> None:
    new = await admin.put("/teams/sueldos", json=TEAM | {"lead": "bruno"})
    assert (new.status_code, new.headers["etag"]) == (200, '"1"')
    assert (await admin.get("/teams/sueldos")).json() == new.json()
    bruno = {"id": "bruno", "name": "Bruno Díaz", "state": "active"}
    assert {name: new.json()[name] for name in ("level", "lead", "members", "covers")} == {
        "level": 2, "lead": bruno, "members": [bruno],
        "covers": [{"client_id": None, "product_id": "sueldos", "module_id": None}],
    }  # fmt: skip
    same = await admin.put("/teams/sueldos", json=TEAM | {"lead": "bruno", "level": 2})
    assert (same.status_code, same.headers["etag"]) == (200, '"1"')
    assert (await admin.put("/teams/sueldos", json=TEAM)).status_code == 428
    assert (await admin.put("/teams/sueldos", json=TEAM, headers=at(2))).status_code == 412
    assert (await admin.put("/teams/sueldos", json=TEAM, headers=at(1))).json()["lead"] is None
    assert [one["lead"] for one in await told(http.database, "team:sueldos")] == ["bruno", None]


@pytest.mark.parametrize(
    ("id", "changes", "status", "code", "says"),
    [
        ("x1", {"members": ["bruno", "carlo"]}, 422, "unknown-person", "nearest: carla (Carla O'Higgins)"),
        ("x1", {"lead": "ana"}, 422, "lead-is-no-member", "add them to the members"),
        ("x1", {"level": 3}, 422, "level-does-not-fit", "leave the level out"),
        ("x1", {"target": None}, 422, "patterns-without-queue", "give it one"),
        ("x1", {"covers": [{"client_id": "molino"}]}, 422, "unknown-reference", "nearest: molinos"),
        ("x1", {"covers": [{"product_id": "sueldo"}]}, 422, "unknown-reference", "nearest: sueldos (PSA Sueldos)"),
        ("x1", {"covers": [{"module_id": "factura"}]}, 422, "unknown-reference", "nearest: facturacion"),
        ("x1", {"covers": [{"module_id": "balanza", "client_id": "aguero"}]}, 422, "pattern-never-fits", "molinos"),
        ("x1", {"covers": [{"module_id": "balanza", "product_id": "sueldos"}]}, 422, "pattern-never-fits", "gestion"),
        ("x1", {"covers": [{"product_id": "gestion"}]}, 409, "two-teams-cover-the-same", "analistas-gestion covers"),
        ("x1", {"covers": [{}]}, 409, "two-teams-cover-the-same", "analistas covers everything"),
        ("x1", {"covers": [{"product_id": "sueldos"}] * 2}, 409, "two-teams-cover-the-same", "say it once"),
        ("analistas", {}, 409, "target-without-default", "nobody would cover everything for analysts"),
        ("analistas", {"covers": [{}], "retired": True}, 409, "target-without-default", "in one file"),
        ("x1", {"target": "sales"}, 422, "invalid-request", ""),
        ("x1", {"name": " "}, 422, "invalid-request", ""),
        ("x1", {"queue": 1}, 422, "invalid-request", ""),
    ],
)
async def test_a_team_that_makes_no_sense_is_refused_and_told_what_to_do(
    admin: httpx2.AsyncClient, id: str, changes: Any, status: int, code: str, says: str
) -> None:
    answer = await admin.put(f"/teams/{id}", json=TEAM | changes, headers={} if id == "x1" else at(1))
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert says in answer.json()["detail"]


async def test_what_everything_is_covered_by_is_handed_over_in_one_file(desk: Database) -> None:
    await load(desk, people=PEOPLE)
    shipped = {"id": "analistas", "name": "Analistas", "target": "analysts", "covers": [], "retired": True}
    other = {"id": "segundo-nivel", "name": "Segundo nivel", "target": "analysts", "covers": [{}]}
    with pytest.raises(TargetWithoutDefault):
        await load(desk, teams=[shipped])
    assert await load(desk, teams=[shipped, other]) == 2
    done = await open_one(desk)
    async with desk.begin() as tx:
        done = await commands.escalate_ticket(tx, cause(), done.ticket.id, target="analysts", reason="excede")
    assert done.ticket.team == "segundo-nivel"


async def test_two_teams_that_are_saved_at_once_do_not_cover_the_same(http: Desk, admin: httpx2.AsyncClient) -> None:
    answers = await asyncio.gather(*(admin.put(f"/teams/x{number}", json=TEAM) for number in range(6)))
    assert sorted(one.status_code for one in answers) == [200, 409, 409, 409, 409, 409]
    assert await http.database.count("SELECT count(*) FROM tickets.coverages WHERE product_id = 'sueldos'") == 1


async def test_a_retired_team_takes_no_ticket_and_keeps_what_it_covered(http: Desk, admin: httpx2.AsyncClient) -> None:
    facts = {name: GESTION[name] for name in GESTION if name != "id"}
    retired = await admin.put("/teams/analistas-gestion", json=facts | {"retired": True}, headers=at(1))
    assert retired.json()["covers"] == [{"client_id": None, "product_id": "gestion", "module_id": None}]
    routed = (await admin.get("/routing?product=gestion&target=analysts")).json()
    assert routed["team"]["id"] == "analistas"
    assert [one["id"] for one in (await admin.get("/teams?retired=true")).json()["items"]] == ["analistas-gestion"]
    # Its pattern is free for another, and taken when it comes back.
    assert (await admin.put("/teams/x1", json=TEAM | {"covers": [{"product_id": "gestion"}]})).status_code == 200
    back = await admin.put("/teams/analistas-gestion", json=facts, headers=at(2))
    assert back.json()["code"] == "two-teams-cover-the-same"


@pytest.mark.parametrize("path", ["teams/x1", "rotas/x1", "people/ana"])
async def test_only_an_admin_writes_them_and_everybody_reads_them(
    http: Desk, admin: httpx2.AsyncClient, path: str
) -> None:
    async with http.person("hernan", "supervisor") as other:
        assert (await other.put(f"/{path}", json={})).json()["permission"] == "team:write"
        assert (await other.get(f"/{path.partition('/')[0]}")).status_code == 200


async def test_teams_are_listed_by_name_target_and_member(admin: httpx2.AsyncClient) -> None:
    async def ids(query: str) -> list[str]:
        return [one["id"] for one in (await admin.get(f"/teams?{query}")).json()["items"]]

    assert await ids("target=analysts") == ["analistas", "analistas-gestion"]
    assert await ids("member=carla") == ["analistas-gestion"]
    assert await ids("member=nadie") == []
    first = (await admin.get("/teams?limit=4")).json()
    rest = (await admin.get(f"/teams?limit=4&after={first['next']}")).json()
    listed = [one["id"] for one in [*first["items"], *rest["items"]]]
    assert listed == await ids("")
    assert rest["next"] is None
    assert (await admin.get("/teams/nada")).json()["code"] == "no-such-team"


@pytest.mark.parametrize(
    ("query", "team", "others"),
    [
        ("client=molinos&product=gestion&target=analysts", "analistas-gestion", ["analistas"]),
        ("client=molinos&module=facturacion&target=analysts", "analistas-gestion", ["analistas"]),
        ("client=molinos&target=analysts", "analistas", []),
        ("product=gestion", "mesa-de-ayuda", []),
        ("product=sueldos&target=development", "desarrollo", []),
    ],
)
async def test_which_team_and_why_is_an_answer(
    admin: httpx2.AsyncClient, query: str, team: str, others: list[str]
) -> None:
    answer = (await admin.get(f"/routing?{query}")).json()
    assert (answer["team"]["id"], [one["team"]["id"] for one in answer["instead_of"]]) == (team, others)
    assert answer["why"].startswith(f"{team} covers")
    assert all(one["why"] == f"{one['team']['id']} covers everything, which says less than product gestion"
               for one in answer["instead_of"])  # fmt: skip


async def test_a_ticket_goes_into_the_queue_of_the_team_that_covers_it_and_so_does_each_escalation(
    http: Desk, admin: httpx2.AsyncClient, ana: httpx2.AsyncClient
) -> None:
    mostrador = {"name": "Mesa Sueldos", "target": "call-centre", "covers": [{"client_id": "molinos"}]}
    assert (await admin.put("/teams/mesa-molinos", json=mostrador)).status_code == 200
    # The product follows from the module; nobody said it.
    place = await opened(ana, module_id="facturacion")
    assert (await ana.get(place)).json()["team"] == "mesa-molinos"
    escalated = await ana.post(f"{place}/escalate", json={"target": "analysts", "reason": "x"}, headers=at(1))
    assert escalated.json()["team"] == "analistas-gestion"
    for team, found in (("mesa-molinos", 0), ("analistas-gestion", 1)):
        for sort in ("opened", "due"):
            assert len((await ana.get(f"/tickets?team={team}&sort={sort}")).json()["items"]) == found


async def test_a_ticket_stays_where_it_is_when_its_team_covers_something_else(
    http: Desk, admin: httpx2.AsyncClient
) -> None:
    async with http.database.begin() as tx:
        ticket = (await commands.open_ticket(tx, cause(), a_call())).ticket
        done = await commands.escalate_ticket(tx, cause(), ticket.id, target="analysts", reason="excede")
    await load(http.database, teams=[GESTION | {"covers": []}])
    assert (await admin.get(f"/tickets/{ticket.id}")).json()["team"] == done.ticket.team == "analistas-gestion"


async def test_a_team_is_found_by_an_index_and_so_is_its_queue(desk: Database) -> None:
    async with desk.connect() as connection:
        await connection.execute("SET enable_seqscan = off; SET enable_sort = off")

        async def plan(words: str) -> str:
            return "\n".join(row[0] for row in await connection.fetch(f"EXPLAIN {words}"))

        covering = (
            "SELECT FROM tickets.coverages v WHERE v.target = 'analysts' AND (v.client_id IS NULL OR v.client_id = 'x')"
        )
        assert "coverages_by_pattern" in await plan(covering)
        assert "teams_by_member" in await plan(
            "SELECT FROM tickets.teams t WHERE t.members @> jsonb_build_array(CAST('ana' AS text))"
        )
        queue = "SELECT id FROM tickets.open_tickets WHERE team = 'x' ORDER BY opened_at DESC, id DESC LIMIT 51"
        assert "open_tickets_by_team" in await plan(queue)


async def test_the_defaults_are_loaded_by_migrate_and_no_others(database: Callable[[str], Awaitable[Database]]) -> None:
    made = await database("tickets")
    assert await made.count("SELECT count(*) FROM tickets.teams") == 5
    assert await made.count("SELECT count(*) FROM tickets.people") == 0
