"""Contracts: what a client is promised, since when, for which of its products, and by which version of its type."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime

from shared.business_time.known import CalendarName
from shared.contracts.sla import (
    ClockKind,
    ContractRecorded,
    ContractType,
    ContractTypeRecorded,
    ContractVersion,
    TargetRule,
    Terms,
    Threshold,
)
from shared.contracts.tickets import HoldReason
from shared.errors import Conflict, Invalid, Unavailable
from shared.target_choice import Judged
from sla.domain.clock import Terms as ClockTerms
from sla.domain.clock import share
from sla.domain.target import Hours, Targets, check_targets, require_calendar, rule_for

# Clients without a contract in force get the terms of this type.
DEFAULT_TYPE: ContractType = "basico"

_MINUTES_BEFORE = "min before"


class ContractEndsBeforeItBegins(Invalid):
    """The end of a contract must lie after its beginning."""

    code = "contract-ends-before-it-begins"
    title = "The contract ends before it begins"


class BadWarnings(Invalid):
    """Warnings are shares of the target below the whole, or minutes that every target has; each once."""

    code = "bad-warnings"
    title = "The warnings make no sense"


class ContractOfAnotherClient(Conflict):
    """A contract stays with the client for which it was signed."""

    code = "contract-of-another-client"
    title = "The contract belongs to another client"


class NoDefaultTargets(Unavailable):
    """The type that clients without a contract fall under was never recorded."""

    code = "no-default-targets"
    title = "The default targets are missing"


@dataclass(frozen=True, slots=True)
class Warnings:
    """Where each clock warns, as the contract says it: `50%` of the target, or `30min before` it has run out."""

    response: tuple[str, ...]
    resolution: tuple[str, ...]

    def of(self, clock: ClockKind) -> tuple[str, ...]:
        """What is said of one clock."""
        return self.response if clock == "response" else self.resolution

    def thresholds(self, clock: ClockKind, target_seconds: int) -> tuple[Threshold, ...]:
        """The thresholds of one clock on the way to its target, ascending."""
        found = [_threshold(said_as, target_seconds) for said_as in self.of(clock)]
        return tuple(sorted(found, key=lambda one: (one.seconds, one.said_as)))


@dataclass(frozen=True, slots=True)
class Promises:
    """What is promised, whole."""

    targets: Targets
    pausing_holds: tuple[HoldReason, ...]
    warnings: Warnings
    reporting_calendar: str
    reopen_days: int
    objection_days: int
    currency: str

    def rule_of(self, clock: ClockKind, judged: Judged) -> TargetRule:
        """The rule that holds for one clock of one ticket. Raises IncompleteTargets where there is none."""
        return rule_for(self.targets, clock, judged)

    def terms_of(self, rule: TargetRule, calendar_version: int) -> ClockTerms:
        """What a clock measures against under a rule, in the version of its calendar that holds when it starts.

        First response never pauses, whatever is said of holds.
        """
        clock: ClockKind = "response" if rule.clock == "response" else "resolution"
        return ClockTerms(
            kind=clock,
            target_seconds=rule.seconds,
            pausing_holds=frozenset() if clock == "response" else frozenset(self.pausing_holds),
            thresholds=self.warnings.thresholds(clock, rule.seconds),
            calendar=CalendarName(rule.calendar_id, calendar_version),
        )

    def terms(self) -> Terms:
        """The promises as they are told: who warns whom is nobody else's business, and money travels elsewhere."""
        return Terms(
            targets=self.targets,
            pausing_holds=self.pausing_holds,
            reporting_calendar=self.reporting_calendar,
            reopen_days=self.reopen_days,
            objection_days=self.objection_days,
        )


@dataclass(frozen=True, slots=True)
class Differences:
    """What a contract says itself; None and no rules are what its type says."""

    targets: Targets = ()
    pausing_holds: tuple[HoldReason, ...] | None = None
    warnings: Warnings | None = None
    reporting_calendar: str | None = None
    reopen_days: int | None = None
    objection_days: int | None = None
    currency: str | None = None

    def applied_to(self, promises: Promises) -> Promises:
        """The promises of the type with these in place of its own; own rules of targets come before those it has."""
        said = {one.name: getattr(self, one.name) for one in fields(self)}
        own = {name: value for name, value in said.items() if name != "targets" and value is not None}
        return replace(promises, targets=(*self.targets, *promises.targets), **own)


