"""Urgency over HTTP: the schemes of severity and priority, and what answers would give."""

from typing import Annotated

from fastapi import Path, Response
from pydantic import ConfigDict, Field

from shared import clock
from shared.contracts.envelope import Code
from shared.contracts.tickets import Kind
from shared.http.auth import CauseDep, needs
from shared.http.etag import etag
from shared.http.idempotency import Idempotency
from shared.http.preconditions import IfMatch, IfMatchOrNew
from shared.http.transaction import Reading, Tx
from shared.stated import Instant
from tickets.api.addresses import ReadTicketId
from tickets.api.answers import Body
from tickets.api.callers import router_of
from tickets.api.tickets import UrgencyBody
from tickets.commands import urgency as commands
from tickets.documents import SchemeFacts, SchemeRecord, SchemeTerms
from tickets.domain.grouping import Asked
from tickets.queries import urgency
from tickets.queries.urgency import SchemesView, SchemeView, UrgencyPreview, Wondered

router = router_of("urgency")

Id = Annotated[Code, Path(examples=["verano-2027"])]


class PreviewBody(UrgencyBody):
    """A ticket as it might be opened."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"client_id": "metalurgica-arenales", "impact": {"operational": 1, "economic": None}}]
        }
    )

    client_id: Code
    product_id: Code | None = None
    module_id: Code | None = None
    installation_id: Code | None = None
    kind: Kind = "incident"
    reported_at: Instant | None = Field(default=None, description="now when left out")
    draft: SchemeTerms | None = Field(default=None, description="by this, instead of the scheme that is in force then")

    def wondered(self) -> Wondered:
        """The query's form of it."""
        asked = Asked(self.client_id, self.product_id, self.module_id, self.installation_id)
        return Wondered(asked, self.kind, self.reported_at or clock.now(), self.stated())


class RestoreBody(Body):
    """Which entry is to be as it was shipped."""

    entry: Annotated[str, Field(pattern=r"^[a-z_]{2,20}(:[a-z0-9-]{2,40})?$", examples=["rule:contrato-oro"])]


@router.get("/urgency/schemes", dependencies=[needs("ticket:read")])
async def list_schemes(connection: Reading) -> SchemesView:
    """Every scheme by its beginning, with what is otherwise than it was shipped."""
    return SchemesView(schemes=await urgency.list_schemes(connection, clock.now()))


@router.get("/urgency/schemes/{id}", dependencies=[needs("ticket:read")])
async def get_scheme(connection: Reading, id: Id, response: Response) -> SchemeView:
    """One scheme."""
    found = await urgency.view_scheme(connection, id, clock.now())
    etag(response, found.version)
    return found


@router.put("/urgency/schemes/{id}", dependencies=[needs("rules:write")])
async def record_scheme(
    tx: Tx, cause: CauseDep, expected: IfMatchOrNew, id: Id, facts: SchemeFacts, response: Response
) -> SchemeView:
    """Records the scheme that begins at an instant to come; until then it may be changed. Tickets that there are keep
    the urgency that they have. The same again changes nothing."""
    await commands.record_schemes(tx, cause, [SchemeRecord(id=id, **dict(facts))], expected=expected)
    found = await urgency.view_scheme(tx, id, clock.now())
    etag(response, found.version)
    return found


@router.post("/urgency/schemes/{id}/restore", response_model=SchemeView, dependencies=[needs("rules:write")])
async def restore_entry(
    expected: IfMatch, tx: Tx, cause: CauseDep, idempotency: Idempotency, id: Id, body: RestoreBody
) -> Response:
    """Makes one entry of a scheme that is not yet in force what it was shipped as."""
    await commands.restore_entry(tx, cause, id, body.entry, expected=expected)
    found = await urgency.view_scheme(tx, id, clock.now())
    return await idempotency.answer(found, version=found.version)


@router.get("/tickets/{ticket_id}/urgency-today", dependencies=[needs("ticket:read")])
async def judge_today(connection: Reading, ticket_id: ReadTicketId) -> UrgencyPreview:
    """What the ticket would be given today. It keeps what it was given: a change of rules or contracts never touches
    it."""
    return await urgency.judge_today(connection, ticket_id, clock.now())


@router.post("/urgency/preview", response_model=UrgencyPreview, dependencies=[needs("ticket:read")])
async def preview_urgency(tx: Tx, idempotency: Idempotency, body: PreviewBody) -> Response:
    """What these answers would give, by which rule and contract, and why. Nothing is stored."""
    found = await urgency.preview_urgency(tx, body.wondered(), body.draft)
    return await idempotency.answer(found, version=None)
