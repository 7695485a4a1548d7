"""What the inventory service tells: reference data, and the environment frozen on each ticket."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from pydantic import AwareDatetime, Field

from shared.contracts.codes import written
from shared.contracts.envelope import Code, Event, Part, StateRecord
from shared.contracts.personal import Personal

# What this service writes today; whoever reads an event takes any code in their places.
Tier = Literal["platino", "oro", "plata", "basico"]
Nature = Literal["standard", "customised"]
UnknownReason = Literal[
    "client-not-identified",
    "client-unknown",
    "no-installation",
    "several-installations",
    "installation-of-another-client",
]


class ClientRecorded(StateRecord):
    """A client of PSA."""

    type = "desk.client.recorded.v1"
    noun = "client"
    name: str
    tax_id: str | None = None
    tier: Annotated[str, written(Tier)]
    city: str | None = None
    contact: Personal[str] | None = Field(default=None, description="who may be called back")
    phone: Personal[str] | None = None


class ProductRecorded(StateRecord):
    """A product that PSA sells."""

    type = "desk.product.recorded.v1"
    noun = "product"
    name: str


class ModuleRecorded(StateRecord):
    """A module of a product: standard, or made for one client."""

    type = "desk.module.recorded.v1"
    noun = "module"
    name: str
    product_id: Code
    nature: Annotated[str, written(Nature)]
    client_id: Code | None = Field(default=None, description="the client that a customised module was made for")


class InstallationRecorded(StateRecord):
    """What one client runs of one product, in short."""

    type = "desk.installation.recorded.v1"
    noun = "installation"
    client_id: Code
    product_id: Code
    product_version: str
    site: str | None = Field(default=None, description="which one it is, for a client with several")
    modules: tuple[Code, ...]


class InstalledModule(Part):
    """A module as it stood at the client when the snapshot was taken."""

    module_id: Code
    name: str
    version: str
    nature: Annotated[str, written(Nature)]


class EnvironmentEvent(Event):
    """Any fact about the environment of one ticket, as one of its classifications gives it."""

    ticket_id: UUID
    classification: int = Field(
        default=1,
        ge=1,
        description="the version of the ticket that named what this was found by: 1 as it was opened",
    )

    def subject(self) -> str:
        return str(self.ticket_id)


class EnvironmentResolved(EnvironmentEvent):
    """The client's environment, frozen when the ticket was classified so: when it opened, or was completed."""

    type = "desk.environment.resolved.v1"
    client_id: Code
    installation_id: Code
    product_id: Code
    product_name: str
    product_version: str
    modules: tuple[InstalledModule, ...]
    changed_at: AwareDatetime = Field(description="when this installation's record last changed: the age of the data")


class EnvironmentUnknown(EnvironmentEvent):
    """Nobody can say what the client runs; the reason says whose work it is to find out."""

    type = "desk.environment.unknown.v1"
    client_id: Code | None
    reason: Annotated[str, written(UnknownReason)]
    candidates: tuple[Code, ...] = Field(default=(), description="the installations that it could be")
