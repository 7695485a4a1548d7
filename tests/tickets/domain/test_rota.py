"""Who is on call, against whoever looks at the clock on the wall each minute; the nights of the clock change too."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tickets.domain.rota import (
    WEEKDAYS,
    Hole,
    Override,
    Rota,
    RotaMakesNoSense,
    Shift,
    checked,
    holes,
    on_call,
    people_of,
)

MINUTE = timedelta(minutes=1)
# A zone without summer time, and nights in which the clock skips an hour, half an hour, and shows one twice.
NIGHTS = {
    "America/Argentina/Buenos_Aires": datetime(2026, 11, 2, tzinfo=UTC),
    "Europe/Madrid": datetime(2026, 3, 28, tzinfo=UTC),
    "America/Santiago": datetime(2026, 4, 4, tzinfo=UTC),
    "Australia/Lord_Howe": datetime(2026, 10, 3, tzinfo=UTC),
}
DAYS = 2
hours = st.times().map(lambda at: at.replace(minute=at.minute // 15 * 15, second=0, microsecond=0, fold=0))
shifts = st.lists(
    st.builds(
        Shift, st.integers(1, 2), st.sampled_from(WEEKDAYS), hours, hours, st.sampled_from(["ana", "bruno", "carla"])
    ),
    max_size=8,
)
overrides = st.lists(
    st.tuples(st.integers(1, 2), st.integers(0, 60), st.integers(1, 30), st.sampled_from(["eva", None])), max_size=3
)


def first_showing(day: datetime, hour: time, zone: ZoneInfo) -> datetime:
    """The first minute in which the clock on the wall shows that hour of that day, or a later one."""
    wanted = datetime.combine(day, hour)
    at = wanted.replace(tzinfo=UTC) - timedelta(hours=15)
    while at.astimezone(zone).replace(tzinfo=None) < wanted:
        at += MINUTE
    return at


def by_minutes(rota: Rota, place: int, begin: datetime, end: datetime) -> list[str | None]:
    """Who has a place in each minute, by looking at the wall."""
    zone = ZoneInfo(rota.zone)
    stretches = []
    for days in range(-2, DAYS + 3):
        day = begin + timedelta(days=days)
        for one in rota.shifts:
            if one.place == place and one.day == WEEKDAYS[day.weekday()]:
                following = day if one.ends > one.begins else day + timedelta(days=1)
                shown = first_showing(day, one.begins, zone), first_showing(following, one.ends, zone)
                stretches.append((*shown, one.person_id))
    found = []
    for minute in range(int((end - begin) / MINUTE)):
        at = begin + minute * MINUTE
        who = next((person for since, until, person in stretches if since <= at < until), None)
        for dated in rota.overrides:
            if dated.place == place and dated.from_at <= at < dated.until_at:
                who = dated.person_id
        found.append(who)
    return found


def rota_in(zone: str, weekly: list[Shift], dated: list[tuple[int, int, int, str | None]]) -> Rota | None:
    """A rota, unless it contradicts itself."""
    begin = NIGHTS[zone]
    stand_ins = tuple(
        Override(place, begin + timedelta(hours=after), begin + timedelta(hours=after + length), who)
        for place, after, length, who in dated
    )
    try:
        return checked(Rota("equipo", zone, tuple(weekly), stand_ins))
    except RotaMakesNoSense:
        return None


@settings(max_examples=60)
@given(st.sampled_from(sorted(NIGHTS)), shifts, overrides)
def test_whoever_looks_at_the_wall_each_minute_sees_the_same_people(
    zone: str, weekly: list[Shift], dated: list[tuple[int, int, int, str | None]]
) -> None:
    rota = rota_in(zone, weekly, dated)
    if rota is None:
        return
    begin = NIGHTS[zone]
    end = begin + timedelta(days=DAYS)
    for place in rota.places:
        seen = by_minutes(rota, place, begin, end)
        at = begin
        while at < end:
            (now,) = [one for one in on_call(rota, at) if one.place == place]
            until = end if now.until_at is None else min(now.until_at, end)
            minutes = seen[int((at - begin) / MINUTE) : int((until - begin) / MINUTE)]
            assert set(minutes) == {now.person_id}, (place, at)
            at = until


@settings(max_examples=60)
@given(st.sampled_from(sorted(NIGHTS)), shifts, overrides)
def test_holes_are_the_minutes_in_which_nobody_has_the_first_place(
    zone: str, weekly: list[Shift], dated: list[tuple[int, int, int, str | None]]
) -> None:
    rota = rota_in(zone, weekly, dated)
    if rota is None:
        return
    begin = NIGHTS[zone]
    end = begin + timedelta(days=DAYS)
    found = holes(rota, begin, end)
    minutes = {begin + n * MINUTE for n, who in enumerate(by_minutes(rota, 1, begin, end)) if who is None}
    assert {
        one.from_at + n * MINUTE for one in found for n in range(int((one.until_at - one.from_at) / MINUTE))
    } == minutes
    # Each as long as it is: two that touch would be one.
    assert all(first.until_at < second.from_at for first, second in pairwise(found))


def test_an_hour_that_the_clock_skips_is_the_instant_at_which_it_skips() -> None:
    shift = Shift(1, "sun", time(2, 30), time(4), "ana")
    rota = checked(Rota("equipo", "Europe/Madrid", (shift,), ()))
    # On that Sunday the clock goes from 02:00 to 03:00, which is 01:00 UTC.
    skip = datetime(2026, 3, 29, 1, tzinfo=UTC)
    assert [one.person_id for one in on_call(rota, skip - MINUTE)] == [None]
    assert on_call(rota, skip - MINUTE)[0].until_at == skip
    assert [one.person_id for one in on_call(rota, skip)] == ["ana"]


def test_a_rota_without_anybody_is_one_hole() -> None:
    begin = datetime(2026, 11, 2, tzinfo=UTC)
    rota = Rota("equipo", "UTC", (), ())
    assert on_call(rota, begin) == ()
    assert holes(rota, begin, begin + timedelta(days=14)) == (Hole(begin, begin + timedelta(days=14)),)


def test_an_override_may_leave_a_place_to_nobody_and_the_week_goes_on_after_it() -> None:
    begin = datetime(2026, 11, 2, tzinfo=UTC)
    weekly = tuple(Shift(1, day, time(0), time(0), "ana") for day in WEEKDAYS)
    rota = checked(Rota("equipo", "UTC", weekly, (Override(1, begin, begin + timedelta(hours=3), None),)))
    assert [one.person_id for one in on_call(rota, begin)] == [None]
    assert on_call(rota, begin)[0].until_at == begin + timedelta(hours=3)
    assert [one.person_id for one in on_call(rota, begin + timedelta(hours=3))] == ["ana"]
    assert people_of(rota) == ["ana"]


@pytest.mark.parametrize(
    ("weekly", "says"),
    [
        ([("mon", "08:00", "12:00"), ("mon", "11:00", "13:00")], "ana and bruno both have place 1 on mon at 11:00"),
        ([("sun", "22:00", "08:00"), ("mon", "07:00", "09:00")], "ana and bruno both have place 1 on mon at 07:00"),
        ([("mon", "08:00", "08:00"), ("tue", "07:59", "09:00")], "ana and bruno both have place 1 on tue at 07:59"),
    ],
)
def test_two_who_have_one_place_at_once_are_refused(weekly: list[tuple[str, str, str]], says: str) -> None:
    people = ["ana", "bruno"]
    told = [
        Shift(1, day, time.fromisoformat(begins), time.fromisoformat(ends), who)
        for (day, begins, ends), who in zip(weekly, people, strict=True)
    ]
    with pytest.raises(RotaMakesNoSense) as refused:
        checked(Rota("equipo", "UTC", tuple(told), ()))
    assert says in refused.value.message or says.replace("ana and bruno", "bruno and ana") in refused.value.message


def test_overrides_that_meet_or_end_before_they_begin_and_zones_that_are_not_are_refused() -> None:
    begin = datetime(2026, 11, 2, tzinfo=UTC)
    meeting = [
        Override(1, begin, begin + 3 * MINUTE, "ana"),
        Override(1, begin + 2 * MINUTE, begin + 4 * MINUTE, "eva"),
    ]
    with pytest.raises(RotaMakesNoSense, match="two overrides of place 1 meet"):
        checked(Rota("equipo", "UTC", (), tuple(meeting)))
    with pytest.raises(RotaMakesNoSense, match="ends before it begins"):
        checked(Rota("equipo", "UTC", (), (Override(1, begin, begin, "ana"),)))
    for zone in ("Marte/Olympus", "../etc/passwd", "America"):
        with pytest.raises(RotaMakesNoSense, match="there is no time zone"):
            checked(Rota("equipo", zone, (), ()))
