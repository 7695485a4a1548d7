"""A small service to put the edge around: each route shows one thing."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import BaseModel

from shared.db.engine import Engine, make_engine
from shared.db.statement import sql
from shared.errors import Conflict, DeskError, Forbidden, Invalid, NotFound, Unavailable
from shared.http.app import DeskApi, create_app
from shared.http.auth import Authenticator, Caller, CauseDep, needs
from shared.http.etag import etag
from shared.http.limits import Clean, CleanText
from shared.http.paging import DEFAULT_LIMIT, After, Keyset, Limit, Page
from shared.http.transaction import Reading, Tx

ERRORS: dict[str, type[DeskError]] = {
    "not-found": NotFound,
    "invalid": Invalid,
    "conflict": Conflict,
    "forbidden": Forbidden,
    "unavailable": Unavailable,
}
NOTES = Keyset("notes", datetime, UUID)
routes = APIRouter(prefix="/v1", dependencies=[needs("ticket:read")])


class Note(BaseModel):
    """A body with text and a number."""

    title: Annotated[str, Clean(max_length=20, lines=False)]
    text: CleanText = "-"
    remark: Annotated[str, Clean(max_length=20, min_length=0)] = ""
    stars: int = 0
    anything: dict[str, Any] = {}


@routes.get("/me")
async def show_caller(caller: Caller) -> dict[str, Any]:
    """Who calls."""
    return {"id": caller.id, "name": caller.name, "roles": sorted(caller.roles)}


@routes.get("/cause")
async def show_cause(cause: CauseDep) -> dict[str, Any]:
    """What a command would be given."""
    return {
        "actor": cause.actor,
        "correlation_id": cause.correlation_id,
        "traceparent": cause.traceparent,
        "at": [cause.occurred_at, cause.recorded_at],
    }


@routes.post("/notes", status_code=201)
async def write_note(note: Note) -> Note:
    """Answers with the note as it was read."""
    return note


@routes.get("/notes")
async def list_notes(after: After = None, limit: Limit = DEFAULT_LIMIT) -> Page[str]:
    """Answers with what the cursor holds."""
    begin = NOTES.start(after)
    return Page(items=[] if begin is None else [str(value) for value in begin], limit=limit)


@routes.get("/notes/{note_id}")
async def read_note(note_id: UUID, response: Response) -> dict[str, str]:
    """A note with a version."""
    etag(response, 7)
    return {"id": str(note_id)}


@routes.get("/errors/{kind}")
async def fail(kind: str) -> None:
    """Raises what the path names."""
    if kind in ERRORS:
        raise ERRORS[kind]("Do something else.", ticket_id=UUID(int=7))
    raise RuntimeError("secret of the house: 4711")


@routes.post("/rows/{number}")
async def insert_row(tx: Tx, number: int) -> dict[str, int]:
    """Inserts a row; a negative number fails after the insertion."""
    await tx.execute(sql("INSERT INTO rows VALUES (:number)"), {"number": number})
    tx.published = True
    if number < 0:
        raise Conflict("Send a number that is not negative.")
    return {"number": number}


@routes.get("/rows")
async def count_rows(tx: Reading) -> int:
    """Counts the rows."""
    return int(await tx.fetch_value(sql("SELECT count(*) FROM rows")))


@routes.post("/slow")
async def sleep_long(tx: Tx) -> None:
    """Runs longer than the statement timeout."""
    await tx.execute(sql("SET LOCAL statement_timeout = '50ms'"))
    await tx.execute(sql("SELECT pg_sleep(10)"))


@routes.post("/full")
async def fill_the_disk(tx: Tx) -> None:
    """What PostgreSQL says when it has no room."""
    await tx.execute(sql("DO $$ BEGIN RAISE EXCEPTION 'no room' USING ERRCODE = 'disk_full'; END $$"))


@routes.post("/cut")
async def end_own_session(tx: Tx) -> None:
    """The server ends the session in the middle of the request."""
    await tx.execute(sql("SELECT pg_terminate_backend(pg_backend_pid())"))


@routes.post("/wrong")
async def run_wrong_statement(tx: Tx) -> None:
    """Runs a statement that no other moment would make right."""
    await tx.execute(sql("SELECT nothing FROM nowhere"))


def sample_app(issuer: str, **options: Any) -> DeskApi:
    """The sample service; without an engine its database is nowhere."""
    app = create_app(
        service="sample",
        description="A sample.",
        routers=options.pop("routers", [routes]),
        engine=options.pop("engine", None) or unreachable_engine(),
        hint=options.pop("hint", lambda: None),
        authenticator=options.pop("authenticator", None) or Authenticator(issuer),
        **options,
    )
    assert isinstance(app, DeskApi)
    return app


def unreachable_engine() -> Engine:
    """An engine for an address where nothing listens: port 1 is nobody's."""
    return make_engine("postgresql://nobody:nothing@127.0.0.1:1/none", application="sample")
