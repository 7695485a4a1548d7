"""What is said of single dates, what of it counts, and from when on a version may."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from shared.business_time.calendar import CalendarMakesNoSense, NeverOpen
from shared.contracts.calendars import WrittenWeek
from sla.domain.calendar import (
    BeginsBeforeTheVersionBefore,
    CalendarVersion,
    DatedDay,
    DayKind,
    DayTwice,
    FirstVersionIsForAlways,
    PastBeginNeedsReason,
    YearlyDay,
    begin_of,
    state_of,
    with_year,
    written_calendar,
)
from tests.sla.domain.promising import OFFICE, START

NAVIDAD = DatedDay(date(2026, 12, 25), "Navidad", "feriado")
JUEVES_SANTO = DatedDay(date(2026, 4, 2), "Jueves Santo", "no-laborable")
PUENTE = DatedDay(date(2026, 7, 10), "Feriado con fines turísticos", "puente")
NOCHEBUENA = YearlyDay("12-24", "Nochebuena", "horario-especial", breaks=(("13:00", "24:00"),))
ZONE = "America/Argentina/Buenos_Aires"
CLOSED: tuple[DayKind, ...] = ("feriado", "puente")
FIRST = CalendarVersion("comercial", 1, "Comercial", OFFICE)
DAY = timedelta(days=1)


def test_it_closes_on_the_kinds_of_day_on_which_the_calendar_closes() -> None:
    days = (PUENTE, NAVIDAD, JUEVES_SANTO)
    assert written_calendar(ZONE, OFFICE.weekly, CLOSED, days).holidays == (PUENTE.date, NAVIDAD.date)
    assert written_calendar(ZONE, OFFICE.weekly, (), days).holidays == ()


def test_windows_of_a_date_win_over_its_kind_and_breaks_are_kept() -> None:
    open_anyway = DatedDay(NAVIDAD.date, "Navidad", "feriado", windows=(("09:00", "12:00"),))
    eve = NOCHEBUENA.of(2026)
    assert eve is not None
    calendar = written_calendar(ZONE, OFFICE.weekly, CLOSED, (open_anyway, eve))
    assert calendar.holidays == ()
    assert calendar.special_days == {NAVIDAD.date: (("09:00", "12:00"),)}
    assert calendar.breaks == {date(2026, 12, 24): (("13:00", "24:00"),)}


def test_a_date_with_two_rows_is_refused_and_both_are_named() -> None:
    with pytest.raises(DayTwice, match="2026-12-25 is Navidad and Pascuas"):
        written_calendar(ZONE, OFFICE.weekly, (), (NAVIDAD, DatedDay(NAVIDAD.date, "Pascuas", "puente")))


def test_what_the_kernel_cannot_count_is_refused() -> None:
    once = DatedDay(NAVIDAD.date, "Navidad", "feriado", windows=(("09:00", "12:00"),))
    for days in ((), (once,)):
        with pytest.raises(NeverOpen, match="week"):
            written_calendar(ZONE, WrittenWeek(), (), days)
    with pytest.raises(CalendarMakesNoSense, match="zone"):
        written_calendar("Marte/Olympus", OFFICE.weekly, (), ())


def test_a_year_is_added_and_what_is_said_of_a_date_stays() -> None:
    edited = DatedDay(NAVIDAD.date, "Navidad, abierto", "feriado", windows=(("10:00", "12:00"),))
    days = with_year((edited,), (NOCHEBUENA,), (NAVIDAD, PUENTE), 2026)
    assert days == (PUENTE, NOCHEBUENA.of(2026), edited)
    assert with_year(days, (NOCHEBUENA,), (NAVIDAD, PUENTE), 2026) == days


def test_a_holiday_comes_before_what_is_said_of_every_year() -> None:
    holiday = DatedDay(date(2026, 12, 24), "Feriado", "feriado")
    assert with_year((), (NOCHEBUENA,), (holiday,), 2026) == (holiday,)


def test_the_29th_of_february_is_a_day_of_some_years() -> None:
    assert YearlyDay("02-29", "Bisiesto", "puente").of(2027) is None
    found = YearlyDay("02-29", "Bisiesto", "puente").of(2028)
    assert found is not None
    assert found.date == date(2028, 2, 29)


def test_the_first_version_counts_for_always_and_a_later_one_from_now() -> None:
    assert begin_of(1, None, None, START, None) is None
    with pytest.raises(FirstVersionIsForAlways, match="leave effective_from out"):
        begin_of(1, None, START, START, None)
    assert begin_of(2, FIRST, None, START, None) == START


def test_a_version_begins_at_a_whole_second() -> None:
    half = timedelta(milliseconds=500)
    assert begin_of(2, FIRST, None, START - half, None) == START
    assert begin_of(2, FIRST, START + half, START, None) == START + 2 * half


def test_a_beginning_in_the_past_needs_a_reason() -> None:
    with pytest.raises(PastBeginNeedsReason, match="reason"):
        begin_of(2, FIRST, START - DAY, START, None)
    assert begin_of(2, FIRST, START - DAY, START, "Feriado decretado ayer") == START - DAY
    assert begin_of(2, FIRST, START + DAY, START, None) == START + DAY


def test_a_version_begins_no_earlier_than_the_one_before() -> None:
    before = CalendarVersion("comercial", 2, "Comercial", OFFICE, START)
    assert begin_of(3, before, START, START, "corrección") == START
    with pytest.raises(BeginsBeforeTheVersionBefore, match="Version 2 begins at 2026-01-01"):
        begin_of(3, before, START - DAY, START, "corrección")


def test_now_is_too_early_too_where_the_version_before_is_only_planned() -> None:
    planned = CalendarVersion("comercial", 2, "Comercial", OFFICE, START + DAY)
    with pytest.raises(BeginsBeforeTheVersionBefore, match="Version 2 begins at 2026-01-02"):
        begin_of(3, planned, None, START, None)
    assert begin_of(3, planned, None, START + DAY, None) == START + DAY


def test_a_version_is_planned_then_in_force_then_past() -> None:
    assert state_of(None, None, START) == "in-force"
    assert state_of(START + DAY, None, START) == "planned"
    assert state_of(START, START + DAY, START) == "in-force"
    assert state_of(None, START, START) == "past"


def test_a_version_is_told_under_an_id_of_its_own() -> None:
    told = CalendarVersion("comercial", 3, "Comercial", OFFICE, START).recorded()
    assert (told.id, told.calendar_id, told.version, told.effective_from) == ("comercial-v3", "comercial", 3, START)
