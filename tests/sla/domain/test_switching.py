"""Which version of a calendar holds when, and what that is where nothing was pinned."""

from __future__ import annotations

from datetime import timedelta

import pytest

from sla.domain.switching import Activated, NoCalendar, in_force, one_after_another
from tests.sla.domain.promising import START

DAY = timedelta(days=1)
FIRST = Activated(1, None, START)


def counting(*versions: Activated) -> list[tuple[int, timedelta]]:
    """The versions that count one after another, each with how long after START it begins to."""
    return [(one.calendar.version, one.from_at - START) for one in one_after_another("comercial", versions)]


def test_the_last_version_that_has_begun_holds() -> None:
    second, third = Activated(2, START + DAY, START), Activated(3, START + DAY, START)
    versions = [FIRST, second, third]
    assert in_force("comercial", versions, START - 999 * DAY) is FIRST
    assert in_force("comercial", versions, START + DAY) is third
    with pytest.raises(NoCalendar, match="No version of the calendar comercial holds"):
        in_force("comercial", [second], START)


def test_of_versions_that_begin_together_the_last_counts() -> None:
    later = Activated(2, START + DAY, START), Activated(3, START + DAY, START), Activated(4, START + 2 * DAY, START)
    assert counting(*reversed(later), FIRST) == [(1, timedelta(0)), (3, DAY), (4, 2 * DAY)]


def test_the_first_version_counts_from_ever_also_where_the_next_begins_as_it_was_activated() -> None:
    assert [version for version, _ in counting(FIRST, Activated(2, START, START))] == [1, 2]
