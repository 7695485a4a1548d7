"""Reference data of this service: what changed is checked against what the caller had seen, and told."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from shared.contracts.envelope import Cause, StateRecord
from shared.db.transaction import Row, Transaction
from shared.messaging.archive import changes_since
from shared.messaging.outbox import publish, seal_each
from shared.versions import Expected
from tickets.repository.records import Stored


async def publish_records(
    tx: Transaction, cause: Cause, stored: Stored, recorded: Callable[[Row], StateRecord], expected: Expected
) -> int:
    """Tells of every record that was stored; how many. What was equal is no change, so it needs no version.

    Raises VersionNotStated, VersionChanged.
    """
    told = [(row, recorded(row)) for row in stored.values()]
    for row, record in told:
        present = row.version - 1
        since = partial(changes_since, tx, record.subject(), seen=expected.newest, present=present)
        await expected.require(f"The {record.noun} {record.id}", present, since)
    await publish(tx, seal_each([(cause.taken_up(row.changed_at), record) for row, record in told]))
    return len(told)
