"""What of a contract this service goes by: how urgent its client is, and how long a settled ticket may come back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from shared.contracts.sla import TargetRule
from shared.target_choice import PRIORITIES, Judged, matching

# The type whose terms hold where no contract does.
NO_CONTRACT = "basico"


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

    A rule for some products or modules promises nothing of the others.
    """
    rules = list(rules)
    of_each = [matching(rules, "resolution", Judged("incident", 1, priority)) for priority in PRIORITIES]
    return min((held[0].seconds for held in of_each if held), default=None)
