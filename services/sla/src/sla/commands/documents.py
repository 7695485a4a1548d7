"""What a file of this service's records records."""

from __future__ import annotations

from shared.contracts.envelope import Cause
from shared.db.transaction import Transaction
from sla.commands.contracts import record_contract_types, record_contracts
from sla.documents import Document


async def load_document(tx: Transaction, cause: Cause, document: Document) -> int:
    """Loads types and contracts from a file; returns how many rows changed."""
    types = await record_contract_types(tx, cause, document.contract_types) if document.contract_types else 0
    contracts = await record_contracts(tx, cause, document.contracts) if document.contracts else []
    return types + len(contracts)
