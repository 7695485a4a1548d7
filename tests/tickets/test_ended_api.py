"""Reopening and cancelling over HTTP: who may, until when, and what a refusal says to do instead."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest

from tests.tickets.door import Desk, at, id_in, opened

SETTLE = {"code": "configuracion", "text": "era el certificado"}
REOPEN, CANCEL = {"reason": "sigue fallando"}, {"reason": "duplicado de T-000009"}


def ago(**long: float) -> str:
    return (datetime.now(UTC) - timedelta(**long)).isoformat()


async def settled(client: httpx2.AsyncClient, *, close: bool = True) -> str:
    """A ticket that was resolved and closed, at version 3."""
    place = await opened(client)
    assert (await client.post(f"{place}/resolve", json=SETTLE, headers=at(1))).status_code == 200
    if close:
        assert (await client.post(f"{place}/close", headers=at(2))).status_code == 200
    return place


async def listed(client: httpx2.AsyncClient, query: str = "") -> list[str]:
    """The addresses of the tickets of a list."""
    return [f"/tickets/{row['id']}" for row in (await client.get(f"/tickets{query}")).json()["items"]]


@pytest.mark.parametrize(("close", "version"), [(False, 2), (True, 3)])
async def test_a_settled_ticket_is_reopened_and_shows_it(ana: httpx2.AsyncClient, close: bool, version: int) -> None:
    place = await settled(ana, close=close)
    answer = await ana.post(f"{place}/reopen", json=REOPEN, headers=at(version))
    assert (answer.status_code, answer.json()["status"], answer.json()["version"], answer.headers["etag"]) == (
        200, "in_progress", version + 1, f'"{version + 1}"',
    )  # fmt: skip
    shown = (await ana.get(place)).json()
    assert (shown["status"], shown["resolution"], shown["closed_at"]) == ("in_progress", None, None)
    entry = shown["history"][-1]
    assert [entry["fact_id"]] == answer.json()["facts"]
    assert (entry["type"], entry["data"]["reason"]) == ("desk.ticket.reopened.v1", REOPEN["reason"])
    assert entry["changes"] == {"status": ["closed" if close else "resolved", "in_progress"]}
    assert await listed(ana, "?sort=due") == [place]
    assert await listed(ana, "?status=closed") == []


@pytest.mark.parametrize("close", [False, True])
async def test_what_was_resolved_more_than_five_business_days_ago_is_another_matter(http: Desk, close: bool) -> None:
    """Told late, so that no clock has to be turned: the window counts from when the matter was settled."""
    late = {"occurred_late_reason": "sin línea"}
    async with http.person("sofia", "supervisor") as sofia:
        # Five business days are a week at least, and with every holiday of the tests less than two.
        for days, status in ((15, 409), (6, 200)):
            place = await opened(sofia, reported_at=ago(days=16), reported_late_reason="fin de semana")
            body = SETTLE | late | {"occurred_at": ago(days=days)}
            assert (await sofia.post(f"{place}/resolve", json=body, headers=at(1))).status_code == 200
            if close:
                await sofia.post(f"{place}/close", headers=at(2))
            until = (await sofia.get(place)).json()["reopenable_until"]
            answer = await sofia.post(f"{place}/reopen", json=REOPEN, headers=at("*"))
            assert answer.status_code == status, answer.text
            if status == 409:
                problem = answer.json()
                assert problem["code"] == "reopen-window-passed"
                assert f"could be reopened until {until}: open a new one and name it there" in problem["detail"]
                assert problem["reopenable_until"] == until
                shown = (await sofia.get(place)).json()
                assert (shown["status"], shown["version"]) == ("closed" if close else "resolved", 3 if close else 2)


async def test_what_was_never_settled_is_not_reopened_and_the_answer_says_what_is_possible(
    ana: httpx2.AsyncClient,
) -> None:
    place = await opened(ana)
    answer = await ana.post(f"{place}/reopen", json=REOPEN, headers=at(1))
    problem = answer.json()
    assert (answer.status_code, problem["code"], problem["ticket_status"]) == (409, "action-not-allowed", "new")
    assert problem["allowed"] == [
        "assign", "cancel", "complete", "escalate", "hand-over", "hold", "join", "leave", "link", "note", "resolve",
        "respond", "unlink",
    ]  # fmt: skip
    assert "what it can take now: assign, cancel" in problem["detail"]


async def test_whoever_wants_to_go_on_with_a_closed_ticket_is_told_to_reopen_it(ana: httpx2.AsyncClient) -> None:
    place = await settled(ana)
    answer = await ana.post(f"{place}/respond", json={"text": "lo vemos"}, headers=at(3))
    problem = answer.json()
    assert (answer.status_code, problem["code"], problem["allowed"]) == (
        409, "ticket-already-closed", ["leave", "link", "note", "reopen", "unlink"],
    )  # fmt: skip
    assert "is closed: reopen it, or open a new one and name it there" in problem["detail"]


@pytest.mark.parametrize("status", ["new", "in_progress", "on_hold"])
async def test_a_supervisor_cancels_what_should_not_have_been_opened(http: Desk, status: str) -> None:
    async with http.person("sofia", "supervisor") as sofia:
        place, version = await opened(sofia), 1
        if status != "new":
            await sofia.post(f"{place}/assign", json={}, headers=at(1))
            version = 2
        if status == "on_hold":
            await sofia.post(f"{place}/hold", json={"reason": "third-party", "note": "el banco"}, headers=at(2))
            version = 3
        answer = await sofia.post(f"{place}/cancel", json=CANCEL, headers=at(version))
        assert (answer.status_code, answer.json()["status"], answer.headers["etag"]) == (
            200, "cancelled", f'"{version + 1}"',
        )  # fmt: skip
        shown = (await sofia.get(place)).json()
        assert (shown["status"], shown["hold"], shown["resolution"], shown["closed_at"]) == (
            "cancelled", None, None, None,
        )  # fmt: skip
        entry = shown["history"][-1]
        assert (shown["cancelled_at"], entry["data"]["reason"]) == (entry["occurred_at"], CANCEL["reason"])
        assert entry["changes"]["status"] == [status, "cancelled"]
        found = [await listed(sofia, query) for query in ("", "?sort=due", "?status=cancelled", "?status=all")]
        assert found == [[], [], [place], [place]]


async def test_an_agent_does_not_cancel_and_is_told_what_is_missing(http: Desk, ana: httpx2.AsyncClient) -> None:
    place = await opened(ana)
    for role in ("agent", "liaison", "developer", "admin"):
        async with http.person("x", role) as somebody:
            answer = await somebody.post(f"{place}/cancel", json=CANCEL, headers=at(1))
        problem = answer.json()
        assert (answer.status_code, problem["code"], problem["permission"]) == (
            403, "permission-missing", "ticket:cancel",
        )  # fmt: skip
    assert (await ana.get(place)).headers["etag"] == '"1"'
    async with http.person("bruno", "analyst") as bruno:
        assert (await bruno.post(f"{place}/cancel", json=CANCEL, headers=at(1))).status_code == 200


async def test_whoever_does_not_work_on_tickets_reopens_none(http: Desk, ana: httpx2.AsyncClient) -> None:
    place = await settled(ana)
    async with http.person("x", "auditor") as somebody:
        answer = await somebody.post(f"{place}/reopen", json=REOPEN, headers=at(3))
    assert (answer.status_code, answer.json()["permission"]) == (403, "ticket:work")


@pytest.mark.parametrize(
    ("close", "code", "way_out"),
    [
        (
            False,
            "action-not-allowed",
            "what it can take now: close, complete, hand-over, join, leave, link, note, reopen, respond, unlink",
        ),
        (True, "ticket-already-closed", "reopen it, or open a new one and name it there"),
    ],
)
async def test_what_was_settled_is_not_cancelled(http: Desk, close: bool, code: str, way_out: str) -> None:
    async with http.person("sofia", "supervisor") as sofia:
        place = await settled(sofia, close=close)
        answer = await sofia.post(f"{place}/cancel", json=CANCEL, headers=at("*"))
    assert (answer.status_code, answer.json()["code"]) == (409, code)
    assert way_out in answer.json()["detail"]


ON_CANCELLED: dict[str, dict[str, Any]] = {
    "assign": {}, "escalate": {"target": "analysts", "reason": "x"}, "hold": {"reason": "third-party", "note": "x"},
    "release": {}, "respond": {"text": "x"}, "resolve": SETTLE, "close": {}, "reopen": REOPEN, "cancel": CANCEL,
    "hand-over": {"owner": "bruno"}, "join": {}, "de-escalate": {"reason": "x"},
}  # fmt: skip


async def test_a_cancelled_ticket_is_only_written_about_and_the_answer_says_what_helps(http: Desk) -> None:
    async with http.person("sofia", "supervisor") as sofia:
        place = await opened(sofia)
        await sofia.post(f"{place}/cancel", json=CANCEL, headers=at(1))
        for action, body in ON_CANCELLED.items():
            answer = await sofia.post(f"{place}/{action}", json=body, headers=at(2))
            problem = answer.json()
            assert (answer.status_code, problem["code"], problem["allowed"]) == (
                409, "ticket-already-cancelled", ["leave", "link", "note", "unlink"],
            )  # fmt: skip
            assert "is cancelled: open a new one and name it there" in problem["detail"]
        assert len((await sofia.get(place)).json()["history"]) == 2


@pytest.mark.parametrize("action", ["reopen", "cancel"])
async def test_a_reason_is_needed_and_nothing_else_is_taken(http: Desk, action: str) -> None:
    async with http.person("sofia", "supervisor") as sofia:
        place = await settled(sofia) if action == "reopen" else await opened(sofia)
        for body, pointer in (
            ({}, "#/reason"), ({"reason": " \u200b"}, "#/reason"), ({"reason": "x", "at": "2026"}, "#/at"),
        ):  # fmt: skip
            answer = await sofia.post(f"{place}/{action}", json=body, headers=at("*"))
            assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)
        assert (await sofia.post(f"{place}/{action}", headers=at("*"))).status_code == 422


@pytest.mark.parametrize("action", ["reopen", "cancel"])
async def test_what_was_not_seen_is_neither_reopened_nor_cancelled(
    http: Desk, ana: httpx2.AsyncClient, action: str
) -> None:
    """Somebody has told the client something meanwhile."""
    async with http.person("sofia", "supervisor") as sofia:
        place = await settled(sofia, close=False) if action == "reopen" else await opened(sofia)
        seen = int((await sofia.get(place)).headers["etag"].strip('"'))
        await ana.post(f"{place}/respond", json={"text": "ya está"}, headers=at(seen))
        answer = await sofia.post(f"{place}/{action}", json=REOPEN, headers=at(seen))
        assert (answer.status_code, answer.json()["code"]) == (412, "version-changed")
        assert [(one["version"], one["type"]) for one in answer.json()["since"]] == [
            (seen + 1, "desk.ticket.responded.v1")
        ]
        assert (await sofia.post(f"{place}/{action}", json=REOPEN, headers=at(seen + 1))).status_code == 200


@pytest.mark.parametrize("action", ["reopen", "cancel"])
async def test_what_is_sent_again_under_its_key_gets_its_first_answer_and_is_done_once(http: Desk, action: str) -> None:
    """Also where a ticket that has moved on would refuse it now."""
    async with http.person("sofia", "supervisor") as sofia:
        place = await settled(sofia) if action == "reopen" else await opened(sofia)
        version = (await sofia.get(place)).headers["etag"]
        head = {"if-match": version, "idempotency-key": "again"}
        first, again = [await sofia.post(f"{place}/{action}", json=REOPEN, headers=head) for _ in range(2)]
        assert (first.status_code, first.content, first.headers["etag"]) == (
            again.status_code, again.content, again.headers["etag"],
        )  # fmt: skip
        assert first.status_code == 200
        other = await sofia.post(f"{place}/{action}", json={"reason": "otra cosa"}, headers=head)
        assert (other.status_code, other.json()["code"]) == (422, "idempotency-key-used")
    # One fact and one event for each version, and no more.
    facts = await http.database.count("SELECT count(*) FROM tickets.history WHERE ticket_id = $1", id_in(place))
    told = await http.database.count("SELECT count(*) FROM runtime.archive WHERE subject = $1", str(id_in(place)))
    assert facts == told == first.json()["version"]
