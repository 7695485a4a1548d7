"""Who works here, as the tickets service tells it: people, teams with what they cover, and rotas of who is on call."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AwareDatetime, Field

from shared.contracts.codes import PersonId, written
from shared.contracts.envelope import Code, Part, StateRecord
from shared.contracts.personal import Personal
from shared.contracts.tickets import Level

# What this service writes today; whoever reads a record takes any code in their places.
PersonState = Literal["active", "inactive"]
Language = Literal["es", "en"]
# What a team is asked for. Those without a queue of tickets have none.
TeamTarget = Literal["call-centre", "analysts", "functional-analysis", "development"]
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
# What a clock on the wall shows.
Hour = Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$", examples=["21:00"])]


class Absence(Part):
    """A stretch in which somebody is not there; the end is exclusive."""

    from_at: AwareDatetime
    until_at: AwareDatetime
    why: Personal[str] | None = None


class PersonRecorded(StateRecord):
    """Somebody who works with the desk. Appears with the first token that is accepted; an admin completes it."""

    type = "desk.person.recorded.v1"
    noun = "person"
    id: PersonId
    name: Personal[str] | None = Field(description="as the identity provider says it; None while nobody has said it")
    roles: tuple[Code, ...] = Field(description="those of the latest token that mean something here")
    state: Annotated[str, written(PersonState)] = "active"
    mail: Personal[str] | None = None
    telephone: Personal[str] | None = None
    language: Annotated[str, written(Language)] = "es"
    absences: tuple[Absence, ...] = ()


class Pattern(Part):
    """What a team covers; None stands for everything in its place."""

    client_id: Code | None = None
    product_id: Code | None = None
    module_id: Code | None = None


class TeamRecorded(StateRecord):
    """A team: whose queue it is, who is in it, and what of the desk's work it takes."""

    type = "desk.team.recorded.v1"
    noun = "team"
    name: str
    level: Level | None = Field(description="None: no queue of tickets")
    target: Annotated[str, written(TeamTarget)] | None = Field(description="None: no queue of tickets")
    lead: PersonId | None = None
    members: tuple[PersonId, ...] = ()
    covers: tuple[Pattern, ...] = ()


class Shift(Part):
    """Every week on a day from one hour to another, in the zone of the rota."""

    place: int = Field(ge=1, description="1 is called first, 2 when 1 does not answer")
    day: Annotated[str, written(Weekday)]
    begins: Hour
    ends: Hour = Field(description="of the next day where it is not after the beginning")
    person_id: PersonId


class Override(Part):
    """A stretch in which another one (or nobody) stands in for a place, whatever the weekly pattern says."""

    place: int = Field(ge=1)
    from_at: AwareDatetime
    until_at: AwareDatetime
    person_id: PersonId | None


class RotaRecorded(StateRecord):
    """Who of a team is on call: shifts that repeat every week, and what is otherwise on certain dates."""

    type = "desk.rota.recorded.v1"
    noun = "rota"
    team_id: Code
    zone: str = Field(examples=["America/Argentina/Buenos_Aires"])
    shifts: tuple[Shift, ...] = ()
    overrides: tuple[Override, ...] = ()
