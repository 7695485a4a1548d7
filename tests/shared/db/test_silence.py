"""A path to the database that fell silent: every wait has an end, and the pool goes on as soon as there is a way."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import asyncpg
import pytest

from shared.db.engine import Engine, direct_connection, make_engine
from shared.db.failures import is_transient, state_of
from shared.db.statement import query, sql
from shared.db.transaction import CommitUnanswered, begin
from tests.support.databases import CHECKOUT, Database
from tests.support.eventually import eventually
from tests.support.proxy import Proxy, path_to

Make = Callable[[str], Awaitable[Database]]
ONE = query("SELECT 1")
STATEMENT_SECONDS = 1.0
# The statement's own time, the margin of the client, and whatever a busy machine adds.
ANSWERED_WITHIN = 8.0
pytestmark = pytest.mark.timeout(90)


@pytest.fixture
async def db(database: Make) -> Database:
    made = await database("runtime")
    async with made.connect("test_owner") as owner:
        await owner.execute("CREATE TABLE public.things (id int PRIMARY KEY)")
        await owner.execute("GRANT SELECT, INSERT ON public.things TO test_serving")
    return made


@pytest.fixture
async def path(db: Database) -> AsyncIterator[Proxy]:
    async with path_to(db.url) as proxy:
        yield proxy


@pytest.fixture
async def engine(db: Database, path: Proxy) -> AsyncIterator[Engine]:
    made = make_engine(path.url(db.url), application="silent", pool_size=2, statement_seconds=STATEMENT_SECONDS)
    yield made
    path.thaw()
    await made.dispose()


async def ask(engine: Engine) -> int:
    async with engine.connect() as reader:
        return int(await reader.fetch_value(ONE))


async def seconds_until_failure(work: Awaitable[object]) -> float:
    """How long it took to fail in a way that the same work may survive; it must not take for ever."""
    began = time.monotonic()
    with pytest.raises(Exception) as failed:  # noqa: PT011  which of its errors the driver raises depends on the step
        await asyncio.wait_for(work, 60)
    took = time.monotonic() - began
    assert is_transient(failed.value), repr(failed.value)
    assert took < ANSWERED_WITHIN, f"{took:.1f} s"
    return took


async def insert(engine: Engine, number: int, before_the_end: Callable[[], None]) -> None:
    async with begin(engine, lambda: None) as tx:
        await tx.execute(sql("INSERT INTO public.things VALUES (:id)"), {"id": number})
        before_the_end()


async def test_a_statement_that_nobody_answers_has_an_end_and_the_pool_goes_on(engine: Engine, path: Proxy) -> None:
    await asyncio.gather(ask(engine), ask(engine))
    path.freeze()
    took = await asyncio.gather(*[seconds_until_failure(ask(engine)) for _ in range(2)])
    assert min(took) >= STATEMENT_SECONDS
    path.thaw()
    assert await asyncio.wait_for(asyncio.gather(*[ask(engine) for _ in range(4)]), ANSWERED_WITHIN) == [1] * 4


async def test_a_connection_that_cannot_be_made_over_a_silent_path_has_an_end(engine: Engine, path: Proxy) -> None:
    path.freeze()
    await seconds_until_failure(ask(engine))
    path.thaw()
    assert await ask(engine) == 1


async def test_a_new_connection_that_falls_silent_while_it_is_prepared_has_an_end(
    engine: Engine, path: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pool prepares what it makes; it is silent just then, and for longer than a caller waits for a loan."""
    monkeypatch.setattr("shared.db.engine.LEND_SECONDS", 0.5)
    prepare = asyncpg.Connection.set_type_codec

    async def silently(self: asyncpg.Connection, *names: object, **options: object) -> None:
        path.freeze()
        await prepare(self, *names, **options)

    monkeypatch.setattr(asyncpg.Connection, "set_type_codec", silently)
    await seconds_until_failure(ask(engine))
    monkeypatch.undo()
    path.thaw()
    assert await ask(engine) == 1


async def test_a_begin_that_nobody_answers_has_an_end(engine: Engine, path: Proxy) -> None:
    await ask(engine)
    path.freeze()
    await seconds_until_failure(insert(engine, 1, lambda: None))


async def test_a_rollback_that_nobody_answers_has_an_end(engine: Engine, path: Proxy, db: Database) -> None:
    class GaveUp(ConnectionError):
        """What the work itself raised; the rollback's failure does not hide it."""

    def give_up() -> None:
        path.freeze()
        raise GaveUp

    await seconds_until_failure(insert(engine, 1, give_up))
    path.thaw()
    assert await ask(engine) == 1
    assert await db.count("SELECT count(*) FROM public.things") == 0


