"""Whatever is asked of a few hundred tickets, a list has what a plain filter of all of them has, in its order."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import combinations
from typing import Any
from uuid import UUID

import pytest

from shared.spelling import search_key
from tests.support.databases import OWNER, Database
from tests.tickets.desk import NOW, allow_any_state
from tests.tickets.queries.reading import everything
from tickets.queries import lists
from tickets.queries.lists import TicketFilter
from tickets.repository import queue

COUNT = 300
FILTERS: dict[str, tuple[Any, ...]] = {
    "client": ("molinos", "aguero", "con-uno"),
    "product": ("gestion", "sueldos", None),
    "module": ("facturacion", "balanza", None),
    "level": (1, 2, 3),
    "target": ("analysts", "development", None),
    "team": ("analistas", "desarrollo", None),
    "assignee": ("ana", "bruno", "eva", None),
    "severity": (1, 2, 3, 4),
}
COLUMNS = {"client": "client_id", "product": "product_id", "module": "module_id"}
STATUSES = ("new", "in_progress", "on_hold", "resolved", *["closed"] * 5, "cancelled", "cancelled")
ASKED: tuple[list[Any] | None, ...] = (
    None, ["all"], ["closed"], ["cancelled"], ["all", "closed"], ["closed", "cancelled"], ["new"], ["new", "closed"],
    ["new", "cancelled"], ["resolved", "on_hold", "closed"], ["open", "cancelled"],
)  # fmt: skip
MEANT = {
    "open": ["new", "in_progress", "on_hold", "resolved"],
    "all": ["new", "in_progress", "on_hold", "resolved", "closed", "cancelled"],
}
WORDS = ("factura", "impresora", "CAE", "sueldos", "no imprime", "T-000017", "000123", "2026", "100%")
QUESTIONS = (
    "factura", "FACTURA-", "o imp", "cae", "2026", "T-17", "017", "000123", "123", "100%", "kwyjibo", "t-999999",
)  # fmt: skip
WINDOWS = (1, 5, 40, 10_000)


@dataclass(frozen=True)
class Asked:
    """One question to all tickets."""

    filters: dict[str, Any]
    status: list[Any] | None
    q: str | None
    window: int
    limit: int


def many() -> list[dict[str, Any]]:
    """Rows of tickets; several were opened at each instant."""
    chance = random.Random(11)
    found = []
    for n in range(1, COUNT + 1):
        row = {name: chance.choice(values) for name, values in FILTERS.items()}
        row["client"] = "con-uno" if n == 250 else chance.choice(FILTERS["client"][:2])
        title = " ".join(chance.sample(WORDS, 3))
        found.append(
            {COLUMNS.get(name, name): value for name, value in row.items()}
            | {
                "id": UUID(int=chance.getrandbits(128)), "number": f"T-{n:06d}", "version": 1, "kind": "incident",
                "status": chance.choice(STATUSES), "severity_to_review": False, "priority": 2, "title": title,
                "title_key": search_key(title), "description": "", "channel": "phone", "reported_at": NOW,
                "opened_at": NOW + timedelta(minutes=n // 4), "opened_by": "ana", "owner": "ana",
                "last_fact_at": NOW, "course_at": NOW,
            }
        )  # fmt: skip
    return found


def all_questions() -> Iterator[Asked]:
    """Every combination of filters, each with a question and without, by chance among other things."""
    chance = random.Random(12)
    for count in range(len(FILTERS) + 1):
        for names in combinations(FILTERS, count):
            wanted = {name: chance.choice([one for one in FILTERS[name] if one is not None]) for name in names}
            for q in (None, chance.choice(QUESTIONS), chance.choice(QUESTIONS)):
                yield Asked(wanted, chance.choice(ASKED), q, chance.choice(WINDOWS), chance.choice([3, 7, 50]))
    for q in QUESTIONS:
        for window in WINDOWS:
            yield Asked({}, ["all"], q, window, 7)


def plainly(tickets: list[dict[str, Any]], asked: Asked) -> list[str]:
    """The numbers that a filter of all tickets leaves, the newest first."""

    def fits(ticket: dict[str, Any]) -> bool:
        return (
            ticket["status"] in {status for word in asked.status or ["open"] for status in MEANT.get(word, [word])}
            and all(ticket[COLUMNS.get(name, name)] == value for name, value in asked.filters.items())
            and (asked.q is None or said(ticket, asked.q))
        )

    def said(ticket: dict[str, Any], q: str) -> bool:
        digits = q.upper().removeprefix("T-")
        return search_key(q) in ticket["title_key"] or (digits.isdigit() and int(digits) == int(ticket["number"][2:]))

    def order(ticket: dict[str, Any]) -> tuple[datetime, UUID]:
        return ticket["opened_at"], ticket["id"]

    return [one["number"] for one in sorted(filter(fits, tickets), key=order, reverse=True)]


async def test_every_combination_of_filters_finds_what_a_plain_filter_finds(
    desk: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    tickets = many()
    async with desk.connect(OWNER) as owner:
        await allow_any_state(owner)
        await owner.copy_records_to_table(
            "tickets", schema_name="tickets", columns=list(tickets[0]), records=[tuple(one.values()) for one in tickets]
        )
    async with desk.begin() as tx:
        await queue.refresh_open(tx, [one["id"] for one in tickets])
    lengths = []
    for asked in all_questions():
        monkeypatch.setattr(lists, "_WINDOW", asked.window)
        wanted = TicketFilter(**asked.filters, status=asked.status, q=asked.q)
        found = [row["number"] for row in await everything(desk, wanted, "opened", asked.limit)]
        assert found == plainly(tickets, asked), asked
        lengths.append(len(found))
    assert sum(map(bool, lengths)) > 100, "many of the questions have an answer"
