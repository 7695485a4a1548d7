"""Many running clocks of sla: some that the product started itself, and copies of these, made by SQL."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy import Table

from shared import clock
from shared.contracts.envelope import Cause, Received
from shared.contracts.sla import ClockKind, ContractType
from shared.contracts.tickets import TicketOpened
from shared.ids import new_id
from sla import tables
from sla.commands.calendars import record_calendars
from sla.commands.contracts import record_contract_types, record_contracts
from sla.documents import CalendarRecord, ContractRecord, ContractTypeRecord, TargetFacts, WeekFacts
from sla.repository import known_calendars
from tests.sla.telling import apply
from tests.support.briefs import JUDGED, ticket_brief
from tests.support.databases import OWNER, Database

# Client → the calendar that its clocks count in. Who has no contract is promised office hours of `comercial`, as they
# are shipped. `oficina` has office hours too, of a place where it is the afternoon now.
BY_COMERCIAL, BY_24X7, BY_OFICINA = "client-comercial", "client-24x7", "client-oficina"
COMERCIAL, DAY_AND_NIGHT, OFICINA = "comercial", "24x7", "oficina"
TYPES: dict[str, ContractType] = {BY_24X7: "platino", BY_OFICINA: "oro"}
CALENDARS = {BY_COMERCIAL: COMERCIAL, BY_24X7: DAY_AND_NIGHT, BY_OFICINA: OFICINA}
# A response warns at half of it for the first time.
TARGETS: dict[ClockKind, timedelta] = {"response": timedelta(hours=4), "resolution": timedelta(hours=40)}
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
OFFICE_HOURS = (("09:00", "18:00"),)
AFTERNOON = 15
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
# So many tickets the product opens itself; what is copied were reported within the last quarter of an hour, so that
# none of them has an alarm within the next one and three quarters.
ORIGINALS = 500
REPORTED_WITHIN_SECONDS = 900
AT_ONCE = 250
# Each copy has ids of its own, the same in every table.
IDS = {"id", "ticket_id", "fact_id", "clock_id"}
COPIED = (tables.tickets, tables.clock_facts, tables.clocks, tables.timers)

_sequences = itertools.count(1)


async def prepare(db: Database) -> None:
    """The calendars, and contracts that promise open time of each."""
    # What this process knew of another database's calendars.
    known_calendars.forget()
    now = clock.now()
    cause = Cause(actor="bruno", occurred_at=now, recorded_at=now, correlation_id="bench")
    week = WeekFacts(**dict.fromkeys(DAYS, OFFICE_HOURS))
    office = CalendarRecord(id=OFICINA, name="Oficina", timezone=_afternoon_zone(now), weekly=week)
    contracts = [
        ContractRecord(id=f"contract-{type_}", client_id=client, contract_type=type_, valid_from=LONG_AGO)
        for client, type_ in TYPES.items()
    ]
    async with db.begin() as tx:
        await record_calendars(tx, cause, [office])
        await record_contract_types(tx, cause, [_type(client) for client in TYPES])
        await record_contracts(tx, cause, contracts)


async def fill(db: Database, clocks: int) -> None:
    """So many running clocks, half in `comercial` and half in `24x7`; a ticket has two."""
    originals, chance = min(ORIGINALS, clocks // 2), random.Random(12)
    ago = [timedelta(seconds=chance.randrange(REPORTED_WITHIN_SECONDS)) for _ in range(originals)]
    clients = itertools.cycle((BY_COMERCIAL, BY_24X7))
    await start(db, [opened(client, clock.now() - one) for client, one in zip(clients, ago, strict=False)])
    async with db.connect(OWNER) as connection:
        for table in COPIED:
            await connection.execute(_copies_of(table), clocks // (2 * originals) - 1)
        await connection.execute("VACUUM ANALYZE")


def opened(client: str, reported_at: datetime) -> Received[TicketOpened]:
    """A ticket as tickets tells it."""
    now = clock.now()
    brief = ticket_brief(client=client, severity=4, reported_at=reported_at)
    data = TicketOpened(ticket_id=new_id(), ticket=brief, title="No se pueden emitir facturas", **JUDGED)
    return Received(
        id=new_id(), source="/desk/tickets", type=data.type, subject=data.subject(), key=data.key(),
        sequence=next(_sequences), occurred_at=now, recorded_at=now, origin="live", actor="ana",
        correlation_id="bench", causation_id=None, traceparent=None, data=data,
    )  # fmt: skip


async def start(db: Database, tickets: Sequence[Received[TicketOpened]]) -> None:
    """sla is told of these tickets, and starts their clocks."""
    for first in range(0, len(tickets), AT_ONCE):
        async with db.begin() as tx:
            await apply(tx, tickets[first : first + AT_ONCE])


def _type(client: str) -> ContractTypeRecord:
    targets = [
        TargetFacts(clock=kind, seconds=target // timedelta(seconds=1), calendar_id=CALENDARS[client])
        for kind, target in TARGETS.items()
    ]
    return ContractTypeRecord(id=TYPES[client], name=client, targets=tuple(targets))


def _afternoon_zone(now: datetime) -> str:
    """A zone where it is the afternoon: eleven hours behind UTC, up to twelve ahead of it, which its name turns round.

    The hours before and after are business hours then, whenever the benchmark runs.
    """
    ahead = (AFTERNOON - now.astimezone(UTC).hour + 11) % 24 - 11
    return f"Etc/GMT{-ahead:+d}"


def _copies_of(table: Table) -> str:
    """The statement that copies every row so many times."""
    columns = [one.name for one in table.columns if one.computed is None and one.identity is None]
    copied = [f"md5({name}::text || n)::uuid" if name in IDS else name for name in columns]
    return f"""
        INSERT INTO sla.{table.name} ({", ".join(columns)})
        SELECT {", ".join(copied)} FROM sla.{table.name}, generate_series(1, $1::int) n
    """
