"""Size, names and the roles of functions: what lets a reader complete the path instead of searching."""

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
    modules_of_tests,
    must_hold,
    product,
    snippet,
)

LONGEST_FILE = 400
LONGEST_FUNCTION = 40
EMPTY_NAMES = {"util", "utils", "helper", "helpers", "common", "base", "misc", "manager", "managers", "core"}
MARKS = {"reacts_to", "projects"}
SLEEPS = {"time.sleep", "asyncio.sleep", "sleep"}
SKIPS = {
    "pytest.skip", "pytest.importorskip", "pytest.mark.skip", "pytest.mark.skipif", "pytest.mark.xfail",
}  # fmt: skip


def opens_with_its_role(module: Module) -> Violations:
    """The first line tells whether to read on."""
    lines = (ast.get_docstring(module.tree) or "").splitlines()
    if not lines or not lines[0].strip():
        yield 1, "the module opens with a line that says its role"
    elif len(lines) > 1 and lines[1].strip():
        yield 2, "the role is said in one line; more follows after an empty one"


def stays_short(module: Module) -> Violations:
    """What does not fit on a few screens is two things."""
    if module.is_migration:
        return
    length = len(module.text.splitlines())
    if length > LONGEST_FILE:
        yield 1, f"{length} lines: make it a package of the same name"
    for function in functions(module.tree):
        spoken = ast.get_docstring(function, clean=False)
        size = (function.end_lineno or 0) - function.lineno + 1 - (len(spoken.splitlines()) if spoken else 0)
        if size > LONGEST_FUNCTION:
            yield function.lineno, f"{function.name} has {size} lines, {LONGEST_FUNCTION} is the stop"


def names_say_something(module: Module) -> Violations:
    """A drawer called utils collects what nobody finds again."""
    for part in module.name.split("."):
        if empty := EMPTY_NAMES & set(part.split("_")):
            yield 1, f"a module called {part} says nothing: {', '.join(sorted(empty))}"
    for node in module.nodes():
        if isinstance(node, ast.ClassDef) and re.search(r"(Manager|Helper|Utils?|Common)$", node.name):
            yield node.lineno, f"a class called {node.name} does not say what it is"


def every_subscriber_is_a_reaction(module: Module) -> Violations:
    """The file is the table of what the service reacts to; anything else in it would hide there.

    The one exception is a private function with which several reactions end.
    """
    if not module.in_service or module.role != "subscribers":
        return
    for function in top_functions(module):
        reacting = any(called(mark).rpartition(".")[2] in MARKS for mark in function.decorator_list)
        shared_end = function.name.startswith("_") and callers(module, function.name) > 1
        if not (reacting or shared_end) or not isinstance(function, ast.AsyncFunctionDef):
            yield function.lineno, f"{function.name} is no reaction: @reacts_to(...) or @projects(...) async def"
        if re.search(r"^(on|handle|process)_|_(handler|callback)$", function.name) or "_" not in function.name:
            yield function.lineno, f"{function.name} does not name the reaction: verb and noun"
        if [argument.arg for argument in function.args.args][:1] != ["tx"]:
            yield function.lineno, f"{function.name} takes the transaction first, as tx"


