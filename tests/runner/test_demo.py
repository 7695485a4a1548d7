"""The demo: which client it takes, what it takes for a reaction, and what it says when one does not come."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

import httpx2
import pytest
from typer.testing import CliRunner

from runner.cli import app
from runner.demo import story
from runner.demo.choice import Choice, choice_of
from runner.demo.desk import Desk, NotAnswered, NotUp, Refused
from runner.demo.story import ReactionMissing, Trail, left_of, play, recorded_after_ms, span, who_has_it
from shared.contracts.tickets import Addressee, AttentionReason

URLS = {"tickets": "http://tickets", "inventory": "http://inventory", "sla": "http://sla", "devlink": "http://devlink"}
HANDS = {"assignee": None, "team": "mesa-de-ayuda", "owner": "lucia.gomez"}
CLIENT = {"id": "acme", "name": "Acme Andina S.A.", "tier": "platino", "retired": False}


def _installation(product: str, *modules: tuple[str, str], **other: Any) -> dict[str, Any]:
    return {
        "id": f"acme-{product}",
        "retired": False,
        "product_id": product,
        "product_name": product.title(),
        "product_version": "7.4.2",
        "modules": [{"module_id": name, "name": name, "version": "1", "nature": nature} for name, nature in modules],
    } | other


def _desk(answers: Mapping[str, Any]) -> Desk:
    """The APIs as a table: path → answer; a path that is not in it is a 404 of the service."""

    def answer(request: httpx2.Request) -> httpx2.Response:
        assert request.url.path == "/readyz" or request.headers["authorization"].startswith("Bearer token-of-")
        found = answers.get(request.url.path)
        if isinstance(found, Exception):
            raise found
        if isinstance(found, httpx2.Response):
            return found
        if found is None:
            return httpx2.Response(404, json={"code": "not-found", "detail": "no such thing"})
        return httpx2.Response(200, json=found)

    return Desk(URLS, lambda key: f"token-of-{key}", transport=httpx2.MockTransport(answer))


def _page(*items: Any) -> dict[str, Any]:
    return {"items": list(items), "next": None, "limit": 50}


def test_a_customised_module_of_a_product_that_is_installed_once_is_chosen() -> None:
    twice = _installation("alfa", ("alfa-a-medida", "customised"))
    once = _installation("beta", ("beta-comun", "standard"), ("beta-medida", "customised"))
    choice = choice_of(CLIENT, [twice, twice | {"id": "otra"}, once])
    assert choice is not None
    assert (choice.module_id, choice.product_name, choice.client_id) == ("beta-medida", "Beta", "acme")


def test_a_retired_installation_does_not_count_as_a_second_one() -> None:
    used = _installation("alfa", ("alfa-comun", "standard"))
    choice = choice_of(CLIENT, [used, _installation("alfa", ("alfa-viejo", "customised"), retired=True)])
    assert choice is not None
    assert choice.module_id == "alfa-comun"


def test_a_client_with_two_installations_of_everything_is_not_chosen() -> None:
    twice = _installation("alfa", ("alfa-comun", "standard"))
    assert choice_of(CLIENT, [twice, twice]) is None


@pytest.mark.parametrize(("installed", "following"), [("7.4.2", "7.4.3"), ("5", "6"), ("2026.1-rc", "2026.1-rc.1")])
def test_the_fix_comes_in_the_version_after_the_installed_one(installed: str, following: str) -> None:
    choice = Choice("acme", "Acme Andina S.A.", "Alfa", "alfa-comun", "Común", installed)
    assert choice.next_version == following


def test_the_search_uses_the_first_words_of_the_name_without_punctuation() -> None:
    assert Choice("acme", "Acme, Andina S.A.", "", "", "", "1").words == "acme andina s.a"


@pytest.mark.parametrize(
    ("seconds", "said"), [(14399, "3 h 59 min"), (725, "12 min 05 s"), (0, "0 min 00 s"), (-3660, "-1 h 01 min")]
)
def test_what_is_left_is_said_as_people_say_it(seconds: int, said: str) -> None:
    assert span(seconds) == said


def test_what_is_closed_says_until_when_as_the_clock_on_the_wall_has_it() -> None:
    monday = {"remaining_seconds": 7200, "state": "closed", "ticking_changes_at": "2026-11-09T12:00:00+00:00"}
    assert left_of(monday) == "2 h 00 min, cerrado hasta el lunes 09:00"
    assert left_of(monday | {"state": "running"}) == "2 h 00 min"
    assert left_of(monday | {"remaining_seconds": None, "state": "running"}) == "pendiente"


def _entry(fact: str, kind: str, recorded_at: str, cause: str | None = None) -> dict[str, Any]:
    return {"fact_id": fact, "type": kind, "recorded_at": recorded_at, "causation_id": cause}


def test_the_recorded_delay_is_that_of_the_last_reaction_to_this_very_fact() -> None:
    history = [
        _entry("a", "opened", "2026-03-02T10:00:00.000+00:00"),
        _entry("b", "started", "2026-03-02T10:00:00.040+00:00", "a"),
        _entry("c", "started", "2026-03-02T10:00:00.055+00:00", "a"),
        _entry("d", "started", "2026-03-02T10:00:09+00:00", "other"),
    ]
    assert recorded_after_ms({"history": history}, {"a"}, "started") == pytest.approx(55)
    assert recorded_after_ms({"history": history}, {"a"}, "met") is None
    assert recorded_after_ms({"history": history}, set(), "started") is None


async def test_a_desk_that_is_not_up_is_told_with_the_way_out() -> None:
    up = {"/readyz": httpx2.ConnectError("refused")}
    async with _desk(up) as desk:
        with pytest.raises(NotUp, match="make up"):
            await desk.require_ready()


async def test_a_list_is_read_to_its_last_page() -> None:
    pages = {None: {"items": [1, 2], "next": "x"}, "x": {"items": [3], "next": None}}

    def answer(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, json=pages[request.url.params.get("after")])

    async with Desk(URLS, str, transport=httpx2.MockTransport(answer)) as desk:
        assert [one async for one in desk.every("sla", "/v1/contracts")] == [1, 2, 3]


@pytest.mark.parametrize(
    ("failure", "ambiguous"),
    [
        (httpx2.ConnectError("refused"), False),
        (httpx2.ReadTimeout("late"), True),
        (httpx2.RemoteProtocolError("cut off"), True),
        (httpx2.Response(503, json={"code": "unavailable"}), True),
        (httpx2.Response(502, text="<html>"), True),
    ],
)
async def test_only_what_was_never_sent_is_surely_not_done(failure: Any, ambiguous: bool) -> None:
    async with _desk({"/v1/tickets": failure}) as desk:
        with pytest.raises(NotAnswered) as caught:
            await desk.post("tickets", "/v1/tickets", "agent", {})
    assert caught.value.ambiguous is ambiguous


async def test_a_refusal_keeps_its_status_and_its_code() -> None:
    refusal = httpx2.Response(409, json={"code": "action-not-allowed", "detail": "it is closed"})
    async with _desk({"/v1/tickets/1/hold": refusal}) as desk:
        with pytest.raises(Refused, match="it is closed") as caught:
            await desk.post("tickets", "/v1/tickets/1/hold", "agent", {})
    assert (caught.value.status, caught.value.problem) == (409, "action-not-allowed")


async def test_an_environment_that_does_not_come_ends_the_story_with_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(story, "REACTION_SECONDS", 0.05)
    clock = {"remaining_seconds": 900, "state": "running"}
    view = {
        "number": "T-000001",
        "version": 1,
        **HANDS,
        "attention": [],
        "environment": {"state": "pending", "data": None},
        "clocks": [clock | {"kind": "response"}, clock | {"kind": "resolution"}],
        "history": [],
    }
    answers = {
        "/v1/clients": _page(CLIENT),
        "/v1/contracts": _page({"contract_type": "platino", "pausing_holds": ["waiting-for-client"]}),
        "/v1/installations": _page(_installation("alfa", ("alfa-comun", "standard"))),
        "/v1/tickets": {
            "id": "7", "version": 1, "number": "T-000001", "priority": 1, "severity": 1, "facts": ["a"], **HANDS,
        },
        "/v1/tickets/7": view,
    }  # fmt: skip
    trail = Trail()
    async with _desk(answers) as desk:
        with pytest.raises(ReactionMissing, match="entorno adjunto"):
            await play(desk, trail)
    assert [reaction.what.split(" (")[0] for reaction in trail.steps[-1].reactions] == ["dos relojes en marcha"]
    assert trail.steps[-1].has_it.startswith("nadie todavía\n")


def test_each_step_says_who_has_the_ticket_who_keeps_the_contact_and_whom_it_calls() -> None:
    assert who_has_it(HANDS | {"attention": []}) == "nadie todavía\ncola: mesa-de-ayuda\ncontacto: lucia.gomez"
    calls = [{"reason": "hold-ended", "addressee": "assignee"}, {"reason": "eclipse", "addressee": "moon"}]
    assert who_has_it(HANDS | {"assignee": "martin.fernandez", "attention": calls}).splitlines() == [
        "martin.fernandez", "cola: mesa-de-ayuda", "contacto: lucia.gomez",
        "llama a quien lo tiene: terminó la espera", "llama moon: eclipse",
    ]  # fmt: skip


def test_every_call_that_a_ticket_may_make_is_said_in_words() -> None:
    assert set(story.CALLED) == set(get_args(Addressee))
    assert set(story.BECAUSE) == set(get_args(AttentionReason))


@pytest.mark.parametrize(
    ("waiting", "given", "does"),
    [
        (["7"], "7", ["pide el próximo de su cola"]),
        # Something else is more urgent, nothing waits in the analyst's own queues, or somebody else was faster.
        (["8"], "8", ["toma el ticket"]),
        ([], "8", ["toma el ticket"]),
        (["7"], "8", ["pide el próximo de su cola", "toma el ticket"]),
    ],
)
async def test_the_next_of_the_queue_is_asked_for_where_it_is_this_one(
    waiting: list[str], given: str, does: list[str]
) -> None:
    answers = {"/v1/tickets": _page(*({"id": one} for one in waiting)), "/v1/take-next": {"id": given}}
    trail = Trail(view={"team": "analistas"})
    async with _desk(answers | {"/v1/tickets/7/assign": {"id": "7"}}) as desk:
        told = story._Story(desk, trail, lambda what: None)
        told._ticket = "7"
        await told._take()
    assert [step.did for step in trail.steps] == does


def test_a_service_that_dies_in_mid_request_does_not_end_the_program(tmp_path: Path) -> None:
    before = signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        ended = CliRunner().invoke(app, ["demo", "--from", str(tmp_path / "nothing.csv")])
        assert "cannot be read" in str(ended.exception)
        assert signal.getsignal(signal.SIGPIPE) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGPIPE, before)
