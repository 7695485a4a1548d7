"""What a ticket begins with, and what goes with it when it is handed up."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from shared.contracts.tickets import CategoryAnswer, Channel, EnvironmentBrief, Groups, ImpactAnswers, Kind


@dataclass(frozen=True, slots=True)
class Opening:
    """What a representative registers, checked. `reported_late_reason` only for a late registration.

    `…_derived` is what followed by the scheme of urgency, `…_reason` says why another one was chosen. None for what was
    opened before impact was asked. `category` is None until somebody can say it.
    """

    kind: Kind
    groups: Groups
    installation_id: str | None
    severity: int
    severity_to_review: bool
    priority: int
    title: str
    description: str
    reporter: str | None
    channel: Channel
    reported_at: datetime
    reported_late_reason: str | None
    impact: ImpactAnswers
    severity_derived: int | None
    severity_reason: str | None
    priority_derived: int | None
    priority_reason: str | None
    priority_rule: str | None
    urgency_scheme: str | None
    category: str | None = None
    answers: tuple[CategoryAnswer, ...] = ()


@dataclass(frozen=True, slots=True)
class Handover:
    """What the desk knows beside the ticket when it hands it up, and the team into whose queue it goes."""

    environment: EnvironmentBrief | None
    resolution_due_at: datetime | None
    team: str | None = None
