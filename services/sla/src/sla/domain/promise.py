"""Why a ticket is promised what it is: the contract that was chosen, those that were not, the rule of each clock."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Literal

from shared.contract_choice import GRACE, Choice, Standing, agreed_at
from shared.contracts.sla import TargetRule
from shared.target_choice import Judged, matching
from sla.domain.contract import Contract
from sla.domain.explanation import Language, at_in, length_of
from sla.domain.target import CLOCKS

# What spoke against a contract.
PassedBecause = Literal[
    "not-agreed-yet",
    "not-begun",
    "ended",
    "other-product",
    "another-in-force",
    "another-fits-better",
    "another-is-later",
]


@dataclass(frozen=True, slots=True)
class Passed:
    """A contract of the client that was not chosen, in the version that held or the first one, and why."""

    contract: Contract
    because: PassedBecause


@dataclass(frozen=True, slots=True)
class Due:
    """One clock that starts at the report: the rule that holds, and when that is due."""

    rule: TargetRule
    due_at: datetime


def passed_over(
    versions: Iterable[Contract], choice: Choice[Contract], product_id: str | None, reported_at: datetime
) -> list[Passed]:
    """Every other contract of the client by its id. It only tells what `choose_contract` has decided."""
    every = sorted(versions, key=lambda one: (one.id, one.version))
    held = {one.id: one for one in agreed_at(every, reported_at)}
    first = {one.id: one for one in reversed(every)}
    chosen = choice.contract
    return [
        Passed(held.get(each, first[each]), _why_not(held.get(each), choice, product_id, reported_at))
        for each in sorted(first)
        if chosen is None or chosen.id != each
    ]


def may_cost(standing: Standing, judged: Judged) -> bool:
    """Whether a miss may cost something: nothing does without a contract in force, and no question does."""
    return standing == "in-force" and judged.kind != "question"


def other_rules(targets: Iterable[TargetRule], judged: Judged) -> dict[str, list[TargetRule]]:
    """By clock the rules that are for such a ticket too, less specific than the one that holds or behind it."""
    rules = list(targets)
    return {clock: matching(rules, clock, judged)[1:] for clock in CLOCKS}


def told(
    choice: Choice[Contract], passed: Iterable[Passed], dues: Iterable[Due], zone: tzinfo, language: Language
) -> list[str]:
    """The same in sentences, in the time of a zone."""
    words = _WORDS[language]
    return [
        _of_choice(choice, zone, words, language),
        *(f"{one.contract.id}: {words.passed[one.because]}." for one in passed),
        *_of_dues(dues, zone, words, language),
    ]


@dataclass(frozen=True, slots=True)
class _Words:
    in_force: str
    vencido: str
    none: str
    passed: dict[PassedBecause, str]
    clocks: dict[str, str]
    due: str
    every_ticket: str
    named: dict[str, str]
    kinds: dict[str, str]


_WORDS: dict[Language, _Words] = {
    "es": _Words(
        in_force="Rige el contrato {id} ({type}, versión {version}).",
        vencido=(
            "Rige el contrato {id} ({type}, versión {version}), vencido el {ended}: hasta 60 días después valen sus "
            "plazos y su prioridad, sin penalidades."
        ),
        none="No hay contrato que rija: valen los plazos de Básico, sin penalidades.",
        passed={
            "not-agreed-yet": "todavía no se había acordado",
            "not-begun": "todavía no había comenzado",
            "ended": "terminó más de 60 días antes",
            "other-product": "es para otros productos",
            "another-in-force": "había terminado y otro está vigente",
            "another-fits-better": "otro se ajusta mejor al producto",
            "another-is-later": "otro es posterior",
        },
        clocks={"response": "Primera respuesta", "resolution": "Resolución"},
        due="{clock}: {length} de {calendar}, vence el {due}; regla para {rule}.",
        every_ticket="todo caso",
        named={"module_ids": "el módulo", "product_ids": "el producto", "priorities": "prioridad"},
        kinds={"incident": "incidentes", "question": "consultas"},
    ),
    "en": _Words(
        in_force="The contract {id} ({type}, version {version}) applies.",
        vencido=(
            "The contract {id} ({type}, version {version}) applies, which ended {ended}: until 60 days after that its "
            "targets and priority hold, without penalties."
        ),
        none="No contract applies: the targets are those of Básico, without penalties.",
        passed={
            "not-agreed-yet": "it had not been agreed yet",
            "not-begun": "it had not begun yet",
            "ended": "it ended more than 60 days before",
            "other-product": "it is for other products",
            "another-in-force": "it had ended and another one is in force",
            "another-fits-better": "another one fits the product better",
            "another-is-later": "another one is later",
        },
        clocks={"response": "First response", "resolution": "Resolution"},
        due="{clock}: {length} of {calendar}, due {due}; the rule is for {rule}.",
        every_ticket="every ticket",
        named={"module_ids": "the module", "product_ids": "the product", "priorities": "priority"},
        kinds={"incident": "incidents", "question": "questions"},
    ),
}


def _why_not(
    contract: Contract | None, choice: Choice[Contract], product_id: str | None, reported_at: datetime
) -> PassedBecause:
    if contract is None:
        return "not-agreed-yet"
    if contract.valid_from > reported_at:
        return "not-begun"
    ended = contract.valid_until is not None and contract.valid_until <= reported_at
    if contract.valid_until is not None and reported_at - contract.valid_until > GRACE:
        return "ended"
    if contract.product_ids and product_id is not None and product_id not in contract.product_ids:
        return "other-product"
    if ended and choice.standing == "in-force":
        return "another-in-force"
    chosen = choice.contract
    same_fit = chosen is not None and bool(chosen.product_ids) == bool(contract.product_ids)
    return "another-is-later" if same_fit else "another-fits-better"


def _of_choice(choice: Choice[Contract], zone: tzinfo, words: _Words, language: Language) -> str:
    contract = choice.contract
    if contract is None:
        return words.none
    said = words.in_force if choice.standing == "in-force" else words.vencido
    return said.format(
        id=contract.id,
        type=contract.contract_type,
        version=contract.version,
        ended=at_in(contract.valid_until, zone, language) if contract.valid_until else "",
    )


def _of_dues(dues: Iterable[Due], zone: tzinfo, words: _Words, language: Language) -> Iterator[str]:
    for one in dues:
        yield words.due.format(
            clock=words.clocks.get(one.rule.clock, one.rule.clock),
            length=length_of(one.rule.seconds, language),
            calendar=one.rule.calendar_id,
            due=at_in(one.due_at, zone, language),
            rule=_of_rule(one.rule, words),
        )


def _of_rule(rule: TargetRule, words: _Words) -> str:
    """What a rule names, the narrowest first."""
    parts = [f"{words.named['module_ids']} {', '.join(rule.module_ids)}"] if rule.module_ids else []
    parts += [f"{words.named['product_ids']} {', '.join(rule.product_ids)}"] if rule.product_ids else []
    parts += [", ".join(words.kinds.get(kind, kind) for kind in rule.kinds)] if rule.kinds else []
    parts += [", ".join(f"S{one}" for one in rule.severities)] if rule.severities else []
    parts += (
        [f"{words.named['priorities']} {', '.join(f'P{one}' for one in rule.priorities)}"] if rule.priorities else []
    )
    return " · ".join(parts) or words.every_ticket
