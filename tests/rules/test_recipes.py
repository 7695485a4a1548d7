"""The lists of services/README.md name tests and files that exist."""

from __future__ import annotations

import re

from tests.rules.source import ROOT, SERVICES

README = ROOT / "services" / "README.md"


def missing(text: str) -> list[str]:
    """The paths in a text that lead nowhere, in whichever service."""
    found = re.findall(r"`((?:tests|shared)/[^`\s]+)`", text)
    return [
        path
        for path in found
        if "<owner>" not in path and not any((ROOT / path.replace("<service>", each)).exists() for each in SERVICES)
    ]


def test_the_lists_name_what_exists() -> None:
    text = README.read_text(encoding="utf-8")
    assert len(re.findall(r"^## A new ", text, re.MULTILINE)) == 4
    assert missing(text) == []


def test_a_path_that_leads_nowhere_is_seen() -> None:
    assert missing(
        "see `tests/rules/test_recipes.py` and `tests/rules/test_nothing.py`, `tests/<service>/test_api.py`"
    ) == ["tests/rules/test_nothing.py"]
