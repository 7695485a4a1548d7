"""Whole seconds since the epoch, and instants."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = timedelta(seconds=1)


# Clocks count whole seconds. The start is read down and everything later is read up, so a second that has begun counts:
# a stop a tenth of a second after the due is late, exactly as its event times say, and a due is always a whole second.
def second(at: datetime) -> int:
    """The second in which an instant lies."""
    return (at - _EPOCH) // _SECOND


def begun_second(at: datetime) -> int:
    """The second at which everything that has begun by an instant is over."""
    return -((_EPOCH - at) // _SECOND)


def instant(second: int) -> datetime:
    """The instant at which a second begins, in UTC."""
    return _EPOCH + timedelta(seconds=second)
