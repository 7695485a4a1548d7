"""Publishing is an insert: events go into archive and outbox through the transaction of their effect."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from shared.contracts.envelope import Cause, Event, Sealed
from shared.contracts.topics import topic_of
from shared.db.statement import sql
from shared.db.transaction import Transaction
from shared.errors import Invalid
from shared.ids import derived_id, milliseconds_of, new_id
from shared.telemetry import tracing

# Kafka's default limit for a batch is 1 MiB; what does not fit is refused while somebody can still do something.
MAX_VALUE_BYTES = 900_000

# The unnest keeps the order of the arrays, so positions are taken in the order of the events. What has been told under
# the same id is not told again: such an id is derived from what caused the event.
_ARCHIVE = sql(
    """
    INSERT INTO runtime.archive (id, topic, key, type, subject, occurred_at, recorded_at, origin, actor,
                                 correlation_id, causation_id, traceparent, value)
    SELECT * FROM unnest(
        CAST(:ids AS uuid[]), CAST(:topics AS text[]), CAST(:keys AS text[]), CAST(:types AS text[]),
        CAST(:subjects AS text[]), CAST(:occurred AS timestamptz[]), CAST(:recorded AS timestamptz[]),
        CAST(:origins AS text[]), CAST(:actors AS text[]), CAST(:correlations AS text[]),
        CAST(:causations AS text[]), CAST(:traces AS text[]), CAST(:values AS bytea[]))
    ON CONFLICT (id) DO NOTHING
    RETURNING position
    """,
    called="archived",
)
_SEND = sql("INSERT INTO runtime.outbox (position) SELECT position FROM archived")


class EventTooLarge(Invalid):
    """The event would not fit into a Kafka message."""

    code = "event-too-large"
    title = "The request is too large to be published"


def seal(cause: Cause, *events: Event) -> list[Sealed[Any]]:
    """Gives each event its id. The id is also the `fact_id` under which histories know it."""
    return seal_each([(cause, event) for event in events])


def seal_each(told: Iterable[tuple[Cause, Event]]) -> list[Sealed[Any]]:
    """The same where each event has a cause of its own.

    What another event caused has an id that is derived from that event, so that a reaction that runs again, after its
    database was restored, tells nobody the same thing twice. What that database chose itself is in the id as well
    (`Event.told_apart_by`). One cause may tell of one subject several times: give all that it tells in one call, in a
    fixed order.
    """
    tallies: dict[tuple[object, ...], int] = {}
    sealed = []
    for cause, event in told:
        if cause.causation_id is None:
            sealed.append(Sealed(id=new_id(), data=event, cause=cause))
            continue
        key = (event.type, event.subject(), *event.told_apart_by())
        tallies[cause.causation_id, *key] = tally = tallies.get((cause.causation_id, *key), 0) + 1
        sealed.append(Sealed(id=_caused(cause, *key, *([tally] if tally > 1 else [])), data=event, cause=cause))
    return sealed


def _caused(cause: Cause, *identity: object) -> UUID:
    causation_id = str(cause.causation_id)
    return derived_id(milliseconds_of(UUID(causation_id), cause.occurred_at), causation_id, *identity)


async def publish(tx: Transaction, sealed: Sequence[Sealed[Any]]) -> None:
    """Inserts the events, in this order, with the other writes. Lock the aggregate before: positions order its events.

    Raises EventTooLarge when a serialised event exceeds MAX_VALUE_BYTES; nothing is inserted then.
    """
    if not sealed:
        return
    columns: dict[str, list[Any]] = {name: [] for name in _COLUMNS}
    for one in sealed:
        for name, value in zip(_COLUMNS, _row(one), strict=True):
            columns[name].append(value)
    await tx.write(_ARCHIVE, columns)
    await tx.write(_SEND, {})
    tx.published = True


_COLUMNS = (
    "ids", "topics", "keys", "types", "subjects", "occurred", "recorded", "origins", "actors", "correlations",
    "causations", "traces", "values",
)  # fmt: skip


def _row(one: Sealed[Any]) -> tuple[Any, ...]:
    data, cause = one.data, one.cause
    value = data.model_dump_json().encode()
    if len(value) > MAX_VALUE_BYTES:
        raise EventTooLarge(
            f"{data.type} would be {len(value)} bytes, the limit is {MAX_VALUE_BYTES}: shorten its texts or lists"
        )
    return (
        one.id, topic_of(type(data)).name, data.key(), data.type, data.subject(), cause.occurred_at, cause.recorded_at,
        cause.origin, cause.actor, cause.correlation_id, cause.causation_id,
        cause.traceparent or tracing.current(), value,
    )  # fmt: skip
