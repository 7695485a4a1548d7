"""The log output of one test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.shared.output import Output, written


@pytest.fixture
def output() -> Iterator[Output]:
    with written() as made:
        yield made
