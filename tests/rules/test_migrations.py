"""A migration that changes what is stored is tried on rows as the release before wrote them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.rules.source import ROOT, SERVICES

_CHANGES_ROWS = re.compile(r"\bfill\(|\b(?:UPDATE|INSERT INTO|DELETE FROM)\s", re.IGNORECASE)


def changing(revisions: Iterable[Path]) -> list[str]:
    """The numbers of the revisions that change rows; the first of a history finds none."""
    found = {path.name[:4] for path in revisions if _CHANGES_ROWS.search(path.read_text(encoding="utf-8"))}
    return sorted(found - {"0001"})


@pytest.mark.parametrize("service", SERVICES)
def test_every_migration_of_data_is_tested(service: str) -> None:
    revisions = (ROOT / "services" / service / "src" / service / "migrations" / "versions").glob("[0-9]*.py")
    tests = ROOT / "tests" / service / "test_migrations.py"
    said = tests.read_text(encoding="utf-8") if tests.exists() else ""
    tried = set(re.findall(rf'carried_over\(\s*postgres_url, tmp_path, "{service}", "(\d+)"', said))
    assert [number for number in changing(revisions) if number not in tried] == []


def test_a_migration_of_data_is_seen(tmp_path: Path) -> None:
    texts = {
        "0001_tables": "UPDATE x SET a = 1",
        "0002_rounding": 'op.execute("update x set seconds = minutes * 60")',
        "0003_keys": 'fill("clients", "name_key", "name", key_of)',
        "0004_column": 'op.execute("ALTER TABLE x ADD COLUMN updated_at timestamptz")',
    }
    for name, text in texts.items():
        (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
    assert changing(tmp_path.glob("*.py")) == ["0002", "0003"]
