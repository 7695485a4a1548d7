"""Targets: what is promised for each severity, in seconds."""

from __future__ import annotations

from collections.abc import Iterable

from shared.contracts.sla import ClockKind, PromisedTarget
from shared.errors import Invalid

SEVERITIES = (1, 2, 3, 4)

Targets = tuple[PromisedTarget, ...]


class IncompleteTargets(Invalid):
    """A severity without a target, or with two: a ticket of it would have no clock, or two truths."""

    code = "incomplete-targets"
    title = "The targets are not complete"


class ResponseAfterResolution(Invalid):
    """A first response that may come later than the resolution promises nothing."""

    code = "response-after-resolution"
    title = "The first response is promised later than the resolution"


def complete_targets(targets: Iterable[PromisedTarget]) -> Targets:
    """The targets ordered by severity, S1 first.

    Raises IncompleteTargets unless each severity has exactly one, ResponseAfterResolution where response > resolution.
    """
    ordered = tuple(sorted(targets, key=lambda target: target.severity))
    found = [target.severity for target in ordered]
    if found != list(SEVERITIES):
        raise IncompleteTargets(_what_is_wrong(found))
    for target in ordered:
        if target.response_seconds > target.resolution_seconds:
            raise ResponseAfterResolution(
                f"S{target.severity} promises the first response in {target.response_seconds} s and the resolution in "
                f"{target.resolution_seconds} s: give the response at most as long as the resolution."
            )
    return ordered


def seconds_for(targets: Targets, clock: ClockKind, kind: str, severity: int) -> int:
    """The target of one clock in seconds. A question has the targets of S4, whatever it was registered as."""
    target = targets[SEVERITIES.index(4 if kind == "question" else severity)]
    return target.response_seconds if clock == "response" else target.resolution_seconds


def _what_is_wrong(found: list[int]) -> str:
    missing = [f"S{severity}" for severity in SEVERITIES if severity not in found]
    doubled = [f"S{severity}" for severity in SEVERITIES if found.count(severity) > 1]
    problems = [f"{name} has no target" for name in missing] + [f"{name} has more than one" for name in doubled]
    return f"{', '.join(problems)}: give exactly one target for each of S1, S2, S3 and S4."
