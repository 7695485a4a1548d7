"""A few hundred tickets by chance, and which of them a list has, in which order, by a plain reading of them all."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

from shared.spelling import search_key
from tests.support.databases import OWNER, Database
from tests.tickets.desk import NOW, allow_any_state
from tickets.queries.filters import TicketFilter
from tickets.queries.lists import Sort
from tickets.repository import queue

COUNT = 300
OPEN = ("new", "in_progress", "on_hold", "resolved")
MEANT = {"open": list(OPEN), "all": [*OPEN, "closed", "cancelled"]}
PEOPLE = ("ana", "bruno", "eva")
WORDS = ("factura", "impresora", "CAE", "sueldos", "no imprime", "T-000017", "000123", "2026", "100%", "paraná")
NAMES = {"molinos": "Molinos del Paraná", "aguero": "Agüero Hermanos", "sin-contrato": "Bodega Sin Contrato"}
# What a ticket may have, by its column; the first in several is the most frequent.
VALUES: dict[str, tuple[Any, ...]] = {
    "client_id": ("molinos", "molinos", "aguero", "sin-contrato"),
    "product_id": ("gestion", "sueldos", None),
    "module_id": ("facturacion", "balanza", None),
    "kind": ("incident", "question"),
    "level": (1, 2, 3),
    "target": ("analysts", "development", None),
    "team": ("analistas", "desarrollo", None),
    "owner": PEOPLE,
    "assignee": (*PEOPLE, None),
    "severity": (1, 2, 3, 4),
    "priority": (1, 2, 3, 4),
}
STATUSES = (*OPEN, *OPEN, *["closed"] * 6, "cancelled", "cancelled")
HOLDS = ("waiting-for-client", "agreed-date", "third-party")
COURSES = ("running", "running", "running", "paused", "stopped", "cancelled")


@dataclass
class Known:
    """A row of tickets, and those of its clocks."""

    row: dict[str, Any]
    clocks: list[dict[str, Any]]

    def __getattr__(self, name: str) -> Any:
        return self.row[name]

    @property
    def running(self) -> list[datetime]:
        """The dues of the clocks that run."""
        return [one["due_at"] for one in self.clocks if one["course"] == "running"]

    @property
    def word(self) -> str:
        """What its clocks do, in one word."""
        courses = {one["course"] for one in self.clocks}
        if not courses:
            return "pending"
        return next((course for course in ("running", "paused") if course in courses), "ended")

    def place(self) -> tuple[Any, ...]:
        """Where it stands in the queue, as the page about the desk says it."""
        urgent = (self.severity, self.priority) == (1, 1)
        lines = ("pending P1/S1", "pending", "running P1/S1", "running", "paused", "the rest")
        line = "the rest" if self.status == "resolved" or self.word == "ended" else self.word
        line += " P1/S1" if urgent and line in ("pending", "running") else ""
        left = [one["target_seconds"] - one["elapsed_seconds"] for one in self.clocks if one["course"] == "paused"]
        by: float = min(left) if self.word == "paused" else micros(min(self.running, default=self.opened_at))
        return (lines.index(line), by, self.severity, self.priority, self.id)


def micros(at: datetime) -> int:
    """An instant in microseconds since 1970."""
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def minutes(chance: Random, most: int) -> timedelta:
    """So many at most; several tickets have the same."""
    return timedelta(minutes=chance.randrange(most))


def a_ticket(chance: Random, number: int) -> Known:
    """One by chance; several were opened at each instant."""
    row = {name: chance.choice(values) for name, values in VALUES.items()}
    row["client_id"] = "con-uno" if number == 250 else row["client_id"]
    status, opened = chance.choice(STATUSES), NOW + timedelta(minutes=number // 4)
    ended = opened + minutes(chance, 100)
    parts = [
        {"person_id": chance.choice(PEOPLE), "role": role, "since": NOW.isoformat()}
        for role in ("contact", "working", "watching")
        if chance.random() < 0.2
    ]
    title = " ".join(chance.sample(WORDS, 3))
    row |= {
        "id": UUID(int=chance.getrandbits(128)), "number": f"T-{number:06d}", "version": 1, "status": status,
        "severity_to_review": False, "title": title, "title_key": search_key(title), "description": "",
        "channel": "phone", "reported_at": opened - minutes(chance, 60), "opened_at": opened, "opened_by": "ana",
        "hold_reason": chance.choice(HOLDS) if status == "on_hold" else None, "participants": json.dumps(parts),
        "closed_at": ended if status == "closed" else None, "cancelled_at": ended if status == "cancelled" else None,
        "last_fact_at": ended + (minutes(chance, 30) if chance.random() < 0.3 else timedelta()), "course_at": NOW,
    }  # fmt: skip
    kinds = ("response", "resolution")[: chance.randrange(3)]
    return Known(row, [a_clock(chance, row, kind) for kind in kinds])


def a_clock(chance: Random, row: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """One by chance; some have run out."""
    course = chance.choice(COURSES) if row["status"] in OPEN else "stopped"
    late, due = chance.random() < 0.3, row["opened_at"] + minutes(chance, 200)
    return {
        "id": UUID(int=chance.getrandbits(128)), "ticket_id": row["id"], "kind": kind, "cycle": 1, "course": course,
        "outcome": "breached" if late else "pending", "contract_id": "c", "contract_version": 1,
        "target_seconds": 9000, "elapsed_seconds": chance.randrange(0, 9000, 60), "started_at": row["reported_at"],
        "since": row["opened_at"], "due_at": None if course == "paused" else due,
        "breached_at": due if late else None, "sequence": 1,
        "counted_in": json.dumps([{"from_at": NOW.isoformat(), "calendar_id": "24x7", "calendar_version": 1}]),
    }  # fmt: skip


async def furnish(desk: Database, seed: int = 11) -> list[Known]:
    """The tickets, as they are stored and queued."""
    chance = Random(seed)
    known = [a_ticket(chance, number) for number in range(1, COUNT + 1)]
    async with desk.connect(OWNER) as owner:
        await allow_any_state(owner)
        for table, rows in {
            "tickets": [one.row for one in known],
            "clocks": [clock for one in known for clock in one.clocks],
        }.items():
            await owner.copy_records_to_table(
                table, schema_name="tickets", columns=list(rows[0]), records=[tuple(one.values()) for one in rows]
            )
    async with desk.begin() as tx:
        await queue.refresh_open(tx, [one.id for one in known])
    return known


def one_of(column: str, nothing: str | None = None) -> Callable[[Known, Any], bool]:
    """Whether a column has one of several values; one of which may say that there is none."""
    return lambda ticket, wanted: (nothing if ticket.row[column] is None else ticket.row[column]) in wanted


def from_on(column: str) -> Callable[[Known, Any], bool]:
    """Whether an instant is at or after another one."""
    return lambda ticket, at: ticket.row[column] is not None and ticket.row[column] >= at


def before(column: str) -> Callable[[Known, Any], bool]:
    """Whether an instant is before another one."""
    return lambda ticket, at: ticket.row[column] is not None and ticket.row[column] < at


def said(ticket: Known, q: str) -> bool:
    """Whether its number, its title or its client's name has what is asked."""
    digits = q.upper().removeprefix("T-")
    if digits.isdigit() and int(digits) == int(ticket.number[2:]):
        return True
    name = search_key(NAMES.get(ticket.client_id, ""))
    return search_key(q) in ticket.title_key or all(search_key(word) in name for word in q.split())


