"""Fixtures of the service tests of sla."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import httpx2
import pytest

from shared.contracts.envelope import Cause
from shared.db.statement import sql
from shared.http.app import create_app
from shared.http.auth import Authenticator
from shared.http.routers import routers_of
from shared.load import read_document
from sla import api
from sla.commands.contracts import record_contract_types
from sla.documents import Document
from tests.shared.http.issuer import LocalIssuer
from tests.sla.telling import ZERO
from tests.support.databases import CHECKOUT, Database


@pytest.fixture
async def sla(database: Callable[[str], Awaitable[Database]]) -> Database:
    """The database as a day-one installation has it."""
    return await database("sla")


@pytest.fixture
async def day_and_night(database: Callable[[str], Awaitable[Database]]) -> Database:
    """The same, but whoever has no contract is promised open seconds of a calendar that never closes: a story is then
    told in plain seconds."""
    sla = await database("sla")
    shipped = read_document(CHECKOUT / "services" / "sla" / "src" / "sla" / "defaults.yaml", Document)
    assert isinstance(shipped, Document)
    basico = next(one for one in shipped.contract_types if one.id == "basico")
    rules = tuple(rule.model_copy(update={"calendar_id": "24x7"}) for rule in basico.targets)
    cause = Cause(actor="bruno", occurred_at=ZERO, recorded_at=ZERO, correlation_id="request-1")
    async with sla.begin() as tx:
        await record_contract_types(tx, cause, [basico.model_copy(update={"targets": rules})])
        # What a story publishes begins with the story.
        await tx.execute(sql("DELETE FROM runtime.outbox"))
    return sla


@pytest.fixture
async def http(sla: Database) -> AsyncIterator[httpx2.AsyncClient]:
    """An admin at the doors of sla."""
    async with LocalIssuer().serving() as issuer:
        app = create_app(
            service="sla", description="test", routers=routers_of(api), engine=sla.engine, hint=lambda: None,
            authenticator=Authenticator(issuer.url),
        )  # fmt: skip
        # Good at the instants of the stories as well as now.
        token = issuer.token(sub="bruno", roles=["admin"], iat=int(ZERO.timestamp()) - 60, exp=4102444800)
        async with httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app=app),
            base_url="http://sla",
            headers={"authorization": f"Bearer {token}"},
        ) as client:
            yield client