def top_functions(module: Module) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    """The functions that the module defines itself, not those inside others."""
    return [node for node in module.tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def callers(module: Module, name: str) -> int:
    """How many functions of the module call one."""
    return sum(any(called(node) == name for node in ast.walk(function)) for function in top_functions(module))


def every_command_takes_transaction_and_cause(module: Module) -> Violations:
    """An action that cannot say who did it, when and why leaves a hole in the history.

    A command over a sequence finds a cause in each of its elements; one that time starts takes `now`.
    """
    if not module.in_service or module.role != "commands":
        return
    for function in top_functions(module):
        if function.name.startswith("_"):
            continue
        if not isinstance(function, ast.AsyncFunctionDef) or not is_told_why(function):
            yield function.lineno, f"async def {function.name}(tx, cause or a sequence or now, ...): every command"
        # `load` is named as the subcommand that it serves: python -m <service> load FILE.
        if "_" not in function.name and function.name != "load":
            yield function.lineno, f"{function.name}: a command is a verb and a noun"


def is_told_why(function: ast.AsyncFunctionDef) -> bool:
    """Whether a command takes the transaction, and then its cause, a sequence that carries causes, or the instant."""
    arguments = function.args.args
    if len(arguments) < 2 or arguments[0].arg != "tx":
        return False
    annotation = ast.unparse(arguments[1].annotation) if arguments[1].annotation else ""
    return arguments[1].arg in {"cause", "now"} or annotation.startswith("Sequence[")


def names_of_tests_are_sentences(module: Module) -> Violations:
    """A failing test must say what is no longer true."""
    for function in functions(module.tree):
        if function.name.startswith("test_") and function.name.count("_") < 3:
            yield function.lineno, f"{function.name} is not a sentence"


def no_sleep_and_no_skip(module: Module) -> Violations:
    """A sleep hopes, `eventually()` knows; and what was skipped silently was not tested.

    A sleep is permitted where its length is the case itself (an outage that lasts): a comment on its line says so.
    """
    if module.is_in("tests.support") or module.name.endswith("conftest"):
        return
    lines = module.text.splitlines()
    for node in module.nodes():
        if not isinstance(node, ast.Call | ast.Attribute):
            continue
        bare = isinstance(node, ast.Call) and bool(node.args) and ast.unparse(node.args[0]) != "0"
        if bare and called(node) in SLEEPS and "#" not in lines[node.lineno - 1]:
            yield node.lineno, f"{called(node)}(): wait with eventually(), or say why this long"
        if chain(node) in SKIPS:
            yield node.lineno, f"{chain(node)}: a tier that cannot run is told by the summary, never by a test"


EVERYWHERE: list[Rule] = [opens_with_its_role, stays_short, names_say_something]
IN_THE_PRODUCT: list[Rule] = [every_subscriber_is_a_reaction, every_command_takes_transaction_and_cause]
IN_THE_TESTS: list[Rule] = [names_of_tests_are_sentences, no_sleep_and_no_skip]


@pytest.mark.parametrize("rule", EVERYWHERE, ids=lambda rule: rule.__name__)
def test_product_and_tests_obey_the_rule(rule: Rule) -> None:
    must_hold(rule, [*product(), *modules_of_tests()])


@pytest.mark.parametrize("rule", IN_THE_PRODUCT, ids=lambda rule: rule.__name__)
def test_the_product_obeys_the_rule(rule: Rule) -> None:
    must_hold(rule, product())


@pytest.mark.parametrize("rule", IN_THE_TESTS, ids=lambda rule: rule.__name__)
def test_the_tests_obey_the_rule(rule: Rule) -> None:
    must_hold(rule, modules_of_tests())


TWO_REACTIONS = """
@reacts_to(SlaClockMet)
async def show_met_clock(tx, event):
    await _show_clock(tx, event)

@reacts_to(SlaClockStopped)
async def show_stopped_clock(tx, event):
    await _show_clock(tx, event)

async def _show_clock(tx, event): pass
"""
LONG_FUNCTION = "def f():\n" + "    pass\n" * 40
LONG_DOCSTRING = 'def f():\n    """' + "Why.\n" * 40 + '"""\n'


@pytest.mark.parametrize(
    ("rule", "name", "text"),
    [
        (opens_with_its_role, "tickets.api", "import ast"),
        (opens_with_its_role, "tickets.api", '""""""'),
        (opens_with_its_role, "tickets.api", '"""One line that\ngoes on."""'),
        (stays_short, "tickets.api", "\n" * 401),
        (stays_short, "tickets.api", LONG_FUNCTION),
        (names_say_something, "tickets.utils", ""),
        (names_say_something, "shared.db.date_helpers", ""),
        (names_say_something, "tickets.common.text", ""),
        (names_say_something, "tickets.repository", "class TicketManager: pass"),
        (every_subscriber_is_a_reaction, "sla.subscribers", "def start_clocks(tx, event): pass"),
        (every_subscriber_is_a_reaction, "sla.subscribers", "async def _elapsed_seconds(tx, event): pass"),
        (
            every_subscriber_is_a_reaction,
            "sla.subscribers",
            "@reacts_to(E)\nasync def on_ticket_opened(tx, event): pass",
        ),
        (every_subscriber_is_a_reaction, "sla.subscribers", "@reacts_to(E)\nasync def start_clocks(event): pass"),
        (every_command_takes_transaction_and_cause, "sla.commands", "async def start_clocks(tx, request): pass"),
        (every_command_takes_transaction_and_cause, "sla.commands", "def start_clocks(tx, cause, request): pass"),
        (every_command_takes_transaction_and_cause, "sla.commands", "async def start(tx, cause, request): pass"),
        (names_of_tests_are_sentences, "tests.sla.test_api", "def test_api(): pass"),
        (no_sleep_and_no_skip, "tests.sla.test_api", "import time\ntime.sleep(1)"),
        (no_sleep_and_no_skip, "tests.sla.test_api", "async def f():\n    await asyncio.sleep(0.2)"),
        (no_sleep_and_no_skip, "tests.sla.test_api", "@pytest.mark.skip\ndef f(): pass"),
        (no_sleep_and_no_skip, "tests.sla.test_api", "pytest.skip('no Kafka')"),
    ],
)
def test_a_violation_is_seen(rule: Rule, name: str, text: str) -> None:
    assert len(broken(rule, [snippet(name, text)])) == 1


@pytest.mark.parametrize(
    ("rule", "name", "text"),
    [
        (opens_with_its_role, "tickets.api", '"""What it is for.\n\nAnd why."""'),
        (stays_short, "tickets.migrations.versions.first", "\n" * 401),
        (stays_short, "tickets.api", LONG_DOCSTRING),
        (names_say_something, "runner.database", "class BaseModelReader: pass"),
        (
            every_subscriber_is_a_reaction,
            "sla.subscribers",
            "@reacts_to(E, many=True)\nasync def start_clocks(tx, events): pass",
        ),
        (every_command_takes_transaction_and_cause, "sla.commands", "async def start_clocks(tx, cause, opened): pass"),
        (
            every_command_takes_transaction_and_cause,
            "sla.commands",
            "async def start_clocks(tx, run: Sequence[Received[E]]): pass",
        ),
        (every_command_takes_transaction_and_cause, "sla.commands", "def _due(started): pass"),
        (every_subscriber_is_a_reaction, "sla.subscribers", TWO_REACTIONS),
        (no_sleep_and_no_skip, "tests.sla.test_api", "time.sleep(4)  # the outage itself"),
        (names_of_tests_are_sentences, "tests.sla.test_api", "def test_a_closed_ticket_stays_closed(): pass"),
        (no_sleep_and_no_skip, "tests.sla.test_api", "async def f():\n    await asyncio.sleep(0)"),
        (no_sleep_and_no_skip, "tests.support.waiting", "time.sleep(0.05)"),
    ],
)
def test_what_is_permitted_passes(rule: Rule, name: str, text: str) -> None:
    assert broken(rule, [snippet(name, text)]) == []
