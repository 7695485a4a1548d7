"""The command that writes what follows from the registry: schemas and their earlier versions, AsyncAPI, the pages."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from shared.contracts import asyncapi, pages
from shared.contracts.documents import (
    EARLIER,
    EXAMPLES,
    SCHEMAS,
    all_schemas,
    earlier_versions,
    meaning,
    open_example_of,
    render,
)
from shared.contracts.open_copy import OPEN
from shared.contracts.topics import BY_TYPE, OPEN_COPIES

# Version 1 is promised from the first production (decision 0015). Until then a type that changes is written over, with
# all that it was; whoever ships the first production says True here, and every later change is kept and compared.
PROMISED = False

# The content of a committed file, None where it is not committed.
Committed = Callable[[Path], bytes | None]


class NoCheckout(Exception):
    """Nobody can say what was committed, so that everything that was kept would be taken for a draft."""

    def __init__(self, folder: Path) -> None:
        super().__init__(
            f"nothing was written: {folder} is in no git checkout, or git is not installed. Only the last commit says "
            "which earlier versions were promised: run `make contracts` in a git checkout."
        )


def last_commit(path: Path) -> bytes | None:
    """The file as the last commit has it: what only stands in the working tree is promised to nobody.

    Raises NoCheckout outside a git checkout.
    """
    shown = _git(path.parent, "show", f"HEAD:./{path.name}")
    if shown.returncode == 0:
        return shown.stdout
    if _git(path.parent, "rev-parse", "--is-inside-work-tree").returncode != 0:
        raise NoCheckout(path.parent)
    return None


def _git(folder: Path, *words: str) -> subprocess.CompletedProcess[bytes]:
    if shutil.which("git") is None:
        raise NoCheckout(folder)
    return subprocess.run(["git", "-c", "safe.directory=*", *words], cwd=folder, capture_output=True, check=False)


def refresh(
    schemas: Path = SCHEMAS, examples: Path = EXAMPLES, committed: Committed = last_commit, promised: bool = PROMISED
) -> list[str]:
    """Writes the schema of every type of the registry. Returns a line for each that changed.

    What differs in meaning from the last commit, and is promised, keeps that version with its example, so that the
    checks can hold every later one against it. A draft that was written since, and what was kept beside it, is written
    over.
    Raises NoCheckout, before it has written anything, where nobody knows the last commit.
    """
    told = []
    schemas.mkdir(parents=True, exist_ok=True)
    for type_name, schema in all_schemas().items():
        path, text = schemas / f"{type_name}.json", render(schema)
        for folder in (schemas, examples):
            _drop_drafts(folder, type_name, committed)
        before = committed(path)
        if before is None:
            said = "new"
        elif meaning(json.loads(before)) != meaning(schema) and not promised:
            said = "changed, and nothing of it was promised"
        elif meaning(json.loads(before)) != meaning(schema):
            kept = _keep(path, committed) and _keep(examples / path.name, committed)
            said = f"changed, the earlier version is kept as {kept}"
        else:
            said = "described anew"
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            told.append(f"{type_name}: {said}")
            path.write_text(text, encoding="utf-8")
    return told


def missing_examples(examples: Path = EXAMPLES) -> list[str]:
    """The types that have no example message yet: those are written by hand."""
    return [name for name in BY_TYPE if not (examples / f"{name}.json").exists()]


def derived() -> dict[Path, str]:
    """What is written anew each time, beside the schemas: examples of open copies, the AsyncAPI document and the pages.
    Needs every example."""
    copies = {
        EXAMPLES / f"{event.type}{OPEN}.json": render(open_example_of(event))
        for topic in OPEN_COPIES
        for event in topic.events
    }
    return {**copies, asyncapi.ASYNCAPI: asyncapi.text(), pages.INDEX: pages.index(), **pages.event_pages()}


def write_derived() -> None:
    """Writes them, and removes the pages of types that are no more."""
    documents = derived()
    for path, text in documents.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    for path in pages.PAGES.glob("*.md"):
        if path not in documents:
            path.unlink()


def _drop_drafts(folder: Path, type_name: str, committed: Committed) -> None:
    for path in earlier_versions(folder, type_name):
        if committed(path) is None:
            path.unlink()


def _keep(path: Path, committed: Committed) -> str:
    content = committed(path)
    if content is None:
        return "nothing"
    earlier = earlier_versions(path.parent, path.stem)
    number = int(earlier[-1].stem) + 1 if earlier else 1
    target = path.parent / EARLIER / path.stem / f"{number}.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content)
    return f"{EARLIER}/{path.stem}/{number}.json"


def main() -> int:
    """Refreshes schemas, document and pages; 1 when an example message is still to be written, and no page then, and
    outside a git checkout."""
    try:
        told = refresh()
    except NoCheckout as problem:
        sys.stderr.write(f"{problem}\n")
        return 1
    for line in told:
        sys.stdout.write(line + "\n")
    missing = missing_examples()
    for name in missing:
        sys.stdout.write(f"{name}: write an example message, examples/{name}.json\n")
    if not missing:
        write_derived()
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
