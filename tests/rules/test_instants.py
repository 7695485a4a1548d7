"""Whatever changes something that others change too is dated under its lock, after everything before it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest

from tests.rules.source import Module, Rule, Violations, broken, called, functions, must_hold, product, snippet

STAMP = "under_lock"
LOCK = re.compile(r"\bFOR\s+(?:NO\s+KEY\s+)?UPDATE\b", re.IGNORECASE)
# How a function of a repository is called that locks what it answers.
LOCKING = re.compile(r"(^|_)(load|lock|claim)_")
BACKWARDS = re.compile(r"\bchanged_at\s*=\s*excluded\.changed_at\b", re.IGNORECASE)

# What is locked without being dated by its own lock, and why.
DATED_OTHERWISE = {
    "load_in_use": "it locks nothing",
    "load_around_modules": "it locks the products; a module's instants grow in the statement that stores it",
    "load_around_installations": "it locks the clients; the same of an installation's",
    "lock_teams": "it keeps others from recording teams; a record's instants grow in the statement that stores it",
    "lock_schemes": "it keeps others from recording schemes of urgency; the same of a scheme's",
    "add_facts_and_lock_clocks": "a clock is dated by the facts of its ticket",
    "lock_clock": "the same of one that is folded anew",
    "claim_due": "what time does is dated when it was due",
}


def what_locks_says_so(module: Module) -> Violations:
    """A function of a repository that locks rows is called load_, lock_ or claim_, so that its callers know."""
    if not (module.in_service and module.role == "repository"):
        return
    locks = {name for name, text in _constants(module) if LOCK.search(text)}
    for function in functions(module.tree):
        used = {node.id for node in ast.walk(function) if isinstance(node, ast.Name)}
        if used & locks and not LOCKING.search(function.name):
            yield function.lineno, f"{function.name} locks rows: call it load_, lock_ or claim_"


def commands_date_what_they_change_under_its_lock(module: Module) -> Violations:
    """An instant that was read before the lock may lie before that of somebody who had the lock meanwhile."""
    if not (module.in_service and module.role == "commands"):
        return
    for function in functions(module.tree):
        calls = [(node.lineno, called(node)) for node in ast.walk(function) if isinstance(node, ast.Call)]
        locked = [(line, name) for line, name in calls if _locks(name)]
        stamped = [line for line, name in calls if name.rpartition(".")[2] == STAMP]
        if locked and not any(line > locked[0][0] for line in stamped):
            yield locked[0][0], f"{locked[0][1]}() without {STAMP}() after it"


def a_stored_instant_never_goes_back(module: Module) -> Violations:
    """Where a statement stores and locks in one, the row's own instant is the least that the next one may be."""
    if not (module.in_service and module.role == "repository"):
        return
    for node in module.nodes():
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and BACKWARDS.search(node.value):
            yield node.lineno, "changed_at = greatest(excluded.changed_at, that of the row and a microsecond)"


def _locks(name: str) -> bool:
    owner, _, function = name.rpartition(".")
    return bool(owner) and bool(LOCKING.search(function)) and function not in DATED_OTHERWISE


def _constants(module: Module) -> Iterator[tuple[str, str]]:
    for node in module.tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            yield node.targets[0].id, ast.unparse(node.value)


RULES: list[Rule] = [
    what_locks_says_so,
    commands_date_what_they_change_under_its_lock,
    a_stored_instant_never_goes_back,
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_source_obeys_the_rule(rule: Rule) -> None:
    must_hold(rule, product())


def test_every_exception_still_exists() -> None:
    defined = {function.name for module in product() if module.in_service for function in functions(module.tree)}
    assert set(DATED_OTHERWISE) <= defined


_LOADS = "    ticket = await repository.load_ticket(tx, id)\n"
_STAMPS = "    cause = under_lock(cause, ticket.last_fact_at)\n"


@pytest.mark.parametrize(
    ("rule", "name", "text"),
    [
        (
            what_locks_says_so,
            "tickets.repository",
            '_LOAD = sql(f"SELECT {X} FROM t FOR UPDATE")\nasync def ticket(tx):\n    return await tx.fetch(_LOAD)',
        ),
        (
            what_locks_says_so,
            "sla.repository.clocks",
            '_LOAD = sql("SELECT 1 FOR NO KEY UPDATE OF t")\nasync def read_it(tx):\n    return await tx.fetch(_LOAD)',
        ),
        (commands_date_what_they_change_under_its_lock, "tickets.commands", f"async def f(tx, cause):\n{_LOADS}"),
        (
            commands_date_what_they_change_under_its_lock,
            "tickets.commands",
            f"async def f(tx, cause):\n{_STAMPS}{_LOADS}",
        ),
        (
            commands_date_what_they_change_under_its_lock,
            "tickets.commands.tickets",
            "async def f(tx, cause):\n    types = await rows.lock_types(tx)\n    await rows.store(tx, types, cause)",
        ),
        (
            a_stored_instant_never_goes_back,
            "inventory.repository",
            '_STORE = sql("ON CONFLICT (id) DO UPDATE SET changed_at = excluded.changed_at")',
        ),
    ],
)
def test_a_violation_is_seen(rule: Rule, name: str, text: str) -> None:
    assert len(broken(rule, [snippet(name, text)])) == 1


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "tickets.repository",
            '_LOAD = sql("SELECT 1 FOR UPDATE")\nasync def load_ticket(tx):\n    return await tx.fetch(_LOAD)',
        ),
        ("tickets.commands", f"async def f(tx, cause):\n{_LOADS}{_STAMPS}"),
        ("inventory.commands", "async def f(tx):\n    return await repository.load_around_modules(tx)"),
        ("inventory.commands", "async def f(tx):\n    return await load_document(tx)"),
        ("tickets.queries", f"async def f(tx, cause):\n{_LOADS}"),
    ],
)
def test_what_obeys_is_left_alone(name: str, text: str) -> None:
    assert [told for rule in RULES for told in broken(rule, [snippet(name, text)])] == []
