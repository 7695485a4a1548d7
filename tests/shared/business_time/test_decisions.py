"""What was decided about business time, one test for each decision (sla.md, *Business time*)."""

from __future__ import annotations

from shared.business_time.timeline import Timeline
from tests.shared.business_time.drawing import WORKING, every, indexed
from tests.shared.business_time.stepping import Written, second

HOUR, DAY = 3_600, 86_400
BUENOS_AIRES = "America/Argentina/Buenos_Aires"


def written(timezone: str, **said: object) -> Written:
    """A calendar of which only this is said."""
    return {"timezone": timezone, "weekly": {}, "holidays": [], "special_days": {}, "breaks": {}} | said


OFFICE = every(("09:00", "18:00"), days=WORKING)
ALL_DAY = every(("00:00", "24:00"))
NIGHTS = every(("22:00", "06:00"))
COMERCIAL = indexed(written(BUENOS_AIRES, weekly=OFFICE, holidays=["2026-07-09"]))


def test_what_is_opened_on_friday_at_ten_to_six_goes_on_on_monday_at_nine() -> None:
    opened, monday = second("2026-03-06T17:50-03:00"), second("2026-03-09T09:00-03:00")
    assert COMERCIAL.add(opened, HOUR) == monday + 50 * 60
    assert COMERCIAL.next_change(opened + 600) == monday
    assert COMERCIAL.between(opened, monday) == 600


def test_a_target_that_runs_out_exactly_at_closing_is_due_at_that_closing() -> None:
    opened, closing = second("2026-03-06T17:00-03:00"), second("2026-03-06T18:00-03:00")
    monday = second("2026-03-09T09:00-03:00")
    assert COMERCIAL.add(opened, HOUR) == closing
    assert COMERCIAL.add(closing - 1, 1) == closing
    assert COMERCIAL.add(opened, HOUR + 1) == monday + 1
    assert COMERCIAL.next_open(closing) == monday, "where it is missed: resolved on Saturday is met"


def test_what_is_opened_outside_hours_counts_from_the_next_opening() -> None:
    opening = second("2026-03-09T09:00-03:00")
    for opened in (second("2026-03-06T18:00-03:00"), second("2026-03-07T11:00-03:00"), opening - 1, opening):
        assert COMERCIAL.add(opened, HOUR) == opening + HOUR
        assert COMERCIAL.add(opened, 0) == opening


def test_what_is_opened_on_a_holiday_counts_from_the_next_day() -> None:
    opened = second("2026-07-09T10:00-03:00")
    assert COMERCIAL.add(opened, HOUR) == second("2026-07-10T10:00-03:00")
    assert not COMERCIAL.is_open(opened)


def test_nothing_at_all_is_due_at_the_next_opening_and_backwards_at_the_closing_before() -> None:
    saturday, monday_noon = second("2026-03-07T11:00-03:00"), second("2026-03-09T12:00-03:00")
    assert COMERCIAL.add(saturday, 0) == second("2026-03-09T09:00-03:00")
    assert COMERCIAL.add(saturday, 0, back=True) == second("2026-03-06T18:00-03:00")
    assert COMERCIAL.add(monday_noon, 0) == COMERCIAL.add(monday_noon, 0, back=True) == monday_noon


def test_backwards_at_the_second_of_opening_it_is_open_already() -> None:
    opening = second("2026-03-09T09:00-03:00")
    assert COMERCIAL.add(opening, 0, back=True) == opening


def test_at_the_second_of_closing_it_is_closed_already() -> None:
    closing = second("2026-03-06T18:00-03:00")
    assert COMERCIAL.is_open(closing - 1)
    assert not COMERCIAL.is_open(closing)
    assert COMERCIAL.add(closing, 0, back=True) == closing


def test_negative_seconds_walk_back_and_run_out_at_an_opening() -> None:
    monday = second("2026-03-09T10:00-03:00")
    assert COMERCIAL.add(monday, -HOUR) == monday - HOUR
    assert COMERCIAL.add(monday, -HOUR - 1) == second("2026-03-06T17:59:59-03:00")
    assert COMERCIAL.add(monday, -10 * HOUR) == second("2026-03-06T09:00-03:00")


def test_between_is_negative_when_it_is_asked_backwards() -> None:
    friday, monday = second("2026-03-06T17:50-03:00"), second("2026-03-09T09:10-03:00")
    assert COMERCIAL.between(friday, monday) == 1_200
    assert COMERCIAL.between(monday, friday) == -1_200


