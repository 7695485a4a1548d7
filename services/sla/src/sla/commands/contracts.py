"""What is recorded of contracts and their types."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from shared.contracts.envelope import Cause
from shared.contracts.sla import PromisedTarget
from shared.db.transaction import Transaction
from shared.errors import Conflict, Invalid
from shared.instants import under_lock
from shared.messaging.archive import changes_since
from shared.messaging.outbox import publish, seal
from shared.versions import ANYTHING, Expected
from sla.documents import ContractRecord, ContractTypeRecord, TargetFacts, WarningFacts
from sla.domain.contract import Contract, ContractTemplate, Promises, Warnings, checked_promises, next_version
from sla.repository import contracts as contract_rows


class NoSuchContractType(Invalid):
    """A contract names a type that was never recorded."""

    code = "no-such-contract-type"
    title = "There is no such contract type"


class ContractChangedMeanwhile(Conflict):
    """Somebody else recorded a version of the contract at the same time."""

    code = "contract-changed-meanwhile"
    title = "The contract was changed meanwhile"


async def record_contract_types(tx: Transaction, cause: Cause, records: Sequence[ContractTypeRecord]) -> int:
    """Records types of contract; returns how many differ from what they were. Contracts in force keep their terms.

    Raises what checked_promises raises.
    """
    known, latest = await contract_rows.lock_contract_types(tx)
    cause = under_lock(cause, latest)
    wanted = [
        ContractTemplate(one.id, one.name, _promises(one.targets, one.pausing_holds, one.warnings)) for one in records
    ]
    changed = [one for one in wanted if known.get(one.id) != one]
    if changed:
        await contract_rows.store_contract_types(tx, changed, cause.recorded_at, cause.actor)
    return len(changed)


async def record_contracts(
    tx: Transaction, cause: Cause, records: Sequence[ContractRecord], *, expected: Expected = ANYTHING
) -> list[Contract]:
    """Records contracts; returns the new versions. What equals the latest version changes and publishes nothing.

    Raises NoSuchContractType, VersionNotStated, VersionChanged, ContractChangedMeanwhile, and what next_version raises.
    """
    types, _ = await contract_rows.lock_contract_types(tx)
    known, latest = await contract_rows.current_contracts(tx, [one.id for one in records])
    cause = under_lock(cause, latest)
    versions = (next_version(known.get(one.id), _contract(one, types)) for one in records)
    changed = [version for version in versions if version is not None]
    if not changed:
        return []
    for version in changed:
        present = version.version - 1
        told = partial(changes_since, tx, f"contract:{version.id}", seen=expected.newest, present=present)
        await expected.require(f"The contract {version.id}", present, told)
    added = await contract_rows.insert_contracts(tx, changed, cause.recorded_at, cause.actor)
    for version in changed:
        if version.id not in added:
            raise ContractChangedMeanwhile(f"Somebody else just changed {version.id}: read it again, then decide.")
    await publish(tx, seal(cause, *(version.recorded() for version in changed)))
    return changed


def _contract(record: ContractRecord, types: dict[str, ContractTemplate]) -> Contract:
    template = types.get(record.contract_type)
    if template is None:
        raise NoSuchContractType(f"{record.id} is of the type {record.contract_type}: record that type first.")
    promises = template.promises
    if record.targets is not None:
        promises = replace(promises, targets=_targets(record.targets))
    if record.pausing_holds is not None:
        promises = replace(promises, pausing_holds=record.pausing_holds)
    if record.warnings is not None:
        promises = replace(promises, warnings=_warnings(record.warnings))
    return Contract(
        id=record.id,
        version=1,
        client_id=record.client_id,
        contract_type=record.contract_type,
        valid_from=record.valid_from,
        valid_until=record.valid_until,
        promises=promises,
        product_ids=record.product_ids,
    )


def _promises(targets: Sequence[TargetFacts], holds: Sequence[Any], warnings: WarningFacts) -> Promises:
    return checked_promises(Promises(_targets(targets), tuple(holds), _warnings(warnings)))


def _targets(targets: Sequence[TargetFacts]) -> tuple[PromisedTarget, ...]:
    return tuple(PromisedTarget(**target.model_dump()) for target in targets)


def _warnings(warnings: WarningFacts) -> Warnings:
    return Warnings(warnings.response, warnings.resolution)
