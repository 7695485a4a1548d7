"""A right that a service lacks on the cluster holds up what needs it and nothing else, and nothing is sent unseen."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

from shared.contracts.envelope import Event
from shared.contracts.inventory import ClientRecorded, EnvironmentUnknown
from shared.contracts.topics import CLIENTS, ENVIRONMENTS, TICKETS
from shared.messaging import outgoing
from shared.messaging import relay as relaying
from shared.messaging.access import Access, Operation, Resource, transactional_id_of
from shared.messaging.kafka import Cluster
from shared.messaging.relay import Relay
from tests.conftest import make_topics
from tests.shared.messaging.story import (
    first_deliveries,
    outbox_empty,
    publish_all,
    read_topic,
    refusal,
    relay_of,
    require_order,
    running,
    story_of,
    ticket,
)
from tests.support.databases import Database
from tests.support.eventually import eventually
from tests.support.rights import Right, allow
from tests.support.servers import private_kafka

Make = Callable[[str], Awaitable[Database]]

# As whom a client without a login is known.
SELF = "ANONYMOUS"


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a broker that asks for rights."""
    made = private_kafka(
        tmp_path_factory.mktemp("kafka"),
        {
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            # What nobody has rights on is everybody's; a right on something, whosever, closes it to all others.
            "allow.everyone.if.no.acl.found": "true",
        },
    )
    made.start()
    try:
        yield made.bootstrap
    finally:
        made.remove()


@pytest.fixture
async def guarded(broker: str) -> Cluster:
    """That broker with topics of this test's own."""
    cluster = Cluster(broker, f"t{uuid.uuid4().hex[:8]}.")
    await make_topics(cluster)
    return cluster


async def give(cluster: Cluster, resource: Resource, name: str, operation: Operation, *, to: str = SELF) -> None:
    """Grants a right, which takes the same from everybody who has none of his own."""
    await allow(cluster, [Right.of(Access(to, resource, cluster.physical(name), operation))])


def client(name: str) -> ClientRecorded:
    return ClientRecorded(id="acme", name=name, tier="oro")


def environment(number: int) -> EnvironmentUnknown:
    return EnvironmentUnknown(ticket_id=ticket(number), client_id="acme", reason="no-installation")


async def _waits(db: Database, count: int) -> bool:
    """So many rows are withheld and all others are sent, and no key is blocked."""
    counted = await db.count("SELECT count(*) FROM runtime.withheld")
    others = "SELECT (SELECT count(*) FROM runtime.outbox) + (SELECT count(*) FROM runtime.blocked_rows)"
    return counted == count and await db.count(others) == 0


async def _tells(relay: Relay, words: str) -> bool:
    return words in (relay.problem or "")


async def test_rows_of_a_topic_that_may_not_be_written_wait_for_the_right_and_hold_up_nobody(
    database: Make, guarded: Cluster
) -> None:
    """A right that was taken away by mistake is nobody's record: no key may stay blocked when it is back."""
    await give(guarded, "topic", TICKETS.name, "read")
    db = await database("runtime")
    await publish_all(db, [*story_of(3, 30), client("Acme")])
    async with running(relay_of(db, guarded)):
        await eventually(lambda: _waits(db, 30), within=60, what="the client goes out")
        await publish_all(db, [client("Acme SA"), *story_of(3, 30, start=30)])
        await eventually(lambda: _waits(db, 60), within=60, what="while the topic is left out, others go on")
        await give(guarded, "topic", TICKETS.name, "write")
        await eventually(lambda: outbox_empty(db), within=60)
    await _require_once(guarded, TICKETS.name, 60)


async def _require_once(cluster: Cluster, topic: str, count: int) -> None:
    deliveries = first_deliveries(await read_topic(cluster, topic, count))
    assert len(deliveries) == count
    require_order(deliveries)


async def test_a_service_that_may_not_fence_goes_on_telling_facts(database: Make, guarded: Cluster) -> None:
    await give(guarded, "transactional-id", transactional_id_of("test"), "write", to="somebody")
    db = await database("runtime")
    await publish_all(db, [*story_of(3, 30), client("Acme"), *story_of(3, 30, start=30)])
    async with running(relay_of(db, guarded)):
        await eventually(lambda: _waits(db, 1), within=60, what="the facts go out")
        await publish_all(db, [client("Acme SA"), *story_of(3, 30, start=60)])
        await eventually(lambda: _waits(db, 2), within=60, what="and go on")
        await give(guarded, "transactional-id", transactional_id_of("test"), "write")
        await eventually(lambda: outbox_empty(db), within=60)
    await _require_once(guarded, TICKETS.name, 90)
    await _require_once(guarded, CLIENTS.name, 2)


