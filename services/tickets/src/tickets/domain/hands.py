"""In whose hands a ticket is: its owner, its assignee, those who take part; and what nobody can do twice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from shared.contracts.tickets import ParticipantRole
from shared.errors import Conflict, Invalid, NotFound


class AlreadyAssigned(Conflict):
    """The ticket is in that person's hands already."""

    code = "already-assigned"
    title = "The ticket is already assigned to this person"


class NothingToTake(NotFound):
    """Nothing waits in the queues that one works in."""

    code = "nothing-to-take"
    title = "Nothing waits for you"


class AlreadyOwned(Conflict):
    """That person keeps the contact with the client already."""

    code = "already-owned"
    title = "The ticket is already this person's"


class AlreadyTakesPart(Conflict):
    """That person has that part in the ticket already."""

    code = "already-takes-part"
    title = "This person already takes part so"


class TakesNoPart(Conflict):
    """That person has no such part in the ticket."""

    code = "takes-no-part"
    title = "This person does not take part so"


class NobodyToAsk(Invalid):
    """A ticket is put into the hands of somebody who works here; `fitting` are the ids of those in its team."""

    code = "nobody-to-ask"
    title = "Nobody here is called so"


class NotOfTheTeam(Conflict):
    """Work is given to somebody of the team that has the ticket; `fitting` are the ids of those."""

    code = "not-of-the-team"
    title = "This person is not in the ticket's team"


def require_known(number: str, asked: str, *, is_active: bool, team: Mapping[str, str | None]) -> None:
    """Checks that somebody can be asked to take part in a ticket. Raises NobodyToAsk, which names who can be."""
    if not is_active:
        raise NobodyToAsk(
            f"nobody who works here is called {asked}: in the team of {number} are {_named(team)}; "
            "GET /v1/people shows all",
            fitting=list(team),
        )


def require_of_team(number: str, asked: str, team_id: str | None, team: Mapping[str, str | None]) -> None:
    """Checks that somebody is in the team that has the ticket; a team that has nobody yet lets anybody work for it.

    Raises NotOfTheTeam, which names who is.
    """
    if team and asked not in team:
        raise NotOfTheTeam(
            f"{asked} is not in {team_id}, whose queue {number} is in: {_named(team)} are; to work on it all the same "
            "they take it themselves, or join it",
            fitting=list(team),
        )


def _named(team: Mapping[str, str | None]) -> str:
    return ", ".join(f"{each} ({name})" if name else each for each, name in team.items()) or "nobody yet"


@dataclass(frozen=True, slots=True)
class Participant:
    """Somebody who takes part in a ticket beside its owner and assignee, as what, and since when."""

    person_id: str
    role: ParticipantRole
    since: datetime


def joined(
    number: str, present: tuple[Participant, ...], person_id: str, role: ParticipantRole, at: datetime
) -> tuple[Participant, ...]:
    """Who takes part once somebody has joined. Raises AlreadyTakesPart."""
    if any((one.person_id, one.role) == (person_id, role) for one in present):
        raise AlreadyTakesPart(f"{person_id} is {role} on {number} already")
    return (*present, Participant(person_id, role, at))


def left(number: str, present: tuple[Participant, ...], person_id: str, role: str) -> tuple[Participant, ...]:
    """Who takes part once somebody has left. Raises TakesNoPart."""
    rest = tuple(one for one in present if (one.person_id, one.role) != (person_id, role))
    if len(rest) == len(present):
        raise TakesNoPart(f"{person_id} is not {role} on {number}: look at it to see who takes part")
    return rest


def hands_left(last: Mapping[str, str], level: int, assignee: str | None) -> Mapping[str, str]:
    """Who had a ticket last on each level (as text) that it has left, when it leaves this one."""
    return last if assignee is None else {**last, str(level): assignee}
