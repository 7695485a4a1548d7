"""An operator's commands answer from the real database and broker, and say in one line what does not answer."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from typer.testing import CliRunner

from shared import clock
from shared.db.statement import sql
from shared.messaging import pruning
from shared.messaging.commands import messaging_commands
from shared.messaging.kafka import Cluster
from shared.messaging.outbox import publish, seal
from shared.parts import PAYLOADS_KEPT
from tests.shared.messaging.story import cause, opened, send
from tests.support.databases import CHECKOUT, OWNER, Database
from tests.support.eventually import eventually
from tests.support.parts import environment, started

Make = Callable[[str], Awaitable[Database]]


async def say(db: Database, cluster: Cluster, *words: str, service: str = "tickets", **changes: str) -> tuple[int, str]:
    """`python -m tickets messaging …` as an operator says it: exit code and everything that it printed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", service, "messaging", *words,
        env=environment(db, cluster, **changes),
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
        (
            {"DESK_DATABASE_URL": db.url.replace("test-only", "wrong")},
            "parked",
            "tickets: the database refused it",
        ),
        ({"DESK_KAFKA_BOOTSTRAP": "nonsense"}, "lag", "tickets: nonsense is no address of a broker"),
    ):
        code, said = await say(db, cluster, command, **changed)
        assert code == 1
        assert said.splitlines()[-1].startswith(expected)
        assert "Traceback" not in said


async def test_a_command_about_something_that_is_not_there_is_refused(database: Make, cluster: Cluster) -> None:
    db = await database("tickets")
    for words in (
        ("show", "1"),
        ("discard", "1", "--reason", "not ours"),
        ("release", "desk.tickets.v1", "x"),
        ("retry", "--key", "x"),
    ):
        code, said = await say(db, cluster, *words)
        assert (code, len(said.splitlines())) == (1, 1), said
    assert (await say(db, cluster, "discard", "1", "--reason", " x "))[0] == 1
    assert await ask(db, cluster, "retry") == {"keys": 0}
    assert await ask(db, cluster, "parked") == []


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("parked", "--state", "nonsense"), ("waiting", "applied", "discarded")),
        (("parked", "--limit", "0"), ("--limit",)),
        (("discard", "1"), ("--reason",)),
        (("show", "one"), ("number",)),
        (("release", "desk.tickets.v1"), ("key",)),
        (("accept", "desk.sla.v1", "--keys", "0", "--reason", "why"), ("--keys",)),
        (("accept", "desk.sla.v1", "--keys", "1"), ("--reason",)),
        (("accept-skipped", "desk.ticket.opened.v1"), ("--reason",)),
        (("replay",), ("TYPE",)),
    ],
)
def test_what_is_said_wrong_is_refused_before_any_server_is_asked(
    words: tuple[str, ...], told: tuple[str, ...]
) -> None:
    class Nowhere:
        name = "nowhere"

        def projections(self) -> None:
            raise AssertionError("no projections are needed for a refusal")

        @property
        def settings(self) -> Any:
            raise AssertionError("no settings are needed for a refusal")

        def module(self, role: str) -> None:
            raise AssertionError("no module is needed for a refusal")

    done = CliRunner().invoke(messaging_commands(Nowhere()), [*words])
    assert done.exit_code == 2
    assert all(word in done.output for word in told), done.output


GARBAGE = [("ce_type", b"desk.sla-clock.started.v1")]


async def park_three(db: Database, cluster: Cluster) -> None:
    """Two messages of one key and one of another, which tickets' own consumer finds to be no events of ours."""
    await send(cluster, *[("desk.sla.v1", key, b'{"no": "clock"}', GARBAGE) for key in (b"one", b"one", b"two")])
    waiting = "SELECT count(*) FROM runtime.parked WHERE state = 'waiting'"
    async with started("tickets", "consumer", db, cluster):
        await eventually(lambda: is_counted(db, waiting, 3), within=40, what="three parked messages")


