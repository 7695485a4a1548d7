"""The comparison of two clocks: what differs is told, and what only the way takes is not."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from shared import clock
from shared.db.server_clock import MOST_SECONDS_APART, ClocksApart, require_same_time
from shared.db.transaction import Reader
from tests.support.databases import Database

Make = Callable[[str], Awaitable[Database]]
MORE, LESS = MOST_SECONDS_APART + 0.5, MOST_SECONDS_APART - 0.5


@pytest.mark.parametrize(
    ("ahead", "told"), [(0, None), (LESS, None), (-LESS, None), (MORE, "ahead"), (-MORE, "behind")]
)
async def test_clocks_that_differ_too_much_are_told(
    database: Make, monkeypatch: pytest.MonkeyPatch, ahead: float, told: str | None
) -> None:
    db = await database("runtime")
    async with db.engine.connect() as connection:
        monkeypatch.setattr("shared.clock._WRONG_BY", (timedelta(seconds=ahead),))
        if told is None:
            await require_same_time(connection)
            return
        with pytest.raises(ClocksApart, match=told):
            await require_same_time(connection)


async def test_a_slow_answer_is_no_wrong_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    instants = [clock.now() - timedelta(seconds=20), clock.now() + timedelta(seconds=20)]

    class Slow(Reader):
        """It answers with an instant between asking and answering, and took forty seconds."""

        async def fetch_value(self, *_: Any) -> Any:
            return instants[1] - timedelta(seconds=1)

    now = iter(instants)
    monkeypatch.setattr("shared.clock.now", lambda: next(now))
    await require_same_time(Slow(None))
