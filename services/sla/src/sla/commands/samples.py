"""Clocks are folded anew by sample: what is kept must be what all facts add up to, whatever way led there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime, timedelta
from uuid import UUID

from shared.db.transaction import Row, Transaction
from shared.errors import DeskError
from shared.jobs import Pieces
from sla.commands.clocks import store_changed
from sla.domain.clock import Clock
from sla.domain.fold import fold
from sla.repository import clocks as clock_rows
from sla.repository import known_calendars
from sla.repository.clocks import with_facts

# So many each minute: each of a million clocks about once in two weeks, and of what is wrong everywhere one at once.
PORTION = 50
EVERY = timedelta(minutes=1)


class NotAsFolded(DeskError):
    """What is kept of a clock is not what its facts add up to."""

    code = "not-as-folded"
    title = "The clock is not what its facts add up to"


class _Sampling:
    """One sample each time the job wakes; asked again with the same now, the same one."""

    def __init__(self) -> None:
        self._looked_at: datetime | None = None

    async def claim(self, tx: Transaction, now: datetime, portion: int) -> Sequence[Row]:
        """Clocks from some place on, with their facts; none while the last look is not over."""
        if self._looked_at is not None and self._looked_at < now < self._looked_at + EVERY:
            return []
        self._looked_at = now
        return await clock_rows.sample(tx, now, portion)


async def check_folds(tx: Transaction, sampled: Sequence[Row], _now: datetime) -> None:
    """Raises NotAsFolded for the first of these that is not what its facts add up to."""
    found = [with_facts(row) for row in sampled]
    calendars = await known_calendars.know(tx, {name for one in found for name in one.names()})
    for clock, facts in ((one.clock, one.facts) for one in found):
        folded = fold(clock.terms, facts, calendars, clock.judged_until)
        if clock.clock is None or folded is None or clock.clock != folded.clock:
            raise NotAsFolded(
                f"clock {clock.id} of ticket {clock.ticket_id} is not what its facts add up to: "
                f"{_differing(clock.clock, folded.clock if folded else None)}; `work retry` folds it anew"
            )


async def _fold_anew(tx: Transaction, clock_id: str, now: datetime) -> bool:
    """Keeps what the facts of a clock add up to and tells what that changes; False where there is no such clock."""
    row = await clock_rows.lock_clock(tx, UUID(clock_id))
    if row is None:
        return False
    found = with_facts(row)
    calendars = await known_calendars.know(tx, found.names())
    clock, happened = found.clock, found.clock.refold(found.facts, now, calendars)
    await store_changed(tx, [(clock, clock.cause(now), happened)], now)
    return True


def _differing(kept: Clock | None, folded: Clock | None) -> str:
    """Where the two say something else."""
    if kept is None or folded is None:
        return "one of them has not begun"
    differing = [one.name for one in fields(Clock) if getattr(kept, one.name) != getattr(folded, one.name)]
    return ", ".join(f"{name} is {getattr(kept, name)} and not {getattr(folded, name)}" for name in differing)


SAMPLES: Pieces[Row] = Pieces(
    claim=_Sampling().claim,
    do=check_folds,
    key=lambda sampled: str(sampled.id),
    put_aside=clock_rows.leave_to_an_operator,
    bring_back=_fold_anew,
    portion=PORTION,
)
