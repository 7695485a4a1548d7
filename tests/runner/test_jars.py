"""No jar is run that the committed lock does not name."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from runner.errors import JarTampered
from runner.jars import LOCK, SPECIFICATION, ensure_jars, read_lock
from runner.kafka import EmbeddedKafka
from tests.support.servers import CACHE


@pytest.fixture(scope="module")
def jars() -> list[Path]:
    return ensure_jars(CACHE)


@pytest.fixture
def cache(jars: list[Path], tmp_path: Path) -> Path:
    """A cache of this test's own with all that was fetched."""
    environment = jars[0].parents[1]
    copy = tmp_path / "cache" / environment.relative_to(CACHE.resolve())
    shutil.copytree(environment, copy)
    shutil.copytree(CACHE / "m2", tmp_path / "cache" / "m2")
    return tmp_path / "cache"


def _is_at(cache: Path, name: str) -> Path:
    return next(path for path in cache.glob("kafka/*/environment/*/*.jar") if path.name == name)


def test_the_lock_names_each_jar_with_its_digest_and_no_address() -> None:
    assert len(read_lock()) > 40
    assert all(len(jar.sha256) == 64 for jar in read_lock())
    assert not any("://" in path.read_text() for path in (LOCK, SPECIFICATION))


def test_a_tampered_jar_is_refused_by_its_name_and_nothing_is_started(cache: Path, tmp_path: Path) -> None:
    tampered = next(jar.file for jar in read_lock() if jar.file.startswith("kafka-clients"))
    with _is_at(cache, tampered).open("ab") as file:
        file.write(b"\0")
    broker = EmbeddedKafka(tmp_path / "kafka", cache)
    with pytest.raises(JarTampered, match=tampered):
        broker.start()
    assert broker.pid == 0
    assert not (tmp_path / "kafka" / "data").exists()


def test_a_jar_that_somebody_put_beside_the_others_is_not_loaded(cache: Path) -> None:
    beside = _is_at(cache, read_lock()[0].file).with_name("aaa-beside.jar")
    beside.write_bytes(b"PK")
    assert beside not in ensure_jars(cache)


def test_a_missing_jar_is_put_back_and_the_committed_lock_stays_as_it_is(cache: Path) -> None:
    lock = LOCK.read_bytes()
    missing = _is_at(cache, read_lock()[0].file)
    missing.unlink()
    assert missing in ensure_jars(cache)
    assert missing.exists()
    assert LOCK.read_bytes() == lock


def test_what_a_fetch_that_was_killed_left_is_not_taken_for_whole(cache: Path) -> None:
    """The last jar was being copied when the power went: all are there, and one is half of itself."""
    half = _is_at(cache, read_lock()[-1].file)
    (half.parents[2] / "unfinished").touch()
    content = half.read_bytes()
    half.unlink()
    half.write_bytes(content[: len(content) // 2])
    ensure_jars(cache)
    assert _is_at(cache, read_lock()[-1].file).read_bytes() == content
    assert not (half.parents[2] / "unfinished").exists()
