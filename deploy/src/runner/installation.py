"""One installation on this machine: its state folder, its ports, and what each process is told of them."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from runner import ports
from runner.errors import RunnerError
from runner.private_files import make_password, make_private_once

CHECKOUT = Path(__file__).resolve().parents[3]
SERVICES = ("tickets", "inventory", "sla", "devlink")
DEFAULT_PORT_BASE = 8400
_OFFSETS = {
    "tickets": 10,
    "inventory": 20,
    "sla": 30,
    "devlink": 40,
    "issuer": 90,
    "postgres": 95,
    "kafka": 96,
    "kafka-controller": 97,
}
# What only the runner may know: a service that had these could change what it must only read.
_ONLY_FOR_THE_RUNNER = ("DESK_POSTGRES_URL", "DESK_OWNER_DATABASE_URL", "DESK_DATABASE_URL")


@dataclass(frozen=True)
class Installation:
    """Where one installation lives. `postgres_url` and `kafka_bootstrap` are None where the server is embedded."""

    state: Path
    port_base: int = DEFAULT_PORT_BASE
    postgres_url: str | None = None
    kafka_bootstrap: str | None = None
    topic_prefix: str = ""
    given_issuer: str | None = None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Installation:
        """What the DESK_* variables say, and the defaults of a checkout. Raises RunnerError for a bad port base."""
        given = os.environ if environment is None else environment
        try:
            base = int(given.get("DESK_PORT_BASE") or DEFAULT_PORT_BASE)
        except ValueError as error:
            raise RunnerError("DESK_PORT_BASE must be a number such as 8400.") from error
        if not 1024 <= base <= 65000:
            raise RunnerError(f"DESK_PORT_BASE must lie between 1024 and 65000, not {base}.")
        return cls(
            state=Path(given.get("DESK_STATE") or CHECKOUT / ".desk").absolute(),
            port_base=base,
            postgres_url=given.get("DESK_POSTGRES_URL") or None,
            kafka_bootstrap=given.get("DESK_KAFKA_BOOTSTRAP") or None,
            topic_prefix=given.get("DESK_TOPIC_PREFIX", ""),
            given_issuer=given.get("DESK_OIDC_ISSUER") or None,
        )

    @property
    def ports(self) -> dict[str, int]:
        """The port of everything that this installation starts itself."""
        return {name: self.port_base + offset for name, offset in _OFFSETS.items() if name not in self._given()}

    @property
    def issuer_url(self) -> str:
        """The issuer that the services trust: the development one, unless another is given."""
        return self.given_issuer or f"http://{ports.LOOPBACK}:{self.port_base + _OFFSETS['issuer']}"

    @property
    def logs(self) -> Path:
        """The folder with one log per process."""
        return self.state / "logs"

    @property
    def cache(self) -> Path:
        """What can be fetched or made again: jars, the broker's start-up cache. `reset` leaves it."""
        return self.state / "cache"

    @property
    def records(self) -> Path:
        """The folder with the pid and start of each child."""
        return self.state / "processes"

    @property
    def seed(self) -> Path:
        """The folder with the demonstration data, one file per owner."""
        return CHECKOUT / "deploy" / "seed"

    def url_of(self, service: str) -> str:
        """Where the service's API answers."""
        return f"http://{ports.LOOPBACK}:{self.ports[service]}"

    def _given(self) -> set[str]:
        taken: set[str] = set()
        if self.postgres_url:
            taken |= {"postgres"}
        if self.kafka_bootstrap:
            taken |= {"kafka", "kafka-controller"}
        if self.given_issuer:
            taken |= {"issuer"}
        return taken

    def password_of(self, role: str) -> str:
        """The password of a database role, made at the first use and readable by this user only."""
        return make_private_once(self.state / "passwords" / role, make_password)

    def environment(self, service: str, addresses: Addresses, *, as_owner: bool = False) -> dict[str, str]:
        """The environment of one process of a service; the owner's address only where it is needed."""
        told = self.base_environment() | {
            "DESK_DATABASE_URL": addresses.database(self, service, server_of(service)),
            "DESK_KAFKA_BOOTSTRAP": addresses.kafka_bootstrap,
            "DESK_PORT": str(self.ports[service]),
            # Where people reach it: what it tells others to link to must not be the default port when that moved.
            "DESK_PUBLIC_URL": self.url_of(service),
        }
        if as_owner:
            told["DESK_OWNER_DATABASE_URL"] = addresses.database(self, service, owner_of(service))
        return told

    def base_environment(self) -> dict[str, str]:
        """What every process is told, whoever it is: nothing that opens a database."""
        told = {name: value for name, value in os.environ.items() if name not in _ONLY_FOR_THE_RUNNER}
        return told | {
            "DESK_ENV": "development",
            "DESK_STATE": str(self.state),
            "DESK_PORT_BASE": str(self.port_base),
            "DESK_TOPIC_PREFIX": self.topic_prefix,
            "DESK_HOST": ports.LOOPBACK,
            "DESK_OIDC_ISSUER": self.issuer_url,
            "PYTHONUNBUFFERED": "1",
        }


@dataclass(frozen=True)
class Addresses:
    """Where the two servers are in this run."""

    postgres_url: str
    kafka_bootstrap: str

    def database(self, installation: Installation, service: str, role: str) -> str:
        """The address of a service's database for one of its roles."""
        where = self.postgres_url.rpartition("@")[2].partition("/")[0]
        return f"postgresql://{role}:{installation.password_of(role)}@{where}/{database_of(service)}"


def database_of(service: str) -> str:
    """The name of the service's database."""
    return f"desk_{service}"


def owner_of(service: str) -> str:
    """The role that migrates the service's database and owns what is in it."""
    return f"desk_{service}_owner"


def server_of(service: str) -> str:
    """The role as which the service serves."""
    return f"desk_{service}_service"


def command(module: str, *arguments: str) -> list[str]:
    """A Python module of this environment as a program; the folder it is started in cannot shadow a package (-P)."""
    return [sys.executable, "-P", "-m", module, *arguments]
