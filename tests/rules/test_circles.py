"""No two files need each other, however late one of them is imported: each is read after those below it."""

from __future__ import annotations

from collections.abc import Iterable
from graphlib import CycleError, TopologicalSorter

from tests.rules.source import Module, imports, product, snippet


def circle_of(modules: Iterable[Module]) -> list[str]:
    """The modules of one circle, the first once more at its end; nothing where there is none.

    What only type checkers import, and what a function imports, counts: a reader follows it all the same.
    """
    known = {module.name: module for module in modules}
    needs = {
        name: {found for _, of in imports(module) if (found := _home(of, known)) != name}
        for name, module in known.items()
    }
    try:
        TopologicalSorter({name: found - {""} for name, found in needs.items()}).prepare()
    except CycleError as error:
        return [str(name) for name in error.args[1]]
    return []


def _home(name: str, known: dict[str, Module]) -> str:
    """The module in which an imported name stands: `a.b` of `a.b.c` where c is no module."""
    while name and name not in known:
        name = name.rpartition(".")[0]
    return name


def test_no_two_files_need_each_other() -> None:
    assert circle_of(product()) == []


def test_a_circle_is_seen_however_it_is_hidden() -> None:
    typed = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from shared.db.engine import Engine"
    late = "def begin():\n    from shared.db import engine"
    for text in (typed, late, "import shared.db.engine", "from shared.db.engine import make_engine"):
        circle = circle_of(
            [
                snippet("shared.db.transaction", text),
                snippet("shared.db.engine", "from shared.db.transaction import Row"),
            ]
        )
        assert set(circle) == {"shared.db.transaction", "shared.db.engine"}


def test_a_line_of_files_is_no_circle() -> None:
    assert (
        circle_of(
            [snippet("a.b", "from a.c import d\nimport os"), snippet("a.c", "from a import e"), snippet("a.e", "")]
        )
        == []
    )
