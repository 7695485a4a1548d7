"""What a list of tickets is narrowed to: each filter as a condition on a ticket, and on its row in the queue."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, get_args

from shared.contracts.tickets import ParticipantRole, Status
from shared.errors import Invalid
from tickets.domain.routing import CALL_CENTRE
from tickets.domain.workflow import ENDED, OPEN
from tickets.queries.views import ViewName
from tickets.repository.queue import IMMEDIATE

# A status, or a word for several: `open` is all but closed and cancelled.
StatusWord = Literal[Status, "open", "all"]
# Nobody's id, for what is in nobody's hands.
NOBODY = "none"


class EndedTicketsHaveNoDue(Invalid):
    """Nothing runs out any more where a ticket has ended."""

    code = "ended-tickets-have-no-due"
    title = "Only open tickets have something that runs out next"


class OpenTicketsHaveNoClosing(Invalid):
    """What is open was not closed at any time, nor was what was cancelled."""

    code = "open-tickets-have-no-closing"
    title = "Only closed tickets have a closing"


class ViewOfOpenTickets(Invalid):
    """What somebody looks at every day is what is open."""

    code = "view-of-open-tickets"
    title = "A view shows open tickets"


class RangeReversed(Invalid):
    """No instant is both after the one and before the other."""

    code = "range-reversed"
    title = "The range ends before it begins"


@dataclass(frozen=True, slots=True, kw_only=True)
class TicketFilter:
    """What a list is narrowed to; what is empty or None narrows nothing, of `status` it means what is open.

    Of several values any fits: of `assignee` also NOBODY, of `target` also CALL_CENTRE. A range begins with `…_from`
    and ends before `…_to`. `q`: a number, a part of a title, words of a client's name. `view` is of whose id is `me`.
    """

    status: Sequence[StatusWord] | None = None
    view: ViewName | None = None
    me: str = ""
    client: Sequence[str] = ()
    product: Sequence[str] = ()
    module: Sequence[str] = ()
    kind: Sequence[str] = ()
    level: Sequence[int] = ()
    target: Sequence[str] = ()
    team: Sequence[str] = ()
    owner: Sequence[str] = ()
    assignee: Sequence[str] = ()
    participant: Sequence[str] = ()
    severity: Sequence[int] = ()
    priority: Sequence[int] = ()
    immediate: bool | None = None
    breached: bool | None = None
    hold_reason: Sequence[str] = ()
    opened_from: datetime | None = None
    opened_to: datetime | None = None
    reported_from: datetime | None = None
    reported_to: datetime | None = None
    closed_from: datetime | None = None
    closed_to: datetime | None = None
    due_from: datetime | None = None
    due_to: datetime | None = None
    updated_since: datetime | None = None
    q: str | None = None


@dataclass(frozen=True, slots=True)
class Narrowed:
    """The conditions of a filter, beside view and question. Of ended tickets `near` are those that an index knows."""

    of_open: Sequence[str]
    near: Sequence[str]
    of_ended: Sequence[str]
    values: Mapping[str, Any]


# Their columns have the same names in both tables.
_COLUMNS = {
    "client": "client_id", "product": "product_id", "module": "module_id", "kind": "kind", "level": "level",
    "target": "target", "team": "team", "owner": "owner", "assignee": "assignee", "severity": "severity",
    "priority": "priority", "hold_reason": "hold_reason",
}  # fmt: skip
_NUMBERS = ("level", "severity", "priority")
# What stands for a column that is empty.
_NOTHING = {"assignee": NOBODY, "target": CALL_CENTRE}
_RANGES = {"opened": "opened_at", "reported": "reported_at", "closed": "closed_at", "due": "due_at"}
# The ended tickets of each of these have an index in the order of the list.
_INDEXED = ("client", "team", "assignee", "owner", "module")
_ROLES: tuple[str, ...] = get_args(ParticipantRole)
_RAN_OUT = "EXISTS (SELECT FROM tickets.clocks k WHERE k.ticket_id = t.id AND k.breached_at IS NOT NULL)"
_TAKES_PART = "t.participants @> ANY (CAST(CAST(:participants AS text[]) AS jsonb[]))"


def statuses_of(words: Sequence[str] | None) -> list[str]:
    """The statuses that are meant by statuses and the words for several of them; what is open when nothing is said."""
    meant = {"open": OPEN, "all": (*OPEN, *ENDED)}
    return sorted({status for word in (words or ["open"]) for status in meant.get(word, (word,))})


def check(wanted: TicketFilter, *, by_due: bool) -> None:
    """Raises RangeReversed, EndedTicketsHaveNoDue, OpenTicketsHaveNoClosing or ViewOfOpenTickets for what nobody can
    have meant."""
    for name in _RANGES:
        begin, end = _range(wanted, name)
        if begin is not None and end is not None and begin >= end:
            raise RangeReversed(
                f"{name}_from ({begin.isoformat()}) is not before {name}_to ({end.isoformat()}), which is exclusive: "
                "exchange them"
            )
    statuses = statuses_of(wanted.status)
    ended = any(status in ENDED for status in statuses)
    if ended and by_due:
        raise EndedTicketsHaveNoDue("leave `closed` and `cancelled` out of `status`, or sort by `opened`")
    if ended and any(_range(wanted, "due")):
        raise EndedTicketsHaveNoDue(
            "leave `closed` and `cancelled` out of `status`, or leave `due_from` and `due_to` out"
        )
    if ended and wanted.view is not None:
        raise ViewOfOpenTickets("leave `closed` and `cancelled` out of `status`, or leave `view` out")
    if any(_range(wanted, "closed")) and "closed" not in statuses:
        raise OpenTicketsHaveNoClosing("say status=closed (or status=all), or leave `closed_from` and `closed_to` out")


def narrow(wanted: TicketFilter) -> Narrowed:
    """The conditions of whatever is wanted, and their parameters."""
    both: dict[str, str] = {}
    values: dict[str, Any] = {}
    for name in _COLUMNS:
        if given := list(dict.fromkeys(getattr(wanted, name))):
            both[name] = _any_of(name, given, values)
    if wanted.immediate is not None:
        both["immediate"] = f"({IMMEDIATE})" if wanted.immediate else f"NOT ({IMMEDIATE})"
    ranges = {name: condition for name in _RANGES if (condition := _within(wanted, name, values))}
    if wanted.updated_since is not None:
        ranges["updated"] = "t.last_fact_at >= :updated_since"
        values["updated_since"] = wanted.updated_since
    of_open, of_ended = _unlike(wanted, values)
    return Narrowed(
        of_open=[*both.values(), *(each for name, each in ranges.items() if name != "closed"), *of_open],
        near=[
            *(both[name] for name in _INDEXED if name in both),
            *(each for name, each in ranges.items() if name != "due"),
            *_implied(wanted),
        ],
        of_ended=[*(each for name, each in both.items() if name not in _INDEXED), *of_ended],
        values=values,
    )


def has_closing(wanted: TicketFilter) -> bool:
    """Whether only what was closed can fit."""
    return any(_range(wanted, "closed"))


def has_due(wanted: TicketFilter) -> bool:
    """Whether only what is open can fit."""
    return any(_range(wanted, "due"))


def _any_of(name: str, given: list[Any], values: dict[str, Any]) -> str:
    """One value is asked for as one: an index in the order of the list gives that order for one only."""
    column, known = _COLUMNS[name], [each for each in given if each != _NOTHING.get(name)]
    either = [f"t.{column} IS NULL"] if len(known) < len(given) else []
    if len(known) == 1:
        either.append(f"t.{column} = :{name}")
        values[name] = known[0]
    elif known:
        either.append(f"t.{column} = ANY (CAST(:{name} AS {'int' if name in _NUMBERS else 'text'}[]))")
        values[name] = known
    return f"({' OR '.join(either)})"


def _range(wanted: TicketFilter, name: str) -> tuple[datetime | None, datetime | None]:
    return getattr(wanted, f"{name}_from"), getattr(wanted, f"{name}_to")


def _within(wanted: TicketFilter, name: str, values: dict[str, Any]) -> str:
    """The condition of a range; empty where none is wanted."""
    bounds = zip(("from", "to"), (">=", "<"), _range(wanted, name), strict=True)
    given = [(f"{name}_{end}", f"t.{_RANGES[name]} {sign} :{name}_{end}", at) for end, sign, at in bounds if at]
    values.update({parameter: at for parameter, _, at in given})
    return " AND ".join(condition for _, condition, _ in given)


def _implied(wanted: TicketFilter) -> list[str]:
    """What follows for the opening, in whose order tickets are read: reported before it, and closed after it."""
    implied = {"reported_from": "t.opened_at >= :reported_from", "closed_to": "t.opened_at < :closed_to"}
    return [condition for name, condition in implied.items() if getattr(wanted, name) is not None]


def _unlike(wanted: TicketFilter, values: dict[str, Any]) -> tuple[list[str], list[str]]:
    """The conditions that are others in the queue than among ended tickets."""
    of_open, of_ended = [], []
    if wanted.breached is not None:
        of_open.append("t.breached" if wanted.breached else "NOT t.breached")
        of_ended.append(_RAN_OUT if wanted.breached else f"NOT {_RAN_OUT}")
    if people := list(dict.fromkeys(wanted.participant)):
        of_open.append("t.parts && CAST(:parts AS text[])")
        of_ended.append(_TAKES_PART)
        values["parts"] = [f"{role}:{person}" for role in _ROLES for person in people]
        values["participants"] = [json.dumps([{"person_id": person}]) for person in people]
    return of_open, of_ended