def test_a_day_around_the_clock_has_23_or_25_hours_when_the_clocks_change() -> None:
    london = indexed(written("Europe/London", weekly=ALL_DAY))
    assert london.between(second("2026-03-29T00:00+00:00"), second("2026-03-30T00:00+01:00")) == 23 * HOUR
    assert london.between(second("2026-10-25T00:00+01:00"), second("2026-10-26T00:00+00:00")) == 25 * HOUR


def test_what_is_opened_in_the_spring_gap_is_opened_after_it() -> None:
    """Half past one of that night is no second: whoever says it means half past two, an hour later than one."""
    london = indexed(written("Europe/London", weekly=every(("01:00", "03:00"))))
    gap = second("2026-03-29T01:00+00:00")
    said = second("2026-03-29T01:30+00:00")
    assert london.is_open(said)
    assert london.between(gap - DAY, gap) == 2 * HOUR
    assert london.between(gap - HOUR, gap + DAY - HOUR) == HOUR, "of the two hours one never comes"
    assert london.add(said, HOUR) == second("2026-03-30T01:30+01:00")


def test_a_window_within_the_spring_gap_does_not_occur() -> None:
    london = indexed(written("Europe/London", weekly=every(("01:00", "02:00"))))
    before = second("2026-03-28T02:00+00:00")
    assert london.add(before, 0) == second("2026-03-30T01:00+01:00")
    assert london.add_days(before, 1) == second("2026-03-30T02:00+01:00"), "nor is it a business day"


def test_what_is_opened_in_the_repeated_hour_counts_both_passes() -> None:
    london = indexed(written("Europe/London", weekly=every(("01:15", "01:45"))))
    first, again = second("2026-10-25T01:30+01:00"), second("2026-10-25T01:30+00:00")
    assert again == first + HOUR
    assert london.between(first, again) == 1_800
    assert london.add(first, 900) == second("2026-10-25T01:45+01:00")
    assert london.add(first, 901) == second("2026-10-25T01:15:01+00:00")
    assert london.add(again, 900) == second("2026-10-25T01:45+00:00")


def test_where_midnight_is_repeated_the_window_of_the_evening_is_repeated() -> None:
    """In Santiago the clock goes from 24:00 of Saturday back to 23:00 of Saturday."""
    santiago = indexed(written("America/Santiago", weekly={"sat": [("22:30", "24:00")]}))
    saturday = second("2026-04-04T12:00-03:00")
    assert santiago.add(saturday, 0) == second("2026-04-04T22:30-03:00")
    assert santiago.between(saturday, saturday + DAY) == 2 * HOUR + 1_800
    assert santiago.add_days(saturday - DAY, 1) == second("2026-04-05T00:00-04:00")


def test_where_midnight_is_left_out_the_day_begins_at_one() -> None:
    santiago = indexed(written("America/Santiago", weekly={"sun": [("00:00", "02:00")]}))
    assert santiago.add(second("2026-09-05T12:00-04:00"), HOUR) == second("2026-09-06T02:00-03:00")


def test_a_date_that_is_left_out_is_never_open_but_the_tail_of_its_night_is() -> None:
    """Samoa went from Thursday 29 December 2011 to Saturday 31."""
    apia = indexed(written("Pacific/Apia", weekly={"thu": [("09:00", "18:00")], "fri": [("20:00", "02:00")]}))
    thursday = second("2011-12-29T18:00-10:00")
    saturday = second("2011-12-31T00:00+14:00")
    assert saturday == thursday + 6 * HOUR
    assert apia.next_open(thursday) == saturday
    assert apia.next_change(saturday) == saturday + 2 * HOUR


def test_an_overnight_window_belongs_to_the_date_on_which_it_begins() -> None:
    """The holiday closes the night that begins on it, and leaves the tail of the night before."""
    nights = indexed(written(BUENOS_AIRES, weekly=NIGHTS, holidays=["2026-07-09"]))
    evening = second("2026-07-08T22:00-03:00")
    assert nights.between(evening, evening + 8 * HOUR) == 8 * HOUR
    assert nights.next_change(evening) == second("2026-07-09T06:00-03:00")
    assert nights.next_open(second("2026-07-09T06:00-03:00")) == second("2026-07-10T22:00-03:00")


