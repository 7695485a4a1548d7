"""The main job: a call becomes a ticket, three services react, and one GET shows it all."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import datetime
from typing import Any

import httpx2
import pytest

from shared.contracts.topics import BY_TYPE, TOPIC_OF
from tests.journeys.desk import act, clock_of, facts, has_reacted, open_ticket, targets_of, until, view
from tests.support.system import SERVICES, System

# A client that runs several products.
VAGUE: dict[str, Any] = {"client_id": "supermercados-la-yapa", "product_id": None}
NAMED = "supermercados-la-yapa-kontar"


@pytest.fixture(scope="module")
def whole_file() -> set[str]:
    """The names of the tests that were played on this system."""
    return set()


@pytest.fixture(autouse=True)
def played(whole_file: set[str], request: pytest.FixtureRequest) -> set[str]:
    """The same, with the one that takes it."""
    whole_file.add(request.node.originalname)
    return whole_file


async def test_a_ticket_gets_its_environment_clocks_and_task_in_one_view(system: System) -> None:
    async with system.client() as agent, system.client("devlink", "developer") as developer:
        opened = await open_ticket(agent, severity=1)
        ticket = await until(agent, opened["id"], has_reacted)
        assert ticket["environment"]["state"] == "resolved"
        assert ticket["environment"]["data"]["product_id"] == "factela"
        assert ticket["environment"]["data"]["modules"]
        assert ticket["immediate"] is True
        assert {clock["state"] for clock in ticket["clocks"]} == {"running"}
        assert clock_of(ticket, "response")["target_seconds"] == 15 * 60
        assert 0 < clock_of(ticket, "resolution")["remaining_seconds"] <= 4 * 3600

        await act(agent, opened["id"], "assign", assignee="ramiro.ledesma")
        await act(agent, opened["id"], "respond", text="Estamos revisando, la llamamos en diez minutos.")
        ticket = await until(agent, opened["id"], lambda seen: clock_of(seen, "response")["state"] == "met")

        await act(agent, opened["id"], "escalate", target="development", reason="Error 500 al confirmar")
        ticket = await until(agent, opened["id"], lambda seen: seen["tasks"])
        (task,) = ticket["tasks"]
        assert (ticket["level"], ticket["target"], task["tracker"], task["status"]) == (
            3,
            "development",
            "board",
            "new",
        )

        moved = await developer.post(
            f"/v1/tasks/{task['id']}/move", json={"status": "triaged"}, headers={"if-match": '"1"'}
        )
        assert moved.status_code == 200, moved.text
        await until(agent, opened["id"], lambda seen: seen["tasks"][0]["status"] == "triaged")

        await act(agent, opened["id"], "resolve", code="error-corregido", text="Corregido en la versión nueva.")
        ticket = await until(agent, opened["id"], lambda seen: clock_of(seen, "resolution")["state"] == "met")
        await act(agent, opened["id"], "close")
        ticket = await view(agent, opened["id"])
        assert ticket["status"] == "closed"


async def test_every_reaction_stands_in_the_history_with_its_cause(system: System) -> None:
    async with system.client() as agent:
        opened = await open_ticket(agent)
        ticket = await until(agent, opened["id"], has_reacted)
    (opening,) = facts(ticket, "desk.ticket.opened.v1")
    (environment,) = facts(ticket, "desk.environment.resolved.v1")
    clocks = facts(ticket, "desk.sla-clock.started.v1")
    assert len(clocks) == 2
    for reaction in (environment, *clocks):
        assert reaction["causation_id"] == opening["fact_id"]
        assert reaction["correlation_id"] == opening["correlation_id"]
        assert reaction["actor"] in {"system:inventory", "system:sla"}
        assert datetime.fromisoformat(reaction["recorded_at"]) >= datetime.fromisoformat(opening["recorded_at"])


async def test_one_trace_goes_from_the_request_to_the_last_reaction(system: System) -> None:
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    async with system.client() as agent:
        agent.headers["traceparent"] = f"00-{trace}-00f067aa0ba902b7-01"
        opened = await open_ticket(agent)
        await until(agent, opened["id"], has_reacted)
    for service in ("tickets", "inventory", "sla"):
        told = await system.rows(service, "SELECT traceparent FROM runtime.archive WHERE key = $1", opened["id"])
        assert told
        assert {row["traceparent"].split("-")[1] for row in told} == {trace}, service


async def test_a_hold_for_the_client_pauses_only_the_resolution(system: System) -> None:
    async with system.client() as agent:
        opened = await open_ticket(agent, severity=1)  # counts day and night, whenever this runs
        await until(agent, opened["id"], has_reacted)
        await act(agent, opened["id"], "hold", reason="waiting-for-client", note="¿Desde qué puesto ocurre?")
        ticket = await until(agent, opened["id"], lambda seen: clock_of(seen, "resolution")["state"] == "paused")
        left = clock_of(ticket, "resolution")["remaining_seconds"]
        assert clock_of(ticket, "response")["state"] == "running"
        await asyncio.sleep(2.1)  # the time that must not count
        assert clock_of(await view(agent, opened["id"]), "resolution")["remaining_seconds"] == left
        await act(agent, opened["id"], "release")
        ticket = await until(agent, opened["id"], lambda seen: clock_of(seen, "resolution")["state"] == "running")
        assert abs(clock_of(ticket, "resolution")["remaining_seconds"] - left) <= 2


async def test_what_was_not_settled_goes_on_and_what_should_not_be_there_ends(system: System) -> None:
    async with system.client() as agent, system.client("tickets", "analyst") as analyst:
        # The first one counts day and night, whenever this runs.
        opened, unwanted = await open_ticket(agent, severity=1), await open_ticket(agent, **VAGUE)
        await until(agent, opened["id"], has_reacted)
        await act(agent, opened["id"], "resolve", code="configuracion", text="Se reinició el servicio.")
        ticket = await until(agent, opened["id"], lambda seen: clock_of(seen, "resolution")["state"] == "met")
        settled = clock_of(ticket, "resolution")
        await asyncio.sleep(1.1)  # the time that must not count
        await act(agent, opened["id"], "reopen", reason="Volvió a pasar.")
        ticket = await until(agent, opened["id"], lambda seen: clock_of(seen, "resolution")["state"] == "running")
        went_on = clock_of(ticket, "resolution")
        assert (went_on["id"], went_on["elapsed_seconds"]) == (settled["id"], settled["elapsed_seconds"])
        assert clock_of(ticket, "response")["state"] == "met"
        assert went_on["due_at"] > settled["due_at"]

        await until(agent, unwanted["id"], has_reacted)
        await _complete(agent, unwanted["id"])
        for action in ("link", "unlink", "link"):
            await act(analyst, unwanted["id"], action, relation="duplicate_of", other=opened["number"])
        await act(analyst, unwanted["id"], "cancel", reason="Se abrió dos veces.")
        ticket = await until(
            agent, unwanted["id"], lambda seen: {clock["state"] for clock in seen["clocks"]} == {"cancelled"}
        )
        assert (ticket["status"], [one["number"] for one in ticket["related"]]) == ("cancelled", [opened["number"]])
        (repeated,) = (await view(agent, opened["id"]))["related"]
        assert (repeated["number"], repeated["relation"]) == (unwanted["number"], "has_duplicate")


async def _complete(agent: httpx2.AsyncClient, ticket_id: str) -> None:
    """It stays unknown which of the client's installations it is about, until somebody names it."""
    ticket = await view(agent, ticket_id)
    assert (ticket["environment"]["state"], ticket["environment"]["data"]["reason"]) == (
        "unknown",
        "several-installations",
    )
    await act(agent, ticket_id, "complete", installation_id=NAMED)
    ticket = await until(agent, ticket_id, lambda seen: seen["environment"]["state"] == "resolved")
    assert ticket["environment"]["data"]["installation_id"] == NAMED
    assert [one["state"] for one in ticket["earlier_environments"]] == ["unknown"]


