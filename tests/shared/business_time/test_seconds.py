"""Instants as whole seconds: the start is read down, everything later up."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from shared.business_time.seconds import begun_second, instant, second

WHOLE = datetime(2026, 3, 6, 17, 50, tzinfo=UTC)
STEP = timedelta(microseconds=1)
NUMBER = 1_772_819_400


def test_a_whole_second_is_read_as_it_is() -> None:
    assert second(WHOLE) == begun_second(WHOLE) == NUMBER
    assert instant(NUMBER) == WHOLE
    assert instant(NUMBER).utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    "whole", [WHOLE, datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC), datetime(1900, 1, 1, tzinfo=UTC)]
)
def test_a_second_that_has_begun_counts_for_what_comes_later(whole: datetime) -> None:
    assert second(whole + STEP) == second(whole)
    assert second(whole - STEP) == second(whole) - 1
    assert begun_second(whole + STEP) == second(whole) + 1
    assert begun_second(whole - STEP) == second(whole)


def test_the_epoch_is_the_second_nought() -> None:
    assert (second(datetime(1970, 1, 1, tzinfo=UTC)), instant(0)) == (0, datetime(1970, 1, 1, tzinfo=UTC))
    assert instant(-1) == datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC)


def test_an_instant_is_the_same_second_in_every_zone() -> None:
    assert second(WHOLE.astimezone(timezone(timedelta(hours=-3)))) == NUMBER