async def test_a_topic_that_cannot_be_compared_is_not_written_and_the_others_are(
    database: Make, guarded: Cluster
) -> None:
    db = await database("runtime")
    await _send(db, guarded, [client("Acme")])
    await give(guarded, "topic", CLIENTS.name, "write")
    await publish_all(db, [client("Acme SA"), environment(1)])
    relay = relay_of(db, guarded, service="inventory")
    async with running(relay):
        await eventually(lambda: _waits(db, 1), within=60, what="the environment goes out")
        await eventually(lambda: _tells(relay, CLIENTS.name), what="it says what it leaves out")
        assert relay.refused is None
        await publish_all(db, [client("Acme SRL"), environment(2)])
        await eventually(lambda: _waits(db, 2), within=60)
        await give(guarded, "topic", CLIENTS.name, "read")
        await eventually(lambda: outbox_empty(db), within=60)
        await eventually(lambda: _is_well(relay))
    await _require_once(guarded, CLIENTS.name, 3)
    await _require_once(guarded, ENVIRONMENTS.name, 2)


async def _is_well(relay: Relay) -> bool:
    return relay.problem is None


@pytest.mark.parametrize("hidden", [False, True], ids=["unreadable", "unseen"])
async def test_a_topic_that_could_not_be_compared_is_compared_before_anything_is_sent_to_it(
    database: Make, guarded: Cluster, hidden: bool
) -> None:
    """Whether it could not be read, or was not even to be seen: what it holds decides, and not when it was shown."""
    lost = await database("runtime")
    await _send(lost, guarded, [client("lost")])
    # With a right of somebody else alone the topic is not even shown.
    await give(guarded, "topic", CLIENTS.name, "write", to="somebody" if hidden else SELF)
    db = await database("runtime")
    await publish_all(db, [client("Acme"), environment(1)])
    relay = relay_of(db, guarded, service="inventory")
    async with running(relay):
        await eventually(lambda: _waits(db, 1), within=60, what="the environment goes out")
        await give(guarded, "topic", CLIENTS.name, "write")
        await give(guarded, "topic", CLIENTS.name, "read")
        refused = await eventually(lambda: refusal(relay), within=60)
    assert "1 events on the topics of inventory, up to sequence 1, are not in its archive" in refused
    assert len(await read_topic(guarded, CLIENTS.name, 1)) == 1


async def _send(db: Database, cluster: Cluster, events: list[Event]) -> None:
    await publish_all(db, events)
    async with running(relay_of(db, cluster, service="inventory")):
        await eventually(lambda: outbox_empty(db))


@pytest.mark.parametrize("closed", [TICKETS.name, str(TICKETS.open_copy)])
async def test_a_topic_and_its_copy_are_not_filled_with_doubles_while_the_right_to_one_of_them_is_missing(
    database: Make, guarded: Cluster, monkeypatch: pytest.MonkeyPatch, closed: str
) -> None:
    """A topic is tried again and again with the same row; the half that is taken would be doubled each time."""
    monkeypatch.setattr(relaying, "TOPICS_PAUSE_SECONDS", 0.2)
    tried: list[int] = []
    oldest = outgoing.oldest_withheld

    async def counting(connection: Any, topic: str) -> Any:
        tried.append(1)
        return await oldest(connection, topic)

    monkeypatch.setattr(outgoing, "oldest_withheld", counting)
    await give(guarded, "topic", closed, "read")
    db = await database("runtime")
    await publish_all(db, story_of(1, 1))
    async with running(relay_of(db, guarded, request_timeout_seconds=10)):
        await eventually(lambda: _has_tried(tried, 5), within=120)
        await give(guarded, "topic", closed, "write")
        await eventually(lambda: outbox_empty(db), within=60)
    for topic in (TICKETS.name, str(TICKETS.open_copy)):
        # At first, when the right was found missing, and when it was given.
        assert 1 <= len(await read_topic(guarded, topic, 1)) <= 3


async def _has_tried(tried: list[int], times: int) -> bool:
    return len(tried) >= times
