"""Calendars, contracts and their types as files and callers write them."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from shared.contracts.calendars import WrittenCalendar, WrittenWeek, WrittenWindows
from shared.contracts.envelope import Code
from shared.contracts.sla import ClockKind, ContractType, TargetRule
from shared.contracts.tickets import HoldReason, Kind, Priority, Severity
from shared.stated import AS_NUMBER, Instant, Line
from sla.domain.calendar import FIRST_YEAR, LAST_YEAR, DatedDay, DayKind, YearlyDay, written_calendar
from sla.domain.contract import Differences, Promises, Warnings

# Ten years: what is longer is a slip of the keyboard, and what is far longer would not fit the column.
MOST_SECONDS = 10 * 366 * 24 * 60 * 60
MOST_DAYS = 366

Seconds = Annotated[int, Field(gt=0, le=MOST_SECONDS), AS_NUMBER]
Days = Annotated[int, Field(ge=0, le=MOST_DAYS), AS_NUMBER]
Year = Annotated[int, Field(ge=FIRST_YEAR, le=LAST_YEAR), AS_NUMBER]
# The id of a version is made of it: comercial-v3.
CalendarId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{2,34}$"), Field(examples=["comercial"])]
# Which shares and how long before make sense is a rule of the contract, and its answer says more.
WarningPlace = Annotated[
    str,
    StringConstraints(pattern=r"^[1-9][0-9]{0,5}(%|min before)$"),
    Field(description="a share of the target, `50%`, or open minutes before it has run out, `30min before`"),
]
Currency = Annotated[
    str, StringConstraints(pattern=r"^[A-Z]{3}$"), Field(description="ISO 4217", examples=["ARS", "USD"])
]


class _Written(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DayFacts(_Written):
    """What is otherwise on one date, and why. Without windows and breaks it is closed or not by its kind."""

    date: date
    name: Line = Field(examples=["Navidad"])
    kind: DayKind
    windows: WrittenWindows | None = Field(default=None, description="in place of those of the week")
    breaks: WrittenWindows = Field(default=(), description="closed then, whatever else is said")


class YearlyDayFacts(_Written):
    """What is otherwise on the same date of each year; the import of a year makes a day of it."""

    day: Annotated[str, StringConstraints(pattern=r"^(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$")] = Field(
        description="month and day", examples=["12-24"]
    )
    name: Line = Field(examples=["Nochebuena"])
    kind: DayKind
    windows: WrittenWindows | None = Field(default=None, description="in place of those of the week")
    breaks: WrittenWindows = Field(default=(), description="closed then, whatever else is said")


class WeekFacts(WrittenWeek):
    """The windows that begin on each day of the week; a day that is left out is closed."""

    model_config = ConfigDict(extra="forbid")


class CalendarFacts(_Written):
    """When business is open."""

    name: Line = Field(examples=["Comercial"])
    timezone: Annotated[str, StringConstraints(min_length=1, max_length=64)] = Field(
        description="an IANA time zone", examples=["America/Argentina/Buenos_Aires"]
    )
    weekly: WeekFacts
    closed_on: tuple[DayKind, ...] = Field(
        default=(), max_length=10, description="the kinds of day on which no window begins"
    )
    every_year: tuple[YearlyDayFacts, ...] = Field(default=(), max_length=100)
    days: tuple[DayFacts, ...] = Field(default=(), max_length=1000)

    def dated(self) -> tuple[DatedDay, ...]:
        """The days of which something is said, by date."""
        days = (DatedDay(one.date, one.name, one.kind, one.windows, one.breaks) for one in self.days)
        return tuple(sorted(days, key=lambda day: day.date))

    def yearly(self) -> tuple[YearlyDay, ...]:
        """What is said of each year."""
        return tuple(YearlyDay(one.day, one.name, one.kind, one.windows, one.breaks) for one in self.every_year)

    def with_days(self, days: tuple[DatedDay, ...]) -> CalendarFacts:
        """The same calendar with these days in place of its own."""
        facts = [DayFacts(date=d.date, name=d.name, kind=d.kind, windows=d.windows, breaks=d.breaks) for d in days]
        return self.model_copy(update={"days": tuple(facts)})

    def written(self) -> WrittenCalendar:
        """What of it counts."""
        return written_calendar(self.timezone, self.weekly, self.closed_on, self.dated())


class SeededYears(_Written):
    """The years of which the public holidays are taken from what the product knows, to be confirmed."""

    first: Year
    last: Year


class CalendarRecord(CalendarFacts):
    """A calendar, and the years that are seeded when it is loaded."""

    id: CalendarId
    seeded: SeededYears | None = None

    def facts(self) -> CalendarFacts:
        """The calendar without its id."""
        return CalendarFacts.model_validate(self.model_dump(exclude={"id", "seeded"}))

    def years(self) -> range:
        """The years to seed."""
        return range(self.seeded.first, self.seeded.last + 1) if self.seeded else range(0)


class TargetFacts(_Written):
    """A target of one clock, and for which tickets it is: whatever it does not name, it is for all of it."""

    clock: ClockKind
    seconds: Seconds = Field(description="of open time of the calendar", examples=[14400])
    calendar_id: CalendarId
    kinds: tuple[Kind, ...] = Field(default=(), max_length=10)
    product_ids: tuple[Code, ...] = Field(default=(), max_length=100)
    module_ids: tuple[Code, ...] = Field(default=(), max_length=100)
    severities: tuple[Annotated[Severity, AS_NUMBER], ...] = Field(default=(), max_length=4)
    priorities: tuple[Annotated[Priority, AS_NUMBER], ...] = Field(default=(), max_length=4)

    def rule(self) -> TargetRule:
        """The rule as it is told."""
        return TargetRule(**self.model_dump())


class WarningFacts(_Written):
    """At which places on the way to its target each clock warns."""

    response: tuple[WarningPlace, ...] = Field(default=("50%", "80%"), max_length=10)
    resolution: tuple[WarningPlace, ...] = Field(default=("50%", "75%", "90%"), max_length=10)

    def warnings(self) -> Warnings:
        """The domain's form of it; the order in which they are written says nothing."""
        return Warnings(_ascending(self.response), _ascending(self.resolution))


