"""What is recorded of urgency: the scheme that begins next, whole, or one entry of it as it was shipped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from shared.contracts.envelope import Cause
from shared.db.transaction import Transaction
from shared.instants import under_lock
from shared.versions import ANYTHING, Expected
from tickets.documents import SchemeRecord
from tickets.domain.scheme import NoSuchScheme, Scheme, check_begin, check_sense
from tickets.domain.shipped import with_shipped
from tickets.repository import locks, records
from tickets.repository import urgency as repository


async def record_schemes(
    tx: Transaction, cause: Cause, schemes: Sequence[SchemeRecord], *, expected: Expected = ANYTHING
) -> int:
    """Records schemes that are not yet in force; how many changed. Tickets keep the urgency that they have.

    What is recorded already is no change, also while it is in force. Raises MatrixMakesNoSense, RulesMakeNoSense,
    SchemeInForce, BeginsInThePast, TwoBeginAtOnce, VersionNotStated, VersionChanged.
    """
    await locks.lock_schemes(tx)
    cause = under_lock(cause, None)
    known = {one.id: one for one in await repository.read_schemes(tx)}
    changed = []
    for record in schemes:
        scheme = _scheme(record)
        if known.get(record.id) != scheme:
            check_sense(scheme)
            others = [one for one in known.values() if one.id != scheme.id]
            check_begin(scheme, known.get(scheme.id), others, cause.recorded_at)
            known[scheme.id] = scheme
            changed.append(record)
    stored = await repository.store_schemes(tx, cause, [_row(one) for one in changed]) if changed else {}
    return await records.require_seen(stored, "scheme of urgency", expected)


async def restore_entry(tx: Transaction, cause: Cause, id: str, entry: str, *, expected: Expected = ANYTHING) -> int:
    """Gives one entry of a scheme that is not yet in force the form in which it was shipped; how many changed.

    Raises NoSuchScheme, NoSuchPart, and what `record_schemes` raises.
    """
    await locks.lock_schemes(tx)
    found = await repository.read_terms(tx, id)
    if found is None:
        raise NoSuchScheme(f"there is no scheme {id}: look it up with GET /v1/urgency/schemes")
    valid_from, now = found
    terms = with_shipped(now, await repository.latest_shipped(tx), entry)
    check_sense(repository.scheme_of(id, valid_from, terms))
    record = SchemeRecord.model_validate({"id": id, "valid_from": valid_from, **terms})
    return await record_schemes(tx, cause, [record], expected=expected)


async def load_shipped_schemes(tx: Transaction, cause: Cause, schemes: Sequence[SchemeRecord]) -> int:
    """Keeps what is shipped; records it where there is no scheme yet. What an admin decided since stays so."""
    shipped = {one.id: one.terms() | {"valid_from": one.valid_from.isoformat()} for one in schemes}
    await records.keep_shipped(tx, repository.NOUN, shipped)
    await locks.lock_schemes(tx)
    if not schemes or await repository.read_schemes(tx):
        return 0
    cause = under_lock(cause, None)
    for one in schemes:
        check_sense(_scheme(one))
    return len(await repository.store_schemes(tx, cause, [_row(one) for one in schemes]))


def _row(record: SchemeRecord) -> Mapping[str, Any]:
    return {"id": record.id, "valid_from": record.valid_from.isoformat(), "terms": record.terms()}


def _scheme(record: SchemeRecord) -> Scheme:
    return repository.scheme_of(record.id, record.valid_from, record.terms())
