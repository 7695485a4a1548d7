"""The session's servers, databases and topics. Only pytest's own process starts servers, never its xdist workers."""

from __future__ import annotations

import os
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from itertools import zip_longest
from pathlib import Path

import pytest
from hypothesis import settings

from runner import ports
from shared.contracts.topics import ALL_TOPICS, Topic
from shared.messaging.kafka import Cluster, admin
from shared.messaging.topics import create_topics
from shared.telemetry import logs
from sla.repository import known_calendars as sla_calendars
from tests.support import servers
from tests.support.databases import Database, fresh_database
from tickets.repository import calendars as tickets_calendars

# Folders whose tests need neither PostgreSQL nor Kafka: alone they start in no time.
WITHOUT_SERVERS = {"rules", "contracts", "domain", "business_time", "telemetry", "deploy", "containers", "mutation"}
# Folders whose tests start processes, brokers and whole installations.
LONGEST = {"journeys", "runner", "messaging"}
PARTITIONS = 3

# Leaves out what this machine cannot run, and says so in the summary.
pytest_plugins = ["tests.support.not_run"]

# How long an example takes says something of the machine and nothing of the product.
settings.register_profile("desk", deadline=None)
settings.load_profile("desk")

_servers: servers.Servers | None = None


def _need_servers(config: pytest.Config) -> bool:
    paths = [Path(argument.split("::")[0]) for argument in config.args]
    return not all(set(path.parts) & WITHOUT_SERVERS for path in paths)


def pytest_configure(config: pytest.Config) -> None:
    global _servers
    # As the product logs: structlog's own default draws every traceback with its locals, slowly and with personal data.
    logs.configure("test", "test", "warning")
    ports.FREE_RANGE = servers.ports_of_worker(ports.FREE_RANGE, getattr(config, "workerinput", None))
    if not hasattr(config, "workerinput") and not config.option.collectonly and _need_servers(config):
        _servers = servers.start()


def pytest_unconfigure(config: pytest.Config) -> None:
    if _servers is not None:
        _servers.stop()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One file of each folder in turn, those of the longest tests first: else they are all left for the end.

    A worker takes the next file when it is done with one; no two then start whole installations at the same time, and
    none is still at work when the others have nothing left.
    """
    folders: dict[Path, dict[Path, list[pytest.Item]]] = {}
    for item in items:
        folders.setdefault(item.path.parent, {}).setdefault(item.path, []).append(item)
    rest = sorted(folders, key=lambda folder: folder.name not in LONGEST)
    turns = zip_longest(*(folders[folder].values() for folder in rest), fillvalue=())
    items[:] = [item for turn in turns for file in turn for item in file]


def pytest_report_header(config: pytest.Config) -> str:
    return f"servers: {_servers.origin if _servers else 'none'}"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Says what ran on what; nothing is left out in silence."""
    terminalreporter.section("what this ran on")
    terminalreporter.write_line(_servers.origin if _servers else "no servers were needed")
    log = os.environ.get("DESK_INCIDENT_LOG")
    terminalreporter.write_line(f"incident log: {log if log else 'not run'}")


@pytest.fixture(scope="session")
def postgres_url() -> str:
    """The administrator's address of this session's PostgreSQL."""
    return os.environ["DESK_POSTGRES_URL"]


@pytest.fixture(scope="session")
def kafka_bootstrap() -> str:
    """The address of this session's broker."""
    return os.environ["DESK_KAFKA_BOOTSTRAP"]


@pytest.fixture
async def database(postgres_url: str) -> AsyncIterator[Callable[[str], Awaitable[Database]]]:
    """`await database("tickets")`: a database of this test's own, migrated and with its defaults."""
    async with AsyncExitStack() as stack:

        async def make(service: str) -> Database:
            # What this process knows of the calendars of another database.
            sla_calendars.forget()
            tickets_calendars.forget()
            return await stack.enter_async_context(fresh_database(postgres_url, service))

        yield make


@pytest.fixture
async def cluster(kafka_bootstrap: str) -> AsyncIterator[Cluster]:
    """This session's broker with topics of this test's own: three partitions, deleted afterwards."""
    made = Cluster(kafka_bootstrap, f"t{uuid.uuid4().hex[:8]}.")
    await make_topics(made)
    yield made
    await delete_topics(made)


async def make_topics(cluster: Cluster, topics: tuple[Topic, ...] = ALL_TOPICS) -> None:
    """The topics of the registry under the cluster's prefix."""
    await create_topics(cluster, topics, partitions=PARTITIONS)


async def delete_topics(cluster: Cluster) -> None:
    """Many partitions make a broker slow to restart, so nobody leaves any behind."""
    async with admin(cluster) as client:
        mine = [name for name in await client.list_topics() if name.startswith(cluster.prefix)]
        if mine:
            await client.delete_topics(mine)
