"""Which contract a ticket falls under: the one rule, for what is promised and for how urgent its client is."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Generic, Literal, Protocol, TypeVar

# So long after its end a contract still says what is promised; what is missed then costs nothing.
GRACE = timedelta(days=60)

# `vencido`: it has ended, and what it promises still holds. `none`: nothing was agreed, or it ended too long ago.
Standing = Literal["in-force", "vencido", "none"]


class Agreed(Protocol):
    """A version of a contract as far as the choice depends on it: in force from `valid_from` to before `valid_until`.

    It is what was agreed from `effective_from` on, unless a later version is.
    """

    @property
    def id(self) -> str: ...
    @property
    def version(self) -> int: ...
    @property
    def effective_from(self) -> datetime: ...
    @property
    def valid_from(self) -> datetime: ...
    @property
    def valid_until(self) -> datetime | None: ...
    @property
    def product_ids(self) -> Collection[str]:
        """The products that it names; empty: whatever the client has."""
        ...


C = TypeVar("C", bound=Agreed)


@dataclass(frozen=True, slots=True)
class Choice(Generic[C]):
    """The contract that applies, and how it stands; no contract where it stands `none`."""

    contract: C | None
    standing: Standing


def choose_contract(versions: Iterable[C], product_id: str | None, reported_at: datetime) -> Choice[C]:
    """The contract of a client for a product at the instant of the report (model.md, *Which contract?*).

    Of each contract the version that held then. In force before ended; one that names the product before one that
    covers everything; then the one that began last, of ended ones the one that ended last. Where nobody could say the
    product, every contract of the client may be the one, and those that cover everything come first. `versions` are
    those of one client's contracts, in any order.
    """
    covering = [
        one for one in agreed_at(versions, reported_at) if _covers(one, product_id) and one.valid_from <= reported_at
    ]
    in_force = [one for one in covering if one.valid_until is None or reported_at < one.valid_until]
    if in_force:
        return Choice(max(in_force, key=lambda one: (_fits(one, product_id), one.valid_from, one.id)), "in-force")
    ended = [
        (_fits(one, product_id), one.valid_until, one.valid_from, one.id, one)
        for one in covering
        if one.valid_until is not None and reported_at - one.valid_until <= GRACE
    ]
    if ended:
        return Choice(max(ended, key=lambda found: found[:4])[4], "vencido")
    return Choice(None, "none")


def agreed_at(versions: Iterable[C], at: datetime) -> list[C]:
    """Of each contract the version of the highest number that had begun by an instant; one by id."""
    latest: dict[str, C] = {}
    for one in versions:
        if one.effective_from <= at and (one.id not in latest or one.version > latest[one.id].version):
            latest[one.id] = one
    return [one for _, one in sorted(latest.items())]


def _covers(contract: Agreed, product_id: str | None) -> bool:
    return not contract.product_ids or product_id is None or product_id in contract.product_ids


def _fits(contract: Agreed, product_id: str | None) -> bool:
    """Whether it fits better than another that covers the product too."""
    return bool(contract.product_ids) == (product_id is not None)
