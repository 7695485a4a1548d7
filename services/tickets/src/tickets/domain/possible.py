"""What one caller may do to a ticket now, and why not: the same rules that the actions themselves obey."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from shared.contracts.tickets import Status, Target
from shared.errors import Conflict, Forbidden
from tickets.domain.closing import require_reopenable
from tickets.domain.completing import Naming, require_incomplete
from tickets.domain.escalation import EVERYWHERE, Reach, check_any_step, reach_of
from tickets.domain.workflow import RULES, Action, Rule, status_after


@dataclass(frozen=True, slots=True)
class Standing:
    """What of a ticket decides which actions it knows, at an instant."""

    number: str
    status: Status
    level: int
    target: Target | None
    immediate: bool
    reopenable_until: datetime | None
    now: datetime
    named: Naming


@dataclass(frozen=True, slots=True)
class Possible:
    """An action for one caller: allowed, or the problem that it would meet, with what to do."""

    action: Action
    allowed: bool
    code: str | None = None
    problem: str | None = None


def possibilities(ticket: Standing, permitted: Collection[str]) -> list[Possible]:
    """Every action for a caller with these permissions."""
    return [_possibility(ticket, rule, permitted) for rule in RULES.values()]


def _possibility(ticket: Standing, rule: Rule, permitted: Collection[str]) -> Possible:
    # As the door does: who may not is told so before the ticket is looked at.
    if rule.may not in permitted:
        return Possible(rule.action, False, "permission-missing", f"this needs the permission {rule.may}")
    try:
        status_after(ticket.number, ticket.status, ticket.level, rule.action)
        if rule.action == "complete":
            require_incomplete(ticket.number, ticket.named)
        if rule.action == "reopen":
            require_reopenable(ticket.number, ticket.reopenable_until, ticket.now)
        if rule.action == "escalate":
            check_any_step(ticket.number, ticket.target, _reach(ticket, permitted))
    except (Conflict, Forbidden) as problem:
        return Possible(rule.action, False, problem.code, problem.message)
    return Possible(rule.action, True)


def _reach(ticket: Standing, permitted: Collection[str]) -> Reach:
    return EVERYWHERE if ticket.immediate else reach_of(permitted)
