"""Hands over HTTP: each door's answers, and that what the view allows is what the doors then really answer."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import httpx2
import pytest

from shared.contracts.tickets import Status
from shared.http.permissions import ROLES
from tests.support.urgency import impact_of
from tests.tickets import told
from tests.tickets.desk import contract, deliver, received
from tests.tickets.door import Desk, at, id_in, opened
from tickets import projections
from tickets.domain.workflow import Action

SETTLE = {"code": "configuracion", "text": "era el certificado"}
HOLD = {"reason": "third-party", "note": "el banco"}
# To the ticket that was opened first.
LINK = {"relation": "caused_by", "other": "T-000001", "reason": "el mismo corte"}
# What each door takes, so that only state, level and permission decide: nobody of these has any part yet.
BODIES: dict[str, dict[str, Any]] = {
    "assign": {"assignee": "zoe"}, "hand-over": {"owner": "zoe"}, "join": {"person_id": "zoe"},
    "leave": {"person_id": "ines"}, "complete": {"product_id": "gestion"},
    "escalate": {"target": "analysts", "reason": "excede"},
    "de-escalate": {"reason": "falta probarlo"}, "hold": HOLD, "release": {}, "respond": {"text": "lo vemos"},
    "link": LINK, "unlink": LINK,
    "note": {"text": "probado en planta"}, "resolve": SETTLE, "reopen": {"reason": "sigue igual"}, "close": {},
    "cancel": {"reason": "duplicado"},
}  # fmt: skip
NEW_DOORS: dict[str, dict[str, Any]] = {
    name: BODIES[name] for name in ("hand-over", "join", "leave", "complete", "de-escalate", "note", "link")
} | {"answer": {"reason": "breached"}}
# What leads a fresh ticket into each state.
WAYS: dict[Status, list[str]] = {
    "new": [], "in_progress": ["respond"], "on_hold": ["hold"], "resolved": ["resolve"],
    "closed": ["resolve", "close"], "cancelled": ["cancel"],
}  # fmt: skip


async def do(client: httpx2.AsyncClient, place: str, action: str, **body: Any) -> httpx2.Response:
    """An action on the ticket as it is; it must be done."""
    answer = await client.post(f"{place}/{action}", json=body or BODIES[action], headers=at("*"))
    assert answer.status_code == 200, answer.text
    return answer


async def prepared(sofia: httpx2.AsyncClient, status: Status, level: int, **opening: Any) -> str:
    """A ticket in a state on a level, with Inés taking part."""
    place = await opened(sofia, **opening)
    await do(sofia, place, "join", person_id="ines")
    if level > 1:
        await do(sofia, place, "escalate", target="analysts" if level == 2 else "development", reason="excede")
    for action in WAYS[status]:
        await do(sofia, place, action)
    return place


def body_for(action: str, shown: dict[str, Any]) -> dict[str, Any]:
    """The body with which an action would be done to this ticket, if any is."""
    if action == "escalate" and shown["target"] is not None:
        return {"target": "development", "reason": "excede"}
    return BODIES[action]


@pytest.mark.parametrize("status", get_args(Status))
async def test_what_the_view_allows_is_done_and_what_it_refuses_is_refused_with_the_same_code(
    http: Desk, status: Status
) -> None:
    tried: set[tuple[str, bool]] = set()
    async with http.person("sofia", "supervisor") as sofia:
        await opened(sofia)
        # Each role in all states is a matter of the rules (domain/test_possible.py): one that may all, one, and none.
        for role in ("supervisor", "agent", "auditor"):
            for level in (1, 2, 3) if status != "new" else (1,):
                async with http.person("paula", role) as paula:
                    place = await prepared(sofia, status, level)
                    shown = (await paula.get(place)).json()
                    assert (shown["status"], shown["level"]) == (status, level)
                    # What is refused changes nothing, so one ticket does for all of it; what is done leads elsewhere.
                    for said in sorted(shown["actions"], key=lambda one: one["allowed"]):
                        version = shown["version"]
                        if said["allowed"]:
                            place = await prepared(sofia, status, level)
                        if said["allowed"] and said["action"] == "unlink":
                            version = (await do(sofia, place, "link")).json()["version"]
                        answer = await paula.post(
                            f"{place}/{said['action']}",
                            json=body_for(said["action"], shown),
                            headers=at(version),
                        )
                        assert said["allowed"] == (answer.status_code == 200), (role, level, said, answer.text)
                        if not said["allowed"]:
                            assert (answer.json()["code"], answer.status_code in (403, 409)) == (said["code"], True)
                            assert said["problem"] == answer.json()["detail"] or answer.status_code == 403
                        tried.add((said["action"], said["allowed"]))
    assert {action for action, _ in tried} == set(get_args(Action))
    assert {action for action, allowed in tried if not allowed} == set(get_args(Action)), "by somebody at least"


async def test_on_a_p1_s1_an_agent_is_offered_the_third_level(http: Desk) -> None:
    async with http.database.begin() as tx:
        await projections.apply(tx, [received(contract("c-urgente", "sin-contrato", "platino", 2))])
    async with http.person("sofia", "supervisor") as sofia, http.person("paula", "agent") as paula:
        for severity, allowed in ((1, True), (2, False)):
            place = await prepared(sofia, "in_progress", 2, impact=impact_of(severity), client_id="sin-contrato")
            shown = (await paula.get(place)).json()
            (said,) = [one for one in shown["actions"] if one["action"] == "escalate"]
            answer = await paula.post(f"{place}/escalate", json=body_for("escalate", shown), headers=at("*"))
            assert shown["immediate"] == said["allowed"] == allowed
            assert (answer.status_code, answer.json().get("code")) == (200 if allowed else 403, said["code"])


async def test_a_ticket_that_was_settled_too_long_ago_is_not_offered_for_reopening(http: Desk) -> None:
    ago = (datetime.now(UTC) - timedelta(days=15)).isoformat()
    late = {"reported_at": ago, "reported_late_reason": "fin de semana"}
    async with http.person("sofia", "supervisor") as sofia:
        place = await opened(sofia, **late)
        await do(sofia, place, "resolve", **SETTLE, occurred_at=ago, occurred_late_reason="sin línea")
        (said,) = [one for one in (await sofia.get(place)).json()["actions"] if one["action"] == "reopen"]
        answer = await sofia.post(f"{place}/reopen", json=BODIES["reopen"], headers=at("*"))
    assert (said["allowed"], said["code"]) == (False, "reopen-window-passed") == (False, answer.json()["code"])
    assert said["problem"] == answer.json()["detail"]


@pytest.fixture
async def called(http: Desk, ana: httpx2.AsyncClient) -> str:
    """Somebody's ticket of level 2 that calls for its breach, the second that was opened; Inés takes part, and it is at
    version 5."""
    await opened(ana)
    place = await opened(ana)
    await do(ana, place, "join", person_id="ines")
    await do(ana, place, "escalate", target="analysts", reason="excede")
    await do(ana, place, "assign", assignee="bruno")
    async with http.database.begin() as tx:
        await deliver(tx, [told.breached(id_in(place), 1)])
    return place


@pytest.mark.parametrize("door", NEW_DOORS)
async def test_each_new_door_answers_what_is_left_and_the_facts_that_it_added(
    ana: httpx2.AsyncClient, called: str, door: str
) -> None:
    answer = await ana.post(f"{called}/{door}", json=NEW_DOORS[door], headers=at(5))
    shown = (await ana.get(called)).json()
    assert (answer.status_code, answer.headers["etag"], answer.json()["version"]) == (200, '"6"', 6)
    assert {name: shown[name] for name in answer.json() if name != "facts"} | {"facts": answer.json()["facts"]} == (
        answer.json()
    )
    new = [entry for entry in shown["history"] if entry["data"].get("ticket", {}).get("version") == 6]
    assert [entry["fact_id"] for entry in new] == answer.json()["facts"]
    assert {entry["actor"] for entry in new} == {"ana"}


@pytest.mark.parametrize("door", NEW_DOORS)
async def test_each_new_door_is_refused_to_whoever_may_not_or_has_not_seen(
    http: Desk, ana: httpx2.AsyncClient, called: str, door: str
) -> None:
    for role in ROLES:
        async with http.person("x", role) as somebody:
            answer = await somebody.post(f"{called}/{door}", json=NEW_DOORS[door], headers=at(4))
        may = role in ("agent", "analyst", "liaison", "supervisor")
        assert (answer.status_code, answer.json()["code"]) == (
            (412, "version-changed") if may else (403, "permission-missing")
        )
    missing = await ana.post(f"{called}/{door}", json=NEW_DOORS[door])
    assert (missing.status_code, missing.json()["code"]) == (428, "version-not-stated")
    assert (await ana.get(called)).headers["etag"] == '"5"'


@pytest.mark.parametrize(
    ("door", "body", "pointer"),
    [
        ("hand-over", {}, "#/owner"), ("hand-over", {"owner": "ñandú"}, "#/owner"),
        ("hand-over", {"owner": "zoe", "reason": " \u200b"}, "#/reason"),
        ("join", {"role": "boss"}, "#/role"), ("join", {"person_id": ""}, "#/person_id"),
        ("leave", {"who": "ines"}, "#/who"), ("de-escalate", {}, "#/reason"),
        ("de-escalate", {"reason": "\n"}, "#/reason"), ("note", {"text": ""}, "#/text"), ("note", {}, "#/text"),
        ("link", LINK | {"relation": "duplicate"}, "#/relation"), ("link", LINK | {"other": "T-"}, "#/other"),
        ("link", LINK | {"reason": " "}, "#/reason"), ("unlink", {"relation": "related"}, "#/other"),
        ("answer", {"reason": "because"}, "#/reason"), ("answer", {}, "#/reason"),
        ("hold", HOLD | {"wake_at": "mañana"}, "#/wake_at"), ("hold", HOLD | {"wake_at": 1764000000}, "#/wake_at"),
    ],
)  # fmt: skip
async def test_what_makes_no_sense_is_refused_with_its_place(
    ana: httpx2.AsyncClient, called: str, door: str, body: dict[str, Any], pointer: str
) -> None:
    answer = await ana.post(f"{called}/{door}", json=body, headers=at("*"))
    assert (answer.status_code, [one["pointer"] for one in answer.json()["errors"]]) == (422, [pointer])
    assert (await ana.get(called)).headers["etag"] == '"5"'


@pytest.mark.parametrize(
    ("door", "body", "code"),
    [
        ("hand-over", {"owner": "ana"}, "already-owned"), ("join", {"person_id": "ines"}, "already-takes-part"),
        ("leave", {"person_id": "ines", "role": "contact"}, "takes-no-part"), ("leave", {}, "takes-no-part"),
        ("answer", {"reason": "released"}, "nothing-calls"),
    ],
)  # fmt: skip
async def test_what_is_so_already_or_is_not_there_is_a_conflict_and_changes_nothing(
    ana: httpx2.AsyncClient, called: str, door: str, body: dict[str, Any], code: str
) -> None:
    answer = await ana.post(f"{called}/{door}", json=body, headers=at(5))
    assert (answer.status_code, answer.json()["code"]) == (409, code)
    assert (await ana.get(called)).headers["etag"] == '"5"'


@pytest.mark.parametrize("door", NEW_DOORS)
async def test_what_is_sent_again_under_its_key_is_done_once(
    http: Desk, ana: httpx2.AsyncClient, called: str, door: str
) -> None:
    head = at(5) | {"idempotency-key": "again"}
    first, again = [await ana.post(f"{called}/{door}", json=NEW_DOORS[door], headers=head) for _ in range(2)]
    assert (first.status_code, first.content, first.headers["etag"]) == (200, again.content, again.headers["etag"])
    assert (await ana.get(called)).headers["etag"] == '"6"'


async def test_the_caller_joins_and_leaves_when_nobody_is_named_and_the_view_shows_it(ana: httpx2.AsyncClient) -> None:
    place = await opened(ana)
    await do(ana, place, "join", role="watching")
    (part,) = (await ana.get(place)).json()["participants"]
    assert (part["person_id"], part["role"]) == ("ana", "watching")
    await do(ana, place, "leave", role="watching")
    assert (await ana.get(place)).json()["participants"] == []


async def test_a_ticket_comes_down_to_who_had_it_last_and_the_owner_keeps_the_contact(
    http: Desk, ana: httpx2.AsyncClient
) -> None:
    place = await opened(ana)
    await do(ana, place, "assign", assignee="ana")
    await do(ana, place, "escalate", target="analysts", reason="excede")
    async with http.person("bruno", "analyst") as bruno:
        await do(bruno, place, "assign", assignee="bruno")
        await do(bruno, place, "escalate", target="development", reason="es un error", tried="reiniciar")
        down = [(await do(bruno, place, "de-escalate")).json() for _ in range(2)]
        refused = await bruno.post(f"{place}/de-escalate", json=BODIES["de-escalate"], headers=at("*"))
    assert [(one["level"], one["target"], one["assignee"], one["owner"]) for one in down] == [
        (2, "analysts", "bruno", "ana"), (1, None, "ana", "ana"),
    ]  # fmt: skip
    assert (refused.status_code, refused.json()["code"], refused.json()["level"]) == (409, "not-at-this-level", 1)
    entries = {entry["type"]: entry["data"] for entry in (await ana.get(place)).json()["history"]}
    assert entries["desk.ticket.escalated.v1"]["tried"] == "reiniciar"


async def test_an_agreed_date_is_said_and_lies_ahead_and_within_a_year(ana: httpx2.AsyncClient) -> None:
    place, now = await opened(ana), datetime.now(UTC)
    agreed = {"reason": "agreed-date", "note": "el lunes a las 9"}
    for wake_at, code in (
        (None, "wake-at-missing"), (now - timedelta(seconds=1), "wake-at-out-of-reach"),
        (now + timedelta(days=367), "wake-at-out-of-reach"),
    ):  # fmt: skip
        body = agreed | ({} if wake_at is None else {"wake_at": wake_at.isoformat()})
        answer = await ana.post(f"{place}/hold", json=body, headers=at(1))
        assert (answer.status_code, answer.json()["code"]) == (422, code)
    monday = (now + timedelta(days=3)).isoformat()
    assert (await do(ana, place, "hold", **agreed, wake_at=monday)).json()["status"] == "on_hold"
    shown = (await ana.get(place)).json()["hold"]
    assert (shown["reason"], datetime.fromisoformat(shown["wake_at"])) == (
        "agreed-date",
        datetime.fromisoformat(monday),
    )


async def test_the_addressee_answers_by_whatever_they_do_and_anybody_by_saying_so(
    http: Desk, ana: httpx2.AsyncClient, called: str
) -> None:
    async def calls() -> list[tuple[str, str]]:
        return [(one["reason"], one["addressee"]) for one in (await ana.get(called)).json()["attention"]]

    assert await calls() == [("breached", "assignee")]
    await do(ana, called, "note")
    assert await calls() == [("breached", "assignee")], "the owner is not who was called"
    async with http.person("bruno", "analyst") as bruno:
        done = (await do(bruno, called, "note")).json()
    assert (await calls(), len(done["facts"])) == ([], 2)
    async with http.database.begin() as tx:
        await deliver(tx, [told.breached(id_in(called), 2)])
    assert await calls() == [("breached", "assignee")]
    assert len((await do(ana, called, "answer", reason="breached")).json()["facts"]) == 1
    assert await calls() == []
