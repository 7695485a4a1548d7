"""Edges own the transaction, the clock owns the time: nothing inside a service commits, or asks what time it is."""

from __future__ import annotations

import ast
import re

import pytest

from tests.rules.source import (
    Module,
    Rule,
    Violations,
    broken,
    called,
    chain,
    functions,
    imports,
    must_hold,
    product,
    snippet,
)

ENDS = {"begin", "begin_nested", "commit", "rollback", "transaction"}
OWNERS = (
    "shared.db",
    *(f"shared.messaging.{part}" for part in ("consumer", "courtesies", "batch", "relay", "parking")),
)
# The edges that are not messages: they open a transaction through `shared.db.transaction.begin` and nothing else.
EDGES = (
    "shared.jobs",
    "shared.errands",
    "shared.work_commands",
    "shared.cli",
    "shared.http",
    "shared.messaging",
    "shared.load",
    "shared.processes",
)

WALL_CLOCKS = {
    "datetime.now", "datetime.utcnow", "datetime.today", "date.today", "time.time", "time.time_ns", "time.localtime",
    "time.gmtime", "time.ctime", "time.strftime",
}  # fmt: skip
SQL_CLOCKS = re.compile(
    r"\b(now|clock_timestamp|statement_timestamp|transaction_timestamp|timeofday)\s*\(\s*\)"
    r"|\b(current_timestamp|current_date|current_time|localtimestamp)\b",
    re.IGNORECASE,
)
# Leases of the runtime, and the comparison of the two clocks.
COMPARERS = ("shared.messaging", "shared.db.server_clock")
RANDOM = re.compile(r"(^|\.)(uuid[1-8]|new_id|random|randint|choice|shuffle|token_hex|urandom)$")


def only_edges_end_transactions(module: Module) -> Violations:
    """A commit in the middle would publish half a decision; a reader must find the one place where it happens."""
    if module.member == "runner" or module.is_in(*OWNERS):
        return
    opener = {name for _, name in imports(module) if name == "shared.db.transaction.begin"}
    for node in module.nodes():
        name = called(node)
        if name == "begin" and opener and module.is_in(*EDGES):
            continue
        if name and (name == "begin" or ("." in name and name.rpartition(".")[2] in ENDS)):
            yield getattr(node, "lineno", 0), f"{name}() belongs to an edge"


def only_the_clock_reads_the_time(module: Module) -> Violations:
    """One place reads the time, so that a test, an import and a replay can tell it."""
    if module.is_in("shared.clock"):
        return
    for line, name in imports(module):
        if name in WALL_CLOCKS:
            yield line, f"{name}: take the instant of shared.clock"
    for node in module.nodes():
        if isinstance(node, ast.Attribute) and ".".join(chain(node).split(".")[-2:]) in WALL_CLOCKS:
            yield node.lineno, f"{chain(node)}: take the instant of shared.clock"


def docstrings(tree: ast.Module) -> set[int]:
    """The ids of the nodes that are docstrings."""
    owners = [node for node in ast.walk(tree) if isinstance(node, ast.Module | ast.ClassDef)]
    return {
        id(owner.body[0].value)
        for owner in [*owners, *functions(tree)]
        if owner.body and isinstance(owner.body[0], ast.Expr)
    }


def sql_never_reads_the_time(module: Module) -> Violations:
    """The instant is a bound parameter: the database's clock is another machine's, and no test can set it."""
    if not module.in_service and not (module.member == "shared" and not module.is_in(*COMPARERS)):
        return
    spoken = docstrings(module.tree)
    for node in module.nodes():
        text = node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""
        if id(node) not in spoken and (found := SQL_CLOCKS.search(text)):
            yield getattr(node, "lineno", 0), f"SQL reads the time: {found.group()}"
        if (
            isinstance(node, ast.Attribute)
            and SQL_CLOCKS.fullmatch(f"{node.attr}()")
            and chain(node.value).endswith("func")
        ):
            yield node.lineno, f"SQL reads the time: {chain(node)}"
        if isinstance(node, ast.Attribute) and chain(node).endswith(("func.current_timestamp", "func.current_date")):
            yield node.lineno, f"SQL reads the time: {chain(node)}"


def the_domain_neither_waits_nor_draws(module: Module) -> Violations:
    """Time, ids and chance are arguments of a rule: the same question always has the same answer."""
    if not (module.in_service and module.role == "domain") and not module.is_in("shared.business_time"):
        return
    for node in module.nodes():
        if isinstance(node, ast.AsyncFunctionDef | ast.Await):
            yield node.lineno, "the domain is synchronous"
        if RANDOM.search(called(node)):
            yield getattr(node, "lineno", 0), f"{called(node)}(): an id or a chance is an argument"


