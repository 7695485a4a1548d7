"""Urgency: severity is the impact of the incident, priority the conditions of the client (R5)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from shared.errors import Invalid

# Rows: who is stopped (1 the company … 4 nobody). Columns: what is lost (1 today … 4 nothing). Proposed to the customer
# as the default of its own scheme.
IMPACT_MATRIX: tuple[tuple[int, int, int, int], ...] = (
    (1, 1, 2, 2),
    (1, 2, 2, 3),
    (2, 3, 3, 4),
    (3, 3, 4, 4),
)

# "No sé" is an answer; it counts as this row and column.
UNKNOWN_IMPACT = 3

PRIORITY_OF_TYPE = {"platino": 1, "oro": 2, "plata": 3, "basico": 4}
LOWEST_PRIORITY = 4

# A contract that promises to resolve S1 within this many seconds makes its client the first priority.
PROMPT_RESOLUTION_SECONDS = 4 * 60 * 60


@dataclass(frozen=True, slots=True)
class Impact:
    """What the caller answered; None is "no sé". Both 1–4, 1 the worst."""

    operational: int | None
    economic: int | None

    @property
    def is_uncertain(self) -> bool:
        """Whether something was not known, so that level 2 must look at the severity."""
        return self.operational is None or self.economic is None


class UrgencyNotStated(Invalid):
    """The severity is either said, or follows from the impact."""

    code = "urgency-not-stated"
    title = "The urgency is not stated, or twice"


@dataclass(frozen=True, slots=True)
class KnownContract:
    """A contract as far as priority depends on it. `promised_s1_seconds` is the promised resolution of severity 1."""

    contract_type: str
    valid_from: datetime
    valid_until: datetime | None
    promised_s1_seconds: int | None

    def in_force_at(self, at: datetime) -> bool:
        """Whether the contract holds at that instant; the end is exclusive."""
        return self.valid_from <= at and (self.valid_until is None or at < self.valid_until)


def severity_of(impact: Impact) -> int:
    """The severity 1–4 that follows from the impact by the matrix."""
    row = impact.operational or UNKNOWN_IMPACT
    column = impact.economic or UNKNOWN_IMPACT
    return IMPACT_MATRIX[row - 1][column - 1]


def assess(severity: int | None, impact: Impact | None) -> tuple[int, bool]:
    """The severity, and whether level 2 must look at it because something was not known.

    Raises UrgencyNotStated unless exactly one of the two is given.
    """
    if severity is not None and impact is None:
        return severity, False
    if impact is not None and severity is None:
        return severity_of(impact), impact.is_uncertain
    raise UrgencyNotStated("send either severity (1-4) or impact (operational and economic), not both and not neither")


def priority_of(tier: str, contracts: Iterable[KnownContract], at: datetime) -> int:
    """The priority 1–4 of a client at an instant (the type of contract decides; its shifts come later).

    Without a contract in force it is the lowest, whatever the tier says. With one, the more urgent of the client's tier
    and what each contract in force asks for.
    """
    in_force = [contract for contract in contracts if contract.in_force_at(at)]
    if not in_force:
        return LOWEST_PRIORITY
    return min(PRIORITY_OF_TYPE.get(tier, LOWEST_PRIORITY), *(_priority_asked(contract) for contract in in_force))


def _priority_asked(contract: KnownContract) -> int:
    promised = contract.promised_s1_seconds
    if promised is not None and promised <= PROMPT_RESOLUTION_SECONDS:
        return 1
    return PRIORITY_OF_TYPE.get(contract.contract_type, LOWEST_PRIORITY)


def needs_immediate_attention(severity: int, priority: int) -> bool:
    """Priority 1 and severity 1: attended at once, and allowed past the analysts."""
    return severity == 1 and priority == 1
