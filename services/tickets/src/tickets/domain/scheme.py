"""A scheme of urgency: what severity follows from the impact, and what priority from the client; as data."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from shared.contract_choice import Standing
from shared.contracts.tickets import ImpactAnswers
from shared.errors import Conflict, Invalid, NotFound

MOST_URGENT, LEAST_URGENT = 1, 4


class NoSuchScheme(NotFound):
    """No scheme has this id."""

    code = "no-such-scheme"
    title = "There is no such scheme of urgency"


class SchemeInForce(Conflict):
    """Tickets were judged by it, so it stays as it is."""

    code = "scheme-in-force"
    title = "The scheme is in force, or was"


class BeginsInThePast(Invalid):
    """What is decided today changes nothing that was judged before."""

    code = "begins-in-the-past"
    title = "A scheme begins later than now"


class TwoBeginAtOnce(Conflict):
    """At every instant exactly one scheme is in force."""

    code = "two-begin-at-once"
    title = "Another scheme begins at the same instant"


class MatrixMakesNoSense(Invalid):
    """Whoever is hit harder never has the lesser severity."""

    code = "matrix-makes-no-sense"
    title = "A worse impact would have a lesser severity"


class RulesMakeNoSense(Invalid):
    """Each rule can be reached, and one of them always fits."""

    code = "rules-make-no-sense"
    title = "The rules leave something out"


@dataclass(frozen=True, slots=True)
class Facts:
    """What priority depends on. What no service tells yet counts as not given: `go_live` and `breaches_in_month`.

    `promised_s1_seconds` is the promised resolution of severity 1, `reopenings` how often the ticket was reopened.
    """

    tier: str
    kind: str
    standing: Standing
    contract_type: str | None = None
    promised_s1_seconds: int | None = None
    go_live: bool = False
    reopenings: int = 0
    breaches_in_month: int = 0


@dataclass(frozen=True, slots=True)
class Conditions:
    """What must be so, all of it together; None asks for nothing. `contract` is how it stands."""

    tier: tuple[str, ...] | None = None
    kind: tuple[str, ...] | None = None
    contract: tuple[str, ...] | None = None
    contract_type: tuple[str, ...] | None = None
    promised_s1_at_most_seconds: int | None = None

    def hold(self, facts: Facts) -> bool:
        """Whether the facts are so. A type or a promise that is not there is none of those asked for."""
        promised, at_most = facts.promised_s1_seconds, self.promised_s1_at_most_seconds
        named = (
            (self.tier, facts.tier),
            (self.kind, facts.kind),
            (self.contract, facts.standing),
            (self.contract_type, facts.contract_type),
        )
        return all(asked is None or found in asked for asked, found in named) and (
            at_most is None or (promised is not None and promised <= at_most)
        )


@dataclass(frozen=True, slots=True)
class Occasions:
    """What moves a priority, all of it together; None asks for nothing."""

    go_live: bool | None = None
    reopenings_at_least: int | None = None
    breaches_in_month_at_least: int | None = None

    def hold(self, facts: Facts) -> bool:
        """Whether the facts are so."""
        counted = (
            (self.reopenings_at_least, facts.reopenings),
            (self.breaches_in_month_at_least, facts.breaches_in_month),
        )
        return (self.go_live is None or self.go_live == facts.go_live) and all(
            asked is None or found >= asked for asked, found in counted
        )


@dataclass(frozen=True, slots=True)
class PriorityRule:
    """Gives a priority where its conditions hold; the first that fits decides. `says` is for people."""

    id: str
    says: str
    when: Conditions
    priority: int


@dataclass(frozen=True, slots=True)
class PriorityShift:
    """Moves the priority where its occasions are so; −1 is more urgent. Every one that fits counts."""

    id: str
    says: str
    when: Occasions
    by: int


@dataclass(frozen=True, slots=True)
class Assessed:
    """A priority, the rule that gave it, and the shifts that moved it."""

    priority: int
    rule: PriorityRule
    shifts: tuple[PriorityShift, ...]


@dataclass(frozen=True, slots=True)
class Scheme:
    """The matrix (rows: who is stopped, columns: what is lost, 1 the worst) and the rules, in force from an instant
    until the next scheme begins. `unknown_counts_as` is the row or column of «no sé»."""

    id: str
    valid_from: datetime
    matrix: tuple[tuple[int, ...], ...]
    unknown_counts_as: int
    rules: tuple[PriorityRule, ...]
    shifts: tuple[PriorityShift, ...]

    def severity_of(self, impact: ImpactAnswers) -> int:
        """The severity 1–4 that follows from the answers."""
        row = impact.operational or self.unknown_counts_as
        column = impact.economic or self.unknown_counts_as
        return self.matrix[row - 1][column - 1]

    def priority_of(self, facts: Facts) -> Assessed:
        """The priority 1–4 of the first rule that fits, moved by every shift that fits, within the bounds."""
        rule = next(one for one in self.rules if one.when.hold(facts))
        shifts = tuple(one for one in self.shifts if one.when.hold(facts))
        return Assessed(bounded(rule.priority + sum(one.by for one in shifts)), rule, shifts)


def bounded(priority: int) -> int:
    """The nearest priority that there is."""
    return min(max(priority, MOST_URGENT), LEAST_URGENT)


def check_sense(scheme: Scheme) -> None:
    """Raises MatrixMakesNoSense or RulesMakeNoSense."""
    _check_matrix(scheme.id, scheme.matrix)
    for what, entries in (("rules", scheme.rules), ("shifts", scheme.shifts)):
        ids = [one.id for one in entries]
        if twice := sorted({each for each in ids if ids.count(each) > 1}):
            raise RulesMakeNoSense(f"{scheme.id}: {what} with the id {twice[0]} are there twice: give each its own")
    if not scheme.rules or scheme.rules[-1].when != Conditions():
        raise RulesMakeNoSense(f"{scheme.id}: let the last rule have no conditions, so that one fits every client")
    for one in scheme.rules[:-1]:
        if one.when == Conditions():
            raise RulesMakeNoSense(
                f"{scheme.id}: the rule {one.id} always fits, and none after it is asked: put it last"
            )
    for shift in scheme.shifts:
        if shift.when == Occasions() or not shift.by:
            raise RulesMakeNoSense(f"{scheme.id}: say when the shift {shift.id} moves a priority, and by how much")


def check_begin(scheme: Scheme, before: Scheme | None, others: Iterable[Scheme], now: datetime) -> None:
    """Whether a scheme may be recorded now in place of `before`, beside `others`.

    Raises SchemeInForce, BeginsInThePast or TwoBeginAtOnce.
    """
    if before is not None and before.valid_from <= now:
        raise SchemeInForce(
            f"the scheme {scheme.id} is in force since {before.valid_from.isoformat()}, or was: record another one "
            "that begins later"
        )
    if scheme.valid_from <= now:
        raise BeginsInThePast(f"{scheme.id}: let valid_from lie after now ({now.isoformat()})")
    for other in others:
        if other.valid_from == scheme.valid_from:
            raise TwoBeginAtOnce(f"{scheme.id}: {other.id} begins at that instant too: change that one, or the instant")


def _check_matrix(scheme_id: str, matrix: Sequence[Sequence[int]]) -> None:
    for turned, lines in ((False, matrix), (True, tuple(zip(*matrix, strict=True)))):
        for number, line in enumerate(lines, 1):
            if list(line) != sorted(line):
                which = f"column {number}" if turned else f"row {number}"
                raise MatrixMakesNoSense(
                    f"{scheme_id}: in {which} of the matrix a worse impact has a lesser severity: let it go up from 1"
                )
