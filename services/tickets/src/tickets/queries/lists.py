"""Reads lists of tickets: the queue, whatever narrows it, and the search that reaches the closed ones too."""

# ruff: noqa: S608 - every piece that is put into a statement is written in this file

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, Field

from shared.contracts.codes import written
from shared.contracts.sla import ClockKind
from shared.contracts.tickets import HoldReason, Status
from shared.db.statement import sql
from shared.db.transaction import Reader
from shared.errors import Invalid
from shared.spelling import search_key
from tickets.domain.workflow import ENDED, OPEN
from tickets.queries.tickets import SUMMARY, TicketSummary
from tickets.queries.views import CALLS_WHEN_CLOSED, VIEWS, ViewName
from tickets.queries.written import View, literal, object_of
from tickets.repository.queue import IMMEDIATE

Sort = Literal["opened", "due"]
# A status, or a word for several: `open` is all but closed and cancelled.
StatusWord = Literal[Status, "open", "all"]


class NextDue(View):
    """The running clock that runs out first."""

    kind: Annotated[str, written(ClockKind)]
    at: AwareDatetime
    remaining_seconds: int
    breached: bool


class TicketRow(TicketSummary):
    """One row of the list."""

    hold_reason: HoldReason | None
    clocks: Literal["pending", "running", "paused", "ended"] = Field(
        description="`pending` until sla has answered; `running` while one runs, then `next_due` is when it runs out"
    )
    next_due: NextDue | None


class EndedTicketsHaveNoDue(Invalid):
    """Nothing runs out any more where a ticket has ended."""

    code = "ended-tickets-have-no-due"
    title = "Only open tickets are sorted by what runs out next"


class ViewOfOpenTickets(Invalid):
    """What somebody looks at every day is what is open."""

    code = "view-of-open-tickets"
    title = "A view shows open tickets"


class QuestionTooShort(Invalid):
    """Nearly every title has those one or two letters in it."""

    code = "question-too-short"
    title = "The question is too short"


@dataclass(frozen=True, slots=True, kw_only=True)
class TicketFilter:
    """What a list is narrowed to. None means everything, of `status` what is open. `q`: a number, part of a title.

    `view` is somebody's, whose id is `me`.
    """

    status: Sequence[StatusWord] | None = None
    view: ViewName | None = None
    me: str = ""
    owner: str | None = None
    client: str | None = None
    product: str | None = None
    module: str | None = None
    level: int | None = None
    target: str | None = None
    team: str | None = None
    assignee: str | None = None
    severity: int | None = None
    priority: int | None = None
    immediate: bool | None = None
    q: str | None = None


# Each filter of TicketFilter as a condition on a ticket, or on its row in the queue: their columns have the same names.
_CONDITIONS = {
    "client": "t.client_id = :client",
    "product": "t.product_id = :product",
    "module": "t.module_id = :module",
    "level": "t.level = :level",
    "target": "t.target = :target",
    "team": "t.team = :team",
    "owner": "t.owner = :owner",
    "assignee": "t.assignee = :assignee",
    "severity": "t.severity = :severity",
    "priority": "t.priority = :priority",
    "immediate": f"({IMMEDIATE}) = :immediate",
}
_STATUS = "t.status = ANY (CAST(:status AS text[]))"
# By opening: instant and id. By due: where a ticket stands in the queue, ties by severity, priority and age.
_KEYS: dict[Sort, tuple[str, ...]] = {
    "opened": ("opened_at", "id"),
    "due": ("turn", "turn_by", "severity", "priority", "id"),
}
_NEXT_DUE = object_of(
    NextDue,
    "o",
    kind="o.due_kind",
    at="o.due_at",
    remaining_seconds="floor(extract(epoch FROM o.due_at - :now))::bigint",
)
_ROW = object_of(
    TicketRow,
    "t",
    **SUMMARY,
    clocks="COALESCE(o.clocks, 'ended')",
    next_due=f"CASE WHEN o.due_at IS NOT NULL THEN {_NEXT_DUE} END",
)

