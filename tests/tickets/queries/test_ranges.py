"""What nobody can have meant is refused with what to do: ranges that end before they begin, and what has no due."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import Invalid
from tests.tickets.desk import NOW
from tickets.queries.filters import (
    EndedTicketsHaveNoDue,
    OpenTicketsHaveNoClosing,
    RangeReversed,
    TicketFilter,
    ViewOfOpenTickets,
    check,
    narrow,
)

INSTANTS = st.none() | st.integers(min_value=-3, max_value=3).map(lambda days: NOW + timedelta(days=days))
RANGES = ("opened", "reported", "closed", "due")


@given(name=st.sampled_from(RANGES), begin=INSTANTS, end=INSTANTS)
def test_a_range_that_holds_no_instant_is_refused_and_any_other_taken(
    name: str, begin: datetime | None, end: datetime | None
) -> None:
    bounds: dict[str, Any] = {f"{name}_from": begin, f"{name}_to": end}
    wanted = TicketFilter(status=["closed"] if name == "closed" else None, **bounds)
    if begin is not None and end is not None and not any(begin <= NOW + timedelta(days=n) < end for n in range(-3, 4)):
        with pytest.raises(RangeReversed, match=rf"{name}_from .* is not before {name}_to .* exchange them"):
            check(wanted, by_due=False)
    else:
        check(wanted, by_due=False)
        assert set(narrow(wanted).values) == {key for key, at in bounds.items() if at is not None}


AT: dict[str, Any] = {"due_from": NOW}
CLOSED: dict[str, Any] = {"closed_to": NOW}


@pytest.mark.parametrize(
    ("wanted", "by_due", "error", "advice"),
    [
        (TicketFilter(status=["all"]), True, EndedTicketsHaveNoDue, "or sort by `opened`"),
        (TicketFilter(status=["closed"], **AT), False, EndedTicketsHaveNoDue, "leave `due_from` and `due_to` out"),
        (TicketFilter(**CLOSED), False, OpenTicketsHaveNoClosing, "say status=closed"),
        (TicketFilter(status=["cancelled"], **CLOSED), False, OpenTicketsHaveNoClosing, "say status=closed"),
        (TicketFilter(status=["open"], **CLOSED), True, OpenTicketsHaveNoClosing, "say status=closed"),
        (TicketFilter(status=["all"], view="mine"), False, ViewOfOpenTickets, "or leave `view` out"),
    ],
)
def test_what_an_ended_or_an_open_ticket_cannot_have_is_refused(
    wanted: TicketFilter, by_due: bool, error: type[Invalid], advice: str
) -> None:
    with pytest.raises(error, match=advice):
        check(wanted, by_due=by_due)


@pytest.mark.parametrize(
    ("wanted", "by_due"),
    [
        (TicketFilter(**AT), True),
        (TicketFilter(view="attention", **AT), False),
        (TicketFilter(status=["all"], **CLOSED), False),
        (TicketFilter(status=["new", "closed"], **CLOSED), False),
    ],
)
def test_what_makes_sense_is_taken(wanted: TicketFilter, by_due: bool) -> None:
    check(wanted, by_due=by_due)
    assert narrow(wanted).values
