"""Reads lists of tickets: the queue, whatever narrows it, and the search that reaches the closed ones too."""

# ruff: noqa: S608 - every piece that is put into a statement is written in this package

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any, Literal

from shared.db.statement import sql
from shared.db.transaction import Reader
from tickets.domain.workflow import ENDED
from tickets.queries import search
from tickets.queries.filters import TicketFilter, check, has_closing, has_due, narrow, statuses_of
from tickets.queries.rows import Included, columns_of, write_rows
from tickets.queries.views import CALLS_WHEN_CLOSED, VIEWS

Sort = Literal["opened", "due"]

# By opening: instant and id. By due: where a ticket stands in the queue, ties by severity, priority and age.
_KEYS: dict[Sort, tuple[str, ...]] = {
    "opened": ("opened_at", "id"),
    "due": ("turn", "turn_by", "severity", "priority", "id"),
}
# A cursor may say any number that a BIGINT holds.
_PLACES = {key: f"CAST(:after_{key} AS bigint)" for key in _KEYS["due"]} | {
    "id": ":after_id", "opened_at": ":after_opened_at",
}  # fmt: skip

_STATUS = "t.status = ANY (CAST(:status AS text[]))"
_CANCELLED = "t.status = 'cancelled'"
_PAGE = "SELECT {keys} FROM {table} t WHERE {conditions} ORDER BY {order} LIMIT :limit"
# Two sources of one page; UNION, as a ticket may have the number and the words.
_BOTH = "SELECT {keys} FROM (({one}) UNION ({other})) t ORDER BY {order} LIMIT :limit"


async def list_tickets(
    connection: Reader,
    wanted: TicketFilter,
    *,
    sort: Sort,
    after: tuple[Any, ...] | None,
    limit: int,
    now: datetime,
    include: Collection[Included] = (),
) -> list[tuple[Any, ...]]:
    """At most `limit` rows after a sort key, each as its sort key and then its JSON, with what else it is to include.

    Sorted by `opened`, the newest first, or by `due`, which is the order of the queue. Raises RangeReversed,
    EndedTicketsHaveNoDue, OpenTicketsHaveNoClosing, ViewOfOpenTickets and QuestionTooShort.
    """
    page, values = _page(wanted, sort, after, limit)
    keys = _KEYS[sort]
    statement = sql(
        f"SELECT {', '.join(f'page.{key}' for key in keys)}, {columns_of(include)} FROM ({page}) page "
        f"JOIN tickets.tickets t ON t.id = page.id LEFT JOIN tickets.open_tickets o ON o.id = t.id "
        f"ORDER BY {_order(sort, 'page')}"
    )
    found = await connection.fetch(statement, values)
    rows = await write_rows(connection, found, include, now)
    return [(*tuple(row)[: len(keys)], written) for row, written in zip(found, rows, strict=True)]


def _page(wanted: TicketFilter, sort: Sort, after: tuple[Any, ...] | None, limit: int) -> tuple[str, dict[str, Any]]:
    """The SQL of one page's sort keys, which reads nothing that is not on it, and its parameters."""
    check(wanted, by_due=sort == "due")
    statuses = statuses_of(wanted.status)
    ended = [status for status in statuses if status in ENDED]
    narrowed = narrow(wanted)
    said = search.said_in(wanted.q, everywhere=not ended)
    place, values = _after(sort, after)
    values |= {**narrowed.values, **said, "limit": limit}
    status = [] if wanted.status is None else [_STATUS]
    if status:
        values["status"] = statuses
    if wanted.view is not None:
        values["me"] = wanted.me
    pieces = {"keys": ", ".join(f"t.{key}" for key in _KEYS[sort]), "order": _order(sort, "t")}
    pages = []
    if len(ended) < len(statuses) and not has_closing(wanted):
        views = [VIEWS[wanted.view]] if wanted.view is not None else []
        fits = _all([*place, *search.says(said), *views, *status, *narrowed.of_open])
        pages.append(_PAGE.format(table="tickets.open_tickets", conditions=fits, **pieces))
    if wanted.view == "attention" and sort == "opened" and not has_due(wanted):
        fits = _all([CALLS_WHEN_CLOSED, *place, *search.says(said), *status, *narrowed.near, *narrowed.of_ended])
        pages.append(_PAGE.format(table="tickets.tickets", conditions=fits, **pieces))
    if ended:
        which = _CANCELLED if ended == ["cancelled"] else search.ENDED_ONES
        near, fits = _all([which, *place, *narrowed.near]), _all([*status, *narrowed.of_ended])
        if said:
            pages += search.ended_pages(said, near, fits, **pieces)
        else:
            pages.append(_PAGE.format(table="tickets.tickets", conditions=f"{near} AND {fits}", **pieces))
    page, *others = pages
    for other in others:
        page = _BOTH.format(one=page, other=other, **pieces)
    return page, values


def _after(sort: Sort, after: tuple[Any, ...] | None) -> tuple[list[str], dict[str, Any]]:
    """The condition of what comes after a sort key, and its parameters."""
    if after is None:
        return [], {}
    keys = _KEYS[sort]
    columns, places = (", ".join(each) for each in ([f"t.{key}" for key in keys], [_PLACES[key] for key in keys]))
    values = {f"after_{key}": value for key, value in zip(keys, after, strict=True)}
    return [f"({columns}) {'<' if sort == 'opened' else '>'} ({places})"], values


def _order(sort: Sort, alias: str) -> str:
    return ", ".join(f"{alias}.{key}{' DESC' if sort == 'opened' else ''}" for key in _KEYS[sort])


def _all(conditions: Iterable[str]) -> str:
    return " AND ".join(conditions) or "true"
