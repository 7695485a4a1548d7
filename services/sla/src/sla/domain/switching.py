"""Which version of its calendar a clock counts in, and when it is switched to a later one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from shared.business_time.known import CalendarName, In
from shared.contracts.sla import ClockKind
from shared.errors import Unavailable
from sla.domain.meaning import SWITCHED, TicketFact


class NoCalendar(Unavailable):
    """A target names a calendar of which no version holds."""

    code = "no-calendar"
    title = "The calendar of a target is missing"


@dataclass(frozen=True, slots=True)
class Activated:
    """A version of a calendar that counts from `effective_from` on, None for ever; known since `activated_at`.

    A later one begins no earlier than the one before.
    """

    version: int
    effective_from: datetime | None
    activated_at: datetime


def in_force(calendar_id: str, versions: Iterable[Activated], at: datetime) -> Activated:
    """The version that holds at an instant. Raises NoCalendar."""
    begun = [one for one in versions if one.effective_from is None or one.effective_from <= at]
    if not begun:
        raise NoCalendar(
            f"No version of the calendar {calendar_id} holds at {at.isoformat()}: run `migrate`, which loads the "
            "defaults, or activate a version of it."
        )
    return max(begun, key=lambda one: one.version)


def one_after_another(calendar_id: str, versions: Iterable[Activated]) -> list[In]:
    """What counts where nothing was pinned: each version from its beginning on, of those that begin together the last.

    The first one counts from ever, whatever its instant says.
    """
    first, *later = sorted(versions, key=_by_number)
    begun = {one.effective_from or one.activated_at: one.version for one in later}
    counting = [(first.activated_at, first.version), *begun.items()]
    return [In(at, CalendarName(calendar_id, version)) for at, version in counting]


def switches(
    ticket_id: UUID,
    kind: ClockKind,
    after: int,
    versions: Sequence[Activated],
    since: datetime,
    id_of: Callable[[int], UUID],
) -> Iterator[TicketFact]:
    """The facts that switch a clock of a ticket from a version to the later ones, none of them before `since`.

    `id_of` gives the fact of a version its id.
    """
    for one in versions:
        if one.version > after:
            yield TicketFact(
                ticket_id=ticket_id,
                fact_id=id_of(one.version),
                type=SWITCHED,
                occurred_at=since if one.effective_from is None else max(since, one.effective_from),
                sequence=one.version,
                carried={"clock": kind, "calendar_version": one.version, "told_at": one.activated_at.isoformat()},
            )


def _by_number(version: Activated) -> int:
    return version.version
