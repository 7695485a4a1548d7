"""Names the files that are near the limit of their length, so that nobody has to split one in the middle of other work.

`python -m tests.rules.near_limit`; it reports and never fails.
"""

from __future__ import annotations

from collections.abc import Iterable

from tests.rules.source import Module, modules_of_tests, product
from tests.rules.test_shape import LONGEST_FILE

NEAR = 370


def report(modules: Iterable[Module]) -> list[str]:
    """A line for each file of `NEAR` lines or more, the longest first."""
    lengths = [(len(module.text.splitlines()), module.path) for module in modules if not module.is_migration]
    return [
        f"{path}: {length} of {LONGEST_FILE} lines" for length, path in sorted(lengths, reverse=True) if length >= NEAR
    ]


if __name__ == "__main__":
    for line in report([*product(), *modules_of_tests()]):
        print(f"  near the limit: {line}")
