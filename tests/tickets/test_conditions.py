"""Changes name the version that was seen, and what is sent again under its key is not done again."""

from __future__ import annotations

import asyncio
from typing import Any, get_args

import httpx2
import pytest

from shared.contracts.sla import SlaClockBreached
from tests.support.statements import round_trips
from tests.tickets import told
from tests.tickets.desk import deliver
from tests.tickets.door import CALL, Desk, at, id_in, opened
from tickets.domain.workflow import Action


async def test_a_change_of_what_was_not_seen_is_refused_with_what_happened_since(
    http: Desk, ana: httpx2.AsyncClient
) -> None:
    place = await opened(ana)
    async with http.person("bruno", "analyst") as bruno:
        await bruno.post(f"{place}/assign", json={}, headers=at(1))
        await bruno.post(f"{place}/respond", json={"text": "lo veo"}, headers=at(2))
    answer = await ana.post(f"{place}/assign", json={}, headers=at(1))
    problem = answer.json()
    assert (answer.status_code, problem["code"], problem["version"], answer.headers["etag"]) == (
        412, "version-changed", 3, '"3"',
    )  # fmt: skip
    assert [(fact["version"], fact["type"], fact["actor"]) for fact in problem["since"]] == [
        (2, "desk.ticket.assigned.v1", "bruno"), (3, "desk.ticket.responded.v1", "bruno"),
    ]  # fmt: skip
    shown = (await ana.get(place)).json()
    assert [fact["fact_id"] for fact in problem["since"]] == [entry["fact_id"] for entry in shown["history"][1:]]
    assert (shown["assignee"], shown["version"]) == ("bruno", 3)
    assert (await ana.post(f"{place}/assign", json={}, headers=at("*"))).json()["assignee"] == "ana"


async def test_what_other_services_tell_makes_no_version_old_unless_it_calls_somebody(
    http: Desk, ana: httpx2.AsyncClient
) -> None:
    place = await opened(ana)
    async with http.database.begin() as tx:
        for event in told.whole_story(id_in(place)):
            if not isinstance(event.data, SlaClockBreached):
                await deliver(tx, [event])
    assert (await ana.post(f"{place}/assign", json={}, headers=at(1))).status_code == 200
    async with http.database.begin() as tx:
        await deliver(tx, [told.breached(id_in(place), 900)])
    answer = await ana.post(f"{place}/respond", json={"text": "x"}, headers=at(2))
    assert (answer.status_code, [one["type"] for one in answer.json()["since"]]) == (
        412, ["desk.ticket.attention-raised.v1"],
    )  # fmt: skip


ACTIONS: dict[str, dict[str, Any]] = {
    "assign": {},
    "hand-over": {"owner": "carla"},
    "join": {},
    "leave": {},
    "complete": {"product_id": "gestion"},
    "escalate": {"target": "analysts", "reason": "excede"},
    "de-escalate": {"reason": "falta probarlo"},
    "hold": {"reason": "third-party", "note": "el banco"},
    "release": {},
    "respond": {"text": "lo vemos"},
    "link": {"relation": "related", "other": "1"},
    "unlink": {"relation": "related", "other": "1"},
    "note": {"text": "probado en planta"},
    "resolve": {"code": "configuracion", "text": "listo"},
    "close": {},
    "reopen": {"reason": "sigue igual"},
    "cancel": {"reason": "duplicado"},
}


@pytest.mark.parametrize("action", ACTIONS)
async def test_every_action_wants_to_know_what_the_caller_has_seen(http: Desk, action: str) -> None:
    async with http.person("sofia", "supervisor") as sofia:
        await opened(sofia)
        place = await opened(sofia)
        missing = await sofia.post(f"{place}/{action}", json=ACTIONS[action])
        assert (missing.status_code, missing.json()["code"]) == (428, "version-not-stated")
        old = await sofia.post(f"{place}/{action}", json=ACTIONS[action], headers=at(7))
        assert (old.status_code, old.json()["code"], old.json()["since"]) == (412, "version-changed", [])
        assert (await sofia.get(place)).headers["etag"] == '"1"'


def test_every_action_of_the_workflow_is_tried() -> None:
    assert set(ACTIONS) == set(get_args(Action))


async def test_of_many_who_change_the_same_version_at_once_one_does(http: Desk, ana: httpx2.AsyncClient) -> None:
    place = await opened(ana)
    answers = await asyncio.gather(
        *[ana.post(f"{place}/respond", json={"text": str(n)}, headers=at(1)) for n in range(6)]
    )
    assert sorted(answer.status_code for answer in answers) == [200, 412, 412, 412, 412, 412]
    assert len((await ana.get(place)).json()["history"]) == 2


async def test_an_opening_that_is_sent_again_opens_nothing(http: Desk, ana: httpx2.AsyncClient) -> None:
    key = {"idempotency-key": "call-17"}
    first, again = [await ana.post("/tickets", json=CALL, headers=key) for _ in range(2)]
    assert first.status_code == again.status_code == 201
    assert first.content == again.content
    assert [again.headers[name] for name in ("etag", "location")] == ['"1"', f"/v1/tickets/{first.json()['id']}"]
    assert len((await ana.get("/tickets")).json()["items"]) == 1
    assert await http.database.count("SELECT count(*) FROM runtime.archive WHERE topic = 'desk.tickets.v1'") == 1
    # One for who called, one for the ticket.
    assert http.hints == 2
    other = await ana.post("/tickets", json=CALL | {"severity": 1}, headers=key)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency-key-used")


async def test_an_action_that_is_sent_again_with_its_old_version_gets_its_answer(ana: httpx2.AsyncClient) -> None:
    place = await opened(ana)
    head = at(1) | {"idempotency-key": "take-it"}
    first, again = [await ana.post(f"{place}/assign", json={}, headers=head) for _ in range(2)]
    assert (first.status_code, first.json()) == (again.status_code, again.json())
    assert again.headers["etag"] == '"2"'
    assert len((await ana.get(place)).json()["history"]) == 2


async def test_opening_makes_five_round_trips_with_a_key_and_two_without(http: Desk, ana: httpx2.AsyncClient) -> None:
    def said(sent: list[str]) -> list[str]:
        return [one.split("(")[0].strip()[:35] for one in sent]

    plain = ["SELECT nextval", "WITH part_0 AS"]
    await ana.get("/me")
    with round_trips(http.database.engine) as sent:
        await opened(ana)
    assert said(sent) == plain
    with round_trips(http.database.engine) as sent:
        answer = await ana.post("/tickets", json=CALL, headers={"idempotency-key": "k"})
    assert answer.status_code == 201
    assert said(sent) == ["BEGIN", "SELECT * FROM runtime.recall_answer", *plain, "COMMIT"]
    with round_trips(http.database.engine) as sent:
        await ana.post(f"/tickets/{answer.json()['id']}/assign", json={}, headers=at(1))
    # One of them asks whether whoever takes it works here.
    assert len(sent) == 5
