"""Whether somebody is there, and whom somebody meant."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.contracts.teams import Absence
from tickets.domain.person import (
    AbsenceMakesNoSense,
    Person,
    Presence,
    check_absences,
    meant,
    nearest,
    presence,
    unknown_person,
)

NOW = datetime(2026, 11, 2, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def away(begins: int, ends: int) -> Absence:
    """An absence, in hours from now."""
    return Absence(from_at=NOW + begins * HOUR, until_at=NOW + ends * HOUR)


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(1, 10)), max_size=6), st.integers(0, 50))
def test_somebody_is_there_in_every_hour_that_no_absence_has(stretches: list[tuple[int, int]], hour: int) -> None:
    person = Person("ana", "Ana", True, tuple(away(begins, begins + length) for begins, length in stretches))
    gone = {n for begins, length in stretches for n in range(begins, begins + length)}
    found = presence(person, NOW + hour * HOUR)
    assert found.passed_over == ("absent" if hour in gone else None)
    until = next((n for n in range(hour, 60) if (n in gone) != (hour in gone)), None)
    assert found.until_at == (None if until is None else NOW + until * HOUR)


def test_somebody_who_is_inactive_is_passed_over_for_good() -> None:
    assert presence(Person("ana", None, False, (away(1, 2),)), NOW) == Presence("inactive", None)


def test_absences_stand_in_one_order_and_end_after_they_begin() -> None:
    assert check_absences([away(5, 6), away(1, 9), away(1, 2)]) == (away(1, 2), away(1, 9), away(5, 6))
    with pytest.raises(AbsenceMakesNoSense, match="say when it ends"):
        check_absences([away(3, 3)])


NAMES = {"martin.fernandez": "Martín Fernández", "marta.gimenez": "Marta Giménez", "lucia.gomez": None}


def test_whoever_was_meant_is_named_by_id_or_name() -> None:
    assert nearest("martin.fernandes", NAMES)[0] == "martin.fernandez"
    assert nearest("Marta Gimenez", NAMES)[0] == "marta.gimenez"
    assert nearest("zzz", NAMES) == ()
    assert meant("lucia.gomes", NAMES) == "; nearest: lucia.gomez"
    assert meant("zzz", NAMES) == ""
    error = unknown_person("analistas", "martin.fernandes", NAMES)
    assert "analistas: nobody knows martin.fernandes; nearest: martin.fernandez (Martín Fernández)" in error.message
    assert error.extra["nearest"][0] == "martin.fernandez"
