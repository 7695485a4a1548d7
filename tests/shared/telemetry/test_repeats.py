"""A library that repeats itself does not fill the log, and nothing is lost but the repetition."""

from __future__ import annotations

import logging

import pytest

from shared.telemetry import repeats
from shared.telemetry.repeats import QUIET_SECONDS, Repeats


class Clock:
    """A monotonic clock that the test sets."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(repeats, "monotonic", made)
    return made


def said(name: str, words: str, *arguments: object, level: int = logging.ERROR) -> logging.LogRecord:
    return logging.LogRecord(name, level, __file__, 1, words, arguments, None)


def test_a_kind_of_line_is_written_once_and_the_next_one_counts_the_others(clock: Clock) -> None:
    guard = Repeats("aiokafka")
    lines = [said("aiokafka.conn", "Unable to connect to node %s", number) for number in range(801)]
    written = []
    for line in lines:
        if guard.filter(line):
            written.append(line.getMessage())
        clock.now += 0.0125
    assert written == ["Unable to connect to node 0", "Unable to connect to node 800 (and 799 more like it since)"]


def test_other_kinds_and_everybody_else_are_not_held_back(clock: Clock) -> None:
    guard = Repeats("aiokafka")
    others = [
        said("aiokafka.conn", "one"),
        said("aiokafka.conn", "two"),
        said("aiokafka.conn", "one", level=logging.WARNING),
        said("aiokafka", "one"),
        *[said("aiokafkaesque", "one") for _ in range(3)],
        *[said("shared.messaging.consumer", "one") for _ in range(3)],
    ]
    assert all(guard.filter(line) for line in others)
    assert not guard.filter(said("aiokafka.conn", "two"))


def test_a_kind_that_has_rested_is_written_as_it_is(clock: Clock) -> None:
    guard = Repeats("aiokafka")
    assert guard.filter(said("aiokafka", "away"))
    clock.now += QUIET_SECONDS
    line = said("aiokafka", "away")
    assert guard.filter(line)
    assert line.getMessage() == "away"


def test_its_memory_is_bounded(clock: Clock) -> None:
    guard = Repeats("aiokafka")
    assert all(guard.filter(said("aiokafka", f"line {number}")) for number in range(5000))
    assert len(guard._written) <= 500
