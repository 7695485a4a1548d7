"""What sla does with clocks: they start, take further facts, and are judged when time alone changes them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

from shared.business_time.known import CalendarName
from shared.contract_choice import choose_contract
from shared.contracts.envelope import Cause, Sealed
from shared.contracts.sla import ClockEvent, TargetRule
from shared.db.transaction import Row, Transaction
from shared.ids import derived_id, made_of
from shared.jobs import Pieces
from shared.messaging.outbox import publish, seal_each
from shared.target_choice import Judged
from sla.domain.clock import CLOCK_KINDS, Fact, FactKind
from sla.domain.contract import Contract, Promises
from sla.domain.meaning import TicketFact
from sla.domain.switching import Activated, in_force, switches
from sla.domain.ticket_clock import Happening, TicketClock, caused_by_time
from sla.repository import clocks as clock_rows
from sla.repository import contracts as contract_rows
from sla.repository import known_calendars
from sla.repository.clocks import ClockWithFacts
from sla.repository.known_calendars import Versions

# A worker sleeps at most SLEEP_SECONDS. Whoever sets an alarm wakes it when the alarm lies within that sleep, or might,
# allowing for the length of the transaction that sets it. NOTIFY slows commits down, so it is given for no other.
TIMERS_CHANNEL = "sla_timers"
SLEEP_SECONDS = 5.0
WAKE_WITHIN = timedelta(seconds=2 * SLEEP_SECONDS)
# How many timers one transaction fires: few enough to commit in some ten milliseconds.
PORTION = 500
# Every ticket has one cycle of each clock so far.
FIRST_CYCLE = 1
# How soon an overdue timer is looked at again that a consumer's transaction holds just now.
LOOK_AGAIN = timedelta(milliseconds=50)


@dataclass(frozen=True, slots=True)
class OpenedTicket:
    """A ticket that was opened, as far as its clocks are concerned. `fact` is what its start means to them."""

    client_id: str | None
    judged: Judged
    start: TicketFact
    cause: Cause
    fact: Fact = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "fact", self.start.meaning())

    @property
    def ticket_id(self) -> UUID:
        """The ticket."""
        return self.start.ticket_id

    @property
    def started_at(self) -> datetime:
        """When the client reported."""
        return self.fact.occurred_at


@dataclass(frozen=True, slots=True)
class Told:
    """A fact of a ticket and what told it. `fact` is what it means to clocks, of which several ask."""

    whole: TicketFact
    cause: Cause
    fact: Fact = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "fact", self.whole.meaning())

    @property
    def ticket_id(self) -> UUID:
        """The ticket."""
        return self.whole.ticket_id


async def start_clocks(tx: Transaction, opened: Sequence[OpenedTicket], now: datetime) -> None:
    """Starts the clocks of newly opened tickets under the contracts that they fell under when they were reported.

    Facts that arrived before the opening are folded in. Five statements for any number of tickets. Raises
    NoDefaultTargets or NoCalendar when the defaults were never loaded.
    """
    facts = [one.start for one in opened]
    earlier = await clock_rows.add_facts_and_read_earlier(tx, facts, now)
    clients = sorted({one.client_id for one in opened if one.client_id is not None})
    contracts, default = await contract_rows.contracts_of_clients(tx, clients)
    agreed = [
        _Agreed(one, contract, promises, promises.rule_of(kind, one.judged))
        for one in opened
        for contract in [_contract_of(one, contracts)]
        for promises in [contract.promises if contract else default]
        for kind in CLOCK_KINDS
    ]
    versions = await known_calendars.share_activated(tx, {one.rule.calendar_id for one in agreed})
    calendars = await known_calendars.know(tx, _names(versions))
    started: list[tuple[TicketClock, Cause, list[Happening]]] = []
    later: list[TicketFact] = []
    for one in agreed:
        clock, switched = _new_clock(one, versions.get(one.rule.calendar_id, ()))
        later += switched
        known = [*earlier.get(clock.ticket_id, ()), one.ticket.fact, *(fact.meaning() for fact in switched)]
        started.append((clock, one.ticket.cause, clock.refold(known, now, calendars)))
    await clock_rows.add_facts(tx, later, now)
    new = await clock_rows.insert_clocks(tx, [clock for clock, _, _ in started])
    await _wake_worker(tx, (clock for clock, _, _ in started), now)
    await _publish(tx, [entry for entry in started if entry[0].id in new])


async def record_facts(tx: Transaction, told: Sequence[Told], now: datetime) -> None:
    """Folds further facts into the clocks of their tickets and publishes what they change, fact by fact.

    A fact whose ticket has no clocks yet waits for them. Three statements for any number of facts, one when nothing
    changes; two more where a ticket is reopened, whose clocks may have stood while their calendar was switched.
    """
    told = [*await _missed_switches(tx, told), *told]
    facts = [one.whole for one in told]
    locked = await clock_rows.add_facts_and_lock_clocks(tx, facts, now)
    by_ticket: dict[UUID, list[tuple[TicketClock, list[Fact]]]] = {}
    for one in locked:
        by_ticket.setdefault(one.clock.ticket_id, []).append((one.clock, list(one.facts)))
    calendars = await known_calendars.know(tx, _counting(locked, told))
    changed: list[tuple[TicketClock, Cause, list[Happening]]] = []
    for news in told:
        for clock, known in by_ticket.get(news.ticket_id, ()):
            if news.fact.concerns not in (None, clock.kind):
                continue
            before = clock.clock
            known.append(news.fact)
            happened = clock.refold(known, now, calendars)
            if clock.clock != before:
                changed.append((clock, news.cause, happened))
    await store_changed(tx, changed, now)


async def store_changed(
    tx: Transaction, changed: Sequence[tuple[TicketClock, Cause, list[Happening]]], now: datetime
) -> None:
    """Keeps clocks that are another than they were, and publishes what that changed."""
    if changed:
        clocks = list({clock.id: clock for clock, _, _ in changed}.values())
        await _wake_worker(tx, clocks, now)
        await clock_rows.store_clocks(tx, clocks)
        await _publish(tx, changed)


async def fire_timers(tx: Transaction, due: Sequence[Row], now: datetime) -> None:
    """Judges the clocks whose alarm has passed, the longest overdue first, and sets their next alarms.

    A timer only wakes: what is true at `now` is the clock's own decision, so a clock that slept through several
    thresholds tells them all at once. Three statements with the claim.
    """
    claimed = clock_rows.claimed_of(due)
    calendars = await known_calendars.know(tx, {name for one in claimed for name in one.clock.names()})
    judged = [
        (clock, clock.cause(now), clock.pass_time(now, calendars))
        for clock in {one.clock.id: one.clock for one in claimed if not one.is_void}.values()
    ]
    await clock_rows.store_clocks(tx, [clock for clock, _, _ in judged], [one.timer_id for one in claimed])
    await _publish(tx, judged, by_time=True)


# The alarms as work of a job: one clock that cannot be judged is set aside, by its id, and the others go on.
TIMERS: Pieces[Row] = Pieces(
    claim=clock_rows.claim_due,
    do=fire_timers,
    key=lambda due: str(due.id),
    put_aside=lambda tx, due: clock_rows.forget_timers(tx, [due.timer_id]),
    bring_back=clock_rows.arm_again,
    portion=PORTION,
)


async def next_due_timer(tx: Transaction, now: datetime) -> datetime | None:
    """When to look at the timers next; shortly after `now` where an overdue one is held by somebody else."""
    due = await clock_rows.next_due(tx)
    return None if due is None else max(due, now + LOOK_AGAIN) if due < now else due + timedelta(microseconds=1)


async def switch_calendars(tx: Transaction, behind: Sequence[Row], now: datetime) -> None:
    """Switches clocks that count in an earlier version of their calendar than was activated; their tickets are locked.

    What has ended is never touched.
    """
    versions = await known_calendars.share_activated(tx, {one.calendar_id for one in behind})
    told = [
        Told(fact, caused_by_time(now, one.correlation_id, one.origin))
        for one in behind
        for fact in _switches(one, versions, one.started_at)
    ]
    await record_facts(tx, told, now)


# The clocks that an activated version of a calendar has not reached yet, as work of a job.
SWITCHES: Pieces[Row] = Pieces(
    claim=clock_rows.claim_behind,
    do=switch_calendars,
    key=lambda behind: str(behind.id),
    put_aside=clock_rows.leave_to_an_operator,
    bring_back=clock_rows.is_there,
    portion=PORTION,
)


async def _missed_switches(tx: Transaction, told: Sequence[Told]) -> list[Told]:
    """What switches clocks that stood while a version of their calendar was activated, and are to run again."""
    reopened = {one.ticket_id: one for one in told if one.fact.kind is FactKind.REOPEN}
    ended = await clock_rows.ended_clocks(tx, reopened) if reopened else []
    versions = await known_calendars.share_activated(tx, {one.calendar_id for one in ended}) if ended else {}
    return [
        Told(fact, reopened[one.ticket_id].cause)
        for one in ended
        if reopened[one.ticket_id].fact.concerns in (None, one.kind)
        for fact in _switches(one, versions, one.since)
    ]


def _switches(behind: Row, versions: Versions, since: datetime) -> Iterable[TicketFact]:
    """What takes a clock to the last version of its calendar from the one in which it counts."""
    activated = versions[behind.calendar_id]
    return switches(behind.ticket_id, behind.kind, behind.calendar_version, activated, since, _id_of(behind.id))


@dataclass(frozen=True, slots=True)
class _Agreed:
    """What is promised of one clock of a ticket, and by which contract; None: nothing was agreed."""

    ticket: OpenedTicket
    contract: Contract | None
    promises: Promises
    rule: TargetRule


def _contract_of(ticket: OpenedTicket, contracts: Mapping[str, Sequence[Contract]]) -> Contract | None:
    of_client = contracts.get(ticket.client_id or "", ())
    return choose_contract(of_client, ticket.judged.product_id, ticket.started_at).contract


def _new_clock(agreed: _Agreed, versions: Sequence[Activated]) -> tuple[TicketClock, list[TicketFact]]:
    """The clock in the version of its calendar that held at the report, and what switches it to later ones."""
    ticket, contract, rule, since = agreed.ticket, agreed.contract, agreed.rule, agreed.ticket.started_at
    version = in_force(rule.calendar_id, versions, since).version
    terms = agreed.promises.terms_of(rule, version)
    clock = TicketClock(
        id=made_of("clock", ticket.ticket_id, terms.kind, FIRST_CYCLE),
        ticket_id=ticket.ticket_id,
        client_id=ticket.client_id,
        contract_id=contract.id if contract else None,
        contract_version=contract.version if contract else 0,
        cycle=FIRST_CYCLE,
        terms=terms,
        origin=ticket.cause.origin,
        correlation_id=ticket.cause.correlation_id,
    )
    return clock, list(switches(ticket.ticket_id, clock.kind, version, versions, since, _id_of(clock.id)))


def _id_of(clock_id: UUID) -> Callable[[int], UUID]:
    """Of the fact that switches a clock to a version: the same, whoever finds out that it is missing."""
    return partial(made_of, "calendar-switch", clock_id)


def _names(versions: Versions) -> set[CalendarName]:
    return {CalendarName(calendar, one.version) for calendar, ones in versions.items() for one in ones}


def _counting(locked: Sequence[ClockWithFacts], told: Sequence[Told]) -> set[CalendarName]:
    """Whatever these clocks count in, now and by what is told of them."""
    news: dict[UUID, list[Fact]] = {}
    for one in told:
        news.setdefault(one.ticket_id, []).append(one.fact)
    return {name for one in locked for name in one.names(news.get(one.clock.ticket_id, ()))}


def _dated(happening: Happening, cause: Cause) -> datetime:
    """When it happened. A clock counts whole seconds; what a fact did within its second happened at the fact."""
    by_the_fact = abs(happening.at - cause.occurred_at) < timedelta(seconds=1)
    return cause.occurred_at if by_the_fact else happening.at


async def _publish(
    tx: Transaction, changes: Iterable[tuple[TicketClock, Cause, list[Happening]]], by_time: bool = False
) -> None:
    await publish(tx, _sealed(changes, by_time))


def _sealed(
    changes: Iterable[tuple[TicketClock, Cause, list[Happening]]], by_time: bool = False
) -> list[Sealed[ClockEvent]]:
    """What happened to clocks as events with their ids, each dated when it happened; what time did, in due order.

    Whatever an imported ticket's clock does is an import too, also when somebody works on that ticket today.
    """
    told = [
        (happening, replace(cause, occurred_at=_instant(happening, cause, by_time), origin=clock.origin))
        for clock, cause, happened in changes
        for happening in happened
    ]
    if by_time:
        told.sort(key=lambda one: one[0].at)
    with_ids = seal_each((cause, happening.event) for happening, cause in told)
    return [_as_time_told_it(one, happening) for one, (happening, _) in zip(with_ids, told, strict=True)]


def _instant(happening: Happening, cause: Cause, by_time: bool) -> datetime:
    return happening.at if by_time else _dated(happening, cause)


def _as_time_told_it(sealed: Sealed[Any], happening: Happening) -> Sealed[Any]:
    """What time did has an id of its own: the clock, what it had reached, the instant, and nothing else.

    So it is the same whether a timer noticed it or a fact that came later, and in a database that was restored, which
    may hear of timers and facts in another order.
    """
    if happening.reached is None:
        return sealed
    milliseconds = int(happening.at.timestamp() * 1000)
    return replace(sealed, id=derived_id(milliseconds, sealed.data.type, sealed.data.subject(), happening.reached))


async def _wake_worker(tx: Transaction, clocks: Iterable[TicketClock], now: datetime) -> None:
    if any(clock.to_arm is not None and clock.to_arm <= now + WAKE_WITHIN for clock in clocks):
        await clock_rows.wake_timers(tx, TIMERS_CHANNEL)
