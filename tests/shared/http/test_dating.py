"""A body may say when it happened, and the cause of the command has it; everything else comes from the edge."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import httpx2
import pytest
from fastapi import APIRouter
from pydantic import BaseModel

from shared.http.auth import CauseDep, needs
from shared.http.dating import Dated
from tests.shared.http.conftest import client_of
from tests.shared.http.issuer import LocalIssuer
from tests.shared.http.sample import sample_app

routes = APIRouter(prefix="/v1", dependencies=[needs("ticket:work")])


class Responding(Dated):
    """A command's body with a field of its own."""

    text: str


class Told(BaseModel):
    """What the command was given."""

    actor: str
    occurred_at: datetime
    recorded_at: datetime


@routes.post("/respond")
async def respond(cause: CauseDep, body: Responding) -> Told:
    """Answers with the cause."""
    why = body.dated(cause)
    return Told(actor=why.actor, occurred_at=why.occurred_at, recorded_at=why.recorded_at)


@pytest.fixture
async def caller(issuer: LocalIssuer) -> AsyncIterator[httpx2.AsyncClient]:
    async with client_of(sample_app(issuer.url, routers=[routes]), issuer.token(roles=["agent"])) as client:
        yield client


def ago(**long: float) -> str:
    return (datetime.now(UTC) - timedelta(**long)).isoformat()


async def test_what_says_nothing_happens_now(caller: httpx2.AsyncClient) -> None:
    told = Told.model_validate((await caller.post("/v1/respond", json={"text": "-"})).json())
    assert told.occurred_at == told.recorded_at


async def test_what_happened_before_is_recorded_now(caller: httpx2.AsyncClient) -> None:
    stated = ago(minutes=3)
    answer = await caller.post("/v1/respond", json={"text": "-", "occurred_at": stated})
    told = Told.model_validate(answer.json())
    assert told.occurred_at == datetime.fromisoformat(stated)
    assert told.recorded_at - told.occurred_at >= timedelta(minutes=3)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"occurred_at": timedelta(hours=-2)}, "dated-reason-missing"),
        ({"occurred_at": timedelta(hours=1), "occurred_late_reason": "-"}, "occurred-in-the-future"),
        ({"occurred_at": 1764000000}, "invalid-request"),
        ({"occurred_at": "2026-11-02T14:03:00"}, "invalid-request"),
        ({"occurred_at": timedelta(hours=-2), "occurred_late_reason": " "}, "invalid-request"),
    ],
)
async def test_what_cannot_be_is_refused(caller: httpx2.AsyncClient, body: dict[str, object], code: str) -> None:
    now = datetime.now(UTC)
    stated = {name: (now + each).isoformat() if isinstance(each, timedelta) else each for name, each in body.items()}
    answer = await caller.post("/v1/respond", json={"text": "-"} | stated)
    assert (answer.status_code, answer.json()["code"]) == (422, code)


async def test_with_a_reason_it_may_be_long_ago(caller: httpx2.AsyncClient) -> None:
    stated = ago(days=2)
    body = {"text": "-", "occurred_at": stated, "occurred_late_reason": "No line there."}
    assert (await caller.post("/v1/respond", json=body)).json()["occurred_at"].startswith(stated[:19])
