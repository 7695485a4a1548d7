"""The board over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from uuid import uuid4

import httpx2
import pytest

from devlink.api import router
from shared.contracts.devlink import DevTaskStatusChanged
from shared.contracts.tickets import HoldBrief, TicketClosed, TicketHeld
from shared.http.app import create_app
from shared.http.auth import Authenticator
from tests.devlink.scene import AT, escalated, hear, published, put_on_board, received
from tests.shared.http.issuer import LocalIssuer
from tests.support.briefs import ticket_brief
from tests.support.databases import Database

Databases = Callable[[str], Awaitable[Database]]


@pytest.fixture
async def devlink(database: Databases) -> Database:
    return await database("devlink")


@pytest.fixture
async def http(devlink: Database) -> AsyncIterator[httpx2.AsyncClient]:
    async with LocalIssuer().serving() as issuer:
        app = create_app(
            service="devlink", description="test", routers=[router], engine=devlink.engine, hint=lambda: None,
            authenticator=Authenticator(issuer.url),
        )  # fmt: skip
        async with httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app=app),
            base_url="http://devlink",
            headers={"authorization": f"Bearer {issuer.token(sub='nora', roles=['developer'])}"},
        ) as client:
            yield client


def at(version: int) -> dict[str, str]:
    """The header of a change of this version."""
    return {"if-match": f'"{version}"'}


async def names(http: httpx2.AsyncClient, path: str) -> list[str]:
    answer = await http.get(path)
    assert answer.status_code == 200, answer.text
    return [item["display_id"] for item in answer.json()["items"]]


async def test_no_route_is_open_without_a_token(http: httpx2.AsyncClient) -> None:
    assert (await http.get("/v1/board", headers={"authorization": ""})).status_code == 401


async def test_tasks_are_listed_newest_first_and_filtered(http: httpx2.AsyncClient, devlink: Database) -> None:
    first, second, third = escalated(), escalated(client="la-yapa"), escalated()
    ids = await put_on_board(devlink, first, second, third)
    await http.post(f"/v1/tasks/{ids[2]}/move", json={"status": "triaged"}, headers=at(1))
    assert await names(http, "/v1/tasks") == ["DEV-3", "DEV-2", "DEV-1"]
    assert await names(http, "/v1/tasks?client=la-yapa") == ["DEV-2"]
    assert await names(http, f"/v1/tasks?ticket={first.data.ticket_id}") == ["DEV-1"]
    assert await names(http, "/v1/tasks?status=new") == ["DEV-2", "DEV-1"]
    assert await names(http, "/v1/tasks?status=new&client=arenales") == ["DEV-1"]
    assert await names(http, "/v1/tasks?status=released") == []


async def test_pages_give_every_task_once_and_in_order(http: httpx2.AsyncClient, devlink: Database) -> None:
    await put_on_board(devlink, *(escalated() for _ in range(5)))
    seen: list[str] = []
    after = ""
    while True:
        page = (await http.get(f"/v1/tasks?limit=2{after}")).json()
        seen += [item["display_id"] for item in page["items"]]
        if page["next"] is None:
            break
        after = f"&after={page['next']}"
    assert seen == ["DEV-5", "DEV-4", "DEV-3", "DEV-2", "DEV-1"]
    assert (await http.get("/v1/tasks?after=nonsense")).json()["code"] == "invalid-cursor"


async def test_a_move_answers_the_task_as_it_now_is_and_is_published(
    http: httpx2.AsyncClient, devlink: Database
) -> None:
    [id_] = await put_on_board(devlink, escalated())
    answer = await http.post(f"/v1/tasks/{id_}/move", json={"status": "triaged"}, headers=at(1))
    assert answer.status_code == 200, answer.text
    assert answer.headers["etag"] == '"2"'
    assert answer.json() == (await http.get(f"/v1/tasks/{id_}")).json()
    assert (answer.json()["status"], answer.json()["possible_moves"]) == ("triaged", ["in_progress", "declined"])
    assert answer.json()["trace"][-1]["actor"] == "nora"
    [told] = await published(devlink, DevTaskStatusChanged.type)
    assert (told["data"]["task"]["status"], told["actor"]) == ("triaged", "nora")
    assert told["data"]["task"]["url"] == f"http://127.0.0.1:8440/v1/tasks/{id_}"


async def test_a_task_shows_how_each_ticket_that_waits_for_it_stands_now(
    http: httpx2.AsyncClient, devlink: Database
) -> None:
    escalation, other = escalated(severity=2), escalated()
    [id_, _] = await put_on_board(devlink, escalation, other)

    async def shown() -> tuple[Any, ...]:
        [link] = (await http.get(f"/v1/tasks/{id_}")).json()["links"]
        return link["ticket_status"], link["ticket_severity"], link["ticket_assignee"]

    assert await shown() == (None, None, None), "devlink has not heard of the ticket"
    await hear(devlink, escalation)
    assert await shown() == ("in_progress", 2, None)
    held = TicketHeld(
        ticket_id=escalation.data.ticket_id,
        ticket=ticket_brief(
            version=6, status="on_hold", severity=1, assignee="leo", hold=HoldBrief(reason="development", since=AT)
        ),
        reason="development",
        note="",
    )
    await hear(devlink, received(held, sequence=9))
    assert await shown() == ("on_hold", 1, "leo")
    closed = TicketClosed(ticket_id=other.data.ticket_id, ticket=ticket_brief(status="closed"))
    await hear(devlink, escalation, received(closed, sequence=10))
    assert await shown() == ("on_hold", 1, "leo"), "what is told again is no news, and another ticket is another"


async def test_a_status_that_nobody_knows_yet_is_shown_as_it_is(http: httpx2.AsyncClient, devlink: Database) -> None:
    escalation = escalated()
    [id_] = await put_on_board(devlink, escalation)
    later = TicketClosed(ticket_id=escalation.data.ticket_id, ticket=ticket_brief(status="waiting-for-moon"))
    await hear(devlink, received(later))
    answer = await http.get(f"/v1/tasks/{id_}")
    assert [link["ticket_status"] for link in answer.json()["links"]] == ["waiting-for-moon"]


async def test_a_task_is_assigned_and_given_back(http: httpx2.AsyncClient, devlink: Database) -> None:
    [id_] = await put_on_board(devlink, escalated())
    taken = await http.post(f"/v1/tasks/{id_}/assign", json={"assignee": "nora"}, headers=at(1))
    assert (taken.status_code, taken.json()["assignee"]) == (200, "nora")
    given_back = await http.post(f"/v1/tasks/{id_}/assign", json={"assignee": None}, headers=at(2))
    assert (given_back.json()["assignee"], given_back.headers["etag"]) == (None, '"3"')


@pytest.mark.parametrize(("action", "body"), [("move", {"status": "triaged"}), ("assign", {"assignee": "nora"})])
async def test_a_task_is_changed_by_who_has_seen_it_and_once_for_each_key(
    http: httpx2.AsyncClient, devlink: Database, action: str, body: dict[str, Any]
) -> None:
    [id_] = await put_on_board(devlink, escalated())
    path = f"/v1/tasks/{id_}/{action}"
    missing = await http.post(path, json=body)
    assert (missing.status_code, missing.json()["code"]) == (428, "version-not-stated")
    first, again = [await http.post(path, json=body, headers=at(1) | {"idempotency-key": "k"}) for _ in range(2)]
    assert (first.status_code, first.headers["etag"]) == (again.status_code, again.headers["etag"]) == (200, '"2"')
    assert first.content == again.content
    old = await http.post(path, json=body, headers=at(1))
    assert (old.status_code, old.json()["version"], old.headers["etag"]) == (412, 2, '"2"')
    (since,) = old.json()["since"]
    assert (since["version"], since["actor"]) == (2, "nora")
    assert {"move": ("status", "new", "triaged"), "assign": ("assignee", None, "nora")}[action] == (
        since["field"], since["old"], since["new"],
    )  # fmt: skip
    assert (await http.get(f"/v1/tasks/{id_}")).headers["etag"] == '"2"'


@pytest.mark.parametrize(
    ("action", "body", "status", "code"),
    [
        ("move", {"status": "released", "fix_version": "7.4.3"}, 409, "move-not-possible"),
        ("move", {"status": "declined"}, 422, "reason-needed"),
        ("move", {"status": "declined", "reason": "  "}, 422, "invalid-request"),
        ("move", {"status": "lost"}, 422, "invalid-request"),
        ("move", {"status": "triaged", "fix_version": "dos\nlíneas"}, 422, "invalid-request"),
        ("move", {"status": "triaged", "por": "qué"}, 422, "invalid-request"),
        ("move", {}, 422, "invalid-request"),
        ("assign", {}, 422, "invalid-request"),
        ("assign", {"assignee": ""}, 422, "invalid-request"),
    ],
)
async def test_what_makes_no_sense_is_refused_with_a_code(
    http: httpx2.AsyncClient, devlink: Database, action: str, body: dict[str, Any], status: int, code: str
) -> None:
    [id_] = await put_on_board(devlink, escalated())
    answer = await http.post(f"/v1/tasks/{id_}/{action}", json=body, headers=at(1))
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert (await http.get(f"/v1/tasks/{id_}")).headers["etag"] == '"1"'


async def test_a_refused_move_says_what_is_possible_instead(http: httpx2.AsyncClient, devlink: Database) -> None:
    [id_] = await put_on_board(devlink, escalated())
    problem = (await http.post(f"/v1/tasks/{id_}/move", json={"status": "fixed"}, headers=at(1))).json()
    assert problem["possible"] == ["triaged", "declined"]
    assert problem["detail"] == "The task is new: from there it can only become triaged or declined."


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [("GET", "", None), ("POST", "/move", {"status": "triaged"}), ("POST", "/assign", {"assignee": "nora"})],
)
async def test_a_task_that_is_not_there_is_not_found(
    http: httpx2.AsyncClient, method: str, path: str, body: dict[str, Any] | None
) -> None:
    answer = await http.request(method, f"/v1/tasks/{uuid4()}{path}", json=body, headers=at(1))
    assert (answer.status_code, answer.json()["code"]) == (404, "no-such-task")


async def test_the_board_counts_every_column_and_shows_the_most_urgent_first(
    http: httpx2.AsyncClient, devlink: Database
) -> None:
    urgencies = [(3, 1), (1, 4), (1, 2), (2, 2)]
    ids = await put_on_board(devlink, *(escalated(severity=s, priority=p) for s, p in urgencies))
    await http.post(f"/v1/tasks/{ids[3]}/move", json={"status": "triaged"}, headers=at(1))
    board = (await http.get("/v1/board?size=2")).json()["columns"]
    assert [column["status"] for column in board] == [
        "new", "triaged", "in_progress", "in_review", "fixed", "released", "declined",
    ]  # fmt: skip
    assert [column["count"] for column in board] == [3, 1, 0, 0, 0, 0, 0]
    assert [task["display_id"] for task in board[0]["tasks"]] == ["DEV-3", "DEV-2"]
    assert [task["display_id"] for task in board[1]["tasks"]] == ["DEV-4"]
