"""What of a contract this service goes by: how urgent its client is, and how long a settled ticket may come back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from shared.contracts.sla import TargetRule

# The type whose terms hold where no contract does.
NO_CONTRACT = "basico"
# The scale of `shared.contracts.tickets.Priority`.
_PRIORITIES = (1, 2, 3, 4)


@dataclass(frozen=True, slots=True)
class ClosingDays:
    """So many business days of a calendar after its resolution a ticket may come back, and closes by itself."""

    reporting_calendar: str
    reopen_days: int
    objection_days: int


@dataclass(frozen=True, slots=True)
class KnownContract:
    """A version of a contract as the replica has it. `promised_s1_seconds`: the promised resolution of severity 1."""

    id: str
    version: int
    effective_from: datetime
    contract_type: str
    valid_from: datetime
    valid_until: datetime | None
    promised_s1_seconds: int | None
    closing: ClosingDays
    product_ids: tuple[str, ...] = ()


def promised_s1_seconds(rules: Iterable[TargetRule]) -> int | None:
    """The least that is promised for the resolution of any incident of severity 1, in whichever calendar; else None.

    Of each priority the rule that its clock goes by (`shared.contracts.sla.Terms`): the most specific one, then the
    first. A rule for some products or modules promises nothing of the others.
    """
    general = [
        rule
        for rule in rules
        if rule.clock == "resolution"
        and not (rule.product_ids or rule.module_ids)
        and (not rule.kinds or "incident" in rule.kinds)
        and (not rule.severities or 1 in rule.severities)
    ]
    held = [_held(rule for rule in general if not rule.priorities or each in rule.priorities) for each in _PRIORITIES]
    return min((rule.seconds for rule in held if rule is not None), default=None)


def _held(rules: Iterable[TargetRule]) -> TargetRule | None:
    return max(rules, key=lambda rule: (bool(rule.kinds), bool(rule.severities), bool(rule.priorities)), default=None)