async def test_a_ticket_goes_up_and_down_and_its_owner_keeps_it(system: System) -> None:
    async with system.client() as agent, system.client("tickets", "analyst") as analyst:
        opened = await open_ticket(agent, severity=1)
        await act(agent, opened["id"], "escalate", target="analysts", reason="Hace falta mirar los datos.")
        taken = await analyst.post("/v1/take-next", json={})
        assert taken.status_code == 200, taken.text
        assert (taken.json()["id"], taken.json()["owner"]) == (opened["id"], opened["owner"])
        await act(analyst, opened["id"], "join", role="working")
        await act(analyst, opened["id"], "note", text="Se reproduce.")
        await act(analyst, opened["id"], "escalate", target="development", reason="Es un defecto.", tried="Reiniciar.")
        seen = await view(agent, opened["id"])
        assert (seen["level"], seen["assignee"], seen["owner"]) == (3, None, opened["owner"])
        mine = (await agent.get("/v1/tickets?view=mine&limit=200")).json()["items"]
        assert opened["id"] in [row["id"] for row in mine]
        await act(analyst, opened["id"], "de-escalate", reason="Falta un dato del cliente.")
        seen = await view(agent, opened["id"])
        assert (seen["level"], seen["assignee"]) == (2, taken.json()["assignee"])
        await act(analyst, opened["id"], "leave", role="working")
        await act(agent, opened["id"], "hand-over", owner=taken.json()["assignee"], reason="Termina mi turno.")
        assert (await view(agent, opened["id"]))["owner"] == taken.json()["assignee"]


