"""What is recorded of categories and resolution codes: added, worded otherwise, retired, put back as shipped."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from shared.contracts.envelope import Cause
from shared.db.transaction import Transaction
from shared.versions import ANYTHING, Expected
from tickets.documents import CategoryRecord, CodeRecord
from tickets.domain.catalogue import NotShipped, Noun, check_questions
from tickets.repository import catalogue as repository
from tickets.repository import records

Entry = CategoryRecord | CodeRecord


async def record_entries(
    tx: Transaction, cause: Cause, noun: Noun, entries: Sequence[Entry], *, expected: Expected = ANYTHING
) -> int:
    """Records entries of one noun; how many changed. Tickets that have one keep it, also when it is retired.

    Raises QuestionTwice, VersionNotStated, VersionChanged.
    """
    for one in entries:
        if isinstance(one, CategoryRecord):
            check_questions(one.id, [each.id for each in one.questions])
    stored = await repository.store_entries(tx, cause, noun, [one.model_dump(mode="json") for one in entries])
    return await records.require_seen(stored, noun.replace("-", " "), expected)


async def restore_shipped(tx: Transaction, cause: Cause, noun: Noun, id: str, *, expected: Expected = ANYTHING) -> int:
    """Gives an entry the form in which it was shipped; how many changed. Raises NotShipped, VersionChanged."""
    shipped = await records.read_shipped(tx, noun, id)
    if shipped is None:
        raise NotShipped(f"the {noun.replace('-', ' ')} {id} did not come with the product: change it, or retire it")
    entry: Entry
    entry = CategoryRecord(id=id, **shipped) if noun == "category" else CodeRecord(id=id, **shipped)
    return await record_entries(tx, cause, noun, [entry], expected=expected)


async def load_shipped_entries(tx: Transaction, cause: Cause, noun: Noun, entries: Sequence[Entry]) -> int:
    """Keeps what is shipped, and records what is not there; how many were new. What an admin changed stays so."""
    shipped: dict[str, dict[str, Any]] = {one.id: one.model_dump(mode="json", exclude={"id"}) for one in entries}
    await records.keep_shipped(tx, noun, shipped)
    present = await repository.present_entries(tx, noun)
    missing = [one for one in entries if one.id not in present]
    return await record_entries(tx, cause, noun, missing) if missing else 0
