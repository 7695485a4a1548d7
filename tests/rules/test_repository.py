"""What the repository itself must and must not hold: packages, lock, addresses of the place where it was written."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.rules.source import FOLDERS, ROOT, committed_files

# Put together here, so that this file does not hold what it looks for.
PLACES = {
    name: re.compile("".join(parts), re.IGNORECASE)
    for name, parts in {
        "a package index": (r"https?://[\w.-]*", "pypi"),
        "a host of Python packages": ("python", r"hosted\.org"),
        "a host of Maven artefacts": (r"\brepo1?\.", "maven"),
        "a host of npm packages": ("registry", r"\.npm"),
        "a folder of one machine": (r"(?<![\w.])/", r"(work|home|root)/", r"\w"),
    }.items()
}
LARGEST_TEXT = 4_000_000


def places_in(text: str) -> list[str]:
    """What a text names that is nobody else's business."""
    return [f"{name}: {found.group()}" for name, pattern in PLACES.items() if (found := pattern.search(text))]


def problems_of_lock(text: str) -> list[str]:
    """What makes a lock file useless elsewhere: our own members, addresses, unpinned or unhashed packages."""
    told = [f"a member: {name}" for name in re.findall(r"^psa[-_.]desk[\w.-]*", text, re.MULTILINE)]
    told += [f"an address: {line}" for line in text.splitlines() if "://" in line]
    told += [
        f"a source: {line}"
        for line in text.splitlines()
        if re.match(r"\s*(--(extra-)?index|-i\b|--find-links|-e\b)", line)
    ]
    entries = re.split(r"\n(?=\S)", text.strip())
    told += [f"not pinned: {one.splitlines()[0]}" for one in entries if not one.startswith("#") and "==" not in one]
    told += [
        f"no hash: {one.splitlines()[0]}" for one in entries if not one.startswith("#") and "--hash=sha256:" not in one
    ]
    return told


def without_init(root: Path) -> list[str]:
    """The folders below a root, and the root itself, that are no packages."""
    folders = [root, *(path for path in root.rglob("*") if path.is_dir())]
    python = [one for one in folders if not any(part.startswith((".", "__")) for part in one.relative_to(root).parts)]
    # A folder of data alone (dumps, pages) is not imported and needs none; Alembic reads its revisions by their path.
    holding = [one for one in python if any(one.rglob("*.py")) and one.name != "versions"]
    return [str(one.relative_to(root)) for one in holding if not (one / "__init__.py").exists()]


def project(folder: Path) -> dict[str, Any]:
    """The pyproject.toml of a member."""
    return tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))


def test_the_repository_names_no_registry_and_no_folder_of_a_machine() -> None:
    told = []
    for path in committed_files():
        data = path.read_bytes()
        if b"\0" not in data[:8000] and len(data) < LARGEST_TEXT:
            told += [f"{path.relative_to(ROOT)}: {place}" for place in places_in(data.decode(errors="replace"))]
    assert not told, "\n".join(told)


@pytest.mark.parametrize(
    "text",
    [
        "index" + "-url = https://py" + "pi.org/sim" + "ple",
        "https://files.python" + "hosted.org/packages/x.whl",
        "https://repo1" + ".maven.org/maven2",
        "https://repo" + ".maven.apache.org/maven2",
        "https://registry" + ".npmjs.org/kafkajs",
        "data in /wo" + "rk/shared/data",
        'open("/ro' + 'ot/notes")',
    ],
)
def test_a_place_is_seen(text: str) -> None:
    assert places_in(text) != []


@pytest.mark.parametrize(
    "text", ["wo" + "rk/list", "app/home/page", "a package of Python", "https://example.com/wo" + "rk/1"]
)
def test_an_innocent_text_passes(text: str) -> None:
    assert places_in(text) == []


def test_the_lock_pins_and_hashes_everything_and_says_nothing_else() -> None:
    assert problems_of_lock((ROOT / "requirements.lock").read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "text",
    [
        "psa-desk-shared==0.1.0 \\\n    --hash=sha256:00\n",
        "--index" + "-url x\nuv==1 \\\n    --hash=sha256:00\n",
        "uv==1 \\\n    --hash=sha256:00\n# from https://example.com\n",
        "uv==1\n",
        "uv>=1 \\\n    --hash=sha256:00\n",
    ],
)
def test_a_spoilt_lock_is_seen(text: str) -> None:
    assert problems_of_lock(text) != []


def test_every_folder_of_the_tests_is_a_package() -> None:
    assert without_init(ROOT / "tests") == [], "without __init__.py, tests/shared would hide shared"


@pytest.mark.parametrize("member", FOLDERS)
def test_every_folder_of_a_member_is_a_package(member: str) -> None:
    assert without_init(FOLDERS[member] / "src" / member) == []


def test_a_folder_without_init_is_seen(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "__init__.py").touch()
    (tmp_path / "inner" / "test_api.py").touch()
    (tmp_path / "pages").mkdir()
    assert without_init(tmp_path) == ["inner"]


@pytest.mark.parametrize("member", FOLDERS)
def test_a_distribution_is_named_after_its_member(member: str) -> None:
    """PyPI has packages called shared, tickets, sla and inventory: ours must never be mistaken for them."""
    described = project(FOLDERS[member])
    assert described["project"]["name"] == f"psa-desk-{member}"
    assert described["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"] == [f"src/{member}"]


@pytest.mark.parametrize("member", FOLDERS)
def test_a_member_depends_on_no_other_member_than_shared(member: str) -> None:
    ours = {one for one in project(FOLDERS[member])["project"]["dependencies"] if one.startswith("psa-desk")}
    assert ours == (set() if member == "shared" else {"psa-desk-shared"})


def test_every_member_is_checked_by_every_tool() -> None:
    tools = project(ROOT)["tool"]
    sources = {str((folder / "src").relative_to(ROOT)) for folder in FOLDERS.values()}
    assert set(tools["mypy"]["files"]) == {*sources, "tests"}
    assert set(tools["importlinter"]["root_packages"]) == set(FOLDERS)
    (inside,) = [one for one in tools["importlinter"]["contracts"] if one.get("containers")]
    assert inside["exhaustive"] is True
    assert set(inside["containers"]) == set(FOLDERS) - {"shared", "runner"}


def test_continuous_integration_runs_the_test_command_and_nothing_else() -> None:
    lines = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    assert lines[-1] == "exec make test"