async def test_a_clock_warns_and_breaches_by_its_timers(system: System) -> None:
    contract = {
        "client_id": "tejidos-runa-simi",
        "contract_type": "oro",
        "valid_from": "2026-01-01T00:00:00Z",
        "targets": targets_of(2, 4),
    }
    async with system.client() as agent, system.client("sla", "admin") as admin:
        written = await admin.put("/v1/contracts/runa-simi-prueba", json=contract)
        assert written.status_code in (200, 201), written.text
        opened = await open_ticket(agent, client_id="tejidos-runa-simi", product_id=None)
        ticket = await until(
            agent,
            opened["id"],
            lambda seen: len(facts(seen, "desk.sla-clock.breached.v1")) == 2,
            what="both clocks breached",
        )
        thresholds = [fact["data"]["threshold"] for fact in facts(ticket, "desk.sla-clock.warned.v1")]
        assert Counter(one["said_as"] for one in thresholds) == {"50%": 2, "80%": 1, "75%": 1, "90%": 1}
        assert {clock["state"] for clock in ticket["clocks"]} == {"breached"}
        assert all(clock["remaining_seconds"] <= 0 for clock in ticket["clocks"])
        # Nobody has it, so the team is called; whoever does something about it has answered.
        assert [(one["reason"], one["addressee"]) for one in ticket["attention"]] == [("breached", "team")]
        await act(agent, opened["id"], "resolve", code="configuracion", text="Se reinició el servicio.")
        ticket = await until(agent, opened["id"], lambda seen: len(facts(seen, "desk.sla-clock.stopped.v1")) == 2)
        assert ticket["attention"] == []


async def test_another_version_of_a_calendar_moves_the_clocks_that_run(system: System) -> None:
    """Whoever looks at its impact first sees what then happens."""
    calendar = "/v1/calendars/comercial"
    async with system.client() as agent, system.client("sla", "admin") as admin:
        opened = await open_ticket(agent, severity=3, client_id="veterinaria-huellas", product_id=None)
        before = await until(agent, opened["id"], has_reacted)
        facts_of_it = (await admin.get(f"{calendar}/versions/1")).json()["calendar"]
        for day in ("mon", "tue", "wed", "thu", "fri", "sat", "sun"):
            facts_of_it["weekly"][day] = [["00:00", "24:00"]]
        seen = {"if-match": (await admin.get(calendar)).headers["etag"]}
        drafted = await admin.put(f"{calendar}/draft", json=facts_of_it, headers=seen)
        assert drafted.status_code == 200, drafted.text
        impact = (await admin.get(f"{calendar}/versions/2/impact")).json()
        assert impact["moved"] >= 1
        head = {"if-match": drafted.headers["etag"]}
        activated = await admin.post(f"{calendar}/versions/2/activate", json={}, headers=head)
        assert activated.status_code == 200, activated.text
        after = await until(agent, opened["id"], lambda seen: facts(seen, "desk.sla-clock.retargeted.v1"))
        assert clock_of(after, "resolution")["due_at"] < clock_of(before, "resolution")["due_at"]
        assert [one["calendar_version"] for one in clock_of(after, "resolution")["counted_in"]] == [1, 2]


async def test_a_ticket_is_opened_while_every_other_service_is_down(system: System) -> None:
    others = [process for service in ("inventory", "sla", "devlink") for process in system.all(service)]
    for process in others:
        process.kill()
    async with system.client() as agent, system.client("tickets", "analyst") as analyst:
        opened = await open_ticket(agent)
        await act(agent, opened["id"], "escalate", target="analysts", reason="Requiere análisis")
        await act(analyst, opened["id"], "escalate", target="development", reason="Error en el módulo")
        ticket = await view(agent, opened["id"])
        assert ticket["environment"]["state"] == "pending"
        assert ticket["clocks"] == []
        for process in others:
            process.start()
        ticket = await until(agent, opened["id"], lambda seen: has_reacted(seen) and seen["tasks"], within=150)
    assert len(ticket["tasks"]) == 1
    system.wait_until_ready()


async def test_two_escalations_are_two_tasks_and_a_repeated_view_changes_nothing(system: System) -> None:
    async with system.client() as agent:
        opened = await open_ticket(agent, severity=1)
        await act(agent, opened["id"], "escalate", target="functional-analysis", reason="Duda funcional")
        await act(agent, opened["id"], "escalate", target="development", reason="Es un defecto")
        await act(agent, opened["id"], "escalate", target="development", reason="Otro defecto del mismo caso")
        ticket = await until(agent, opened["id"], lambda seen: len(seen["tasks"]) == 2)
        assert len({task["escalation_id"] for task in ticket["tasks"]}) == 2
        again = await view(agent, opened["id"])
    assert {task["id"] for task in again["tasks"]} == {task["id"] for task in ticket["tasks"]}


async def test_what_each_service_published_is_what_the_catalogue_says_it_does(system: System, played: set[str]) -> None:
    """Counted in the archives after the journeys above, of which this is the last.

    That nothing of the catalogue is missing can be asked only where all of them were played.
    """
    counted = {
        service: {
            row["type"]: (row["topic"], row["events"])
            for row in await system.rows(
                service, "SELECT type, min(topic) AS topic, count(*) AS events FROM runtime.archive GROUP BY type"
            )
        }
        for service in SERVICES
    }
    for service, types in counted.items():
        foreign = {name for name in types if TOPIC_OF[name].owner != service}
        assert foreign == set(), f"{service} published types of others"
        assert {name: topic for name, (topic, _) in types.items()} == {name: TOPIC_OF[name].name for name in types}
    if played >= {name for name in globals() if name.startswith("test_")}:
        told = {name: events for types in counted.values() for name, (_, events) in types.items()}
        assert set(told) == set(BY_TYPE), f"the journeys caused {sorted(told.items())}"
