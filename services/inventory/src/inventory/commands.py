"""Everything that inventory can do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any
from uuid import UUID

from inventory import repository
from inventory.documents import ClientRecord, Document, InstallationRecord, ModuleRecord, ProductRecord
from inventory.domain import environment
from inventory.domain.environment import Installation, Unknown
from inventory.domain.installation import (
    Module,
    Placement,
    UnknownReference,
    check_modules,
    check_nature,
    check_same_installation,
    check_same_module,
)
from inventory.repository import Stored
from shared.contracts.envelope import Cause, Event, Sealed
from shared.contracts.inventory import (
    ClientRecorded,
    EnvironmentResolved,
    EnvironmentUnknown,
    InstallationRecorded,
    ModuleRecorded,
    ProductRecorded,
)
from shared.contracts.tickets import TicketBrief, TicketClassified, TicketOpened
from shared.db.transaction import Transaction
from shared.messaging.archive import changes_since
from shared.messaging.outbox import publish, seal
from shared.versions import ANYTHING, Expected


async def record_client(tx: Transaction, cause: Cause, client: ClientRecord, *, expected: Expected = ANYTHING) -> bool:
    """Records what is now known of a client; whether anything changed. Raises what `record_clients` raises."""
    return await record_clients(tx, cause, [client], expected=expected) == 1


async def record_product(
    tx: Transaction, cause: Cause, product: ProductRecord, *, expected: Expected = ANYTHING
) -> bool:
    """Records what is now known of a product; whether anything changed. Raises what `record_products` raises."""
    return await record_products(tx, cause, [product], expected=expected) == 1


async def record_module(tx: Transaction, cause: Cause, module: ModuleRecord, *, expected: Expected = ANYTHING) -> bool:
    """Records what is now known of a module; whether anything changed. Raises what `record_modules` raises."""
    return await record_modules(tx, cause, [module], expected=expected) == 1


async def record_installation(
    tx: Transaction, cause: Cause, installation: InstallationRecord, *, expected: Expected = ANYTHING
) -> bool:
    """Records what a client now runs; whether anything changed. Raises what `record_installations` raises."""
    return await record_installations(tx, cause, [installation], expected=expected) == 1


async def record_clients(
    tx: Transaction, cause: Cause, clients: Sequence[ClientRecord], *, expected: Expected = ANYTHING
) -> int:
    """Records clients and publishes those that changed; how many did. Raises VersionNotStated, VersionChanged."""
    changed = await repository.store_clients(tx, cause, clients)
    await _check_versions(tx, "client", changed, expected)
    return await _publish_changed(tx, cause, [_client_recorded(client) for client in clients], changed)


async def record_products(
    tx: Transaction, cause: Cause, products: Sequence[ProductRecord], *, expected: Expected = ANYTHING
) -> int:
    """Records products and publishes those that changed; how many did. Raises VersionNotStated, VersionChanged."""
    changed = await repository.store_products(tx, cause, products)
    await _check_versions(tx, "product", changed, expected)
    events = [ProductRecorded(id=one.id, name=one.name, retired=one.retired) for one in products]
    return await _publish_changed(tx, cause, events, changed)


async def record_modules(
    tx: Transaction, cause: Cause, modules: Sequence[ModuleRecord], *, expected: Expected = ANYTHING
) -> int:
    """Records modules and publishes those that changed; how many did.

    Raises WrongNature, UnknownReference, IdentityIsFixed when a module would become another one, VersionNotStated and
    VersionChanged.
    """
    around = await repository.load_around_modules(tx, modules)
    for record in modules:
        module = Module(record.id, record.product_id, record.nature, record.client_id)
        check_nature(module)
        _check_known(f"module {record.id}", "product", record.product_id, around.products)
        if record.client_id is not None:
            _check_known(f"module {record.id}", "client", record.client_id, around.clients)
        check_same_module(around.modules.get(record.id), module)
    changed = await repository.store_modules(tx, cause, modules)
    await _check_versions(tx, "module", changed, expected)
    return await _publish_changed(tx, cause, [_module_recorded(module) for module in modules], changed)


async def record_installations(
    tx: Transaction, cause: Cause, installations: Sequence[InstallationRecord], *, expected: Expected = ANYTHING
) -> int:
    """Records installations and publishes those that changed; how many did.

    Raises UnknownReference, ModuleDoesNotFit, IdentityIsFixed when one would move to another client or product,
    VersionNotStated and VersionChanged.
    """
    around = await repository.load_around_installations(tx, installations)
    for record in installations:
        placement = Placement(record.client_id, record.product_id)
        _check_known(f"installation {record.id}", "client", record.client_id, around.clients)
        _check_known(f"installation {record.id}", "product", record.product_id, around.products)
        check_same_installation(record.id, around.installations.get(record.id), placement)
        check_modules(record.id, placement, record.modules, around.modules)
    changed = await repository.store_installations(tx, cause, installations)
    await _check_versions(tx, "installation", changed, expected)
    return await _publish_changed(tx, cause, [_installation_recorded(one) for one in installations], changed)


async def load_document(tx: Transaction, cause: Cause, document: Document) -> int:
    """Records everything in a document, in the order of its references; how many records changed."""
    changed = 0
    if document.products:
        changed += await record_products(tx, cause, document.products)
    if document.clients:
        changed += await record_clients(tx, cause, document.clients)
    if document.modules:
        changed += await record_modules(tx, cause, document.modules)
    if document.installations:
        changed += await record_installations(tx, cause, document.installations)
    return changed


async def attach_environments(
    tx: Transaction, cause: Sequence[Cause], classified: Sequence[TicketOpened | TicketClassified]
) -> None:
    """Freezes for each of these tickets what its client runs now, and publishes it.

    A ticket gets one for each version of it that says what it is about, the opening's and those that complete it, in
    whatever order and however often they are told; each has its own cause, in the same order.
    The inventory is read as it stands when the event is processed, a moment after it was told.
    """
    named = {one.ticket.groups.client_id for one in classified if one.ticket.groups.client_id is not None}
    in_use = await repository.load_in_use(tx, named)
    sealed = {}
    for why, one in zip(cause, classified, strict=True):
        which = one.ticket_id, one.ticket.version
        if which not in sealed:
            sealed[which] = seal(why, _environment_of(one.ticket_id, one.ticket, in_use))[0]
    kept = await repository.freeze_environments(tx, [_snapshot_row(one) for one in sealed.values()])
    await publish(tx, [one for one in sealed.values() if str(one.id) in kept])


def _environment_of(
    ticket_id: UUID, ticket: TicketBrief, in_use: Mapping[str, Sequence[Installation]]
) -> EnvironmentResolved | EnvironmentUnknown:
    client_id = ticket.groups.client_id
    found = environment.resolve(
        client_id=client_id,
        product_id=ticket.groups.product_id,
        installation_id=ticket.installation_id,
        installations=in_use.get(client_id) if client_id is not None else None,
    )
    if isinstance(found, Unknown):
        return EnvironmentUnknown(
            ticket_id=ticket_id,
            classification=ticket.version,
            client_id=client_id,
            reason=found.reason,
            candidates=found.candidates,
        )
    installation = found.installation
    return EnvironmentResolved(
        ticket_id=ticket_id,
        classification=ticket.version,
        client_id=installation.client_id,
        installation_id=installation.id,
        product_id=installation.product_id,
        product_name=installation.product_name,
        product_version=installation.product_version,
        modules=installation.modules,
        changed_at=installation.changed_at,
    )


def _snapshot_row(sealed: Sealed[Any]) -> dict[str, Any]:
    event: EnvironmentResolved | EnvironmentUnknown = sealed.data
    return {
        "ticket_id": str(event.ticket_id),
        "classification": event.classification,
        "fact_id": str(sealed.id),
        "client_id": event.client_id,
        "type": event.type,
        "snapshot": event.model_dump(mode="json"),
        "taken_at": sealed.cause.recorded_at.isoformat(),
    }


async def _publish_changed(tx: Transaction, cause: Cause, events: Sequence[Event], changed: Stored) -> int:
    marked = ((changed.get(event.subject().partition(":")[2]), event) for event in events)
    told = [(mark, event) for mark, event in marked if mark is not None]
    await publish(tx, [seal(cause.taken_up(mark.changed_at), event)[0] for mark, event in told])
    return len(told)


async def _check_versions(tx: Transaction, kind: str, changed: Stored, expected: Expected) -> None:
    """Refuses a change of what the caller has not seen; what was equal is no change, so it needs no version."""
    for changed_id, mark in changed.items():
        present = mark.version - 1
        told = partial(changes_since, tx, f"{kind}:{changed_id}", seen=expected.newest, present=present)
        await expected.require(f"The {kind} {changed_id}", present, told)


def _check_known(what: str, kind: str, id: str, known: frozenset[str]) -> None:
    if id not in known:
        raise UnknownReference(f"{what}: there is no {kind} {id}; record the {kind} first", reference=id)


def _client_recorded(client: ClientRecord) -> ClientRecorded:
    return ClientRecorded(**client.model_dump())


def _module_recorded(module: ModuleRecord) -> ModuleRecorded:
    return ModuleRecorded(**module.model_dump())


def _installation_recorded(installation: InstallationRecord) -> InstallationRecorded:
    return InstallationRecorded(
        id=installation.id,
        retired=installation.retired,
        client_id=installation.client_id,
        product_id=installation.product_id,
        product_version=installation.product_version,
        site=installation.site,
        modules=tuple(sorted(installation.modules)),
    )
