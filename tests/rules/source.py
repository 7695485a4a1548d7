"""The source as the rules see it: parsed modules of the members and of the tests, and snippets that stand for them."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
SERVICES = ("tickets", "sla", "inventory", "devlink")
FOLDERS = {
    "shared": ROOT / "shared",
    **{service: ROOT / "services" / service for service in SERVICES},
    "runner": ROOT / "deploy",
}


@dataclass(frozen=True)
class Module:
    """One Python file: its dotted name and its text."""

    name: str
    text: str
    path: str = "snippet.py"

    @cached_property
    def tree(self) -> ast.Module:
        """The parsed file."""
        return ast.parse(self.text)

    @property
    def member(self) -> str:
        """`tickets` of `tickets.domain.ticket`."""
        return self.name.split(".")[0]

    @property
    def role(self) -> str:
        """`domain` of `tickets.domain.ticket`; empty for the package itself."""
        return self.name.split(".")[1] if "." in self.name else ""

    @property
    def in_service(self) -> bool:
        """Whether it belongs to one of the services."""
        return self.member in SERVICES

    @property
    def is_migration(self) -> bool:
        """Whether it is a part of a database's history, which is never tidied."""
        return "migrations" in self.name.split(".")

    def is_in(self, *packages: str) -> bool:
        """Whether it is one of these modules or lies below one."""
        return any(self.name == package or self.name.startswith(f"{package}.") for package in packages)

    def nodes(self) -> Iterator[ast.AST]:
        """Every node of the file."""
        return ast.walk(self.tree)


# A rule yields the line and the reason of each violation in a module.
Violations = Iterator[tuple[int, str]]
Rule = Callable[[Module], Violations]


def dotted(path: Path, root: Path) -> str:
    """The import name of a file below a root."""
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@lru_cache(maxsize=1)
def product() -> tuple[Module, ...]:
    """All modules of the members."""
    return tuple(module for folder in FOLDERS.values() for module in _below(folder / "src", folder / "src"))


@lru_cache(maxsize=1)
def modules_of_tests() -> tuple[Module, ...]:
    """All modules of the tests."""
    return tuple(_below(ROOT / "tests", ROOT))


def _below(folder: Path, root: Path) -> Iterator[Module]:
    for path in sorted(folder.rglob("*.py")):
        yield Module(dotted(path, root), path.read_text(encoding="utf-8"), str(path.relative_to(ROOT)))


def broken(rule: Rule, modules: Iterable[Module]) -> list[str]:
    """The violations of a rule, each as `path:line: reason`."""
    return [f"{module.path}:{line}: {reason}" for module in modules for line, reason in rule(module)]


def must_hold(rule: Rule, modules: Iterable[Module]) -> None:
    """Fails with the reason of the rule and every violation, each as a place that an editor can open."""
    told = broken(rule, modules)
    assert not told, "\n".join([rule.__doc__ or rule.__name__, *told])


def snippet(name: str, text: str) -> Module:
    """A module that exists only in a test of a rule."""
    return Module(name, text)


def imports(module: Module) -> Iterator[tuple[int, str]]:
    """Line and full dotted name of everything that a module imports: `from a.b import c` is `a.b.c`."""
    for node in module.nodes():
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def below(name: str, *packages: str) -> bool:
    """Whether a dotted name is one of the packages or lies below one."""
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Every function at any depth."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def called(node: ast.AST) -> str:
    """The dotted name that a call calls, `datetime.now` of `datetime.now(UTC)`; empty for anything else."""
    if not isinstance(node, ast.Call):
        return ""
    return chain(node.func)


def chain(node: ast.AST) -> str:
    """The dotted name of an attribute chain; what is not a name at its start is left out: `.now` of `f().now`."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{chain(node.value)}.{node.attr}"
    return ""


@lru_cache(maxsize=1)
def committed_files() -> tuple[Path, ...]:
    """The files that are in the repository or about to be: whatever git does not ignore."""
    listed = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    return tuple(path for name in listed.stdout.split("\0") if name and (path := ROOT / name).is_file())
