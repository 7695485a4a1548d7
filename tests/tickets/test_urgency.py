"""Urgency over HTTP: what answers give and why, the next scheme, what differs from the shipped one."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx2
import pytest
import time_machine

from tests.support.databases import Database
from tests.support.urgency import impact_of
from tests.tickets.desk import NOW, a_call, cause, contract, deliver, received, rows
from tests.tickets.domain.shipped import DEFAULTS as SHIPPED
from tests.tickets.door import Desk, at, opened
from tickets.commands import documents
from tickets.commands.tickets import open_ticket
from tickets.commands.urgency import record_schemes
from tickets.documents import Document

SCHEMES = "/urgency/schemes"
TERMS = ("matrix", "unknown_counts_as", "rules", "shifts")


@pytest.fixture
async def admin(http: Desk) -> Any:
    async with http.person("natalia", "admin") as client:
        yield client


async def terms(client: httpx2.AsyncClient, id: str = "de-fabrica") -> dict[str, Any]:
    """What a scheme says, as it would be sent."""
    shown = (await client.get(f"{SCHEMES}/{id}")).json()
    return {name: shown[name] for name in TERMS}


async def preview(client: httpx2.AsyncClient, **body: Any) -> dict[str, Any]:
    """What answers would give."""
    answer = await client.post("/urgency/preview", json={"client_id": "molinos", "impact": impact_of(1)} | body)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def test_what_answers_give_is_told_with_the_rule_the_contract_and_why_and_nothing_is_kept(
    http: Desk, ana: httpx2.AsyncClient
) -> None:
    told = await preview(ana, product_id="gestion", impact={"operational": 1, "economic": None})
    assert told == {
        "severity": 2, "severity_derived": 2, "severity_to_review": True, "priority": 2, "priority_derived": 2,
        "immediate": False, "rule": {"id": "contrato-oro", "says": "Contrato Oro"}, "shifts": [],
        "contract": {
            "id": "c-molinos", "contract_type": "oro", "standing": "in-force",
            "says": "the contract c-molinos (oro) of the client applies, in force",
        },
        "scheme": "de-fabrica",
        "why": [
            "S2: who is stopped is 1, what is lost is «no sé», which counts as 3",
            "P2: Contrato Oro (contrato-oro)",
            "the contract c-molinos (oro) of the client applies, in force",
        ],
    }  # fmt: skip
    nothing = await preview(ana, client_id="sin-contrato")
    assert (nothing["priority"], nothing["rule"]["id"], nothing["contract"]["standing"]) == (4, "sin-contrato", "none")
    async with http.database.begin() as tx:
        ended = contract("c-molinos", "molinos", "oro", 8, valid_until=NOW)
        named = contract("c-gestion", "molinos", "platino", 2, product_ids=("gestion",))
        await deliver(tx, [received(ended), received(named)])
    lately = await preview(ana, product_id="sueldos", reported_at="2026-11-03T00:00:00Z")
    assert lately["contract"]["says"] == (
        "the contract c-molinos (oro) of the client applies, vencido: ended 2026-11-02, at most 60 days ago"
    )
    assert (await preview(ana, module_id="facturacion"))["immediate"] is True
    # A number that nobody gets is drawn for no question.
    assert await http.database.count("SELECT count(*) FROM tickets.tickets") == 0
    assert (await ana.get(await opened(ana))).json()["number"] == "T-000001"


async def test_a_draft_is_tried_before_anybody_records_it(http: Desk, ana: httpx2.AsyncClient) -> None:
    draft = await terms(ana)
    draft["rules"] = [{"id": "todos", "says": "Todos", "priority": 3}]
    told = await preview(ana, draft=draft)
    assert (told["severity"], told["priority"], told["rule"]["id"], told["scheme"]) == (1, 3, "todos", None)
    body = {"client_id": "molinos", "impact": impact_of(1), "draft": draft | {"rules": draft["rules"] * 2}}
    answer = await ana.post("/urgency/preview", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "rules-make-no-sense")


async def test_another_urgency_needs_a_reason_and_both_are_shown(ana: httpx2.AsyncClient) -> None:
    place = await opened(
        ana, severity=1, severity_reason="sale el camión", priority=1, priority_reason="lo pidió el gerente",
        category="lentitud",
        answers=[{"question": one, "text": None if one == "mensaje" else "x"} for one in QUESTIONS],
    )  # fmt: skip
    found = (await ana.get(place)).json()
    assert {name: found[name] for name in found if name.startswith(("severity", "priority"))} == {
        "severity": 1, "severity_derived": 2, "severity_reason": "sale el camión", "severity_to_review": False,
        "priority": 1, "priority_derived": 2, "priority_reason": "lo pidió el gerente", "priority_rule": "contrato-oro",
    }  # fmt: skip
    assert (found["immediate"], found["impact"], found["urgency_scheme"]) == (True, impact_of(2), "de-fabrica")
    assert found["category"] == {"id": "lentitud", "name": "Lentitud"}
    assert {one["question"]: one["text"] for one in found["answers"]} == {
        one: None if one == "mensaje" else "x" for one in QUESTIONS
    }
    data = found["history"][0]["data"]
    assert (data["severity_derived"], data["severity_reason"], data["answers"]) == (
        2, "sale el camión", found["answers"],
    )  # fmt: skip


async def test_the_scheme_that_was_in_force_when_the_client_reported_judges(desk: Database) -> None:
    shipped = SHIPPED.urgency_schemes[0]
    begins = NOW + timedelta(days=1)
    strict = shipped.model_copy(update={"id": "estricto", "valid_from": begins, "matrix": ((1,) * 4,) * 4})
    with time_machine.travel(NOW, tick=False):
        async with desk.begin() as tx:
            assert await record_schemes(tx, cause(), [strict]) == 1
    given = []
    for reported_at in (begins - timedelta(seconds=1), begins, begins + timedelta(days=1)):
        async with desk.begin() as tx:
            call = a_call(severity=4, reported_at=reported_at, reported_late_reason="de ayer")
            done = await open_ticket(tx, cause(begins + timedelta(days=1)), call, may_be_late=True)
        given.append((done.ticket.opening.severity, done.ticket.opening.urgency_scheme))
    assert given == [(4, "de-fabrica"), (1, "estricto"), (1, "estricto")]


async def test_a_ticket_keeps_what_it_was_given_and_today_s_urgency_is_shown_beside_it(
    http: Desk, ana: httpx2.AsyncClient
) -> None:
    place = await opened(ana, impact=impact_of(1))
    before = (await ana.get(f"{place}/urgency-today")).json()
    async with http.database.begin() as tx:
        await deliver(tx, [received(contract("c-molinos", "molinos", "platino", 8))])
        await rows(tx, "UPDATE tickets.tickets SET reopenings = 3 RETURNING id")
    today = (await ana.get(f"{place}/urgency-today")).json()
    assert [(one["priority"], one["immediate"], one["rule"]["id"]) for one in (before, today)] == [
        (2, False, "contrato-oro"), (1, True, "contrato-platino"),
    ]  # fmt: skip
    assert [one["id"] for one in today["shifts"]] == ["tercera-reapertura"]
    found = (await ana.get(place)).json()
    assert (found["priority"], found["version"]) == (2, 1)
    nothing = await ana.get("/tickets/00000000-0000-0000-0000-000000000000/urgency-today")
    assert nothing.status_code == 404


QUESTIONS = ("que-hacia", "mensaje", "desde-cuando", "cuantos-usuarios", "alternativa")


async def test_the_next_scheme_is_planned_changed_and_left_alone_once_it_is_in_force(
    http: Desk, admin: httpx2.AsyncClient
) -> None:
    (shipped,) = (await admin.get(SCHEMES)).json()["schemes"]
    assert (shipped["id"], shipped["state"], shipped["differs_from_shipped"]) == ("de-fabrica", "in-force", [])
    body = await terms(admin) | {"valid_from": "2199-01-01T00:00:00Z"}
    body["matrix"][2][3] = 3
    new = await admin.put(f"{SCHEMES}/verano", json=body)
    assert (new.status_code, new.headers["etag"], new.json()["state"]) == (200, '"1"', "planned")
    assert new.json()["differs_from_shipped"] == ["matrix"]
    assert (await admin.put(f"{SCHEMES}/verano", json=body)).headers["etag"] == '"1"'
    body["rules"][-1]["priority"] = 3
    assert (await admin.put(f"{SCHEMES}/verano", json=body)).status_code == 428
    assert (await admin.put(f"{SCHEMES}/verano", json=body, headers=at(2))).status_code == 412
    changed = await admin.put(f"{SCHEMES}/verano", json=body, headers=at(1))
    assert changed.json()["differs_from_shipped"] == ["matrix", "rule:basico"]
    restored = await admin.post(f"{SCHEMES}/verano/restore", json={"entry": "rule:basico"}, headers=at(2))
    assert (restored.json()["differs_from_shipped"], restored.headers["etag"]) == (["matrix"], '"3"')
    missing = await admin.post(f"{SCHEMES}/verano/restore", json={"entry": "rule:basico"}, headers=at(3))
    assert (missing.status_code, missing.json()["entries"]) == (404, ["matrix"])
    # The one in force stays as it is; so does what was judged by it.
    refused = await admin.put(f"{SCHEMES}/de-fabrica", json=body, headers=at(1))
    assert (refused.status_code, refused.json()["code"]) == (409, "scheme-in-force")
    past = await admin.put(f"{SCHEMES}/otra", json=body | {"valid_from": "2026-01-01T00:00:00Z"})
    assert (past.status_code, past.json()["code"]) == (422, "begins-in-the-past")
    twice = await admin.put(f"{SCHEMES}/otra", json=body)
    assert (twice.status_code, twice.json()["code"]) == (409, "two-begin-at-once")
    assert (await admin.get(f"{SCHEMES}/nada")).json()["code"] == "no-such-scheme"
    assert [(one["id"], one["valid_until"]) for one in (await admin.get(SCHEMES)).json()["schemes"]] == [
        ("de-fabrica", "2199-01-01T00:00:00Z"), ("verano", None),
    ]  # fmt: skip


@pytest.mark.parametrize("noun", ["categories", "resolution-codes"])
async def test_an_entry_is_added_retired_and_put_back_and_its_id_stays(
    http: Desk, admin: httpx2.AsyncClient, noun: str
) -> None:
    known = (await admin.get(f"/{noun}", params={"limit": 100})).json()["items"]
    assert len(known) == (10 if noun == "categories" else 11)
    assert {one["differs_from_shipped"] for one in known} == {False}
    entry = known[0]["id"]
    facts = {name: known[0][name] for name in ("name", "questions", "retired") if name in known[0]}
    gone = await admin.put(f"/{noun}/{entry}", json=facts | {"retired": True, "name": "Otro nombre"}, headers=at(1))
    assert (gone.json()["differs_from_shipped"], gone.json()["shipped"]) == (True, facts)
    assert entry not in [one["id"] for one in (await admin.get(f"/{noun}?retired=false")).json()["items"]]
    async with http.database.begin() as tx:
        assert await documents.load_defaults(tx, cause(), SHIPPED) == 0
    assert (await admin.get(f"/{noun}/{entry}")).json()["retired"] is True
    back = await admin.post(f"/{noun}/{entry}/restore", headers=at(2))
    assert (back.json()["differs_from_shipped"], back.json()["name"]) == (False, facts["name"])
    mine = await admin.put(f"/{noun}/mia", json={"name": "Mía"})
    assert (mine.status_code, mine.json()["differs_from_shipped"]) == (200, None)
    assert (await admin.post(f"/{noun}/mia/restore", headers=at(1))).json()["code"] == "not-shipped"
    assert (await admin.get(f"/{noun}/nada")).json()["code"] == "no-such-entry"


async def test_a_ticket_is_resolved_with_a_code_that_is_in_use(http: Desk, ana: httpx2.AsyncClient) -> None:
    place = await opened(ana)
    async with http.person("natalia", "admin") as admin:
        retired = {"name": "Tercero", "retired": True}
        assert (await admin.put("/resolution-codes/tercero", json=retired, headers=at(1))).status_code == 200
    for code in ("x-1", "tercero"):
        answer = await ana.post(f"{place}/resolve", json={"code": code, "text": "x"}, headers=at(1))
        problem = answer.json()
        assert (answer.status_code, problem["code"]) == (422, "unknown-resolution-code")
        assert "no-se-reproduce (No se reproduce)" in problem["detail"]
        assert "tercero" not in problem["known"]
    answer = await ana.post(f"{place}/resolve", json={"code": "duplicado", "text": "x"}, headers=at(1))
    assert answer.status_code == 200


async def test_what_is_shipped_is_loaded_once_and_a_file_may_add_to_it(desk: Database) -> None:
    async with desk.begin() as tx:
        assert await documents.load_defaults(tx, cause(), SHIPPED) == 0
        more = Document.model_validate({"resolution_codes": [{"id": "mio", "name": "Mío"}]})
        assert await documents.load_document(tx, cause(), more) == 1
        assert await documents.load_document(tx, cause(), SHIPPED) == 0
    assert await desk.count("SELECT count(*) FROM tickets.resolution_codes") == 12
