"""Simulations over HTTP: business time and clocks on calendars that the caller brings along."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Body, Response
from pydantic import BaseModel, Field

from shared.http.auth import needs
from shared.http.idempotency import Idempotency
from sla.queries import simulations as queries

router = APIRouter(prefix="/v1", tags=["sla"])

_EXAMPLE = {
    "id": "viernes 17:50",
    "calendar": {
        "timezone": "America/Argentina/Buenos_Aires",
        "weekly": {day: [["09:00", "18:00"]] for day in ("mon", "tue", "wed", "thu", "fri")},
    },
    "kind": "add",
    "input": {"start": "2026-11-27T17:50:00-03:00", "business_seconds": 3600},
}


class Simulation(BaseModel):
    """Cases, each as a line of `python -m sla simulate` is."""

    cases: Annotated[list[dict[str, Any]], Field(max_length=200, examples=[[_EXAMPLE]])]


class Simulated(BaseModel):
    """One result for each case, in their order: with its `id`, and `error` in place of one that makes no sense."""

    results: list[dict[str, Any]]


@router.post("/simulations", response_model=Simulated, dependencies=[needs("contract:read")])
async def simulate(idempotency: Idempotency, stated: Annotated[Simulation, Body()]) -> Response:
    """What comes of cases, by the arithmetic of the clocks; of what the desk keeps nothing is read or changed."""
    # A calendar of a few minutes a week takes a while to count: other requests go on meanwhile.
    results = await asyncio.to_thread(lambda: [queries.simulate(one) for one in stated.cases])
    return await idempotency.answer(Simulated(results=results), version=None)
