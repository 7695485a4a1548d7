"""`desk doctor`: what is missing, broken or unsafe on this machine and in this installation, and what to do."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import asdict

from rich.console import Console
from rich.markup import escape

from runner.doctor import machine, servers, services, setup
from runner.doctor.findings import Finding, ok, problem
from runner.doctor.patient import Patient
from runner.installation import SERVICES, Installation

_COLOURS = {"ok": "green", "warning": "yellow", "problem": "red"}


def examine(installation: Installation) -> list[Finding]:
    """Every check, in the order of what rests on what. Changes nothing."""
    patient = Patient(installation)
    found = [
        *_told("environment", lambda: _check_environment(patient)),
        *_told("python", lambda: machine.check_python(patient)),
        *_told("disk", lambda: machine.check_disk(patient)),
        *_told("state folder", lambda: machine.check_state_folder(patient)),
        *_told("secrets", lambda: machine.check_secrets(patient)),
        *_told("ports", lambda: machine.check_ports(patient)),
        *_told("caches", lambda: machine.check_caches(patient)),
        *_told("processes", lambda: services.check_processes(patient)),
    ]
    return [*found, *asyncio.run(_ask(patient))]


def main(installation: Installation, console: Console, *, as_json: bool, about_setup: bool = False) -> int:
    """Print a line for each check, or for each thing that day one lacks; the exit code, 1 when there is a problem."""
    findings = setup.examine(installation) if about_setup else examine(installation)
    broken = any(each.state == "problem" for each in findings)
    if as_json:
        report = {"healthy": not broken, "findings": [asdict(each) for each in findings]}
        print(json.dumps(report, indent=2, ensure_ascii=False))
        return int(broken)
    width = max(len(each.check) for each in findings)
    for each in findings:
        console.print(
            f"[{_COLOURS[each.state]}]{each.state:<7}[/] {escape(each.check):<{width}}  {escape(each.says)}"
            + (f" [bold]→ {escape(each.action)}[/bold]" if each.action else ""),
            soft_wrap=True,
        )
    counted = [f"{sum(each.state == state for each in findings)} {state}" for state in _COLOURS]
    console.print(f"\n{', '.join(counted)}")
    return int(broken)


def _check_environment(patient: Patient) -> Iterator[Finding]:
    if os.environ.get("DESK_ENV") == "production":
        yield problem(
            "environment",
            "DESK_ENV=production, and `desk` is for development",
            "deploy the services themselves; `python -m <service> config check` judges their settings",
        )
    else:
        at = patient.installation
        given = {"PostgreSQL": at.postgres_url, "Kafka": at.kafka_bootstrap, "the issuer": at.given_issuer}
        named = [name for name, address in given.items() if address]
        yield ok(
            "environment", f"development; given by address: {', '.join(named) or 'nothing, all servers are its own'}"
        )


def _told(name: str, check: Callable[[], Iterator[Finding]]) -> list[Finding]:
    """What a check says; one that fails itself must not silence the others."""
    found: list[Finding] = []
    try:
        found.extend(check())
    except Exception as error:
        found.append(_broken_check(name, error))
    return found


async def _asked(name: str, check: AsyncIterator[Finding]) -> list[Finding]:
    found: list[Finding] = []
    try:
        async for each in check:
            found.append(each)  # noqa: PERF401 what was said before a failure is kept
    except Exception as error:
        found.append(_broken_check(name, error))
    return found


def _broken_check(name: str, error: Exception) -> Finding:
    return problem(name, f"could not be looked at: {type(error).__name__}: {error}", "this is a fault of the doctor")


async def _ask(patient: Patient) -> list[Finding]:
    """The questions over the network, at the same time; their order is kept."""
    answers = await asyncio.gather(
        _asked("postgres", servers.check_postgres(patient)),
        _asked("kafka", servers.check_kafka(patient)),
        _asked("issuer", servers.check_issuer(patient)),
        *(_asked(service, services.check_service(patient, service)) for service in SERVICES),
    )
    return [finding for found in answers for finding in found]
