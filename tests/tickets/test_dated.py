"""What is told after it happened: held, released, responded and resolved when it was so, if that can have been."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest

from tests.tickets.desk import rows
from tests.tickets.door import Desk, at, id_in, opened

BODIES: dict[str, dict[str, Any]] = {
    "hold": {"reason": "waiting-for-client", "note": "¿qué versión?"},
    "release": {},
    "respond": {"text": "lo estamos viendo"},
    "resolve": {"code": "error-corregido", "text": "versión 8.2.2"},
}
LATE = {"occurred_late_reason": "Sin conexión en el cliente: lo anoto al volver."}


_SENT = """
    SELECT convert_from(value, 'utf8') AS value FROM runtime.archive WHERE subject = :id AND type = :type
    ORDER BY position DESC LIMIT 1
"""


def ago(**long: float) -> datetime:
    return datetime.now(UTC) - timedelta(**long)


def told(at: datetime) -> dict[str, Any]:
    return {"occurred_at": at.isoformat(), **LATE}


async def ready(ana: httpx2.AsyncClient, action: str) -> str:
    """A ticket that was reported three hours ago, and held two hours ago where it is to be released."""
    place = await opened(ana, reported_at=ago(hours=3).isoformat(), reported_late_reason="x")
    if action == "release":
        answer = await ana.post(f"{place}/hold", json=BODIES["hold"] | told(ago(hours=2)), headers=at("*"))
        assert answer.status_code == 200, answer.text
    return place


async def do(client: httpx2.AsyncClient, place: str, action: str, **more: Any) -> httpx2.Response:
    return await client.post(f"{place}/{action}", json=BODIES[action] | more, headers=at("*"))


@pytest.mark.parametrize("action", BODIES)
async def test_it_happened_when_it_is_told_and_why_it_is_told_late_is_kept(
    http: Desk, ana: httpx2.AsyncClient, action: str
) -> None:
    place, then = await ready(ana, action), ago(hours=1)
    answer = await do(ana, place, action, **told(then))
    assert answer.status_code == 200, answer.text
    entry = (await ana.get(f"{place}/history")).json()["items"][-1]
    assert (datetime.fromisoformat(entry["occurred_at"]), entry["data"]["occurred_late_reason"]) == (
        then, LATE["occurred_late_reason"],
    )  # fmt: skip
    recorded = datetime.fromisoformat(entry["recorded_at"])
    assert recorded - then >= timedelta(hours=1)
    async with http.database.begin() as tx:
        (row,) = await rows(tx, "SELECT * FROM tickets.tickets WHERE id = :id", id=id_in(place))
        (sent,) = await rows(tx, _SENT, id=str(id_in(place)), type=entry["type"])
    assert LATE["occurred_late_reason"] in sent["value"]
    kept = {"hold": "held_at", "release": "course_at", "respond": "first_responded_at", "resolve": "resolved_at"}
    assert (row[kept[action]], row["last_fact_at"]) == (then, recorded)


@pytest.mark.parametrize("action", BODIES)
async def test_nothing_happens_before_the_call(ana: httpx2.AsyncClient, action: str) -> None:
    place = await ready(ana, action)
    refused = await do(ana, place, action, **told(ago(hours=4)))
    said = refused.json()
    assert (refused.status_code, said["code"]) == (422, "occurred-before-it-began")
    assert "was reported: say an instant from then on, or leave it out for now" in said["detail"]
    assert timedelta(hours=2.9) < datetime.now(UTC) - datetime.fromisoformat(said["not_before"]) < timedelta(hours=3.1)
    assert len((await ana.get(f"{place}/history")).json()["items"]) == (2 if action == "release" else 1)


@pytest.mark.parametrize("action", BODIES)
async def test_nothing_has_happened_that_is_still_to_come(ana: httpx2.AsyncClient, action: str) -> None:
    refused = await do(ana, await ready(ana, action), action, **told(ago(hours=-1)))
    assert (refused.status_code, refused.json()["code"]) == (422, "occurred-in-the-future")


@pytest.mark.parametrize("action", BODIES)
async def test_what_is_told_late_says_why(ana: httpx2.AsyncClient, action: str) -> None:
    place = await ready(ana, action)
    refused = await do(ana, place, action, occurred_at=ago(minutes=30).isoformat())
    assert (refused.status_code, refused.json()["code"]) == (422, "dated-reason-missing")
    assert (await do(ana, place, action, occurred_at=ago(minutes=10).isoformat())).status_code == 200


@pytest.mark.parametrize(
    ("first", "then", "detail"),
    [
        ("hold", "release", "was put on hold"),
        ("hold", "resolve", "was put on hold"),
        ("release", "hold", "was released"),
        ("respond", "respond", "was first told something"),
    ],
)
async def test_it_happened_after_what_it_follows(ana: httpx2.AsyncClient, first: str, then: str, detail: str) -> None:
    place = await ready(ana, first)
    assert (await do(ana, place, first, **told(ago(hours=1)))).status_code == 200
    refused = await do(ana, place, then, **told(ago(hours=1, minutes=1)))
    assert (refused.status_code, refused.json()["code"]) == (422, "occurred-before-it-began")
    assert detail in refused.json()["detail"]
    assert (await do(ana, place, then, **told(ago(minutes=59)))).status_code == 200


async def test_it_contradicts_nothing_that_was_done_to_other_ends_meanwhile(ana: httpx2.AsyncClient) -> None:
    """Whoever was given the ticket, or what the client was told, says nothing of when the work rested."""
    place = await ready(ana, "hold")
    assert (await ana.post(f"{place}/assign", json={}, headers=at("*"))).status_code == 200
    assert (await do(ana, place, "respond")).status_code == 200
    assert (await do(ana, place, "hold", **told(ago(hours=1)))).status_code == 200
    assert (await do(ana, place, "resolve", **told(ago(minutes=30)))).status_code == 200
    # Told after the resolution, of the time before it; the first answer stays the first.
    assert (await do(ana, place, "respond", **told(ago(minutes=40)))).status_code == 422
    happened = [entry["type"].split(".")[2] for entry in (await ana.get(place)).json()["history"]]
    assert happened == ["held", "resolved", "opened", "assigned", "responded"]


async def test_without_an_instant_it_happened_in_its_turn_under_the_lock(ana: httpx2.AsyncClient) -> None:
    place = await ready(ana, "hold")
    for action in ("respond", "hold", "release", "resolve"):
        assert (await do(ana, place, action)).status_code == 200
    entries = (await ana.get(f"{place}/history")).json()["items"]
    assert [one["occurred_at"] for one in entries] == [one["recorded_at"] for one in entries]
    assert {one["data"]["occurred_late_reason"] for one in entries[1:]} == {None}