_SAID = {"number": "t.number = :number", "pattern": "t.title_key LIKE :pattern"}
# A cursor may say any number that a BIGINT holds.
_PLACES = {key: f"CAST(:after_{key} AS bigint)" for key in _KEYS["due"]} | {
    "id": ":after_id", "opened_at": ":after_opened_at",
}  # fmt: skip

_PAGE = "SELECT {keys} FROM {table} t WHERE {conditions} ORDER BY {order} LIMIT :limit"

# A question with less than three letters or digits has no trigram.
_SHORTEST = 3
# A word that is in one of two hundred titles fills a page from so many tickets; what is rarer the trigrams find.
_WINDOW = 10_000
# As their indexes say it.
_ENDED = f"t.status IN ({', '.join(map(repr, ENDED))})"
_CANCELLED = "t.status = 'cancelled'"
# The ended tickets of a client, a team, and somebody's hands, have an index in the order of the list, too.
_INDEXED = ("client", "team", "assignee")
# No index gives both the order and the words, and nobody can say beforehand how many titles have a word. So the newest
# tickets are looked through first, in their order, until the page is full or nothing is left; what is so rare that many
# do not fill it is found by its trigrams, and then there are few to sort. OFFSET 0 keeps the planner from looking
# through all in order.
_SEARCH = """
    WITH newest AS MATERIALIZED (
        SELECT {keys} FROM (SELECT * FROM tickets.tickets t WHERE {near} ORDER BY {order} LIMIT {window}) t
         WHERE {said} AND {fits} LIMIT :limit),
    enough AS MATERIALIZED (
        SELECT CASE WHEN (SELECT count(*) FROM newest) = :limit THEN true
                    ELSE NOT EXISTS (SELECT FROM tickets.tickets t WHERE {near} ORDER BY {order} OFFSET {window})
               END AS found)
    SELECT {keys} FROM newest t WHERE (SELECT found FROM enough)
    UNION ALL
    (SELECT {keys} FROM (SELECT * FROM tickets.tickets t WHERE {ended} AND {said} OFFSET 0) t
      WHERE NOT (SELECT found FROM enough) AND {near} AND {fits} ORDER BY {order} LIMIT :limit)
"""
# Two sources of one page; UNION, as a ticket may have the number and the words.
_BOTH = "SELECT {keys} FROM (({one}) UNION ({other})) t ORDER BY {order} LIMIT :limit"


async def list_tickets(
    connection: Reader, wanted: TicketFilter, *, sort: Sort, after: tuple[Any, ...] | None, limit: int, now: datetime
) -> list[tuple[Any, ...]]:
    """At most `limit` rows after a sort key, each as its sort key and then its JSON.

    Sorted by `opened`, the newest first, or by `due`, which is the order of the queue. Raises EndedTicketsHaveNoDue
    and QuestionTooShort.
    """
    page, values = _page(wanted, sort, after, limit)
    keys = _KEYS[sort]
    statement = sql(
        f"SELECT {', '.join(f'page.{key}' for key in keys)}, {_ROW}::text AS row FROM ({page}) page "
        f"JOIN tickets.tickets t ON t.id = page.id LEFT JOIN tickets.open_tickets o ON o.id = t.id "
        f"ORDER BY {_order(sort, 'page')}"
    )
    return [tuple(row) for row in await connection.fetch(statement, {**values, "now": now})]


