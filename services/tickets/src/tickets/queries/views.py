"""What somebody looks at every day: what is theirs, their teams', what nobody has there, what calls them."""

# ruff: noqa: S608 - every piece that is put into a statement is written in this package

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from shared.db.statement import sql
from shared.db.transaction import Reader
from tickets.queries.people import is_member

ViewName = Literal["mine", "team", "unassigned", "attention", "to-complete"]

_ME = "CAST(:me AS text)"
# Nobody could say it at opening: the installation counts where the client runs several of what was named.
_SEVERAL = """EXISTS (
    SELECT FROM tickets.installations i
     WHERE i.client_id = t.client_id AND i.product_id = COALESCE(t.product_id, i.product_id) AND NOT i.retired
    OFFSET 1)"""
_INCOMPLETE = f"(t.product_id IS NULL OR t.module_id IS NULL OR (t.installation_id IS NULL AND {_SEVERAL}))"
# Each view as a condition on a row in the queue. One is in few teams, so these are read first.
_MY_TEAMS = f"t.team = ANY (ARRAY(SELECT m.id FROM tickets.teams m WHERE {is_member('m', _ME)} AND NOT m.retired))"
VIEWS: dict[ViewName, str] = {
    "mine": f"(t.owner = {_ME} OR t.assignee = {_ME} OR t.working @> ARRAY[{_ME}])",
    "team": _MY_TEAMS,
    "unassigned": f"({_MY_TEAMS} AND t.assignee IS NULL AND t.status IN ('new', 'in_progress', 'on_hold'))",
    "attention": f"(('owner' = ANY (t.calls) AND t.owner = {_ME}) "
    f"OR ('assignee' = ANY (t.calls) AND t.assignee = {_ME}) OR ('team' = ANY (t.calls) AND {_MY_TEAMS}))",
    "to-complete": f"((t.owner = {_ME} OR {_MY_TEAMS}) AND {_INCOMPLETE})",
}
# What was closed and calls its owner nevertheless: a fix came out that the client has to hear of.
CALLS_WHEN_CLOSED = f"t.status = 'closed' AND t.attention <> '[]' AND t.owner = {_ME}"
_COUNTED = ", ".join(f"count(*) FILTER (WHERE {fits}) AS {view.replace('-', '_')}" for view, fits in VIEWS.items())
_COUNTS = sql(f"""
    SELECT {_COUNTED}, count(*) FILTER (WHERE t.assignee = {_ME} AND t.status <> 'resolved') AS in_hand,
           (SELECT count(*) FROM tickets.tickets t WHERE {CALLS_WHEN_CLOSED}) AS calls_when_closed
      FROM tickets.open_tickets t WHERE {VIEWS["mine"]} OR {VIEWS["team"]}
""")


class ViewCounts(BaseModel):
    """How many open tickets each view of the caller has."""

    mine: int = Field(description="whose owner or assignee one is, or that one works on")
    team: int = Field(description="in the queues of one's teams")
    unassigned: int = Field(description="those of them that nobody has")
    attention: int = Field(description="that call one")
    to_complete: int = Field(description="whose product, module or installation nobody has said, of these or owned")
    in_hand: int = Field(description="that one has to work on: assigned, and not resolved")


async def count_views(connection: Reader, me: str) -> ViewCounts:
    """How many open tickets each view of somebody has, in one statement."""
    found = dict(await connection.fetch_one(_COUNTS, {"me": me}))
    found["attention"] += found.pop("calls_when_closed")
    return ViewCounts(**found)
