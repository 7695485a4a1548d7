"""A consumer in another language reads from the real broker what this product writes, and knows a repetition."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker

from shared.contracts.documents import SCHEMAS, open_example_of, read_json
from shared.contracts.envelope import Cause, Event, Received, Sealed
from shared.contracts.open_copy import OPEN
from shared.contracts.topics import OPEN_COPIES
from shared.messaging.kafka import Cluster
from shared.messaging.outbox import publish
from tests.contracts.messages import TYPES, example, record_of
from tests.shared.messaging.story import relay_of, running, send
from tests.support.eventually import eventually

COPIES = {topic.name for topic in OPEN_COPIES}

# In the order of their positions, in which the relay sends.
EXAMPLES = sorted((example(name) for name in TYPES), key=lambda one: str(one["headers"]["ce_sequence"]))


def message(document: dict[str, Any]) -> tuple[str, bytes | None, bytes, list[Any]]:
    """An example as the relay hands it to the producer."""
    record = record_of(document)
    assert record.value is not None
    return record.topic, record.key, record.value, record.headers


async def consume(foreign: Callable[..., Any], cluster: Cluster, *topics: str) -> list[dict[str, Any]]:
    """What the foreign consumer prints of everything that the topics hold now."""
    done = await asyncio.to_thread(foreign, "consume.cjs", cluster.bootstrap, cluster.prefix, *topics)
    return [json.loads(line) for line in done.stdout.splitlines()]


def as_examples(read: Sequence[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """What was read, in the shape of the committed examples, by type."""
    parts = ("topic", "key", "headers", "value")
    return {one["headers"]["ce_type"]: {part: one[part] for part in parts} for one in read}


async def test_it_reads_every_example_as_it_was_written(cluster: Cluster, foreign: Callable[..., Any]) -> None:
    await send(cluster, *[message(one) for one in EXAMPLES])
    read = await consume(foreign, cluster)
    assert len(read) == len(EXAMPLES)
    assert as_examples(read) == {name: example(name) for name in TYPES}
    assert {one["verdict"] for one in read} == {"new"}


async def test_it_reads_only_the_topics_that_it_asks_for(cluster: Cluster, foreign: Callable[..., Any]) -> None:
    await send(cluster, *[message(one) for one in EXAMPLES])
    read = await consume(foreign, cluster, "desk.sla.v1", "desk.contracts.v1")
    wanted = {one["headers"]["ce_id"] for one in EXAMPLES if one["topic"] in {"desk.sla.v1", "desk.contracts.v1"}}
    assert {one["headers"]["ce_id"] for one in read} == wanted


async def test_empty_topics_are_read_to_their_end(cluster: Cluster, foreign: Callable[..., Any]) -> None:
    assert await consume(foreign, cluster) == []


async def test_it_knows_what_is_delivered_again(cluster: Cluster, foreign: Callable[..., Any]) -> None:
    await send(cluster, *[message(one) for one in EXAMPLES], *[message(one) for one in EXAMPLES])
    read = await consume(foreign, cluster)
    verdicts: dict[str, list[str]] = {}
    for one in read:
        verdicts.setdefault(one["headers"]["ce_id"], []).append(one["verdict"])
    assert len(verdicts) == len(EXAMPLES)
    assert all(several == ["new", "repeated"] for several in verdicts.values())


async def test_it_ignores_what_is_older_than_what_it_knows(cluster: Cluster, foreign: Callable[..., Any]) -> None:
    present = example("desk.installation.recorded.v1")
    older = {**present, "headers": {**present["headers"], "ce_id": str(uuid.uuid4()), "ce_sequence": f"{7:019d}"}}
    # A subject that is told under two keys has no order between them: neither may push the other out.
    elsewhere = {**older, "key": "installation:another", "headers": {**older["headers"], "ce_id": str(uuid.uuid4())}}
    await send(cluster, message(present), message(older), message(elsewhere))
    read = {one["headers"]["ce_id"]: one["verdict"] for one in await consume(foreign, cluster)}
    assert read == {
        present["headers"]["ce_id"]: "new",
        older["headers"]["ce_id"]: "older",
        elsewhere["headers"]["ce_id"]: "new",
    }


async def test_it_reads_what_went_through_archive_outbox_and_relay(
    cluster: Cluster, database: Callable[[str], Any], foreign: Callable[..., Any]
) -> None:
    db = await database("runtime")
    received = [record_of(one).read() for one in EXAMPLES]
    sealed = [Sealed(id=one.id, data=one.data, cause=_cause_of(one)) for one in received]
    async with db.begin() as tx:
        await publish(tx, sealed)

    async def is_drained() -> bool:
        waiting: int = await db.count("SELECT count(*) FROM runtime.outbox")
        return waiting == 0

    async with running(relay_of(db, cluster)):
        await eventually(is_drained)
    everything = await consume(foreign, cluster)
    copies = [one for one in everything if one["topic"] in COPIES]
    read = as_examples([one for one in everything if one["topic"] not in COPIES])
    # The relay of this test tells in its own name, and the archive gives the positions.
    own = ("ce_source", "ce_sequence")
    assert {name: _without(one, *own) for name, one in read.items()} == {
        one["headers"]["ce_type"]: _without(one, *own) for one in EXAMPLES
    }
    sequences = [read[one.type]["headers"]["ce_sequence"] for one in received]
    assert sequences == sorted(sequences)
    assert {one["headers"]["ce_source"] for one in read.values()} == {"/desk/test"}
    # What the relay tells on the open copy is the example of the copy, and valid under the schema that it names.
    assert {name: _without(one, *own) for name, one in as_examples(copies).items()} == {
        event.type: _without(open_example_of(event), *own) for topic in OPEN_COPIES for event in topic.events
    }
    for one in copies:
        name = one["headers"]["ce_dataschema"].removeprefix("urn:desk:schema:").replace(":open", OPEN)
        schema = read_json(SCHEMAS / f"{name}.json")
        Draft202012Validator(schema, format_checker=FormatChecker()).validate(one["value"])
        assert set(one["value"]) <= set(schema["properties"])
        first = read[one["headers"]["ce_type"]]
        assert (one["key"], one["headers"]["ce_id"], one["headers"]["ce_sequence"]) == (
            first["key"], first["headers"]["ce_id"], first["headers"]["ce_sequence"],
        )  # fmt: skip


def _cause_of(received: Received[Event]) -> Cause:
    """The cause that an example shows."""
    return replace(
        received.cause(actor=received.actor, recorded_at=received.recorded_at), causation_id=received.causation_id
    )


def _without(document: dict[str, Any], *headers: str) -> dict[str, Any]:
    """A message without some of its headers."""
    return {**document, "headers": {name: text for name, text in document["headers"].items() if name not in headers}}
