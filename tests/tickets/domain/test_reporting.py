"""When the client reported, and how late it may be registered."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tickets.domain.reporting import (
    LateReasonMissing,
    ReportedInTheFuture,
    ReportedTooLongAgo,
    TooOldToRegister,
    reported_instant,
)

NOW = datetime(2026, 11, 2, 14, 3, tzinfo=UTC)


def instant(ago: timedelta | None, reason: str | None = None, *, may_be_late: bool = False) -> datetime:
    return reported_instant(NOW - ago if ago is not None else None, NOW, reason, may_be_late=may_be_late)


def test_a_call_that_is_going_on_was_reported_now() -> None:
    assert instant(None) == NOW


def test_a_clock_that_is_a_little_ahead_is_taken_as_now() -> None:
    assert instant(timedelta(seconds=-5)) == NOW
    with pytest.raises(ReportedInTheFuture):
        instant(timedelta(seconds=-5, microseconds=-1))


def test_after_fifteen_minutes_a_reason_is_needed() -> None:
    assert instant(timedelta(minutes=15)) == NOW - timedelta(minutes=15)
    with pytest.raises(LateReasonMissing, match="reported_late_reason"):
        instant(timedelta(minutes=15, microseconds=1))
    assert instant(timedelta(hours=3), "cayó la red") == NOW - timedelta(hours=3)


def test_after_a_day_a_supervisor_is_needed_and_says_why_too() -> None:
    assert instant(timedelta(hours=24), "x") == NOW - timedelta(hours=24)
    with pytest.raises(ReportedTooLongAgo, match="supervisor"):
        instant(timedelta(hours=24, microseconds=1), "x")
    assert instant(timedelta(days=3), "fin de semana", may_be_late=True) == NOW - timedelta(days=3)
    with pytest.raises(LateReasonMissing):
        instant(timedelta(days=3), may_be_late=True)


@pytest.mark.parametrize("may_be_late", [False, True])
@pytest.mark.parametrize("reason", [None, "x"])
def test_what_is_older_than_ninety_days_is_an_import_whoever_asks(reason: str | None, may_be_late: bool) -> None:
    assert instant(timedelta(days=90), "x", may_be_late=True) == NOW - timedelta(days=90)
    for ago in (timedelta(days=90, microseconds=1), NOW - datetime(1970, 1, 1, tzinfo=UTC)):
        with pytest.raises(TooOldToRegister, match=r"more than 90 days ago.* belongs to an import"):
            instant(ago, reason, may_be_late=may_be_late)