def test_the_night_before_a_closed_weekend_lasts_until_its_morning() -> None:
    fridays = indexed(written(BUENOS_AIRES, weekly={"fri": [("22:00", "06:00")]}))
    assert fridays.add(second("2026-03-06T23:00-03:00"), 7 * HOUR) == second("2026-03-07T06:00-03:00")


def test_special_hours_replace_those_of_the_week_and_win_over_a_holiday() -> None:
    special = {"2026-12-24": [("09:00", "13:00")], "2026-12-31": []}
    hours = indexed(written(BUENOS_AIRES, weekly=OFFICE, holidays=["2026-12-24", "2026-12-25"], special_days=special))
    assert hours.add(second("2026-12-24T12:00-03:00"), HOUR) == second("2026-12-24T13:00-03:00")
    assert hours.add(second("2026-12-24T12:00-03:00"), 2 * HOUR) == second("2026-12-28T10:00-03:00")
    assert hours.next_open(second("2026-12-30T18:00-03:00")) == second("2027-01-01T09:00-03:00"), "none is closed"


def test_special_hours_leave_the_tail_of_the_night_before() -> None:
    nights = indexed(written(BUENOS_AIRES, weekly=NIGHTS, special_days={"2026-07-09": [("12:00", "13:00")]}))
    assert nights.between(second("2026-07-09T00:00-03:00"), second("2026-07-10T00:00-03:00")) == 7 * HOUR


def test_a_break_is_cut_out_of_whatever_is_open_on_its_date() -> None:
    breaks = {"2026-03-09": [("12:00", "13:00")], "2026-03-10": [("05:00", "09:30")]}
    hours = indexed(written(BUENOS_AIRES, weekly={**NIGHTS, **OFFICE, "mon": [("09:00", "06:00")]}, breaks=breaks))
    assert hours.add(second("2026-03-09T11:00-03:00"), HOUR) == second("2026-03-09T12:00-03:00")
    assert hours.add(second("2026-03-09T11:00-03:00"), HOUR + 1) == second("2026-03-09T13:00:01-03:00")
    assert hours.next_change(second("2026-03-10T04:00-03:00")) == second("2026-03-10T05:00-03:00"), "Monday's night too"
    assert hours.next_open(second("2026-03-10T05:00-03:00")) == second("2026-03-10T09:30-03:00")


def test_a_break_through_the_night_lasts_until_the_next_morning() -> None:
    breaks = {"2026-03-09": [("23:00", "02:00")]}
    hours = indexed(written(BUENOS_AIRES, weekly=ALL_DAY, breaks=breaks))
    assert hours.next_change(second("2026-03-09T00:00-03:00")) == second("2026-03-09T23:00-03:00")
    assert hours.next_open(second("2026-03-09T23:00-03:00")) == second("2026-03-10T02:00-03:00")
    assert hours.next_change(second("2026-03-10T02:00-03:00")) is None


def test_windows_that_touch_are_one() -> None:
    hours = indexed(written(BUENOS_AIRES, weekly=every(("20:00", "24:00"), ("00:00", "04:00"), days=WORKING)))
    assert hours.next_change(second("2026-03-09T20:00-03:00")) == second("2026-03-10T04:00-03:00")


def test_a_hold_across_closing_time_a_holiday_and_a_change_of_the_clocks_counts_what_is_open() -> None:
    """From Thursday 17:00 to Tuesday 10:00 in London: Good Friday between, and the clocks go on on Sunday."""
    hours = indexed(written("Europe/London", weekly=OFFICE, holidays=["2024-03-29"]))
    held, released = second("2024-03-28T17:00+00:00"), second("2024-04-02T10:00+01:00")
    assert hours.between(held, released) == (1 + 9 + 1) * HOUR
    due = second("2024-03-28T18:00+00:00")
    assert hours.add(due, hours.between(held, released)) == second("2024-04-02T11:00+01:00")


def test_a_version_that_begins_at_midnight_inside_a_clock_counts_from_then() -> None:
    midnight = second("2026-03-10T00:00-03:00")
    evenings = indexed(written(BUENOS_AIRES, weekly=every(("12:00", "20:00"), days=WORKING)))
    hours = Timeline([(None, COMERCIAL), (midnight, evenings)])
    opened = second("2026-03-09T17:00-03:00")
    assert hours.add(opened, HOUR) == second("2026-03-09T18:00-03:00")
    assert hours.add(opened, 3 * HOUR) == second("2026-03-10T14:00-03:00")
    assert hours.between(opened, second("2026-03-11T00:00-03:00")) == 9 * HOUR


