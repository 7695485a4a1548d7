"""Contracts as the replica has them: the versions that a ticket may fall under, and until when it may come back."""

# ruff: noqa: S608 - every piece that is put into a statement is written in this file

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from shared.business_time.known import CalendarName, In
from shared.business_time.open_time import OpenTime
from shared.contract_choice import choose_contract
from shared.db.statement import query
from shared.db.transaction import Reader
from tickets.domain.closing import ClosingTerms, office_hours, usual_terms
from tickets.domain.contract import NO_CONTRACT, ClosingDays, KnownContract
from tickets.domain.ticket import Ticket
from tickets.repository.calendars import hours, learn_calendars


def contracts_of(client: str) -> str:
    """The SQL of a JSON array of a client's contracts; `contracts_in` reads it."""
    return f"""COALESCE((SELECT json_agg(json_build_object('id', k.id, 'versions', k.versions))
                          FROM tickets.contracts k WHERE k.client_id = {client} AND NOT k.retired), '[]')"""


_CLOSING = query(f"""
    SELECT {contracts_of(":client_id")} AS contracts,
           (SELECT y.terms FROM tickets.contract_types y WHERE y.id = '{NO_CONTRACT}' AND NOT y.retired) AS without_one,
           COALESCE((SELECT json_agg(json_build_array(c.calendar_id, c.version, c.effective_from) ORDER BY c.version)
                       FROM tickets.calendars c), '[]') AS calendars
""")


def contracts_in(found: Iterable[Mapping[str, Any]]) -> tuple[KnownContract, ...]:
    """Every version of the contracts of `contracts_of`."""
    return tuple(_version(one["id"], version) for one in found for version in one["versions"])


async def read_closing_terms(connection: Reader, ticket: Ticket) -> ClosingTerms:
    """By what a ticket that is resolved now may come back, and closes: its contract's terms, else those of básico.

    What is usual for as long as neither has come, and office hours for as long as their calendar has not.
    """
    groups = ticket.opening.groups
    row = await connection.fetch_one(_CLOSING, {"client_id": groups.client_id})
    contract = choose_contract(contracts_in(row.contracts), groups.product_id, ticket.opening.reported_at).contract
    if contract is not None:
        closing = contract.closing
    elif row.without_one is not None:
        closing = _closing(row.without_one)
    else:
        return usual_terms()
    versions = [_counting(*one) for one in row.calendars if one[0] == closing.reporting_calendar]
    return ClosingTerms(closing.reopen_days, closing.objection_days, await _hours(connection, versions))


async def _hours(connection: Reader, versions: list[In]) -> OpenTime:
    """What the versions of a calendar count, each from when it takes effect until the next one does."""
    if not versions:
        return office_hours()
    await learn_calendars(connection, [one.calendar for one in versions])
    return hours(versions) or office_hours()


def _counting(calendar_id: str, version: int, effective_from: str | None) -> In:
    # The first one counts from ever, and the others begin one after the other.
    from_at = datetime.fromisoformat(effective_from or "1970-01-01T00:00:00Z")
    return In(from_at, CalendarName(calendar_id, version))


def _closing(terms: Mapping[str, Any]) -> ClosingDays:
    return ClosingDays(terms["reporting_calendar"], terms["reopen_days"], terms["objection_days"])


def _version(id: str, found: Mapping[str, Any]) -> KnownContract:
    until = found["valid_until"]
    return KnownContract(
        id=id,
        version=found["version"],
        effective_from=datetime.fromisoformat(found["effective_from"]),
        contract_type=found["contract_type"],
        valid_from=datetime.fromisoformat(found["valid_from"]),
        valid_until=None if until is None else datetime.fromisoformat(until),
        promised_s1_seconds=found["promised_s1_seconds"],
        closing=_closing(found),
        product_ids=tuple(found["product_ids"]),
    )
