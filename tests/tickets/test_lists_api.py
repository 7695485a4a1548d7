"""The list over HTTP: each filter under its name, several values, what a page says beside its rows, what it refuses."""

from __future__ import annotations

from dataclasses import fields
from datetime import datetime
from typing import Any

import httpx2

from tests.support.urgency import impact_of
from tests.tickets.door import Desk, at, opened
from tickets.queries.filters import TicketFilter

LONG_AGO, AHEAD = "1999-01-01T00:00:00Z", "2199-01-01T00:00:00Z"
# What the query asks for, and the ones of four tickets that it leaves: two that are swapped leave others or none.
FILTERS = {
    "status=on_hold": "B", "client=aguero": "C", "product=sueldos": "C", "module=facturacion": "A", "level=2": "D",
    "target=analysts": "D", "team=analistas": "D", "assignee=bruno": "D", "severity=4": "B", "q=impresora": "A",
    "q=T-000003": "C", "q=AGUERO": "C", "owner=bruno": "A", "priority=3": "C", "kind=question": "B",
    "participant=eva": "D", "hold_reason=third-party": "B", "immediate=false&client=aguero": "C",
    "breached=no&client=aguero": "C", "breached=yes": "", "view=mine&client=aguero": "C",
    "status=new&client=molinos": "A", "client=molinos&severity=2&level=1": "A", "severity=4&severity=2&level=1": "CBA",
    "client=aguero&client=molinos&level=2": "D", "assignee=none": "CBA", "assignee=none&assignee=bruno": "DCBA",
    "target=call-centre&target=development": "CBA",
    **{f"{name}_from={LONG_AGO}&level=2": "D" for name in ("opened", "reported")},
    **{f"{name}_to={AHEAD}&level=2": "D" for name in ("opened", "reported")},
    **{f"{name}_to={LONG_AGO}": "" for name in ("opened", "reported")},
    f"due_from={LONG_AGO}": "", f"due_to={AHEAD}": "", f"updated_since={LONG_AGO}&level=2": "D",
    f"updated_since={AHEAD}": "",
}  # fmt: skip


async def furnish(ana: httpx2.AsyncClient) -> None:
    """Four tickets."""
    first = await opened(ana, title="A: impresora", module_id="facturacion")
    held = await opened(ana, title="B", impact=impact_of(4), kind="question")
    await opened(ana, title="C", client_id="aguero", product_id="sueldos")
    taken = await opened(ana, title="D")
    await ana.post(f"{held}/hold", json={"reason": "third-party", "note": "x"}, headers=at(1))
    await ana.post(f"{taken}/escalate", json={"target": "analysts", "reason": "x"}, headers=at(1))
    await ana.post(f"{taken}/assign", json={"assignee": "bruno"}, headers=at(2))
    await ana.post(f"{taken}/join", json={"person_id": "eva", "role": "watching"}, headers=at(3))
    await ana.post(f"{first}/hand-over", json={"owner": "bruno"}, headers=at(1))


async def test_each_filter_of_the_list_leaves_the_tickets_that_fit(ana: httpx2.AsyncClient) -> None:
    await furnish(ana)
    for query, expected in FILTERS.items():
        for sort in ("opened", "due"):
            answer = await ana.get(f"/tickets?{query}&sort={sort}")
            assert answer.status_code == 200, (query, answer.text)
            found = [row["title"][0] for row in answer.json()["items"]]
            assert (found if sort == "opened" else sorted(found, reverse=True)) == list(expected), (query, sort)


def test_every_filter_of_the_list_is_described_and_has_a_case(http: Desk) -> None:
    tried = {pair.partition("=")[0] for query in FILTERS for pair in query.split("&")}
    # Those two are of closed tickets; whose view it is, the token says.
    assert tried | {"me", "closed_from", "closed_to"} == {one.name for one in fields(TicketFilter)}
    told = http.app.openapi()["paths"]["/v1/tickets"]["get"]["parameters"]
    described = {one["name"] for one in told if len(one.get("description", "")) > 10 and one["in"] == "query"}
    assert described == {one.name for one in fields(TicketFilter)} - {"me"} | {"sort", "after", "limit", "include"}


async def test_a_page_tells_the_time_and_what_else_it_is_asked_to(ana: httpx2.AsyncClient) -> None:
    place = await opened(ana, description="no anda")
    await ana.post(f"{place}/resolve", json={"code": "configuracion", "text": "x"}, headers=at(1))
    await ana.post(f"{place}/close", headers=at(2))
    view = (await ana.get(place)).json()
    closed: dict[str, Any] = {"status": "all", "closed_from": view["closed_at"], "include": ["description", "tasks"]}
    page = (await ana.get("/tickets", params=closed)).json()
    assert [row["more"] for row in page["items"]] == [
        {"description": "no anda", "participants": None, "environment": None, "clocks": None, "tasks": []}
    ]
    assert datetime.fromisoformat(page["server_time"]) >= datetime.fromisoformat(view["server_time"])
    before = {"status": "closed", "closed_to": view["closed_at"]}
    assert (await ana.get("/tickets", params=before)).json()["items"] == []


REFUSED = {
    f"opened_from={AHEAD}&opened_to={AHEAD}": ("range-reversed", "is not before opened_to"),
    f"closed_to={AHEAD}": ("open-tickets-have-no-closing", "say status=closed"),
    f"status=closed&due_to={AHEAD}": ("ended-tickets-have-no-due", "leave `due_from` and `due_to` out"),
    "status=all&sort=due": ("ended-tickets-have-no-due", "or sort by `opened`"),
    "status=all&view=mine": ("view-of-open-tickets", "or leave `view` out"),
    "status=all&q=el": ("question-too-short", "at least three letters"),
}
WRONG = {
    "status=lost": "status.0", "client=a1&client=NO": "client.1", "include=history": "include.0",
    "due_to=2026-11-02": "due_to", "updated_since=2026-11-02T14:03:00": "updated_since",
    "&".join(["team=a1"] * 51): "team", "owner=": "owner.0", "since=x": "since",
}  # fmt: skip


async def test_what_nobody_can_have_meant_is_refused_and_what_is_wrong_is_named(ana: httpx2.AsyncClient) -> None:
    for query, (code, advice) in REFUSED.items():
        answer = await ana.get(f"/tickets?{query}")
        assert (answer.status_code, answer.json()["code"]) == (422, code), query
        assert advice in answer.json()["detail"]
    for query, parameter in WRONG.items():
        answer = await ana.get(f"/tickets?{query}")
        assert (answer.status_code, [one["parameter"] for one in answer.json()["errors"]]) == (422, [parameter]), query
