"""Attention: why a ticket calls somebody, whom, and when that is answered."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from shared.contracts.tickets import Addressee, AttentionReason, Status
from shared.errors import Conflict


class NothingCalls(Conflict):
    """The ticket calls nobody for that reason."""

    code = "nothing-calls"
    title = "The ticket does not call for attention so"


@dataclass(frozen=True, slots=True)
class Attention:
    """One call: what happened, who should look, since when."""

    reason: AttentionReason
    addressee: Addressee
    since: datetime


# Whom each calls. The owner keeps the contact with the client, so what the client must hear is theirs.
CALLS: dict[AttentionReason, Addressee] = {
    "released": "owner",
    "declined": "owner",
    "tell-client": "owner",
    "breached": "assignee",
    "hold-ended": "assignee",
}

# A fix that comes out is for the client, also of a settled ticket; nobody's hands have anything left to do there.
_FOR_THE_CLIENT: frozenset[AttentionReason] = frozenset({"released", "tell-client"})
SETTLED: tuple[Status, ...] = ("resolved", "closed")


def can_call(reason: AttentionReason, status: Status) -> bool:
    """Whether a ticket in that state calls anybody for that reason; what was cancelled calls nobody."""
    return status != "cancelled" and (status not in SETTLED or reason in _FOR_THE_CLIENT)


def addressee_of(reason: AttentionReason, assignee: str | None) -> Addressee:
    """Who is called: the assignee's call is the team's where nobody has taken the ticket."""
    whom = CALLS[reason]
    return "team" if whom == "assignee" and assignee is None else whom


def answered(
    calls: Iterable[Attention], actor: str, *, owner: str, assignee: str | None, status: Status
) -> tuple[tuple[Attention, ...], tuple[Attention, ...]]:
    """The calls that go on and those that are answered by something that `actor` does.

    Who it is for answers it with whatever they do; a call of the team, whoever does something, and so an assignee's
    whose ticket went on to a queue. A system answers none. Where the ticket has come into a state that does not call
    for it, nothing is left to answer.
    """
    kept: list[Attention] = []
    gone: list[Attention] = []
    for call in calls:
        called = {"owner": owner, "assignee": assignee or actor, "team": actor}[call.addressee]
        is_answered = called == actor and not actor.startswith("system:")
        (gone if is_answered or not can_call(call.reason, status) else kept).append(call)
    return tuple(kept), tuple(gone)
