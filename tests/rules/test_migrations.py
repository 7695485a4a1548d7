"""A migration that changes what is stored is tried on rows as the release before wrote them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.rules.source import ROOT, SERVICES
from tests.support.earlier import migrations_of

# A right to UPDATE (some columns) changes nothing.
_CHANGES_ROWS = re.compile(r'\b(?:UPDATE|INSERT INTO|DELETE FROM)\s+[\w"]', re.IGNORECASE)
# What a function will do one day is not what the revision does.
_BODY_OF_FUNCTION = re.compile(r"\$(\w*)\$.*?\$\1\$", re.DOTALL)
TESTS = {
    **{service: ROOT / "tests" / service / "test_migrations.py" for service in SERVICES},
    "runtime": ROOT / "tests" / "shared" / "db" / "test_runtime_migrations.py",
}


def revisions_of(service: str) -> list[Path]:
    """The files of a history, in their order."""
    return sorted((migrations_of(service) / "versions").glob("[0-9]*.py"))


def changing(revisions: Iterable[Path]) -> list[str]:
    """The numbers of the revisions that change rows; the first of a history finds none."""
    texts = {path.name[:4]: _BODY_OF_FUNCTION.sub("", path.read_text(encoding="utf-8")) for path in revisions}
    return [number for number in sorted(texts)[1:] if _CHANGES_ROWS.search(texts[number])]


@pytest.mark.parametrize("service", TESTS)
def test_every_migration_of_data_is_tested(service: str) -> None:
    tests = TESTS[service]
    said = tests.read_text(encoding="utf-8") if tests.exists() else ""
    tried = set(re.findall(rf'carried_over\(\s*postgres_url, tmp_path, "{service}", "(\d+)"', said))
    assert [number for number in changing(revisions_of(service)) if number not in tried] == []


def test_a_migration_of_data_is_seen(tmp_path: Path) -> None:
    texts = {
        "0001_tables": "UPDATE x SET a = 1",
        "0002_rounding": 'op.execute("update x set seconds = minutes * 60")',
        "0003_keys": 'op.execute("INSERT INTO x (name_key) SELECT lower(name) FROM y")',
        "0004_column": 'op.execute("ALTER TABLE x ADD COLUMN updated_at timestamptz")',
        "0005_function": 'op.execute("CREATE FUNCTION f() RETURNS void AS $$ BEGIN UPDATE x SET a = 1; END $$")',
        "0007_right": 'grant("UPDATE (until_offset)", "accepted_skips")',
        "0006_both": 'op.execute("CREATE FUNCTION f() AS $of$ DELETE FROM x $of$; DELETE FROM y ")',
    }
    for name, text in texts.items():
        (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
    assert changing(tmp_path.glob("*.py")) == ["0002", "0003", "0006"]


@pytest.mark.parametrize("service", TESTS)
def test_a_revision_is_named_by_its_history_and_its_number(service: str) -> None:
    """By the name alone `migrate` tells a database from before the history from one of a newer release."""
    for path in revisions_of(service):
        named = re.findall(r'^revision = "(\w+)"$', path.read_text(encoding="utf-8"), re.MULTILINE)
        assert named == [f"{service}_{path.name[:4]}"]


def test_the_runtime_s_own_history_is_looked_at() -> None:
    assert len(revisions_of("runtime")) >= 6
    assert all(revisions_of(service) for service in SERVICES)
