"""The records of people, teams, rotas, schemes of urgency, categories and codes, as files and callers write them."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StringConstraints, model_validator

from shared.contract_choice import Standing
from shared.contracts.codes import PersonId
from shared.contracts.envelope import Code
from shared.contracts.personal import Personal
from shared.contracts.teams import Hour, Language, PersonState, TeamTarget, Weekday
from shared.contracts.tickets import Kind, Priority, Severity
from shared.stated import AS_NUMBER, Instant, Line

# Two patterns cannot both be described: this one says what that of a line says too.
_OF_MAIL = r"[^@\s\x00-\x1f\x7f-\x9f\u2028\u2029]+"
Mail = Annotated[
    Line,
    StringConstraints(pattern=r"^[^@\s]+@[^@\s]+$"),
    Field(json_schema_extra={"pattern": f"^{_OF_MAIL}@{_OF_MAIL}$"}),
]
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


Cell = Annotated[Severity, AS_NUMBER]
_Row = Annotated[tuple[Cell, ...], Field(min_length=4, max_length=4)]
_Codes = Annotated[tuple[Code, ...], Field(min_length=1, max_length=50)]
_Times = Annotated[int, Field(ge=1, le=100), AS_NUMBER]


class ConditionFacts(_Written):
    """What must be so of a client, all of it together; what is left out is not asked."""

    tier: _Codes | None = Field(default=None, examples=[["platino"]])
    kind: Annotated[tuple[Kind, ...], Field(min_length=1)] | None = None
    contract: Annotated[tuple[Standing, ...], Field(min_length=1)] | None = Field(
        default=None, description="how it stands; `vencido`: ended at most 60 days ago"
    )
    contract_type: _Codes | None = Field(default=None, examples=[["oro"]])
    promised_s1_at_most_seconds: Annotated[int, Field(ge=1, le=10**9), AS_NUMBER] | None = Field(
        default=None, description="the contract promises to resolve severity 1 within so many seconds"
    )


class OccasionFacts(_Written):
    """What must be so, all of it together. What no service tells yet counts as not given."""

    go_live: StrictBool | None = Field(default=None, description="the client has just gone live; nobody tells it yet")
    reopenings_at_least: _Times | None = Field(default=None, description="so often the ticket was reopened")
    breaches_in_month_at_least: _Times | None = Field(
        default=None, description="so many targets were missed for the client this month; not counted yet"
    )


class PriorityRuleFacts(_Written):
    """A priority where its conditions hold: the first rule that fits decides."""

    id: Code
    says: Line = Field(examples=["Promete resolver S1 en 4 h o menos"])
    when: ConditionFacts = ConditionFacts()
    priority: Annotated[Priority, AS_NUMBER]


class PriorityShiftFacts(_Written):
    """How far the priority moves where its occasions are so."""

    id: Code
    says: Line
    when: OccasionFacts
    by: Annotated[int, Field(ge=-3, le=3, description="-1 is more urgent"), AS_NUMBER]


class SchemeTerms(_Written):
    """What severity follows from the impact, and what priority from the client."""

    matrix: Annotated[tuple[_Row, ...], Field(min_length=4, max_length=4)] = Field(
        description="rows: who is stopped, 1 the company … 4 nobody; columns: what is lost, 1 today … 4 nothing"
    )
    unknown_counts_as: Cell = Field(default=3, description="the row or column of «no sé»")
    rules: tuple[PriorityRuleFacts, ...] = Field(
        min_length=1, max_length=50, description="the last one has no conditions"
    )
    shifts: tuple[PriorityShiftFacts, ...] = Field(default=(), max_length=20, description="each that fits; from 1 to 4")

    def terms(self) -> dict[str, Any]:
        """The terms alone, as they are stored: what asks for nothing is left out."""
        return self.model_dump(mode="json", exclude_none=True, include=set(SchemeTerms.model_fields))


class SchemeFacts(SchemeTerms):
    """A scheme of urgency, and from when on it is in force."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "valid_from": "2199-06-01T00:00:00Z",
                    "matrix": [[1, 1, 2, 2], [1, 2, 2, 3], [2, 3, 3, 3], [3, 3, 4, 4]],
                    "rules": [
                        {"id": "oro", "says": "Contrato Oro", "when": {"contract_type": ["oro"]}, "priority": 2},
                        {"id": "otros", "says": "Los demás", "priority": 4},
                    ],
                    "shifts": [{"id": "reabierto", "says": "Reabierto", "when": {"reopenings_at_least": 3}, "by": -1}],
                }
            ]
        }
    )

    valid_from: Instant = Field(description="later than now, until the next one begins")


class SchemeRecord(SchemeFacts):
    """A scheme of urgency."""

    id: Code


class QuestionFacts(_Written):
    """What the caller must be asked; «no sé» is an answer."""

    id: Code = Field(examples=["mensaje"])
    asks: Line = Field(examples=["¿Qué dice exactamente el mensaje?"])


class CategoryFacts(_Written):
    """What a ticket is about, and what must be asked then."""

    name: Line = Field(examples=["Error que detiene"])
    questions: tuple[QuestionFacts, ...] = Field(default=(), max_length=20)
    retired: StrictBool = False


class CategoryRecord(CategoryFacts):
    """A category."""

    id: Code


class CodeFacts(_Written):
    """How a matter was settled."""

    name: Line = Field(examples=["Error corregido (versión)"])
    retired: StrictBool = False


class CodeRecord(CodeFacts):
    """A resolution code."""

    id: Code


class Document(BaseModel):
    """A file of records. They may refer to each other and to what is known already."""

    model_config = ConfigDict(extra="forbid")

    people: list[PersonRecord] = []
    teams: list[TeamRecord] = []
    rotas: list[RotaRecord] = []
    urgency_schemes: list[SchemeRecord] = []
    categories: list[CategoryRecord] = []
    resolution_codes: list[CodeRecord] = []

    @model_validator(mode="after")
    def _each_id_once(self) -> Document:
        for kind in type(self).model_fields:
            seen: set[str] = set()
            for record in getattr(self, kind):
                if record.id in seen:
                    raise ValueError(f"{kind}: {record.id} is there twice")
                seen.add(record.id)
        return self
