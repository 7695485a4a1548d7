"""Contracts and their types as files and callers write them."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

from shared.contracts.envelope import Code
from shared.contracts.sla import ContractType
from shared.contracts.tickets import HoldReason, Severity
from shared.stated import AS_NUMBER, Instant, Line

# Ten years: what is longer is a slip of the keyboard, and what is far longer would not fit the column.
MOST_SECONDS = 10 * 366 * 24 * 60 * 60

Seconds = Annotated[int, Field(gt=0, le=MOST_SECONDS), AS_NUMBER]
# Whether the percentages make sense together is a rule of the contract, and its answer says more.
Percent = Annotated[int, AS_NUMBER, Field(json_schema_extra={"minimum": 1, "maximum": 99})]


class _Written(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TargetFacts(_Written):
    """What is promised for one severity, in seconds that count."""

    severity: Annotated[Severity, AS_NUMBER]
    response_seconds: Seconds = Field(examples=[900])
    resolution_seconds: Seconds = Field(examples=[14400])


class WarningFacts(_Written):
    """At which percentages of its target each clock warns."""

    response: tuple[Percent, ...] = Field(default=(50, 80), max_length=10)
    resolution: tuple[Percent, ...] = Field(default=(50, 75, 90), max_length=10)


class ContractTypeRecord(_Written):
    """A type of contract: what a contract of it promises unless it says something else."""

    id: ContractType
    name: Line = Field(examples=["Platino"])
    targets: tuple[TargetFacts, ...] = Field(max_length=20)
    pausing_holds: tuple[HoldReason, ...] = Field(default=("waiting-for-client", "agreed-date"), max_length=20)
    warnings: WarningFacts = WarningFacts()


class ContractFacts(_Written):
    """What is agreed with a client. What is left out is taken from the type as it is now, and stays so."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "client_id": "metalurgica-arenales",
                    "contract_type": "oro",
                    "valid_from": "2026-01-01T00:00:00-03:00",
                }
            ]
        }
    )

    client_id: Code = Field(examples=["metalurgica-arenales"])
    contract_type: ContractType
    valid_from: Instant
    valid_until: Instant | None = Field(default=None, description="the first instant at which it no longer holds")
    product_ids: tuple[Code, ...] = Field(
        default=(), max_length=100, description="the products that it is for; empty: whatever the client has"
    )
    targets: tuple[TargetFacts, ...] | None = Field(
        default=None, max_length=20, description="all four severities, or null for those of the type"
    )
    pausing_holds: tuple[HoldReason, ...] | None = Field(
        default=None, max_length=20, description="holds that pause the resolution clock; null for those of the type"
    )
    warnings: WarningFacts | None = Field(default=None, description="null for those of the type")


class ContractRecord(ContractFacts):
    """A contract."""

    id: Code


class Document(BaseModel):
    """A file of contract types and contracts; a contract may use a type of the same file."""

    model_config = ConfigDict(extra="forbid")

    contract_types: list[ContractTypeRecord] = []
    contracts: list[ContractRecord] = []

    @model_validator(mode="after")
    def _each_id_once(self) -> Document:
        for kind in ("contract_types", "contracts"):
            seen: set[str] = set()
            for record in getattr(self, kind):
                if record.id in seen:
                    raise ValueError(f"{kind}: {record.id} is there twice")
                seen.add(record.id)
        return self
