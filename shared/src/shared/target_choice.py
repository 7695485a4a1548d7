"""Which rule of a contract holds for a ticket: the one rule, for what is promised and for how urgent its client is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from shared.contracts.sla import ClockKind, TargetRule
from shared.contracts.tickets import Priority, Severity, TicketBrief

# The scales of the two; their types say from where to where.
SEVERITIES = PRIORITIES = (1, 2, 3, 4)


@dataclass(frozen=True, slots=True)
class Judged:
    """What of a ticket its targets depend on; `product_id` and `module_id` are None where nobody could say them."""

    kind: str
    severity: Severity
    priority: Priority
    product_id: str | None = None
    module_id: str | None = None

    @classmethod
    def of(cls, ticket: TicketBrief) -> Judged:
        """What of a ticket its targets depend on, as its event tells it."""
        groups = ticket.groups
        return cls(ticket.kind, ticket.severity, ticket.priority, groups.product_id, groups.module_id)

    def __str__(self) -> str:
        named = [f"product {self.product_id}"] if self.product_id else []
        named += [f"module {self.module_id}"] if self.module_id else []
        return " ".join([self.kind, f"S{self.severity}", f"P{self.priority}", *named])


def is_for(rule: TargetRule, judged: Judged) -> bool:
    """Whether a rule is for such a ticket: what it names holds, and what it does not name may be anything."""
    return (
        (not rule.kinds or judged.kind in rule.kinds)
        and (not rule.product_ids or judged.product_id in rule.product_ids)
        and (not rule.module_ids or judged.module_id in rule.module_ids)
        and (not rule.severities or judged.severity in rule.severities)
        and (not rule.priorities or judged.priority in rule.priorities)
    )


def specificity(rule: TargetRule) -> tuple[bool, bool, bool, bool, bool]:
    """How narrow a rule is: one that names the module comes before any that does not, then the product, the kind, the
    severity, the priority."""
    return (
        bool(rule.module_ids),
        bool(rule.product_ids),
        bool(rule.kinds),
        bool(rule.severities),
        bool(rule.priorities),
    )


def matching(targets: Iterable[TargetRule], clock: ClockKind, judged: Judged) -> list[TargetRule]:
    """The rules of one clock that are for such a ticket, first the one that holds: the most specific, then in order."""
    found = [rule for rule in targets if rule.clock == clock and is_for(rule, judged)]
    return sorted(found, key=specificity, reverse=True)
