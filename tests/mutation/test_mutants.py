"""Whatever is changed in the arithmetic of business time, a test notices; what it cannot notice is explained."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mutation.mutants import Part, explained, unnoticed

# Half an hour for both, where nothing else runs.
KERNEL = Part(
    "kernel",
    members=("shared/src/shared",),
    modules=tuple(
        f"shared/business_time/{name}.py"
        for name in ("calendar", "index", "intervals", "open_time", "preview", "seconds", "timeline", "zones")
    ),
    tests=("tests/shared/business_time",),
    minutes=18,
)
CLOCKS = Part(
    "clocks",
    members=("shared/src/shared", "services/sla/src/sla"),
    modules=("sla/domain/clock.py", "sla/domain/fold.py"),
    tests=("tests/sla/domain",),
    minutes=12,
)


@pytest.mark.verify
@pytest.mark.timeout(1_500)
@pytest.mark.parametrize("part", [KERNEL, CLOCKS], ids=lambda part: part.name)
def test_every_change_is_noticed_or_explained(part: Part, tmp_path: Path) -> None:
    left, reasons = unnoticed(part, tmp_path), explained()
    noticed = [mutant for mutant in reasons if mutant not in left and part.has(mutant)]
    assert not noticed, f"survivors.toml explains what is noticed, or is no longer made: {noticed}"
    told = "\n".join(
        f"[[survivor]]  # {state}\nfunction = \"{mutant.function}\"\nwas = '{mutant.was}'\nnow = '{mutant.now}'\n"
        for mutant, state in left.items()
        if mutant not in reasons and state != "timeout"
    )
    assert not told, f"no test notices these; add one, or say in survivors.toml why nothing can:\n{told}"


def test_each_explanation_says_why() -> None:
    assert all(len(why) > 20 for why in explained().values())
