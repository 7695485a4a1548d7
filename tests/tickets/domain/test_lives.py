"""What holds after any sequence of all actions, accepted or refused, while time goes on."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import count
from typing import Any, get_args
from uuid import UUID

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from shared.contracts.tickets import (
    AttentionReason,
    Groups,
    HoldReason,
    ParticipantRole,
    Target,
    TicketBrief,
    TicketCancelled,
    TicketDeescalated,
    TicketEscalated,
    TicketEvent,
    TicketHeld,
    TicketReleased,
    TicketReopened,
    TicketResolved,
    TicketResponded,
)
from shared.errors import Conflict, Forbidden, Invalid
from shared.instants import STEP
from tests.tickets.domain.acting import LINK
from tests.tickets.domain.tickets import NOTHING_KNOWN, NOW, closing_after, new_ticket
from tickets.domain.attention import CALLS
from tickets.domain.completing import Naming, asked_of, complete, completed_groups
from tickets.domain.escalation import LEVEL_OF, Reach
from tickets.domain.grouping import Known, KnownInstallation, KnownModule
from tickets.domain.link import link, unlink
from tickets.domain.routing import Pattern, Routed
from tickets.domain.ticket import Ticket

PEOPLE = st.sampled_from(["ana", "bruno", "carla"])
ROLES = st.sampled_from(get_args(ParticipantRole))
YEAR = timedelta(days=366)
# What the brief of a ticket says of where it is and in whose hands: only these events may change each.
MAY_CHANGE: dict[str, set[str]] = {
    "status": {
        "assigned", "escalated", "deescalated", "held", "released", "responded", "resolved", "reopened", "closed",
        "cancelled",
    },
    "level": {"escalated", "deescalated"},
    "target": {"escalated", "deescalated"},
    "team": {"escalated", "deescalated", "classified"},
    "groups": {"classified"},
    "installation_id": {"classified"},
    "assignee": {"assigned", "escalated", "deescalated"},
    "owner": {"handed-over"},
    "hold": {"held", "released", "resolved", "cancelled"},
}  # fmt: skip
WRITTEN_ABOUT = {"commented", "linked", "unlinked", "participant-left", "attention-cleared", "attention-raised"}


def noun_of(event: TicketEvent) -> str:
    """`held` of `desk.ticket.held.v1`."""
    return event.type.removeprefix("desk.ticket.").removesuffix(".v1")


# One product, and a part of each kind that settles it.
NAMED = st.sampled_from([None, None, "gestion"])
_KNOWN = Known(None, False, KnownModule("gestion", None, False), KnownInstallation("molinos", "gestion", False))


def completed(ticket: Ticket, naming: Naming) -> tuple[Ticket, tuple[TicketEvent, ...]]:
    """What the command does, with one team for each product."""
    asked = asked_of(ticket, naming)
    groups = completed_groups(ticket, asked, _KNOWN)
    return complete(ticket, groups, asked.installation_id, Routed(f"equipo-{groups.product_id}", Pattern()))


class TicketLife(RuleBasedStateMachine):
    """One ticket; what it must have been is kept beside it, from what was asked and what the events told."""

    ids = count(100)

    @initialize(severity=st.integers(1, 4), priority=st.integers(1, 4))
    def open(self, severity: int, priority: int) -> None:
        nothing = Groups(client_id="molinos")
        self.ticket = new_ticket(severity=severity, priority=priority, groups=nothing, installation_id=None)
        self.events: list[TicketEvent] = []
        self.commands = 1
        self.at: datetime = NOW
        # Who had it last on each level, and who is called for what, by the test's own account.
        self.last: dict[int, str | None] = {}
        self.called: set[tuple[str, str]] = set()

    def take(self, action: Callable[..., Any], *arguments: Any, by: str = "dario", **named: Any) -> bool:
        """One command by somebody: a refusal leaves the ticket alone, anything else is one version."""
        before = self.ticket
        try:
            after, events = action(before, *arguments, **named)
        except (Conflict, Forbidden, Invalid):
            return False
        if not events:
            assert after is before
            return False
        self.ticket, ends = after.answered_by(by)
        self.commands += 1
        self.require_told(before.brief(), [*events, *ends])
        self.require_answered(before, events, ends, by)
        self.events.extend([*events, *ends])
        return True

    def require_told(self, brief: TicketBrief, events: list[TicketEvent]) -> None:
        """Each event carries the ticket after it, and together they tell every change and no other."""
        assert events[-1].ticket == self.ticket.brief()
        if brief.status in ("closed", "cancelled"):
            may = WRITTEN_ABOUT | ({"reopened"} if brief.status == "closed" else set())
            assert {noun_of(event) for event in events} <= may
        for event in events:
            assert event.ticket.version == self.commands
            for name, nouns in MAY_CHANGE.items():
                changed = getattr(event.ticket, name) != getattr(brief, name)
                assert not changed or noun_of(event) in nouns, (name, event.type)
            brief = event.ticket

    def require_answered(self, before: Ticket, events: Any, ends: Any, by: str) -> None:
        """Exactly what calls this person (or their team) is answered by what they do, and what the state calls not."""
        for event in events:
            if noun_of(event) == "attention-raised":
                self.called.add((event.reason, event.addressee))
            if noun_of(event) == "attention-cleared":
                self.called.remove((event.reason, event.addressee))
        hands = {"owner": self.ticket.owner, "assignee": self.ticket.assignee or by, "team": by}
        person = not by.startswith("system:")
        kept = self.callable()
        answered = {one for one in self.called if (person and hands[one[1]] == by) or one[0] not in kept}
        assert {(end.reason, end.addressee) for end in ends} == answered
        assert len(ends) == len(answered)
        self.called -= answered

    @rule(hours=st.integers(0, 100))
    def wait(self, hours: int) -> None:
        self.at += timedelta(hours=hours)

    @rule(who=PEOPLE, by=PEOPLE)
    def assign(self, who: str, by: str) -> None:
        self.take(Ticket.assign, who, by=by)

    @rule(who=PEOPLE, by=PEOPLE)
    def hand_over(self, who: str, by: str) -> None:
        open_, owner = self.ticket.status not in ("closed", "cancelled"), self.ticket.owner
        assert self.take(Ticket.hand_over, who, "x", by=by) == (open_ and owner != who)

    @rule(who=PEOPLE, role=ROLES, by=PEOPLE)
    def join(self, who: str, role: ParticipantRole, by: str) -> None:
        there = {(one.person_id, one.role) for one in self.ticket.participants}
        may = self.ticket.status not in ("closed", "cancelled") and (who, role) not in there
        assert self.take(Ticket.join, who, role, at=self.at, by=by) == may

    @rule(who=PEOPLE, role=ROLES, by=PEOPLE)
    def leave(self, who: str, role: ParticipantRole, by: str) -> None:
        there = {(one.person_id, one.role) for one in self.ticket.participants}
        assert self.take(Ticket.leave, who, role, by=by) == ((who, role) in there)

    @rule(product=NAMED, module=NAMED, installation=NAMED, by=PEOPLE)
    def complete(self, product: str | None, module: str | None, installation: str | None, by: str) -> None:
        """Each is named once while it is null; who has the ticket keeps it, and who waits goes where it is covered."""
        before, groups = self.ticket, self.ticket.opening.groups
        had = (groups.product_id, groups.module_id, before.opening.installation_id)
        said = (product, module, installation)
        may = before.status not in ("closed", "cancelled") and any(said)
        may = may and not any(old and new for old, new in zip(had, said, strict=True))
        assert self.take(completed, Naming(*said), by=by) == may
        after = self.ticket.opening
        now = (after.groups.product_id, after.groups.module_id, after.installation_id)
        settled = product or module or installation
        product = had[0] or ("gestion" if settled else None)
        assert now == ((product, had[1] or module, had[2] or installation) if may else had)
        waits = may and before.assignee is None and before.status != "resolved"
        assert self.ticket.team == (f"equipo-{product}" if waits else before.team)
        assert self.ticket.classification == (self.ticket.version if may else before.classification)

    @rule(by=PEOPLE)
    def note(self, by: str) -> None:
        assert self.take(Ticket.comment, "x", by=by)

    @rule(do=st.sampled_from([link, unlink]), by=PEOPLE)
    def link(self, do: Callable[..., Any], by: str) -> None:
        before = self.ticket.brief()
        assert self.take(do, new_ticket(), LINK, "x", by=by)
        assert self.ticket.brief() == before.model_copy(update={"version": before.version + 1})

    @rule(to=st.sampled_from(list(LEVEL_OF)), derive=st.booleans(), skip_level=st.booleans(), by=PEOPLE)
    def escalate(self, to: Target, derive: bool, skip_level: bool, by: str) -> None:
        level, had = self.ticket.level, self.ticket.assignee
        reach = Reach(derive, skip_level)
        if self.take(Ticket.escalate, UUID(int=next(self.ids)), to, "x", NOTHING_KNOWN, reach, by=by):
            self.last[level] = had or self.last.get(level)
            assert (self.ticket.target, self.ticket.level, self.ticket.assignee) == (to, LEVEL_OF[to], None)

    @rule(by=PEOPLE)
    def deescalate(self, by: str) -> None:
        level, had = self.ticket.level, self.ticket.assignee
        if self.take(Ticket.deescalate, "x", "analistas", by=by):
            self.last[level] = had or self.last.get(level)
            assert self.ticket.level == level - 1 >= 1
            assert self.ticket.assignee == self.last.get(level - 1), "it returns to the last one of that level"

    @rule(reason=st.sampled_from(get_args(HoldReason)), wake=st.sampled_from([None, -STEP, timedelta(0), STEP, YEAR,
                                                                             YEAR + STEP]), by=PEOPLE)  # fmt: skip
    def hold(self, reason: HoldReason, wake: timedelta | None, by: str) -> None:
        may = self.ticket.status in ("new", "in_progress")
        fits = reason != "agreed-date" if wake is None else timedelta(0) < wake <= YEAR
        wake_at = None if wake is None else self.at + wake
        assert self.take(Ticket.hold, reason, "x", at=self.at, now=self.at, wake_at=wake_at, by=by) == (may and fits)

    @rule(by=PEOPLE)
    def release(self, by: str) -> None:
        self.take(Ticket.release, at=self.at, by=by)

    @rule(because=st.sampled_from(["wake-at", "warned"]))
    def end_hold(self, because: Any) -> None:
        """What a job does, or the warning of a clock."""
        whom = "team" if self.ticket.assignee is None else "assignee"
        was_called = ("hold-ended", whom) in self.called
        if self.take(Ticket.wake, at=self.at, because=because, by="system:tickets"):
            assert ("hold-ended", whom) in self.called
            told = [noun_of(event) for event in self.events if event.ticket.version == self.commands]
            assert told == ["released"] + ["attention-raised"] * (not was_called)

    def callable(self) -> set[str]:
        """For what a ticket in this state calls somebody."""
        settled = {"released", "tell-client"}
        every = set(get_args(AttentionReason))
        return {"resolved": settled, "closed": settled, "cancelled": set()}.get(self.ticket.status, every)

    @invariant()
    def nothing_calls_that_the_state_does_not_know(self) -> None:
        assert {one.reason for one in self.ticket.attention} <= self.callable()

    @invariant()
    def nobody_s_assignee_is_called(self) -> None:
        assert self.ticket.assignee or "assignee" not in {one.addressee for one in self.ticket.attention}

    @rule(reason=st.sampled_from(get_args(AttentionReason)))
    def call(self, reason: AttentionReason) -> None:
        whom = CALLS[reason] if self.ticket.assignee or CALLS[reason] == "owner" else "team"
        fresh = (reason, whom) not in self.called and reason in self.callable()
        assert self.take(Ticket.call, reason, at=self.at, by="system:tickets") == fresh

    @rule(reason=st.sampled_from(get_args(AttentionReason)), by=PEOPLE)
    def answer(self, reason: AttentionReason, by: str) -> None:
        calls = any(one[0] == reason for one in self.called)
        assert self.take(Ticket.answer, reason, by=by) == calls
        assert not any(one[0] == reason for one in self.called)

    @rule(by=PEOPLE)
    def respond(self, by: str) -> None:
        self.take(Ticket.respond, "phone", "x", at=self.at, by=by)

    @rule(by=PEOPLE)
    def resolve(self, by: str) -> None:
        self.take(Ticket.resolve, "configuracion", "x", at=self.at, by=by)

    @rule(by=PEOPLE)
    def close(self, by: str) -> None:
        self.take(Ticket.close, at=self.at, by=by)

    @rule(by=PEOPLE)
    def reopen(self, by: str) -> None:
        resolved_at = self.ticket.resolved_at
        may = resolved_at is not None and self.at <= closing_after(resolved_at, 5)
        assert self.take(Ticket.reopen, "x", at=self.at, by=by) == may

    @rule(by=PEOPLE)
    def cancel(self, by: str) -> None:
        self.take(Ticket.cancel, "x", at=self.at, by=by)

    @invariant()
    def every_fact_fits_the_state(self) -> None:
        ticket = self.ticket
        assert ticket.version == self.commands
        assert (ticket.hold_reason is not None) == (ticket.status == "on_hold")
        assert ticket.wake_at is None or ticket.status == "on_hold"
        assert ticket.hold_reason != "agreed-date" or ticket.wake_at is not None
        assert (ticket.resolved_at is not None) == (ticket.status in ("resolved", "closed"))
        assert (ticket.reopenable_until is not None) == (ticket.resolved_at is not None)
        assert (ticket.closes_at is not None) == (ticket.status == "resolved")
        assert (ticket.closed_at is not None) == (ticket.status == "closed")
        assert (ticket.cancelled_at is not None) == (ticket.status == "cancelled")
        assert ticket.level == (LEVEL_OF[ticket.target] if ticket.target else 1)

    @invariant()
    def nobody_takes_part_or_is_called_twice(self) -> None:
        parts = [(one.person_id, one.role) for one in self.ticket.participants]
        calls = [(one.reason, one.addressee) for one in self.ticket.attention]
        assert len(set(parts)) == len(parts)
        assert len(set(calls)) == len(calls)
        assert set(calls) == self.called

    @invariant()
    def a_hold_begins_and_ends_with_facts_that_say_so(self) -> None:
        held = False
        for event in self.events:
            match event:
                case TicketHeld():
                    held = True
                case TicketResolved(was_held=was_held):
                    assert was_held is held
                    held = False
                case TicketReleased() | TicketCancelled():
                    held = False
            assert (event.ticket.hold is not None) is held is (event.ticket.status == "on_hold")

    @invariant()
    def the_events_alone_tell_the_same_story(self) -> None:
        firsts = [e.first for e in self.events if isinstance(e, TicketResponded)]
        assert firsts == [True] * bool(firsts) + [False] * (len(firsts) - 1)
        assert bool(firsts) == (self.ticket.first_responded_at is not None)
        escalations = [e for e in self.events if isinstance(e, TicketEscalated)]
        assert len({e.escalation_id for e in escalations}) == len(escalations)
        moves = [e for e in self.events if isinstance(e, TicketEscalated | TicketDeescalated)]
        levels = [1, *(e.to_level for e in moves)]
        assert levels[-1] == self.ticket.level
        assert [e.from_level for e in moves] == levels[:-1]
        for event in self.events:
            assert not isinstance(event, TicketReopened) or event.ticket.status == "in_progress"


TestTicketLife = TicketLife.TestCase
