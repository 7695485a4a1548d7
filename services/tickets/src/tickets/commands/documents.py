"""What a file of people, teams and rotas records, and what a day-one installation ships."""

from __future__ import annotations

from shared.contracts.envelope import Cause
from shared.db.transaction import Transaction
from tickets.commands.people import record_people
from tickets.commands.rotas import record_rotas
from tickets.commands.teams import record_teams
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
    return changed


async def load_defaults(tx: Transaction, cause: Cause, document: Document) -> int:
    """Records the teams of a day-one installation; how many were new. What an admin made of one since stays theirs."""
    present = await present_teams(tx)
    missing = [team for team in document.teams if team.id not in present]
    return await record_teams(tx, cause, missing, ahead=True) if missing else 0