class ContractTypeFacts(_Written):
    """What a contract of a type promises unless it says something else."""

    name: Line = Field(examples=["Platino"])
    targets: tuple[TargetFacts, ...] = Field(
        max_length=500, description="of the rules that are for a ticket the most specific one holds, then the first"
    )
    pausing_holds: tuple[HoldReason, ...] = Field(default=("waiting-for-client", "agreed-date"), max_length=20)
    warnings: WarningFacts = WarningFacts()
    reporting_calendar: CalendarId = Field(
        default="comercial", description="in whose open time intervals and days are counted"
    )
    reopen_days: Days = Field(default=5, description="business days in which a resolved ticket may come back")
    objection_days: Days = Field(default=3, description="business days after which a resolved ticket closes by itself")
    currency: Currency = "ARS"

    def promises(self) -> Promises:
        """The domain's form of it."""
        return Promises(
            targets=tuple(one.rule() for one in self.targets),
            pausing_holds=_each_once(self.pausing_holds),
            warnings=self.warnings.warnings(),
            reporting_calendar=self.reporting_calendar,
            reopen_days=self.reopen_days,
            objection_days=self.objection_days,
            currency=self.currency,
        )


class ContractTypeRecord(ContractTypeFacts):
    """A type of contract."""

    id: ContractType


class ContractFacts(_Written):
    """What is agreed with a client. What is left out is that of the type, in the version that the contract names."""

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
    type_version: Annotated[int, Field(ge=1, le=1_000_000), AS_NUMBER] | None = Field(
        default=None, description="null: the one that the contract has; of a new contract or another type the latest"
    )
    effective_from: Instant | None = Field(
        default=None, description="since when this was agreed; null: a new contract from its beginning, a change now"
    )
    valid_from: Instant
    valid_until: Instant | None = Field(default=None, description="the first instant at which it no longer holds")
    product_ids: tuple[Code, ...] = Field(
        default=(), max_length=100, description="the products that it is for; empty: whatever the client has"
    )
    targets: tuple[TargetFacts, ...] = Field(
        default=(), max_length=500, description="its own rules, which come before those of the type"
    )
    pausing_holds: tuple[HoldReason, ...] | None = Field(
        default=None, max_length=20, description="holds that pause the resolution clock; null for those of the type"
    )
    warnings: WarningFacts | None = Field(default=None, description="null for those of the type")
    reporting_calendar: CalendarId | None = Field(default=None, description="null for that of the type")
    reopen_days: Days | None = Field(default=None, description="null for those of the type")
    objection_days: Days | None = Field(default=None, description="null for those of the type")
    currency: Currency | None = Field(default=None, description="null for that of the type")

    def differences(self) -> Differences:
        """The domain's form of what it says beside its type."""
        return Differences(
            targets=tuple(one.rule() for one in self.targets),
            pausing_holds=None if self.pausing_holds is None else _each_once(self.pausing_holds),
            warnings=self.warnings.warnings() if self.warnings else None,
            reporting_calendar=self.reporting_calendar,
            reopen_days=self.reopen_days,
            objection_days=self.objection_days,
            currency=self.currency,
        )


class ContractRecord(ContractFacts):
    """A contract."""

    id: Code


class Document(BaseModel):
    """A file of calendars, contract types and contracts; each may use what stands before it in the same file."""

    model_config = ConfigDict(extra="forbid")

    calendars: list[CalendarRecord] = []
    contract_types: list[ContractTypeRecord] = []
    contracts: list[ContractRecord] = []

    @model_validator(mode="after")
    def _each_id_once(self) -> Document:
        for kind in ("calendars", "contract_types", "contracts"):
            seen: set[str] = set()
            for record in getattr(self, kind):
                if record.id in seen:
                    raise ValueError(f"{kind}: {record.id} is there twice")
                seen.add(record.id)
        return self


def _each_once(holds: tuple[HoldReason, ...]) -> tuple[HoldReason, ...]:
    return tuple(sorted(set(holds)))


def _ascending(said: tuple[str, ...]) -> tuple[str, ...]:
    """Shares before minutes, the smaller first."""
    return tuple(sorted(said, key=lambda one: (not one.endswith("%"), len(one), one)))