async def is_counted(db: Database, query: str, expected: int) -> bool:
    return await db.count(query) == expected


async def test_an_operator_finds_retries_and_gives_up_parked_messages(database: Make, cluster: Cluster) -> None:
    """Every command about parked messages, on messages that the service's own consumer has parked."""
    db = await database("tickets")
    await park_three(db, cluster)
    first, second, other = sorted(await ask(db, cluster, "parked"), key=lambda row: (row["key"], row["id"]))
    assert [row["key"] for row in (first, second, other)] == ["one", "one", "two"]
    assert {row["reason"] for row in (first, second, other)} == {"invalid"}
    assert all(row["problem"] and "value" not in row and row["next_attempt_at"] for row in (first, second, other))

    shown = await ask(db, cluster, "show", str(first["id"]))
    assert (shown["value"], shown["raw_key"], shown["state"]) == ('{"no": "clock"}', "one", "waiting")
    assert shown["headers"] == [{"name": "ce_type", "value": "desk.sla-clock.started.v1"}]

    assert await ask(db, cluster, "retry", "--key", "one") == {"keys": 1}
    async with started("tickets", "jobs", db, cluster):
        attempted = "SELECT count(*) FROM runtime.parked WHERE key = 'one' AND attempts > 0"
        await eventually(lambda: is_counted(db, attempted, 1), within=40, what="one attempt for the first of the key")

        for row, reason in ((first, "sent by mistake"), (other, "  not ours  ")):
            assert await ask(db, cluster, "discard", str(row["id"]), "--reason", reason) == {"discarded": row["id"]}
        given_up = {row["id"]: row for row in await ask(db, cluster, "parked", "--state", "discarded")}
        assert {number: row["ended_because"] for number, row in given_up.items()} == {
            first["id"]: "sent by mistake",
            other["id"]: "not ours",
        }
        assert all(row["ended_at"] and row["next_attempt_at"] is None for row in given_up.values())
        code, said = await say(db, cluster, "discard", str(first["id"]), "--reason", "once more")
        assert (code, "no waiting message has the number" in said) == (1, True)
        free = "SELECT count(*) FROM runtime.blocked_keys WHERE key = 'two'"
        await eventually(lambda: is_counted(db, free, 0), within=40, what="the key is free when nothing waits for it")
    assert [row["id"] for row in await ask(db, cluster, "parked")] == [second["id"]], "behind it the next one waits"


async def test_a_key_that_cannot_be_sent_is_listed_and_released(database: Make, cluster: Cluster) -> None:
    db = await database("tickets")
    async with db.connect(OWNER) as connection:
        await connection.execute(
            "INSERT INTO runtime.blocked_rows (topic, key, position, problem, found_at) "
            "VALUES ('desk.tickets.v1', 'one', 1, 'MessageSizeTooLarge', '2026-01-01')"
        )
    (held,) = (await ask(db, cluster, "backlog"))["blocked_rows"]
    assert (held["topic"], held["key"], held["problem"]) == ("desk.tickets.v1", "one", "MessageSizeTooLarge")
    assert await ask(db, cluster, "release", "desk.tickets.v1", "one") == {"topic": "desk.tickets.v1", "key": "one"}
    assert (await ask(db, cluster, "backlog"))["blocked_rows"] == []


