"""Who a ticket may be handed up to: levels, targets, and the steps between them."""

from __future__ import annotations

from collections.abc import Mapping

from shared.contracts.tickets import Target
from shared.errors import Conflict

LEVEL_OF: Mapping[Target, int] = {"analysts": 2, "functional-analysis": 3, "development": 3}

# (where the ticket is, where it may go). None is the call centre. Development may be asked again: each time is an
# escalation of its own, with a task of its own.
STEPS: frozenset[tuple[Target | None, Target]] = frozenset(
    {
        (None, "analysts"),
        ("analysts", "functional-analysis"),
        ("analysts", "development"),
        ("functional-analysis", "development"),
        ("development", "functional-analysis"),
        ("development", "development"),
    }
)

# Past the analysts, for whoever may skip them.
SKIPS: frozenset[tuple[Target | None, Target]] = frozenset({(None, "functional-analysis"), (None, "development")})


class LevelSkipped(Conflict):
    """From level 1 a ticket goes to the analysts first."""

    code = "level-skipped"
    title = "The analysts come first"


class NotAStep(Conflict):
    """The ticket is already there, or would go down."""

    code = "not-an-escalation"
    title = "This is not a step up"


def check_step(number: str, at: Target | None, to: Target, *, may_skip: bool) -> None:
    """Checks one escalation. `may_skip`: the ticket is P1/S1, or a supervisor asks.

    Raises LevelSkipped or NotAStep.
    """
    if (at, to) in STEPS or (may_skip and (at, to) in SKIPS):
        return
    if (at, to) in SKIPS:
        raise LevelSkipped(
            f"{number} is at level 1: escalate it to analysts first; only P1/S1, or a supervisor, goes straight to {to}"
        )
    possible = sorted({step[1] for step in STEPS if step[0] == at})
    raise NotAStep(f"{number} is with {at}, it cannot be escalated to {to}; possible: {', '.join(possible)}")
