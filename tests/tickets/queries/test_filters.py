"""Whatever is asked of a few hundred tickets, a list has what a plain reading of all of them has, in its order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from datetime import timedelta
from random import Random
from typing import Any

import pytest

from shared.db.statement import sql
from tests.support.databases import Database
from tests.tickets.desk import NOW
from tests.tickets.queries.plainly import FITS, HOLDS, PEOPLE, VALUES, furnish, plainly
from tickets.queries import lists, search
from tickets.queries.filters import TicketFilter
from tickets.queries.lists import Sort

QUESTIONS = (
    "factura", "FACTURA-", "o imp", "cae", "2026", "T-17", "017", "000123", "123", "100%", "kwyjibo", "t-999999",
    "PARANA", "parana molinos", "agüero", "sin contrato", "hermanos factura",
)  # fmt: skip
WINDOWS = (1, 5, 40, 10_000)
OF_OPEN: tuple[list[Any] | None, ...] = (None, ["open"], ["new"], ["resolved", "on_hold"], ["new", "in_progress"])
OF_ANY: tuple[list[Any] | None, ...] = (
    *OF_OPEN, ["all"], ["closed"], ["cancelled"], ["all", "closed"], ["closed", "cancelled"], ["new", "closed"],
    ["new", "cancelled"], ["resolved", "on_hold", "closed"], ["open", "cancelled"],
)  # fmt: skip
WITH_CLOSED = tuple(one for one in OF_ANY if one and {"closed", "all"} & set(one))
# What stands for nothing where there may be nothing.
NOTHING = {"assignee": "none", "target": "call-centre"}


def several(name: str, values: tuple[Any, ...]) -> Callable[[Random], dict[str, Any]]:
    """One, two or three of them; where nothing has a word, that one too."""
    some = sorted({NOTHING.get(name) if one is None else one for one in values} - {None}, key=str)
    return lambda chance: {name: chance.sample(some, chance.randint(1, min(3, len(some))))}


def either(name: str) -> Callable[[Random], dict[str, Any]]:
    return lambda chance: {name: chance.random() < 0.5}


def between(name: str) -> Callable[[Random], dict[str, Any]]:
    """From an instant on, until one, or both."""

    def choose(chance: Random) -> dict[str, Any]:
        begin, end = sorted(chance.sample(range(-60, 200), 2))
        bounds = {f"{name}_from": NOW + timedelta(minutes=begin), f"{name}_to": NOW + timedelta(minutes=end)}
        return {key: bounds[key] for key in chance.choice([list(bounds), list(bounds)[:1], list(bounds)[1:]])}

    return choose


# How each filter is chosen by chance.
CHOICES: dict[str, Callable[[Random], dict[str, Any]]] = {
    **{name.removesuffix("_id"): several(name.removesuffix("_id"), values) for name, values in VALUES.items()},
    "participant": several("participant", PEOPLE),
    "hold_reason": several("hold_reason", HOLDS),
    "immediate": either("immediate"),
    "breached": either("breached"),
    **{name: between(name) for name in ("opened", "reported", "closed", "due")},
    "updated_since": lambda chance: {"updated_since": NOW + timedelta(minutes=chance.randrange(200))},
    "q": lambda chance: {"q": chance.choice(QUESTIONS)},
    "view": lambda chance: {"view": "mine", "me": chance.choice(PEOPLE)},
}


@dataclass(frozen=True)
class Asked:
    """One question to all tickets."""

    wanted: TicketFilter
    sort: Sort
    window: int
    limit: int


def question(chance: Random, first: str) -> Asked:
    """One filter, and up to three others."""
    names = dict.fromkeys([first, *chance.sample(sorted(CHOICES), chance.randint(0, 3))])
    if {"due", "view"} & set(names):
        names.pop("closed", None)
    sort: Sort = "opened" if "closed" in names else chance.choice(["opened", "opened", "due"])
    of_open = sort == "due" or bool({"due", "view"} & set(names))
    status = chance.choice(WITH_CLOSED if "closed" in names else OF_OPEN if of_open else OF_ANY)
    given = {name: value for one in names for name, value in CHOICES[one](chance).items()}
    return Asked(TicketFilter(status=status, **given), sort, chance.choice(WINDOWS), chance.choice([3, 7, 50]))


async def listed(desk: Database, asked: Asked) -> list[str]:
    """The numbers on all pages of a list; of each row only what finds it, which is what is asked about here."""
    found: list[str] = []
    after: tuple[Any, ...] | None = None
    async with desk.begin() as tx:
        while True:
            page, values = lists._page(asked.wanted, asked.sort, after, asked.limit)
            statement = sql(f"SELECT page.*, t.number FROM ({page}) page JOIN tickets.tickets t ON t.id = page.id")
            rows = sorted(map(tuple, await tx.fetch(statement, values)), reverse=asked.sort == "opened")
            found += [row[-1] for row in rows]
            if len(rows) < asked.limit:
                return found
            assert len(found) < 1000, "the pages do not end"
            after = rows[-1][:-1]


async def test_every_filter_with_any_others_finds_what_a_plain_reading_finds(
    desk: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    known, chance = await furnish(desk), Random(12)
    answered = set()
    for first in [*CHOICES] * 14:
        asked = question(chance, first)
        monkeypatch.setattr(search, "_WINDOW", asked.window)
        expected = plainly(known, asked.wanted, asked.sort)
        assert await listed(desk, asked) == expected, asked
        answered |= {first} if expected else set()
    assert answered == set(CHOICES), "each filter leaves something"


def test_every_filter_is_asked_for() -> None:
    filters = {one.name for one in fields(TicketFilter)} - {"me"}
    assert set(FITS) == filters
    assert {name for one in CHOICES.values() for seed in range(30) for name in one(Random(seed))} == filters - {
        "status"
    } | {"me"}
