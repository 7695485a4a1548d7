"""What the replicas of sla's records give: which contract holds, and until when what was resolved may come back."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
import time_machine

from shared.contracts.envelope import Received
from shared.contracts.sla import ContractRecorded, ContractTypeRecorded, ContractVersion
from shared.db.transaction import Transaction
from tests.support.databases import Database
from tests.support.statements import round_trips
from tests.tickets.desk import (
    NOW,
    REFERENCE,
    WEEKDAYS,
    a_call,
    calendar,
    cause,
    contract,
    deliver,
    open_one,
    received,
    rows,
    terms,
)
from tickets import projections
from tickets.commands import tickets as commands
from tickets.domain.ticket import Ticket

# A Friday, ten minutes before Comercial closes.
FRIDAY = datetime(2026, 11, 6, 20, 50, tzinfo=UTC)


def at_six(day: int, month: int = 11) -> datetime:
    """The closing of Comercial."""
    return datetime(2026, month, day, 21, 0, tzinfo=UTC)


async def tell(desk: Database, *events: Any) -> None:
    """What sla records, as it is consumed."""
    async with desk.begin() as tx:
        await deliver(tx, [received(one) for one in events])


async def resolved(desk: Database, at: datetime = FRIDAY, **opening: Any) -> Ticket:
    """A ticket that was resolved at an instant."""
    ticket_id = (await open_one(desk, **opening)).ticket.id
    with time_machine.travel(at, tick=False):
        async with desk.begin() as tx:
            done = await commands.resolve_ticket(tx, cause(at), ticket_id, code="configuracion", text="x")
    return done.ticket


async def windows(desk: Database, at: datetime = FRIDAY, **opening: Any) -> tuple[datetime | None, datetime | None]:
    """When it closes by itself, and until when it may be reopened."""
    ticket = await resolved(desk, at, **opening)
    return ticket.closes_at, ticket.reopenable_until


async def test_the_days_are_those_of_the_ticket_s_contract_in_its_reporting_calendar(desk: Database) -> None:
    assert await windows(desk) == (at_six(11), at_six(13))
    # In front of a Monday that is a holiday of Comercial.
    assert await windows(desk, at_six(20) - timedelta(minutes=10)) == (at_six(26), at_six(30))
    await tell(desk, contract("c-molinos", "molinos", "oro", 8, terms=terms(8, reopen_days=10, objection_days=1)))
    assert await windows(desk) == (at_six(9), at_six(20))


async def test_a_resolution_reads_what_was_agreed_in_one_statement(desk: Database) -> None:
    ticket_id = (await open_one(desk)).ticket.id
    await resolved(desk)
    with time_machine.travel(FRIDAY, tick=False), round_trips(desk.engine) as sent:
        async with desk.begin() as tx:
            await commands.resolve_ticket(tx, cause(), ticket_id, code="configuracion", text="x")
    assert [one.split(" ")[0] for one in sent] == ["BEGIN", "SELECT", "SELECT", "SELECT", "WITH", "COMMIT"]


async def test_without_a_contract_the_days_are_those_of_basico(desk: Database) -> None:
    await tell(desk, ContractTypeRecorded(
        id="basico", name="Básico", version=2, terms=terms(32, reopen_days=2, objection_days=1)
    ))  # fmt: skip
    assert await windows(desk, client_id="sin-contrato", module_id=None) == (at_six(9), at_six(10))


async def test_as_long_as_nothing_is_known_the_days_are_the_usual_ones_of_office_hours(desk: Database) -> None:
    async with desk.connect("test_owner") as owner:
        await owner.execute("TRUNCATE tickets.contracts, tickets.contract_types, tickets.calendars")
    # The usual office hours know no holiday.
    before_a_holiday = at_six(20) - timedelta(minutes=10)
    assert await windows(desk, before_a_holiday) == (at_six(25), at_six(27))
    await tell(desk, contract("c-molinos", "molinos", "oro", 8, terms=terms(8, reopen_days=1)))
    assert await windows(desk, before_a_holiday) == (at_six(25), at_six(23))
    # The calendar comes, and what is resolved from then on goes by it.
    await tell(desk, *[one for one in REFERENCE if getattr(one, "calendar_id", None) == "comercial"])
    assert await windows(desk, before_a_holiday) == (at_six(26), at_six(24))


async def test_each_version_of_the_calendar_counts_from_when_it_takes_effect(desk: Database) -> None:
    tuesday = datetime(2026, 11, 10, 3, 0, tzinfo=UTC)
    short = WEEKDAYS.model_copy(update=dict.fromkeys(("tue", "wed", "thu", "fri"), (("09:00", "13:00"),)))
    await tell(
        desk, calendar("turnos", 1, weekly=WEEKDAYS),
        calendar("turnos", 2, weekly=short, effective_from=tuesday),
        contract("c-molinos", "molinos", "oro", 8, terms=terms(8, reporting_calendar="turnos", objection_days=1)),
    )  # fmt: skip
    assert await windows(desk) == (at_six(9), datetime(2026, 11, 13, 16, 0, tzinfo=UTC))


async def test_what_was_promised_at_the_resolution_stays_whatever_becomes_of_the_contract(desk: Database) -> None:
    ticket = await resolved(desk)
    await tell(desk, contract("c-molinos", "molinos", "oro", 8, terms=terms(8, reopen_days=0)))
    with time_machine.travel(at_six(13), tick=False):
        async with desk.begin() as tx:
            done = await commands.reopen_ticket(tx, cause(), ticket.id, reason="sigue igual")
    assert (done.ticket.reopenable_until, done.ticket.closes_at) == (None, None)


def agreed(version: int, since: datetime, type_: str, s1_hours: int, **changes: Any) -> ContractVersion:
    """A version of a contract that began long ago."""
    begun = NOW - timedelta(days=400)
    given: dict[str, Any] = {"valid_from": begun, "terms": terms(s1_hours)} | changes
    return ContractVersion(version=version, effective_from=since, contract_type=type_, **given)


async def priority(desk: Database, reported_at: datetime) -> tuple[int, str | None]:
    """What somebody would be given who reported at an instant, and by which rule."""
    async with desk.begin() as tx:
        request = a_call(reported_at=reported_at, reported_late_reason="x")
        opening = (await commands.open_ticket(tx, cause(NOW), request, may_be_late=True)).ticket.opening
    return opening.priority, opening.priority_rule


async def test_the_version_of_the_contract_that_held_when_the_client_reported_decides(desk: Database) -> None:
    """By the second, and 60 days of grace after its end: then it is none."""
    day = timedelta(days=1)
    ended = NOW - 61 * day
    await tell(desk, ContractRecorded(
        id="c-molinos", client_id="molinos",
        versions=(
            agreed(1, NOW - 400 * day, "plata", 16), agreed(2, NOW - 20 * day, "oro", 8),
            agreed(3, NOW - 10 * day, "plata", 4), agreed(4, NOW - 5 * day, "oro", 8, valid_until=ended),
        ),
    ))  # fmt: skip
    step = timedelta(microseconds=1)
    found = [await priority(desk, at) for at in (
        NOW - 20 * day - step, NOW - 20 * day, NOW - 10 * day, NOW - 5 * day, NOW - 1 * day, NOW - 1 * day + step,
    )]  # fmt: skip
    assert found == [
        (2, "cliente-oro"), (2, "contrato-oro"), (1, "s1-en-cuatro-horas"), (2, "contrato-oro"), (2, "contrato-oro"),
        (4, "sin-contrato"),
    ]  # fmt: skip


async def replicas(tx: Transaction) -> dict[str, list[dict[str, Any]]]:
    """All rows of what sla records."""
    return {
        name: await rows(tx, f"SELECT * FROM tickets.{name} ORDER BY id")
        for name in ("calendars", "contract_types", "contracts")
    }


RECORDS: tuple[Any, ...] = (
    calendar("comercial", weekly=WEEKDAYS), calendar("comercial", 2, weekly=WEEKDAYS, effective_from=NOW),
    ContractTypeRecorded(id="basico", name="Básico", version=1, terms=terms(32)),
    ContractTypeRecorded(id="basico", name="Básico", version=2, terms=terms(16)),
    contract("c-1", "molinos", "oro", 8), contract("c-1", "molinos", "oro", 8, retired=True),
    ContractRecorded(id="c-1", client_id="molinos", versions=(agreed(1, NOW, "oro", 8), agreed(2, NOW, "plata", 16))),
)  # fmt: skip


@pytest.mark.parametrize("seed", range(5))
async def test_the_records_of_sla_end_in_the_same_rows_in_any_order_and_however_often(
    desk: Database, seed: int
) -> None:
    events: Sequence[Received[Any]] = [received(one, sequence=n) for n, one in enumerate(RECORDS, start=10_000)]
    chance, found = random.Random(seed), []
    shuffled = chance.sample(events, len(events)) + chance.choices(events, k=3)
    async with desk.connect("test_owner") as admin:
        for told in (events, shuffled):
            await admin.execute("TRUNCATE tickets.contracts, tickets.contract_types, tickets.calendars")
            async with desk.begin() as tx:
                for event in told:
                    await projections.apply(tx, [event])
                found.append(await replicas(tx))
    assert found[0] == found[1]
    kept = found[0]
    assert [(one["id"], one["calendar_id"], one["version"], one["effective_from"]) for one in kept["calendars"]] == [
        ("comercial-v1", "comercial", 1, None), ("comercial-v2", "comercial", 2, NOW),
    ]  # fmt: skip
    assert [(one["id"], one["version"]) for one in kept["contract_types"]] == [("basico", 2)]
    (row,) = kept["contracts"]
    assert (row["client_id"], row["retired"]) == ("molinos", False)
    assert [(one["version"], one["contract_type"], one["promised_s1_seconds"], one["reopen_days"]) for one in
            row["versions"]] == [(1, "oro", 8 * 3600, 5), (2, "plata", 16 * 3600, 5)]  # fmt: skip


async def test_a_closed_ticket_keeps_until_when_it_may_come_back(desk: Database) -> None:
    ticket: Ticket = await resolved(desk)
    with time_machine.travel(FRIDAY + timedelta(minutes=1), tick=False):
        async with desk.begin() as tx:
            await commands.close_ticket(tx, cause(), ticket.id)
    async with desk.begin() as tx:
        (row,) = await rows(tx, "SELECT id, closes_at, reopenable_until FROM tickets.tickets")
    assert row == {"id": UUID(str(ticket.id)), "closes_at": None, "reopenable_until": at_six(13)}
