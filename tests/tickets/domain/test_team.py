"""Level and target, lead and members, and patterns that could never fit."""

from __future__ import annotations

from typing import Any

import pytest

from tickets.domain.routing import Pattern
from tickets.domain.team import (
    LeadIsNoMember,
    LevelDoesNotFit,
    ModuleFacts,
    PatternNeverFits,
    check_lead,
    check_pattern,
    level_of,
)


@pytest.mark.parametrize(
    ("target", "level"),
    [("call-centre", 1), ("analysts", 2), ("functional-analysis", 3), ("development", 3), (None, None)],
)
def test_the_level_of_a_team_is_that_of_its_target(target: Any, level: int | None) -> None:
    assert level_of("equipo", None, target) == level_of("equipo", level, target) == level
    wrong = 2 if level != 2 else 1
    with pytest.raises(LevelDoesNotFit, match="leave the level out, or correct the target"):
        level_of("equipo", wrong, target)


def test_the_lead_is_a_member() -> None:
    check_lead("equipo", None, [])
    check_lead("equipo", "ana", ["ana"])
    with pytest.raises(LeadIsNoMember, match="ana leads it and is no member"):
        check_lead("equipo", "ana", ["bruno"])


def test_a_module_is_of_its_product_and_one_that_was_made_for_a_client_of_that_client() -> None:
    check_pattern("equipo", Pattern("molinos", "gestion", "balanza"), ModuleFacts("gestion", "molinos"))
    check_pattern("equipo", Pattern("aguero", None, "facturacion"), ModuleFacts("gestion", None))
    check_pattern("equipo", Pattern("aguero", "sueldos", None), None)
    with pytest.raises(PatternNeverFits, match="the module balanza is of the product gestion, not of sueldos"):
        check_pattern("equipo", Pattern(None, "sueldos", "balanza"), ModuleFacts("gestion", "molinos"))
    with pytest.raises(PatternNeverFits, match="of the client molinos, not of aguero"):
        check_pattern("equipo", Pattern("aguero", None, "balanza"), ModuleFacts("gestion", "molinos"))
