"""Targets: the rule that holds for a ticket, and whether the rules say something for every ticket."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import get_args

from shared.business_time.open_time import OpenTime
from shared.business_time.seconds import instant
from shared.contracts.sla import ClockKind, TargetRule
from shared.contracts.tickets import Kind
from shared.errors import Invalid
from shared.target_choice import PRIORITIES, SEVERITIES, Judged, matching

CLOCKS: tuple[ClockKind, ...] = get_args(ClockKind)
KINDS: tuple[str, ...] = get_args(Kind)

# So far ahead two calendars are compared.
COMPARED_SECONDS = 366 * 24 * 60 * 60
_MOST_NAMED = 4
# So many are told apart by their product and module at most: each of them is compared.
_MOST_TOLD_APART = 400

Targets = tuple[TargetRule, ...]
# What each calendar that is in force counts, by its id.
Hours = Mapping[str, OpenTime]


class IncompleteTargets(Invalid):
    """A ticket for which no rule is would have no clock."""

    code = "incomplete-targets"
    title = "The targets are not complete"


class ResponseAfterResolution(Invalid):
    """A first response that may come later than the resolution promises nothing."""

    code = "response-after-resolution"
    title = "The first response is promised later than the resolution"


class TooManyToldApart(Invalid):
    """Rules that nobody can look through promise what nobody has read."""

    code = "too-many-told-apart"
    title = "The rules tell too many products and modules apart"


class UnknownCalendar(Invalid):
    """What is counted in no calendar would never be due."""

    code = "unknown-calendar"
    title = "There is no calendar of this id that counts"


def rule_for(targets: Iterable[TargetRule], clock: ClockKind, judged: Judged) -> TargetRule:
    """The rule that holds. Raises IncompleteTargets where there is none."""
    found = matching(targets, clock, judged)
    if not found:
        raise IncompleteTargets(f"No target of the {clock} clock is for {judged}: add a rule that is.")
    return found[0]


def check_targets(targets: Targets, hours: Hours, start: int) -> None:
    """Refuses rules that leave a ticket without a target, name no calendar that counts, or promise a response later
    than the resolution; calendars are compared from the second `start` on for a year.

    Raises IncompleteTargets, UnknownCalendar, ResponseAfterResolution, TooManyToldApart.
    """
    for calendar_id in {rule.calendar_id: None for rule in targets}:
        require_calendar(calendar_id, hours)
    _check_complete(targets)
    _check_order(targets, hours, start)


def require_calendar(calendar_id: str, hours: Hours) -> None:
    """Raises UnknownCalendar unless a version of the calendar counts."""
    if calendar_id not in hours:
        known = ", ".join(sorted(hours)) or "none so far"
        raise UnknownCalendar(
            f"No version of a calendar {calendar_id} counts: activate one first, or name one of those that count: "
            f"{known}."
        )


def _check_complete(targets: Targets) -> None:
    for clock in CLOCKS:
        missing = [judged for judged in _plain() if not matching(targets, clock, judged)]
        if missing:
            named = ", ".join(map(str, missing[:_MOST_NAMED]))
            more = f" and {len(missing) - _MOST_NAMED} more" if len(missing) > _MOST_NAMED else ""
            raise IncompleteTargets(
                f"The {clock} clock has no target for {named}{more}: add rules that name no product and no module for "
                "them."
            )


def _check_order(targets: Targets, hours: Hours, start: int) -> None:
    compared: set[tuple[int, str, int, str]] = set()
    for judged, rules in _named(targets):
        response, resolution = (rule_for(rules, clock, judged) for clock in ("response", "resolution"))
        pair = (response.seconds, response.calendar_id, resolution.seconds, resolution.calendar_id)
        if pair not in compared and (too_late := _too_late(response, resolution, hours, start)) is not None:
            raise ResponseAfterResolution(
                f"For {judged} the first response is due after {response.seconds} s of {response.calendar_id} and the "
                f"resolution after {resolution.seconds} s of {resolution.calendar_id}: {too_late}. Give the response "
                "at most as long as the resolution."
            )
        compared.add(pair)


def _too_late(response: TargetRule, resolution: TargetRule, hours: Hours, start: int) -> str | None:
    """Why a response may be due after the resolution; None where it never is."""
    if response.calendar_id == resolution.calendar_id:
        return "that is longer" if response.seconds > resolution.seconds else None
    sooner, later = hours[response.calendar_id], hours[resolution.calendar_id]
    for reported in _starts([(sooner, response.seconds), (later, resolution.seconds)], start):
        first, then = sooner.add(reported, response.seconds), later.add(reported, resolution.seconds)
        if first > then:
            return f"what is reported at {instant(reported).isoformat()} would be resolved {first - then} s earlier"
    return None


def _starts(counted: Sequence[tuple[OpenTime, int]], start: int) -> Iterator[int]:
    """Where the distance between two dues may change: at an edge of either calendar, where a due lies at one, and right
    after. Between two of these both dues stand, or both move on with the report, or one of them does."""
    end = start + COMPARED_SECONDS
    for hours, seconds in counted:
        for stretch in hours.stretches(start, end):
            for at in (stretch.start, hours.add(stretch.start, -seconds)):
                yield from (at, at + 1)


def _plain() -> Iterator[Judged]:
    for kind, severity, priority in product(KINDS, SEVERITIES, PRIORITIES):
        yield Judged(kind, severity, priority)


def _named(targets: Targets) -> Iterator[tuple[Judged, Targets]]:
    """Every ticket that the rules tell apart, also by the products and modules that they name, with those of its."""
    products = [None, *_told_apart([rule.product_ids for rule in targets])]
    modules = [None, *_told_apart([rule.module_ids for rule in targets])]
    if len(products) * len(modules) > _MOST_TOLD_APART:
        raise TooManyToldApart(
            f"The rules tell {len(products) - 1} groups of products and {len(modules) - 1} of modules apart: put those "
            "that are promised the same into one rule."
        )
    for product_id, module_id in product(products, modules):
        rules = tuple(
            rule
            for rule in targets
            if (not rule.product_ids or product_id in rule.product_ids)
            and (not rule.module_ids or module_id in rule.module_ids)
        )
        for one in _plain():
            yield replace(one, product_id=product_id, module_id=module_id), rules


def _told_apart(named: Sequence[tuple[str, ...]]) -> list[str]:
    """Of everything that is named one of each that the same rules name."""
    by_rules: dict[tuple[int, ...], str] = {}
    for each in sorted({one for names in named for one in names}):
        by_rules.setdefault(tuple(number for number, names in enumerate(named) if each in names), each)
    return list(by_rules.values())