def transaction_dependencies_end_before_the_answer(module: Module) -> Violations:
    """Without scope="function" FastAPI commits after it has answered: a lost change would look like a success."""
    for node in module.nodes():
        if not isinstance(node, ast.Call) or chain(node.func).rpartition(".")[2] != "Depends" or not node.args:
            continue
        scope = next((word.value for word in node.keywords if word.arg == "scope"), None)
        in_time = isinstance(scope, ast.Constant) and scope.value == "function"
        if "transaction" in ast.unparse(node.args[0]).lower() and not in_time:
            yield node.lineno, 'a transaction needs Depends(..., scope="function")'


def nothing_is_partitioned_by_hash(module: Module) -> Violations:
    """Python salts hash() anew in every process: two of them would disagree about the owner of a key."""
    hashing = {id(node) for method in functions(module.tree) if method.name == "__hash__" for node in ast.walk(method)}
    for node in module.nodes():
        if called(node) == "hash" and id(node) not in hashing:
            yield getattr(node, "lineno", 0), "hash() differs between processes: use zlib.crc32"


RULES: list[Rule] = [
    only_edges_end_transactions,
    only_the_clock_reads_the_time,
    sql_never_reads_the_time,
    the_domain_neither_waits_nor_draws,
    transaction_dependencies_end_before_the_answer,
    nothing_is_partitioned_by_hash,
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_source_obeys_the_rule(rule: Rule) -> None:
    must_hold(rule, product())


@pytest.mark.parametrize(
    ("rule", "name", "text"),
    [
        (only_edges_end_transactions, "tickets.commands", "async def f(tx):\n    await tx.commit()"),
        (
            only_edges_end_transactions,
            "tickets.jobs",
            "async def f(engine):\n    async with engine.begin() as tx: pass",
        ),
        (only_edges_end_transactions, "tickets.projections", "async def f(tx):\n    await tx.rollback()"),
        (only_edges_end_transactions, "tickets.commands", "async def f(tx):\n    async with tx.begin_nested(): pass"),
        (only_edges_end_transactions, "tickets.jobs", "from shared.db.transaction import begin\nbegin(1)"),
        (
            only_edges_end_transactions,
            "shared.http.app",
            "async def f(engine):\n    async with engine.begin() as tx: pass",
        ),
        (only_the_clock_reads_the_time, "tickets.commands", "from datetime import datetime, UTC\ndatetime.now(UTC)"),
        (only_the_clock_reads_the_time, "tickets.commands", "import datetime as dt\ndt.datetime.utcnow()"),
        (only_the_clock_reads_the_time, "runner.demo", "import time\nstarted = time.time()"),
        (only_the_clock_reads_the_time, "runner.demo", "from time import time"),
        (only_the_clock_reads_the_time, "sla.domain.clock", "factory = datetime.date.today"),
        (sql_never_reads_the_time, "sla.repository", 'text("SELECT * FROM timers WHERE due_at <= now()")'),
        (sql_never_reads_the_time, "sla.tables", 'Column("at", server_default=text("CURRENT_TIMESTAMP"))'),
        (sql_never_reads_the_time, "sla.repository", "select(timers).where(timers.c.due_at < func.now())"),
        (sql_never_reads_the_time, "sla.repository", 'text(f"UPDATE {name} SET at = clock_timestamp ( )")'),
        (the_domain_neither_waits_nor_draws, "sla.domain.clock", "async def start(): pass"),
        (the_domain_neither_waits_nor_draws, "sla.domain.clock", "import uuid\nuuid.uuid4()"),
        (
            transaction_dependencies_end_before_the_answer,
            "shared.db.transaction",
            "Tx = Annotated[C, Depends(transaction)]",
        ),
        (
            transaction_dependencies_end_before_the_answer,
            "tickets.api",
            'Tx = Annotated[C, fastapi.Depends(db.transaction(1), scope="request")]',
        ),
        (nothing_is_partitioned_by_hash, "shared.messaging.relay", "partition = hash(key) % 12"),
    ],
)
def test_a_violation_is_seen(rule: Rule, name: str, text: str) -> None:
    assert len(broken(rule, [snippet(name, text)])) == 1


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "shared.jobs",
            "from shared.db.transaction import begin\nasync def f(e):\n    async with begin(e) as tx: pass",
        ),
        ("shared.messaging.consumer", "async def f(engine):\n    async with engine.begin() as tx: await tx.rollback()"),
        ("shared.clock", "from datetime import UTC, datetime\ndatetime.now(UTC)"),
        ("runner.demo", "import time\nstarted = time.monotonic()"),
        ("sla.commands", "from shared import clock\nat = clock.now()"),
        ("sla.repository", '"""Never now()."""\ndef f():\n    """Nor CURRENT_TIMESTAMP."""\ntext("due_at <= :now")'),
        (
            "tickets.api",
            'Tx = Annotated[C, Depends(transaction, scope="function")]\nUser = Annotated[U, Depends(user)]',
        ),
        ("tickets.domain.ticket", "class T:\n    def __hash__(self) -> int:\n        return hash(self.id)"),
    ],
)
def test_what_is_permitted_passes_every_rule(name: str, text: str) -> None:
    assert [told for rule in RULES for told in broken(rule, [snippet(name, text)])] == []
