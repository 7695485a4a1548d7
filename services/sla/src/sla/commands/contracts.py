"""What is recorded of contracts and their types: always a further version, never a change of one that there is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial

from shared.business_time.seconds import second
from shared.contracts.envelope import Cause
from shared.db.transaction import Transaction
from shared.errors import Invalid
from shared.instants import under_lock
from shared.messaging.archive import changes_since
from shared.messaging.outbox import publish, seal
from shared.versions import ANYTHING, Expected
from sla.documents import ContractRecord, ContractTypeRecord
from sla.domain.contract import (
    Contract,
    ContractTemplate,
    checked_promises,
    contract_recorded,
    next_version,
)
from sla.domain.target import Hours
from sla.repository import contracts as repository
from sla.repository.known_calendars import hours_of_all
from sla.repository.locks import lock_records

Types = Mapping[str, Sequence[ContractTemplate]]


class NoSuchContractType(Invalid):
    """A contract names a type, or a version of one, that was never recorded."""

    code = "no-such-contract-type"
    title = "There is no such contract type"


async def record_contract_types(
    tx: Transaction, cause: Cause, records: Sequence[ContractTypeRecord], *, expected: Expected = ANYTHING
) -> int:
    """Records types of contract; returns how many differ from what they were. Contracts keep the version they name.

    Raises VersionNotStated, VersionChanged, and what checked_promises raises.
    """
    await lock_records(tx)
    known, latest = await repository.type_versions(tx)
    cause = under_lock(cause, latest)
    hours = await hours_of_all(tx)
    changed = []
    for record in records:
        before = known[record.id][-1] if record.id in known else None
        wanted = _template(record, before, hours, cause.recorded_at)
        if wanted is not None:
            present = wanted.version - 1
            told = partial(changes_since, tx, f"contract-type:{record.id}", seen=expected.newest, present=present)
            await expected.require(f"The contract type {record.id}", present, told)
            changed.append(wanted)
    if changed:
        await repository.insert_contract_types(tx, changed, cause.recorded_at, cause.actor)
        await publish(tx, seal(cause, *(one.recorded() for one in changed)))
    return len(changed)


async def load_shipped_types(tx: Transaction, cause: Cause, records: Sequence[ContractTypeRecord]) -> int:
    """Records the types that are not there; how many were new. What an admin made of one stays theirs."""
    await lock_records(tx)
    known, _ = await repository.type_versions(tx)
    missing = [one for one in records if one.id not in known]
    return await record_contract_types(tx, cause, missing) if missing else 0


async def record_contracts(
    tx: Transaction, cause: Cause, records: Sequence[ContractRecord], *, expected: Expected = ANYTHING
) -> list[Contract]:
    """Records contracts; returns the new versions. What equals the latest version changes and publishes nothing.

    Raises NoSuchContractType, VersionNotStated, VersionChanged, and what next_version and checked_promises raise.
    """
    await lock_records(tx)
    known, latest = await repository.contract_versions(tx, [one.id for one in records])
    types, _ = await repository.type_versions(tx)
    cause = under_lock(cause, latest)
    changed = []
    for record in records:
        before = known[record.id][-1] if record.id in known else None
        version = next_version(before, _contract(record, before, types), record.effective_from, cause.recorded_at)
        if version is not None:
            changed.append(version)
    if not changed:
        return []
    hours = await hours_of_all(tx)
    for version in changed:
        checked_promises(version.promises, hours, second(cause.recorded_at))
        present = version.version - 1
        told = partial(changes_since, tx, f"contract:{version.id}", seen=expected.newest, present=present)
        await expected.require(f"The contract {version.id}", present, told)
    await repository.insert_contracts(tx, changed, cause.recorded_at, cause.actor)
    await publish(tx, seal(cause, *(contract_recorded([*known.get(one.id, ()), one]) for one in changed)))
    return changed


def _template(
    record: ContractTypeRecord, before: ContractTemplate | None, hours: Hours, now: datetime
) -> ContractTemplate | None:
    promises = record.promises()
    if before is not None and (before.name, before.promises) == (record.name, promises):
        return None
    version = before.version + 1 if before else 1
    return ContractTemplate(record.id, version, record.name, checked_promises(promises, hours, second(now)))


def _contract(record: ContractRecord, before: Contract | None, types: Types) -> Contract:
    template = _type_of(record, before, types)
    differences = record.differences()
    return Contract(
        id=record.id,
        version=1,
        client_id=record.client_id,
        contract_type=record.contract_type,
        type_version=template.version,
        effective_from=record.valid_from,
        valid_from=record.valid_from,
        valid_until=record.valid_until,
        product_ids=tuple(sorted(set(record.product_ids))),
        differences=differences,
        promises=differences.applied_to(template.promises),
    )


def _type_of(record: ContractRecord, before: Contract | None, types: Types) -> ContractTemplate:
    """The version of the type that a contract names, or has; of a new contract or another type the latest."""
    versions = {one.version: one for one in types.get(record.contract_type, ())}
    kept = before.type_version if before and before.contract_type == record.contract_type else None
    wanted = record.type_version or kept or max(versions, default=1)
    if wanted not in versions:
        known = ", ".join(map(str, versions)) or "none"
        raise NoSuchContractType(
            f"{record.id} is of version {wanted} of the type {record.contract_type}, of which there is {known}: record "
            "that type first, or leave type_version out."
        )
    return versions[wanted]
