"""The state that events carry, with usual values and what a test wants otherwise."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from shared.contracts.devlink import TaskBrief
from shared.contracts.sla import ClockState, CountedIn
from shared.contracts.tickets import Groups, ImpactAnswers, TicketBrief

REPORTED_AT = datetime(2026, 11, 24, 13, 0, tzinfo=UTC)


# What an opening says of how its urgency came about, beside the brief.
JUDGED: dict[str, Any] = {
    "impact": ImpactAnswers(operational=2, economic=2),
    "severity_derived": 2,
    "priority_derived": 3,
    "priority_rule": "contrato-plata",
    "urgency_scheme": "de-fabrica",
}


def ticket_brief(*, client: str | None = "molinos", product: str | None = None, **changes: Any) -> TicketBrief:
    """A ticket that was just opened, at S2/P3; P1/S1 is immediate by itself."""
    usual: dict[str, Any] = {
        "number": "T-000042",
        "version": 1,
        "status": "new",
        "level": 1,
        "target": None,
        "team": None,
        "owner": "ana",
        "assignee": None,
        "groups": Groups(client_id=client, product_id=product),
        "installation_id": None,
        "kind": "incident",
        "severity": 2,
        "priority": 3,
        "reported_at": REPORTED_AT,
        "hold": None,
    }
    given = usual | changes
    given.setdefault("immediate", given["severity"] == 1 and given["priority"] == 1)
    return TicketBrief(**given)


def clock_state(clock_id: UUID, **changes: Any) -> ClockState:
    """A resolution clock that just started, with a day to run."""
    usual: dict[str, Any] = {
        "kind": "resolution",
        "cycle": 1,
        "course": "running",
        "outcome": "pending",
        "contract_id": None,
        "contract_version": 0,
        "target_seconds": 24 * 3600,
        "elapsed_seconds": 0,
        "started_at": REPORTED_AT,
        "since": REPORTED_AT,
        "due_at": None,
        "pause_reason": None,
        "warned_as": None,
        "breached_at": None,
        "would_have_been_at": None,
        "counted_in": (CountedIn(from_at=REPORTED_AT, calendar_id="24x7", calendar_version=1),),
    }
    return ClockState(clock_id=clock_id, **(usual | changes))


def task_brief(task_id: UUID, **changes: Any) -> TaskBrief:
    """A task that was just put on the board."""
    usual: dict[str, Any] = {
        "tracker": "board",
        "external_id": "17",
        "display_id": "DEV-17",
        "url": "http://board.example/DEV-17",
        "status": "new",
        "status_at": REPORTED_AT,
        "tracker_status": "new",
        "declined_reason": None,
        "fix_version": None,
    }
    return TaskBrief(task_id=task_id, **(usual | changes))
