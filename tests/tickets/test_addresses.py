"""A ticket by its number in the address: every door takes it, and nothing else about it is another."""

from __future__ import annotations

from urllib.parse import quote

import httpx2

from shared.http.app import doors_of
from shared.http.permissions import ROLES
from tests.tickets.door import Desk, at, opened
from tests.tickets.test_hands_api import BODIES

KEY = {"idempotency-key": "una-vez"}


async def test_a_ticket_is_read_by_its_number_in_any_spelling(ana: httpx2.AsyncClient) -> None:
    place = await opened(ana)
    by_id = await ana.get(place)
    history = (await ana.get(f"{place}/history")).json()
    for spelt in ("1", "t-1", "T-000001", "T 1", "t1", "0001"):
        by_number = await ana.get(f"/tickets/{quote(spelt)}")
        assert by_number.status_code == 200
        assert (by_number.json()["id"], by_number.headers["etag"]) == (by_id.json()["id"], by_id.headers["etag"])
        assert (await ana.get(f"/tickets/{quote(spelt)}/history")).json() == history


async def test_what_is_done_by_the_number_takes_the_same_condition_and_is_done_once(ana: httpx2.AsyncClient) -> None:
    place = await opened(ana)
    stale = await ana.post("/tickets/t-1/assign", json={}, headers=at(7))
    assert (stale.status_code, stale.headers["etag"]) == (412, '"1"')
    first = await ana.post("/tickets/t-1/assign", json={}, headers=at(1) | KEY)
    again = await ana.post("/tickets/t-1/assign", json={}, headers=at(1) | KEY)
    assert (first.status_code, first.headers["etag"]) == (200, '"2"')
    assert (again.content, again.headers["etag"]) == (first.content, '"2"')
    assert (await ana.get(place)).json()["version"] == 2


async def test_every_door_of_a_ticket_takes_its_number_and_says_when_there_is_none(http: Desk) -> None:
    head = {"authorization": f"Bearer {http.issuer.token(sub='ana', roles=list(ROLES))}", **at("*")}
    transport = httpx2.ASGITransport(app=http.app)
    doors = [door for door in doors_of(http.app) if "{ticket_id}" in door.path]
    assert len(doors) > 14
    async with httpx2.AsyncClient(transport=transport, base_url="http://desk", headers=head) as anybody:
        for door in doors:
            body = BODIES.get(door.path.rpartition("/")[2], {})
            missing = await anybody.request(door.method, door.path.replace("{ticket_id}", "t-999"), json=body)
            assert (missing.status_code, missing.json()["code"]) == (404, "ticket-not-found"), door
            assert "T-000999: look it up with GET /v1/tickets?q=" in missing.json()["detail"]
            wrong = await anybody.request(door.method, door.path.replace("{ticket_id}", "factura"), json={})
            (told,) = [one for one in wrong.json()["errors"] if one["in"] == "path"]
            assert (told["parameter"], told["message"]) == (
                "ticket_id", "Send the id of the ticket, or its number, such as T-000042.",
            )  # fmt: skip


async def test_whoever_may_not_read_learns_no_number(http: Desk, ana: httpx2.AsyncClient) -> None:
    await opened(ana)
    async with http.person("x", "nobody") as somebody:
        answers = [await somebody.get(f"/tickets/{number}") for number in ("1", "999")]
    assert [answer.status_code for answer in answers] == [403, 403]
