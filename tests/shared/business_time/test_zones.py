"""Where the wall clock jumps: every zone, against the compiled files themselves."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import pytest

from shared.business_time.zones import LOOK_EVERY, REACH_END, REACH_START, instants, segments, wall_clock, zone_names
from tests.shared.business_time.drawing import ODD_ZONES
from tests.shared.business_time.stepping import second, zone
from tests.shared.business_time.tzif import aliases, changes

YEAR_2050, YEAR_2100 = second("2050-01-01T00:00Z"), second("2100-01-01T00:00Z")


def test_every_zone_of_the_package_is_known() -> None:
    assert {"UTC", "America/Argentina/Buenos_Aires", "Asia/Kathmandu", "America/Buenos_Aires"} <= zone_names()
    assert len(zone_names()) > 590


def test_no_zone_keeps_an_offset_for_so_short_that_a_look_misses_it() -> None:
    for name, *_ in aliases().values():
        kept = [after.at - before.at for before, after in pairwise(changes(name, 2100)) if before.at > REACH_START]
        assert min(kept, default=3 * LOOK_EVERY) > 2 * LOOK_EVERY, name


def agrees(names: Iterable[str], until: int) -> None:
    """The segments are those of the file."""
    for name in names:
        listed = [(each.at, each.offset) for each in changes(name, 2500) if REACH_START < each.at < until]
        assert [(each.start, each.offset) for each in segments(name, REACH_START, until)[1:]] == listed, name


def test_the_changes_of_odd_zones_are_those_of_their_files() -> None:
    agrees(ODD_ZONES, YEAR_2050)


@pytest.mark.verify
@pytest.mark.timeout(900)
def test_the_changes_of_every_zone_are_those_of_its_file() -> None:
    agrees((name for name, *_ in aliases().values()), YEAR_2100)
    agrees(ODD_ZONES, REACH_END)


def test_segments_leave_no_gap_and_begin_and_end_where_they_are_asked_to() -> None:
    start, end = second("2026-03-29T01:00Z") - 1, second("2026-10-25T01:00Z") + 1
    assert segments("Europe/London", start, end) == [
        (start, start + 1, 0), (start + 1, end - 1, 3600), (end - 1, end, 0),
    ]  # fmt: skip
    assert segments("Europe/London", start + 1, end - 1) == [(start + 1, end - 1, 3600)]


def test_the_wall_clock_is_that_of_the_zone() -> None:
    at = second("2026-01-01T00:00Z")
    assert wall_clock("Asia/Kathmandu", at) == at + 20_700
    assert wall_clock("America/St_Johns", at) == at - 12_600
    assert zone("Asia/Kathmandu").key == "Asia/Kathmandu"


def test_a_reading_in_the_gap_is_shown_at_no_second_and_a_repeated_one_at_two() -> None:
    gap, repeated = second("2026-03-29T01:00Z"), second("2026-10-25T01:00Z")
    half_past_one = 5_400
    spring, autumn = gap - 3_600, repeated - 3_600
    assert (
        instants("Europe/London", [(spring + half_past_one, spring + half_past_one + 60)], gap - 86_400, gap + 86_400)
        == []
    )
    shown = instants(
        "Europe/London", [(autumn + half_past_one, autumn + half_past_one + 60)], repeated - 86_400, repeated + 86_400
    )
    assert shown == [(repeated - 1_800, repeated - 1_740), (repeated + 1_800, repeated + 1_860)]
