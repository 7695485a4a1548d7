"""The records of people, teams and rotas, as files and callers write them."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StringConstraints, model_validator

from shared.contracts.codes import PersonId
from shared.contracts.envelope import Code
from shared.contracts.personal import Personal
from shared.contracts.teams import Hour, Language, PersonState, TeamTarget, Weekday
from shared.stated import AS_NUMBER, Instant, Line

Mail = Annotated[Line, StringConstraints(pattern=r"^[^@\s]+@[^@\s]+$")]
Place = Annotated[int, Field(ge=1, le=9, description="1 is called first, 2 when 1 does not answer"), AS_NUMBER]


class _Written(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class AbsenceFacts(_Written):
    """A stretch in which somebody is not there; the end is exclusive."""

    from_at: Instant
    until_at: Instant
    why: Personal[Line] | None = None


class OwnFacts(_Written):
    """What somebody says of themselves."""

    mail: Personal[Mail] | None = Field(default=None, examples=["lucia.gomez@soporte.example"])
    telephone: Personal[Line] | None = Field(default=None, examples=["+54 11 5555-0101"])
    language: Language = "es"
    absences: tuple[AbsenceFacts, ...] = Field(default=(), max_length=100)


class PersonFacts(OwnFacts):
    """What an admin says of somebody. Name and roles are said by their token."""

    state: PersonState = "active"


class PersonRecord(PersonFacts):
    """A person of a file, of whom no token was seen: so it says name and roles, too."""

    id: PersonId
    name: Personal[Line]
    roles: tuple[Code, ...] = Field(max_length=20)


class PatternFacts(_Written):
    """What a team covers; what is left out stands for everything."""

    client_id: Code | None = Field(default=None, examples=["metalurgica-arenales"])
    product_id: Code | None = Field(default=None, examples=["kontar"])
    module_id: Code | None = Field(default=None, examples=["kontar-stock"])


class TeamFacts(_Written):
    """What is said of a team. One that is no longer in use is retired, never deleted: tickets remember it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"name": "Administración", "lead": "natalia.quiroga", "members": ["natalia.quiroga"]}]
        }
    )

    name: Line = Field(examples=["Analistas de Kontar"])
    target: TeamTarget | None = Field(
        default=None, description="what it is asked for; null: it has no queue of tickets"
    )
    level: Annotated[int, Field(ge=1, le=3), AS_NUMBER] | None = Field(
        default=None, description="that of its target, also when left out"
    )
    lead: PersonId | None = Field(default=None, description="one of its members")
    members: tuple[PersonId, ...] = Field(default=(), max_length=200)
    covers: tuple[PatternFacts, ...] = Field(
        default=(), max_length=500, description="the most specific pattern that fits a ticket takes it"
    )
    retired: StrictBool = False


class TeamRecord(TeamFacts):
    """A team."""

    id: Code


class ShiftFacts(_Written):
    """Every week on a day from one hour to another, of the next day where that is not later."""

    place: Place
    day: Weekday
    begins: Hour
    ends: Hour
    person_id: PersonId


class OverrideFacts(_Written):
    """A stretch in which another one (null: nobody) has a place, whatever the shifts say; the end is exclusive."""

    place: Place
    from_at: Instant
    until_at: Instant
    person_id: PersonId | None


class RotaFacts(_Written):
    """What is said of a rota: who of a team is on call. A team has one that is in use."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "team_id": "analistas",
                    "shifts": [
                        {
                            "place": 1,
                            "day": "mon",
                            "begins": "18:00",
                            "ends": "09:00",
                            "person_id": "martin.fernandez",
                        }
                    ],
                }
            ]
        }
    )

    team_id: Code = Field(examples=["analistas-kontar"])
    zone: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_+/-]{1,64}$")] = Field(
        default="America/Argentina/Buenos_Aires", description="of whose clocks the hours of the shifts are"
    )
    shifts: tuple[ShiftFacts, ...] = Field(default=(), max_length=300)
    overrides: tuple[OverrideFacts, ...] = Field(default=(), max_length=500)
    retired: StrictBool = False


class RotaRecord(RotaFacts):
    """A rota."""

    id: Code


class Document(BaseModel):
    """A file of people, teams and rotas. Records may refer to each other and to what is known already."""

    model_config = ConfigDict(extra="forbid")

    people: list[PersonRecord] = []
    teams: list[TeamRecord] = []
    rotas: list[RotaRecord] = []

    @model_validator(mode="after")
    def _each_id_once(self) -> Document:
        for kind in ("people", "teams", "rotas"):
            seen: set[str] = set()
            for record in getattr(self, kind):
                if record.id in seen:
                    raise ValueError(f"{kind}: {record.id} is there twice")
                seen.add(record.id)
        return self
