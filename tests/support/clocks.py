"""Clocks as hosts have them: wrong by a second or two, and set forward and back while people work."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest

# What readiness lets pass.
WRONG_BY_SECONDS = 1.9


def unsteady(monkeypatch: pytest.MonkeyPatch, seed: int = 7) -> None:
    """From now on every reading of this process's clock is wrong by another amount."""
    chance = random.Random(seed)

    def now() -> datetime:
        return datetime.now(UTC) + timedelta(seconds=chance.uniform(-WRONG_BY_SECONDS, WRONG_BY_SECONDS))

    monkeypatch.setattr("shared.clock.now", now)
