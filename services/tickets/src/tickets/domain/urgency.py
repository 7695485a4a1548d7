"""Urgency: severity is the impact of the incident, priority the conditions of the client (R5); derived, or chosen."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from shared.contract_choice import Choice, choose_contract
from shared.contracts.tickets import ImpactAnswers
from shared.errors import Invalid, Unavailable
from tickets.domain.contract import KnownContract
from tickets.domain.opening import Opening
from tickets.domain.scheme import Facts, Scheme, bounded


class ReasonMissing(Invalid):
    """Whoever chooses another urgency than the rules give says why; `derived` travels with it."""

    code = "reason-missing"
    title = "Another urgency needs a reason"


class NoScheme(Unavailable):
    """The defaults were never loaded: nothing says what follows from an impact."""

    code = "no-scheme"
    title = "No scheme of urgency is in force"


@dataclass(frozen=True, slots=True)
class Stated:
    """What the caller answered, and what is chosen in place of what follows; None chooses nothing."""

    impact: ImpactAnswers
    severity: int | None = None
    severity_reason: str | None = None
    priority: int | None = None
    priority_reason: str | None = None


@dataclass(frozen=True, slots=True)
class Urgency:
    """What a ticket keeps: what was derived, what is chosen, and why, where that differs. `severity_to_review`: level
    2 looks at it, because something was not known."""

    impact: ImpactAnswers
    severity: int
    severity_derived: int
    severity_reason: str | None
    severity_to_review: bool
    priority: int
    priority_derived: int
    priority_reason: str | None
    priority_rule: str
    urgency_scheme: str


def facts_of(
    tier: str, contracts: Iterable[KnownContract], product_id: str | None, kind: str, reported_at: datetime
) -> tuple[Facts, Choice[KnownContract]]:
    """What of a client decides the priority of a ticket, and the contract that it falls under."""
    choice = choose_contract(contracts, product_id, reported_at)
    contract = choice.contract
    facts = Facts(
        tier=tier,
        kind=kind,
        standing=choice.standing,
        contract_type=contract.contract_type if contract else None,
        promised_s1_seconds=contract.promised_s1_seconds if contract else None,
    )
    return facts, choice


def require_scheme(scheme: Scheme | None, at: datetime) -> Scheme:
    """The scheme that was in force. Raises NoScheme."""
    if scheme is None:
        raise NoScheme(f"no scheme of urgency is in force at {at.isoformat()}: run `migrate`, which loads the defaults")
    return scheme


def settle(scheme: Scheme, stated: Stated, facts: Facts) -> Urgency:
    """The urgency of a ticket. Raises ReasonMissing."""
    assessed = scheme.priority_of(facts)
    severity, severity_reason = _chosen(
        "severity", scheme.severity_of(stated.impact), stated.severity, stated.severity_reason
    )
    priority, priority_reason = _chosen("priority", assessed.priority, stated.priority, stated.priority_reason)
    return Urgency(
        impact=stated.impact,
        severity=severity,
        severity_derived=scheme.severity_of(stated.impact),
        severity_reason=severity_reason,
        severity_to_review=stated.impact.operational is None or stated.impact.economic is None,
        priority=priority,
        priority_derived=assessed.priority,
        priority_reason=priority_reason,
        priority_rule=assessed.rule.id,
        urgency_scheme=scheme.id,
    )


def reopened(opening: Opening, scheme: Scheme | None, times: int) -> Opening:
    """The urgency of a ticket that is reopened for the so-manieth time, by the scheme that judged it.

    What only this reopening brings about moves the derived priority, and the priority where none was chosen.
    """
    derived = opening.priority_derived
    if scheme is None or derived is None:
        return opening
    facts, before = (Facts(tier="", kind=opening.kind, standing="none", reopenings=each) for each in (times, times - 1))
    moves = sum(one.by for one in scheme.shifts if one.when.hold(facts) and not one.when.hold(before))
    moved = bounded(derived + moves)
    priority = moved if opening.priority_reason is None else opening.priority
    return replace(opening, priority_derived=moved, priority=priority)


def needs_immediate_attention(severity: int, priority: int) -> bool:
    """Priority 1 and severity 1: attended at once, and allowed past the analysts."""
    return severity == 1 and priority == 1


def _chosen(what: str, derived: int, chosen: int | None, reason: str | None) -> tuple[int, str | None]:
    """What holds, and the reason where it is not what was derived."""
    if chosen is None or chosen == derived:
        return derived, None
    if reason is None:
        raise ReasonMissing(
            f"the {what} that follows is {derived}: say in {what}_reason why it is {chosen}, or leave {what} out",
            derived=derived,
            field=f"{what}_reason",
        )
    return chosen, reason
