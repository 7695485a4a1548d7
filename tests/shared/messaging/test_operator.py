"""An operator's commands answer from the real database and broker, and say in one line what does not answer."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable
from typing import Any

from shared.messaging.kafka import Cluster
from shared.messaging.outbox import publish, seal
from tests.shared.messaging.story import cause, opened, send
from tests.support.databases import CHECKOUT, Database

Make = Callable[[str], Awaitable[Database]]


async def say(db: Database, cluster: Cluster, *words: str, **changes: str) -> tuple[int, str]:
    """`python -m tickets messaging …` as an operator says it: exit code and everything that it printed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tickets", "messaging", *words,
        env={
            **os.environ,
            "DESK_DATABASE_URL": db.url,
            "DESK_KAFKA_BOOTSTRAP": cluster.bootstrap,
            "DESK_TOPIC_PREFIX": cluster.prefix,
            **changes,
        },
        cwd=CHECKOUT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    output, _ = await process.communicate()
    return process.returncode or 0, output.decode()


async def ask(db: Database, cluster: Cluster, *words: str) -> Any:
    code, output = await say(db, cluster, *words)
    assert code == 0, output
    return json.loads(output)


async def test_backlog_and_leader_tell_what_waits_and_who_sends(database: Make, cluster: Cluster) -> None:
    db = await database("tickets")
    before = (await ask(db, cluster, "backlog"))["rows"]
    async with db.begin() as tx:
        await publish(tx, seal(cause(), opened(1), opened(2)))
    after = await ask(db, cluster, "backlog")
    assert after["rows"] == before + 2
    assert after["oldest_seconds"] > 0
    assert await ask(db, cluster, "leader") == {"leader": None, "standing_by": 0}


async def test_lag_counts_what_the_log_has_and_nobody_applied(database: Make, cluster: Cluster) -> None:
    db = await database("tickets")
    strange = ("desk.sla.v1", b"some-ticket", b"{}", [("ce_type", b"unknown")])
    await send(cluster, strange, strange, strange)
    lag = {row["topic"]: row["lag"] for row in await ask(db, cluster, "lag")}
    assert lag["desk.sla.v1"] == 3
    assert sum(lag.values()) == 3


async def test_adopting_the_cluster_that_is_ones_own_resets_nothing_that_is_well(
    database: Make, cluster: Cluster
) -> None:
    """Deleted replicas would leave a healthy service unready, with consumers that see no reason to load again."""
    db = await database("tickets")
    await ask(db, cluster, "adopt-cluster")
    await send(cluster, *[("desk.sla.v1", b"some-ticket", b"{}", [("ce_type", b"unknown")])] * 3)
    async with db.connect() as connection:
        await connection.execute("INSERT INTO runtime.offsets VALUES ('desk.sla.v1', 0, 0), ('desk.sla.v1', 1, 900)")
        await connection.execute("INSERT INTO runtime.replicas VALUES ('desk.clients.v1', 0, 0, now())")
    assert (await ask(db, cluster, "adopt-cluster"))["partitions_reset"] == 1
    assert await db.count("SELECT count(*) FROM runtime.replicas") == 1
    assert await db.count("SELECT max(next_offset) FROM runtime.offsets") == 0


async def test_what_does_not_answer_is_said_in_one_line(database: Make, cluster: Cluster) -> None:
    db = await database("tickets")
    for changed, command, expected in (
        ({"DESK_KAFKA_BOOTSTRAP": "127.0.0.1:9"}, "lag", "tickets: Kafka does not answer"),
        (
            {"DESK_DATABASE_URL": "postgresql://nobody@127.0.0.1:9/none"},
            "parked",
            "tickets: the database does not answer",
        ),
    ):
        code, said = await say(db, cluster, command, **changed)
        assert code == 1
        assert said.splitlines()[-1].startswith(expected)
        assert "Traceback" not in said


async def test_a_command_about_something_that_is_not_there_is_refused(database: Make, cluster: Cluster) -> None:
    db = await database("tickets")
    for words in (("show", "1"), ("discard", "1", "--reason", "not ours"), ("release", "desk.tickets.v1", "x")):
        code, said = await say(db, cluster, *words)
        assert (code, len(said.splitlines())) == (1, 1), said
    assert (await say(db, cluster, "discard", "1", "--reason", " x "))[0] == 1
    assert await ask(db, cluster, "retry") == {"keys": 0}
    assert await ask(db, cluster, "parked") == []
