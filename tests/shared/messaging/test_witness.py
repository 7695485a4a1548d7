"""A log that is replaced between two fetches is found by what was read before, and no other log is."""

from __future__ import annotations

import asyncio
from typing import Any
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.messaging import fingerprint
from shared.messaging.fingerprint import Stood, Younger
from shared.messaging.kafka import Cluster
from shared.messaging.records import Partition, Record
from shared.messaging.refusals import Refusal
from shared.messaging.witness import MOST_KEPT, Witness

PLACE: Partition = ("desk.tickets.v1", 0)
NOBODY: Any = None


class Log:
    """One partition as its broker keeps it, and its one reader. Every record has a time of its own, but for those that
    were appended at once."""

    def __init__(self) -> None:
        self.times: list[int] = []
        self.read: list[int] = []
        self.now = 1000
        self.witness = Witness()
        self.witness.begin({PLACE: Stood(0, None, 0, 0)})

    def append(self, records: int) -> None:
        self.now += 1
        self.times += [self.now] * records

    def cut(self, records: int) -> None:
        self.times = self.times[: max(0, len(self.times) - records)]

    def fetch(self, records: int) -> None:
        """What the client does: it goes on where it was, in whichever log."""
        start = len(self.read)
        batch = self.times[start : start + records]
        self.read += batch
        numbered = enumerate(batch, start)
        self.witness.saw([Record(*PLACE, offset, b"k", (), b"", start, time) for offset, time in numbered])

    async def younger(self, _kafka: Any, _cluster: Any, stood: dict[Partition, Stood]) -> dict[Partition, Younger]:
        """What the brokers answer."""
        at = stood[PLACE]
        if at.newest_at is None:
            return {}
        found = [
            Younger(offset, time) for offset, time in enumerate(self.times[: at.dated_below]) if time > at.newest_at
        ]
        return {PLACE: found[0]} if found else {}

    def look(self) -> tuple[list[Refusal], dict[Partition, Stood]]:
        with patch.object(fingerprint, "younger", self.younger):
            return asyncio.run(self.witness.look(NOBODY, Cluster("nowhere")))


OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.integers(1, 4)),
        st.tuples(st.just("fetch"), st.integers(1, 4)),
        st.tuples(st.just("cut"), st.integers(1, 6)),
        st.tuples(st.just("look"), st.just(0)),
    ),
    max_size=MOST_KEPT,
)


@settings(max_examples=400)
@given(OPERATIONS)
def test_a_log_is_refused_when_what_was_read_of_it_was_replaced_and_only_then(story: list[tuple[str, int]]) -> None:
    log = Log()
    refused: list[Refusal] = []
    for kind, number in story:
        if kind == "look":
            refused += log.look()[0]
        else:
            getattr(log, kind)(number)
    # It grows past its reader, who goes on.
    log.append(len(log.read) + 1)
    log.fetch(1)
    refused += log.look()[0]
    replaced = log.times[: len(log.read)] != log.read
    assert bool(refused) >= replaced, "found at the latest when it reads on"
    if not any(kind == "cut" for kind, _ in story):
        assert not refused


def test_only_what_was_found_well_is_certain() -> None:
    log = Log()
    log.append(3)
    log.fetch(3)
    assert log.look() == ([], {PLACE: Stood(3, 1001, 3, 0)})
    assert log.look() == ([], {}), "nothing was read since"
    log.cut(3)
    log.append(6)
    log.fetch(3)
    (refusal,), certain = log.look()
    assert (refusal.partition, refusal.stored_offset, certain) == (0, 3, {})
    assert "its offset 0 was appended" in refusal.shows


def test_a_look_that_the_brokers_do_not_answer_is_made_again() -> None:
    log = Log()
    log.append(3)
    log.fetch(3)
    log.look()
    log.cut(3)
    log.append(6)
    log.fetch(3)

    async def away(*_: Any) -> Any:
        raise TimeoutError

    with patch.object(fingerprint, "younger", away):
        try:
            asyncio.run(log.witness.look(NOBODY, Cluster("nowhere")))
        except TimeoutError:
            assert log.look()[0], "the same is looked at"
        else:
            raise AssertionError("it was told as looked at")


def test_what_is_kept_between_two_looks_has_a_bound() -> None:
    log = Log()
    asked = 0

    async def counted(*_: Any) -> Any:
        nonlocal asked
        asked += 1
        return {}

    log.append(10 * MOST_KEPT)
    for _ in range(10 * MOST_KEPT):
        log.fetch(1)
    with patch.object(fingerprint, "younger", counted):
        asyncio.run(log.witness.look(NOBODY, Cluster("nowhere")))
    assert MOST_KEPT // 2 <= asked <= MOST_KEPT
