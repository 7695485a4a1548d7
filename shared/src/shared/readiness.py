"""Whether a process of a service is ready for work, and what is shown beside that and decides nothing."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shared import clock
from shared.db.engine import Engine
from shared.db.schema import History, SchemaNewer, read_histories, require_schema
from shared.db.statement import query
from shared.http.health import Check, clock_check, database_check, guards_check
from shared.messaging.reactions import Reactions
from shared.settings import ServiceSettings

if TYPE_CHECKING:
    from shared.messaging.consumer import Consumer
    from shared.messaging.relay import Relay

_STATUS = query("""
    SELECT o.rows, a.recorded_at AS oldest,
           (SELECT count(*) FROM runtime.parked WHERE state = 'waiting') AS parked,
           (SELECT count(*) FROM runtime.blocked_keys) AS blocked,
           (SELECT count(*) FROM runtime.blocked_rows) AS blocked_rows,
           (SELECT count(*) FROM (SELECT FROM runtime.withheld LIMIT 10000) few) AS withheld,
           (SELECT count(*) FROM runtime.set_aside)
               + (SELECT count(*) FROM runtime.errands WHERE state = 'given-up') AS set_aside
    FROM (SELECT count(*) AS rows, min(position) AS first
          FROM (SELECT position FROM runtime.outbox ORDER BY position LIMIT 10000) few) o
    LEFT JOIN runtime.archive a ON a.position = o.first
""")


@dataclass
class Readiness:
    """One process's; its parts enter themselves as `consumer` and `relay` when they start."""

    name: str
    settings: ServiceSettings
    engine: Engine
    reactions: Reactions
    consumer: Consumer | None = None
    relay: Relay | None = None
    newer_schema: str | None = None

    @functools.cached_property
    def histories(self) -> list[History]:
        """The revisions of this release; files, so they are read once."""
        return read_histories(self.name)

    def checks_of(self, part: str) -> list[Check]:
        """What must hold for a part, or for "all" in one process."""
        api = [*self._stored(), *self._replicas_filled()]
        return {
            "api": api,
            "all": [*api, Check("consumer", self._test_not_stopped), Check("archive", self._test_relay)],
            "consumer": [*self._stored(), self._broker(), Check("consumer", self._test_consumer)],
            "relay": [*self._stored(), self._broker(), Check("archive", self._test_relay)],
            "jobs": self._stored(),
        }[part]

    def _stored(self) -> list[Check]:
        """What every part needs of its database; a developer's own may be without guards, which the doctor says."""
        guards = [guards_check(self.engine)] if self.settings.env == "production" else []
        return [database_check(self.engine), self._schema(), clock_check(self.engine), *guards]

    def _schema(self) -> Check:
        """Passes when the database is at least at this release.

        A newer one is only shown: during a deployment the old release runs beside the new one's tables.
        """

        async def test() -> None:
            newer_schema = None
            async with self.engine.connect() as connection:
                try:
                    await require_schema(connection, self.name, self.histories)
                except SchemaNewer as newer:
                    newer_schema = newer.message
            self.newer_schema = newer_schema

        return Check("schema", test)

    def _broker(self) -> Check:
        async def test() -> None:
            from shared.messaging.kafka import reach_any

            await reach_any(self.settings.kafka_bootstrap)

        return Check("kafka", test)

    def _replicas_filled(self) -> list[Check]:
        topics = [topic.name for topic in self.reactions.replicas]
        if not topics:
            return []

        async def test() -> None:
            from shared.messaging.replicas import unfilled_replicas

            async with self.engine.connect() as connection:
                unfilled = await unfilled_replicas(connection, topics)
            if unfilled:
                raise RuntimeError(f"not filled yet: {', '.join(unfilled)}")

        return [Check("replicas", test)]

    async def _test_not_stopped(self) -> None:
        """Where all parts are one process, only what an operator must end counts: an outage of the broker ends by
        itself, and the API goes on accepting meanwhile."""
        if self.consumer is not None and self.consumer.stopped is not None:
            raise RuntimeError(self.consumer.stopped)

    async def _test_consumer(self) -> None:
        if self.consumer is not None and self.consumer.problem is not None:
            raise RuntimeError(self.consumer.problem)

    async def _test_relay(self) -> None:
        if self.relay is not None and self.relay.refused is not None:
            raise RuntimeError(self.relay.refused)

    async def status(self) -> dict[str, Any]:
        """What is shown beside readiness and never decides it: the age of the outbox, and what stopped a consumer."""
        from shared.messaging import stops

        async with self.engine.connect() as connection:
            row = await connection.fetch_one(_STATUS)
            stopped = await stops.present(connection, self.name)
        oldest = (clock.now() - row.oldest).total_seconds() if row.oldest else 0.0
        problems = self._problems()
        return {
            "outbox_rows": row.rows,
            "outbox_oldest_seconds": round(max(0.0, oldest), 3),
            "parked_messages": row.parked,
            "blocked_keys": row.blocked,
            "blocked_rows": row.blocked_rows,
            "withheld_rows": row.withheld,
            "work_set_aside": row.set_aside,
            **stopped,
            **({"problems": problems} if problems else {}),
            **({"schema": self.newer_schema} if self.newer_schema else {}),
        }

    def _problems(self) -> dict[str, str]:
        named = {
            "consumer": self.consumer.trouble if self.consumer else None,
            "relay": self.relay.problem if self.relay else None,
        }
        return {name: problem for name, problem in named.items() if problem}