def _page(wanted: TicketFilter, sort: Sort, after: tuple[Any, ...] | None, limit: int) -> tuple[str, dict[str, Any]]:
    """The SQL of one page's sort keys, which reads nothing that is not on it, and its parameters."""
    statuses = statuses_of(wanted.status)
    ended = [status for status in statuses if status in ENDED]
    if ended and sort == "due":
        raise EndedTicketsHaveNoDue("leave `closed` and `cancelled` out of `status`, or sort by `opened`")
    if ended and wanted.view is not None:
        raise ViewOfOpenTickets("leave `closed` and `cancelled` out of `status`, or leave `view` out")
    said = _said(wanted.q, everywhere=not ended)
    near, place = _after(sort, after)
    given = {name: getattr(wanted, name) for name in _CONDITIONS if getattr(wanted, name) is not None}
    values = {**given, **said, **place, "limit": limit}
    fits = [_CONDITIONS[name] for name in given]
    views = [VIEWS[wanted.view]] if wanted.view is not None else []
    if views:
        values["me"] = wanted.me
    if wanted.status is not None:
        fits.append(_STATUS)
        values["status"] = statuses
    pieces = {"keys": ", ".join(f"t.{key}" for key in _KEYS[sort]), "order": _order(sort, "t")}
    pages = []
    if len(ended) < len(statuses):
        pages.append(
            _PAGE.format(table="tickets.open_tickets", conditions=_all(near, _any(said), *views, *fits), **pieces)
        )
    if wanted.view == "attention" and sort == "opened":
        pages.append(_PAGE.format(table="tickets.tickets", conditions=_all(CALLS_WHEN_CLOSED, near, *fits), **pieces))
    if ended:
        narrow = [_CONDITIONS[name] for name in _INDEXED if name in given]
        which = _CANCELLED if ended == ["cancelled"] else _ENDED
        pages += _ended(_all(which, near, *narrow), said, _all(*fits), **pieces)
    page, *others = pages
    for other in others:
        page = _BOTH.format(one=page, other=other, **pieces)
    return page, values


def _ended(near: str, said: Collection[str], fits: str, **pieces: str) -> list[str]:
    """The SQL of pages of ended tickets, which together have all that is asked for.

    `near` is what indexes in the order of the list know; the status is among what `fits` where it has to be.
    """
    table = "tickets.tickets"
    if not said:
        return [_PAGE.format(table=table, conditions=_all(near, fits), **pieces)]
    pages = []
    if "number" in said:
        pages.append(_PAGE.format(table=table, conditions=_all(_SAID["number"], near, fits), **pieces))
    if "pattern" in said:
        search = {"ended": _ENDED, "near": near, "said": _SAID["pattern"], "fits": fits, "window": _WINDOW}
        pages.append(_SEARCH.format(**search, **pieces))
    return pages


def statuses_of(words: Sequence[str] | None) -> list[str]:
    """The statuses that are meant by statuses and the words for several of them; what is open when nothing is said."""
    meant = {"open": OPEN, "all": (*OPEN, *ENDED)}
    return sorted({status for word in (words or ["open"]) for status in meant.get(word, (word,))})


def _said(q: str | None, *, everywhere: bool) -> dict[str, str]:
    """What a question asks for: a number, a pattern of titles. `everywhere`: each title may be looked through."""
    key = search_key(q or "")
    if q is None or not key:
        return {}
    number = _number(q)
    of_title = everywhere or sum(map(str.isalnum, key)) >= _SHORTEST
    if not of_title and number is None:
        raise QuestionTooShort("among ended tickets, ask with at least three letters or digits, or with a number")
    said = {"number": number, "pattern": f"%{literal(key)}%" if of_title else None}
    return {name: value for name, value in said.items() if value is not None}


def _any(said: Collection[str]) -> str | None:
    """The condition of a ticket that has what a question asks for, one or the other."""
    return f"({' OR '.join(_SAID[name] for name in said)})" if said else None


def _number(q: str) -> str | None:
    """`42`, `t-42` and `T-000042` are the same number to whoever types it; None for what is no number."""
    digits = q.strip().upper().removeprefix("T-")
    return f"T-{int(digits):06d}" if digits.isascii() and digits.isdigit() else None


def _after(sort: Sort, after: tuple[Any, ...] | None) -> tuple[str | None, dict[str, Any]]:
    """The condition of what comes after a sort key, and its parameters."""
    if after is None:
        return None, {}
    keys = _KEYS[sort]
    columns, places = (", ".join(each) for each in ([f"t.{key}" for key in keys], [_PLACES[key] for key in keys]))
    values = {f"after_{key}": value for key, value in zip(keys, after, strict=True)}
    return f"({columns}) {'<' if sort == 'opened' else '>'} ({places})", values


def _order(sort: Sort, alias: str) -> str:
    return ", ".join(f"{alias}.{key}{' DESC' if sort == 'opened' else ''}" for key in _KEYS[sort])


def _all(*conditions: str | None) -> str:
    return " AND ".join(condition for condition in conditions if condition is not None) or "true"
