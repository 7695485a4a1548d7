"""The HTTP door: what is accepted, what is answered, and what a refusal says."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest

from shared import clock
from shared.http.app import doors_of
from shared.ids import new_id
from tests.support.urgency import impact_of
from tests.tickets import told
from tests.tickets.desk import deliver, received, rows
from tests.tickets.door import CALL, Desk, at, id_in, opened
from tickets.api.lists import BY_DUE
from tickets.queries.tickets import TicketForCaller

ALWAYS = json.dumps([{"from_at": "2026-11-02T14:03:00Z", "calendar_id": "24x7", "calendar_version": 1}])


async def test_opening_answers_number_place_and_version(http: Desk, ana: httpx2.AsyncClient) -> None:
    answer = await ana.post("/tickets", json=CALL)
    assert answer.status_code == 201
    body = answer.json()
    assert answer.headers["etag"] == '"1"'
    assert answer.headers["location"] == f"/v1/tickets/{body['id']}"
    assert {name: body[name] for name in body if name not in ("id", "facts")} == {
        "number": "T-000001", "version": 1, "status": "new", "severity": 2, "priority": 2, "immediate": False,
        "level": 1, "target": None, "team": "mesa-de-ayuda", "owner": "ana", "assignee": None,
    }  # fmt: skip
    assert len(body["facts"]) == 1
    # One for who called, one for the ticket.
    assert http.hints == 2


async def test_the_view_is_what_the_openapi_document_says(http: Desk, ana: httpx2.AsyncClient) -> None:
    place = await opened(ana)
    async with http.database.begin() as tx:
        for event in told.whole_story(id_in(place)):
            await deliver(tx, [event])
    answer = await ana.get(place)
    assert (answer.status_code, answer.headers["etag"], answer.headers["cache-control"]) == (200, '"2"', "no-store")
    assert answer.headers["content-type"] == "application/json"
    described = TicketForCaller.model_validate_json(answer.content).model_dump(mode="json")
    assert same_instants(described) == same_instants(answer.json())
    document = http.app.openapi()
    operation = document["paths"]["/v1/tickets/{ticket_id}"]["get"]
    schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
    assert schema == {"$ref": "#/components/schemas/TicketForCaller"}
    assert set(document["components"]["schemas"]["TicketForCaller"]["required"]) == set(answer.json())


def same_instants(value: Any) -> Any:
    """The value with its instants as instants, since `Z` and `+00:00` are the same."""
    if isinstance(value, dict):
        return {name: same_instants(one) for name, one in value.items()}
    if isinstance(value, list):
        return [same_instants(one) for one in value]
    if isinstance(value, str) and value[4:5] == "-" and "T" in value:
        return datetime.fromisoformat(value)
    return value


async def test_a_whole_life_over_http(http: Desk, ana: httpx2.AsyncClient) -> None:
    place = await opened(ana)
    steps: list[tuple[str, dict[str, Any] | None, str]] = [
        ("assign", {}, "in_progress"),
        ("respond", {"text": "lo estamos viendo"}, "in_progress"),
        ("hold", {"reason": "waiting-for-client", "note": "¿qué versión?"}, "on_hold"),
        ("release", None, "in_progress"),
        ("escalate", {"target": "analysts", "reason": "excede al nivel 1"}, "in_progress"),
        ("escalate", {"target": "development", "reason": "es un error"}, "in_progress"),
        ("assign", {"assignee": "bruno"}, "in_progress"),
        ("resolve", {"code": "error-corregido", "text": "versión 8.2.2"}, "resolved"),
        ("close", None, "closed"),
    ]
    async with http.person("bruno", "analyst") as bruno:
        for version, (action, body, status) in enumerate(steps, start=2):
            who = bruno if version >= 7 else ana
            answer = await who.post(f"{place}/{action}", json=body, headers=at(version - 1))
            assert answer.status_code == 200, answer.text
            assert (answer.json()["status"], answer.json()["version"], answer.headers["etag"]) == (
                status, version, f'"{version}"',
            )  # fmt: skip
    found = (await ana.get(place)).json()
    assert (found["level"], found["target"], found["assignee"]) == (3, "development", "bruno")
    assert [entry["type"].split(".")[2] for entry in found["history"]] == [
        "opened", "assigned", "responded", "held", "released", "escalated", "escalated", "assigned", "resolved",
        "closed",
    ]  # fmt: skip
    assert found["history"][1]["data"]["assignee"] == "ana"


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"severity": 5}, "#/severity"),
        ({"kind": "update"}, "#/kind"),
        ({"title": "  "}, "#/title"),
        ({"title": "dos\nlíneas"}, "#/title"),
        ({"title": "dos\u2029líneas"}, "#/title"),
        ({"title": "\u200b\u2800"}, "#/title"),
        ({"reporter": "\u3164"}, "#/reporter"),
        ({"client_id": "Not A Code"}, "#/client_id"),
        ({"reported_at": "2026-11-02T14:03:00"}, "#/reported_at"),
        ({"impact": {"operational": 0, "economic": None}}, "#/impact/operational"),
        ({"impact": {"operational": 1}}, "#/impact/economic"),
        ({"impact": None}, "#/impact"),
        ({"priority": 0}, "#/priority"),
        ({"team": "analistas"}, "#/team"),
        ({"description": "x" * 20_001}, "#/description"),
    ],
)
async def test_a_wrong_field_is_named(ana: httpx2.AsyncClient, changes: dict[str, Any], pointer: str) -> None:
    answer = await ana.post("/tickets", json=CALL | changes)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert [one["pointer"] for one in answer.json()["errors"]] == [pointer]


@pytest.mark.parametrize(
    ("changes", "code", "advice"),
    [
        ({"client_id": "nadie"}, "unknown-reference", "GET /v1/clients?q="),
        ({"module_id": "nada"}, "unknown-reference", "leave it out when nobody can say it"),
        ({"client_id": "aguero", "module_id": "balanza"}, "groups-do-not-fit", "choose one of this client"),
        (
            {"product_id": "sueldos", "module_id": "facturacion"},
            "groups-do-not-fit",
            "belongs to the product 'gestion'",
        ),
        ({"severity": 1}, "reason-missing", "say in severity_reason why it is 1"),
        ({"priority": 4}, "reason-missing", "the priority that follows is 2"),
        ({"category": "error"}, "unknown-category", "error-que-detiene (Error que detiene)"),
        ({"category": "lentitud"}, "answers-missing", "null where nobody knows: que-hacia (¿Qué estaba haciendo?)"),
        ({"answers": [{"question": "mensaje", "text": "x"}]}, "unknown-question", "answers belong to a category"),
        ({"reported_at": "2199-01-01T00:00:00Z"}, "reported-in-the-future", "correct it"),
    ],
)
async def test_what_makes_no_sense_is_refused_with_what_to_do(
    ana: httpx2.AsyncClient, changes: dict[str, Any], code: str, advice: str
) -> None:
    answer = await ana.post("/tickets", json=CALL | changes)
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (422, code)
    assert advice in problem["detail"]


async def test_a_late_registration_needs_a_reason_and_an_old_one_a_supervisor(
    http: Desk, ana: httpx2.AsyncClient
) -> None:
    hour_ago = {"reported_at": (clock.now() - timedelta(hours=1)).isoformat()}
    days_ago = {"reported_at": (clock.now() - timedelta(days=2)).isoformat(), "reported_late_reason": "fin de semana"}
    assert (await ana.post("/tickets", json=CALL | hour_ago)).json()["code"] == "late-reason-missing"
    assert (await ana.post("/tickets", json=CALL | days_ago)).json()["code"] == "reported-too-long-ago"
    place = await opened(ana, **hour_ago, reported_late_reason="se cayó la red")
    assert (await ana.get(place)).json()["reported_late_reason"] == "se cayó la red"
    async with http.person("sofia", "supervisor") as sofia:
        await opened(sofia, **days_ago)


async def test_an_instant_of_1970_is_refused_from_a_supervisor_too(http: Desk) -> None:
    async with http.person("sofia", "supervisor") as sofia:
        for ago in (timedelta(days=91), clock.now() - datetime(1970, 1, 1, tzinfo=UTC)):
            told = {"reported_at": (clock.now() - ago).isoformat(), "reported_late_reason": "carga de históricos"}
            answer = await sofia.post("/tickets", json=CALL | told)
            assert (answer.status_code, answer.json()["code"]) == (422, "too-old-to-register")
            assert "90 days" in answer.json()["detail"]
    assert await http.database.count("SELECT count(*) FROM tickets.tickets") == 0


async def test_impact_answers_give_the_severity_and_no_se_asks_for_a_review(ana: httpx2.AsyncClient) -> None:
    place = await opened(ana, impact={"operational": 1, "economic": None})
    found = (await ana.get(place)).json()
    assert (found["severity"], found["severity_to_review"]) == (2, True)


async def test_a_state_that_does_not_allow_it_answers_409_and_what_is_possible(ana: httpx2.AsyncClient) -> None:
    place = await opened(ana)
    answer = await ana.post(f"{place}/close", headers=at(1))
    problem = answer.json()
    assert (answer.status_code, problem["code"], problem["ticket_status"]) == (409, "action-not-allowed", "new")
    assert problem["allowed"] == [
        "assign", "cancel", "complete", "escalate", "hand-over", "hold", "join", "leave", "link", "note", "resolve",
        "respond", "unlink",
    ]  # fmt: skip
    assert (await ana.get(place)).headers["etag"] == '"1"'


async def test_level_one_does_not_skip_the_analysts_but_a_supervisor_does(http: Desk, ana: httpx2.AsyncClient) -> None:
    place = await opened(ana)
    body = {"target": "development", "reason": "hay que corregirlo"}
    for role in ("agent", "analyst", "liaison"):
        async with http.person("x", role) as somebody:
            answer = await somebody.post(f"{place}/escalate", json=body, headers=at(1))
        assert (answer.status_code, answer.json()["code"]) == (409, "level-skipped")
        assert answer.json()["permission"] == "ticket:skip-level"
    async with http.person("sofia", "supervisor") as sofia:
        assert (await sofia.post(f"{place}/escalate", json=body, headers=at(1))).json()["level"] == 3


async def test_an_agent_does_not_derive_to_the_third_level_and_an_analyst_does(
    http: Desk, ana: httpx2.AsyncClient
) -> None:
    place = await opened(ana)
    await ana.post(f"{place}/escalate", json={"target": "analysts", "reason": "excede"}, headers=at(1))
    body = {"target": "development", "reason": "hay que corregirlo"}
    answer = await ana.post(f"{place}/escalate", json=body, headers=at(2))
    problem = answer.json()
    assert (answer.status_code, problem["code"], problem["permission"]) == (
        403, "permission-missing", "ticket:derive",
    )  # fmt: skip
    async with http.person("bruno", "analyst") as bruno:
        assert (await bruno.post(f"{place}/escalate", json=body, headers=at(2))).json()["target"] == "development"


async def test_an_agent_takes_a_p1_s1_wherever_it_must_go(http: Desk, ana: httpx2.AsyncClient) -> None:
    place = await opened(ana, impact=impact_of(1))
    async with http.database.begin() as tx:
        await rows(tx, "UPDATE tickets.tickets SET priority = 1 RETURNING id")
    body = {"target": "development", "reason": "todo parado"}
    assert (await ana.post(f"{place}/escalate", json=body, headers=at(1))).json()["level"] == 3


@pytest.mark.parametrize("path", ["", "/history", "/close"])
async def test_a_ticket_that_does_not_exist_answers_404(ana: httpx2.AsyncClient, path: str) -> None:
    method = "POST" if path == "/close" else "GET"
    answer = await ana.request(method, f"/tickets/{new_id()}{path}", headers=at("*"))
    assert (answer.status_code, answer.json()["code"]) == (404, "ticket-not-found")
    assert "GET /v1/tickets?q=" in answer.json()["detail"]


async def test_lists_are_paged_by_their_cursor(ana: httpx2.AsyncClient) -> None:
    places = [await opened(ana, title=f"Caso {number}") for number in range(5)]
    for sort in ("opened", "due"):
        found: list[str] = []
        after: dict[str, Any] = {}
        while True:
            answer = await ana.get("/tickets", params={"limit": 2, "sort": sort, **after})
            page = answer.json()
            found += [f"/tickets/{row['id']}" for row in page["items"]]
            assert page["limit"] == 2
            assert len(found) < 100, "the pages do not end"
            if page["next"] is None:
                break
            after = {"after": page["next"]}
        assert sorted(found) == sorted(places)
        assert len(found) == 5
    page = (await ana.get("/tickets", params={"limit": 2})).json()
    answer = await ana.get("/tickets", params={"sort": "due", "after": page["next"]})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid-cursor")


async def test_filters_of_the_list_are_checked(ana: httpx2.AsyncClient) -> None:
    place = await opened(ana)
    answer = await ana.get("/tickets", params={"status": "lost"})
    assert (answer.status_code, answer.json()["errors"][0]["parameter"]) == (422, "status.0")
    await ana.post(f"{place}/resolve", json={"code": "configuracion", "text": "x"}, headers=at(1))
    await ana.post(f"{place}/close", headers=at(2))
    counts = [len((await ana.get(f"/tickets?status={one}")).json()["items"]) for one in ("open", "closed", "all")]
    assert counts == [0, 1, 1]
    assert (await ana.get("/tickets")).json()["items"] == []
    refused = await ana.get("/tickets?status=all&sort=due")
    assert (refused.status_code, refused.json()["code"]) == (422, "ended-tickets-have-no-due")
    refused = await ana.get("/tickets?status=all&q=el")
    assert (refused.status_code, refused.json()["code"]) == (422, "question-too-short")


async def test_a_cursor_with_any_numbers_is_a_place_in_the_queue(ana: httpx2.AsyncClient) -> None:
    await opened(ana)
    for far, count in ((-(2**63) + 1, 1), (2**63 - 1, 0)):
        cursor = BY_DUE.cursor(far, far, far, far, new_id())
        answer = await ana.get("/tickets", params={"sort": "due", "after": cursor})
        assert (answer.status_code, len(answer.json()["items"])) == (200, count)


async def test_history_and_clients_are_paged_too(ana: httpx2.AsyncClient) -> None:
    place = await opened(ana)
    await ana.post(f"{place}/assign", json={}, headers=at(1))
    first = (await ana.get(f"{place}/history", params={"limit": 1})).json()
    second = (await ana.get(f"{place}/history", params={"limit": 1, "after": first["next"]})).json()
    assert [first["items"][0]["type"], second["items"][0]["type"], second["next"]] == [
        "desk.ticket.opened.v1", "desk.ticket.assigned.v1", None,
    ]  # fmt: skip
    clients = (await ana.get("/clients", params={"q": "parana"})).json()
    assert [(one["id"], one["phone"]) for one in clients["items"]] == [("molinos", "+54 341 555 0101")]


async def test_a_fact_that_arrives_between_two_pages_with_an_earlier_time_is_on_the_later_one(
    http: Desk, ana: httpx2.AsyncClient
) -> None:
    place = await opened(ana)
    await ana.post(f"{place}/assign", json={}, headers=at(1))
    first = (await ana.get(f"{place}/history", params={"limit": 1})).json()
    async with http.database.begin() as tx:
        # Long ago: NOW of the other services lies before the ticket.
        late = received(told.unknown(id_in(place), 1).data, at=clock.now() - timedelta(hours=1))
        await deliver(tx, [late])
    second = (await ana.get(f"{place}/history", params={"limit": 10, "after": first["next"]})).json()
    assert [entry["fact_id"] for entry in second["items"]][1:] == [str(late.id)]
    shown = (await ana.get(place)).json()["history"]
    assert shown[0]["fact_id"] == str(late.id)
    assert {entry["fact_id"] for entry in shown} == {
        entry["fact_id"] for page in (first, second) for entry in page["items"]
    }


async def test_no_route_is_open(http: Desk) -> None:
    transport = httpx2.ASGITransport(app=http.app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://desk") as stranger:
        doors = [door for door in doors_of(http.app) if door.path.startswith("/v1/")]
        assert len(doors) == 53
        for door in doors:
            answer = await stranger.request(door.method, door.path.replace("{ticket_id}", str(new_id())))
            assert answer.status_code == 401, door


async def test_a_ticket_with_two_running_resolution_clocks_is_handed_on_with_the_earlier_due(
    http: Desk, ana: httpx2.AsyncClient
) -> None:
    """An owner that was restored may tell of another clock beside the one that is known: no reason to stop working."""
    place = await opened(ana)
    dues = [clock.now().replace(microsecond=0) + timedelta(hours=hours) for hours in (9, 5)]
    async with http.database.connect() as connection:
        for due_at in dues:
            await connection.execute(
                "INSERT INTO tickets.clocks (id, ticket_id, kind, cycle, course, outcome, contract_version, "
                "target_seconds, elapsed_seconds, started_at, since, due_at, counted_in, sequence) "
                "VALUES ($1, $2, 'resolution', 1, 'running', 'pending', 0, 36000, 0, now(), now(), $3, $4, 1)",
                new_id(), id_in(place), due_at, ALWAYS,
            )  # fmt: skip
    handed_on = await ana.post(f"{place}/escalate", json={"target": "analysts", "reason": "excede"}, headers=at("*"))
    assert handed_on.status_code == 200, handed_on.text
    async with http.database.connect() as connection:
        value = await connection.fetchval("SELECT value FROM runtime.archive ORDER BY position DESC LIMIT 1")
    assert datetime.fromisoformat(json.loads(value)["resolution_due_at"]) == min(dues)
    view, listed = await ana.get(place), await ana.get("/tickets")
    assert [datetime.fromisoformat(one["due_at"]) for one in view.json()["clocks"]] == dues
    assert [datetime.fromisoformat(one["next_due"]["at"]) for one in listed.json()["items"]] == [min(dues)]
