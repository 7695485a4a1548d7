"""The picture of a ticket's states, drawn from the table of actions."""

from __future__ import annotations

from tickets.domain.workflow import ENDED, RULES, STATUSES, Action


def state_picture() -> str:
    """The states and what leads from one to another, as a Mermaid diagram; what leaves a ticket where it is, is not."""
    arrows = [f"{start} --> {end}: {', '.join(_between(start, end))}" for start in STATUSES for end in STATUSES]
    drawn = [arrow for arrow in arrows if not arrow.endswith(": ")]
    ends = [f"{status} --> [*]" for status in ENDED]
    return "\n    ".join(["stateDiagram-v2", "[*] --> new: open", *drawn, *ends])


def _between(start: str, end: str) -> list[Action]:
    if start == end:
        return []
    return [rule.action for rule in RULES.values() if (start, end) in rule.leads.items()]
