"""Runs Schemathesis against a service as a program of its own, and counts what it did to each operation."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.databases import CHECKOUT

HOOKS = "tests.journeys.described"
# Left out, because they know only this product's statuses by other numbers or do not know its rules:
# `positive_data_acceptance` takes every 422 for a refusal of the form (the check of our own does not),
# `missing_required_header` does not know 428.
LEFT_OUT = "positive_data_acceptance,missing_required_header"
SEED = 20261124

Operation = tuple[str, str]


@dataclass
class Fuzzed:
    """What one run did: the answers to each operation by status, and what was found."""

    service: str
    persona: str
    code: int
    told: str
    answers: Mapping[Operation, Counter[int]]
    described: Mapping[Operation, str]

    def problems(self, *, at_least: int) -> list[str]:
        """What makes the run worthless: an operation that was called too seldom, or never let in."""
        found = []
        for operation in self.described:
            counted = self.answers.get(operation, Counter())
            if counted.total() < at_least:
                found.append(f"{self.service} {' '.join(operation)}: {counted.total()} calls")
            elif not any(200 <= status < 300 for status in counted):
                found.append(f"{self.service} {' '.join(operation)}: never done, {dict(counted)}")
        return found

    def table(self) -> str:
        """A line per operation."""
        lines = [f"{self.service} as {self.persona}"]
        for method, path in self.described:
            counted = self.answers.get((method, path), Counter())
            statuses = "  ".join(f"{status}: {count}" for status, count in sorted(counted.items()))
            lines.append(f"  {method:<5}{path:<36}{counted.total():>6}   {statuses}")
        others = sum((counted for each, counted in self.answers.items() if each not in self.described), Counter())
        lines.append(f"  {'other methods':<41}{others.total():>6}   {dict(others)}")
        return "\n".join(lines)


@dataclass
class Fuzzer:
    """One service under attack.

    `values` are what some parameters are taken from, by Schemathesis' name of each (`path.id`), and for one operation
    alone with its name before (`PUT /v1/modules/{id} path.id`).
    """

    service: str
    url: str
    persona: str
    token: str
    folder: Path
    values: Mapping[str, Sequence[str]] = field(default_factory=dict)
    # Tokens of others, for the operations that the persona may not do.
    others: Mapping[Operation, str] = field(default_factory=dict)

    async def run(self, document: Mapping[str, object], *, examples: int, phases: str) -> Fuzzed:
        """Calls every operation: about `examples` times at random, and each bound of each field once besides."""
        report = self.folder / f"{self.service}-{self.persona}.ndjson"
        config = self.folder / f"{self.service}-{self.persona}.toml"
        config.write_text(self._config(), encoding="utf-8")
        running = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "schemathesis.cli", "--no-color", "--config-file", str(config),
            "run", f"{self.url}/openapi.json", "--phases", phases, "--max-examples", str(examples),
            "--seed", str(SEED), "--generation-database", "none", "--no-shrink", "--continue-on-failure",
            "--checks", "all", "--exclude-checks", LEFT_OUT, "--request-timeout", "20",
            "--report", "ndjson", "--report-ndjson-path", str(report),
            env={**os.environ, "SCHEMATHESIS_HOOKS": HOOKS, **self._environment()},
            cwd=CHECKOUT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        try:
            output, _ = await running.communicate()
        finally:
            if running.returncode is None:
                running.kill()
        code = await running.wait()
        told = output.decode(errors="replace")
        return Fuzzed(self.service, self.persona, code, told, count(report), operations_of(document))

    def _environment(self) -> dict[str, str]:
        tokens = [self.token, *self.others.values()]
        return {f"FUZZ_TOKEN_{number}": token for number, token in enumerate(tokens)}

    def _config(self) -> str:
        # As TOML, of which JSON's texts and lists are a part. The tokens stand in the environment alone.
        lines = ["cache = { enabled = false }", 'headers = { Authorization = "Bearer ${FUZZ_TOKEN_0}" }']
        of_operations: dict[str, list[str]] = defaultdict(list)
        of_all = ["[parameters]"]
        for number, (name, values) in enumerate(self.values.items()):
            lines += [f"[dictionaries.d{number}]", f"values = {json.dumps(list(values))}"]
            operation, _, parameter = name.rpartition(" ")
            given = f'"{parameter}" = {{ dictionary = "d{number}", probability = 0.8 }}'
            if operation:
                of_operations[operation].append(f"parameters.{given}")
            else:
                of_all.append(given)
        for number, (method, path) in enumerate(self.others, 1):
            of_operations[f"{method} {path}"].append(f'headers.Authorization = "Bearer ${{FUZZ_TOKEN_{number}}}"')
        for name, given_lines in of_operations.items():
            of_all += ["[[operations]]", f'include-name = "{name}"', *given_lines]
        return "\n".join([*lines, *of_all]) + "\n"


def operations_of(document: Mapping[str, object]) -> dict[Operation, str]:
    """The operations of a description with the permission that each needs."""
    paths = document["paths"]
    assert isinstance(paths, dict)
    return {
        (method.upper(), path): operation["x-permission"]
        for path, methods in paths.items()
        for method, operation in methods.items()
    }


def count(report: Path) -> dict[Operation, Counter[int]]:
    """The statuses of every answer in a report of Schemathesis, by method and path."""
    counted: dict[Operation, Counter[int]] = defaultdict(Counter)
    for line in report.read_text(encoding="utf-8").splitlines():
        recorder = json.loads(line).get("ScenarioFinished", {}).get("recorder", {})
        for number, interaction in recorder.get("interactions", {}).items():
            case, answer = recorder["cases"][number]["value"], interaction.get("response")
            counted[case["method"], case["path"]][answer["status_code"] if answer else 0] += 1
    return dict(counted)
