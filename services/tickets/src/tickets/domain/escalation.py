"""Who a ticket may be handed up to: levels, targets, and the steps between them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from shared.contracts.tickets import Target
from shared.errors import Conflict, Forbidden

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


@dataclass(frozen=True, slots=True)
class Reach:
    """How far somebody may hand a ticket up beyond the analysts: to the third level, and past the analysts."""

    derive: bool = False
    skip_level: bool = False


ANALYSTS = Reach()
EVERYWHERE = Reach(derive=True, skip_level=True)


class NotYoursToDerive(Forbidden):
    """The third level is asked by analysts; `permission` travels with it."""

    code = "permission-missing"
    title = "A permission is missing"


class LevelSkipped(Conflict):
    """From level 1 a ticket goes to the analysts first."""

    code = "level-skipped"
    title = "The analysts come first"


class NotAStep(Conflict):
    """The ticket is already there, or would go down."""

    code = "not-an-escalation"
    title = "This is not a step up"


def check_step(number: str, at: Target | None, to: Target, reach: Reach) -> None:
    """Checks one escalation by somebody of this reach. Raises LevelSkipped, NotAStep or NotYoursToDerive."""
    if (at, to) in SKIPS and not reach.skip_level:
        raise LevelSkipped(
            f"{number} is at level 1: escalate it to analysts first; only P1/S1 or a supervisor goes straight to {to}",
            permission="ticket:skip-level",
        )
    if (at, to) not in STEPS | SKIPS:
        possible = sorted({step[1] for step in STEPS if step[0] == at})
        raise NotAStep(f"{number} is with {at}, it cannot be escalated to {to}; possible: {', '.join(possible)}")
    if LEVEL_OF[to] == 3 and not reach.derive:
        raise NotYoursToDerive(
            f"Handing {number} to {to} needs the permission ticket:derive, since it is no P1/S1: ask an analyst.",
            permission="ticket:derive",
        )


def check_any_step(number: str, at: Target | None, reach: Reach) -> None:
    """Checks that somebody of this reach may hand it up at all. Raises NotYoursToDerive.

    The next step from the call centre is the analysts, and Development is one from everywhere else.
    """
    check_step(number, at, "analysts" if at is None else "development", reach)


def reach_of(permitted: Collection[str]) -> Reach:
    """How far somebody with these permissions may hand a ticket up."""
    return Reach(derive="ticket:derive" in permitted, skip_level="ticket:skip-level" in permitted)
