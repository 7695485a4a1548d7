"""One system for all journeys of a module that do it no lasting harm."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.system import System


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory, postgres_url: str, kafka_bootstrap: str) -> Iterator[System]:
    """The whole product, every part a process."""
    with System(tmp_path_factory.mktemp("system"), postgres_url, kafka_bootstrap) as started:
        yield started
