"""Waiting for something that another process or task will do."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


async def eventually(question: Callable[[], Awaitable[T]], *, within: float = 60, what: str = "") -> T:
    """Asks until the answer is true and returns it. Fails with the last answer when the seconds are over."""
    deadline = time.monotonic() + within
    while True:
        answer = await question()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within:g} s: {what or question!r}; last answer: {answer!r}")
        await asyncio.sleep(0.05)
