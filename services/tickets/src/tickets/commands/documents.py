"""What a file of this service's records records, and what a day-one installation ships."""

from __future__ import annotations

from shared.contracts.envelope import Cause
from shared.db.transaction import Transaction
from tickets.commands.catalogue import load_shipped_entries, record_entries
from tickets.commands.people import record_people
from tickets.commands.rotas import record_rotas
from tickets.commands.teams import record_teams
from tickets.commands.urgency import load_shipped_schemes, record_schemes
from tickets.documents import Document
from tickets.repository.teams import present_teams


async def load_document(tx: Transaction, cause: Cause, document: Document) -> int:
    """Records everything in a document, in the order of its references; how many records changed."""
    changed = 0
    if document.people:
        changed += await record_people(tx, cause, document.people)
    if document.teams:
        changed += await record_teams(tx, cause, document.teams, ahead=True)
    if document.rotas:
        changed += await record_rotas(tx, cause, document.rotas)
    if document.urgency_schemes:
        changed += await record_schemes(tx, cause, document.urgency_schemes)
    if document.categories:
        changed += await record_entries(tx, cause, "category", document.categories)
    if document.resolution_codes:
        changed += await record_entries(tx, cause, "resolution-code", document.resolution_codes)
    return changed


async def load_defaults(tx: Transaction, cause: Cause, document: Document) -> int:
    """Records what a day-one installation ships; how many were new. What an admin made of something stays theirs."""
    present = await present_teams(tx)
    missing = [team for team in document.teams if team.id not in present]
    new = await record_teams(tx, cause, missing, ahead=True) if missing else 0
    new += await load_shipped_schemes(tx, cause, document.urgency_schemes)
    new += await load_shipped_entries(tx, cause, "category", document.categories)
    return new + await load_shipped_entries(tx, cause, "resolution-code", document.resolution_codes)
