"""A relay or a consumer as a process of its own, so that tests can kill and freeze it."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from shared.db.engine import make_engine
from shared.messaging import outgoing
from shared.messaging.batch import BatchApplier
from shared.messaging.consumer import Consumer
from shared.messaging.kafka import Cluster
from shared.messaging.producers import FENCED
from shared.messaging.records import Record
from shared.messaging.relay import Relay
from tests.shared.messaging import story
from tests.support.databases import CHECKOUT, Database


@asynccontextmanager
async def started(
    kind: str, db: Database, cluster: Cluster, *, service: str = "test", session_ms: int = 1000
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process of this kind, killed at the end if it still lives."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.shared.messaging.process", kind,
        env={
            **os.environ,
            "DESK_DATABASE_URL": db.url,
            "DESK_KAFKA_BOOTSTRAP": cluster.bootstrap,
            "DESK_TOPIC_PREFIX": cluster.prefix,
            "TEST_SERVICE": service,
            "TEST_SESSION_MS": str(session_ms),
        },
        cwd=CHECKOUT,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _die(_connection: Any, positions: Sequence[int]) -> None:
    if positions:
        os.kill(os.getpid(), signal.SIGKILL)


def _relay_killed_before_delete(**given: Any) -> Relay:
    """Dies by its own hand between Kafka's acknowledgement and the deletion."""
    outgoing.delete_sent = _die  # type: ignore[assignment]
    return Relay(**given)


def _relay_frozen_before_records(**given: Any) -> Relay:
    """Freezes with state records in its hands, which it sends when it wakes up."""
    relay = Relay(**given)
    send = relay.producers.send

    async def freeze_first(rows: Sequence[Any]) -> Any:
        if any(row["topic"] in FENCED for row in rows):
            os.kill(os.getpid(), signal.SIGSTOP)
        return await send(rows)

    relay.producers.send = freeze_first  # type: ignore[method-assign]
    return relay


RELAYS: dict[str, Callable[..., Relay]] = {
    "relay": Relay,
    "relay-killed-before-delete": _relay_killed_before_delete,
    "relay-frozen-before-records": _relay_frozen_before_records,
}


class ApplierHitInBatch(BatchApplier):
    """Sends itself a signal in the second batch, after its effects and before its commit."""

    hit_by = signal.SIGKILL
    batches = 0

    async def apply(self, records: Sequence[Record]) -> None:
        self.batches += 1
        await super().apply(records)

    async def _store(self, tx: Any, messages: Any, now: Any) -> None:
        await super()._store(tx, messages, now)
        if self.batches == 2:
            os.kill(os.getpid(), self.hit_by)


class ApplierFrozenInBatch(ApplierHitInBatch):
    """Freezes there, with the locks of its transaction in its hands."""

    hit_by = signal.SIGSTOP


APPLIERS = {"consumer-killed-in-batch": ApplierHitInBatch, "consumer-frozen-in-batch": ApplierFrozenInBatch}


def _part(kind: str) -> Relay | Consumer:
    url = os.environ["DESK_DATABASE_URL"]
    cluster = Cluster(os.environ["DESK_KAFKA_BOOTSTRAP"], os.environ["DESK_TOPIC_PREFIX"])
    if kind.startswith("relay"):
        return RELAYS[kind](
            service=os.environ.get("TEST_SERVICE", "test"), database_url=url, cluster=cluster, request_timeout_seconds=3
        )
    engine = make_engine(url, application="test")
    react = story.reactions()
    applier = APPLIERS.get(kind, BatchApplier)
    return Consumer(
        service="test", engine=engine, cluster=cluster, reactions=react, hint=lambda: None,
        session_timeout_ms=int(os.environ["TEST_SESSION_MS"]), applier=applier(engine, react, lambda: None),
    )  # fmt: skip


if __name__ == "__main__":
    asyncio.run(_part(sys.argv[1]).run())
