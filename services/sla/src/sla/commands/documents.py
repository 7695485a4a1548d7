"""What a file of this service's records records, and what a day-one installation ships."""

from __future__ import annotations

from shared.contracts.envelope import Cause
from shared.db.transaction import Transaction
from sla.commands.calendars import load_shipped_calendars, record_calendars
from sla.commands.contracts import load_shipped_types, record_contract_types, record_contracts
from sla.documents import Document


async def load_document(tx: Transaction, cause: Cause, document: Document) -> int:
    """Records everything in a document, in the order of its references; how many records changed."""
    changed = 0
    if document.calendars:
        changed += await record_calendars(tx, cause, document.calendars)
    if document.contract_types:
        changed += await record_contract_types(tx, cause, document.contract_types)
    if document.contracts:
        changed += len(await record_contracts(tx, cause, document.contracts))
    return changed


async def load_defaults(tx: Transaction, cause: Cause, document: Document) -> int:
    """Records what a day-one installation ships; how many were new. What an admin made of something stays theirs."""
    changed = await load_shipped_calendars(tx, cause, document.calendars)
    changed += await load_shipped_types(tx, cause, document.contract_types)
    return changed + (len(await record_contracts(tx, cause, document.contracts)) if document.contracts else 0)
