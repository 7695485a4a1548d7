"""`make contracts`: what is promised is kept beside what replaces it; what is promised to nobody is written over."""

from __future__ import annotations

import shutil
import subprocess
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from shared.contracts import generate
from shared.contracts.documents import (
    EARLIER,
    EXAMPLES,
    HERE,
    SCHEMAS,
    all_schemas,
    earlier_versions,
    read_json,
    render,
)
from shared.contracts.generate import NoCheckout, refresh
from tests.contracts.changes import OPENED, changed
from tests.contracts.messages import committed

ALL = all_schemas()


def test_writing_the_schemas_again_changes_nothing(tmp_path: Path) -> None:
    def nothing(_: Path) -> None:
        """Nothing was ever committed."""

    assert len(refresh(tmp_path / "schemas", tmp_path / "examples", nothing)) == len(ALL)
    assert refresh(tmp_path / "schemas", tmp_path / "examples", nothing) == []
    assert committed(tmp_path / "schemas") == set(ALL)


class Folder:
    """A repository of its own, with the schema of the opened ticket as an earlier commit has it, and its example."""

    name = "desk.ticket.opened.v1"

    def __init__(self, root: Path, old: dict[str, Any]) -> None:
        self.root, self.schemas, self.examples = root, root / "schemas", root / "examples"
        self.git("init", "--quiet")
        refresh(self.schemas, self.examples)
        self.examples.mkdir()
        (self.examples / f"{self.name}.json").write_text('{"value": {}}', encoding="utf-8")
        self.write(old)
        self.commit()

    def git(self, *words: str) -> None:
        """Runs git as somebody."""
        who = ["-c", "user.name=test", "-c", "user.email=test@example.org", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", *who, *words], cwd=self.root, check=True, capture_output=True)

    def write(self, schema: dict[str, Any]) -> None:
        """A draft in the working tree."""
        (self.schemas / f"{self.name}.json").write_text(render(schema), encoding="utf-8")

    def commit(self) -> None:
        """Promises what stands there."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "-")

    def refresh(self, *, promised: bool = True) -> list[str]:
        """What `make contracts` says, by default from the first production on."""
        return refresh(self.schemas, self.examples, promised=promised)

    def kept(self) -> list[dict[str, Any]]:
        """The earlier versions."""
        return [read_json(path) for path in earlier_versions(self.schemas, self.name)]


def test_a_changed_schema_keeps_the_committed_version_and_that_versions_example(tmp_path: Path) -> None:
    old = changed("optional field removed")
    folder = Folder(tmp_path, old)
    (told,) = folder.refresh()
    assert told == "desk.ticket.opened.v1: changed, the earlier version is kept as earlier/desk.ticket.opened.v1/1.json"
    assert folder.kept() == [old]
    (kept_example,) = earlier_versions(folder.examples, folder.name)
    assert read_json(kept_example) == {"value": {}}
    assert folder.refresh() == []
    assert folder.kept() == [old], "saying it again keeps nothing twice"


def test_what_is_promised_to_nobody_is_written_over_and_not_kept(tmp_path: Path) -> None:
    folder = Folder(tmp_path, changed("field of a part removed"))
    assert folder.refresh(promised=False) == ["desk.ticket.opened.v1: changed, and nothing of it was promised"]
    assert read_json(folder.schemas / f"{folder.name}.json") == OPENED
    assert [path for path in everything_in(tmp_path / "schemas") if EARLIER in path.parts] == []
    assert [path.name for path in everything_in(folder.examples)] == [f"{folder.name}.json"]
    assert folder.refresh(promised=False) == []


def test_what_was_kept_of_a_draft_goes_where_nothing_is_promised(tmp_path: Path) -> None:
    folder = Folder(tmp_path, changed("optional field removed"))
    folder.refresh()
    assert len(folder.kept()) == 1
    folder.refresh(promised=False)
    assert folder.kept() == []


def test_nothing_is_kept_before_anything_is_promised() -> None:
    """Whoever promises version 1 begins with it: what was tried before binds nobody."""
    kept = [path for folder in (SCHEMAS, EXAMPLES) for path in (folder / EARLIER).glob("*/*.json")]
    assert generate.PROMISED or kept == []


def test_a_draft_is_no_promise(tmp_path: Path) -> None:
    old = changed("optional field removed")
    folder = Folder(tmp_path, old)
    for draft in ("other type", "wider range"):
        folder.write(changed(draft))
        folder.refresh()
    assert folder.kept() == [old], "what was thought of in between was promised to nobody"


def test_a_change_that_is_taken_back_keeps_nothing(tmp_path: Path) -> None:
    folder = Folder(tmp_path, OPENED)
    kept = folder.schemas / "earlier" / folder.name / "1.json"
    kept.parent.mkdir(parents=True)
    kept.write_text(render(OPENED), encoding="utf-8")
    folder.write(changed("optional field removed"))
    folder.refresh()
    assert folder.kept() == []


def test_what_was_kept_and_committed_stays(tmp_path: Path) -> None:
    folder = Folder(tmp_path, changed("optional field removed"))
    folder.refresh()
    folder.commit()
    folder.write(changed("optional field removed"))
    folder.refresh()
    assert len(folder.kept()) == 1


def everything_in(folder: Path) -> dict[Path, bytes]:
    """Every file below a folder, and what is in it."""
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("without", ["a repository", "git"])
def test_where_nobody_knows_what_was_committed_nothing_is_written_or_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, without: str
) -> None:
    """In an unpacked archive, or an image: all that was kept would look like a draft."""
    folder = Folder(tmp_path, changed("optional field removed"))
    folder.refresh()
    folder.commit()
    folder.write(changed("wider range"))
    if without == "git":
        monkeypatch.setenv("PATH", str(tmp_path / "nowhere"))
    else:
        shutil.rmtree(tmp_path / ".git")
        monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    before = everything_in(folder.root)
    with pytest.raises(NoCheckout, match=r"run `make contracts` in a git checkout"):
        folder.refresh()
    assert everything_in(folder.root) == before
    assert len(folder.kept()) == 1


def test_the_command_says_in_a_sentence_that_there_is_no_checkout(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    before = everything_in(HERE)
    assert generate.main() == 1
    assert capsys.readouterr().err.endswith("run `make contracts` in a git checkout.\n")
    assert everything_in(HERE) == before


def test_better_words_are_no_new_version(tmp_path: Path) -> None:
    old = deepcopy(OPENED)
    old["description"] = "An older description."
    old["properties"]["title"]["title"] = "Older"
    folder = Folder(tmp_path, old)
    assert folder.refresh() == ["desk.ticket.opened.v1: described anew"]
    assert folder.kept() == []