def test_a_calendar_edited_while_it_is_open_counts_what_passed_as_it_was() -> None:
    edited = second("2026-03-09T12:00-03:00")
    mornings = indexed(written(BUENOS_AIRES, weekly=every(("08:00", "11:00"), days=WORKING)))
    hours = Timeline([(None, COMERCIAL), (edited, mornings)])
    opened = second("2026-03-09T10:00-03:00")
    assert hours.between(opened, second("2026-03-10T12:00-03:00")) == 5 * HOUR
    assert hours.next_change(opened) == edited
    assert hours.add(opened, 3 * HOUR) == second("2026-03-10T09:00-03:00")
    assert hours.add(second("2026-03-10T09:00-03:00"), -3 * HOUR) == opened


def test_a_client_in_another_zone_is_served_by_the_contracts_clock() -> None:
    madrid = indexed(written("Europe/Madrid", weekly=OFFICE))
    opened = second("2026-03-09T07:00-03:00")
    assert madrid.add(opened, HOUR) == second("2026-03-09T12:00+01:00")
    assert COMERCIAL.add(opened, HOUR) == second("2026-03-09T10:00-03:00")
    both = Timeline([(None, madrid), (second("2026-03-09T18:00+01:00"), COMERCIAL)])
    assert both.between(opened, second("2026-03-10T00:00-03:00")) == (7 + 4) * HOUR


def test_a_target_of_a_million_seconds_is_due_to_the_second() -> None:
    """Thirty days of nine hours, and 28,000 seconds of the next."""
    opened = second("2026-03-02T09:00-03:00")
    assert COMERCIAL.add(opened, 1_000_000) == second("2026-04-13T09:00-03:00") + 28_000
    assert COMERCIAL.between(opened, COMERCIAL.add(opened, 1_000_000)) == 1_000_000


def test_a_business_day_ends_at_closing_whatever_its_hours() -> None:
    hours = indexed(
        written(
            BUENOS_AIRES,
            weekly={**OFFICE, "sat": [("09:00", "13:00")]},
            holidays=["2026-07-09"],
            special_days={"2026-07-10": [("09:00", "12:00")]},
        )
    )
    wednesday = second("2026-07-08T17:59-03:00")
    assert [hours.add_days(wednesday, days) for days in range(4)] == [
        wednesday,
        second("2026-07-10T12:00-03:00"),
        second("2026-07-11T13:00-03:00"),
        second("2026-07-13T18:00-03:00"),
    ]
    assert hours.add_days(second("2026-07-09T10:00-03:00"), 1) == second("2026-07-10T12:00-03:00")


def test_after_midnight_the_business_day_is_still_that_of_the_night() -> None:
    nights = indexed(written(BUENOS_AIRES, weekly={"mon": [("22:00", "06:00")], "tue": [("22:00", "06:00")]}))
    assert nights.add_days(second("2026-03-10T02:00-03:00"), 1) == second("2026-03-11T06:00-03:00")
    assert nights.add_days(second("2026-03-10T07:00-03:00"), 1) == second("2026-03-17T06:00-03:00")


def test_a_second_belongs_to_the_night_before_from_its_opening_to_before_its_closing() -> None:
    """A break ends at two, and the night goes on; at six it is the date's own morning."""
    monday = {"mon": [("22:00", "06:00")], "tue": [("09:00", "18:00")], "wed": [("09:00", "18:00")]}
    nights = indexed(written(BUENOS_AIRES, weekly=monday, breaks={"2026-03-09": [("23:00", "02:00")]}))
    tuesday, wednesday = second("2026-03-10T18:00-03:00"), second("2026-03-11T18:00-03:00")
    said = ("01:59:59", "02:00:00", "05:59:59", "06:00:00")
    dues = [nights.add_days(second(f"2026-03-10T{at}-03:00"), 1) for at in said]
    assert dues == [wednesday, tuesday, tuesday, wednesday]


def test_around_the_clock_a_business_day_ends_at_midnight() -> None:
    hours = indexed(written(BUENOS_AIRES, weekly=ALL_DAY))
    assert hours.add_days(second("2026-03-10T02:00-03:00"), 1) == second("2026-03-12T00:00-03:00")
