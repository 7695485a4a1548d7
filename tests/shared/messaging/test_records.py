"""Whatever a stranger writes is something to apply, to skip or to park, and never an exception."""

from __future__ import annotations

import pytest

from shared.messaging.records import Invalid, Record, read_record
from tests.shared.messaging.story import message, opened, reactions


@pytest.mark.parametrize("header", ["ce_time", "ce_recordedtime"])
@pytest.mark.parametrize("stated", [b"9999-12-31T23:59:59-12:00", b"0001-01-01T00:00:00+14:00"])
def test_an_instant_that_has_no_equivalent_in_utc_is_invalid(header: str, stated: bytes) -> None:
    topic, key, value, headers = message(opened(1), 1)
    strange = tuple((name, stated if name == header else text) for name, text in headers)
    assert isinstance(read_record(Record(topic, 0, 0, key, strange, value), reactions()), Invalid)
