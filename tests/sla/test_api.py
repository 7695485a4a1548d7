"""Contracts and clocks over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx2
import pytest

from shared.http.app import create_app
from shared.http.auth import Authenticator
from shared.http.routers import routers_of
from shared.ids import new_id
from sla import api
from tests.shared.http.issuer import LocalIssuer
from tests.sla.telling import RESOLUTION, ZERO, Story, at, frozen, published, tell
from tests.support.databases import Database

FACTS: dict[str, Any] = {"client_id": "acme", "contract_type": "oro", "valid_from": "2026-01-01T00:00:00-03:00"}


def shown(seconds: float) -> str:
    """An instant of a story as an answer has it."""
    return at(seconds).isoformat().replace("+00:00", "Z")


@pytest.fixture
async def sla(database: Callable[[str], Awaitable[Database]]) -> Database:
    return await database("sla")


@pytest.fixture
async def http(sla: Database) -> AsyncIterator[httpx2.AsyncClient]:
    async with LocalIssuer().serving() as issuer:
        app = create_app(
            service="sla", description="test", routers=routers_of(api), engine=sla.engine, hint=lambda: None,
            authenticator=Authenticator(issuer.url),
        )  # fmt: skip
        # Good at the instants of the stories as well as now.
        token = issuer.token(sub="bruno", roles=["admin"], iat=int(ZERO.timestamp()) - 60, exp=4102444800)
        async with httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app=app),
            base_url="http://sla",
            headers={"authorization": f"Bearer {token}"},
        ) as client:
            yield client


async def test_no_route_is_open_without_a_token(http: httpx2.AsyncClient) -> None:
    for path in ("/v1/contracts", "/v1/contract-types", f"/v1/tickets/{new_id()}/clocks"):
        assert (await http.get(path, headers={"authorization": ""})).status_code == 401


async def test_a_contract_is_recorded_read_and_published(http: httpx2.AsyncClient, sla: Database) -> None:
    answer = await http.put("/v1/contracts/acme-2026", json=FACTS)
    assert answer.status_code == 200, answer.text
    assert (answer.headers["etag"], answer.json()["version"], answer.json()["recorded_by"]) == ('"1"', 1, "bruno")
    assert answer.json()["valid_from"] == "2026-01-01T03:00:00Z"
    assert (await http.get("/v1/contracts/acme-2026")).json() == answer.json()
    again = await http.put("/v1/contracts/acme-2026", json=FACTS)
    assert again.json() == answer.json()
    assert len(await published(sla)) == 1


async def test_a_contract_is_changed_by_whoever_has_seen_its_version(http: httpx2.AsyncClient, sla: Database) -> None:
    path, changed = "/v1/contracts/acme-2026", FACTS | {"contract_type": "plata"}
    lost = await http.put(path, json=FACTS, headers={"if-match": "*"})
    assert (lost.status_code, lost.json()["code"], lost.json()["version"]) == (412, "version-changed", 0)
    assert (await http.put(path, json=FACTS, headers={"if-none-match": "*"})).headers["etag"] == '"1"'
    conditions: list[tuple[dict[str, str], int]] = [
        ({}, 428),
        ({"if-none-match": "*"}, 412),
        ({"if-match": '"2"'}, 412),
    ]
    for head, status in conditions:
        refused = await http.put(path, json=changed, headers=head)
        assert (refused.status_code, refused.json()["version"], refused.headers["etag"]) == (status, 1, '"1"')
    assert len(await published(sla)) == 1
    for _ in range(2):
        # The second time it is equal and changes nothing, so the old version does no harm.
        assert (await http.put(path, json=changed, headers={"if-match": '"1"'})).headers["etag"] == '"2"'
    assert len(await published(sla)) == 2
    late = await http.put(path, json=FACTS, headers={"if-match": '"1"'})
    assert (late.status_code, [(one["version"], one["type"], one["actor"]) for one in late.json()["since"]]) == (
        412, [(2, "desk.contract.recorded.v1", "bruno")],
    )  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"targets": [{"severity": 1, "response_seconds": 60, "resolution_seconds": 120}]}, 422, "incomplete-targets"),
        ({"valid_until": "2025-01-01T00:00:00Z"}, 422, "contract-ends-before-it-begins"),
        ({"valid_from": "2026-01-01T00:00:00"}, 422, "invalid-request"),
        ({"contract_type": "diamante"}, 422, "invalid-request"),
        ({"warnings": {"response": [120]}}, 422, "bad-warnings"),
    ],
)
async def test_a_contract_that_makes_no_sense_is_refused_with_a_code(
    http: httpx2.AsyncClient, changes: dict[str, Any], status: int, code: str
) -> None:
    answer = await http.put("/v1/contracts/acme-2026", json=FACTS | changes)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert (await http.get("/v1/contracts/acme-2026")).status_code == 404


async def test_contracts_are_paged_by_id_and_filtered_by_client(http: httpx2.AsyncClient) -> None:
    for number in range(5):
        await http.put(f"/v1/contracts/c-{number}", json=FACTS | {"client_id": f"client-{number % 2}"})
    changed = FACTS | {"client_id": "client-1", "contract_type": "plata"}
    await http.put("/v1/contracts/c-1", json=changed, headers={"if-match": '"1"'})
    found: list[str] = []
    page: dict[str, Any] = {"next": None}
    while True:
        after = {"after": page["next"]} if page["next"] else {}
        page = (await http.get("/v1/contracts", params={"limit": 2, **after})).json()
        found += [f"{item['id']} v{item['version']}" for item in page["items"]]
        if page["next"] is None:
            break
    assert found == ["c-0 v1", "c-1 v2", "c-2 v1", "c-3 v1", "c-4 v1"]
    of_one = (await http.get("/v1/contracts", params={"client": "client-1"})).json()
    assert [item["id"] for item in of_one["items"]] == ["c-1", "c-3"]


async def test_the_types_are_listed_with_what_they_promise(http: httpx2.AsyncClient) -> None:
    types = {item["id"]: item for item in (await http.get("/v1/contract-types")).json()}
    assert types["platino"]["targets"][0] == {"severity": 1, "response_seconds": 900, "resolution_seconds": 14_400}
    assert types["basico"]["warnings"] == {"response": [50, 80], "resolution": [50, 75, 90]}
    assert types["plata"]["pausing_holds"] == ["agreed-date", "waiting-for-client"]


async def test_a_ticket_s_clocks_explain_every_second(http: httpx2.AsyncClient, sla: Database) -> None:
    story = Story()
    await tell(sla, story.opened(), story.held(1000), story.released(4000), story.responded(4500))
    with frozen(5000):
        answer = await http.get(f"/v1/tickets/{story.ticket_id}/clocks")
    assert answer.status_code == 200, answer.text
    response, resolution = answer.json()["clocks"]
    assert (response["kind"], response["course"], response["outcome"]) == ("response", "stopped", "met")
    assert (response["counted_seconds"], response["ended_at"]) == (4500, shown(4500))
    assert (resolution["course"], resolution["outcome"], resolution["ended_at"]) == ("running", "pending", None)
    assert (resolution["counted_seconds"], resolution["remaining_seconds"]) == (2000, RESOLUTION - 2000)
    assert [(one["seconds"], one["counted"], one["why"], one["reason"]) for one in resolution["intervals"]] == [
        (1000, True, "open", None),
        (3000, False, "held", "waiting-for-client"),
        (1000, True, "open", None),
    ]


async def test_a_clock_is_shown_as_breached_even_before_its_timer_fired(
    http: httpx2.AsyncClient, sla: Database
) -> None:
    story = Story()
    await tell(sla, story.opened())
    with frozen(RESOLUTION + 90):
        clocks = (await http.get(f"/v1/tickets/{story.ticket_id}/clocks")).json()["clocks"]
    assert [(one["kind"], one["course"], one["outcome"]) for one in clocks] == [
        ("response", "running", "breached"),
        ("resolution", "running", "breached"),
    ]
    assert clocks[1]["remaining_seconds"] == -90


async def test_a_clock_shows_each_threshold_and_when_it_was_reached(http: httpx2.AsyncClient, sla: Database) -> None:
    story = Story()
    await tell(sla, story.opened(), story.held(600), story.released(1600))
    with frozen(RESOLUTION * 0.8):
        clock = (await http.get(f"/v1/tickets/{story.ticket_id}/clocks")).json()["clocks"][1]
    half, most, nearly = RESOLUTION // 2, RESOLUTION * 3 // 4, RESOLUTION * 9 // 10
    assert clock["thresholds"] == [
        {"seconds": half, "said_as": "50%", "reached_at": shown(half + 1000)},
        {"seconds": most, "said_as": "75%", "reached_at": shown(most + 1000)},
        {"seconds": nearly, "said_as": "90%", "reached_at": None},
    ]


async def test_a_paused_clock_shows_what_is_left_and_no_due(http: httpx2.AsyncClient, sla: Database) -> None:
    story = Story()
    await tell(sla, story.opened(), story.held(600))
    with frozen(90_000):
        clock = (await http.get(f"/v1/tickets/{story.ticket_id}/clocks")).json()["clocks"][1]
    assert (clock["course"], clock["due_at"], clock["remaining_seconds"]) == ("paused", None, RESOLUTION - 600)


async def test_a_clock_that_was_cancelled_says_when_and_what_its_seconds_were(
    http: httpx2.AsyncClient, sla: Database
) -> None:
    story = Story()
    await tell(sla, story.opened(), story.responded(300), story.cancelled(600))
    with frozen(90_000):
        response, resolution = (await http.get(f"/v1/tickets/{story.ticket_id}/clocks")).json()["clocks"]
    assert (response["course"], response["outcome"]) == ("stopped", "met")
    assert (resolution["course"], resolution["outcome"]) == ("cancelled", "pending")
    assert (resolution["ended_at"], resolution["counted_seconds"]) == (shown(600), 600)
    assert [(one["counted"], one["why"], one["until"]) for one in resolution["intervals"]] == [
        (True, "open", shown(600)),
        (False, "cancelled", None),
    ]


async def test_a_ticket_without_clocks_is_not_found(http: httpx2.AsyncClient, sla: Database) -> None:
    story = Story()
    await tell(sla, story.held(600))
    answer = await http.get(f"/v1/tickets/{story.ticket_id}/clocks")
    assert (answer.status_code, answer.json()["code"]) == (404, "no-clocks")
