"""Contracts: which terms a client has, since when, and for which of its products."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from shared.contracts.sla import ClockKind, ContractRecorded, ContractType, Threshold
from shared.contracts.tickets import HoldReason
from shared.errors import Conflict, Invalid
from sla.domain.clock import Terms, share
from sla.domain.target import Targets, complete_targets, seconds_for

# Clients without a contract in force get the terms of this type.
DEFAULT_TYPE: ContractType = "basico"


class ContractEndsBeforeItBegins(Invalid):
    """The end of a contract must lie after its beginning."""

    code = "contract-ends-before-it-begins"
    title = "The contract ends before it begins"


class BadWarnings(Invalid):
    """Warnings are percentages of the target below one hundred, each once."""

    code = "bad-warnings"
    title = "The warning percentages make no sense"


class ContractOfAnotherClient(Conflict):
    """A contract stays with the client for which it was signed."""

    code = "contract-of-another-client"
    title = "The contract belongs to another client"


@dataclass(frozen=True, slots=True)
class Warnings:
    """At which percentages of its target each clock warns; ascending."""

    response: tuple[int, ...]
    resolution: tuple[int, ...]

    def of(self, clock: ClockKind, target_seconds: int) -> tuple[Threshold, ...]:
        """The thresholds of one clock on the way to its target."""
        percents = self.response if clock == "response" else self.resolution
        return tuple(share(percent, target_seconds) for percent in percents)


@dataclass(frozen=True, slots=True)
class Promises:
    """What a contract promises, whole: targets, the holds that pause the resolution, and when to warn."""

    targets: Targets
    pausing_holds: tuple[HoldReason, ...]
    warnings: Warnings

    def terms_of(self, clock: ClockKind, kind: str, severity: int) -> Terms:
        """The terms of one clock of one ticket. First response never pauses, whatever the contract says of holds."""
        target_seconds = seconds_for(self.targets, clock, kind, severity)
        return Terms(
            kind=clock,
            target_seconds=target_seconds,
            pausing_holds=frozenset() if clock == "response" else frozenset(self.pausing_holds),
            thresholds=self.warnings.of(clock, target_seconds),
        )


@dataclass(frozen=True, slots=True)
class ContractTemplate:
    """A type of contract. A contract takes its promises when it is recorded; changing the type changes no contract."""

    id: ContractType
    name: str
    promises: Promises


@dataclass(frozen=True, slots=True)
class Contract:
    """One version of one contract. In force from `valid_from` (included) to `valid_until` (not included).

    `product_ids` are the products that it names; empty: whatever the client has. Which contract a ticket falls under is
    decided in `shared.contract_choice`.
    """

    id: str
    version: int
    client_id: str
    contract_type: ContractType
    valid_from: datetime
    valid_until: datetime | None
    promises: Promises
    product_ids: tuple[str, ...] = ()

    def recorded(self) -> ContractRecorded:
        """The contract in short, as the other services keep it."""
        return ContractRecorded(
            id=self.id,
            client_id=self.client_id,
            contract_type=self.contract_type,
            valid_from=self.valid_from,
            valid_until=self.valid_until,
            product_ids=self.product_ids,
            targets=self.promises.targets,
            pausing_holds=self.promises.pausing_holds,
        )


def checked_promises(promises: Promises) -> Promises:
    """The same promises in their one canonical order, so that equal promises are equal values.

    Raises IncompleteTargets, ResponseAfterResolution or BadWarnings.
    """
    return Promises(
        targets=complete_targets(promises.targets),
        pausing_holds=tuple(sorted(set(promises.pausing_holds))),
        warnings=Warnings(
            _checked_percents("response", promises.warnings.response),
            _checked_percents("resolution", promises.warnings.resolution),
        ),
    )


def next_version(before: Contract | None, wanted: Contract) -> Contract | None:
    """`wanted` as the version that follows `before`; None when nothing differs.

    Raises ContractEndsBeforeItBegins, ContractOfAnotherClient, and what checked_promises raises.
    """
    if wanted.valid_until is not None and wanted.valid_until <= wanted.valid_from:
        raise ContractEndsBeforeItBegins(
            f"The contract {wanted.id} would end at {wanted.valid_until.isoformat()} and begin at "
            f"{wanted.valid_from.isoformat()}: give a later end, or none."
        )
    if before is not None and before.client_id != wanted.client_id:
        raise ContractOfAnotherClient(
            f"The contract {wanted.id} belongs to {before.client_id}: record another contract for {wanted.client_id}."
        )
    version = before.version if before else 1
    products = tuple(sorted(set(wanted.product_ids)))
    checked = replace(wanted, version=version, promises=checked_promises(wanted.promises), product_ids=products)
    if before is None:
        return checked
    return None if checked == before else replace(checked, version=version + 1)


def _checked_percents(clock: str, percents: tuple[int, ...]) -> tuple[int, ...]:
    ordered = tuple(sorted(set(percents)))
    if len(ordered) != len(percents) or any(not 1 <= percent <= 99 for percent in ordered):
        raise BadWarnings(
            f"The warnings of the {clock} clock are {list(percents)}: give different whole percentages from 1 to 99."
        )
    return ordered
