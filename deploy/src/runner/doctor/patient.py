"""The installation as the doctor sees it: what runs and where its servers are. Nothing here changes anything."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from runner import control
from runner.installation import Installation, server_of
from runner.postgres import EmbeddedPostgres
from runner.processes import Identity, family_of, read_identity
from runner.status import Status


@dataclass
class Patient:
    """One installation, looked at once."""

    installation: Installation

    @cached_property
    def status(self) -> Status | None:
        """What its supervisor wrote last."""
        return control.look(self.installation)

    @property
    def running(self) -> bool:
        """Whether its supervisor runs, so that everything else should."""
        return self.status is not None and self.status.current()

    @property
    def settled(self) -> bool:
        """Whether it runs and has come up: before that, what is not ready is only late."""
        return self.running and self.status is not None and self.status.state in ("ready", "degraded")

    @property
    def has_postgres(self) -> bool:
        """Whether its PostgreSQL should answer now."""
        return self.running or self.installation.postgres_url is not None

    @property
    def has_kafka(self) -> bool:
        """Whether its broker should answer now."""
        return self.running or self.installation.kafka_bootstrap is not None

    @property
    def bootstrap(self) -> str:
        """The address of the broker."""
        return control.addresses_of(self.installation).kafka_bootstrap

    @property
    def admin_url(self) -> str | None:
        """The administrator's address of PostgreSQL; None before the embedded server was ever made."""
        at = self.installation
        if at.postgres_url or not (at.state / "postgres" / "password").exists():
            return at.postgres_url
        return EmbeddedPostgres(at.state / "postgres", at.ports["postgres"]).url

    def database_url(self, service: str) -> str | None:
        """The serving role's address of a service's database; None before its role was made."""
        at = self.installation
        if not (at.state / "passwords" / server_of(service)).exists():
            return None
        return control.addresses_of(at).database(at, service, server_of(service))

    @cached_property
    def own_pids(self) -> set[int]:
        """The pids of everything that this installation runs, or that a killed supervisor of it left running."""
        at = self.installation
        records = [
            *at.records.glob("*.json"),
            at.state / "kafka" / "process.json",
            at.state / "postgres" / "process.json",
        ]
        known: list[Identity | None] = [read_identity(Path(path)) for path in records]
        if self.status is not None:
            known += [self.status.supervisor, *(each.identity for each in self.status.processes)]
        return {member.pid for each in known if each is not None for member in family_of(each)}
