"""What sla does with clocks: they start, take further facts, and are judged when time alone changes them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from shared.contract_choice import choose_contract
from shared.contracts.envelope import Cause, Sealed
from shared.contracts.sla import ClockEvent
from shared.db.transaction import Row, Transaction
from shared.errors import Unavailable
from shared.ids import derived_id, made_of
from shared.jobs import Pieces
from shared.messaging.outbox import publish, seal_each
from sla.domain.clock import CLOCK_KINDS, Fact
from sla.domain.contract import DEFAULT_TYPE, Contract, Promises
from sla.domain.ticket_clock import Happening, TicketClock
from sla.repository import clocks as clock_rows
from sla.repository import contracts as contract_rows
from sla.repository.clocks import TicketFact

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


class NoDefaultTargets(Unavailable):
    """The type that clients without a contract fall under was never recorded."""

    code = "no-default-targets"
    title = "The default targets are missing"


@dataclass(frozen=True, slots=True)
class OpenedTicket:
    """A ticket that was opened, as far as its clocks are concerned: `start` is the fact at `reported_at`."""

    ticket_id: UUID
    client_id: str | None
    product_id: str | None
    kind: str
    severity: int
    start: Fact
    cause: Cause


@dataclass(frozen=True, slots=True)
class Told:
    """A fact of a ticket, and what told it."""

    ticket_id: UUID
    fact: Fact
    cause: Cause


async def start_clocks(tx: Transaction, opened: Sequence[OpenedTicket], now: datetime) -> None:
    """Starts the clocks of newly opened tickets under the contracts that they fell under when they were reported.

    Facts that arrived before the opening are folded in. Four statements for any number of tickets. Raises
    NoDefaultTargets when the defaults were never loaded.
    """
    facts = [TicketFact(one.ticket_id, one.start) for one in opened]
    earlier = await clock_rows.add_facts_and_read_earlier(tx, facts, now)
    clients = sorted({one.client_id for one in opened if one.client_id is not None})
    contracts, default = await contract_rows.contracts_of_clients(tx, clients, DEFAULT_TYPE)
    if default is None:
        raise NoDefaultTargets(f"The contract type {DEFAULT_TYPE} is not recorded: run `migrate`, which loads it.")
    started: list[tuple[TicketClock, Cause, list[Happening]]] = []
    for one in opened:
        of_client = contracts.get(one.client_id or "", ())
        contract = choose_contract(of_client, one.product_id, one.start.occurred_at).contract
        known = [*earlier.get(one.ticket_id, ()), one.start]
        started += [(clock, one.cause, clock.refold(known, now)) for clock in _new_clocks(one, contract, default)]
    new = await clock_rows.insert_clocks(tx, [clock for clock, _, _ in started])
    await _wake_worker(tx, (clock for clock, _, _ in started), now)
    await _publish(tx, [entry for entry in started if entry[0].id in new])


async def record_facts(tx: Transaction, told: Sequence[Told], now: datetime) -> None:
    """Folds further facts into the clocks of their tickets and publishes what they change, fact by fact.

    A fact whose ticket has no clocks yet waits for them. Three statements for any number of facts, one when nothing
    changes.
    """
    facts = [TicketFact(one.ticket_id, one.fact) for one in told]
    locked = await clock_rows.add_facts_and_lock_clocks(tx, facts, now)
    by_ticket: dict[UUID, list[tuple[TicketClock, list[Fact]]]] = {}
    for one in locked:
        by_ticket.setdefault(one.clock.ticket_id, []).append((one.clock, list(one.facts)))
    changed: list[tuple[TicketClock, Cause, list[Happening]]] = []
    for news in told:
        for clock, known in by_ticket.get(news.ticket_id, ()):
            if news.fact.concerns not in (None, clock.kind):
                continue
            before = clock.clock
            known.append(news.fact)
            happened = clock.refold(known, now)
            if clock.clock != before:
                changed.append((clock, news.cause, happened))
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
    judged: list[tuple[TicketClock, Cause, list[Happening]]] = []
    for clock in {one.clock.id: one.clock for one in claimed if not one.is_void}.values():
        cause = Cause(
            actor="system:sla",
            occurred_at=now,
            recorded_at=now,
            correlation_id=clock.correlation_id,
            origin=clock.origin,
        )
        judged.append((clock, cause, clock.pass_time(now)))
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


def _new_clocks(ticket: OpenedTicket, contract: Contract | None, default: Promises) -> Iterable[TicketClock]:
    promises = contract.promises if contract else default
    for kind in CLOCK_KINDS:
        yield TicketClock(
            id=made_of("clock", ticket.ticket_id, kind, FIRST_CYCLE),
            ticket_id=ticket.ticket_id,
            client_id=ticket.client_id,
            contract_id=contract.id if contract else None,
            contract_version=contract.version if contract else 0,
            cycle=FIRST_CYCLE,
            terms=promises.terms_of(kind, ticket.kind, ticket.severity),
            origin=ticket.cause.origin,
            correlation_id=ticket.cause.correlation_id,
        )


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
