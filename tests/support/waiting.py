"""Waiting for another process, for tests without an event loop."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_until(question: Callable[[], T], within: float = 20) -> T:
    """Asks until the answer is true and returns it. Fails with the last answer when the seconds are over."""
    deadline = time.monotonic() + within
    while not (answer := question()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within:g} s; last answer: {answer!r}")
        time.sleep(0.05)
    return answer
