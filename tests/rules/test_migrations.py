"""A migration that changes what is stored is tried on rows as the release before wrote them, and locks tables last."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from tests.rules.source import ROOT, SERVICES, called
from tests.support.earlier import migrations_of

# A right to UPDATE (some columns) changes nothing.
_CHANGES_ROWS = re.compile(r'\bfill\(|\b(?:UPDATE|INSERT INTO|DELETE FROM)\s+[\w"]', re.IGNORECASE)
# What a function will do one day is not what the revision does.
_BODY_OF_FUNCTION = re.compile(r"\$(\w*)\$.*?\$\1\$", re.DOTALL)
# Nobody else may even read the table until the migration is committed.
_TAKES_ALONE = re.compile(
    r"\s*(?:ALTER TABLE|DROP (?:TABLE|INDEX)|LOCK TABLE|TRUNCATE)\s+(?:\w+\.)?(\w+)", re.IGNORECASE
)
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
    return sorted(number for number, text in texts.items() if _CHANGES_ROWS.search(text) and number != "0001")


def filled_behind_a_lock(source: str) -> Iterator[str]:
    """The tables that a revision fills, which may take minutes, while it has another one for itself."""
    alone: list[str] = []
    for call in (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call) and node.args):
        first = call.args[0]
        said = first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else ""
        if called(call) == "op.execute" and (found := _TAKES_ALONE.match(said)):
            alone.append(found[1])
        elif called(call) == "fill" and any(taken != said for taken in alone):
            yield said


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
        "0003_keys": 'fill("clients", "name_key", "name", key_of)',
        "0004_column": 'op.execute("ALTER TABLE x ADD COLUMN updated_at timestamptz")',
        "0005_function": 'op.execute("CREATE FUNCTION f() RETURNS void AS $$ BEGIN UPDATE x SET a = 1; END $$")',
        "0007_right": 'grant("UPDATE (until_offset)", "accepted_skips")',
        "0006_both": 'op.execute("CREATE FUNCTION f() AS $of$ DELETE FROM x $of$; DELETE FROM y ")',
    }
    for name, text in texts.items():
        (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
    assert changing(tmp_path.glob("*.py")) == ["0002", "0003", "0006"]


def test_the_runtime_s_own_history_is_looked_at() -> None:
    assert len(revisions_of("runtime")) >= 6
    assert all(revisions_of(service) for service in SERVICES)


@pytest.mark.parametrize("service", TESTS)
def test_a_migration_does_what_takes_long_before_it_takes_a_table_for_itself(service: str) -> None:
    found = {path.name: list(filled_behind_a_lock(path.read_text(encoding="utf-8"))) for path in revisions_of(service)}
    assert {name: tables for name, tables in found.items() if tables} == {}


def test_what_is_filled_behind_a_lock_is_seen() -> None:
    locked = 'op.execute("ALTER TABLE s.clients ADD COLUMN tax_key text")\n'
    assert list(filled_behind_a_lock(locked + 'fill("tickets", "title_key", "title", key)')) == ["tickets"]
    assert list(filled_behind_a_lock('op.execute("DROP INDEX s.i")\nfill("tickets", "k", "t", key)')) == ["tickets"]
    # A column that is new is filled where it was added: whoever has the table for itself has it for that.
    assert list(filled_behind_a_lock(locked + 'fill("clients", "tax_key", "tax_id", key)')) == []
    assert list(filled_behind_a_lock('fill("tickets", "k", "t", key)\n' + locked)) == []
