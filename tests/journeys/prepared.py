"""Tickets in every state, tasks for some of them, and what fuzzing takes its parameters from: each action is doable."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2

from tests.journeys.desk import act, open_ticket, until
from tests.support.eventually import eventually
from tests.support.system import System

CLIENTS = ["alimentos-don-evaristo", "metalurgica-arenales", "lacteos-pampa-honda"]
PRODUCTS = ["factela", "kontar"]
# The columns of the board that a new task may go to, and where it goes from there.
NEXT = ["triaged", "in_progress"]
OF_EACH_STATE = 8
# What the tickets are prepared for.
GROUPS = ("held", "resolved", "escalated", "new", "unwanted", "shared", "calling", "vague", "linked")
OF_INVENTORY = {
    "PUT /v1/installations/{id} path.id": ["metalurgica-arenales-kontar"],
    "PUT /v1/installations/{id} body.client_id": ["metalurgica-arenales"],
    "PUT /v1/installations/{id} body.product_id": ["kontar"],
    "PUT /v1/modules/{id} path.id": ["kontar-orden-corte"],
    "PUT /v1/modules/{id} body.client_id": ["metalurgica-arenales"],
    "PUT /v1/modules/{id} body.product_id": ["kontar"],
    "PUT /v1/modules/{id} body.nature": ["customised"],
    "PUT /v1/products/{id} path.id": PRODUCTS,
}
# A call of which only the client was known, and what can be named later.
VAGUE = {"client_id": "metalurgica-arenales", "product_id": None}
NAMED = {"product_id": "kontar", "module_id": "kontar-stock", "installation_id": "metalurgica-arenales-kontar"}
LINK = {"relation": "related"}
# Somebody who works here and has nothing to do with the tickets.
OTHER = "sofia.herrera"
OF_THE_HOUSE = {
    f"{method} /v1/{noun}/{{id}} path.id": [known]
    for noun, known in (("people", "lucia.gomez"), ("teams", "administracion"), ("rotas", "analistas-guardia"))
    for method in ("GET", "PUT")
} | {
    "PUT /v1/rotas/{id} body.team_id": ["analistas"],
    "GET /v1/on-call query.team": ["analistas"],
    "body.assignee": [OTHER],
    "body.owner": [OTHER],
    "body.person_id": [OTHER],
    "POST /v1/take-next body.team": ["mesa-de-ayuda"],
}


async def prepare(system: System) -> dict[str, dict[str, list[str]]]:
    """Brings about what the actions need; what the parameters of each service are taken from."""
    async with system.client("tickets", "supervisor") as desk, system.client("devlink", "developer") as board:
        group = {name: await _open(desk, **VAGUE if name == "vague" else {}) for name in GROUPS}
        for ticket in group["held"]:
            await act(desk, ticket, "hold", reason="third-party", note="mañana")
        for ticket in group["resolved"]:
            await act(desk, ticket, "resolve", code="error-corregido", text="listo")
        for ticket in group["shared"]:
            await act(desk, ticket, "join", person_id=OTHER, role="working")
        for ticket in [*group["escalated"], *group["calling"]]:
            await act(desk, ticket, "escalate", target="development", reason="error")
        for ticket in group["linked"]:
            await act(desk, ticket, "link", **LINK, other=group["new"][0])
        tasks = await _tasks(board, OF_EACH_STATE * 2)
        declined = [await _decline_task_of(desk, board, ticket) for ticket in group["calling"]]
    return _pools(group, [task["id"] for task in tasks if task["id"] not in declined])


async def _open(desk: httpx2.AsyncClient, **said: Any) -> list[str]:
    return [str((await open_ticket(desk, **{"severity": 1, **said}))["id"]) for _ in range(OF_EACH_STATE)]


async def _decline_task_of(desk: httpx2.AsyncClient, board: httpx2.AsyncClient, ticket: str) -> str:
    """The task of a ticket, declined: the ticket calls its owner because of that."""
    seen = await until(desk, ticket, lambda seen: seen["tasks"])
    task = str(seen["tasks"][0]["id"])
    body = {"status": "declined", "reason": "así lo pide ARCA"}
    answer = await board.post(f"/v1/tasks/{task}/move", json=body, headers={"if-match": "*"})
    assert answer.status_code == 200, answer.text
    await until(desk, ticket, lambda seen: seen["attention"])
    return task


async def _tasks(board: httpx2.AsyncClient, many: int) -> list[dict[str, Any]]:
    """All tasks, as soon as there are so many."""

    async def all_tasks() -> list[dict[str, Any]] | None:
        found = (await board.get("/v1/tasks?limit=200")).json()["items"]
        return found if len(found) == many else None

    return await eventually(all_tasks) or []


def _pools(group: Mapping[str, list[str]], tasks: list[str]) -> dict[str, dict[str, list[str]]]:
    # Whatever the owner does answers what a ticket calls for, so nothing else is done to those that call.
    known = {
        "header.If-Match": ["*"],
        "path.ticket_id": [ticket for name, pool in group.items() if name != "calling" for ticket in pool],
    }
    resolved = group["resolved"]
    # Each of these needs a state that others lead out of.
    of_actions = {
        f"POST /v1/tickets/{{ticket_id}}/{action} path.ticket_id": pool
        for action, pool in (
            ("hold", group["new"]), ("release", group["held"]), ("close", resolved[0::2]), ("reopen", resolved[1::2]),
            ("cancel", group["unwanted"]), ("leave", group["shared"]), ("de-escalate", group["escalated"]),
            ("answer", group["calling"]), ("complete", group["vague"]),
            ("unlink", group["linked"]),
        )
    }  # fmt: skip
    said = {
        "POST /v1/tickets/{ticket_id}/hold body.wake_at": [(datetime.now(UTC) + timedelta(days=7)).isoformat()],
        "POST /v1/tickets/{ticket_id}/leave body.person_id": [OTHER],
        "POST /v1/tickets/{ticket_id}/leave body.role": ["working"],
        "POST /v1/tickets/{ticket_id}/answer body.reason": ["declined"],
        "POST /v1/tickets/{ticket_id}/unlink body.relation": [LINK["relation"]],
        "POST /v1/tickets/{ticket_id}/unlink body.other": group["new"][:1],
        "POST /v1/tickets/{ticket_id}/link body.other": group["unwanted"],
    } | {f"POST /v1/tickets/{{ticket_id}}/complete body.{name}": [value] for name, value in NAMED.items()}
    return {
        "tickets": {
            **known,
            **of_actions,
            **said,
            **OF_THE_HOUSE,
            "body.client_id": CLIENTS,
            "body.product_id": PRODUCTS,
        },
        "inventory": known | OF_INVENTORY,
        "sla": {**known, "path.id": ["metalurgica-arenales-2025"]},
        "devlink": {**known, "path.id": tasks, "body.status": NEXT},
    }