async def test_what_was_parked_long_ago_is_erased_and_its_line_stays(database: Make, cluster: Cluster) -> None:
    """It may be personal; what became of it is not."""
    db = await database("tickets")
    await park_three(db, cluster)
    first, second, other = await ask(db, cluster, "parked")
    for row in (first, second):
        await ask(db, cluster, "discard", str(row["id"]), "--reason", "not ours")
    ended = timedelta(days=31)
    async with db.begin() as tx:
        await tx.execute(
            sql("UPDATE runtime.parked SET ended_at = :at WHERE id = :id"),
            {"at": clock.now() - ended, "id": first["id"]},
        )
        assert await pruning.erase_payloads(tx, clock.now(), keep=PAYLOADS_KEPT) == 1
        assert await pruning.erase_payloads(tx, clock.now(), keep=PAYLOADS_KEPT) == 0
    shown = await ask(db, cluster, "show", str(first["id"]))
    assert {shown[name] for name in ("value", "raw_key", "headers")} == {"erased"}
    assert (shown["state"], shown["ended_because"], shown["key"]) == ("discarded", "not ours", first["key"])
    # What ended lately, and what waits, is kept whole.
    for row in (second, other):
        assert (await ask(db, cluster, "show", str(row["id"])))["value"] == '{"no": "clock"}'
    left = "SELECT count(*) FROM runtime.parked WHERE value IS NULL AND raw_key IS NULL AND headers = '[]'"
    assert await db.count(left) == 1


async def test_a_stopped_consumer_is_told_by_lag_and_decided_by_commands(database: Make, cluster: Cluster) -> None:
    db = await database("sla")
    topic, type_name = "desk.tickets.v1", "desk.ticket.opened.v1"
    async with db.connect() as connection:
        await connection.execute("INSERT INTO runtime.offsets VALUES ($1, 0, 60), ($1, 1, 7)", topic)
        await connection.execute("INSERT INTO runtime.refused_logs VALUES ($1, 0, 60, 'why', 'shows', now())", topic)
        await connection.execute("INSERT INTO runtime.skipped_types VALUES ($1, 1, $2, 3, now())", topic, type_name)

    async def said(*words: str) -> Any:
        code, output = await say(db, cluster, *words, service="sla")
        assert code == 0, output
        return json.loads(output)

    (row,) = await said("lag")
    assert [one["why"] for one in row["refused"]] == ["why"]
    assert [(one["type"], one["first_offset"]) for one in row["passed_over"]] == [(type_name, 3)]
    late = {"topic": topic, "partition": 1, "stood_at": 7, "reads_from": 3}
    assert await said("replay", type_name, "--dry-run") == {"type": type_name, "done": False, "partitions": [late]}
    again = [{**late, "reads_from": 0}, {**late, "partition": 0, "stood_at": 60, "reads_from": 0}]
    told = await said("adopt-log", topic, "--dry-run")
    assert (told["done"], sorted(told["partitions"], key=lambda one: -one["partition"])) == (False, again)
    assert (await said("accept-skipped", type_name, "--reason", "told by hand"))["accepted"] == [
        {"topic": topic, "partition": 1}
    ]
    assert (await said("adopt-log", topic))["done"] is True
    assert await said("accept", topic, "--keys", "5", "--reason", "seen") == {"topic": topic, "keys": 5}
    (row,) = await said("lag")
    assert not {"refused", "passed_over", "halted"} & set(row)
    assert row["allowed_keys"] == 5
    for words, expected in (
        (("adopt-log", "desk.sla.v1"), "does not read desk.sla.v1"),
        (("replay", type_name), "nothing of desk.ticket.opened.v1 was passed over"),
        (("replay", "desk.nothing.known.v1"), "does not react to desk.nothing.known.v1"),
        (("accept", "desk.sla.v1", "--keys", "1", "--reason", "why"), "does not read desk.sla.v1"),
        (("accept-skipped", type_name, "--reason", " x "), "say why the events are left out"),
    ):
        code, output = await say(db, cluster, *words, service="sla")
        assert (code, expected in output, len(output.splitlines())) == (1, True, 1), output


async def test_the_leader_and_who_stands_by_are_told(database: Make, cluster: Cluster) -> None:
    db = await database("tickets")
    async with started("tickets", "relay", db, cluster), started("tickets", "relay", db, cluster):

        async def both() -> Any:
            told = await ask(db, cluster, "leader")
            return told if told["leader"] and told["standing_by"] == 1 else None

        told = await eventually(both, within=40, what="a leader and one that stands by")
    assert told["leader"]["application_name"] == "tickets relay"