@pytest.mark.parametrize("begun", [True, False], ids=["COMMIT", "the one statement that is a transaction"])
async def test_a_commit_whose_answer_is_lost_says_that_nobody_knows(
    engine: Engine, path: Proxy, db: Database, begun: bool
) -> None:
    async def work(number: int, before_the_end: Callable[[], None]) -> None:
        async with begin(engine, lambda: None) as tx:
            await tx.fetch_value(ONE)
            change = tx.execute if begun else tx.write
            await change(sql("INSERT INTO public.things VALUES (:id)"), {"id": number})
            before_the_end()

    # Once before, so that the statement is prepared and only its execution is left.
    await work(1, lambda: None)
    began = time.monotonic()
    with pytest.raises(CommitUnanswered) as unanswered:
        await work(2, path.hold_answers)
    assert time.monotonic() - began < ANSWERED_WITHIN
    assert is_transient(unanswered.value)
    # It was: PostgreSQL had said so, and nobody heard it.
    assert await db.count("SELECT count(*) FROM public.things") == 2
    path.thaw()
    assert await ask(engine) == 1


async def test_a_commit_that_the_server_refuses_is_no_such_case(engine: Engine, db: Database) -> None:
    async with db.connect("test_owner") as owner:
        await owner.execute("ALTER TABLE public.things ADD UNIQUE (id) DEFERRABLE INITIALLY DEFERRED")
        await owner.execute("ALTER TABLE public.things DROP CONSTRAINT things_pkey")
        await owner.execute("INSERT INTO public.things VALUES (1)")
    with pytest.raises(asyncpg.UniqueViolationError):
        await insert(engine, 1, lambda: None)


async def test_a_caller_that_gives_up_over_a_silent_path_is_let_go_at_once(engine: Engine, path: Proxy) -> None:
    """As readiness does after two seconds: the driver would first ask the server, over the same path, to stop."""
    await ask(engine)
    path.freeze()
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await ask(engine)
    assert time.monotonic() - began < STATEMENT_SECONDS


async def test_a_statement_whose_caller_gave_up_ends_on_the_server_too(db: Database) -> None:
    engine = make_engine(db.url, application="gave up", pool_size=1)
    running = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'gave up' AND state = 'active'"

    async def sleep_long() -> None:
        async with begin(engine, lambda: None) as tx:
            await tx.execute(sql("SELECT pg_sleep(25)"))

    async def ended() -> bool:
        return await db.count(running) == 0

    try:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(sleep_long(), 0.2)
        await eventually(ended, within=15, what="the server notices that nobody waits")
        assert await ask(engine) == 1
    finally:
        await engine.dispose()


async def test_a_slow_statement_is_ended_by_the_server_before_the_client_loses_patience(db: Database) -> None:
    engine = make_engine(db.url, application="slow", pool_size=1, statement_seconds=0.5)
    try:
        with pytest.raises(asyncpg.QueryCanceledError) as ended:
            async with begin(engine, lambda: None) as tx:
                await tx.execute(sql("SELECT pg_sleep(20)"))
        assert state_of(ended.value) == "57014"
    finally:
        await engine.dispose()


async def test_a_connection_outside_the_pool_has_an_end_too(db: Database, path: Proxy) -> None:
    async def work() -> None:
        async with direct_connection(path.url(db.url), application="direct", statement_seconds=1.0) as connection:
            await connection.fetchval("SELECT 1")
            path.freeze()
            await connection.fetchval("SELECT 1")

    await seconds_until_failure(work())


OPTIONS = """
import asyncio, socket, sys
from shared.db.engine import direct_connection, make_engine

def told(connection):
    one = connection._transport.get_extra_info("socket")
    return [one.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) != 0] + [
        one.getsockopt(socket.IPPROTO_TCP, name) > 0 and one.getsockopt(socket.IPPROTO_TCP, name)
        for name in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_USER_TIMEOUT)
    ]

async def main():
    engine = make_engine(sys.argv[1], application="options", pool_size=1)
    async with engine.lend() as lent:
        print(told(lent))
    await engine.dispose()
    async with direct_connection(sys.argv[1], application="options") as direct:
        print(told(direct))

if sys.argv[2] == "uvloop":
    import uvloop
    uvloop.run(main())
else:
    asyncio.run(main())
"""


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
async def test_the_sockets_ask_whether_the_other_end_is_there(db: Database, loop: str) -> None:
    """Where packets vanish the kernel finds out, before and beside every statement's own time."""
    asked = await asyncio.create_subprocess_exec(
        sys.executable, "-c", OPTIONS, db.url, loop, cwd=CHECKOUT, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await asked.communicate()
    assert output.decode().splitlines() == ["[True, 10, 5, 20000]"] * 2
