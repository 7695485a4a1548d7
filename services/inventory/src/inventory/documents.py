"""The records of reference data, as files and callers write them and as the inventory keeps them."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StringConstraints, model_validator

from shared.contracts.envelope import Code
from shared.contracts.inventory import Nature, Tier
from shared.contracts.personal import Personal
from shared.stated import Line

Version = Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z][0-9A-Za-z.+_-]{0,39}$")]


class _Record(BaseModel):
    """What every record has. A record that is no longer in use is retired, never deleted: tickets remember it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    retired: StrictBool = False


class ClientFacts(_Record):
    """What is said of a client."""

    name: Line = Field(examples=["Metalúrgica Arenales S.A."])
    tax_id: Line | None = Field(default=None, examples=["30-79417306-4"])
    tier: Tier
    city: Line | None = Field(default=None, examples=["Avellaneda"])
    contact: Personal[Line] | None = Field(default=None, description="who may be called back")
    phone: Personal[Line] | None = None


class ProductFacts(_Record):
    """What is said of a product."""

    name: Line = Field(examples=["Kontar ERP"])


class ModuleFacts(_Record):
    """What is said of a module. Its product, its nature and its client never change."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"name": "Stock y depósitos", "product_id": "kontar", "nature": "standard", "retired": False}]
        }
    )

    name: Line = Field(examples=["Órdenes de corte y chapa"])
    product_id: Code
    nature: Nature
    client_id: Code | None = Field(default=None, description="the client that a customised module was made for")


class InstallationFacts(_Record):
    """What is said of an installation. Its client and its product never change."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "client_id": "metalurgica-arenales",
                    "product_id": "kontar",
                    "product_version": "7.4.2",
                    "modules": {"kontar-stock": "7.4.2"},
                }
            ]
        }
    )

    client_id: Code
    product_id: Code
    product_version: Version = Field(examples=["7.4.2"])
    site: Line | None = Field(default=None, description="which one it is, for a client with several")
    modules: dict[Code, Version] = Field(
        default_factory=dict,
        max_length=200,
        description="version per module id",
        examples=[{"kontar-stock": "7.4.2"}],
        json_schema_extra={"additionalProperties": False},
    )


class ClientRecord(ClientFacts):
    """A client."""

    id: Code


class ProductRecord(ProductFacts):
    """A product."""

    id: Code


class ModuleRecord(ModuleFacts):
    """A module of a product."""

    id: Code


class InstallationRecord(InstallationFacts):
    """What one client runs of one product."""

    id: Code


class Document(BaseModel):
    """A file of reference data. Records may refer to each other and to what the inventory already holds."""

    model_config = ConfigDict(extra="forbid")

    products: list[ProductRecord] = []
    clients: list[ClientRecord] = []
    modules: list[ModuleRecord] = []
    installations: list[InstallationRecord] = []

    @model_validator(mode="after")
    def _each_id_once(self) -> Document:
        for kind in ("products", "clients", "modules", "installations"):
            seen: set[str] = set()
            for record in getattr(self, kind):
                if record.id in seen:
                    raise ValueError(f"{kind}: {record.id} is there twice")
                seen.add(record.id)
        return self