# Each field of TicketFilter but those that belong together with another one.
FITS: dict[str, Callable[[Known, Any], bool]] = {
    "status": lambda ticket, words: ticket.status in {one for word in words for one in MEANT.get(word, [word])},
    "view": lambda ticket, me: me in {ticket.owner, ticket.assignee, *roles(ticket, "working")},
    "client": one_of("client_id"), "product": one_of("product_id"), "module": one_of("module_id"),
    "kind": one_of("kind"), "level": one_of("level"), "target": one_of("target", "call-centre"),
    "team": one_of("team"), "owner": one_of("owner"), "assignee": one_of("assignee", "none"),
    "participant": lambda ticket, people: bool(set(roles(ticket)) & set(people)),
    "severity": one_of("severity"), "priority": one_of("priority"), "hold_reason": one_of("hold_reason"),
    "immediate": lambda ticket, yes: ((ticket.severity, ticket.priority) == (1, 1)) is yes,
    "breached": lambda ticket, yes: any(one["outcome"] == "breached" for one in ticket.clocks) is yes,
    "opened_from": from_on("opened_at"), "opened_to": before("opened_at"),
    "reported_from": from_on("reported_at"), "reported_to": before("reported_at"),
    "closed_from": from_on("closed_at"), "closed_to": before("closed_at"),
    "due_from": lambda ticket, at: bool(ticket.running) and min(ticket.running) >= at,
    "due_to": lambda ticket, at: bool(ticket.running) and min(ticket.running) < at,
    "updated_since": from_on("last_fact_at"),
    "q": said,
}  # fmt: skip


def roles(ticket: Known, *wanted: str) -> list[str]:
    """Who takes part, in these roles or in any."""
    return [one["person_id"] for one in json.loads(ticket.participants) if not wanted or one["role"] in wanted]


def plainly(known: list[Known], wanted: TicketFilter, sort: Sort) -> list[str]:
    """The numbers of the tickets that fit, in their order."""
    given = {one.name: getattr(wanted, one.name) for one in fields(wanted) if one.name != "me"}
    given |= {"status": wanted.status or ["open"], "view": wanted.me if wanted.view else None}
    asked = {name: value for name, value in given.items() if value is not None and value != ()}
    fit = [one for one in known if all(FITS[name](one, value) for name, value in asked.items())]
    if sort == "due":
        return [one.number for one in sorted(fit, key=Known.place)]
    return [one.number for one in sorted(fit, key=lambda one: (one.opened_at, one.id), reverse=True)]
