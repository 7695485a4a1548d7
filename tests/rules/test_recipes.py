"""The lists of services/README.md name tests and files that exist, for each service that may follow them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tests.rules.source import ROOT, SERVICES

README = ROOT / "services" / "README.md"
# A path, and where one service has it under another name: "`tests/<service>/a.py` (of tickets: `tests/tickets/b.py`)".
_PATH = re.compile(r"`((?:tests|shared)/[^`\s]+)`(?:\s+\(of\s+(\w+):)?")


def paths(text: str) -> Iterator[str]:
    """The paths that a text names, each for every service that it is said of."""
    for path, exempt in _PATH.findall(text):
        if "<service>" in path:
            yield from (path.replace("<service>", each) for each in SERVICES if each != exempt)
        elif "<owner>" not in path:
            yield path


def missing(text: str) -> list[str]:
    """The paths in a text that lead nowhere."""
    return [path for path in paths(text) if not (ROOT / path).exists()]


def test_the_lists_name_what_exists() -> None:
    text = README.read_text(encoding="utf-8")
    assert len(re.findall(r"^## A new ", text, re.MULTILINE)) == 4
    assert missing(text) == []


def test_a_path_that_leads_nowhere_is_seen() -> None:
    assert missing(
        "see `tests/rules/test_recipes.py` and `tests/rules/test_nothing.py`, `tests/<service>/test_api.py`"
    ) == ["tests/rules/test_nothing.py"]


def test_a_path_that_one_service_lacks_is_seen_and_one_that_it_has_by_another_name_is_none() -> None:
    assert missing("`tests/<service>/test_projections.py`, `tests/<service>/test_api.py`") == [
        f"tests/{service}/test_projections.py" for service in SERVICES if service != "tickets"
    ]
    named = "`tests/<service>/test_subscribers.py` (of tickets: `tests/tickets/test_projections.py`)"
    assert missing(named) == []
    assert missing(named.replace("test_projections", "test_nothing")) == ["tests/tickets/test_nothing.py"]