@dataclass(frozen=True, slots=True)
class ContractTemplate:
    """One version of a type of contract. A contract names one; a further version changes no contract."""

    id: ContractType
    version: int
    name: str
    promises: Promises

    def recorded(self) -> ContractTypeRecorded:
        """The type as the other services keep it."""
        return ContractTypeRecorded(id=self.id, name=self.name, version=self.version, terms=self.promises.terms())


@dataclass(frozen=True, slots=True)
class Contract:
    """One version of one contract. In force from `valid_from` (included) to `valid_until` (not included).

    It is what was agreed from `effective_from` on. `product_ids` are the products that it names; empty: whatever the
    client has. `promises` are those of its type with its own differences. Which contract a ticket falls under is
    decided in `shared.contract_choice`.
    """

    id: str
    version: int
    client_id: str
    contract_type: ContractType
    type_version: int
    effective_from: datetime
    valid_from: datetime
    valid_until: datetime | None
    product_ids: tuple[str, ...]
    differences: Differences
    promises: Promises

    def told(self) -> ContractVersion:
        """The version as the other services keep it."""
        return ContractVersion(
            version=self.version,
            effective_from=self.effective_from,
            contract_type=self.contract_type,
            valid_from=self.valid_from,
            valid_until=self.valid_until,
            product_ids=self.product_ids,
            terms=self.promises.terms(),
        )


def contract_recorded(versions: Sequence[Contract]) -> ContractRecorded:
    """A contract with all its versions, as the other services keep it."""
    return ContractRecorded(
        id=versions[0].id, client_id=versions[0].client_id, versions=tuple(one.told() for one in versions)
    )


def checked_promises(promises: Promises, hours: Hours, start: int) -> Promises:
    """The same promises, whose targets and warnings make sense; calendars are compared from the second `start` on.

    Raises IncompleteTargets, UnknownCalendar, ResponseAfterResolution or BadWarnings.
    """
    check_targets(promises.targets, hours, start)
    require_calendar(promises.reporting_calendar, hours)
    for clock in ("response", "resolution"):
        shortest = min(rule.seconds for rule in promises.targets if rule.clock == clock)
        _check_warnings(clock, promises.warnings.of(clock), shortest)
    return promises


def next_version(
    before: Contract | None, wanted: Contract, effective_from: datetime | None, now: datetime
) -> Contract | None:
    """`wanted` as the version that follows `before`; None when nothing differs.

    It begins at `effective_from`; where nobody says when, a new contract does with its validity and a change now.
    Raises ContractEndsBeforeItBegins and ContractOfAnotherClient.
    """
    if wanted.valid_until is not None and wanted.valid_until <= wanted.valid_from:
        raise ContractEndsBeforeItBegins(
            f"The contract {wanted.id} would end at {wanted.valid_until.isoformat()} and begin at "
            f"{wanted.valid_from.isoformat()}: give a later end, or none."
        )
    if before is None:
        return replace(wanted, version=1, effective_from=effective_from or wanted.valid_from)
    if before.client_id != wanted.client_id:
        raise ContractOfAnotherClient(
            f"The contract {wanted.id} belongs to {before.client_id}: record another contract for {wanted.client_id}."
        )
    same = replace(wanted, version=before.version, effective_from=effective_from or before.effective_from)
    if same == before:
        return None
    return replace(wanted, version=before.version + 1, effective_from=effective_from or now)


def _threshold(said_as: str, target_seconds: int) -> Threshold:
    if said_as.endswith(_MINUTES_BEFORE):
        return Threshold(seconds=target_seconds - _minutes(said_as) * 60, said_as=said_as)
    return share(int(said_as.removesuffix("%")), target_seconds)


def _minutes(said_as: str) -> int:
    return int(said_as.removesuffix(_MINUTES_BEFORE))


def _check_warnings(clock: str, said: Sequence[str], shortest: int) -> None:
    """Raises BadWarnings. Every target of the clock has to have the minutes, since the contract says them of all."""
    if len(set(said)) != len(said):
        raise BadWarnings(f"The warnings of the {clock} clock are {', '.join(said)}: say each once.")
    for one in said:
        if one.endswith("%") and not 1 <= int(one.removesuffix("%")) <= 99:
            raise BadWarnings(f"The {clock} clock would warn at {one} of its target: give shares from 1% to 99%.")
        if one.endswith(_MINUTES_BEFORE) and _minutes(one) * 60 >= shortest:
            raise BadWarnings(
                f"The {clock} clock would warn {one}, but its shortest target is {shortest} s: give fewer minutes, or "
                "a share."
            )
